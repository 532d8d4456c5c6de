"""The report that ends a build: a page for people, and the same as data."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2

from bot.cards import formatting, labels, markdown
from core.domain.lifecycle import ApprovalStatus, FeatureStatus, TaskStatus
from core.domain.money import Tokens
from core.domain.proof import CheckResult, Verdict
from core.domain.redaction import Redaction
from core.ports.host import BoxLevel
from core.views.features import FeatureView
from core.views.json import plain
from core.views.reports import Report
from core.views.tasks import EvidenceView, TaskView
from core.views.usage import NOTHING, Spent

PAGE = ".autocoder/report.md"
DATA = ".autocoder/report.json"

_FEATURES = {
    FeatureStatus.PENDING: "○ pending",
    FeatureStatus.SPECCING: "○ pending",
    FeatureStatus.READY: "○ ready",
    FeatureStatus.IN_PROGRESS: "◐ in progress",
    FeatureStatus.LANDING: "◐ landing",
    FeatureStatus.COMPLETED: "✓ landed",
}
_BECAUSE = {
    Verdict.ACCEPTED: "it was accepted",
    Verdict.ALREADY_DONE: "it was done already",
    Verdict.GREEN_BEFORE: "its checks were green before",
    Verdict.VOUCHED: "a person vouches for it",
    Verdict.RED: "a check failed",
    Verdict.MOVED: "files changed while the checks ran",
    Verdict.NO_CHECKS: "it has no checks",
    Verdict.NOTHING_DONE: "its checks were green before and nothing was changed",
    Verdict.GREEN_BEFORE_STRICT: "its checks were green before the work",
}
_DECIDED = {
    ApprovalStatus.OPEN: "▲ open",
    ApprovalStatus.APPROVED: "✓ approved",
    ApprovalStatus.REJECTED: "■ rejected",
    ApprovalStatus.EXPIRED: "expired",
    ApprovalStatus.WITHDRAWN: "withdrawn",
}


def render(report: Report, box: BoxLevel = BoxLevel.FULL) -> dict[str, bytes]:
    """Paths in the repository and their content; `box`: where its last agents worked."""
    data = json.dumps(plain(Report, report), ensure_ascii=False, indent=2) + "\n"
    # A lone surrogate, which a model may name and UTF-8 cannot carry, becomes its escape.
    return {
        PAGE: _page(report, box).encode("utf-8", "backslashreplace"),
        DATA: Redaction()(data).encode("utf-8", "backslashreplace"),
    }


def _page(report: Report, box: BoxLevel) -> str:
    tasks_of: dict[int, list[TaskView]] = {}
    for task in report.tasks:
        tasks_of.setdefault(task.feature_id, []).append(task)
    own = [
        each for task in report.tasks if task.status is TaskStatus.PASSING for each in task.checks
    ]
    return _TEMPLATE.render(
        **{name: getattr(report, name) for name in Report.__dataclass_fields__},
        box=box,
        sandbox=labels.sandbox(box),
        checks=tuple(dict.fromkeys((*report.about.checks, *own))),
        phase_names={
            phase.id: f"{phase.position} {markdown.text(phase.name)}" for phase in report.phases
        },
        tasks_of=tasks_of,
        feature_names={each.id: markdown.text(each.name) for each in report.features},
    )


def _proof(task: TaskView) -> EvidenceView | None:
    return next((each for each in reversed(task.evidence) if each.accepted), None)


def _passes_by(task: TaskView) -> Verdict | None:
    """What its passing rests on."""
    proof = _proof(task) if task.status is TaskStatus.PASSING else None
    return proof.verdict if proof else None


def _vouched(task: TaskView) -> bool:
    return _passes_by(task) is Verdict.VOUCHED


def _proved(task: TaskView) -> bool:
    """By a check that was red before."""
    return _passes_by(task) not in (None, Verdict.VOUCHED, Verdict.GREEN_BEFORE)


def _tested_by_itself(task: TaskView) -> bool:
    proof = _proof(task)
    return proof is not None and bool(proof.own_tests)


def _told(check: CheckResult) -> bool:
    return bool(check.output.strip())


def _feature_state(feature: FeatureView) -> str:
    if feature.status is FeatureStatus.COMPLETED and feature.landed_commit is None:
        return "– nothing to land"  # its tasks are skipped
    return _FEATURES[feature.status]


def _cost(parts: dict[str, Spent], key: int) -> Decimal:
    return parts.get(str(key), NOTHING).cost_usd


def _cached(tokens: Tokens) -> str:
    """How much of what a model was given to read came from the cache."""
    return formatting.percent(tokens.cache_read, tokens.total - tokens.output)


def _commit(name: str | None) -> str:
    return markdown.code(formatting.commit(name), table=True) if name else formatting.UNKNOWN


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 600 else formatting.duration(seconds)


def _usd_range(low_high: Sequence[Decimal]) -> str:
    return formatting.usd_range(*low_high)


def _environment() -> jinja2.Environment:
    found = jinja2.Environment(  # noqa: S701  # Markdown: words pass `text`, `code` or `block`
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "text": markdown.text,
        "code": markdown.code,
        "block": markdown.block,
        "usd": formatting.usd,
        "usd_range": _usd_range,
        "percent": formatting.percent,
        "count": formatting.count,
        "tokens": formatting.tokens,
        "duration": formatting.duration,
        "cached": _cached,
        "commit": _commit,
        "when": _when,
        "seconds": _seconds,
        "proof": _proof,
        "feature_state": _feature_state,
    }
    found.filters |= filters
    found.tests |= {
        "vouched": _vouched,
        "proved": _proved,
        "tested_by_itself": _tested_by_itself,
        "told": _told,
    }
    found.globals |= {
        "cost": _cost,
        "because": _BECAUSE,
        "decided": _DECIDED,
        "marks": {
            "done": labels.DONE,
            "stopped": labels.STOPPED,
            "project": labels.PROJECT_MARKS,
            "phase": labels.PHASE_MARKS,
            "task": labels.TASK_MARKS,
        },
    }
    return found


_TEMPLATE = _environment().get_template("report.jinja")
