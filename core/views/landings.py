"""A feature that landed on `main`, and what proves it."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.events import Event
from core.domain.lifecycle import TaskStatus
from core.domain.money import Dimension
from core.domain.proof import Verdict
from core.store.tables import Evidence, Feature, JournalEntry, Task
from core.views import budgets, projects
from core.views.projects import ProjectSummary
from core.views.tasks import Counts, counts_of, vouched


@dataclass(frozen=True, kw_only=True)
class Landing:
    project: ProjectSummary
    feature: str
    commit: str
    counts: Counts
    checks: int  # that were green on `main`
    mended: int  # proofs that failed, of tasks that checks prove now
    cost_usd: Decimal


def landing(tx: Session, feature_id: int) -> Landing:
    feature = tx.get_one(Feature, feature_id)
    landed = tx.scalars(
        select(JournalEntry)
        .where(
            JournalEntry.project_id == feature.project_id,
            JournalEntry.feature_id == feature.id,
            JournalEntry.event == Event.FEATURE_LANDED,
        )
        .order_by(JournalEntry.id.desc())
        .limit(1)
    ).first()
    mended = (
        select(func.count(Evidence.id))
        .join(Task, Task.id == Evidence.task_id)
        .where(
            Task.feature_id == feature.id,
            Task.status == TaskStatus.PASSING,
            ~vouched(),
            Evidence.verdict == Verdict.RED,
        )
    )
    return Landing(
        project=projects.summary(tx, feature.project_id),
        feature=feature.name,
        commit=feature.landed_commit or "",
        counts=counts_of(tx, Task.feature_id, (feature.id,))[feature.id],
        checks=landed.data.get("checks", 0) if landed else 0,
        mended=tx.scalar(mended) or 0,
        cost_usd=budgets.cost_of(tx, feature.project_id, Dimension.FEATURE, feature.id),
    )
