"""What the REST paths read that may be long, each by one look, and encoded where it is read."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.shapes import FeatureData, GraphData, HistoryData, JournalData, TaskData, UsageData
from core.operations import listing, task_listing
from core.operations import usage as sums
from core.ports.web import Encoded
from core.store.tables import JournalEntry, Task
from core.views.paging import Page

_LARGE_TASKS, _LARGE_JOURNAL = 500, 5_000  # rows; fewer are read in no time
_LONG = 100  # items


@dataclass(frozen=True)
class Question:
    """One of READS with its arguments."""

    what: str
    arguments: Mapping[str, Any]

    @property
    def is_long(self) -> bool:
        """Whether its answer may be, in a large home: of a whole project, or many items."""
        limit = self.arguments.get("limit")
        return not isinstance(limit, int) or limit > _LONG


def answer(tx: Session, question: Question) -> Encoded:
    """Raises NotFound and InputError."""
    found = READS[question.what](tx, **question.arguments)
    if isinstance(found, Page):
        return Encoded(encoded(found.items), found.next)
    return Encoded(encoded(found))


def encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def is_large(tx: Session) -> bool:
    """Whether this home holds so much that reading it takes long."""
    tasks = tx.scalar(select(func.max(Task.id))) or 0
    return tasks > _LARGE_TASKS or (tx.scalar(select(func.max(JournalEntry.id))) or 0) > (
        _LARGE_JOURNAL
    )


def features(
    tx: Session, name: str, *, phase_id: int | None, after: int, limit: int
) -> Page[FeatureData]:
    project_id = listing.find(tx, name).id
    return listing.features(tx, project_id, phase_id=phase_id, after=after, limit=limit)


def tasks(
    tx: Session, name: str, *, feature_id: int | None, status: str | None, after: int, limit: int
) -> Page[TaskData]:
    project_id = listing.find(tx, name).id
    return task_listing.tasks(
        tx, project_id, feature_id=feature_id, status=status, after=after, limit=limit
    )


def journal(
    tx: Session, name: str, *, event: str | None, level: str | None, after: int, limit: int
) -> Page[JournalData]:
    project_id = listing.find(tx, name).id
    return listing.journal(tx, project_id, event=event, level=level, after=after, limit=limit)


def runs(tx: Session, name: str, *, after: int, limit: int) -> Page[Any]:
    return listing.runs(tx, listing.find(tx, name).id, after=after, limit=limit)


def history(tx: Session, name: str | None, *, after: int, limit: int) -> Page[HistoryData]:
    project_id = listing.find(tx, name).id if name is not None else None
    return listing.history(tx, project_id, after=after, limit=limit)


def graph(tx: Session, name: str) -> GraphData:
    return listing.graph(tx, listing.find(tx, name).id)


def usage(tx: Session, name: str | None) -> UsageData:
    return sums.usage(tx, listing.find(tx, name) if name is not None else None)


_Read = Callable[..., Page[Any] | GraphData | UsageData]
READS: Mapping[str, _Read] = {
    read.__name__: read for read in (features, tasks, journal, runs, history, graph, usage)
}
