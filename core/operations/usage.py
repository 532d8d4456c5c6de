"""Usage summed up: of a project or of all, and as the figures of the metrics page."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain import shapes
from core.domain.lifecycle import TaskStatus
from core.domain.money import Dimension, Tokens, to_usd
from core.domain.orders import ACTIVE
from core.domain.shapes import SpentData, UsageData
from core.operations.listing import numbers_of, tokens_of
from core.store.chat_tables import OutboxItem
from core.store.tables import Project, Run, Task, UsageTotal


@dataclass
class _Sum:
    messages: int = 0
    unpriced: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    micro_usd: int = 0

    def add(self, row: UsageTotal) -> None:
        self.messages += row.messages
        self.unpriced += row.unpriced_messages
        self.tokens = self.tokens + tokens_of(row)
        self.micro_usd += row.micro_usd

    def data(self) -> SpentData:
        return {
            "messages": self.messages,
            "tokens": shapes.tokens(self.tokens),
            "cost_usd": shapes.usd(to_usd(self.micro_usd)),
        }


def usage(tx: Session, project: Project | None) -> UsageData:
    """Of one project, or of all; of all, tasks are keyed `SLUG/NUMBER`."""
    query = select(UsageTotal).where(UsageTotal.dimension != Dimension.RUN)
    if project is not None:
        query = query.where(UsageTotal.project_id == project.id)
    rows = tx.scalars(query.order_by(UsageTotal.project_id, UsageTotal.key)).all()
    names = _task_names(tx, rows, None if project else _slugs(tx))
    whole = _Sum()
    parts: dict[Dimension, dict[str, _Sum]] = {dimension: {} for dimension in Dimension}
    for row in rows:
        if row.dimension is Dimension.PROJECT:
            whole.add(row)
            continue
        key = names.get(row.key, row.key) if row.dimension is Dimension.TASK else row.key
        parts[row.dimension].setdefault(key, _Sum()).add(row)

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


def _slugs(tx: Session) -> dict[int, str]:
    return dict(tx.execute(select(Project.id, Project.slug)).all())


def _task_names(
    tx: Session, rows: Iterable[UsageTotal], slugs: dict[int, str] | None
) -> dict[str, str]:
    """How each task is called, by the key of its sum."""
    found = [row for row in rows if row.dimension is Dimension.TASK]
    numbers: dict[int, int] = {}
    for start in range(0, len(found), 500):
        numbers |= numbers_of(tx, [int(row.key) for row in found[start : start + 500]])
    return {
        row.key: f"{slugs[row.project_id]}/{numbers[int(row.key)]}"
        if slugs
        else str(numbers[int(row.key)])
        for row in found
        if int(row.key) in numbers
    }


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
    for row in tx.scalars(
        select(UsageTotal).where(UsageTotal.dimension.in_((Dimension.MODEL, Dimension.PROJECT)))
    ):
        if row.dimension is Dimension.PROJECT:
            messages += row.messages
        else:
            models.setdefault(row.key, _Sum()).add(row)
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
