"""Places: the channels in which a project's cards stand."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.cards import CardKind
from core.domain.events import Event
from core.domain.lifecycle import ApprovalKind, ApprovalStatus, ProjectStatus, TaskStatus
from core.operations import interviews, outbox
from core.ports.chat import Place
from core.store.chat_tables import Interview, ProjectPlace
from core.store.tables import Approval, JournalEntry, Phase, Plan, Project, Question, Task

_Wanted = tuple[str, CardKind, int, bool]  # key, kind, subject, whether it stands in the thread


def settle(tx: Session, project_id: int, place: Place, *, now: datetime) -> bool:
    """Give a project a thread in this channel too; its cards of now come there.

    False: it lives there already.
    """
    if tx.get(ProjectPlace, (project_id, place.platform, place.channel)) is not None:
        return False
    channel = Place(place.platform, place.channel)
    project = tx.get_one(Project, project_id)
    root = outbox.root_key(project.slug)
    last = tx.scalar(
        select(func.max(ProjectPlace.position)).where(ProjectPlace.project_id == project_id)
    )
    tx.add(
        ProjectPlace(
            project_id=project_id,
            platform=place.platform,
            channel=place.channel,
            position=0 if last is None else last + 1,
            root_key=root,
        )
    )
    tx.flush()
    outbox.want(
        tx, channel, root, CardKind.INTERVIEW, project_id=project_id, subject_id=project_id, now=now
    )
    for key, kind, subject, threaded in _standing(tx, project):
        outbox.want(
            tx,
            channel,
            key,
            kind,
            project_id=project_id,
            subject_id=subject,
            thread_key=root if threaded else None,
            now=now,
        )
    return True


def _standing(tx: Session, project: Project) -> Iterator[_Wanted]:
    """The cards that say how it stands, and what waits for a person."""
    slug = project.slug
    if tx.scalars(select(Phase.id).where(Phase.project_id == project.id).limit(1)).first():
        yield f"progress:{slug}", CardKind.PROGRESS, project.id, False
    added = select(Interview).where(
        Interview.project_id == project.id,
        Interview.number > 0,
        Interview.status.not_in(interviews.OVER),
    )
    for each in tx.scalars(added.order_by(Interview.id)):
        yield interviews.card_key(slug, each.number), CardKind.INTERVIEW, project.id, True
    waiting = select(Approval).where(
        Approval.project_id == project.id, Approval.status == ApprovalStatus.OPEN
    )
    for approval in tx.scalars(waiting.order_by(Approval.id)):
        if approval.kind is ApprovalKind.PLAN:
            plan = tx.get_one(Plan, approval.subject_id)
            yield f"plan:{slug}:{plan.version}", CardKind.PLAN, plan.id, True
        else:
            yield f"gate:{slug}:{approval.id}", CardKind.GATE, approval.id, True
    asked = select(Question.id).where(Question.project_id == project.id, Question.answer.is_(None))
    for question in tx.scalars(asked.order_by(Question.id)):
        yield f"question:{slug}:{question}", CardKind.QUESTION, question, True
    stuck = select(Task).where(Task.project_id == project.id, Task.status == TaskStatus.STUCK)
    for task in tx.scalars(stuck.order_by(Task.number)):
        yield f"stuck:{slug}:{task.number}", CardKind.STUCK, task.id, True
    if project.status is ProjectStatus.COMPLETED:
        yield from _report(tx, project)


def _report(tx: Session, project: Project) -> Iterator[_Wanted]:
    entry = tx.scalars(
        select(JournalEntry.id)
        .where(JournalEntry.project_id == project.id, JournalEntry.event == Event.PROJECT_COMPLETED)
        .order_by(JournalEntry.id.desc())
        .limit(1)
    ).first()
    if entry is not None:
        yield f"report:{project.slug}:1", CardKind.REPORT, entry, True
