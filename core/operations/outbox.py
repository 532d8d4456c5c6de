"""Cards on their way: wanted in the transaction of what they tell, delivered after it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from core.domain.cards import Card, CardKind
from core.ports.chat import Place
from core.store.chat_tables import OutboxItem, ProjectPlace

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
    now: datetime,
) -> None:
    """A live card shall be posted, or brought up to date where it stands."""
    item = _at(tx, place, key)
    if item is not None:
        if item.wanted == item.built:
            item.wanted_at = now
        item.wanted += 1
        item.failed_at = None
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
    thread_key: str | None = None,
    project_id: int | None = None,
    now: datetime,
) -> None:
    """Post a card whose words are fixed now; the same key at one place is said once."""
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
            wanted_at=now,
        )
    )
    tx.flush()


def resay(tx: Session, card: Card, *, now: datetime) -> None:
    """New words for a card that was said, wherever it stands."""
    for item in tx.scalars(
        select(OutboxItem).where(OutboxItem.key == card.key, OutboxItem.card.is_not(None))
    ):
        if item.wanted == item.built:
            item.wanted_at = now
        item.card = _CARD.dump_python(card, mode="json")
        item.wanted += 1
        item.failed_at = None


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
    message: str | None
    attempts: int
    wanted_at: datetime


def due(tx: Session, platform: str, *, now: datetime, limit: int = 50) -> tuple[Due, ...]:
    """Cards of a platform that wait, oldest first; a thread waits for its root."""
    rows = tx.scalars(
        select(OutboxItem)
        .where(
            OutboxItem.platform == platform,
            OutboxItem.wanted != OutboxItem.built,
            OutboxItem.failed_at.is_(None),
            or_(OutboxItem.not_before.is_(None), OutboxItem.not_before <= now),
        )
        .order_by(OutboxItem.id)
        .limit(limit)
    )
    found = []
    for row in rows:
        thread = row.thread
        if row.thread_key is not None and row.thread_key != row.key:
            root = _at(tx, Place(platform, row.channel), row.thread_key)
            if root is None or root.message is None:
                continue
            thread = root.message
        found.append(
            Due(
                id=row.id,
                place=Place(platform, row.channel, thread),
                key=row.key,
                kind=row.kind,
                project_id=row.project_id,
                subject_id=row.subject_id,
                fixed=_CARD.validate_python(row.card) if row.card else None,
                private_to=row.private_to,
                wanted=row.wanted,
                message=row.message,
                attempts=row.attempts,
                wanted_at=row.wanted_at,
            )
        )
    return tuple(found)


def next_due(tx: Session, platform: str, *, now: datetime) -> datetime | None:
    """When the next waiting card may go out that may not yet."""
    return tx.scalars(
        select(OutboxItem.not_before)
        .where(
            OutboxItem.platform == platform,
            OutboxItem.wanted != OutboxItem.built,
            OutboxItem.failed_at.is_(None),
            OutboxItem.not_before > now,
        )
        .order_by(OutboxItem.not_before)
        .limit(1)
    ).first()


def delivered(
    tx: Session, item_id: int, built: int, message: str, *, not_before: datetime, now: datetime
) -> None:
    """It stands there as of wish `built`; its next edit waits until `not_before`."""
    item = tx.get_one(OutboxItem, item_id)
    item.built = max(item.built, built)
    item.message = message
    item.attempts = 0
    item.error = None
    item.delivered_at = now
    item.not_before = not_before
    if item.wanted != item.built:
        item.wanted_at = now


def failed(
    tx: Session, item_id: int, error: str, *, retry_at: datetime | None, now: datetime
) -> None:
    """It could not be delivered; `retry_at` None: given up."""
    item = tx.get_one(OutboxItem, item_id)
    item.attempts += 1
    item.error = error[:2000]
    item.not_before = retry_at
    if retry_at is None:
        item.failed_at = now


def root_key(slug: str) -> str:
    """The key of the card whose message is a project's thread."""
    return f"interview:{slug}"


def place_of(tx: Session, project_id: int) -> tuple[Place, str] | None:
    """A project's channel and its root card's key; None for one that was made in a terminal."""
    row = tx.get(ProjectPlace, project_id)
    return (Place(row.platform, row.channel), row.root_key) if row else None


def card_json(card: Card) -> dict[str, Any]:
    return dict(_CARD.dump_python(card, mode="json"))
