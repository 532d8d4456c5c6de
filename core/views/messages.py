"""The web chat's own messages: channels, threads, streams, cards and files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, false, func, or_, select
from sqlalchemy.orm import Session

from core.domain.cards import (
    Button,
    Card,
    Field,
    Form,
    Input,
    Link,
    Picture,
    Press,
    Progress,
    Style,
    TableBlock,
    TextFile,
    Tone,
    parse_press,
)
from core.domain.events import CardKind
from core.domain.lifecycle import InquiryStatus
from core.domain.people import Role
from core.errors import InputError, NotFound
from core.ports.chat import Attachment, Place
from core.store.chat_tables import (
    Channel,
    InboxItem,
    Inquiry,
    OutboxItem,
    ProjectPlace,
    WebFile,
    WebMessage,
)
from core.views import members, projects
from core.views.json import Hidden, Utc

PLATFORM = "web"
MAIN = "main"  # the channel that is there before anybody spoke
_CARD: TypeAdapter[Card] = TypeAdapter(Card)
_WORDS = 10  # of a search
_STANDS = WebMessage.deleted == false()  # as the index of cards says it; `IS 0` reads a whole table


@dataclass(frozen=True)
class ButtonView:
    label: str
    action_id: str
    style: Style
    role: Role  # the least that may press
    form: Form | None
    press: Hidden[Press]


@dataclass(frozen=True)
class WholeView:
    """All of a text that a card shortens, to be fetched."""

    name: str
    url: str


@dataclass(frozen=True)
class ProgressView:
    done: int
    total: int
    active: Hidden[int] = 0
    stuck: Hidden[int] = 0


@dataclass(frozen=True, kw_only=True)
class CardView:
    key: str
    kind: CardKind
    project: str | None
    title: str
    body: str
    fields: Sequence[Field]
    progress: ProgressView | None
    pictures: Sequence[Picture]
    tone: Tone
    links: Sequence[Link]
    table: TableBlock | None
    whole: WholeView | None
    buttons: Sequence[ButtonView]
    inputs: Sequence[Input]


@dataclass(frozen=True, kw_only=True)
class MessageView:
    """A message as `GET …/messages`, the stream and the pages show it."""

    id: int
    channel: str
    thread: int | None
    author: str
    author_name: str
    text: str
    private_to: str | None
    revision: int
    created_at: Utc
    edited_at: Utc | None
    deleted: bool
    card: CardView | None
    files: Sequence[Attachment]
    changed: Hidden[int]  # its place in the stream of posts and edits
    posted: Hidden[int]  # its place when it was posted


@dataclass(frozen=True)
class ChannelView:
    name: str
    last_message: int
    projects: int


@dataclass(frozen=True)
class Standing:
    """Where a card stands."""

    channel: str
    thread: int | None
    id: int  # of the message


@dataclass(frozen=True)
class Replies:
    """What stands below a root message."""

    count: int
    last_at: datetime


@dataclass(frozen=True)
class PostResult:
    """What came of a person's message so far; `ok` None: it was not acted upon yet."""

    done: bool  # acted upon, and every answer stands in the chat
    ok: bool | None
    reason: str
    text: str
    answers: Sequence[MessageView]


def message(tx: Session, message_id: int, reader: str) -> MessageView | None:
    """One message that `reader` may see, in its current state."""
    rows = tx.scalars(select(WebMessage).where(WebMessage.id == message_id, _seen_by(reader)))
    return next(iter(_views(tx, rows)), None)


def after(
    tx: Session, channel: str, reader: str, *, after_id: int, limit: int
) -> tuple[MessageView, ...]:
    """Messages with a greater id that `reader` may see, in their current state."""
    rows = tx.scalars(
        select(WebMessage)
        .where(WebMessage.channel == channel, WebMessage.id > after_id, _seen_by(reader))
        .order_by(WebMessage.id)
        .limit(limit)
    )
    return _views(tx, rows)


def before(
    tx: Session, channel: str, reader: str, *, before_id: int | None, thread: int | None, limit: int
) -> tuple[MessageView, ...]:
    """The newest messages of a channel or a thread (its root with it), oldest first."""
    query = select(WebMessage).where(WebMessage.channel == channel, _seen_by(reader))
    if thread is None:
        query = query.where(WebMessage.thread.is_(None))
    else:
        query = query.where(or_(WebMessage.thread == thread, WebMessage.id == thread))
    if before_id is not None:
        query = query.where(WebMessage.id < before_id)
    rows = tx.scalars(query.order_by(WebMessage.id.desc()).limit(limit)).all()
    return _views(tx, reversed(rows))


def changes(tx: Session, channel: str, *, since: int, limit: int = 200) -> tuple[MessageView, ...]:
    """What was posted or edited after the change `since`, in the order of the changes.

    For all readers: whoever passes it on leaves out what is private to others.
    """
    rows = tx.scalars(
        select(WebMessage)
        .where(WebMessage.channel == channel, WebMessage.changed > since)
        .order_by(WebMessage.changed)
        .limit(limit)
    )
    return _views(tx, rows)


def last_change(tx: Session) -> int:
    return tx.scalar(select(func.max(WebMessage.changed))) or 0


def replies(tx: Session, roots: Sequence[int], reader: str) -> Mapping[int, Replies]:
    """How many replies stand below each of these; roots without one are left out."""
    rows = tx.execute(
        select(WebMessage.thread, func.count(), func.max(WebMessage.created_at))
        .where(WebMessage.thread.in_(roots), _STANDS, _seen_by(reader))
        .group_by(WebMessage.thread)
    )
    return {root: Replies(count, last) for root, count, last in rows if root is not None}


def search(tx: Session, words: str, reader: str, *, limit: int) -> tuple[MessageView, ...]:
    """The newest messages with every one of these words in them, in any case."""
    query = select(WebMessage).where(_seen_by(reader), _STANDS)
    for word in words.split()[:_WORDS]:
        query = query.where(WebMessage.text.icontains(word, autoescape=True))
    return _views(tx, tx.scalars(query.order_by(WebMessage.id.desc()).limit(limit)))


def channels(tx: Session) -> tuple[ChannelView, ...]:
    """The web channels that exist, by name."""
    newest = select(func.max(WebMessage.id)).where(WebMessage.channel == Channel.name)
    lives = select(func.count()).where(
        ProjectPlace.platform == PLATFORM, ProjectPlace.channel == Channel.name
    )
    rows = tx.execute(
        select(Channel.name, newest.scalar_subquery(), lives.scalar_subquery())
        .where(Channel.platform == PLATFORM)
        .order_by(Channel.name)
    )
    return tuple(ChannelView(name, last or 0, count or 0) for name, last, count in rows)


def file(tx: Session, file_id: str) -> Attachment:
    row = tx.get(WebFile, file_id)
    if row is None:
        raise NotFound(f"There is no file {file_id!r}.")
    return Attachment(row.id, row.name, row.size)


def place_of(tx: Session, message_id: int) -> Place | None:
    """The channel and thread a message stands in."""
    row = tx.get(WebMessage, message_id)
    if row is None:
        return None
    return Place(PLATFORM, row.channel, str(row.thread) if row.thread else None)


def home_of(tx: Session, project_id: int) -> Place:
    """The first channel of the web chat that a project lives in, else the main one."""
    places = (place for place, _root in projects.places_of(tx, project_id))
    return next((p for p in places if p.platform == PLATFORM), Place(PLATFORM, MAIN))


def standing(tx: Session, key: str, reader: str, *, near: str) -> Standing | None:
    """Where a card of this key stands: in the channel `near`, else in another one."""
    row = tx.execute(
        select(WebMessage.channel, WebMessage.thread, WebMessage.id)
        .where(
            WebMessage.channel.in_(select(Channel.name).where(Channel.platform == PLATFORM)),
            WebMessage.key == key,
            _STANDS,
            _seen_by(reader),
        )
        .order_by((WebMessage.channel == near).desc(), WebMessage.id.desc())
        .limit(1)
    ).first()
    return Standing(*row) if row else None


def whole(tx: Session, channel: str, message_id: int, reader: str) -> TextFile:
    """All of the text that a card shortens."""
    card = tx.scalars(
        select(WebMessage.card).where(
            WebMessage.id == message_id, WebMessage.channel == channel, _STANDS, _seen_by(reader)
        )
    ).one_or_none()
    found = _CARD.validate_python(card).whole if card else None
    if found is None:
        raise NotFound(f"Message {message_id} has no longer text in this channel.")
    return found


def echo(tx: Session, channel: str, message_id: int, reader: str) -> PostResult:
    """What came of a person's own message."""
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
    waiting = tx.scalars(
        select(OutboxItem.id).where(
            OutboxItem.platform == PLATFORM,
            OutboxItem.channel == channel,
            OutboxItem.key.in_(keys),
            or_(OutboxItem.message.is_(None), OutboxItem.built != OutboxItem.wanted),
            OutboxItem.failed_at.is_(None),
        )
    ).first()
    asked = tx.scalars(
        select(Inquiry.id).where(Inquiry.inbox_id == item.id, Inquiry.status == InquiryStatus.OPEN)
    ).first()
    rows = tx.scalars(
        select(WebMessage)
        .where(WebMessage.channel == channel, WebMessage.key.in_(keys), _seen_by(reader))
        .order_by(WebMessage.id)
    )
    result = item.result
    return PostResult(
        done=result is not None and waiting is None and asked is None,
        ok=result["ok"] if result else None,
        reason=result["reason"] if result else "",
        text=result["text"] if result else "",
        answers=_views(tx, rows),
    )


def _seen_by(reader: str) -> ColumnElement[bool]:
    return or_(WebMessage.private_to.is_(None), WebMessage.private_to == reader)


def _views(tx: Session, rows: Iterable[WebMessage]) -> tuple[MessageView, ...]:
    found = list(rows)
    names = members.names_of(tx, (row.author for row in found))
    return tuple(_view(row, names) for row in found)


def _view(row: WebMessage, names: Mapping[str, str]) -> MessageView:
    url = f"/api/chat/{row.channel}/messages/{row.id}/whole"
    return MessageView(
        id=row.id,
        channel=row.channel,
        thread=row.thread,
        author=row.author,
        author_name=names[row.author],
        text=row.text,
        private_to=row.private_to,
        revision=row.revision,
        created_at=row.created_at,
        edited_at=row.edited_at,
        deleted=row.deleted,
        card=card_view(_CARD.validate_python(row.card), url) if row.card else None,
        files=[Attachment(each["id"], each["name"], each["size"]) for each in row.files],
        changed=row.changed,
        posted=row.posted,
    )


def _progress(bar: Progress) -> ProgressView:
    return ProgressView(bar.done, bar.total, bar.active, bar.stuck)


def card_view(card: Card, whole_url: str = "") -> CardView:
    """A card as the web shows it; `whole_url`: where all of its text is, if it has one."""
    return CardView(
        key=card.key,
        kind=card.kind,
        project=card.project,
        title=card.title,
        body=card.body,
        fields=card.fields,
        progress=_progress(card.progress) if card.progress else None,
        pictures=card.pictures,
        tone=card.tone,
        links=card.links,
        table=card.table,
        whole=WholeView(card.whole.name, whole_url) if card.whole and whole_url else None,
        buttons=[_button(each) for each in card.buttons],
        inputs=card.inputs,
    )


def card_of(data: Mapping[str, Any], text: str) -> Card:
    """The card of a message's JSON and its text; what is to be fetched is left where it is.

    Buttons of a newer service that are not known here are left out.
    """
    buttons = [
        {**button, "press": press}
        for button in data["buttons"]
        if (press := _known(button["action_id"])) is not None
    ]
    return _CARD.validate_python({**data, "fallback": text, "buttons": buttons, "whole": None})


def _known(action_id: str) -> Press | None:
    try:
        return parse_press(action_id)
    except InputError:
        return None


def _button(value: Button) -> ButtonView:
    return ButtonView(
        value.label,
        value.press.encode(),
        value.style,
        value.press.label.role,
        value.form,
        value.press,
    )
