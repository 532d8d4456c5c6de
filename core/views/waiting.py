"""What waits for a person: plans and gates, questions, stuck tasks, projects that are blocked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.domain import card_keys
from core.domain.events import CardKind, Event
from core.domain.lifecycle import AT_REST, ApprovalKind, ApprovalStatus, ProjectStatus, TaskStatus
from core.domain.people import Role
from core.store.tables import Approval, Phase, Project, Question, Run, Task
from core.views import cards, journal
from core.views.projects import ProjectRef
from core.views.runs import agent_name

MOST = 30


class WaitKind(StrEnum):
    PLAN = "plan"
    GATE = "gate"
    QUESTION = "question"
    STUCK = "stuck"
    BLOCKED = "blocked"

    @property
    def role(self) -> Role:
        """The least role that may act."""
        decides = self in (WaitKind.PLAN, WaitKind.GATE)
        return Role.APPROVER if decides else Role.OPERATOR


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One thing that waits for a person."""

    kind: WaitKind
    project: ProjectRef
    since: datetime
    number: int  # the plan's version, the phase's position, the task's; a question's id
    text: str  # the phase's or the task's name, the question, why it is blocked
    agent: str | None = None  # who asks: coder-1
    key: str  # of its card
    subject_id: int  # what its card is about
    press_id: int  # what its card's buttons are about: an approval, a question, N, a project


def waiting(
    tx: Session,
    *,
    project_id: int | None = None,
    role: Role = Role.ADMIN,
    resting: bool = False,
    limit: int = MOST,
) -> Sequence[Waiting]:
    """What this role may act upon, the oldest first; of one project, or of all.

    `resting`: also what will wait once a project that is at rest is started.
    """
    among = select(Project.id)
    if not resting:
        among = among.where(Project.status.not_in(AT_REST))
    if project_id is not None:
        among = among.where(Project.id == project_id)
    found: list[Waiting] = []
    if role.covers(Role.APPROVER):
        found += _decisions(tx, among, limit)
    if role.covers(Role.OPERATOR):
        found += _questions(tx, among, limit)
        found += _stuck(tx, among, limit)
        found += _blocked(tx, among, limit)
    return sorted(found, key=lambda wait: wait.since)[:limit]


def _decisions(tx: Session, among: Select[int], limit: int) -> Iterator[Waiting]:
    for row, project, phase in tx.execute(
        select(Approval, Project, Phase)
        .join(Project, Project.id == Approval.project_id)
        .outerjoin(Phase, (Phase.id == Approval.subject_id) & (Approval.kind == ApprovalKind.GATE))
        .where(Approval.project_id.in_(among), Approval.status == ApprovalStatus.OPEN)
        .order_by(Approval.opened_at)
        .limit(limit)
    ):
        match row.kind:
            case ApprovalKind.PLAN:
                yield Waiting(
                    kind=WaitKind.PLAN,
                    project=_ref(project),
                    since=row.opened_at,
                    number=int(row.version),
                    text="",
                    key=card_keys.plan(project.slug, int(row.version)),
                    subject_id=row.subject_id,
                    press_id=row.id,
                )
            case ApprovalKind.GATE:
                yield Waiting(
                    kind=WaitKind.GATE,
                    project=_ref(project),
                    since=row.opened_at,
                    number=phase.position,
                    text=phase.name,
                    key=card_keys.gate(project.slug, row.id),
                    subject_id=row.id,
                    press_id=row.id,
                )
            case _:
                assert_never(row.kind)


def _questions(tx: Session, among: Select[int], limit: int) -> Iterator[Waiting]:
    for row, run, project in tx.execute(
        select(Question, Run, Project)
        .join(Run, Run.id == Question.run_id)
        .join(Project, Project.id == Question.project_id)
        .where(Question.project_id.in_(among), Question.answer.is_(None))
        .order_by(Question.asked_at, Question.id)
        .limit(limit)
    ):
        yield Waiting(
            kind=WaitKind.QUESTION,
            project=_ref(project),
            since=row.asked_at,
            number=row.id,
            text=row.text,
            agent=agent_name(run),
            key=card_keys.question(project.slug, row.id),
            subject_id=row.id,
            press_id=row.id,
        )


def _stuck(tx: Session, among: Select[int], limit: int) -> Iterator[Waiting]:
    rows = tx.execute(
        select(Task, Project)
        .join(Project, Project.id == Task.project_id)
        .where(Task.project_id.in_(among), Task.status == TaskStatus.STUCK)
        .order_by(Task.stuck_at, Task.number)
        .limit(limit)
    ).all()
    keys = cards.keys_of(
        tx,
        CardKind.STUCK,
        {project.id for _task, project in rows},
        {task.id for task, _project in rows},
    )
    for task, project in rows:
        yield Waiting(
            kind=WaitKind.STUCK,
            project=_ref(project),
            since=task.stuck_at or project.created_at,
            number=task.number,
            text=task.name,
            key=keys.get(task.id, card_keys.stuck(project.slug, task.number)),
            subject_id=task.id,
            press_id=task.number,
        )


def _blocked(tx: Session, among: Select[int], limit: int) -> Iterator[Waiting]:
    for project in tx.scalars(
        select(Project)
        .where(Project.id.in_(among), Project.status == ProjectStatus.BLOCKED)
        .limit(limit)
    ):
        entry = journal.last(tx, (Event.PROJECT_BLOCKED,), project_id=project.id)
        about = entry.id if entry else project.id
        keys = cards.keys_of(tx, CardKind.ERROR, {project.id}, {about})
        yield Waiting(
            kind=WaitKind.BLOCKED,
            project=_ref(project),
            since=entry.at if entry else project.created_at,
            number=0,
            text=project.blocked_reason or "",
            key=keys.get(about, card_keys.interview(project.slug)),  # whose card tells it too
            subject_id=about,
            press_id=project.id,
        )


def _ref(row: Project) -> ProjectRef:
    return ProjectRef(row.id, row.name, row.slug)
