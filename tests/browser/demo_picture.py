"""`python -m tests.browser.demo_picture`: docs/pictures/demo.svg, from a demo on a screen (tmux)."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.scripted.process import ROOT

PICTURE = ROOT / "docs" / "pictures" / "demo.svg"
HOME = Path("/tmp/demo")  # as the picture says it
WIDTH, HEIGHT = 116, 50
FAINT, TEXT, GROUND = (143, 151, 163), (232, 234, 237), (22, 24, 28)
RED, GREEN, AMBER, BLUE = (255, 143, 133), (98, 203, 143), (230, 171, 82), (143, 176, 255)
COLOURS = [GROUND, RED, GREEN, AMBER, BLUE, BLUE, BLUE, TEXT]
THEME = TerminalTheme(GROUND, TEXT, COLOURS, [FAINT, RED, GREEN, AMBER, BLUE, BLUE, BLUE, TEXT])
FONTS = "DejaVu Sans Mono, Menlo, Consolas, monospace"


def tmux(*arguments: str) -> str:
    command = ["tmux", "-L", "autocoder-picture", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def screens() -> str:
    """What the demo has shown in the middle of its second phase, with what was above."""
    shutil.rmtree(HOME, ignore_errors=True)
    demo = f"{sys.executable} -m bot demo --home {HOME}"
    tmux("new-session", "-d", "-x", str(WIDTH), "-y", str(HEIGHT), "-c", str(ROOT), demo)
    try:
        for _ in range(2_000):
            time.sleep(0.1)
            shown = tmux("capture-pane", "-p", "-S", "-")
            if "Command line landed" in shown and re.search(r"1[1-3] of 14 tasks", shown):
                return tmux("capture-pane", "-p", "-e", "-S", "-")
        raise TimeoutError("The demo does not get there.")
    finally:
        tmux("kill-server")


def main() -> None:
    console = Console(record=True, width=WIDTH, file=open("/dev/null", "w"))  # noqa: SIM115  # it ends with the program
    prompt = Text.assemble(("you@host:~$ ", "bright_black"), f"autocoder demo --home {HOME}")
    console.print(prompt, Text.from_ansi(screens().rstrip()), sep="\n", soft_wrap=True)
    drawn = console.export_svg(title="autocoder demo", theme=THEME, unique_id="demo")
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.S)
    PICTURE.write_text(drawn.replace("Fira Code, monospace", FONTS), "utf-8")


if __name__ == "__main__":
    main()
