"""What a project has of its own: its budget, and settings that win over the service's."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from core.domain.events import Event
from core.domain.lifecycle import TaskStatus
from core.domain.money import to_micro
from core.operations import journal, projects
from core.store.tables import Task


def set_budget(tx: Session, project_id: int, budget: Decimal, *, by: str, now: datetime) -> None:
    """What the project may cost in all, in USD."""
    project = projects.living(tx, project_id)
    project.budget_micro_usd = to_micro(budget)
    journal.record(
        tx, Event.BUDGET_CHANGED, f"The budget of {project.name} is ${budget:.2f} now.", now=now,
        actor=by, project=project, data={"budget_usd": str(budget)},
    )  # fmt: skip


def set_one(tx: Session, project_id: int, key: str, value: Any, *, by: str, now: datetime) -> None:
    """A setting of the project's own, checked by the caller; None: the service's again."""
    project = projects.living(tx, project_id)
    own = {name: kept for name, kept in project.settings.items() if name != key}
    if value is not None:
        own[key] = value
    project.settings = own
    words = f"is {value}" if value is not None else "is the service's again"
    journal.record(
        tx, Event.SETTINGS_CHANGED, f"{key} of {project.name} {words}.", now=now, actor=by,
        project=project, data={"key": key, "value": value},
    )  # fmt: skip


def change_attempts(tx: Session, project_id: int, more: int) -> None:
    """Open tasks get so many attempts more, or fewer, yet never less than the one at work or next."""
    open_tasks = tx.query(Task).filter(
        Task.project_id == project_id,
        Task.status.in_((TaskStatus.PENDING, TaskStatus.IN_PROGRESS)),
    )
    for task in open_tasks:
        task.allowed_attempts = max(task.attempts + 1, task.allowed_attempts + more)
