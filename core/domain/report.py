"""A project as it stands: its board, and with evidence its report (CONTRACT.md §1, §3)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    FeatureStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
    WaitingFor,
)
from core.domain.money import Tokens
from core.domain.plan import Estimate, Plan
from core.domain.proof import CheckResult, Verdict
from core.domain.reasons import task_reason


@dataclass(frozen=True)
class Counts:
    total: int = 0
    pending: int = 0
    in_progress: int = 0
    passing: int = 0
    stuck: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class EvidenceLine:
    id: int
    verdict: Verdict
    accepted: bool
    run_id: int | None
    commit: str
    at: datetime
    own_tests: tuple[str, ...]
    checks: tuple[CheckResult, ...]


@dataclass(frozen=True)
class TaskLine:
    id: int
    number: int
    feature_id: int
    name: str
    category: str
    description: str
    steps: tuple[str, ...]
    complexity: int
    checks: tuple[str, ...]
    depends_on: tuple[int, ...]  # numbers
    files: tuple[str, ...]
    priority: int
    status: TaskStatus
    attempts: int
    error_repeats: int
    last_error: str | None
    recovery_notes: str | None
    evidence: tuple[EvidenceLine, ...]  # empty on a board
    cost_usd: Decimal


@dataclass(frozen=True)
class FeatureLine:
    id: int
    phase_id: int
    position: int
    name: str
    slug: str
    description: str
    spec: str
    status: FeatureStatus
    priority: int
    branch: str
    depends_on: tuple[int, ...]
    landed_commit: str | None
    counts: Counts
    cost_usd: Decimal
    agent: str | None  # coder-1, at work on it now


@dataclass(frozen=True)
class PhaseLine:
    id: int
    position: int
    name: str
    description: str
    status: PhaseStatus
    base_commit: str | None
    counts: Counts
    cost_usd: Decimal
    approved_by: str | None
    approved_at: datetime | None


@dataclass(frozen=True)
class ApprovalLine:
    id: int
    kind: ApprovalKind
    subject_id: int
    version: str
    status: ApprovalStatus
    opened_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None
    checks: tuple[CheckResult, ...]


@dataclass(frozen=True)
class RunLine:
    """A run that has not ended."""

    id: int
    agent: str  # coder-1
    status: RunStatus
    model: str
    feature_id: int | None
    task_number: int | None
    task_name: str | None
    started_at: datetime
    reason: str


@dataclass(frozen=True)
class ModelUsage:
    model: str
    messages: int
    tokens: Tokens
    cost_usd: Decimal


@dataclass(frozen=True)
class Spent:
    """A part of the usage, at list price."""

    messages: int
    tokens: Tokens
    cost_usd: Decimal


@dataclass(frozen=True)
class UsageLine:
    messages: int
    unpriced_messages: int
    tokens: Tokens
    cost_usd: Decimal
    assumed_usd: Decimal  # what the budget counts
    by_model: tuple[ModelUsage, ...]
    by_kind: dict[str, Spent]
    by_phase: dict[str, Spent]  # by the phase's id
    by_feature: dict[str, Spent]  # by the feature's id
    by_task: dict[str, Spent]  # by the task's number
    by_day: dict[str, Spent]  # by the UTC date


@dataclass(frozen=True)
class PlanLine:
    version: int
    plan: Plan
    changes: tuple[str, ...]
    estimate: Estimate


@dataclass(frozen=True)
class Report:
    """One project as it stands. A board is a report without evidence."""

    id: int
    name: str
    slug: str
    status: ProjectStatus
    practice: bool
    summary: str
    setup: tuple[str, ...]
    run_command: str | None
    checks: tuple[str, ...]
    budget_usd: Decimal
    blocked_reason: str | None
    blocked_on: WaitingFor | None
    first_commit: str | None
    created_at: datetime
    completed_at: datetime | None
    plan: PlanLine | None
    phases: tuple[PhaseLine, ...]
    features: tuple[FeatureLine, ...]
    tasks: tuple[TaskLine, ...]
    approvals: tuple[ApprovalLine, ...]
    runs: tuple[RunLine, ...]
    usage: UsageLine
    window_until: datetime | None

    @property
    def counts(self) -> Counts:
        return count(task.status for task in self.tasks)

    @property
    def open_phase(self) -> PhaseLine | None:
        return next((p for p in self.phases if p.status is not PhaseStatus.COMPLETED), None)

    def open_approval(self) -> ApprovalLine | None:
        return next((a for a in self.approvals if a.status is ApprovalStatus.OPEN), None)


def count(statuses: Iterable[TaskStatus]) -> Counts:
    tally = dict.fromkeys(TaskStatus, 0)
    for status in statuses:
        tally[status] += 1
    return Counts(
        total=sum(tally.values()),
        pending=tally[TaskStatus.PENDING],
        in_progress=tally[TaskStatus.IN_PROGRESS],
        passing=tally[TaskStatus.PASSING],
        stuck=tally[TaskStatus.STUCK],
        skipped=tally[TaskStatus.SKIPPED],
    )


def reason(report: Report, task: TaskLine) -> str:
    """Why a task is next, waits, or stands where it does; a few words without a full stop."""
    feature = next(f for f in report.features if f.id == task.feature_id)
    phase = next(p for p in report.phases if p.id == feature.phase_id)
    waits = task.status is TaskStatus.PENDING
    return task_reason(
        task.status,
        attempts=task.attempts,
        agent=feature.agent,
        feature=feature.name,
        closed_phase=phase.position if phase.status is PhaseStatus.PENDING else None,
        unlanded=[
            other.name
            for other in report.features
            if other.id in feature.depends_on and other.status is not FeatureStatus.COMPLETED
        ]
        if waits
        else (),
        unproved=[
            other.number
            for other in report.tasks
            if other.number in task.depends_on and other.status is not TaskStatus.PASSING
        ]
        if waits
        else (),
    )
