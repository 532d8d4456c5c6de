"""Planners of projects: what the end of their runs means, and rework without one."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain import failure, orders
from core.domain.agents import AgentKind
from core.domain.events import Event, Level
from core.domain.failure import RunEnd
from core.domain.lifecycle import ProjectStatus, TaskStatus
from core.domain.rules import Rules
from core.operations import journal, plans, projects
from core.store.tables import JournalEntry, Phase, Project, Run, Task

SHOWN = 5  # problems of a refused plan that a person is told


def run_ended(tx: Session, run: Run, ended: RunEnd, rules: Rules, *, now: datetime) -> None:
    """A planner of the project itself ended: with a plan, or with what comes next."""
    project = tx.get_one(Project, run.project_id)
    phase = tx.get(Phase, run.phase_id) if run.phase_id else None
    waits = project.status is ProjectStatus.PLANNING or (
        phase is not None and phase.rework_reason is not None
    )
    if not waits:
        project.planner_restarts = 0
        return
    settled = failure.settle(ended.how, rules.agents, restarts=project.planner_restarts)
    project.planner_restarts = settled.restarts
    project.planner_failures += settled.attempt
    project.planner_not_before = now + settled.wait if settled.wait else None
    if (
        phase is not None
        and phase.rework_reason is not None
        and project.planner_failures >= orders.PLANNER_ATTEMPTS
    ):
        _rework_without_planner(tx, project, phase)


def plan_refused(tx: Session, run_id: int, problems: Sequence[str], *, now: datetime) -> None:
    """A planner's plan would not do; a person may want to know why."""
    run = tx.get_one(Run, run_id)
    wrong = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    journal.record(
        tx,
        Event.PLAN_REFUSED,
        f"A plan of planner-{run.slot} was refused for {wrong}, first: {problems[0][:300]}",
        now=now,
        level=Level.WARNING,
        run=run,
        data={
            "problems": [_line(problem, 200) for problem in problems[:SHOWN]],
            "count": len(problems),
        },
    )


def refusal(tx: Session, project_id: int, interview_id: int | None) -> str:
    """What was wrong with the last plan, in lines; nothing if none was refused since a good one.

    Of an addition's planner, or with None of the project's own.
    """
    last = tx.scalars(
        select(JournalEntry)
        .join(Run, Run.id == JournalEntry.run_id)
        .where(
            JournalEntry.project_id == project_id,
            JournalEntry.event.in_((Event.PLAN_REFUSED, Event.PLAN_SUBMITTED, Event.PLAN_EXTENDED)),
            Run.interview_id.is_not_distinct_from(interview_id),
        )
        .order_by(JournalEntry.id.desc())
        .limit(1)
    ).first()
    if last is None or last.event is not Event.PLAN_REFUSED:
        return ""
    shown: list[str] = last.data["problems"]
    left = last.data["count"] - len(shown)
    more = [f"- and {left} more"] if left else []
    return "\n".join(["", "The last plan was refused:", *(f"- {each}" for each in shown), *more])


def _line(text: str, limit: int) -> str:
    whole = " ".join(text.split())
    return whole if len(whole) <= limit else f"{whole[: limit - 1]}…"


def block(tx: Session, project_id: int, reason: str, *, now: datetime) -> None:
    """Block a project whose planner gives up: what its last run said, why its plan would not do."""
    words = tx.scalars(
        select(Run.words)
        .where(Run.project_id == project_id, Run.kind == AgentKind.PLANNER)
        .order_by(Run.id.desc())
        .limit(1)
    ).first()
    last = _line(words or "", 300)
    said = f"{reason} The last: {last}" if last else reason
    projects.block(tx, project_id, said + refusal(tx, project_id, None), now=now)


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
