"""Runs: the agents' pieces of work, and what each cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import String, cast, select
from sqlalchemy.orm import Session

from core.domain.agents import AgentKind, RunOutcome
from core.domain.lifecycle import RunStatus, TaskStatus
from core.domain.money import Dimension, Tokens, to_usd
from core.domain.orders import ACTIVE, NOT_ENDED
from core.store.tables import Project, Run, RunTask, Task, UsageEntry, UsageTotal
from core.views.json import Hidden, Usd, Utc
from core.views.paging import Page, cut


@dataclass(frozen=True, kw_only=True)
class RunView:
    """One agent's piece of work; `task_ids` are numbers."""

    id: int
    project_id: Hidden[int]
    kind: AgentKind
    agent: Hidden[str]  # coder-1
    status: RunStatus
    outcome: RunOutcome | None
    task_ids: Sequence[int]
    feature_id: int | None
    phase_id: int | None
    model: str
    session_id: str
    host: str
    pid: int | None
    attempt: int
    started_at: Utc
    ended_at: Utc | None
    messages: int
    tokens: Tokens
    cost_usd: Usd
    reason: Hidden[str]
    words: Hidden[str]  # the agent's last, or the failure's


def runs(tx: Session, project_id: int, *, after: int = 0, limit: int) -> Page[RunView]:
    query = select(Run).where(Run.project_id == project_id, Run.id > after).order_by(Run.id)
    rows, rest = cut(tx, query, lambda row: row.id, limit)
    return Page(_views(tx, project_id, rows), rest)


def run(tx: Session, run_id: int) -> RunView:
    row = tx.get_one(Run, run_id)
    return _views(tx, row.project_id, [row])[0]


@dataclass(frozen=True, kw_only=True)
class AtWork:
    """An agent that works or waits, and what it holds."""

    run_id: int
    project: str
    agent: str
    model: str
    status: RunStatus
    task: int | None  # its number
    task_name: str
    started_at: datetime
    cost_usd: Decimal | None


def at_work(tx: Session, project_id: int | None = None) -> Sequence[AtWork]:
    """Who works on what, in a project or in all of them."""
    query = (
        select(Run, Project.name, Task.number, Task.name, UsageTotal.micro_usd)
        .join(Project, Project.id == Run.project_id)
        .outerjoin(Task, (Task.run_id == Run.id) & (Task.status == TaskStatus.IN_PROGRESS))
        .outerjoin(
            UsageTotal,
            (UsageTotal.project_id == Run.project_id)
            & (UsageTotal.dimension == Dimension.RUN)
            & (UsageTotal.key == cast(Run.id, String)),
        )
        .where(Run.status.in_(NOT_ENDED))
        .order_by(Run.id)
    )
    if project_id is not None:
        query = query.where(Run.project_id == project_id)
    return [
        AtWork(
            run_id=run.id,
            project=project,
            agent=agent_name(run),
            model=run.model,
            status=run.status,
            task=number,
            task_name=name or "",
            started_at=run.started_at,
            cost_usd=to_usd(micro) if micro else None,
        )
        for run, project, number, name, micro in tx.execute(query)
    ]


def of_task(tx: Session, task_row_id: int) -> Sequence[RunView]:
    """Every run that had a task, the oldest first."""
    had = select(Run).join(RunTask, RunTask.run_id == Run.id).where(RunTask.task_id == task_row_id)
    rows = tx.scalars(had.order_by(Run.id)).all()
    return _views(tx, rows[0].project_id, rows) if rows else []


def agent_name(row: Run) -> str:
    """`coder-1`."""
    return f"{row.kind.value}-{row.slot}"


def agents_at(tx: Session, feature_ids: Sequence[int]) -> dict[int, str]:
    """Who works on which feature."""
    rows = tx.scalars(select(Run).where(Run.feature_id.in_(feature_ids), Run.status.in_(ACTIVE)))
    return {row.feature_id: agent_name(row) for row in rows if row.feature_id}


def tokens_of(row: UsageTotal | UsageEntry) -> Tokens:
    return Tokens(row.input, row.output, row.cache_read, row.cache_write_5m, row.cache_write_1h)


def _views(tx: Session, project_id: int, rows: Sequence[Run]) -> list[RunView]:
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
    return [_view(row, held.get(row.id, []), spent.get(str(row.id))) for row in rows]


def _view(row: Run, numbers: Sequence[int], spent: UsageTotal | None) -> RunView:
    return RunView(
        id=row.id,
        project_id=row.project_id,
        kind=row.kind,
        agent=agent_name(row),
        status=row.status,
        outcome=row.outcome,
        task_ids=numbers,
        feature_id=row.feature_id,
        phase_id=row.phase_id,
        model=row.model,
        session_id=row.session_id,
        host=row.host,
        pid=row.pid,
        attempt=row.attempt,
        started_at=row.started_at,
        ended_at=row.ended_at,
        messages=spent.messages if spent else 0,
        tokens=tokens_of(spent) if spent else Tokens(),
        cost_usd=to_usd(spent.micro_usd if spent else 0),
        reason=row.reason,
        words=row.words,
    )
