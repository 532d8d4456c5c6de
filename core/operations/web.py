"""The web chat's own rows: what people say, cards posted once per channel and edited in place."""

from collections.abc import Sequence
from datetime import datetime
from secrets import token_hex, token_urlsafe

from sqlalchemy import false, select
from sqlalchemy.orm import Session

from core.domain.cards import Card
from core.domain.people import Role, hashed
from core.errors import InputError, MessageGone
from core.operations import inbox, members, outbox
from core.ports.chat import Attachment, Inbound, Place, content_of
from core.store.chat_tables import InboxItem, Member, WebFile, WebMessage
from core.views import messages
from core.views.messages import PLATFORM

BOT = "autocoder"


def say(
    tx: Session,
    channel: str,
    person: str,
    text: str,
    *,
    thread: int | None,
    files: Sequence[str] = (),
    client_id: str | None = None,
    now: datetime,
) -> Inbound:
    """Write a person's message; it is the delivery it makes. The same client_id: the same one."""
    delivery = f"{person}:{client_id}" if client_id else token_hex(16)
    known = tx.scalars(
        select(InboxItem.id).where(InboxItem.platform == PLATFORM, InboxItem.delivery == delivery)
    ).first()
    if known is not None:
        return inbox.load(tx, known)
    root = _root(tx, channel, thread)
    attached = tuple(_file(tx, channel, file_id) for file_id in files)
    change = _next_change(tx)
    row = WebMessage(
        channel=channel,
        thread=root,
        author=person,
        text=text,
        files=[{"id": f.id, "name": f.name, "size": f.size} for f in attached],
        created_at=now,
        changed=change,
        posted=change,
    )
    tx.add(row)
    tx.flush()
    return Inbound(
        delivery=delivery,
        person=person,
        place=Place(PLATFORM, channel, str(root) if root else None),
        content=content_of(text, attached),
        message=str(row.id),
    )


def post(tx: Session, place: Place, card: Card, *, private_to: str | None, now: datetime) -> str:
    """Post a card, or find the one of this key that stands there; the message's id."""
    standing = tx.scalars(
        select(WebMessage).where(
            WebMessage.channel == place.channel,
            WebMessage.key == card.key,
            WebMessage.deleted == false(),  # as the index of cards says it
        )
    ).first()
    if standing is not None:
        _edit(tx, standing, card, now)
        return str(standing.id)
    change = _next_change(tx)
    row = WebMessage(
        channel=place.channel,
        thread=int(place.thread) if place.thread else None,
        author=BOT,
        text=card.fallback,
        private_to=private_to,
        key=card.key,
        card=outbox.card_json(card),
        files=[],
        created_at=now,
        changed=change,
        posted=change,
    )
    tx.add(row)
    tx.flush()
    return str(row.id)


def edit(tx: Session, message: str, card: Card, *, now: datetime) -> None:
    """Bring a card up to date; an edit that changes nothing is none."""
    row = tx.get(WebMessage, int(message)) if message.isdecimal() else None
    if row is None or row.deleted:
        raise MessageGone(f"There is no message {message!r}.")
    _edit(tx, row, card, now)


def _edit(tx: Session, row: WebMessage, card: Card, now: datetime) -> None:
    content = outbox.card_json(card)
    if row.card == content and row.text == card.fallback:
        return
    row.card = content
    row.text = card.fallback
    row.revision += 1
    row.edited_at = now
    row.changed = _next_change(tx)


def add_file(
    tx: Session, channel: str, name: str, size: int, *, by: str, file_id: str, now: datetime
) -> Attachment:
    """Make a file known whose bytes lie in the home already."""
    tx.add(
        WebFile(
            id=file_id,
            channel=channel,
            name=name,
            size=size,
            media_type="application/octet-stream",  # whatever it was said to be
            by=by,
            created_at=now,
        )
    )
    return Attachment(file_id, name, size)


def issue_token(tx: Session, person: str, role: Role, *, by: str, now: datetime) -> str:
    """Make a web person known, or known anew, and give their token; only its hash is kept."""
    members.set_role(tx, person, role, by=by, now=now)
    tx.flush()
    token = token_urlsafe(32)
    tx.get_one(Member, person).token_hash = hashed(token)
    return token


def _file(tx: Session, channel: str, file_id: str) -> Attachment:
    row = tx.get(WebFile, file_id)
    if row is None or row.channel != channel:
        raise InputError(f"There is no file {file_id!r} in this channel.")
    return Attachment(row.id, row.name, row.size)


def _root(tx: Session, channel: str, thread: int | None) -> int | None:
    """A thread is the id of its root; a reply to a reply goes to the same thread."""
    if thread is None:
        return None
    row = tx.get(WebMessage, thread)
    if row is None or row.channel != channel:
        raise InputError(f"There is no message {thread} in this channel.")
    return row.thread or row.id


def _next_change(tx: Session) -> int:
    tx.flush()
    return messages.last_change(tx) + 1
