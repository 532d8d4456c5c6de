"""Cards on their way: wanted in the transaction of what they tell, delivered after it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import and_, bindparam, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from core.domain.cards import Card, CardKind
from core.domain.events import Event, Level
from core.operations import journal
from core.ports.chat import Place
from core.store.chat_tables import OutboxItem, ProjectPlace
from core.store.tables import Project

BACKOFF_MAX = timedelta(minutes=5)  # longest wait after a card could not be shown
_CARD: TypeAdapter[Card] = TypeAdapter(Card)


def want(
    tx: Session,
    place: Place,
    key: str,
    kind: CardKind,
    *,
    project_id: int | None = None,
    subject_id: int | None = None,
    thread_key: str | None = None,
    anew: bool = False,
    now: datetime,
) -> None:
    """A live card shall be posted, or brought up to date where it stands.

    `anew`: what was posted there can be seen no more.
    """
    item = _at(tx, place, key)
    if item is not None:
        if anew and item.message is not None:
            item.message = item.digest = None
            item.again += 1
        _want_again(item, now)
        return
    tx.add(
        OutboxItem(
            platform=place.platform,
            channel=place.channel,
            thread=place.thread,
            thread_key=thread_key,
            key=key,
            kind=kind,
            project_id=project_id,
            subject_id=subject_id,
            wanted_at=now,
        )
    )
    tx.flush()


def say(
    tx: Session,
    place: Place,
    card: Card,
    *,
    private_to: str | None = None,
    reply: str | None = None,
    thread_key: str | None = None,
    project_id: int | None = None,
    now: datetime,
) -> None:
    """Post a card whose words are fixed now; the same key at one place is said once.

    `reply` is the handle of the delivery that it answers.
    """
    if _at(tx, place, card.key) is not None:
        return
    tx.add(
        OutboxItem(
            platform=place.platform,
            channel=place.channel,
            thread=place.thread,
            thread_key=thread_key,
            key=card.key,
            kind=card.kind,
            project_id=project_id,
            card=_CARD.dump_python(card, mode="json"),
            private_to=private_to,
            reply=reply,
            wanted_at=now,
        )
    )
    tx.flush()


def resay(tx: Session, place: Place, card: Card, *, now: datetime) -> None:
    """New words for a card that was said in this channel."""
    item = _at(tx, place, card.key)
    if item is not None:
        item.card = _CARD.dump_python(card, mode="json")
        _want_again(item, now)


def drop(tx: Session, place: Place) -> None:
    """Nothing is on its way to a channel any more: nobody looked there since it was wanted."""
    tx.execute(
        update(OutboxItem)
        .where(
            OutboxItem.platform == place.platform,
            OutboxItem.channel == place.channel,
            OutboxItem.wanted != OutboxItem.built,
        )
        .values(built=OutboxItem.wanted)
    )


def _at(tx: Session, place: Place, key: str) -> OutboxItem | None:
    return tx.scalars(
        select(OutboxItem).where(
            OutboxItem.platform == place.platform,
            OutboxItem.channel == place.channel,
            OutboxItem.key == key,
        )
    ).first()


@dataclass(frozen=True)
class Due:
    """One card to deliver now."""

    id: int
    place: Place  # its thread resolved
    key: str
    kind: CardKind
    project_id: int | None
    subject_id: int | None
    fixed: Card | None
    private_to: str | None
    wanted: int
    built: int  # the wish that stands there; as `wanted`, where only the clock made it stale
    message: str | None
    digest: str | None  # of what stands there
    attempts: int
    wanted_at: datetime


# Built once: to build them takes longer than to run them, and they are asked for all the time.
_ROOT = aliased(OutboxItem)
_NOW = bindparam("now", type_=OutboxItem.not_before.type)
_FREE = or_(  # it waits for nothing, or for a moment of a clock that was set back since
    OutboxItem.not_before.is_(None),
    OutboxItem.not_before <= _NOW,
    OutboxItem.delivered_at > _NOW,
    and_(
        OutboxItem.attempts > 0,
        OutboxItem.not_before > bindparam("longest", type_=OutboxItem.not_before.type),
    ),
)
_WAITING = (
    select(OutboxItem, _ROOT.message)
    .outerjoin(
        _ROOT,
        (_ROOT.platform == OutboxItem.platform)
        & (_ROOT.channel == OutboxItem.channel)
        & (_ROOT.key == OutboxItem.thread_key)
        & (_ROOT.id != OutboxItem.id),
    )
    .where(
        OutboxItem.platform == bindparam("platform"),
        OutboxItem.failed_at.is_(None),
        _FREE,
        or_(_ROOT.id.is_(None), _ROOT.message.is_not(None)),
        or_(
            OutboxItem.thread_key.is_(None),
            OutboxItem.thread_key == OutboxItem.key,
            _ROOT.id.is_not(None),
        ),
    )
    .order_by(OutboxItem.id)
    .limit(bindparam("most"))
)
_WANTED = _WAITING.where(OutboxItem.wanted != OutboxItem.built)
_STALE = _WAITING.where(OutboxItem.again_at <= _NOW, OutboxItem.wanted == OutboxItem.built)
_STANDING = select(OutboxItem).where(
    OutboxItem.platform == bindparam("platform"),
    OutboxItem.project_id.in_(bindparam("projects", expanding=True)),
    OutboxItem.kind == bindparam("kind"),
    OutboxItem.message.is_not(None),
    OutboxItem.failed_at.is_(None),
    _FREE,
)
_OPEN = select(OutboxItem).where(
    OutboxItem.platform == bindparam("platform"), OutboxItem.failed_at.is_(None)
)
_HELD = _OPEN.with_only_columns(func.min(OutboxItem.not_before)).where(
    OutboxItem.wanted != OutboxItem.built, OutboxItem.not_before > _NOW
)
_AGAIN = _OPEN.with_only_columns(OutboxItem.again_at, OutboxItem.not_before).where(
    OutboxItem.again_at.is_not(None)
)


def due(tx: Session, platform: str, *, now: datetime, limit: int = 50) -> tuple[Due, ...]:
    """Cards of a platform that wait, oldest first; a thread waits for its root."""
    asked = {"platform": platform, "now": now, "longest": now + BACKOFF_MAX, "most": limit}
    wanted = tx.execute(_WANTED, asked).all()
    return tuple(_due(row, message) for row, message in (*wanted, *tx.execute(_STALE, asked)))


def standing(
    tx: Session, platform: str, kind: CardKind, project_ids: Collection[int], *, now: datetime
) -> tuple[Due, ...]:
    """Cards of these projects that stand there and may be edited now, wanted or not."""
    asked = {
        "platform": platform,
        "projects": list(project_ids),
        "kind": kind,
        "now": now,
        "longest": now + BACKOFF_MAX,
    }
    return tuple(_due(row, None) for row in tx.scalars(_STANDING, asked))


def _due(row: OutboxItem, root_message: str | None) -> Due:
    return Due(
        id=row.id,
        place=Place(row.platform, row.channel, root_message or row.thread),
        key=row.key,
        kind=row.kind,
        project_id=row.project_id,
        subject_id=row.subject_id,
        fixed=_CARD.validate_python(row.card) if row.card else None,
        private_to=row.private_to,
        wanted=row.wanted,
        built=row.built,
        message=row.message,
        digest=row.digest,
        attempts=row.attempts,
        wanted_at=row.wanted_at,
    )


def next_due(tx: Session, platform: str, *, now: datetime) -> datetime | None:
    """When the next card may go out that waits, or the clock makes one stale."""
    asked = {"platform": platform, "now": now}
    held = tx.scalar(_HELD, asked)
    again = tx.execute(_AGAIN, asked)
    stale = (max(at, free or at) for at, free in again if at is not None)
    moments = [moment for moment in (held, *stale) if moment is not None and moment > now]
    return min(moments, default=None)


def delivered(
    tx: Session,
    item_id: int,
    built: int,
    message: str,
    *,
    digest: str | None = None,
    not_before: datetime,
    again_at: datetime | None = None,
    now: datetime,
) -> None:
    """It stands there as of wish `built`; its next edit waits until `not_before`.

    `digest` tells its content from another; `again_at`: the clock makes it stale then.
    """
    item = tx.get_one(OutboxItem, item_id)
    item.built = max(item.built, built)
    item.message = message
    item.digest = digest
    item.attempts = 0
    item.error = None
    item.delivered_at = now
    item.not_before = not_before
    item.again_at = again_at
    if item.wanted != item.built:
        item.wanted_at = now


def failed(
    tx: Session, item_id: int, error: str, *, retry_at: datetime | None, now: datetime
) -> None:
    """It could not be delivered; `retry_at` None: given up, which the journal keeps."""
    item = tx.get_one(OutboxItem, item_id)
    item.attempts += 1
    item.error = error[:2000]
    item.not_before = retry_at
    if retry_at is None:
        item.failed_at = now
        item.again_at = None
        project = tx.get(Project, item.project_id) if item.project_id else None
        journal.record(
            tx,
            Event.CARD_GIVEN_UP,
            f"The card {item.key} could not be shown in {item.platform}:{item.channel} after"
            f" {item.attempts} tries: {error[:300]}",
            now=now,
            level=Level.WARNING,
            project=project,
            data={"key": item.key},
        )


def refresh(tx: Session, project_id: int, kind: CardKind, subject_id: int | None = None, *,
            now: datetime) -> None:  # fmt: skip
    """Bring what stands of this kind (and subject) up to date; nothing is posted."""
    query = select(OutboxItem).where(
        OutboxItem.project_id == project_id, OutboxItem.kind == kind, OutboxItem.card.is_(None)
    )
    if subject_id is not None:
        query = query.where(OutboxItem.subject_id == subject_id)
    for item in tx.scalars(query):
        _want_again(item, now)


def count(tx: Session, project_id: int, kind: CardKind, subject_id: int | None = None) -> int:
    """How many cards of this kind (and subject) a project ever had; one in two channels is one."""
    query = select(func.count(OutboxItem.key.distinct())).where(
        OutboxItem.project_id == project_id, OutboxItem.kind == kind
    )
    if subject_id is not None:
        query = query.where(OutboxItem.subject_id == subject_id)
    return tx.scalar(query) or 0


def _want_again(item: OutboxItem, now: datetime) -> None:
    if item.wanted == item.built:
        item.wanted_at = now
    item.wanted += 1
    item.failed_at = None


def message_of(tx: Session, place: Place, key: str) -> str | None:
    """The message a card stands in, once it was posted in this channel."""
    item = _at(tx, place, key)
    return item.message if item else None


def place_of(tx: Session, project_id: int) -> tuple[Place, str] | None:
    """A project's channel and its root card's key; None for one that was made in a terminal."""
    return next(iter(places_of(tx, project_id)), None)


def places_of(tx: Session, project_id: int) -> tuple[tuple[Place, str], ...]:
    """Every channel a project lives in, first the one it was made in, with its root card's key."""
    rows = tx.scalars(
        select(ProjectPlace)
        .where(ProjectPlace.project_id == project_id)
        .order_by(ProjectPlace.position)
    )
    return tuple((Place(row.platform, row.channel), row.root_key) for row in rows)


def card_json(card: Card) -> dict[str, Any]:
    return dict(_CARD.dump_python(card, mode="json"))
