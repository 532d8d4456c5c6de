"""Usage summed up: of a project or of all, and as the figures of the metrics page."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.orm import Session

from core.domain import shapes
from core.domain.lifecycle import TaskStatus
from core.domain.money import Dimension, Tokens, to_usd
from core.domain.orders import ACTIVE
from core.domain.shapes import SpentData, UsageData
from core.store.chat_tables import OutboxItem
from core.store.tables import Project, Run, Task, UsageTotal


@dataclass(slots=True)
class _Sum:
    messages: int = 0
    unpriced: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    micro_usd: int = 0

    def add(self, other: "_Sum") -> None:
        self.messages += other.messages
        self.unpriced += other.unpriced
        self.input += other.input
        self.output += other.output
        self.cache_read += other.cache_read
        self.cache_write_5m += other.cache_write_5m
        self.cache_write_1h += other.cache_write_1h
        self.micro_usd += other.micro_usd

    @property
    def tokens(self) -> Tokens:
        return Tokens(
            self.input, self.output, self.cache_read, self.cache_write_5m, self.cache_write_1h
        )

    def data(self) -> SpentData:
        return {
            "messages": self.messages,
            "tokens": {
                "input": self.input,
                "output": self.output,
                "cache_read": self.cache_read,
                "cache_write_5m": self.cache_write_5m,
                "cache_write_1h": self.cache_write_1h,
            },
            "cost_usd": shapes.usd(to_usd(self.micro_usd)),
        }


_SUMS = (
    UsageTotal.messages,
    UsageTotal.unpriced_messages,
    UsageTotal.input,
    UsageTotal.output,
    UsageTotal.cache_read,
    UsageTotal.cache_write_5m,
    UsageTotal.cache_write_1h,
    UsageTotal.micro_usd,
)
_COARSE = (Dimension.PROJECT, Dimension.MODEL, Dimension.KIND, Dimension.DAY)
_FINE = (*_COARSE, Dimension.PHASE, Dimension.FEATURE)  # beside tasks, of which there are many


def usage(tx: Session, project: Project | None, *, fine: bool = True) -> UsageData:
    """Of one project, or of all; of all, tasks are keyed `SLUG/NUMBER`.

    Without `fine` nothing is broken down by phase, feature and task.
    """
    parts: dict[Dimension, dict[str, _Sum]] = {dimension: {} for dimension in Dimension}
    query = select(UsageTotal.dimension, UsageTotal.key, *_SUMS).where(
        UsageTotal.dimension.in_(_FINE if fine else _COARSE)
    )
    if project is not None:
        query = query.where(UsageTotal.project_id == project.id)
    for dimension, key, *sums in tx.execute(query.order_by(UsageTotal.project_id, UsageTotal.key)):
        parts[dimension].setdefault(key, _Sum()).add(_Sum(*sums))
    if fine:
        parts[Dimension.TASK] = _by_task(tx, project)
    whole = _Sum()
    for part in parts[Dimension.PROJECT].values():
        whole.add(part)

    def by(dimension: Dimension) -> dict[str, SpentData]:
        return {key: part.data() for key, part in parts[dimension].items()}

    return {
        "project": project.name if project else None,
        "messages": whole.messages,
        "tokens": shapes.tokens(whole.tokens),
        "cost_usd": shapes.usd(to_usd(whole.micro_usd)),
        "unpriced_messages": whole.unpriced,
        "by_model": by(Dimension.MODEL),
        "by_kind": by(Dimension.KIND),
        "by_phase": by(Dimension.PHASE),
        "by_feature": by(Dimension.FEATURE),
        "by_task": by(Dimension.TASK),
        "by_day": by(Dimension.DAY),
    }


def _by_task(tx: Session, project: Project | None) -> dict[str, _Sum]:
    """The sum of each task, by how it is called; there is one row for each."""
    query = (
        select(UsageTotal.project_id, Task.number, *_SUMS)
        .join(Task, Task.id == cast(UsageTotal.key, Integer))
        .where(UsageTotal.dimension == Dimension.TASK)
        .order_by(UsageTotal.project_id, UsageTotal.key)
    )
    if project is not None:
        query = query.where(UsageTotal.project_id == project.id)
        return {str(number): _Sum(*sums) for _, number, *sums in tx.execute(query)}
    slugs = dict(tx.execute(select(Project.id, Project.slug)).all())
    return {f"{slugs[of]}/{number}": _Sum(*sums) for of, number, *sums in tx.execute(query)}


@dataclass(frozen=True)
class Figures:
    """What the metrics page counts."""

    tasks: dict[tuple[str, TaskStatus], int]  # by project and status
    agents: int
    messages: int
    tokens: dict[str, Tokens]  # by model
    cost_usd: dict[str, Decimal]  # by model
    outbox_pending: int


def figures(tx: Session) -> Figures:
    tasks = {
        (slug, status): count
        for slug, status, count in tx.execute(
            select(Project.slug, Task.status, func.count())
            .join(Task, Task.project_id == Project.id)
            .group_by(Project.slug, Task.status)
        )
    }
    models: dict[str, _Sum] = {}
    messages = 0
    for dimension, key, *sums in tx.execute(
        select(UsageTotal.dimension, UsageTotal.key, *_SUMS).where(
            UsageTotal.dimension.in_((Dimension.MODEL, Dimension.PROJECT))
        )
    ):
        if dimension is Dimension.PROJECT:
            messages += _Sum(*sums).messages
        else:
            models.setdefault(key, _Sum()).add(_Sum(*sums))
    return Figures(
        tasks=tasks,
        agents=tx.scalar(select(func.count()).where(Run.status.in_(ACTIVE))) or 0,
        messages=messages,
        tokens={model: part.tokens for model, part in models.items()},
        cost_usd={model: to_usd(part.micro_usd) for model, part in models.items()},
        outbox_pending=tx.scalar(
            select(func.count()).where(
                OutboxItem.wanted != OutboxItem.built, OutboxItem.failed_at.is_(None)
            )
        )
        or 0,
    )
