"""Phases of an approved plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.lifecycle import PhaseStatus
from core.errors import NotFound
from core.store.tables import Phase
from core.views.json import Hidden
from core.views.paging import Page, cut


@dataclass(frozen=True, kw_only=True)
class PhaseView:
    id: int
    project_id: Hidden[int]
    position: int
    name: str
    description: str
    status: PhaseStatus
    rework: Hidden[bool]  # rejected, and not made into tasks yet
    base_commit: Hidden[str | None]  # `main` when it began
    started_at: Hidden[datetime | None]
    completed_at: Hidden[datetime | None]


def phases(tx: Session, project_id: int, *, after: int = 0, limit: int) -> Page[PhaseView]:
    """By position."""
    query = (
        select(Phase)
        .where(Phase.project_id == project_id, Phase.position > after)
        .order_by(Phase.position)
    )
    rows, rest = cut(tx, query, lambda row: row.position, limit)
    return Page([_view(row) for row in rows], rest)


def every(tx: Session, project_id: int) -> Sequence[PhaseView]:
    """All of them."""
    rows = tx.scalars(select(Phase).where(Phase.project_id == project_id).order_by(Phase.position))
    return [_view(row) for row in rows]


def phase(tx: Session, project_id: int, phase_id: int) -> PhaseView:
    """A phase of this project, or NotFound."""
    found = by_id(tx, phase_id)
    if found is None or found.project_id != project_id:
        raise NotFound(f"There is no phase {phase_id} in this project.")
    return found


def open_for_more(tx: Session, project_id: int) -> PhaseView | None:
    """The phase an addition goes to: the one at work, else the next.

    Never one that waits at its gate: a gate binds to what was shown.
    """
    there = {each.status: each for each in reversed(every(tx, project_id))}
    return there.get(PhaseStatus.IN_PROGRESS) or there.get(PhaseStatus.PENDING)


def by_id(tx: Session, phase_id: int) -> PhaseView | None:
    row = tx.get(Phase, phase_id)
    return _view(row) if row else None


def _view(row: Phase) -> PhaseView:
    return PhaseView(
        id=row.id,
        project_id=row.project_id,
        position=row.position,
        name=row.name,
        description=row.description,
        status=row.status,
        rework=row.rework_reason is not None,
        base_commit=row.base_commit,
        started_at=row.started_at,
        completed_at=row.completed_at,
    )
