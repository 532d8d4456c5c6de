"""What the metrics page counts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.lifecycle import TaskStatus
from core.domain.orders import ACTIVE
from core.store.chat_tables import OutboxItem
from core.store.tables import Project, Run, Task
from core.views.usage import Usage, usage


@dataclass(frozen=True)
class Figures:
    tasks: Mapping[tuple[str, TaskStatus], int]  # by project and status
    agents: int
    usage: Usage
    outbox_pending: int


def figures(tx: Session, platforms: Collection[str]) -> Figures:
    """`platforms` are those that this process delivers to."""
    tasks = (
        select(Project.slug, Task.status, func.count())
        .join(Task, Task.project_id == Project.id)
        .group_by(Project.slug, Task.status)
    )
    pending = select(func.count()).where(
        OutboxItem.platform.in_(platforms),
        OutboxItem.wanted != OutboxItem.built,
        OutboxItem.failed_at.is_(None),
    )
    return Figures(
        tasks={(slug, status): count for slug, status, count in tx.execute(tasks)},
        agents=tx.scalar(select(func.count()).where(Run.status.in_(ACTIVE))) or 0,
        usage=usage(tx, None, fine=False),
        outbox_pending=tx.scalar(pending) or 0,
    )
