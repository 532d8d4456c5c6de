"""Delivery: cards that are wanted are built from the database and posted or edited (DESIGN.md §7).

Nothing but this loop speaks to a chat platform. A post whose answer is uncertain is repeated with
the same key and finds the old one, so a kill between the post and its record doubles nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import cards
from bot.cards import frame
from bot.cards.frame import Scene
from core.domain.cards import CardKind
from core.domain.redaction import redacted
from core.errors import AutocoderError, StorageFailed
from core.operations import notices, outbox
from core.operations.outbox import Due
from core.orchestrator.wake import Wake
from core.ports.chat import ChatPlatform, MessageRef
from core.store.chat_tables import OutboxItem
from core.store.session import Store
from core.store.tables import JournalEntry, Run

log = logging.getLogger(__name__)

REST = timedelta(milliseconds=25)  # between two looks: a burst of commits is one look
GATHER = timedelta(milliseconds=100)  # of what happened: cards are edited once a second anyway
LONGEST = timedelta(seconds=30)  # of a sleep with an end: wall clocks jump, hosts sleep
ANSWER_WITHIN = timedelta(seconds=20)  # a platform that says nothing for so long has failed
BACKOFF = timedelta(seconds=1)  # doubled with each failure
GIVE_UP = timedelta(days=1)
GIVE_UP_TRIES = 10  # at least: a clock may have jumped a day ahead

Clock = Callable[[], datetime]


class Teller:
    """Turns the journal into cards that are wanted, and open decisions into reminders."""

    def __init__(self, store: Store, wake: Wake, clock: Clock, remind_after: timedelta) -> None:
        self._store = store
        self._wake = wake.of(JournalEntry.__tablename__)
        self._clock = clock
        self._remind_after = remind_after

    async def run(self) -> None:
        """Until cancelled; it sleeps until something was committed or a reminder is due."""
        while True:
            seen = self._wake.count
            untold, at = await self._store.read(_untold, self._remind_after)
            if untold:
                while await self._store.run(notices.tell, now=self._clock()):
                    continue
                at = await self._store.read(notices.next_reminder, self._remind_after)
            now = self._clock()
            if at is not None and at <= now:
                await self._store.run(notices.remind, self._remind_after, now=now)
                continue
            await self._wake.wait(seen, None if at is None else min(at - now, LONGEST))
            await asyncio.sleep(GATHER.total_seconds())


def _untold(tx: Session, remind_after: timedelta) -> tuple[bool, datetime | None]:
    return notices.untold(tx), notices.next_reminder(tx, remind_after)


@dataclass(frozen=True)
class Terms:
    """How cards go out."""

    edit_interval: timedelta  # between two edits of one card
    redact: Callable[[str], str] = str  # every text of a card passes it
    observed: Callable[[float], None] = lambda _seconds: None  # event → card, in seconds


class Delivery:
    """The cards of one platform."""

    def __init__(
        self,
        store: Store,
        wake: Wake,
        clock: Clock,
        platform: ChatPlatform,
        scene: Callable[[], Scene],
        terms: Terms,
    ) -> None:
        """`scene` is what cards depend on beside the database, as it is now."""
        self._store = store
        self._wake = wake.of(OutboxItem.__tablename__)
        self._clock = clock
        self._platform = platform
        self._scene = scene
        self._terms = terms
        self._busy: dict[str, asyncio.Task[None]] = {}  # by channel: its cards go out in order
        self._shown: dict[int, str] = {}  # run → what the last cards said it does

    async def run(self) -> None:
        """Until cancelled; it sleeps until something is wanted or the clock asks for a card."""
        async with asyncio.TaskGroup() as group:
            while True:
                seen = self._wake.count
                now = self._clock()
                due, at = await self._look(now)
                for channel, items in _by_channel(due).items():
                    if channel not in self._busy:
                        task = group.create_task(self._channel(items))
                        self._busy[channel] = task
                        task.add_done_callback(partial(self._free, channel))
                if await self._sleep(seen, at):
                    await asyncio.sleep(REST.total_seconds())

    async def deliver_due(self) -> int:
        """Deliver what is due now, and return how much it was."""
        due, _ = await self._look(self._clock())
        for items in _by_channel(due).values():
            await self._channel(items)
        return len(due)

    def _free(self, channel: str, _task: asyncio.Task[None]) -> None:
        del self._busy[channel]
        self._wake.notify()

    async def _look(self, now: datetime) -> tuple[tuple[Due, ...], datetime | None]:
        """What is due, and when the next card is that waits for its time."""
        return await self._store.read(_due, self._platform.name, self._moved(), now=now)

    def _moved(self) -> frozenset[int]:
        """Runs whose agents do something else than the last cards said."""
        now = self._scene().activity
        self._shown = {run: doing for run, doing in self._shown.items() if run in now}
        return frozenset(run for run, doing in now.items() if self._shown.get(run) != doing)

    async def _sleep(self, seen: int, at: datetime | None) -> bool:
        """Whether it was woken, so that more may follow at once."""
        waits = [max(at - self._clock(), timedelta(0))] if at is not None else []
        if self._scene().activity:  # what agents do is no commit
            waits.append(self._terms.edit_interval)
        return await self._wake.wait(seen, min((*waits, LONGEST)) if waits else None) != seen

    async def _channel(self, items: Iterable[Due]) -> None:
        for item in items:
            await self._attempt(item)

    async def _attempt(self, due: Due) -> None:
        """The door: a card that cannot be built or shown is tried again later, others go on."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                await self._deliver(due)
        except StorageFailed:
            raise
        except (AutocoderError, OSError) as error:  # TimeoutError is one: the platform is away
            log.warning("a card was not delivered: %s: %s", due.key, error)
            await self._failed(due, str(error) or type(error).__name__)
        except Exception as error:
            log.exception("a card failed inside autocoder: %s", due.key)
            await self._failed(due, f"Inside autocoder: {type(error).__name__}: {error}")

    async def _deliver(self, due: Due) -> None:
        scene = replace(self._scene(), now=self._clock())
        drawn = await self._store.read(cards.draw, due, scene)
        card = redacted(drawn.card, self._terms.redact)
        digest = frame.digest(card)
        message, sent = due.message, self._clock()
        if message is None:
            ref = await self._platform.post(due.place, card, private_to=due.private_to)
            message = ref.message
        elif digest != due.digest:
            ref = MessageRef(due.place.platform, due.place.channel, message)
            await self._platform.edit(ref, card)
        await self._record(due, digest, message, sent, drawn.again_at)
        self._shown.update(
            (run, doing) for run, doing in scene.activity.items() if due.kind is CardKind.PROGRESS
        )

    async def _record(
        self, due: Due, digest: str, message: str, sent: datetime, again_at: datetime | None
    ) -> None:
        now = self._clock()
        await self._store.run(
            outbox.delivered,
            due.id,
            due.wanted,
            message,
            digest=digest,
            not_before=sent + self._terms.edit_interval,
            again_at=again_at,
            now=now,
        )
        if due.wanted != due.built:
            self._terms.observed(max((now - due.wanted_at).total_seconds(), 0))

    async def _failed(self, due: Due, words: str) -> None:
        now = self._clock()
        wait = min(BACKOFF * 2 ** min(due.attempts, 20), outbox.BACKOFF_MAX)
        late = (
            due.wanted != due.built
            and now - due.wanted_at > GIVE_UP
            and due.attempts >= GIVE_UP_TRIES
        )
        await self._store.run(
            outbox.failed, due.id, words, retry_at=None if late else now + wait, now=now
        )


def _by_channel(due: Iterable[Due]) -> Mapping[str, list[Due]]:
    found: dict[str, list[Due]] = {}
    for item in due:
        found.setdefault(item.place.channel, []).append(item)
    return found


def _due(
    tx: Session, platform: str, moved: frozenset[int], *, now: datetime
) -> tuple[tuple[Due, ...], datetime | None]:
    """Cards that wait, those of projects whose runs moved on, and when the next one may go out."""
    due = outbox.due(tx, platform, now=now)
    after = outbox.next_due(tx, platform, now=now)
    if moved:
        projects = set(tx.scalars(select(Run.project_id).where(Run.id.in_(moved))))
        told = outbox.standing(tx, platform, CardKind.PROGRESS, projects, now=now)
        known = {item.id for item in due}
        due += tuple(item for item in told if item.id not in known)
    return due, after
