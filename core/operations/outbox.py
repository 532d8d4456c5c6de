"""Cards on their way: wanted in the transaction of what they tell, delivered after it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from core.domain.cards import Card
from core.domain.events import TURNS, CardKind, Event, Level
from core.operations import journal
from core.ports.chat import Place
from core.store.chat_tables import Channel, OutboxItem
from core.store.tables import Project, Run
from core.views.projects import places_of

TABLE = OutboxItem.__tablename__  # it is written whenever a card is wanted
BACKOFF_MAX = timedelta(minutes=5)  # longest wait after a card could not be shown
REFUSED_WAIT = timedelta(minutes=5)  # before a place that takes nothing is tried again
_ADMINS = Place("web", "main")  # where whoever holds the web token looks, an admin
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
    reply: str | None = field(repr=False)  # is never logged
    again: int
    wanted: int
    built: int  # the wish that stands there; as `wanted`, where only the clock made it stale
    message: str | None
    digest: str | None  # of what stands there
    attempts: int
    wanted_at: datetime
    delivered_at: datetime | None
    refused: bool  # its place took nothing, and is tried again

    @property
    def urgency(self) -> tuple[int, float, int]:
        """The least goes out first; of live cards the one that was brought up to date longest ago."""
        rank = TURNS[self.kind].post if self.message is None else TURNS[self.kind].edit
        return rank, self.delivered_at.timestamp() if self.delivered_at else 0.0, self.id


# Built once: to build them takes longer than to run them, and they are asked for all the time.
_ROOT = aliased(OutboxItem)
_NEWER = aliased(OutboxItem)
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
_TAKEN = or_(  # its place takes cards, as far as is known, or is to be tried again
    Channel.refused_at.is_(None),
    Channel.refused_at <= bindparam("refused", type_=OutboxItem.not_before.type),
    Channel.refused_at > _NOW,
)
_UNPOSTED = OutboxItem.message.is_(None)
_TURN = func.row_number().over(
    partition_by=(OutboxItem.channel, _UNPOSTED),
    order_by=(
        OutboxItem.id.in_(bindparam("late", expanding=True)),
        case(
            (_UNPOSTED, case({kind: TURNS[kind].post for kind in CardKind}, value=OutboxItem.kind)),
            else_=case({kind: TURNS[kind].edit for kind in CardKind}, value=OutboxItem.kind),
        ),
        OutboxItem.delivered_at,
        OutboxItem.id,
    ),
)
_WAITING = (
    select(
        OutboxItem.id,
        _ROOT.message.label("root"),
        Channel.refused_at.is_not(None).label("refused"),
        _TURN.label("turn"),
    )
    .outerjoin(
        _ROOT,
        (_ROOT.platform == OutboxItem.platform)
        & (_ROOT.channel == OutboxItem.channel)
        & (_ROOT.key == OutboxItem.thread_key)
        & (_ROOT.id != OutboxItem.id),
    )
    .outerjoin(
        Channel, (Channel.platform == OutboxItem.platform) & (Channel.name == OutboxItem.channel)
    )
    .where(
        OutboxItem.platform == bindparam("platform"),
        OutboxItem.failed_at.is_(None),
        _FREE,
        _TAKEN,
        or_(  # a thread waits for its root, unless that was given up
            OutboxItem.thread_key.is_(None),
            OutboxItem.thread_key == OutboxItem.key,
            _ROOT.message.is_not(None),
            _ROOT.failed_at.is_not(None),
        ),
        or_(
            OutboxItem.kind != CardKind.DIGEST,
            ~exists().where(
                _NEWER.platform == OutboxItem.platform,
                _NEWER.channel == OutboxItem.channel,
                _NEWER.kind == CardKind.DIGEST,
                _NEWER.message.is_(None),
                _NEWER.failed_at.is_(None),
                _NEWER.id > OutboxItem.id,
            ),
        ),
    )
)


def _first(*which: ColumnElement[bool]) -> Select[tuple[OutboxItem, str | None, bool]]:
    """The next post and the next edit of each channel."""
    found = _WAITING.where(*which).subquery()
    return (
        select(OutboxItem, found.c.root, found.c.refused)
        .join(found, found.c.id == OutboxItem.id)
        .where(found.c.turn == 1)
    )


_WANTED = _first(OutboxItem.wanted != OutboxItem.built)
_STALE = _first(OutboxItem.again_at <= _NOW, OutboxItem.wanted == OutboxItem.built)
_MOVED = _first(
    OutboxItem.kind == CardKind.PROGRESS,
    OutboxItem.message.is_not(None),
    OutboxItem.project_id.in_(
        select(Run.project_id).where(Run.id.in_(bindparam("runs", expanding=True)))
    ),
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
_REFUSING = select(func.min(Channel.refused_at)).where(
    Channel.platform == bindparam("platform"),
    Channel.refused_at > bindparam("refused", type_=OutboxItem.not_before.type),
)


def due(
    tx: Session,
    platform: str,
    *,
    runs: Collection[int] = (),
    late: Collection[int] = (),
    now: datetime,
) -> tuple[Due, ...]:
    """The next post and the next edit of each channel of a platform, the most urgent first.

    The progress of projects whose `runs` moved on is edited, wanted or not. Cards that are `late`
    come after all others of their channel.
    """
    asked = {
        "platform": platform,
        "late": list(late),
        "now": now,
        "longest": now + BACKOFF_MAX,
        "refused": now - REFUSED_WAIT,
    }
    rows = [*tx.execute(_WANTED, asked), *tx.execute(_STALE, asked)]
    if runs:
        rows += tx.execute(_MOVED, {**asked, "runs": list(runs)})
    first: dict[tuple[str, bool], Due] = {}
    for each in sorted(
        (_due(*row) for row in rows), key=lambda each: (each.id in late, each.urgency)
    ):
        first.setdefault((each.place.channel, each.message is None), each)
    return tuple(first.values())


def _due(row: OutboxItem, root_message: str | None = None, refused: bool = False) -> Due:
    root = row.thread if row.message else root_message or row.thread  # it stays where it stands
    return Due(
        id=row.id,
        place=Place(row.platform, row.channel, root),
        key=row.key,
        kind=row.kind,
        project_id=row.project_id,
        subject_id=row.subject_id,
        fixed=_CARD.validate_python(row.card) if row.card else None,
        private_to=row.private_to,
        reply=row.reply,
        again=row.again,
        wanted=row.wanted,
        built=row.built,
        message=row.message,
        digest=row.digest,
        attempts=row.attempts,
        wanted_at=row.wanted_at,
        delivered_at=row.delivered_at,
        refused=refused,
    )


def next_due(tx: Session, platform: str, *, now: datetime) -> datetime | None:
    """When the next card may go out that waits, or the clock makes one stale."""
    asked = {"platform": platform, "now": now, "refused": now - REFUSED_WAIT}
    held, refusing = tx.scalar(_HELD, asked), tx.scalar(_REFUSING, asked)
    again = tx.execute(_AGAIN, asked)
    stale = (max(at, free or at) for at, free in again if at is not None)
    refused = refusing + REFUSED_WAIT if refusing else None
    moments = [at for at in (held, refused, *stale) if at is not None and at > now]
    return min(moments, default=None)


def delivered(
    tx: Session,
    item_id: int,
    built: int,
    message: str,
    *,
    thread: str | None = None,
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
    item.thread = thread
    item.digest = digest
    item.attempts = 0
    item.error = None
    item.delivered_at = now
    item.not_before = not_before
    item.again_at = again_at
    if item.wanted != item.built:
        item.wanted_at = now
    channel = tx.get(Channel, (item.platform, item.channel))
    if channel is not None and channel.refused_at is not None:
        channel.refused = channel.refused_at = None
    if item.kind is CardKind.DIGEST:
        _overtake(tx, item, now=now)


def _overtake(tx: Session, digest: OutboxItem, *, now: datetime) -> None:
    """Digests that never came: after an outage there is the newest only."""
    older = select(OutboxItem).where(
        OutboxItem.platform == digest.platform,
        OutboxItem.channel == digest.channel,
        OutboxItem.kind == CardKind.DIGEST,
        OutboxItem.message.is_(None),
        OutboxItem.id < digest.id,
    )
    for item in tx.scalars(older):
        item.failed_at = now
        item.error = f"{digest.key} came instead."


def risked(tx: Session, item_id: int) -> None:
    """Its post counts as made before it is: should the answer be lost, it is not repeated."""
    item = tx.get_one(OutboxItem, item_id)
    item.built = item.wanted


def unrisked(tx: Session, item_id: int, *, now: datetime) -> None:
    """It was certainly not posted."""
    _want_again(tx.get_one(OutboxItem, item_id), now)


def gone(tx: Session, item_id: int, built: int, *, now: datetime) -> None:
    """Its message was deleted: posted anew where somebody decides or watches, else left so."""
    item = tx.get_one(OutboxItem, item_id)
    item.again_at = None
    if TURNS[item.kind].anew and item.card is None:
        item.again += 1
        item.message = item.digest = None
        _want_again(item, now)
    else:
        item.built = max(item.built, built)


def root_gone(tx: Session, item_id: int, *, now: datetime) -> None:
    """The message its thread hangs on was deleted."""
    item = tx.get_one(OutboxItem, item_id)
    root = _at(tx, Place(item.platform, item.channel), item.thread_key) if item.thread_key else None
    if root is not None:
        gone(tx, root.id, root.wanted, now=now)


def refused(
    tx: Session, place: Place, why: str, notice: Card, *, project_id: int | None, now: datetime
) -> None:
    """Nothing is taken there: what waits is tried again rarely, and goes on once it is.

    The notice is said where somebody sees it: to the admins, or elsewhere in the project.
    """
    channel = tx.get(Channel, (place.platform, place.channel))
    if channel is None:
        channel = Channel(platform=place.platform, name=place.channel, created_at=now)
        tx.add(channel)
    first = channel.refused_at is None
    channel.refused, channel.refused_at = why[:2000], now
    tx.flush()
    if first:
        tell_admins(tx, notice, project_id=project_id, now=now)


def tell_admins(tx: Session, notice: Card, *, project_id: int | None = None, now: datetime) -> None:
    """Say it where an admin sees it and cards are taken; else elsewhere in the project."""
    known = select(Channel).where(Channel.platform == _ADMINS.platform).order_by(Channel.name)
    others = [Place(each.platform, each.name) for each in tx.scalars(known)] or [_ADMINS]
    if project_id is not None:
        others += [other for other, _ in places_of(tx, project_id)]
    for other in others:
        refuses = tx.get(Channel, (other.platform, other.channel))
        if refuses is None or refuses.refused_at is None:
            say(tx, other, notice, now=now)
            return


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


def card_json(card: Card) -> dict[str, Any]:
    return dict(_CARD.dump_python(card, mode="json"))
