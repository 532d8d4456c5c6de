"""Deliveries: inserted, acknowledged, acted upon, once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_never

from pydantic import TypeAdapter
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from core.domain.cards import Form, parse_press
from core.domain.events import Event, Level
from core.errors import NotFound, StalePress
from core.operations import journal, members
from core.ports.chat import (
    Asked,
    Attachment,
    Content,
    Heard,
    Inbound,
    Outcome,
    Place,
    Pressed,
    Said,
)
from core.store.chat_tables import Channel, InboxItem
from core.store.tables import Project
from core.views.members import name_of

_FORM: TypeAdapter[Form] = TypeAdapter(Form)


@dataclass(frozen=True)
class Received:
    """A delivery in the inbox."""

    item_id: int
    new: bool
    outcome: Outcome | None  # of a delivery that was acted upon already
    message: str | None


def receive(tx: Session, heard: Heard, *, now: datetime) -> Received:
    """Insert a delivery, unless it is there already; how its person is called is taken down."""
    inbound = heard if isinstance(heard, Inbound) else heard(tx)
    known = tx.scalars(
        select(InboxItem).where(
            InboxItem.platform == inbound.place.platform,
            InboxItem.delivery == inbound.delivery,
        )
    ).first()
    if known is not None:
        return Received(known.id, False, _outcome(known.result), known.message)
    name = members.called(tx, inbound.person, inbound.name)
    place = inbound.place
    if tx.get(Channel, (place.platform, place.channel)) is None:
        tx.add(Channel(platform=place.platform, name=place.channel, created_at=now))
    item = InboxItem(
        platform=place.platform,
        delivery=inbound.delivery,
        person=inbound.person,
        person_name=name,
        reply=inbound.reply,
        channel=place.channel,
        thread=place.thread,
        message=inbound.message,
        content=_content_json(inbound.content),
        received_at=now,
    )
    tx.add(item)
    tx.flush()
    return Received(item.id, True, None, item.message)


def heard_until(tx: Session, place: Place) -> str | None:
    """The last message that was heard there: a thread is another place than its channel."""
    return tx.scalars(
        select(InboxItem.message)
        .where(
            InboxItem.platform == place.platform,
            InboxItem.channel == place.channel,
            InboxItem.thread.is_not_distinct_from(place.thread),
            InboxItem.message.is_not(None),
        )
        .order_by(InboxItem.id.desc())
        .limit(1)
    ).first()


def open_after(tx: Session, taken: int) -> Sequence[tuple[int, Inbound]]:
    """Deliveries after this one that were not acted upon yet, oldest first."""
    rows = tx.scalars(
        select(InboxItem)
        .where(InboxItem.done_at.is_(None), InboxItem.id > taken)
        .order_by(InboxItem.id)
    )
    return [(row.id, _inbound(row)) for row in rows]


def is_behind(tx: Session, item_id: int) -> bool:
    """Whether an earlier delivery of its channel is still to be acted upon."""
    item = tx.get_one(InboxItem, item_id)
    return bool(
        tx.scalar(
            select(
                exists().where(
                    InboxItem.done_at.is_(None),
                    InboxItem.id < item.id,
                    InboxItem.platform == item.platform,
                    InboxItem.channel == item.channel,
                )
            )
        )
    )


def load(tx: Session, item_id: int) -> Inbound:
    """A delivery as it was received."""
    return _inbound(tx.get_one(InboxItem, item_id))


def _inbound(item: InboxItem) -> Inbound:
    return Inbound(
        delivery=item.delivery,
        person=item.person,
        place=Place(item.platform, item.channel, item.thread),
        content=_content(item.content),
        message=item.message,
        name=item.person_name,
        reply=item.reply,
    )


def outcome_of(tx: Session, item_id: int) -> Outcome | None:
    """What came of a delivery; None: it was not acted upon yet."""
    return _outcome(tx.get_one(InboxItem, item_id).result)


def done(tx: Session, item_id: int, outcome: Outcome, *, now: datetime) -> None:
    """Acted upon; call it in the transaction of the effect."""
    item = tx.get_one(InboxItem, item_id)
    item.done_at = now
    item.result = {
        "ok": outcome.ok,
        "text": outcome.text,
        "reason": outcome.reason,
        "form": _FORM.dump_python(outcome.form, mode="json") if outcome.form else None,
    }


def _outcome(result: Mapping[str, Any] | None) -> Outcome | None:
    if result is None:
        return None
    form = result["form"]
    return Outcome(
        result["ok"],
        result["text"],
        result["reason"],
        _FORM.validate_python(form) if form else None,
    )


def _content_json(content: Content) -> dict[str, Any]:
    match content:
        case Asked():
            typed = dict(content.values) if content.values is not None else None
            return {"asked": content.line, "typed": typed, "project": content.project}
        case Said():
            files = [{"id": f.id, "name": f.name, "size": f.size} for f in content.files]
            return {"said": content.text, "files": files, "mention": content.mention}
        case Pressed():
            values = {name: list(chosen) for name, chosen in content.values.items()}
            return {"pressed": content.press.encode(), "values": values}
        case _:
            assert_never(content)


def _content(stored: Mapping[str, Any]) -> Content:
    if "asked" in stored:
        return Asked(stored["asked"], stored.get("typed"), stored.get("project"))
    if "said" in stored:
        files = tuple(Attachment(f["id"], f["name"], f["size"]) for f in stored["files"])
        return Said(stored["said"], files, stored.get("mention", False))
    values = {name: tuple(chosen) for name, chosen in stored["values"].items()}
    return Pressed(parse_press(stored["pressed"]), values)


def refused(
    tx: Session,
    person: str,
    what: str,
    problem: str,
    *,
    reason: str,
    project_id: int | None,
    now: datetime,
) -> None:
    """Keep that somebody tried what they might not, or what was over."""
    journal.record(
        tx,
        Event.PRESS_REFUSED,
        f"{what} of {person} was refused: {problem}"[:500],
        now=now,
        actor=person,
        level=Level.WARNING,
        project=tx.get(Project, project_id) if project_id is not None else None,
        data={"what": what, "reason": reason},
    )


@dataclass(frozen=True)
class Words:
    """What somebody said that began nothing, and may still be made something of."""

    place: Place
    text: str
    files: tuple[Attachment, ...]


KEPT = timedelta(days=30)  # so long words may be taken up


def words(tx: Session, item_id: int, *, now: datetime) -> Words:
    """Words that wait to be taken up. Raises NotFound, and StalePress once they were."""
    item = tx.get(InboxItem, item_id)
    content = _content(item.content) if item is not None else None
    if item is None or not isinstance(content, Said):
        raise NotFound("These words are not known here.", hint="Say them again.")
    taken = (item.result or {}).get("taken")
    if taken:
        raise StalePress(
            f"{taken['what']} by {name_of(tx, taken['by'])}",
            at=datetime.fromisoformat(taken["at"]),
        )
    if now - item.received_at > KEPT:
        raise StalePress(f"This was said over {KEPT.days} days ago", hint="Say it again.")
    place = Place(item.platform, item.channel, item.thread)
    return Words(place, content.text, content.files)


def take_words(tx: Session, item_id: int, what: str, *, by: str, now: datetime) -> None:
    """Something was made of these words: nobody makes it again."""
    item = tx.get_one(InboxItem, item_id)
    taken = {"what": what, "by": by, "at": now.isoformat()}
    item.result = {**(item.result or {}), "taken": taken}
