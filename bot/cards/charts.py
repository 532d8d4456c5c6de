"""Pictures of figures: the board of a phase, what a project cost, what a day did (SVG)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bot.cards import formatting
from bot.cards.plan_picture import MARGIN, WIDE, svg, text

MOST_ROWS = 24
_MOST_PIECES = 40  # a bar of more is drawn by shares
_INSIDE = WIDE - 2 * MARGIN
_ROW, _HEAD = 34, 26
_WIDER, _HIGH = 640, 112  # where there is room; of the columns
_LEAST_USD = Decimal("0.02")  # of a scale: half of it can still be read
BY_DAY = "Cost by day (UTC)"  # what stands above the columns
LOOKS = {  # of a task, and what each means
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


@dataclass(frozen=True)
class Column:
    """One day: what each model cost."""

    name: str
    models: Mapping[str, Decimal]


def look_of(model: str) -> str:
    """The colour of a model; it is the same in every picture."""
    return next((name for name in formatting.FAMILIES if name in model.lower()), "bar")


def _facts(lane: Lane) -> tuple[str, str]:
    """How many of its tasks pass, and what it cost."""
    done = sum(look in ("done", "again") for look in lane.looks)
    return f"{done}/{len(lane.looks)}", formatting.usd(lane.cost)


def told(lane: Lane) -> str:
    """What its row says, for whoever does not see it."""
    return " ".join((formatting.one_line(lane.name, 60), *_facts(lane)))


def board_svg(heading: str, lanes: Sequence[Lane]) -> str:
    """A row per feature, a piece per task, and what the colours say."""
    parts: list[str] = [text(MARGIN, MARGIN + 12, "phase", formatting.one_line(heading, 42))]
    y = MARGIN + _HEAD
    for lane in lanes[:MOST_ROWS]:
        parts += _row(lane.name, " · ".join(_facts(lane)), y)
        parts += _pieces(lane.looks, y + 18)
        y += _ROW
    if len(lanes) > MOST_ROWS:
        parts.append(text(MARGIN, y + 10, "less", f"and {len(lanes) - MOST_ROWS} more"))
        y += 18
    used = [look for look in LOOKS if any(look in lane.looks for lane in lanes)]
    x = float(MARGIN)
    for look in used:
        if x + 14 + 7 * len(LOOKS[look]) > WIDE:
            x, y = float(MARGIN), y + 16
        parts.append(f'<rect class="{look}" x="{x:g}" y="{y + 2}" width="8" height="8" rx="2"/>')
        parts.append(text(x + 13, y + 10, "less", LOOKS[look]))
        x += 26 + 6.4 * len(LOOKS[look])
    return svg(heading, WIDE, y + 14 + MARGIN, parts)


def _row(name: str, facts: str, y: int) -> Iterator[str]:
    room = 46 - len(facts)
    yield text(MARGIN, y + 10, "name", formatting.one_line(name, room))
    yield text(WIDE - MARGIN, y + 10, "less end", facts)


def _pieces(looks: Sequence[str], y: int) -> Iterator[str]:
    if len(looks) > _MOST_PIECES:
        counted = [(look, looks.count(look)) for look in LOOKS if look in looks]
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
            parts += _row(bar.name, formatting.usd(bar.usd), y)
            parts.append(
                f'<rect class="{bar.look}" x="{MARGIN}" y="{y + 16}"'
                f' width="{max(_INSIDE * share, 1):.1f}" height="8" rx="2"/>'
            )
            y += _ROW
        y += 6
    return svg(heading, WIDE, y + MARGIN - 12, parts)


def days_svg(heading: str, columns: Sequence[Column], *, wide: bool = False) -> str:
    """A column per day, a piece of it per model, and what the colours say with their sums.

    `heading` is for whoever does not see it.
    """
    width = _WIDER if wide else WIDE
    sums = by_model(column.models for column in columns)
    whole = sum(sums.values(), Decimal(0))
    days = [sum(each.models.values(), Decimal(0)) for each in columns]
    top = _round_above(max(days, default=whole))
    axis = 18 + round(6.4 * len(formatting.usd(top)))
    foot = MARGIN + _HEAD + 8 + _HIGH
    parts = [
        text(MARGIN, MARGIN + 12, "phase", BY_DAY),
        text(width - MARGIN, MARGIN + 12, "less end", formatting.usd(whole)),
        *_scale(top, axis, foot, width),
    ]
    each = (width - MARGIN - axis) / max(len(columns), 1)
    for at, column in enumerate(columns):
        parts += _column(column, list(sums), axis + at * each, foot, each, top)
    ends = (columns[0].name, columns[-1].name) if columns else ("", "")
    parts.append(text(axis, foot + 16, "less", ends[0]))
    parts.append(text(width - MARGIN, foot + 16, "less end", ends[1]))
    x, y = float(MARGIN), foot + 28
    for model, usd in sums.items():
        words = f"{formatting.one_line(model, 24)} {formatting.usd(usd)}"
        if x > MARGIN and x + 14 + 7 * len(words) > width:
            x, y = float(MARGIN), y + 16
        parts.append(
            f'<rect class="{look_of(model)}" x="{x:g}" y="{y + 2}" width="8" height="8" rx="2"/>'
        )
        parts.append(text(x + 13, y + 10, "less", words))
        x += 28 + 6.4 * len(words)
    return svg(heading, width, y + 14 + MARGIN, parts)


def by_model(days: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """What each model cost in all, in the order in which they lie on each other."""
    found: dict[str, Decimal] = {}
    for models in days:
        for model, usd in models.items():
            found[model] = found.get(model, Decimal(0)) + usd
    order = (*formatting.FAMILIES, "bar")  # the first lies below
    return dict(sorted(found.items(), key=lambda pair: (order.index(look_of(pair[0])), pair[0])))


def _round_above(usd: Decimal) -> Decimal:
    """The top of the scale: the least of 1, 2, 5, 10 … that nothing stands above."""
    if usd <= _LEAST_USD:
        return _LEAST_USD
    step = Decimal(1).scaleb(usd.adjusted())
    return next(times * step for times in (1, 2, 5, 10) if times * step >= usd)


def _scale(top: Decimal, axis: int, foot: int, width: int) -> Iterator[str]:
    for share in (1, 2):
        words, y = formatting.usd(top * share / 2), foot - _HIGH * share // 2
        yield f'<rect class="rest" x="{axis}" y="{y}" width="{width - MARGIN - axis}" height="1"/>'
        yield text(axis - 6, y + 4, "less end", words)
    yield f'<rect class="skipped" x="{axis}" y="{foot}" width="{width - MARGIN - axis}" height="1"/>'


def _column(
    column: Column, models: Sequence[str], x: float, foot: int, each: float, top: Decimal
) -> Iterator[str]:
    wide = min(max(each - 3, 2.0), 40.0)
    y = float(foot)
    for model in models:
        high = float(column.models.get(model, Decimal(0)) / top) * _HIGH
        if high <= 0:
            continue
        y -= max(high, 1.0)  # what was spent is seen
        seam = 1.0 if high > 3 else 0.0
        yield (
            f'<rect class="{look_of(model)}" x="{x + (each - wide) / 2:.1f}" y="{y + seam:.1f}"'
            f' width="{wide:.1f}" height="{max(high, 1.0) - seam:.1f}"/>'
        )
