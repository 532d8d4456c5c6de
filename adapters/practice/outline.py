"""What can be said of a spec without understanding it: its title, its headings, its points."""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

MAX_POINTS = 12  # of a section
POINT_LIMIT = 300  # characters
NAME_LIMIT = 70  # characters of a title or heading

_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_BULLET = re.compile(r"^[ \t]*(?:[-*+•·]|\d{1,3}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?(.+)$")
_FENCE = re.compile(r"^[ \t]*(```|~~~)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
_NUMBERED_LINE = re.compile(r"^\s*\d+[→\t]")


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it."""

    title: str
    points: tuple[str, ...]
    left_out: int = 0  # points above the most that are taken


@dataclass(frozen=True)
class Outline:
    """A spec by its shape."""

    title: str
    sections: tuple[Section, ...]


def read_outline(text: str) -> Outline:
    """The outline of any text. Without headings it has at most one section."""
    title, blocks = "", [("", list[str]())]
    lines = _unfenced(text)
    for line, below in pairwise([*lines, ""]):
        heading = _HEADING.match(line)
        underlined = bool(_UNDERLINE.match(below)) and bool(line.strip()) and not heading
        if heading or (underlined and not _BULLET.match(line)):
            name = clean(heading[1] if heading else line, NAME_LIMIT)
            if not title and name:
                title = name
            elif name:
                blocks.append((name, []))
        elif not _UNDERLINE.match(line):
            blocks[-1][1].append(line)
    if not title:
        title = clean(next((line for line in lines if line.strip()), ""), NAME_LIMIT)
    title = title or "Practice project"
    sections = [s for s in (_section(name or title, body) for name, body in blocks) if s.points]
    named = [s for s in sections if s.title != title]
    if not named and sum(len(s.points) for s in sections) < 2:
        return Outline(title, ())  # one line: the title says it all
    return Outline(title, tuple(named or sections))


def clean(text: str, limit: int) -> str:
    """Printable text in one line, without the marks of Markdown, at most so long."""
    text = unicodedata.normalize("NFC", text)
    plain = "".join(c if c.isprintable() or c.isspace() else "" for c in text)
    plain = " ".join(re.sub(r"\*\*|__|`", "", plain).split())
    return plain if len(plain) <= limit else f"{plain[: limit - 1].rstrip()}…"


def unnumbered(shown: str) -> str:
    """The text of a file as the Read tool shows it, without its line numbers."""
    lines = shown.splitlines()
    if not any(_NUMBERED_LINE.match(line) for line in lines):
        return shown
    return "\n".join(_NUMBERED_LINE.sub("", line, count=1) for line in lines)


def _unfenced(text: str) -> list[str]:
    lines, inside = [], False
    for line in text.splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            lines.append(line)
    return lines


def _section(title: str, body: list[str]) -> Section:
    bullets: list[str] = []
    prose: list[str] = []
    for line in body:
        bullet = _BULLET.match(line)
        if bullet:
            bullets.append(bullet[1])
        elif bullets and line[:1].isspace() and line.strip():
            bullets[-1] += f" {line.strip()}"
        else:
            prose.append(line)
    found = bullets or _SENTENCE_END.split("\n".join(prose))
    points = [p for p in (clean(point, POINT_LIMIT) for point in found) if p]
    points = list(dict.fromkeys(points))
    return Section(title, tuple(points[:MAX_POINTS]), max(0, len(points) - MAX_POINTS))
