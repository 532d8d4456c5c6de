"""Deliveries: inserted, acknowledged, acted upon, once (DESIGN.md §4, invariant 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

from pydantic import TypeAdapter
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from core.domain.cards import Form, parse_press
from core.ports.chat import Asked, Attachment, Content, Inbound, Outcome, Place, Pressed, Said
from core.store.chat_tables import Channel, InboxItem

_FORM: TypeAdapter[Form] = TypeAdapter(Form)


@dataclass(frozen=True)
class Received:
    """A delivery in the inbox."""

    item_id: int
    new: bool
    outcome: Outcome | None  # of a delivery that was acted upon already


def receive(tx: Session, inbound: Inbound, *, now: datetime) -> Received:
    """Insert a delivery, unless it is there already."""
    known = tx.scalars(
        select(InboxItem).where(
            InboxItem.platform == inbound.place.platform,
            InboxItem.delivery == inbound.delivery,
        )
    ).first()
    if known is not None:
        return Received(known.id, False, _outcome(known.result))
    place = inbound.place
    if tx.get(Channel, (place.platform, place.channel)) is None:
        tx.add(Channel(platform=place.platform, name=place.channel, created_at=now))
    item = InboxItem(
        platform=place.platform,
        delivery=inbound.delivery,
        person=inbound.person,
        channel=place.channel,
        thread=place.thread,
        message=inbound.message,
        content=_content_json(inbound.content),
        received_at=now,
    )
    tx.add(item)
    tx.flush()
    return Received(item.id, True, None)


def open_items(tx: Session, *, limit: int = 100) -> tuple[int, ...]:
    """Deliveries that were not acted upon yet, oldest first."""
    return tuple(
        tx.scalars(
            select(InboxItem.id)
            .where(InboxItem.done_at.is_(None))
            .order_by(InboxItem.id)
            .limit(limit)
        )
    )


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
    item = tx.get_one(InboxItem, item_id)
    return Inbound(
        delivery=item.delivery,
        person=item.person,
        place=Place(item.platform, item.channel, item.thread),
        content=_content(item.content),
        message=item.message,
    )


def is_done(tx: Session, item_id: int) -> bool:
    return tx.get_one(InboxItem, item_id).done_at is not None


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
            return {"asked": content.line}
        case Said():
            files = [{"id": f.id, "name": f.name, "size": f.size} for f in content.files]
            return {"said": content.text, "files": files}
        case Pressed():
            values = {name: list(chosen) for name, chosen in content.values.items()}
            return {"pressed": content.press.encode(), "values": values}
        case _:
            assert_never(content)


def _content(stored: Mapping[str, Any]) -> Content:
    if "asked" in stored:
        return Asked(stored["asked"])
    if "said" in stored:
        files = tuple(Attachment(f["id"], f["name"], f["size"]) for f in stored["files"])
        return Said(stored["said"], files)
    values = {name: tuple(chosen) for name, chosen in stored["values"].items()}
    return Pressed(parse_press(stored["pressed"]), values)
