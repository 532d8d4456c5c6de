"""Plans as they were submitted, with what each asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.plan import Estimate, estimate
from core.store.tables import Plan


@dataclass(frozen=True, kw_only=True)
class PlanView:
    """A version of a plan; `payload` is what `plan_submit` took, completed."""

    id: int
    project_id: int
    version: int
    interview_id: int | None  # an addition's
    payload: Mapping[str, Any]
    changes: Sequence[str]
    submitted_at: datetime

    @property
    def complexities(self) -> list[int]:
        """Of every task."""
        return [
            task["complexity"]
            for phase in self.payload["phases"]
            for feature in phase["features"]
            for task in feature["tasks"]
        ]


def plan(tx: Session, plan_id: int) -> PlanView | None:
    row = tx.get(Plan, plan_id)
    return _view(row) if row else None


def latest(tx: Session, project_id: int, interview_id: int | None = None) -> PlanView | None:
    """The newest plan of the project itself, or of one addition to it."""
    row = tx.scalars(
        select(Plan)
        .where(Plan.project_id == project_id, Plan.interview_id.is_not_distinct_from(interview_id))
        .order_by(Plan.version.desc())
        .limit(1)
    ).first()
    return _view(row) if row else None


def estimate_of(tx: Session, project_id: int, *, parallel: int) -> Estimate | None:
    """What the project's newest plan was thought to take."""
    found = latest(tx, project_id)
    return estimate(found.complexities, parallel=parallel) if found else None


def _view(row: Plan) -> PlanView:
    return PlanView(
        id=row.id,
        project_id=row.project_id,
        version=row.version,
        interview_id=row.interview_id,
        payload=row.payload,
        changes=tuple(row.changes),
        submitted_at=row.submitted_at,
    )
