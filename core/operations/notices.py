"""Turning what the journal says into cards that are wanted, and open decisions into reminders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain import card_keys, notices
from core.domain.cards import CardKind
from core.domain.lifecycle import ApprovalKind, ApprovalStatus, ProjectStatus
from core.domain.notices import Wish
from core.operations import outbox
from core.ports.chat import Place
from core.store.chat_tables import Interview, Told
from core.store.tables import (
    Approval,
    Feature,
    JournalEntry,
    Plan,
    Project,
    Question,
    Task,
)
from core.views import projects

TABLE = JournalEntry.__tablename__  # it is written whenever there is something to tell
BATCH = 500  # journal entries in one transaction
_AT_WORK = (ProjectStatus.INTERVIEWING, ProjectStatus.PLANNING, ProjectStatus.RUNNING)


@dataclass(frozen=True)
class _Home:
    """Where a project's cards stand."""

    project_id: int
    slug: str
    place: Place
    root_key: str


def untold(tx: Session) -> bool:
    """Whether `tell` has something to do."""
    last = tx.scalar(select(func.max(JournalEntry.id))) or 0
    told = tx.get(Told, 1)
    return last > (told.entry_id if told else 0)


def begin(tx: Session) -> None:
    """Where nothing was ever told, only what happens from now on is news."""
    if tx.get(Told, 1) is None:
        tx.add(Told(id=1, entry_id=tx.scalar(select(func.max(JournalEntry.id))) or 0))


def tell(tx: Session, *, now: datetime) -> bool:
    """Want the cards of the next journal entries; True while more of them may be left.

    The cursor moves in the same transaction, so each entry is told once.
    """
    told = tx.get(Told, 1)
    if told is None:
        told = Told(id=1, entry_id=0)
        tx.add(told)
    last = tx.scalar(select(func.max(JournalEntry.id))) or 0
    entries = tx.scalars(
        select(JournalEntry)
        .where(
            JournalEntry.id > told.entry_id,
            JournalEntry.event.in_(notices.TOLD),
        )
        .order_by(JournalEntry.id)
        .limit(BATCH)
    ).all()
    more = len(entries) == BATCH
    told.entry_id = entries[-1].id if more else last
    teller = _Teller(tx, now)
    for entry in entries:
        for wish in notices.wishes(entry.event):
            for home in teller.homes(wish, entry):
                teller.grant(home, wish, entry)
    return more


class _Teller:
    """One batch: a card that many entries change is wanted once."""

    def __init__(self, tx: Session, now: datetime) -> None:
        self._tx = tx
        self._now = now
        self._homes: dict[int, tuple[_Home, ...]] = {}
        self._wanted: set[tuple[Place, str]] = set()
        self._numbers: dict[tuple[int, CardKind, int], int] = {}
        self._refreshed: set[tuple[int, CardKind, int | None]] = set()

    def homes(self, wish: Wish, entry: JournalEntry) -> Sequence[_Home]:
        if not wish.everywhere:
            return self._homes_of(entry.project_id) if entry.project_id else ()
        ids = self._tx.scalars(
            select(Project.id).where(Project.status.in_(_AT_WORK)).order_by(Project.id)
        )
        return [home for project_id in ids.all() for home in self._homes_of(project_id)]

    def _homes_of(self, project_id: int) -> Sequence[_Home]:
        if project_id not in self._homes:
            slug = self._tx.get_one(Project, project_id).slug
            self._homes[project_id] = tuple(
                _Home(project_id, slug, place, root)
                for place, root in projects.places_of(self._tx, project_id)
            )
        return self._homes[project_id]

    def grant(self, home: _Home, wish: Wish, entry: JournalEntry) -> None:
        """Want the card of one wish; which one it is, the entry says."""
        match wish.kind:
            case CardKind.INTERVIEW:
                if wish.post:
                    self._interview(home, entry)
                else:
                    self._refresh(home, wish.kind)
            case CardKind.PROGRESS:
                if wish.post:
                    key = card_keys.progress(home.slug)
                    self._want(home, wish.kind, key, home.project_id, in_thread=False)
                else:
                    self._refresh(home, wish.kind)
            case CardKind.QUESTION:
                question = self._question(entry)
                if question is not None and not wish.post:
                    self._refresh(home, wish.kind, question)
                elif question is not None:
                    self._want(home, wish.kind, card_keys.question(home.slug, question), question)
            case CardKind.SPEC:
                self._spec(home, entry)
            case CardKind.PLAN:
                self._plans(home)
            case CardKind.GATE:
                self._gate(home, entry)
            case CardKind.LANDED:
                feature = self._tx.get(Feature, entry.feature_id) if entry.feature_id else None
                if feature is not None:
                    key = card_keys.landed(home.slug, feature.slug)
                    self._want(home, wish.kind, key, feature.id)
            case CardKind.STUCK:
                self._stuck(home, wish, entry)
            case CardKind.BUDGET | CardKind.LIMIT | CardKind.REPORT | CardKind.ERROR:
                if not wish.post:
                    self._refresh(home, wish.kind)
                    return
                if wish.kind is not CardKind.REPORT:  # which tells of its day for good
                    self._refresh(home, wish.kind)  # an earlier one is not the one to act upon
                number = self._next(home, wish.kind, entry)
                key = card_keys.counted(wish.kind, home.slug, number)
                self._want(home, wish.kind, key, entry.id)
            case CardKind.DIGEST | CardKind.NOTICE | CardKind.ANSWER | CardKind.HELP:
                pass  # asked for or timed, never told by an event
            case _:
                assert_never(wish.kind)

    def _question(self, entry: JournalEntry) -> int | None:
        known = self._tx.get(Question, entry.data.get("question") or 0)
        return known.id if known else None

    def _number(self, entry: JournalEntry) -> int:
        """Which interview of its project an entry tells of; 0 is the project's own."""
        interview = self._tx.get(Interview, entry.data.get("interview") or 0)
        return interview.number if interview else 0

    def _interview(self, home: _Home, entry: JournalEntry) -> None:
        number = self._number(entry)
        key = card_keys.interview(home.slug, number)
        self._want(home, CardKind.INTERVIEW, key, home.project_id, in_thread=number > 0)

    def _spec(self, home: _Home, entry: JournalEntry) -> None:
        key = card_keys.spec(home.slug, self._number(entry))
        self._want(home, CardKind.SPEC, key, entry.id)

    def _plans(self, home: _Home) -> None:
        """Every plan has its card, also one that was replaced before it was told of."""
        rows = self._tx.scalars(
            select(Plan).where(Plan.project_id == home.project_id).order_by(Plan.version)
        )
        for plan in rows.all():
            self._refresh(home, CardKind.PLAN, plan.id)
            self._want(home, CardKind.PLAN, card_keys.plan(home.slug, plan.version), plan.id)

    def _gate(self, home: _Home, entry: JournalEntry) -> None:
        approvals = self._tx.scalars(
            select(Approval)
            .where(
                Approval.project_id == home.project_id,
                Approval.kind == ApprovalKind.GATE,
                Approval.subject_id == entry.phase_id,
            )
            .order_by(Approval.id)
        )
        for approval in approvals.all():
            self._refresh(home, CardKind.GATE, approval.id)
            self._want(home, CardKind.GATE, card_keys.gate(home.slug, approval.id), approval.id)

    def _stuck(self, home: _Home, wish: Wish, entry: JournalEntry) -> None:
        task = self._tx.get(Task, entry.task_id) if entry.task_id else None
        if task is None:
            return
        self._refresh(home, CardKind.STUCK, task.id)
        if wish.post:
            times = self._next(home, CardKind.STUCK, entry, task.id)
            key = card_keys.stuck(home.slug, task.number, times)
            self._want(home, CardKind.STUCK, key, task.id)

    def _next(
        self, home: _Home, kind: CardKind, entry: JournalEntry, subject_id: int | None = None
    ) -> int:
        """The number of an entry's card among its like; the same in every place."""
        known = home.project_id, kind, entry.id
        if known not in self._numbers:
            self._numbers[known] = outbox.count(self._tx, home.project_id, kind, subject_id) + 1
        return self._numbers[known]

    def _refresh(self, home: _Home, kind: CardKind, subject_id: int | None = None) -> None:
        if (home.project_id, kind, subject_id) not in self._refreshed:
            self._refreshed.add((home.project_id, kind, subject_id))
            outbox.refresh(self._tx, home.project_id, kind, subject_id, now=self._now)

    def _want(
        self, home: _Home, kind: CardKind, key: str, subject_id: int, *, in_thread: bool = True
    ) -> None:
        if (home.place, key) in self._wanted:
            return
        self._wanted.add((home.place, key))
        outbox.want(
            self._tx,
            home.place,
            key,
            kind,
            project_id=home.project_id,
            subject_id=subject_id,
            thread_key=home.root_key if in_thread else None,
            now=self._now,
        )


def next_reminder(tx: Session, after: timedelta) -> datetime | None:
    """When somebody is next reminded of a plan or a gate that waits."""
    moments = [
        (approval.reminded_at or approval.opened_at) + after for approval in _waiting_decisions(tx)
    ]
    return min(moments, default=None)


def remind(tx: Session, after: timedelta, *, now: datetime) -> None:
    """A line in the thread for each decision that waits `after` since it was last called to mind.

    However long the service was away, it is one reminder.
    """
    for approval in _waiting_decisions(tx):
        if (approval.reminded_at or approval.opened_at) + after > now:
            continue
        approval.reminded_at = now
        slug = tx.get_one(Project, approval.project_id).slug
        kind, subject, key = _decision_card(tx, approval, slug)
        outbox.refresh(tx, approval.project_id, kind, subject, now=now)
        number = outbox.count(tx, approval.project_id, kind, subject)
        for place, root in projects.places_of(tx, approval.project_id):
            outbox.want(
                tx,
                place,
                card_keys.reminder(key, number),
                kind,
                project_id=approval.project_id,
                subject_id=subject,
                thread_key=root,
                now=now,
            )


def _waiting_decisions(tx: Session) -> Sequence[Approval]:
    return tx.scalars(
        select(Approval).where(Approval.status == ApprovalStatus.OPEN).order_by(Approval.id)
    ).all()


def _decision_card(tx: Session, approval: Approval, slug: str) -> tuple[CardKind, int, str]:
    match approval.kind:
        case ApprovalKind.PLAN:
            key = card_keys.plan(slug, int(approval.version))
            return CardKind.PLAN, approval.subject_id, key
        case ApprovalKind.GATE:
            return CardKind.GATE, approval.id, card_keys.gate(slug, approval.id)
        case _:
            assert_never(approval.kind)
