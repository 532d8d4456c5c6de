"""The plan as a picture: features in their phases, arrows from what they build on (SVG)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from bot import wording
from bot.cards import words
from core.domain.plan import Plan, lifted_dependencies

MOST_FEATURES = 60  # more cannot be read in a picture
_WIDE, _HIGH = 190, 48  # a feature's box
_GAP_X, _GAP_Y = 46, 14
_MARGIN, _HEAD = 16, 34
_NAME = 26  # characters that fit a box

# Colours of WORDS.md; the reader's own setting picks light or dark.
_STYLE = """
svg{background:#fff;font:12px Inter,system-ui,sans-serif}
.box{fill:#f4f5f7;stroke:#cfd5dc}.name{fill:#1a1d23;font-weight:500}
.less{fill:#4a525e;font-size:11px}.phase{fill:#1a1d23;font-size:13px;font-weight:600}
.line{stroke:#656d79;fill:none;stroke-width:1.5}.tip{fill:#656d79}.cut{stroke:#e4e7eb}
@media(prefers-color-scheme:dark){svg{background:#16181c}
.box{fill:#1c1f24;stroke:#3a4049}.name,.phase{fill:#e8eaed}.less{fill:#b4bac4}
.line{stroke:#8f97a3}.tip{fill:#8f97a3}.cut{stroke:#282c32}}
"""


@dataclass(frozen=True)
class _Box:
    x: int
    y: int
    name: str
    tasks: int


@dataclass(frozen=True)
class _Phase:
    x: int
    title: str


def plan_svg(plan: Plan) -> str:
    """Phases from left to right; within one, what builds on a feature stands right of it."""
    lifted = lifted_dependencies(plan)
    boxes, phases = _laid_out(plan, lifted)
    width = max((box.x + _WIDE for box in boxes.values()), default=_WIDE) + _MARGIN
    height = max((box.y + _HIGH for box in boxes.values()), default=_HIGH) + _MARGIN
    label = escape(f"Dependencies of {words.plan_size(plan)}", quote=True)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}" role="img" aria-label="{label}">'
        ),
        f"<style>{_STYLE}</style>",
        (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7"'
            ' markerHeight="7" orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>'
        ),
        *_phase_parts(phases, height),
        *_arrows(boxes, lifted),
        *_box_parts(boxes),
        "</svg>",
    ]
    return "".join(parts)


def _laid_out(plan: Plan, lifted: Mapping[str, set[str]]) -> tuple[dict[str, _Box], list[_Phase]]:
    boxes: dict[str, _Box] = {}
    phases: list[_Phase] = []
    x = _MARGIN
    for position, phase in enumerate(plan.phases, start=1):
        phases.append(_Phase(x, f"{position} {wording.one_line(phase.name, 40)}"))
        depths = words.depths({feature.name: lifted[feature.name] for feature in phase.features})
        rows: dict[int, int] = {}
        for feature in phase.features:
            if len(boxes) == MOST_FEATURES:
                break
            depth = depths[feature.name]
            row = rows.get(depth, 0)
            rows[depth] = row + 1
            boxes[feature.name] = _Box(
                x + depth * (_WIDE + _GAP_X),
                _MARGIN + _HEAD + row * (_HIGH + _GAP_Y),
                wording.one_line(feature.name, _NAME),
                len(feature.tasks),
            )
        columns = max(rows, default=0) + 1
        x += columns * (_WIDE + _GAP_X)
    return boxes, phases


def _phase_parts(phases: list[_Phase], height: int) -> Iterator[str]:
    for phase in phases:
        if phase.x > _MARGIN:
            cut = phase.x - _GAP_X // 2
            yield f'<path class="cut" d="M{cut} {_MARGIN}V{height - _MARGIN}"/>'
        yield f'<text class="phase" x="{phase.x}" y="{_MARGIN + 14}">{escape(phase.title)}</text>'


def _arrows(boxes: Mapping[str, _Box], lifted: Mapping[str, set[str]]) -> Iterator[str]:
    for name, box in boxes.items():
        for other in sorted(lifted[name]):
            if other not in boxes:
                continue
            start = boxes[other]
            x1, y1 = start.x + _WIDE, start.y + _HIGH // 2
            x2, y2 = box.x, box.y + _HIGH // 2
            bend = max((x2 - x1) // 2, 18)
            yield (
                f'<path class="line" marker-end="url(#tip)"'
                f' d="M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"/>'
            )


def _box_parts(boxes: Mapping[str, _Box]) -> Iterator[str]:
    for box in boxes.values():
        yield (
            f'<rect class="box" x="{box.x}" y="{box.y}" width="{_WIDE}" height="{_HIGH}" rx="6"/>'
            f'<text class="name" x="{box.x + 10}" y="{box.y + 20}">{escape(box.name)}</text>'
            f'<text class="less" x="{box.x + 10}" y="{box.y + 37}">'
            f"{wording.count(box.tasks, 'task')}</text>"
        )
