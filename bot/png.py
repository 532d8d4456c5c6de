"""SVG on its standard input, PNG on its output: the child of `bot.cards.pictures.png`."""

import sys
from pathlib import Path

import resvg_py

FONT = "Inter"  # what it lacks is drawn as boxes
SCALE = 2  # screens have two pixels where a picture has one


def main() -> None:
    """The argument is the colour of the ground."""
    drawn = resvg_py.svg_to_bytes(
        svg_string=sys.stdin.buffer.read().decode(),
        background=sys.argv[1],
        zoom=SCALE,
        skip_system_fonts=True,  # so that it is the same everywhere
        font_files=[str(path) for path in Path(__file__).with_name("fonts").glob("*.otf")],
        font_family=FONT,
    )
    sys.stdout.buffer.write(bytes(drawn))


if __name__ == "__main__":
    main()
