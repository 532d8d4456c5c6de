"""What was spent at list price, in all or since a day, and on what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any, assert_never

from sqlalchemy import ColumnElement, Integer, String, Subquery, cast, func, select
from sqlalchemy.orm import Session

from core.domain.money import Dimension, to_usd
from core.store.tables import Feature, Project, Run, Task, UsageEntry, UsageTotal


class By(StrEnum):
    """What it is broken down by."""

    PROJECT = "project"
    DAY = "day"
    MODEL = "model"
    FEATURE = "feature"
    TASK = "task"
    AGENT = "agent"


@dataclass(frozen=True)
class Share:
    """`name` is empty for what belongs to no feature or task."""

    name: str
    messages: int
    tokens: int
    cost_usd: Decimal


@dataclass(frozen=True)
class Costs:
    messages: int
    unpriced_messages: int
    tokens: int
    cost_usd: Decimal
    shares: Sequence[Share]  # the dearest first, days in their order
    more: int  # shares beyond these


_TOTALS = (
    func.sum(UsageTotal.messages).label("messages"),
    func.sum(
        UsageTotal.input
        + UsageTotal.output
        + UsageTotal.cache_read
        + UsageTotal.cache_write_5m
        + UsageTotal.cache_write_1h
    ).label("tokens"),
    func.sum(UsageTotal.micro_usd).label("micro"),
)
_ENTRIES = (
    func.count().label("messages"),
    func.sum(
        UsageEntry.input
        + UsageEntry.output
        + UsageEntry.cache_read
        + UsageEntry.cache_write_5m
        + UsageEntry.cache_write_1h
    ).label("tokens"),
    func.coalesce(func.sum(UsageEntry.micro_usd), 0).label("micro"),
)
_PARTS = {  # by what: the sums of all time, and what a message says of itself
    By.MODEL: (Dimension.MODEL, UsageEntry.model),
    By.FEATURE: (Dimension.FEATURE, UsageEntry.feature_id),
    By.TASK: (Dimension.TASK, UsageEntry.task_id),
    By.AGENT: (Dimension.RUN, UsageEntry.run_id),
}
_SUMS = ("messages", "tokens", "micro")
_AGENT = cast(Run.kind, String) + "-" + cast(Run.slot, String)


def costs(tx: Session, *, project_id: int | None, since: date | None, by: By, limit: int) -> Costs:
    """Of one project or of all; `since` is a day in UTC."""
    days = _days(project_id, since)
    whole = tx.execute(select(*_TOTALS, func.sum(UsageTotal.unpriced_messages)).where(*days)).one()
    messages, tokens, micro, unpriced = (value or 0 for value in whole)
    groups = _grouped(project_id, since, by)
    order = groups.c.key if by is By.DAY else groups.c.micro.desc()
    rows = tx.execute(select(groups).order_by(order).limit(limit)).all()
    names = _names(tx, by, [row.key for row in rows], many=project_id is None)
    shares = [
        Share(names.get(r.key, str(r.key)), r.messages, r.tokens, to_usd(r.micro)) for r in rows
    ]
    known = select(func.count(), *(func.sum(groups.c[name]) for name in _SUMS))
    count, *of_these = tx.execute(known.select_from(groups)).one()
    rest = [
        sum_ - (known or 0) for sum_, known in zip((messages, tokens, micro), of_these, strict=True)
    ]
    if by in (By.FEATURE, By.TASK) and (rest[0] > 0 or rest[2] > 0):
        shares.append(Share("", rest[0], rest[1], to_usd(rest[2])))
    return Costs(messages, unpriced, tokens, to_usd(micro), shares, count - len(rows))


def _days(project_id: int | None, since: date | None) -> list[ColumnElement[bool]]:
    where = [UsageTotal.dimension == Dimension.DAY]
    if project_id is not None:
        where.append(UsageTotal.project_id == project_id)
    if since is not None:
        where.append(UsageTotal.key >= since.isoformat())
    return where


def _grouped(project_id: int | None, since: date | None, by: By) -> Subquery:
    """Sums by `key`: from the totals, and parts of a span from its messages."""
    if by is By.PROJECT or by is By.DAY:
        day = UsageTotal.project_id if by is By.PROJECT else UsageTotal.key
        days = select(day.label("key"), *_TOTALS).where(*_days(project_id, since))
        return days.group_by(day).subquery()
    dimension, column = _PARTS[by]
    key: Any = column
    sums: Any = _ENTRIES
    if since is None:
        key = UsageTotal.key if by is By.MODEL else cast(UsageTotal.key, Integer)
        sums = _TOTALS
        where = [UsageTotal.dimension == dimension]
        where += [UsageTotal.project_id == project_id] if project_id is not None else []
    else:
        whose = select(Project.id) if project_id is None else (project_id,)
        begin = datetime.combine(since, time(), UTC)
        where = [UsageEntry.project_id.in_(whose), UsageEntry.at >= begin, column.is_not(None)]
    if by is By.AGENT:
        where.append(Run.id == key)
        key = _AGENT
    return select(key.label("key"), *sums).where(*where).group_by(key).subquery()


def _names(tx: Session, by: By, keys: Sequence[Any], *, many: bool) -> Mapping[Any, str]:
    """What the shares are called; with their project where there are several."""
    match by:
        case By.DAY | By.MODEL | By.AGENT:
            return {key: str(key) for key in keys}
        case By.PROJECT:
            return dict(
                tx.execute(select(Project.id, Project.name).where(Project.id.in_(keys))).all()
            )
        case By.FEATURE:
            query = (
                select(Feature.id, Feature.name, Project.name)
                .join(Project, Project.id == Feature.project_id)
                .where(Feature.id.in_(keys))
            )
        case By.TASK:
            title = cast(Task.number, String) + " " + Task.name
            query = (
                select(Task.id, title, Project.name)
                .join(Project, Project.id == Task.project_id)
                .where(Task.id.in_(keys))
            )
        case _:
            assert_never(by)
    return {key: f"{home}: {name}" if many else name for key, name, home in tx.execute(query)}
