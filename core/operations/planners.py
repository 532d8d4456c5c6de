"""Planners of projects: what the end of their runs means, and rework without one."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain import failure, orders
from core.domain.agents import AgentKind
from core.domain.failure import EndedHow
from core.domain.lifecycle import ProjectStatus, TaskStatus
from core.operations import plans, projects
from core.store.tables import Phase, Project, Run, Task


def run_ended(
    tx: Session, run: Run, how: EndedHow, *, backoff_max: timedelta, now: datetime
) -> None:
    """A planner of the project itself ended: with a plan, or with what comes next."""
    project = tx.get_one(Project, run.project_id)
    phase = tx.get(Phase, run.phase_id) if run.phase_id else None
    waits = project.status is ProjectStatus.PLANNING or (
        phase is not None and phase.rework_reason is not None
    )
    if not waits:
        project.planner_restarts = 0
        return
    settled = failure.settle(how, restarts=project.planner_restarts, backoff_max=backoff_max)
    project.planner_restarts = settled.restarts
    project.planner_failures += settled.attempt
    project.planner_not_before = now + settled.wait if settled.wait else None
    if (
        phase is not None
        and phase.rework_reason is not None
        and project.planner_failures >= orders.PLANNER_ATTEMPTS
    ):
        _rework_without_planner(tx, project, phase)


def block(tx: Session, project_id: int, reason: str, *, now: datetime) -> None:
    """Block a project whose planner gives up, with what its last run ended with."""
    words = tx.scalars(
        select(Run.words)
        .where(Run.project_id == project_id, Run.kind == AgentKind.PLANNER)
        .order_by(Run.id.desc())
        .limit(1)
    ).first()
    last = " ".join((words or "").split())[:300]
    projects.block(tx, project_id, f"{reason} The last: {last}" if last else reason, now=now)


def _rework_without_planner(tx: Session, project: Project, phase: Phase) -> None:
    reason = phase.rework_reason or ""
    checks = project.checks or list(
        dict.fromkeys(
            check
            for task in tx.scalars(
                select(Task).where(Task.phase_id == phase.id, Task.status == TaskStatus.PASSING)
            )
            for check in task.checks
        )
    )
    plans.add_rework(tx, phase, reason, checks, max_attempts=failure.REFUSAL_LIMIT)
    phase.rework_reason = None
    project.planner_failures = 0
