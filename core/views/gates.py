"""A phase at its gate: what was built, what proves it and how well, what it took."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.lifecycle import ApprovalKind, ApprovalStatus, TaskStatus
from core.domain.money import Dimension
from core.domain.proof import Verdict
from core.store.tables import Evidence, Feature, Phase, Task
from core.views import approvals, budgets, phases, projects
from core.views.approvals import ApprovalView
from core.views.phases import PhaseView
from core.views.projects import ProjectSummary


@dataclass(frozen=True, kw_only=True)
class TaskAtGate:
    number: int
    name: str
    feature_id: int
    status: TaskStatus
    attempts: int
    complexity: int
    verdicts: Collection[Verdict]  # of the proofs that were accepted
    own_tests: bool  # its tests were written by the run they prove


@dataclass(frozen=True, kw_only=True)
class FeatureAtGate:
    id: int
    name: str
    landed_commit: str | None
    cost_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class GateView:
    approval: ApprovalView
    project: ProjectSummary
    phase: PhaseView
    features: Sequence[FeatureAtGate]
    tasks: Sequence[TaskAtGate]
    last: bool  # no phase follows
    rejected: bool  # once at least
    cost_usd: Decimal


def gate(tx: Session, approval_id: int) -> GateView | None:
    """The gate of an approval; None if there is no such one."""
    approval = approvals.by_id(tx, approval_id)
    if approval is None or approval.kind is not ApprovalKind.GATE:
        return None
    phase = phases.phase(tx, approval.project_id, approval.subject_id)
    later = select(Phase.id).where(
        Phase.project_id == phase.project_id, Phase.position > phase.position
    )
    return GateView(
        approval=approval,
        project=projects.summary(tx, phase.project_id),
        phase=phase,
        features=_features(tx, phase),
        tasks=_tasks(tx, phase.id),
        last=tx.scalars(later.limit(1)).first() is None,
        rejected=any(
            each.status is ApprovalStatus.REJECTED
            for each in approvals.of_subject(tx, ApprovalKind.GATE, phase.id)
        ),
        cost_usd=budgets.cost_of(tx, phase.project_id, Dimension.PHASE, phase.id),
    )


def _features(tx: Session, phase: PhaseView) -> Sequence[FeatureAtGate]:
    costs = budgets.costs_by(tx, phase.project_id, Dimension.FEATURE)
    rows = tx.execute(
        select(Feature.id, Feature.name, Feature.landed_commit)
        .where(Feature.phase_id == phase.id)
        .order_by(Feature.position)
    )
    return [
        FeatureAtGate(
            id=feature_id,
            name=name,
            landed_commit=commit,
            cost_usd=costs.get(str(feature_id), Decimal(0)),
        )
        for feature_id, name, commit in rows
    ]


def _tasks(tx: Session, phase_id: int) -> Sequence[TaskAtGate]:
    """A phase may have thousands: their texts, and what their checks said, stay where they are."""
    verdicts: dict[int, set[Verdict]] = {}
    tested: set[int] = set()
    for task_id, verdict, own_tests in tx.execute(
        select(Evidence.task_id, Evidence.verdict, Evidence.own_tests)
        .join(Task, Task.id == Evidence.task_id)
        .where(Task.phase_id == phase_id, Evidence.accepted)
    ):
        verdicts.setdefault(task_id, set()).add(verdict)
        if own_tests:
            tested.add(task_id)
    rows = tx.execute(
        select(
            Task.id, Task.number, Task.name, Task.feature_id, Task.status, Task.attempts,
            Task.complexity,
        )
        .where(Task.phase_id == phase_id)
        .order_by(Task.number)
    )  # fmt: skip
    return [
        TaskAtGate(
            number=number,
            name=name,
            feature_id=feature_id,
            status=status,
            attempts=attempts,
            complexity=complexity,
            verdicts=verdicts.get(task_id, ()),
            own_tests=task_id in tested,
        )
        for task_id, number, name, feature_id, status, attempts, complexity in rows
    ]
