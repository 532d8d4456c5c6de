"""What is put on the screen, as values; drawn with columns for a terminal, plainly elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from core.domain.redaction import clean

NARROW = 78  # columns; below it facts go under what they are about
INDENT = 2
_WHAT = 38  # columns of the first column where there is room


class Mark(StrEnum):
    """State marks; each stands before a word that says the same."""

    PENDING = "○"
    PROGRESS = "◐"
    DONE = "✓"
    WAITS = "▲"
    STOPPED = "■"


STYLE = {
    Mark.PENDING: "bright_black",
    Mark.PROGRESS: "blue",
    Mark.DONE: "green",
    Mark.WAITS: "yellow",
    Mark.STOPPED: "red",
}
FAINT = "bright_black"


@dataclass(frozen=True)
class Heading:
    title: str
    right: str = ""


@dataclass(frozen=True)
class Row:
    """One thing that happened, or one part of a card."""

    what: str
    facts: str = ""
    mark: Mark | None = None
    at: str = ""  # time since the beginning
    right: str = ""
    answer: str = ""  # what was typed
    depth: int = 0
    strong: bool = False


@dataclass(frozen=True)
class Labelled:
    """`Cost  $6.10–9.40`: facts with names, beside each other where there is room."""

    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Words:
    """Running text; own line breaks are kept."""

    text: str
    style: str = ""
    depth: int = 0


@dataclass(frozen=True)
class Output:
    """What a program printed: kept as it stands, long lines cut."""

    lines: tuple[str, ...] = field(default_factory=tuple)


Item = Heading | Row | Labelled | Words | Output


def mended(item: Item) -> Item:
    """The same with nothing in its texts that steers a screen."""
    match item:
        case Heading(title, right):
            return Heading(clean(title), clean(right))
        case Row():
            return Row(
                " ".join(clean(item.what).split()),
                " ".join(clean(item.facts).split()),
                item.mark,
                item.at,
                clean(item.right),
                " ".join(clean(item.answer).split()),
                item.depth,
                item.strong,
            )
        case Labelled(facts):
            return Labelled(tuple((name, " ".join(clean(v).split())) for name, v in facts))
        case Words():
            return Words(clean(item.text), item.style, item.depth)
        case Output(lines):
            return Output(tuple(clean(line).replace("\n", " ") for line in lines))
        case _:
            assert_never(item)


def plain(item: Item) -> Iterator[str]:
    """Lines without columns, colours or control characters."""
    item = mended(item)
    match item:
        case Heading(title, right):
            yield ""
            yield " · ".join(part for part in (title, right) if part)
        case Row():
            head = " ".join(part for part in (item.at, item.mark or "", item.what) if part)
            line = " · ".join(part for part in (head, item.facts, item.right) if part)
            answer = f" › {item.answer}" if item.answer else ""
            yield f"{' ' * INDENT * (1 + item.depth)}{line}{answer}"
        case Labelled(facts):
            yield " " * INDENT + " · ".join(f"{name} {value}" for name, value in facts)
        case Words():
            for line in item.text.split("\n"):
                yield (" " * INDENT * (1 + item.depth) + line).rstrip()
        case Output(lines):
            for line in lines:
                yield f"{' ' * INDENT * 2}{line}".rstrip()
        case _:
            assert_never(item)


def drawn(item: Item, width: int) -> list[Text]:
    """Lines of at most `width` columns, with styles."""
    item = mended(item)
    match item:
        case Heading(title, right):
            return [
                Text(),
                ends(Text.assemble((title, "bold")), Text.assemble((right, FAINT)), width),
            ]
        case Row():
            return _row(item, width)
        case Labelled(facts):
            return _labelled(facts, width)
        case Words():
            return wrapped(Text(item.text, item.style), width, INDENT * (1 + item.depth))
        case Output(lines):
            pad = INDENT * 2
            return [Text(" " * pad + fit(line, width - pad), FAINT) for line in lines]
        case _:
            assert_never(item)


def _row(row: Row, width: int) -> list[Text]:
    left = Text(" " * INDENT * (1 + row.depth))
    if row.at:
        left.append(f"{row.at:>4} ", FAINT)
    if row.mark:
        left.append(f"{row.mark} ", STYLE[row.mark])
    hang = left.cell_len
    left.append(row.what, "bold" if row.strong else "")
    rest = Text.assemble((row.facts, FAINT))
    if row.answer:
        rest.append("   › " if row.facts else "› ", FAINT)
        rest.append(row.answer, "bold")
    right = Text.assemble((row.right, FAINT))
    if width >= NARROW:
        whole = left.copy()
        if rest:
            whole.pad_right(max(hang + _WHAT - left.cell_len, 2))
            whole.append_text(rest)
        if whole.cell_len + right.cell_len + (2 if right else 0) <= width:
            return [ends(whole, right, width)]
    elif rest and left.cell_len + rest.cell_len + right.cell_len + 4 <= width:
        left.append("  ")
        left.append_text(rest)
        return [ends(left, right, width)]
    first, *more = wrapped(left, width - (right.cell_len + 2 if right else 0), 0, hang)
    return [ends(first, right, width), *more, *(wrapped(rest, width, hang) if rest else ())]


def _labelled(facts: tuple[tuple[str, str], ...], width: int) -> list[Text]:
    parts = [Text.assemble((f"{name} ", FAINT), value) for name, value in facts]
    return flowed(parts, width, INDENT)


def flowed(parts: list[Text], width: int, indent: int, gap: int = 3) -> list[Text]:
    """Parts beside each other; one that does not fit begins a line."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + gap + part.cell_len <= width:
            lines[-1].append(" " * gap)
            lines[-1].append_text(part)
        else:
            lines += wrapped(part, width, indent)
    return lines


_WRAPPER = Console(width=400, color_system=None, force_terminal=False, legacy_windows=False)


def wrapped(text: Text, width: int, indent: int, hang: int | None = None) -> list[Text]:
    """Text in lines of at most `width` columns: the first after `indent`, others after `hang`."""
    after = indent if hang is None else hang
    room = max(width - max(indent, after), 10)
    lines: list[Text] = []
    for part in text.split("\n", allow_blank=True):
        for line in part.wrap(_WRAPPER, room) or [Text()]:
            line.rstrip()
            pad = Text(" " * (after if lines else indent))
            pad.append_text(line)
            lines.append(pad)
    return lines or [Text()]


def ends(left: Text, right: Text, width: int) -> Text:
    """Left and right on one line; the right goes where there is no room for both."""
    line = left.copy()
    gap = width - left.cell_len - right.cell_len
    if right and gap >= 2:
        line.append(" " * gap)
        line.append_text(right)
    elif line.cell_len > width:
        line.truncate(width, overflow="ellipsis")
    return line


def fit(text: str, width: int) -> str:
    """Cut to columns, not characters."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - 1, 0)).rstrip() + "…"
