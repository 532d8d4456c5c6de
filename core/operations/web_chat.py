"""The web chat's own messages: posted once per card and channel, edited in place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, false, func, or_, select
from sqlalchemy.orm import Session

from core.domain.cards import Card, CardKind
from core.domain.lifecycle import InquiryStatus
from core.domain.messages import ChannelLine, FileLine, Message
from core.errors import InputError, NotFound
from core.operations import inbox, inquiries, outbox
from core.ports.chat import Asked, Attachment, Content, Inbound, Outcome, Place, Said
from core.store.chat_tables import (
    Channel,
    InboxItem,
    OutboxItem,
    ProjectPlace,
    WebFile,
    WebMessage,
)

BOT = "autocoder"
PLATFORM = "web"
TEXT_LIMIT = 100_000
COMMAND = "/autocoder"
MENTION = "@autocoder"
_CARD: TypeAdapter[Card] = TypeAdapter(Card)


def said(
    tx: Session,
    channel: str,
    person: str,
    text: str,
    *,
    thread: int | None,
    file_ids: Sequence[str] = (),
    client_id: str | None = None,
    now: datetime,
) -> Inbound:
    """A person's message, written with its delivery; the same client_id again is the same one."""
    delivery = f"{person}:{client_id}" if client_id else token_hex(16)
    known = tx.scalars(
        select(InboxItem).where(InboxItem.platform == PLATFORM, InboxItem.delivery == delivery)
    ).first()
    if known is not None:
        return inbox.load(tx, known.id)
    root = _root(tx, channel, thread)
    files = [_file(tx, channel, file_id) for file_id in file_ids]
    change = _next_change(tx)
    row = WebMessage(
        channel=channel,
        thread=root,
        author=person,
        text=text,
        files=[{"id": f.id, "name": f.name, "size": f.size} for f in files],
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
        content=content_of(text, tuple(Attachment(f.id, f.name, f.size) for f in files)),
        message=str(row.id),
    )


def content_of(text: str, files: tuple[Attachment, ...] = ()) -> Content:
    """A command, a mention (which is `ask`), or a plain message."""
    plain = text.strip()
    word, _, rest = plain.partition(" ")
    if word.lower() == COMMAND:
        return Asked(rest.strip())
    if word.lower().rstrip(",:") == MENTION:
        return Asked(f"ask {rest.strip()}")
    return Said(text, files)


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
        edit(tx, standing.id, card, now=now)
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


def edit(tx: Session, message_id: int, card: Card, *, now: datetime) -> None:
    """Bring a card up to date; an edit that changes nothing is none."""
    row = tx.get_one(WebMessage, message_id)
    content = outbox.card_json(card)
    if row.card == content and row.text == card.fallback:
        return
    row.card = content
    row.text = card.fallback
    row.revision += 1
    row.edited_at = now
    row.changed = _next_change(tx)


def after(
    tx: Session, channel: str, reader: str, *, after_id: int, limit: int
) -> tuple[Message, ...]:
    """Messages with a greater id that `reader` may see, in their current state."""
    rows = tx.scalars(
        select(WebMessage)
        .where(WebMessage.channel == channel, WebMessage.id > after_id, seen_by(reader))
        .order_by(WebMessage.id)
        .limit(limit)
    )
    return tuple(view(row) for row in rows)


def before(
    tx: Session, channel: str, reader: str, *, before_id: int | None, thread: int | None, limit: int
) -> tuple[Message, ...]:
    """The newest messages of a channel or a thread (its root with it), oldest first."""
    query = select(WebMessage).where(WebMessage.channel == channel, seen_by(reader))
    if thread is None:
        query = query.where(WebMessage.thread.is_(None))
    else:
        query = query.where(or_(WebMessage.thread == thread, WebMessage.id == thread))
    if before_id is not None:
        query = query.where(WebMessage.id < before_id)
    rows = tx.scalars(query.order_by(WebMessage.id.desc()).limit(limit)).all()
    return tuple(view(row) for row in reversed(rows))


def changes(tx: Session, channel: str, *, since: int, limit: int = 200) -> tuple[Message, ...]:
    """What was posted or edited after the change `since`, in the order of the changes.

    For all readers: whoever passes it on leaves out what is private to others.
    """
    rows = tx.scalars(
        select(WebMessage)
        .where(WebMessage.channel == channel, WebMessage.changed > since)
        .order_by(WebMessage.changed)
        .limit(limit)
    )
    return tuple(view(row) for row in rows)


def last_change(tx: Session) -> int:
    return tx.scalar(select(func.max(WebMessage.changed))) or 0


def known_file(tx: Session, file_id: str) -> FileLine:
    row = tx.get(WebFile, file_id)
    if row is None:
        raise NotFound(f"There is no file {file_id[:40]!r}.")
    return FileLine(row.id, row.name, row.size)


def channels(tx: Session) -> tuple[ChannelLine, ...]:
    """The web channels that exist, by name."""
    rows = tx.execute(
        select(
            Channel.name,
            select(func.max(WebMessage.id))
            .where(WebMessage.channel == Channel.name)
            .scalar_subquery(),
            select(func.count())
            .where(ProjectPlace.platform == PLATFORM, ProjectPlace.channel == Channel.name)
            .scalar_subquery(),
        )
        .where(Channel.platform == PLATFORM)
        .order_by(Channel.name)
    )
    return tuple(ChannelLine(name, last or 0, projects or 0) for name, last, projects in rows)


def add_file(
    tx: Session,
    channel: str,
    name: str,
    size: int,
    media_type: str,
    *,
    by: str,
    file_id: str,
    now: datetime,
) -> FileLine:
    """Make a file known whose bytes lie in the home already."""
    tx.add(
        WebFile(
            id=file_id, channel=channel, name=name, size=size, media_type=media_type, by=by,
            created_at=now,
        )
    )  # fmt: skip
    return FileLine(file_id, name, size)


def _file(tx: Session, channel: str, file_id: str) -> WebFile:
    row = tx.get(WebFile, file_id)
    if row is None or row.channel != channel:
        raise InputError(f"There is no file {file_id[:40]!r} in this channel.")
    return row


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
    return last_change(tx) + 1


def seen_by(reader: str) -> ColumnElement[bool]:
    return or_(WebMessage.private_to.is_(None), WebMessage.private_to == reader)


def view(row: WebMessage) -> Message:
    return Message(
        id=row.id,
        channel=row.channel,
        thread=row.thread,
        author=row.author,
        text=row.text,
        private_to=row.private_to,
        revision=row.revision,
        created_at=row.created_at,
        edited_at=row.edited_at,
        deleted=row.deleted,
        card=_CARD.validate_python(row.card) if row.card else None,
        files=tuple(FileLine(f["id"], f["name"], f["size"]) for f in row.files),
        changed=row.changed,
        posted=row.posted,
    )


def where(tx: Session, message_id: int) -> Place | None:
    """The channel and thread a message stands in."""
    row = tx.get(WebMessage, message_id)
    if row is None:
        return None
    return Place(PLATFORM, row.channel, str(row.thread) if row.thread else None)


@dataclass(frozen=True)
class Echo:
    """What came of a person's message so far."""

    outcome: Outcome | None  # None: it was not acted upon yet
    answers: tuple[Message, ...]  # to this person's command
    complete: bool  # acted upon, and every answer stands in the chat


def echo(tx: Session, channel: str, message_id: int, reader: str) -> Echo:
    item = tx.scalars(
        select(InboxItem).where(
            InboxItem.platform == PLATFORM,
            InboxItem.channel == channel,
            InboxItem.message == str(message_id),
        )
    ).first()
    if item is None or item.person != reader:  # what came of it is for whoever said it
        raise NotFound(f"There is no message {message_id} of yours in this channel.")
    keys = [f"{kind}:{item.id}" for kind in (CardKind.ANSWER, CardKind.ERROR, CardKind.HELP)]
    outcome = inbox.outcome_of(tx, item.id)
    waiting = tx.scalars(
        select(OutboxItem.id).where(
            OutboxItem.platform == PLATFORM,
            OutboxItem.channel == channel,
            OutboxItem.key.in_(keys),
            or_(OutboxItem.message.is_(None), OutboxItem.built != OutboxItem.wanted),
            OutboxItem.failed_at.is_(None),
        )
    ).first()
    rows = tx.scalars(
        select(WebMessage)
        .where(WebMessage.channel == channel, WebMessage.key.in_(keys), seen_by(reader))
        .order_by(WebMessage.id)
    )
    asked = inquiries.of_delivery(tx, item.id)
    answered = asked is None or asked.status is not InquiryStatus.OPEN
    complete = outcome is not None and waiting is None and answered
    return Echo(outcome, tuple(map(view, rows)), complete)
