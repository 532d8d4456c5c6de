"""The report that ends a build: for people, and the same as data (CONTRACT.md §1, §3).

Money is a decimal string in USD, times are UTC and end in `Z`. A task's id is its number; ids
of phases, features and approvals are the service's own. `usage.by_task` is keyed by the task's
number, `by_phase` and `by_feature` by their ids, `by_day` by the UTC date. `path` is relative
to the home, so that a report says nothing of the host it was made on.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypedDict

from bot.report_page import page
from core.domain.lifecycle import ProjectStatus
from core.domain.money import Tokens
from core.domain.report import (
    ApprovalLine,
    EvidenceLine,
    FeatureLine,
    ModelUsage,
    PhaseLine,
    Report,
    Spent,
    TaskLine,
    reason,
)

PAGE = ".autocoder/report.md"
DATA = ".autocoder/report.json"


class TokensData(TypedDict):
    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int


class SpentData(TypedDict):
    messages: int
    tokens: TokensData
    cost_usd: str


class UsageData(TypedDict):
    project: str
    messages: int
    tokens: TokensData
    cost_usd: str
    unpriced_messages: int
    by_model: dict[str, SpentData]
    by_kind: dict[str, SpentData]
    by_phase: dict[str, SpentData]
    by_feature: dict[str, SpentData]
    by_task: dict[str, SpentData]
    by_day: dict[str, SpentData]


class CountsData(TypedDict):
    total: int
    pending: int
    in_progress: int
    passing: int
    stuck: int
    skipped: int


class EstimateData(TypedDict):
    cost_usd: list[str]
    minutes: list[int]


class WaitingData(TypedDict):
    reason: str
    until: str | None
    text: str


class ProjectData(TypedDict):
    id: int
    name: str
    slug: str
    status: str
    channels: list[str]
    path: str
    phase_id: int | None
    mode: str
    tasks: CountsData
    agents: int
    cost_usd: str
    budget: str
    estimate: EstimateData | None
    waiting: WaitingData | None
    settings: dict[str, str]
    created_at: str
    completed_at: str | None
    practice: bool


class PhaseData(TypedDict):
    id: int
    position: int
    name: str
    description: str
    status: str


class FeatureData(TypedDict):
    id: int
    phase_id: int
    name: str
    slug: str
    description: str
    spec: str
    status: str
    priority: int
    branch: str
    agent: str | None
    depends_on: list[int]
    landed_commit: str | None


class CheckData(TypedDict):
    command: str
    exit_code: int
    output: str
    seconds: float


class EvidenceData(TypedDict):
    id: int
    accepted: bool
    verdict: str
    run_id: int | None
    commit: str
    at: str
    own_tests: list[str]
    checks: list[CheckData]


class TaskData(TypedDict):
    id: int
    feature_id: int
    name: str
    category: str
    description: str
    steps: list[str]
    complexity: int
    checks: list[str]
    depends_on: list[int]
    files: list[str]
    priority: int
    status: str
    attempts: int
    last_error: str | None
    recovery_notes: str | None
    reason: str
    evidence: list[EvidenceData]


class ApprovalData(TypedDict):
    id: int
    kind: str
    subject_id: int
    status: str
    opened_at: str
    decided_at: str | None
    decided_by: str | None
    reason: str | None


class ReportData(TypedDict):
    project: ProjectData
    phases: list[PhaseData]
    features: list[FeatureData]
    tasks: list[TaskData]
    approvals: list[ApprovalData]
    usage: UsageData


def render(report: Report) -> dict[str, bytes]:
    """Paths in the repository and their content: the page and the data."""
    # A lone surrogate, which a model may name and UTF-8 cannot carry, becomes its escape.
    text = json.dumps(data(report), ensure_ascii=False, indent=2) + "\n"
    return {
        PAGE: page(report).encode("utf-8", "backslashreplace"),
        DATA: text.encode("utf-8", "backslashreplace"),
    }


def data(report: Report) -> ReportData:
    return {
        "project": _project(report),
        "phases": [_phase(phase) for phase in report.phases],
        "features": [_feature(feature) for feature in report.features],
        "tasks": [_task(report, task) for task in report.tasks],
        "approvals": [_approval(approval) for approval in report.approvals],
        "usage": _usage(report),
    }


def _project(report: Report) -> ProjectData:
    counts, phase = report.counts, report.open_phase
    estimate = report.plan.estimate if report.plan else None
    return {
        "id": report.id,
        "name": report.name,
        "slug": report.slug,
        "status": report.status.value,
        "channels": [],
        "path": f"projects/{report.slug}",
        "phase_id": phase.id if phase else None,
        "mode": "standard",
        "tasks": {
            "total": counts.total,
            "pending": counts.pending,
            "in_progress": counts.in_progress,
            "passing": counts.passing,
            "stuck": counts.stuck,
            "skipped": counts.skipped,
        },
        "agents": len(report.runs),
        "cost_usd": _usd(report.usage.cost_usd),
        "budget": _usd(report.budget_usd),
        "estimate": {
            "cost_usd": [_usd(amount) for amount in estimate.cost_usd],
            "minutes": list(estimate.minutes),
        }
        if estimate
        else None,
        "waiting": _waiting(report),
        "settings": {},
        "created_at": _utc(report.created_at),
        "completed_at": _utc(report.completed_at) if report.completed_at else None,
        "practice": report.practice,
    }


def _waiting(report: Report) -> WaitingData | None:
    if report.status in (ProjectStatus.COMPLETED, ProjectStatus.ARCHIVED):
        return None
    if report.blocked_reason:
        return {"reason": "credentials", "until": None, "text": report.blocked_reason}
    if report.usage.assumed_usd >= report.budget_usd:
        text = f"The budget of ${report.budget_usd:.2f} is spent."
        return {"reason": "budget", "until": None, "text": text}
    if report.window_until:
        until = _utc(report.window_until)
        return {"reason": "rate_limit", "until": until, "text": "The account's limit is reached."}
    return None


def _phase(phase: PhaseLine) -> PhaseData:
    return {
        "id": phase.id,
        "position": phase.position,
        "name": phase.name,
        "description": phase.description,
        "status": phase.status.value,
    }


def _feature(feature: FeatureLine) -> FeatureData:
    return {
        "id": feature.id,
        "phase_id": feature.phase_id,
        "name": feature.name,
        "slug": feature.slug,
        "description": feature.description,
        "spec": feature.spec,
        "status": feature.status.value,
        "priority": feature.priority,
        "branch": feature.branch,
        "agent": feature.agent,
        "depends_on": list(feature.depends_on),
        "landed_commit": feature.landed_commit,
    }


def _task(report: Report, task: TaskLine) -> TaskData:
    return {
        "id": task.number,
        "feature_id": task.feature_id,
        "name": task.name,
        "category": task.category,
        "description": task.description,
        "steps": list(task.steps),
        "complexity": task.complexity,
        "checks": list(task.checks),
        "depends_on": list(task.depends_on),
        "files": list(task.files),
        "priority": task.priority,
        "status": task.status.value,
        "attempts": task.attempts,
        "last_error": task.last_error,
        "recovery_notes": task.recovery_notes,
        "reason": reason(report, task),
        "evidence": [_evidence(evidence) for evidence in task.evidence],
    }


def _evidence(evidence: EvidenceLine) -> EvidenceData:
    return {
        "id": evidence.id,
        "accepted": evidence.accepted,
        "verdict": evidence.verdict.value,
        "run_id": evidence.run_id,
        "commit": evidence.commit,
        "at": _utc(evidence.at),
        "own_tests": list(evidence.own_tests),
        "checks": [
            {
                "command": check.command,
                "exit_code": check.exit_code,
                "output": check.output,
                "seconds": round(check.seconds, 3),
            }
            for check in evidence.checks
        ],
    }


def _approval(approval: ApprovalLine) -> ApprovalData:
    return {
        "id": approval.id,
        "kind": approval.kind.value,
        "subject_id": approval.subject_id,
        "status": approval.status.value,
        "opened_at": _utc(approval.opened_at),
        "decided_at": _utc(approval.decided_at) if approval.decided_at else None,
        "decided_by": approval.decided_by,
        "reason": approval.reason,
    }


def _usage(report: Report) -> UsageData:
    usage = report.usage
    return {
        "project": report.name,
        "messages": usage.messages,
        "tokens": _tokens(usage.tokens),
        "cost_usd": _usd(usage.cost_usd),
        "unpriced_messages": usage.unpriced_messages,
        "by_model": {line.model: _spent(line) for line in usage.by_model},
        "by_kind": _parts(usage.by_kind),
        "by_phase": _parts(usage.by_phase),
        "by_feature": _parts(usage.by_feature),
        "by_task": _parts(usage.by_task),
        "by_day": _parts(usage.by_day),
    }


def _parts(parts: dict[str, Spent]) -> dict[str, SpentData]:
    return {key: _spent(spent) for key, spent in parts.items()}


def _spent(spent: Spent | ModelUsage) -> SpentData:
    return {
        "messages": spent.messages,
        "tokens": _tokens(spent.tokens),
        "cost_usd": _usd(spent.cost_usd),
    }


def _tokens(tokens: Tokens) -> TokensData:
    return {
        "input": tokens.input,
        "output": tokens.output,
        "cache_read": tokens.cache_read,
        "cache_write_5m": tokens.cache_write_5m,
        "cache_write_1h": tokens.cache_write_1h,
    }


def _usd(amount: Decimal) -> str:
    return f"{amount:f}"  # never an exponent


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
