"""What agents used: of one project or of all, summed up and message by message."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVarTuple

from sqlalchemy import Integer, Select, cast, func, select
from sqlalchemy.orm import Session

from core.domain.agents import AgentKind
from core.domain.money import Dimension, Tokens, to_usd
from core.store.tables import Project, Task, UsageEntry, UsageTotal
from core.views.json import Usd, Utc
from core.views.paging import Page, cut
from core.views.runs import tokens_of
from core.views.tasks import numbers_of

Ts = TypeVarTuple("Ts")


@dataclass(frozen=True)
class Spent:
    """A part of what was used, at list price."""

    messages: int
    tokens: Tokens
    cost_usd: Usd


@dataclass(frozen=True, kw_only=True)
class Usage:
    """All of it, divided in six ways; of all projects, tasks are keyed `SLUG/NUMBER`."""

    project: str | None  # None: all projects
    messages: int
    tokens: Tokens
    cost_usd: Usd
    unpriced_messages: int
    by_model: Mapping[str, Spent]
    by_kind: Mapping[str, Spent]
    by_phase: Mapping[str, Spent]
    by_feature: Mapping[str, Spent]
    by_task: Mapping[str, Spent]
    by_day: Mapping[str, Spent]  # by the UTC date
    period: None  # of the month's allowance: none can be set yet


@dataclass(frozen=True, kw_only=True)
class HistoryLine:
    """One API message; its `task_id` is a number."""

    message_id: str
    at: Utc
    model: str
    kind: AgentKind
    run_id: int
    task_id: int | None
    feature_id: int | None
    phase_id: int | None
    project: str
    tokens: Tokens
    cost_usd: Usd | None  # None: the model has no known price


@dataclass(frozen=True)
class Days:
    """From one day (UTC) to another, both included; None: from the first, to the last."""

    since: date | None = None
    until: date | None = None


class Span(StrEnum):
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, kw_only=True)
class SpanLine:
    """What one hour or one day (UTC) used; where nothing was, there is none."""

    at: Utc
    messages: int
    tokens: Tokens
    cost_usd: Usd


_SUMS = (
    UsageTotal.messages,
    UsageTotal.input,
    UsageTotal.output,
    UsageTotal.cache_read,
    UsageTotal.cache_write_5m,
    UsageTotal.cache_write_1h,
    UsageTotal.micro_usd,
)
_COARSE = (Dimension.PROJECT, Dimension.MODEL, Dimension.KIND, Dimension.DAY)
_FINE = (*_COARSE, Dimension.PHASE, Dimension.FEATURE)  # beside tasks, of which there are many
NOTHING = Spent(0, Tokens(), Decimal(0))
ALL_DAYS = Days()


def usage(tx: Session, project_id: int | None, *, fine: bool = True) -> Usage:
    """Of one project, or of all. Without `fine` not divided by phase, feature and task."""
    found: dict[Dimension, dict[str, Spent]] = {dimension: {} for dimension in Dimension}
    query = select(UsageTotal.dimension, UsageTotal.key, *_SUMS).where(
        UsageTotal.dimension.in_(_FINE if fine else _COARSE)
    )
    unpriced = select(func.sum(UsageTotal.unpriced_messages)).where(
        UsageTotal.dimension == Dimension.PROJECT
    )
    if project_id is not None:
        query = query.where(UsageTotal.project_id == project_id)
        unpriced = unpriced.where(UsageTotal.project_id == project_id)
    for dimension, key, *sums in tx.execute(query.order_by(UsageTotal.project_id, UsageTotal.key)):
        part = found[dimension]
        part[key] = _add(part[key], _spent(sums)) if key in part else _spent(sums)
    whole = NOTHING
    for each in found[Dimension.PROJECT].values():
        whole = _add(whole, each)
    return Usage(
        project=None if project_id is None else tx.get_one(Project, project_id).name,
        messages=whole.messages,
        tokens=whole.tokens,
        cost_usd=whole.cost_usd,
        unpriced_messages=tx.scalar(unpriced) or 0,
        by_model=found[Dimension.MODEL],
        by_kind=found[Dimension.KIND],
        by_phase=found[Dimension.PHASE],
        by_feature=found[Dimension.FEATURE],
        by_task=_by_task(tx, project_id) if fine else {},
        by_day=found[Dimension.DAY],
        period=None,
    )


def history(
    tx: Session,
    project_id: int | None,
    days: Days = ALL_DAYS,
    *,
    after: int = 0,
    limit: int,
) -> Page[HistoryLine]:
    """API messages of one project or of all."""
    query = _of(select(UsageEntry), project_id, days).where(UsageEntry.id > after)
    rows, rest = cut(tx, query.order_by(UsageEntry.id), lambda row: row.id, limit)
    numbers = numbers_of(tx, [row.task_id for row in rows])
    names = dict(tx.execute(select(Project.id, Project.name)).all())
    return Page(
        [
            HistoryLine(
                message_id=row.message_id,
                at=row.at,
                model=row.model,
                kind=row.kind,
                run_id=row.run_id,
                task_id=numbers.get(row.task_id or 0),
                feature_id=row.feature_id,
                phase_id=row.phase_id,
                project=names[row.project_id],
                tokens=tokens_of(row),
                cost_usd=None if row.micro_usd is None else to_usd(row.micro_usd),
            )
            for row in rows
        ],
        rest,
    )


def history_by(
    tx: Session,
    project_id: int | None,
    by: Span,
    days: Days = ALL_DAYS,
    *,
    after: int = 0,
    limit: int,
) -> Page[SpanLine]:
    """The same summed up by hour or day."""
    seconds = 3600 if by is Span.HOUR else 86_400
    number = (cast(func.strftime("%s", UsageEntry.at), Integer) // seconds).label("number")
    sums = (
        func.count(),
        func.sum(UsageEntry.input),
        func.sum(UsageEntry.output),
        func.sum(UsageEntry.cache_read),
        func.sum(UsageEntry.cache_write_5m),
        func.sum(UsageEntry.cache_write_1h),
        func.coalesce(func.sum(UsageEntry.micro_usd), 0),
    )
    query = _of(select(number, *sums), project_id, days).where(number > after)
    rows = tx.execute(query.group_by(number).order_by(number).limit(limit + 1)).all()
    items = []
    for at, *found in rows[:limit]:
        spent = _spent(found)
        moment = datetime.fromtimestamp(at * seconds, UTC)
        items.append(
            SpanLine(
                at=moment, messages=spent.messages, tokens=spent.tokens, cost_usd=spent.cost_usd
            )
        )
    return Page(items, rows[limit - 1][0] if len(rows) > limit else None)


def _of(query: Select[*Ts], project_id: int | None, days: Days) -> Select[*Ts]:
    if project_id is not None:
        query = query.where(UsageEntry.project_id == project_id)
    if days.since is not None:
        query = query.where(UsageEntry.at >= _midnight(days.since))
    if days.until is not None:
        query = query.where(UsageEntry.at < _midnight(days.until) + timedelta(days=1))
    return query


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _by_task(tx: Session, project_id: int | None) -> dict[str, Spent]:
    """Of each task, by how it is called; there is one row for each."""
    query = (
        select(UsageTotal.project_id, Task.number, *_SUMS)
        .join(Task, Task.id == cast(UsageTotal.key, Integer))
        .where(UsageTotal.dimension == Dimension.TASK)
        .order_by(UsageTotal.project_id, UsageTotal.key)
    )
    if project_id is not None:
        query = query.where(UsageTotal.project_id == project_id)
        return {str(number): _spent(sums) for _, number, *sums in tx.execute(query)}
    slugs = dict(tx.execute(select(Project.id, Project.slug)).all())
    return {f"{slugs[of]}/{number}": _spent(sums) for of, number, *sums in tx.execute(query)}


def _spent(sums: list[Any]) -> Spent:
    messages, *tokens, micro_usd = sums
    return Spent(messages, Tokens(*tokens), to_usd(micro_usd))


def _add(one: Spent, other: Spent) -> Spent:
    return Spent(
        one.messages + other.messages, one.tokens + other.tokens, one.cost_usd + other.cost_usd
    )
