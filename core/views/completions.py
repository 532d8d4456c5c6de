"""A project that was completed: what came of it, and what it took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.lifecycle import ApprovalKind, ApprovalStatus, FeatureStatus, TaskStatus
from core.domain.money import Dimension
from core.store.tables import Approval, Feature, Phase, Task
from core.views import approvals, budgets, projects, tasks, usage
from core.views.approvals import ApprovalView
from core.views.projects import ProjectSummary
from core.views.tasks import Counts


@dataclass(frozen=True)
class Landed:
    name: str
    commit: str


@dataclass(frozen=True, kw_only=True)
class Completion:
    project: ProjectSummary
    counts: Counts
    complexities: Sequence[int]
    vouched: int  # tasks that pass by a person's word
    landed: Sequence[Landed]
    skipped: Sequence[tuple[int, str]]  # number, name
    gates: int  # approved
    phases: int
    last_gate: ApprovalView | None
    cost_usd: Decimal
    messages: int
    by_model: Mapping[str, Decimal]  # the dearest first


def completion(tx: Session, project_id: int) -> Completion:
    skipped = tx.execute(
        select(Task.number, Task.name)
        .where(Task.project_id == project_id, Task.status == TaskStatus.SKIPPED)
        .order_by(Task.number)
    )
    landed = tx.execute(
        select(Feature.name, Feature.landed_commit)
        .where(Feature.project_id == project_id, Feature.status == FeatureStatus.COMPLETED)
        .order_by(Feature.position)
    )
    spent = usage.usage(tx, project_id, fine=False)
    return Completion(
        project=projects.summary(tx, project_id),
        counts=tasks.counts(tx, project_id),
        complexities=tasks.complexities(tx, project_id),
        vouched=tx.scalar(
            select(func.count(Task.id)).where(
                Task.project_id == project_id,
                Task.status == TaskStatus.PASSING,
                tasks.vouched(),
            )
        )
        or 0,
        landed=[Landed(name, commit) for name, commit in landed if commit],
        skipped=[(number, name) for number, name in skipped],
        gates=tx.scalar(
            select(func.count()).where(
                Approval.project_id == project_id,
                Approval.kind == ApprovalKind.GATE,
                Approval.status == ApprovalStatus.APPROVED,
            )
        )
        or 0,
        phases=tx.scalar(select(func.count()).where(Phase.project_id == project_id)) or 0,
        last_gate=approvals.last(tx, project_id, kind=ApprovalKind.GATE),
        cost_usd=spent.cost_usd,
        messages=spent.messages,
        by_model=budgets.costs_by(tx, project_id, Dimension.MODEL),
    )


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a project cost, divided in three ways."""

    name: str
    whole: Decimal
    by_feature: Sequence[tuple[str, Decimal]]  # in their order
    by_model: Mapping[str, Decimal]  # the dearest first
    by_day: Mapping[str, Decimal]  # by the UTC date, the earliest first


def costs(tx: Session, project_id: int) -> Costs | None:
    """None when there is no such project."""
    project = projects.by_id(tx, project_id)
    if project is None:
        return None
    by_feature = budgets.costs_by(tx, project_id, Dimension.FEATURE)
    features = tx.execute(
        select(Feature.id, Feature.name)
        .where(Feature.project_id == project_id)
        .order_by(Feature.position)
    )
    return Costs(
        name=project.name,
        whole=budgets.cost_of_project(tx, project_id),
        by_feature=[(name, by_feature.get(str(each), Decimal(0))) for each, name in features],
        by_model=budgets.costs_by(tx, project_id, Dimension.MODEL),
        by_day=dict(sorted(budgets.costs_by(tx, project_id, Dimension.DAY).items())),
    )
