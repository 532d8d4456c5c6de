"""What the pages of the web chat read beside its streams: one message, replies, a search."""

from collections.abc import Mapping, Sequence

from sqlalchemy import false, func, select
from sqlalchemy.orm import Session

from core.domain.messages import Message
from core.operations.web_chat import seen_by, view
from core.ports.pages import Replies
from core.store.chat_tables import WebMessage


def message(tx: Session, message_id: int, reader: str) -> Message | None:
    """One message that `reader` may see, in its current state."""
    row = tx.scalars(
        select(WebMessage).where(WebMessage.id == message_id, seen_by(reader))
    ).one_or_none()
    return view(row) if row else None


def replies(tx: Session, roots: Sequence[int], reader: str) -> Mapping[int, Replies]:
    """How many replies stand below each of these; roots without one are left out."""
    rows = tx.execute(
        select(WebMessage.thread, func.count(), func.max(WebMessage.created_at))
        .where(WebMessage.thread.in_(roots), WebMessage.deleted.is_(False), seen_by(reader))
        .group_by(WebMessage.thread)
    )
    return {root: Replies(count, last) for root, count, last in rows if root is not None}


def search(tx: Session, words: str, reader: str, *, limit: int) -> tuple[Message, ...]:
    """The newest messages with every one of these words in them, in any case."""
    query = select(WebMessage).where(seen_by(reader), WebMessage.deleted.is_(False))
    for word in words.split()[:10]:
        query = query.where(WebMessage.text.icontains(word, autoescape=True))
    rows = tx.scalars(query.order_by(WebMessage.id.desc()).limit(limit))
    return tuple(view(row) for row in rows)


def standing(
    tx: Session, channel: str, key: str, *, repeated: bool = False
) -> tuple[int, int | None] | None:
    """The message of a card and its thread; `repeated`: of its newest repetition, `KEY:2`."""
    wanted = [WebMessage.key == key]
    if repeated:
        wanted = [(WebMessage.key > f"{key}:") & (WebMessage.key < f"{key};"), *wanted]
    for condition in wanted:
        row = tx.execute(
            select(WebMessage.id, WebMessage.thread)
            # `deleted = 0`, as the index of cards says it; `IS 0` would read the whole channel.
            .where(WebMessage.channel == channel, condition, WebMessage.deleted == false())
            .order_by(WebMessage.id.desc())
            .limit(1)
        ).first()
        if row is not None:
            return row[0], row[1]
    return None
