"""Collections as REST shows them: a part at a time, so that a large project costs no more.

Each function reads at most `limit` rows after a position, oldest first, and says where the rest
begins. The shapes are those of core/domain/shapes.py.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain import shapes
from core.domain.events import Event, Level
from core.domain.lifecycle import TaskStatus
from core.domain.money import Dimension, Tokens, to_usd
from core.domain.orders import ACTIVE
from core.domain.shapes import (
    ApprovalData,
    FeatureData,
    GraphData,
    GraphEdgeData,
    GraphNodeData,
    HistoryData,
    JournalData,
    PhaseData,
    RunData,
)
from core.errors import InputError, NotFound
from core.store.tables import (
    Approval,
    Feature,
    FeatureDependency,
    JournalEntry,
    Phase,
    Project,
    Run,
    RunTask,
    Table,
    Task,
    TaskDependency,
    UsageEntry,
    UsageTotal,
)
from core.views.paging import Page, cut

R = TypeVar("R", bound=Table)


def find(tx: Session, name: str) -> Project:
    """The project of this name, whatever its case, or of this slug."""
    wanted = name.casefold()
    row = tx.scalars(select(Project).where(func.lower(Project.name) == wanted)).first()
    row = row or tx.scalars(select(Project).where(Project.slug == wanted)).first()
    if row is None:
        raise NotFound(f"There is no project {name[:80]!r}.", hint="`/autocoder list` shows all.")
    return row


def phases(tx: Session, project_id: int, *, after: int, limit: int) -> Page[PhaseData]:
    query = (
        select(Phase)
        .where(Phase.project_id == project_id, Phase.position > after)
        .order_by(Phase.position)
    )
    rows, rest = cut(tx, query, lambda row: row.position, limit)
    return Page([_phase(row) for row in rows], rest)


def phase(tx: Session, project_id: int, phase_id: int) -> PhaseData:
    row = tx.get(Phase, phase_id)
    if row is None or row.project_id != project_id:
        raise NotFound(f"There is no phase {phase_id} in this project.")
    return _phase(row)


def _phase(row: Phase) -> PhaseData:
    return {
        "id": row.id,
        "position": row.position,
        "name": row.name,
        "description": row.description,
        "status": row.status.value,
    }


def features(
    tx: Session, project_id: int, *, phase_id: int | None, after: int, limit: int
) -> Page[FeatureData]:
    query = select(Feature).where(Feature.project_id == project_id, Feature.id > after)
    if phase_id is not None:
        query = query.where(Feature.phase_id == phase_id)
    rows, rest = cut(tx, query.order_by(Feature.id), lambda row: row.id, limit)
    return Page(_features(tx, rows), rest)


def feature(tx: Session, project_id: int, feature_id: int) -> FeatureData:
    row = tx.get(Feature, feature_id)
    if row is None or row.project_id != project_id:
        raise NotFound(f"There is no feature {feature_id} in this project.")
    return _features(tx, [row])[0]


def agents_at(tx: Session, feature_ids: Sequence[int]) -> dict[int, str]:
    """Who works on which feature: coder-1."""
    rows = tx.scalars(select(Run).where(Run.feature_id.in_(feature_ids), Run.status.in_(ACTIVE)))
    return {row.feature_id: f"{row.kind.value}-{row.seat}" for row in rows if row.feature_id}


def _features(tx: Session, rows: Sequence[Feature]) -> list[FeatureData]:
    ids = [row.id for row in rows]
    waits: dict[int, list[int]] = {}
    for edge in tx.scalars(select(FeatureDependency).where(FeatureDependency.feature_id.in_(ids))):
        waits.setdefault(edge.feature_id, []).append(edge.depends_on_id)
    agents = agents_at(tx, ids)
    return [
        {
            "id": row.id,
            "phase_id": row.phase_id,
            "name": row.name,
            "slug": row.slug,
            "description": row.description,
            "spec": row.spec,
            "status": row.status.value,
            "priority": row.priority,
            "branch": row.branch,
            "agent": agents.get(row.id),
            "depends_on": sorted(waits.get(row.id, ())),
            "landed_commit": row.landed_commit,
        }
        for row in rows
    ]


def journal(
    tx: Session,
    project_id: int,
    *,
    event: str | None,
    level: str | None,
    after: int,
    limit: int,
) -> Page[JournalData]:
    query = select(JournalEntry).where(
        JournalEntry.project_id == project_id, JournalEntry.id > after
    )
    if event is not None:
        query = query.where(JournalEntry.event == word(Event, event, "event"))
    if level is not None:
        query = query.where(JournalEntry.level == word(Level, level, "level"))
    rows, rest = cut(tx, query.order_by(JournalEntry.id), lambda row: row.id, limit)
    numbers = numbers_of(tx, [row.task_id for row in rows])
    return Page([_entry(row, numbers) for row in rows], rest)


W = TypeVar("W", Event, Level, TaskStatus)


def word(kind: type[W], given: str, what: str) -> W:
    """A value of a fixed set, or InputError with the set."""
    try:
        return kind(given)
    except ValueError:
        known = ", ".join(kind)
        raise InputError(f"{given!r} is no {what}.", hint=f"There are {known}.") from None


def _entry(row: JournalEntry, numbers: dict[int, int]) -> JournalData:
    return {
        "id": row.id,
        "at": shapes.utc(row.at),
        "level": row.level.value,
        "category": row.category,
        "event": row.event.value,
        "text": row.text,
        "actor": row.actor,
        "run_id": row.run_id,
        "task_id": numbers.get(row.task_id or 0),
        "feature_id": row.feature_id,
        "phase_id": row.phase_id,
        "data": row.data,
        "hash": row.hash,
        "previous_hash": row.previous_hash,
    }


def numbers_of(tx: Session, task_ids: Sequence[int | None]) -> dict[int, int]:
    """The number, which people use, of each of these tasks."""
    ids = {task_id for task_id in task_ids if task_id is not None}
    return dict(tx.execute(select(Task.id, Task.number).where(Task.id.in_(ids))).all())


def runs(tx: Session, project_id: int, *, after: int, limit: int) -> Page[RunData]:
    query = select(Run).where(Run.project_id == project_id, Run.id > after).order_by(Run.id)
    rows, rest = cut(tx, query, lambda row: row.id, limit)
    ids = [row.id for row in rows]
    held: dict[int, list[int]] = {}
    for run_id, number in tx.execute(
        select(RunTask.run_id, Task.number)
        .join(Task, Task.id == RunTask.task_id)
        .where(RunTask.run_id.in_(ids))
        .order_by(Task.number)
    ):
        held.setdefault(run_id, []).append(number)
    spent = {
        row.key: row
        for row in tx.scalars(
            select(UsageTotal).where(
                UsageTotal.project_id == project_id,
                UsageTotal.dimension == Dimension.RUN,
                UsageTotal.key.in_([str(run_id) for run_id in ids]),
            )
        )
    }
    return Page([_run(row, held.get(row.id, []), spent.get(str(row.id))) for row in rows], rest)


def _run(row: Run, numbers: list[int], spent: UsageTotal | None) -> RunData:
    return {
        "id": row.id,
        "kind": row.kind.value,
        "status": row.status.value,
        "outcome": row.outcome.value if row.outcome else None,
        "task_ids": numbers,
        "feature_id": row.feature_id,
        "phase_id": row.phase_id,
        "model": row.model,
        "session_id": row.session_id,
        "host": row.host,
        "pid": row.pid,
        "attempt": row.attempt,
        "started_at": shapes.utc(row.started_at),
        "ended_at": shapes.maybe_utc(row.ended_at),
        "messages": spent.messages if spent else 0,
        "tokens": shapes.tokens(tokens_of(spent) if spent else Tokens()),
        "cost_usd": shapes.usd(to_usd(spent.micro_usd if spent else 0)),
    }


def tokens_of(row: UsageTotal | UsageEntry) -> Tokens:
    return Tokens(row.input, row.output, row.cache_read, row.cache_write_5m, row.cache_write_1h)


def approvals(tx: Session, project_id: int, *, after: int, limit: int) -> Page[ApprovalData]:
    query = (
        select(Approval)
        .where(Approval.project_id == project_id, Approval.id > after)
        .order_by(Approval.id)
    )
    rows, rest = cut(tx, query, lambda row: row.id, limit)
    items: list[ApprovalData] = [
        {
            "id": row.id,
            "kind": row.kind.value,
            "subject_id": row.subject_id,
            "status": row.status.value,
            "opened_at": shapes.utc(row.opened_at),
            "decided_at": shapes.maybe_utc(row.decided_at),
            "decided_by": row.decided_by,
            "reason": row.reason,
        }
        for row in rows
    ]
    return Page(items, rest)


def graph(tx: Session, project_id: int) -> GraphData:
    """Features and tasks, and what waits for what."""
    numbers: dict[int, int] = {}
    nodes: list[GraphNodeData] = []
    edges: list[GraphEdgeData] = []

    def node(kind: str, number: int, row: Any, feature_id: int) -> None:
        nodes.append(
            {
                "id": f"{kind}:{number}",
                "kind": kind,
                "name": row.name,
                "status": row.status.value,
                "phase_id": row.phase_id,
                "feature_id": feature_id,
            }
        )

    for row in tx.execute(
        select(Feature.id, Feature.name, Feature.status, Feature.phase_id)
        .where(Feature.project_id == project_id)
        .order_by(Feature.position)
    ):
        node("feature", row.id, row, row.id)
    for each in tx.execute(
        select(Task.id, Task.number, Task.name, Task.status, Task.phase_id, Task.feature_id)
        .where(Task.project_id == project_id)
        .order_by(Task.number)
    ):
        numbers[each.id] = each.number
        node("task", each.number, each, each.feature_id)
    for waits, first in tx.execute(
        select(FeatureDependency.feature_id, FeatureDependency.depends_on_id)
        .join(Feature, Feature.id == FeatureDependency.feature_id)
        .where(Feature.project_id == project_id)
        .order_by(FeatureDependency.feature_id, FeatureDependency.depends_on_id)
    ):
        edges.append({"from": f"feature:{first}", "to": f"feature:{waits}"})
    for waits, first in tx.execute(
        select(TaskDependency.task_id, TaskDependency.depends_on_id)
        .join(Task, Task.id == TaskDependency.task_id)
        .where(Task.project_id == project_id)
        .order_by(TaskDependency.task_id, TaskDependency.depends_on_id)
    ):
        edges.append({"from": f"task:{numbers[first]}", "to": f"task:{numbers[waits]}"})
    return {"nodes": nodes, "edges": edges}


def history(tx: Session, project_id: int | None, *, after: int, limit: int) -> Page[HistoryData]:
    """API messages, one row each."""
    query = select(UsageEntry).where(UsageEntry.id > after)
    if project_id is not None:
        query = query.where(UsageEntry.project_id == project_id)
    rows, rest = cut(tx, query.order_by(UsageEntry.id), lambda row: row.id, limit)
    numbers = numbers_of(tx, [row.task_id for row in rows])
    names = dict(tx.execute(select(Project.id, Project.name)).all())
    items: list[HistoryData] = [
        {
            "message_id": row.message_id,
            "at": shapes.utc(row.at),
            "model": row.model,
            "kind": row.kind.value,
            "run_id": row.run_id,
            "task_id": numbers.get(row.task_id or 0),
            "feature_id": row.feature_id,
            "phase_id": row.phase_id,
            "project": names[row.project_id],
            "tokens": shapes.tokens(tokens_of(row)),
            "cost_usd": None if row.micro_usd is None else shapes.usd(to_usd(row.micro_usd)),
        }
        for row in rows
    ]
    return Page(items, rest)
