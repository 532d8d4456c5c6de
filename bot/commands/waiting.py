"""What waits for a person, over all projects."""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.cards import words
from bot.cards.frame import Scene, bold, said
from core.domain.lifecycle import ApprovalStatus, ProjectStatus, TaskStatus
from core.domain.people import Role
from core.store.tables import Approval, Phase, Plan, Project, Question, Task

_EACH = 30
_AT_REST = (ProjectStatus.ARCHIVED, ProjectStatus.STOPPED)


def of(tx: Session, role: Role, scene: Scene) -> tuple[str, ...]:
    """A line each, the oldest first; what the role may not act upon is left out."""
    found: list[tuple[datetime | None, str]] = []
    if role.covers(Role.APPROVER):
        for approval, project in tx.execute(
            select(Approval, Project)
            .join(Project, Project.id == Approval.project_id)
            .where(Approval.status == ApprovalStatus.OPEN, Project.status.not_in(_AT_REST))
            .limit(_EACH)
        ):
            line = f"{_about(tx, approval)} of {bold(project.name)}"
            found.append((approval.opened_at, _since(line, scene, approval.opened_at)))
    if role.covers(Role.OPERATOR):
        for question, project in tx.execute(
            select(Question, Project)
            .join(Project, Project.id == Question.project_id)
            .where(Question.answer.is_(None), Project.status.not_in(_AT_REST))
            .limit(_EACH)
        ):
            line = f"A question of {bold(project.name)}: {said(question.text, 100)}"
            found.append((question.asked_at, _since(line, scene, question.asked_at)))
        for task, project in tx.execute(
            select(Task, Project)
            .join(Project, Project.id == Task.project_id)
            .where(Task.status == TaskStatus.STUCK, Project.status.not_in(_AT_REST))
            .limit(_EACH)
        ):
            line = f"Task {task.number} of {bold(project.name)} is stuck: {said(task.name, 90)}"
            found.append((task.stuck_at, _since(line, scene, task.stuck_at)))
        for project in tx.scalars(
            select(Project).where(Project.status == ProjectStatus.BLOCKED).limit(_EACH)
        ):
            line = f"{bold(project.name)} is blocked: {said(project.blocked_reason or '', 120)}"
            found.append((project.created_at, f"{words.STOPPED} {line}"))
    return tuple(line for _since_, line in sorted(found, key=_age))


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _age(pair: tuple[datetime | None, str]) -> datetime:
    return pair[0] or _LONG_AGO


def _about(tx: Session, approval: Approval) -> str:
    if approval.kind.value == "plan":
        plan = tx.get(Plan, approval.subject_id)
        return f"Plan {plan.version}" if plan else "The plan"
    phase = tx.get(Phase, approval.subject_id)
    return f"The gate of phase {phase.position} {said(phase.name, 60)}" if phase else "A gate"


def _since(line: str, scene: Scene, moment: datetime | None) -> str:
    when = f", since {scene.clock(moment)}" if moment is not None else ""
    return f"{words.WAITS} {line}{when}"
