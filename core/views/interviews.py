"""Interviews: what somebody wants, how far it is asked about, and by whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.domain.lifecycle import INTERVIEW_OVER, InterviewKind, InterviewStatus
from core.store.chat_tables import Interview


@dataclass(frozen=True, kw_only=True)
class InterviewView:
    id: int
    project_id: int
    number: int  # 0: the project's own; additions from 1
    kind: InterviewKind
    status: InterviewStatus
    request: str
    by: str
    asked: int  # questions so far
    blocked_reason: str | None
    begun_at: datetime


def by_id(tx: Session, interview_id: int) -> InterviewView | None:
    return _one(tx, select(Interview).where(Interview.id == interview_id))


def by_number(tx: Session, project_id: int, number: int) -> InterviewView | None:
    return _one(
        tx, select(Interview).where(Interview.project_id == project_id, Interview.number == number)
    )


def under_way(tx: Session, project_id: int) -> Sequence[InterviewView]:
    """Additions that are not in the plan yet, the oldest first."""
    rows = tx.scalars(
        select(Interview)
        .where(
            Interview.project_id == project_id,
            Interview.kind != InterviewKind.PROJECT,
            Interview.status.not_in(INTERVIEW_OVER),
        )
        .order_by(Interview.id)
    )
    return [_view(row) for row in rows]


def parked(tx: Session, project_id: int) -> Sequence[InterviewView]:
    """Those that are blocked: a person lets them go on, or gives them up."""
    found = under_way(tx, project_id)
    return [each for each in found if each.status is InterviewStatus.BLOCKED]


def _one(tx: Session, query: Select[Interview]) -> InterviewView | None:
    row = tx.scalars(query).first()
    return _view(row) if row else None


def _view(row: Interview) -> InterviewView:
    return InterviewView(
        id=row.id,
        project_id=row.project_id,
        number=row.number,
        kind=row.kind,
        status=row.status,
        request=row.request,
        by=row.by,
        asked=row.asked,
        blocked_reason=row.blocked_reason,
        begun_at=row.begun_at,
    )
