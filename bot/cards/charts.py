"""Pictures of figures: the board of a phase, and what a project cost (SVG)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bot import wording
from bot.cards.drawing import MARGIN, WIDE, svg, text

MOST_ROWS = 24
_MOST_PIECES = 40  # a bar of more is drawn by shares
_INSIDE = WIDE - 2 * MARGIN
_ROW, _HEAD = 34, 26
_LOOKS = {
    "done": "passing",
    "again": "passing after a retry",
    "active": "in progress",
    "stuck": "stuck",
    "skipped": "skipped",
    "rest": "pending",
}


@dataclass(frozen=True)
class Lane:
    """A feature on a board: its tasks as looks (`done`, `stuck` …), in their order."""

    name: str
    looks: Sequence[str]
    cost: Decimal


@dataclass(frozen=True)
class Bar:
    """A sum of money; `look` is its colour."""

    name: str
    usd: Decimal
    look: str = "bar"


def board_svg(heading: str, lanes: Sequence[Lane]) -> str:
    """A row per feature, a piece per task, and what the colours say."""
    parts: list[str] = [text(MARGIN, MARGIN + 12, "phase", wording.one_line(heading, 42))]
    y = MARGIN + _HEAD
    for lane in lanes[:MOST_ROWS]:
        done = sum(look in ("done", "again") for look in lane.looks)
        facts = f"{done}/{len(lane.looks)} · {wording.usd(lane.cost)}"
        parts += _row(lane.name, facts, y)
        parts += _pieces(lane.looks, y + 18)
        y += _ROW
    if len(lanes) > MOST_ROWS:
        parts.append(text(MARGIN, y + 10, "less", f"and {len(lanes) - MOST_ROWS} more"))
        y += 18
    used = [look for look in _LOOKS if any(look in lane.looks for lane in lanes)]
    x = float(MARGIN)
    for look in used:
        if x + 14 + 7 * len(_LOOKS[look]) > WIDE:
            x, y = float(MARGIN), y + 16
        parts.append(f'<rect class="{look}" x="{x:g}" y="{y + 2}" width="8" height="8" rx="2"/>')
        parts.append(text(x + 13, y + 10, "less", _LOOKS[look]))
        x += 26 + 6.4 * len(_LOOKS[look])
    return svg(heading, WIDE, y + 14 + MARGIN, parts)


def _row(name: str, facts: str, y: int) -> Iterator[str]:
    room = 46 - len(facts)
    yield text(MARGIN, y + 10, "name", wording.one_line(name, room))
    yield text(WIDE - MARGIN, y + 10, "less end", facts)


def _pieces(looks: Sequence[str], y: int) -> Iterator[str]:
    if len(looks) > _MOST_PIECES:
        counted = [(look, looks.count(look)) for look in _LOOKS if look in looks]
    else:
        counted = [(look, 1) for look in looks]
    gap = 2.0 if len(looks) <= _MOST_PIECES else 0.0
    each = (_INSIDE - gap * (len(counted) - 1)) / max(len(looks), 1)
    x = float(MARGIN)
    for look, number in counted:
        wide = each * number
        yield f'<rect class="{look}" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="6" rx="1"/>'
        x += wide + gap


def cost_svg(heading: str, blocks: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Bars from the left, the longest as wide as the picture; a block for each way to divide."""
    parts: list[str] = []
    y = MARGIN
    for title, bars in blocks:
        most = max((bar.usd for bar in bars), default=Decimal(0))
        parts.append(text(MARGIN, y + 12, "phase", title))
        y += _HEAD
        for bar in bars[:MOST_ROWS]:
            share = float(bar.usd / most) if most else 0.0
            parts += _row(bar.name, wording.usd(bar.usd), y)
            parts.append(
                f'<rect class="{bar.look}" x="{MARGIN}" y="{y + 16}"'
                f' width="{max(_INSIDE * share, 1):.1f}" height="8" rx="2"/>'
            )
            y += _ROW
        y += 6
    return svg(heading, WIDE, y + MARGIN - 12, parts)
