"""Somebody's text, made fit for a plan: one line of it, its lines, a file as the Read tool shows it."""

import re
import unicodedata

MOST_LINES = 40  # of a spec
LINE_LIMIT = 200  # characters

_MARKS = re.compile(r"\*\*|__|`")
_LEADING = re.compile(r"^(?:[#>*+\-=•·\s]|\[[ xX]\]\s)+")
_NUMBERED_LINE = re.compile(r"^\s*\d+[→\t]")


def clean(text: str, limit: int) -> str:
    """Printable text in one line, without the marks of Markdown, at most so long."""
    text = unicodedata.normalize("NFC", text)
    plain = "".join(c if c.isprintable() or c.isspace() else "" for c in text)
    plain = " ".join(_MARKS.sub("", plain).split())
    return plain if len(plain) <= limit else f"{plain[: limit - 1].rstrip()}…"


def lines(text: str) -> tuple[str, ...]:
    """The first lines that say something, each once, without the marks of headings and lists."""
    found = (clean(_LEADING.sub("", line), LINE_LIMIT) for line in text.splitlines())
    return tuple(dict.fromkeys(line for line in found if line))[:MOST_LINES]


def unnumbered(shown: str) -> str:
    """The text of a file as the Read tool shows it, without its line numbers."""
    shown_lines = shown.splitlines()
    if not any(_NUMBERED_LINE.match(line) for line in shown_lines):
        return shown
    return "\n".join(_NUMBERED_LINE.sub("", line, count=1) for line in shown_lines)
