"""Pictures as PNG: the same on every host, on the ground that was asked for, no word missing."""

import struct
import zlib

import pytest

from bot.cards.pictures import png
from bot.cards.plan_picture import GROUNDS, MARGIN, svg, text
from core.ports.chat import Theme


def drawn(words: str, look: str = "name") -> bytes:
    return png(svg("", 100, 30, [text(MARGIN, 20, look, words)]), Theme.LIGHT)


def size(made: bytes) -> tuple[int, int]:
    assert made.startswith(b"\x89PNG\r\n\x1a\n")
    wide, high = struct.unpack(">II", made[16:24])
    return wide, high


def corner(made: bytes) -> str:
    """The colour of the first pixel."""
    data, at = b"", 8
    while at < len(made):
        (length,) = struct.unpack(">I", made[at : at + 4])
        if made[at + 4 : at + 8] == b"IDAT":
            data += made[at + 8 : at + 8 + length]
        at += length + 12
    assert made[24:26] == b"\x08\x06", "eight bits of red, green, blue and how solid it is"
    red, green, blue, solid = zlib.decompress(data)[1:5]
    assert solid == 255
    return f"#{red:02x}{green:02x}{blue:02x}"


@pytest.mark.parametrize("theme", Theme)
def test_it_stands_on_a_solid_ground_of_its_theme_and_is_sharp(theme: Theme) -> None:
    made = png(svg("A picture", 120, 40, [text(MARGIN, 20, "name", "Storage")]), theme)
    assert size(made) == (240, 80)
    assert corner(made) == GROUNDS[theme]


def test_the_themes_differ_in_the_words_too() -> None:
    one, other = (
        png(svg("", 40, 40, ['<rect class="opus" width="40" height="40"/>']), theme)
        for theme in Theme
    )
    assert (corner(one), corner(other)) == ("#152a6e", "#dbe6ff")


def test_its_words_are_drawn_whatever_their_script() -> None:
    nothing, box = drawn(""), drawn("\u4e00")
    assert drawn("Привет") != nothing
    assert drawn("Привет") != drawn("Приват"), "letters"
    for words in ("認証", "تسجيل", "\U0001f680", "สวัสดี", "שלום"):
        assert drawn(words) != nothing
    assert drawn("\u4e01") == box, "a box, as for any letter that is missing"
    assert drawn("Storage") != drawn("Storage", "phase"), "its weights"
