"""Turning what the journal says into cards that are wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.events import EVERYWHERE, CardKind, Event
from core.domain.lifecycle import ProjectStatus
from core.operations import card_subjects, outbox
from core.operations.card_subjects import ByEntry, ByProject, CardSubject
from core.ports.chat import Place
from core.store.chat_tables import NotifierCursor
from core.store.tables import JournalEntry, Project
from core.views import projects
from core.views.waiting import WaitKind

TABLE = JournalEntry.__tablename__  # it is written whenever there is something to tell
BATCH = 500  # journal entries in one transaction
_AT_WORK = (ProjectStatus.INTERVIEWING, ProjectStatus.PLANNING, ProjectStatus.RUNNING)


@dataclass(frozen=True, kw_only=True)
class CardSpec:
    """When cards of a kind are posted or brought up to date, and which ones."""

    posted_at: Sequence[Event] = ()  # where they stand already, they are brought up to date
    updated_at: Sequence[Event] = ()  # only where they stand; what is in both posts them
    subjects: ByEntry = card_subjects.nothing  # which ones an entry of these events tells of
    # An entry concerns every card of the kind in its project; else only if it names none.
    all_at_once: bool = False
    standing: ByProject = card_subjects.nothing  # shown in a channel that the project comes to
    waits: WaitKind | None = None  # on it a person acts upon this; it is shown there too


CardSpecs = Mapping[CardKind, CardSpec]


def pending(tx: Session) -> bool:
    """Whether `tell` has something to do."""
    last = tx.scalar(select(func.max(JournalEntry.id))) or 0
    told = tx.get(NotifierCursor, 1)
    return last > (told.entry_id if told else 0)


def begin(tx: Session) -> None:
    """Where nothing was ever told, only what happens from now on is news."""
    if tx.get(NotifierCursor, 1) is None:
        tx.add(NotifierCursor(id=1, entry_id=tx.scalar(select(func.max(JournalEntry.id))) or 0))


def tell(tx: Session, kinds: CardSpecs, *, now: datetime) -> bool:
    """Want the cards of the next journal entries; True while more of them may be left.

    The cursor moves in the same transaction, so each entry is told once.
    """
    told = tx.get(NotifierCursor, 1)
    if told is None:
        told = NotifierCursor(id=1, entry_id=0)
        tx.add(told)
    last = tx.scalar(select(func.max(JournalEntry.id))) or 0
    wanted = told_by(kinds)
    entries = tx.scalars(
        select(JournalEntry)
        .where(JournalEntry.id > told.entry_id, JournalEntry.event.in_(wanted))
        .order_by(JournalEntry.id)
        .limit(BATCH)
    ).all()
    more = len(entries) == BATCH
    told.entry_id = entries[-1].id if more else last
    teller = _Teller(tx, now)
    for entry in entries:
        for kind, post in wanted[entry.event].items():
            for project in teller.projects(entry):
                teller.show(project, kind, kinds[kind], entry, post=post)
    return more


def told_by(kinds: CardSpecs) -> Mapping[Event, Mapping[CardKind, bool]]:
    """The cards that each event changes; True: it posts them."""
    found: dict[Event, dict[CardKind, bool]] = {}
    for kind, spec in kinds.items():
        for event in (*spec.updated_at, *spec.posted_at):
            found.setdefault(event, {})[kind] = event in spec.posted_at
    return found


class _Teller:
    """One batch: a card that many entries change is wanted once."""

    def __init__(self, tx: Session, now: datetime) -> None:
        self._tx = tx
        self._now = now
        self._wanted: set[tuple[Place, str]] = set()
        self._refreshed: set[tuple[int, CardKind, int | None]] = set()

    def projects(self, entry: JournalEntry) -> Sequence[Project]:
        """Whose cards an entry changes."""
        if entry.event in EVERYWHERE:
            at_work = select(Project).where(Project.status.in_(_AT_WORK)).order_by(Project.id)
            return self._tx.scalars(at_work).all()
        return [self._tx.get_one(Project, entry.project_id)] if entry.project_id else []

    def show(
        self, project: Project, kind: CardKind, spec: CardSpec, entry: JournalEntry, *, post: bool
    ) -> None:
        subjects = list(spec.subjects(self._tx, project, entry))
        every = spec.all_at_once or not subjects
        if every:
            self._refresh(project.id, kind, None)
        for subject in subjects:
            if not every:
                self._refresh(project.id, kind, subject.id)
            if post:
                for place, root_key in projects.places_of(self._tx, project.id):
                    self._want(place, root_key, kind, project.id, subject)

    def _refresh(self, project_id: int, kind: CardKind, subject_id: int | None) -> None:
        if (project_id, kind, subject_id) not in self._refreshed:
            self._refreshed.add((project_id, kind, subject_id))
            outbox.refresh(self._tx, project_id, kind, subject_id, now=self._now)

    def _want(
        self, place: Place, root_key: str, kind: CardKind, project_id: int, subject: CardSubject
    ) -> None:
        if (place, subject.key) not in self._wanted:
            self._wanted.add((place, subject.key))
            outbox.want(
                self._tx,
                place,
                subject.key,
                kind,
                project_id=project_id,
                subject_id=subject.id,
                thread_key=root_key if subject.in_thread else None,
                now=self._now,
            )
