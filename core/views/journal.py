"""The journal: what happened."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.events import Event, Level
from core.store.tables import JournalEntry
from core.views.json import Hidden, Utc
from core.views.members import name_of
from core.views.paging import Page, cut
from core.views.tasks import numbers_of


@dataclass(frozen=True, kw_only=True)
class JournalLine:
    """An entry; its `task_id` is a number."""

    id: int
    at: Utc
    level: Level
    category: str
    event: Event
    text: str
    actor: str
    project_id: Hidden[int | None]
    run_id: int | None
    task_id: int | None
    feature_id: int | None
    phase_id: int | None
    data: Mapping[str, Any]
    hash: str
    previous_hash: str


def first_at(tx: Session) -> datetime | None:
    """When the first thing happened in this home."""
    return tx.scalar(select(JournalEntry.at).order_by(JournalEntry.id).limit(1))


def journal(
    tx: Session,
    project_id: int,
    *,
    event: Event | None = None,
    level: Level | None = None,
    after: int = 0,
    limit: int,
) -> Page[JournalLine]:
    query = select(JournalEntry).where(
        JournalEntry.project_id == project_id, JournalEntry.id > after
    )
    if event is not None:
        query = query.where(JournalEntry.event == event)
    if level is not None:
        query = query.where(JournalEntry.level == level)
    rows, rest = cut(tx, query.order_by(JournalEntry.id), lambda row: row.id, limit)
    numbers = numbers_of(tx, [row.task_id for row in rows])
    return Page([_line(row, numbers) for row in rows], rest)


def entry(tx: Session, entry_id: int) -> JournalLine:
    row = tx.get_one(JournalEntry, entry_id)
    return _line(row, numbers_of(tx, [row.task_id]))


def last(
    tx: Session,
    events: Collection[Event],
    *,
    project_id: int | None = None,
    task_row_id: int | None = None,
) -> JournalLine | None:
    """The newest entry of these events, about a project or a task."""
    query = select(JournalEntry).where(JournalEntry.event.in_(events))
    if project_id is not None:
        query = query.where(JournalEntry.project_id == project_id)
    if task_row_id is not None:
        query = query.where(JournalEntry.task_id == task_row_id)
    row = tx.scalars(query.order_by(JournalEntry.id.desc()).limit(1)).first()
    return _line(row, numbers_of(tx, [row.task_id])) if row else None


def newest(
    tx: Session,
    *,
    project_id: int | None = None,
    task_row_id: int | None = None,
    levels: Collection[Level] = tuple(Level),
    limit: int,
) -> Sequence[JournalLine]:
    """The newest entries about a project or a task, the oldest of them first."""
    query = select(JournalEntry).where(JournalEntry.level.in_(levels))
    if project_id is not None:
        query = query.where(JournalEntry.project_id == project_id)
    if task_row_id is not None:
        query = query.where(JournalEntry.task_id == task_row_id)
    rows = tx.scalars(query.order_by(JournalEntry.id.desc()).limit(limit)).all()
    numbers = numbers_of(tx, [row.task_id for row in rows])
    return [_line(row, numbers) for row in reversed(rows)]


@dataclass(frozen=True)
class ByWhom:
    """Who did something, as people call them, and when."""

    name: str
    at: datetime


def by_whom(
    tx: Session,
    events: Collection[Event],
    *,
    project_id: int | None = None,
    task_row_id: int | None = None,
) -> ByWhom | None:
    """Who made the newest of these."""
    found = last(tx, events, project_id=project_id, task_row_id=task_row_id)
    return ByWhom(name_of(tx, found.actor), found.at) if found else None


def next_one(
    tx: Session, events: Collection[Event], *, after: int, project_id: int | None = None
) -> JournalLine | None:
    """The first entry of these events after that one, about a project or any."""
    query = select(JournalEntry).where(JournalEntry.id > after, JournalEntry.event.in_(events))
    if project_id is not None:
        query = query.where(JournalEntry.project_id == project_id)
    row = tx.scalars(query.order_by(JournalEntry.id).limit(1)).first()
    return _line(row, numbers_of(tx, [row.task_id])) if row else None


def of_task(tx: Session, task_row_id: int, events: Collection[Event]) -> Sequence[JournalLine]:
    """Every entry of these events about a task, the oldest first."""
    rows = tx.scalars(
        select(JournalEntry)
        .where(JournalEntry.task_id == task_row_id, JournalEntry.event.in_(events))
        .order_by(JournalEntry.id)
    ).all()
    numbers = numbers_of(tx, [task_row_id])
    return [_line(row, numbers) for row in rows]


def last_of_service(tx: Session, event: Event) -> JournalLine | None:
    """The newest entry of this event that is about no project: those are found by an index."""
    query = select(JournalEntry).where(
        JournalEntry.project_id.is_(None), JournalEntry.event == event
    )
    row = tx.scalars(query.order_by(JournalEntry.id.desc()).limit(1)).first()
    return _line(row, {}) if row else None


def _line(row: JournalEntry, numbers: Mapping[int, int]) -> JournalLine:
    return JournalLine(
        id=row.id,
        at=row.at,
        level=row.level,
        category=row.category,
        event=row.event,
        text=row.text,
        actor=row.actor,
        project_id=row.project_id,
        run_id=row.run_id,
        task_id=numbers.get(row.task_id or 0),
        feature_id=row.feature_id,
        phase_id=row.phase_id,
        data=row.data,
        hash=row.hash,
        previous_hash=row.previous_hash,
    )
