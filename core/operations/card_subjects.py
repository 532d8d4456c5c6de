"""What cards are about and what they are called: found from an entry of the journal, or from how a
project stands.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain import card_keys
from core.domain.events import CardKind, Event
from core.domain.lifecycle import INTERVIEW_OVER, ProjectStatus
from core.operations import outbox
from core.store.chat_tables import Interview
from core.store.tables import Feature, JournalEntry, Phase, Plan, Project, Question, Task
from core.views import cards, journal


class CardSubject(NamedTuple):
    """One card of a project."""

    id: int  # of the row that it is about
    key: str
    in_thread: bool = True  # of the project; else it stands in the channel


ByEntry = Callable[[Session, Project, JournalEntry], Iterable[CardSubject]]
ByProject = Callable[[Session, Project], Iterable[CardSubject]]


def nothing(*_: object) -> Iterable[CardSubject]:
    return ()


def interview(tx: Session, project: Project, entry: JournalEntry) -> Iterable[CardSubject]:
    yield _interview(project, _number(tx, entry))


def progress(_tx: Session, project: Project, _entry: JournalEntry) -> Iterable[CardSubject]:
    yield _progress(project)


def question(tx: Session, project: Project, entry: JournalEntry) -> Iterable[CardSubject]:
    if known := tx.get(Question, entry.data.get("question") or 0):
        yield CardSubject(known.id, card_keys.question(project.slug, known.id))


def spec(tx: Session, project: Project, entry: JournalEntry) -> Iterable[CardSubject]:
    yield CardSubject(entry.id, card_keys.spec(project.slug, _number(tx, entry)))


def plan(tx: Session, project: Project, entry: JournalEntry) -> Iterable[CardSubject]:
    """The one that was submitted or decided; one that a newer one replaced has its card too."""
    if known := tx.get(Plan, entry.data.get("plan") or 0):
        yield CardSubject(known.id, card_keys.plan(project.slug, known.version))


def gate(_tx: Session, project: Project, entry: JournalEntry) -> Iterable[CardSubject]:
    """A phase that was rejected is asked about again, on another card."""
    if known := entry.data.get("approval"):
        yield CardSubject(known, card_keys.gate(project.slug, known))


def feature(tx: Session, project: Project, entry: JournalEntry) -> Iterable[CardSubject]:
    if known := tx.get(Feature, entry.feature_id or 0):
        yield CardSubject(known.id, card_keys.landed(project.slug, known.slug))


def task(tx: Session, project: Project, entry: JournalEntry) -> Iterable[CardSubject]:
    """Each time a task is stuck there is another card."""
    if known := tx.get(Task, entry.task_id or 0):
        times = outbox.count(tx, project.id, CardKind.STUCK, known.id) + 1
        yield CardSubject(known.id, card_keys.stuck(project.slug, known.number, times))


def each_time(kind: CardKind) -> ByEntry:
    """Another card each time, numbered within its project."""

    def subject(tx: Session, project: Project, entry: JournalEntry) -> Iterable[CardSubject]:
        number = outbox.count(tx, project.id, kind) + 1
        yield CardSubject(entry.id, card_keys.counted(kind, project.slug, number))

    return subject


def open_interviews(tx: Session, project: Project) -> Iterable[CardSubject]:
    """The root of the thread, and what is being added."""
    yield _interview(project, 0)
    numbers = select(Interview.number).where(
        Interview.project_id == project.id,
        Interview.number > 0,
        Interview.status.not_in(INTERVIEW_OVER),
    )
    for number in tx.scalars(numbers.order_by(Interview.id)):
        yield _interview(project, number)


def progress_of_plan(tx: Session, project: Project) -> Iterable[CardSubject]:
    """From the first plan on."""
    if tx.scalars(select(Phase.id).where(Phase.project_id == project.id).limit(1)).first():
        yield _progress(project)


def last_report(tx: Session, project: Project) -> Iterable[CardSubject]:
    done = journal.last(tx, (Event.PROJECT_COMPLETED,), project_id=project.id)
    if project.status is ProjectStatus.COMPLETED and done is not None:
        known = cards.keys_of(tx, CardKind.REPORT, {project.id}, {done.id})
        first = card_keys.counted(CardKind.REPORT, project.slug, 1)
        yield CardSubject(done.id, known.get(done.id, first))


def _interview(project: Project, number: int) -> CardSubject:
    key = card_keys.interview(project.slug, number)
    return CardSubject(project.id, key, in_thread=number > 0)


def _progress(project: Project) -> CardSubject:
    return CardSubject(project.id, card_keys.progress(project.slug), in_thread=False)


def _number(tx: Session, entry: JournalEntry) -> int:
    """Which interview of its project an entry tells of; 0 is the project's own."""
    known = tx.get(Interview, entry.data.get("interview") or 0)
    return known.number if known else 0
