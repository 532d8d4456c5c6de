"""A task that only a person can help on: what was tried, by which models, what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.agents import AgentKind
from core.domain.events import Event
from core.domain.lifecycle import RunStatus
from core.domain.money import Dimension
from core.store.tables import Run, RunTask, Task, TaskDependency
from core.views import budgets, journal, projects, tasks
from core.views.journal import JournalLine
from core.views.projects import ProjectSummary
from core.views.tasks import TaskView

_LIKE = 11  # runs of a model among which the one in the middle is taken
_TURNS = (
    Event.TASK_STUCK,
    Event.TASK_RETRIED,
    Event.TASK_GUIDED,
    Event.TASK_SKIPPED,
    Event.TASK_PASSED,
)


@dataclass(frozen=True, kw_only=True)
class StuckTask:
    task: TaskView
    project: ProjectSummary
    turns: Sequence[JournalLine]  # each time it was stuck, and what people did then
    holds_up: Sequence[int]  # tasks that wait for it
    models: Sequence[str]  # of every run that had it
    cost_usd: Decimal


def stuck_task(tx: Session, task_row_id: int) -> StuckTask:
    row = tx.get_one(Task, task_row_id)
    return StuckTask(
        task=tasks.task(tx, row.project_id, row.number),
        project=projects.summary(tx, row.project_id),
        turns=journal.of_task(tx, row.id, _TURNS),
        holds_up=tx.scalars(
            select(Task.number)
            .join(TaskDependency, TaskDependency.task_id == Task.id)
            .where(TaskDependency.depends_on_id == row.id)
            .order_by(Task.number)
        ).all(),
        models=tx.scalars(
            select(Run.model)
            .join(RunTask, RunTask.run_id == Run.id)
            .where(RunTask.task_id == row.id)
            .order_by(Run.id)
        ).all(),
        cost_usd=budgets.cost_of(tx, row.project_id, Dimension.TASK, row.id),
    )


def usual_cost(tx: Session, project_id: int, model: str) -> Decimal | None:
    """What a coder's run with this model cost in a project, in the middle; None without one."""
    runs = tx.scalars(
        select(Run.id)
        .where(
            Run.project_id == project_id,
            Run.kind == AgentKind.CODER,
            Run.status == RunStatus.ENDED,
            Run.model.contains(model),
        )
        .order_by(Run.id.desc())
        .limit(_LIKE)
    )
    costs = [budgets.cost_of(tx, project_id, Dimension.RUN, run) for run in runs.all()]
    return median(costs) if costs else None
