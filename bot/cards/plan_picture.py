"""The plan as a picture: features below each other, arrows from what they build on (SVG).

A picture is as wide as a card on a phone, so that its words are read at their own size.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from unicodedata import east_asian_width

from bot.cards import formatting, labels
from core.domain.plan import Plan, lifted_dependencies
from core.ports.chat import Theme

MOST_FEATURES = 60  # more cannot be read in a picture
WIDE = 336  # of every picture, unless arrows need more
MARGIN = 8
_HEAD, _LINE, _GAP = 28, 16, 10
_LANE, _ARROW = 9, 16  # between two arrows side by side; room for a tip
_LANES = 4  # that fit without making the picture wider

# The reader's own setting picks light or dark.
DARK = "@media(prefers-color-scheme:dark)"
GROUNDS = {Theme.LIGHT: "#ffffff", Theme.DARK: "#16181c"}
_LIGHT_STYLE = f"""
svg{{background:{GROUNDS[Theme.LIGHT]};font:12px Inter,system-ui,sans-serif}}
.box{{fill:#f4f5f7;stroke:#cfd5dc}}.name{{fill:#1a1d23;font-weight:500}}
.less{{fill:#4a525e;font-size:11px}}.phase{{fill:#1a1d23;font-size:13px;font-weight:600}}
.line{{stroke:#656d79;fill:none;stroke-width:1.5}}.tip{{fill:#656d79}}
.end{{text-anchor:end}}.rest{{fill:#e4e7eb}}.bar,.done{{fill:#2c9058}}.again{{fill:#b06f0c}}
.active{{fill:#2f62d4}}.stuck{{fill:#b0261e}}.skipped{{fill:#8f97a3}}
.opus{{fill:#152a6e}}.sonnet{{fill:#2f62d4}}.haiku{{fill:#678ce0}}
"""
_DARK_STYLE = f"""svg{{background:{GROUNDS[Theme.DARK]}}}
.box{{fill:#1c1f24;stroke:#3a4049}}.name,.phase{{fill:#e8eaed}}.less{{fill:#b4bac4}}
.line{{stroke:#8f97a3}}.tip{{fill:#8f97a3}}.rest{{fill:#282c32}}.bar,.done{{fill:#4fb27c}}
.again{{fill:#e6ab52}}.active{{fill:#7ea3f8}}.stuck{{fill:#ff8f85}}.skipped{{fill:#656d79}}
.opus{{fill:#dbe6ff}}.sonnet{{fill:#7ea3f8}}.haiku{{fill:#4a6bb8}}"""
_EITHER = f"{DARK}{{{_DARK_STYLE}}}\n"
_STYLE = f"{_LIGHT_STYLE}{_EITHER}"
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6"'
    ' markerHeight="6" orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>'
)


@dataclass(frozen=True)
class _Box:
    y: int
    lines: Sequence[str]
    tasks: int

    @property
    def high(self) -> int:
        return 2 * MARGIN + _LINE * (len(self.lines) + 1) - 2

    @property
    def arrives(self) -> int:
        return self.y + 14

    @property
    def leaves(self) -> int:
        return self.y + self.high - 9


def svg(label: str, width: int, height: int, parts: Iterable[str]) -> str:
    """A picture of our own: its look, and its words for whoever does not see it."""
    return "".join(
        (
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
                f' width="{width}" height="{height}" role="img"'
                f' aria-label="{escape(label, quote=True)}"><style>{_STYLE}</style>'
            ),
            *parts,
            "</svg>",
        )
    )


def themed(drawn: str, theme: Theme) -> str:
    """One of our pictures for where nobody's setting is known."""
    return drawn.replace(_EITHER, _DARK_STYLE if theme is Theme.DARK else "", 1)


def text(x: float, y: float, look: str, said: str) -> str:
    return f'<text class="{look}" x="{x:g}" y="{y:g}">{escape(said)}</text>'


def plan_svg(plan: Plan) -> str:
    """Phases below each other; in each, what builds on a feature stands below it."""
    lifted = _nearest(lifted_dependencies(plan))
    boxes, phases, height = _laid_out(plan, lifted)
    lanes = _lanes(boxes, lifted)
    used = max(lanes.values(), default=-1) + 1
    left = MARGIN + (_ARROW + _LANE * (used - 1) if used else 0)
    width = WIDE + _LANE * max(used - _LANES, 0)
    parts = [
        _TIP,
        *(text(left, y, "phase", title) for title, y in phases),
        *_arrows(boxes, lifted, lanes, left),
        *_box_parts(boxes, left, width - MARGIN - left),
    ]
    return svg(f"Dependencies of {plan.size}", width, height, parts)


def _nearest(lifted: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Without the arrows that others imply: a → c where there are a → b → c."""
    behind: dict[str, set[str]] = {}

    def all_behind(name: str) -> set[str]:
        if name not in behind:
            behind[name] = set()  # there is no cycle; a wrong plan ends here all the same
            behind[name] = set().union(*(all_behind(o) | {o} for o in lifted.get(name, ())))
        return behind[name]

    return {
        name: {o for o in waits if not any(o in all_behind(p) for p in waits - {o})}
        for name, waits in lifted.items()
    }


def _laid_out(
    plan: Plan, lifted: Mapping[str, set[str]]
) -> tuple[dict[str, _Box], list[tuple[str, int]], int]:
    """The boxes by name, the phases' headings with where they stand, and the height of all."""
    boxes: dict[str, _Box] = {}
    phases: list[tuple[str, int]] = []
    y = MARGIN
    for position, phase in enumerate(plan.phases, start=1):
        if len(boxes) == MOST_FEATURES:
            break
        phases.append((f"{position} {formatting.one_line(phase.name, 30)}", y + 14))
        y += _HEAD
        depths = labels.depths({feature.name: lifted[feature.name] for feature in phase.features})
        for feature in sorted(phase.features, key=lambda each: depths[each.name]):
            if len(boxes) == MOST_FEATURES:
                break
            box = _Box(y, _wrapped(feature.name), len(feature.tasks))
            boxes[feature.name] = box
            y += box.high + _GAP
    return boxes, phases, y - _GAP + MARGIN


def _wrapped(name: str) -> list[str]:
    """A name on one line or two; letters of East Asia are twice as wide."""
    plain = formatting.one_line(name, 200)
    wide = any(east_asian_width(char) in "WF" for char in plain)
    return wrap(plain, 16 if wide else 32, max_lines=2, placeholder="…") or [formatting.UNKNOWN]


def _lanes(boxes: Mapping[str, _Box], lifted: Mapping[str, set[str]]) -> dict[str, int]:
    """Which lane the arrows of a feature go down in: 0 is next to the boxes."""
    ends: dict[str, int] = {}
    for name, waits in lifted.items():
        for other in waits if name in boxes else ():
            if other in boxes and boxes[name].y > boxes[other].y:
                ends[other] = max(ends.get(other, 0), boxes[name].arrives)
    lanes: dict[str, int] = {}
    taken: list[list[tuple[int, int]]] = []
    for name in sorted(ends, key=lambda each: ends[each] - boxes[each].y):
        begin, end = boxes[name].leaves, ends[name]
        free = (n for n, spans in enumerate(taken) if all(end < b or e < begin for b, e in spans))
        lane = next(free, len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((begin, end))
        lanes[name] = lane
    return lanes


def _arrows(
    boxes: Mapping[str, _Box],
    lifted: Mapping[str, set[str]],
    lanes: Mapping[str, int],
    left: int,
) -> Iterator[str]:
    for name, box in boxes.items():
        for other in sorted(lifted[name]):
            if other not in lanes:
                continue
            x, start = left - _ARROW + 4 - _LANE * lanes[other], boxes[other]
            yield (
                f'<path class="line" marker-end="url(#tip)" d="M{left} {start.leaves}H{x + 4}'
                f"Q{x} {start.leaves} {x} {start.leaves + 4}V{box.arrives - 4}"
                f'Q{x} {box.arrives} {x + 4} {box.arrives}H{left}"/>'
            )


def _box_parts(boxes: Mapping[str, _Box], left: int, width: int) -> Iterator[str]:
    for box in boxes.values():
        yield (
            f'<rect class="box" x="{left}" y="{box.y}" width="{width}" height="{box.high}" rx="6"/>'
        )
        for number, line in enumerate(box.lines):
            yield text(left + 10, box.y + 18 + _LINE * number, "name", line)
        under = box.y + 18 + _LINE * len(box.lines)
        yield text(left + 10, under, "less", formatting.count(box.tasks, "task"))
