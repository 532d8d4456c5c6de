"""Delivery: cards that are wanted are drawn from the database and posted or edited.

Nothing but this loop speaks to a chat platform. A post whose answer is uncertain is repeated with
the same key and finds the old one, so a kill between the post and its record doubles nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bot import cards
from bot.cards import rendering
from bot.cards.rendering import RenderContext
from core.domain import card_keys, markup
from core.domain.cards import Card, Tone
from core.domain.events import CardKind
from core.domain.redaction import Redaction, redacted
from core.errors import (
    AutocoderError,
    ChatAway,
    ChatBusy,
    MessageGone,
    PlaceRefused,
    StorageFailed,
)
from core.operations import notices, outbox
from core.operations.outbox import Due
from core.orchestrator.change_signal import ChangeSignal
from core.ports.chat import ChatPlatform, MessageRef, Place
from core.store.session import Store

log = logging.getLogger(__name__)

REST = timedelta(milliseconds=25)  # between two looks: a burst of commits is one look
GATHER = timedelta(milliseconds=100)  # of what happened: cards are edited once a second anyway
LONGEST = timedelta(seconds=30)  # of a sleep with an end: wall clocks jump, hosts sleep
ANSWER_WITHIN = timedelta(seconds=45)  # a platform that says nothing for so long is away
BUSY_MOST_S = 86_400.0  # of what a platform may ask for
BACKOFF = timedelta(seconds=1)  # doubled with each failure
GIVE_UP = timedelta(days=1)  # of a card that fails inside autocoder
GIVE_UP_TRIES = 10  # at least: a clock may have jumped a day ahead

Clock = Callable[[], datetime]


class Notifier:
    """Turns the journal into cards that are wanted."""

    def __init__(self, store: Store, wake: ChangeSignal, clock: Clock) -> None:
        self._store = store
        self._wake = wake.of(notices.TABLE)
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled; it sleeps until something was committed."""
        while True:
            seen = self._wake.count
            if await self._store.read(notices.pending):
                while await self._store.run(notices.tell, cards.CARDS, now=self._clock()):
                    continue
            await self._wake.wait(seen)
            await asyncio.sleep(GATHER.total_seconds())


@dataclass(frozen=True)
class Terms:
    """How cards go out."""

    edit_interval: timedelta  # between two edits of one card
    redact: Callable[[str], str] = field(default_factory=Redaction)  # every text passes it
    observed: Callable[[float], None] = lambda _seconds: None  # event → card, in seconds


@dataclass(frozen=True)
class _Wait:
    """Until a moment; over as well where a clock that was set back stands before it began."""

    since: datetime
    length: timedelta
    tries: int = 0  # in a row that led to it

    @property
    def end(self) -> datetime:
        return self.since + self.length

    def over(self, now: datetime) -> bool:
        return not self.since <= now < self.end


def _backoff(tries: int) -> timedelta:
    """How long to wait after so many tries in vain, and one more."""
    return min(BACKOFF * (1 << min(tries, 20)), outbox.BACKOFF_MAX)


def _longer(before: _Wait | None, now: datetime) -> _Wait:
    tries = before.tries if before else 0
    return _Wait(now, _backoff(tries), tries + 1)


class Delivery:
    """The cards of one platform.

    Each channel takes one card at a time, the most urgent of that moment. While the platform says
    nothing, one card at a time tries whether it is back; that costs none of them anything.
    """

    def __init__(
        self,
        store: Store,
        wake: ChangeSignal,
        clock: Clock,
        platform: ChatPlatform,
        scene: Callable[[], RenderContext],
        terms: Terms,
    ) -> None:
        """`scene` is what cards depend on beside the database, as it is now."""
        self._store = store
        self._wake = wake.of(outbox.TABLE)
        self._clock = clock
        self._platform = platform
        self._scene = scene
        self._terms = terms
        self._out: dict[str, Due] = {}  # by channel: the card on its way
        self._posts: dict[str, _Wait] = {}  # by channel: before its next post
        self._edits: _Wait | None = None  # before the platform's next edit
        self._away: _Wait | None = None  # while the platform says nothing
        self._late: dict[int, _Wait] = {}  # cards that were tried in vain: others go before them
        self._shown: dict[int, str] = {}  # run → what the last cards said it does

    async def run(self) -> None:
        """Until cancelled; it sleeps until something is wanted or the clock asks for a card."""
        async with asyncio.TaskGroup() as group:
            while True:
                seen = self._wake.count
                due, at = await self._next()
                for item in due:
                    self._out[item.place.channel] = item
                    group.create_task(self._channel(item))
                if await self._sleep(seen, at):
                    await asyncio.sleep(REST.total_seconds())

    async def _channel(self, item: Due) -> None:
        """One card after another, as long as this channel may take one."""
        channel = item.place.channel
        following: Due | None = item
        try:
            while following is not None:
                self._out[channel] = following
                await self._attempt(following)
                due, _ = await self._next(channel)
                following = next((each for each in due if each.place.channel == channel), None)
        finally:
            del self._out[channel]
            self._wake.notify()

    async def _next(self, free: str | None = None) -> tuple[list[Due], datetime | None]:
        """What may go out now, at most one card of a channel, and when more may.

        Channels that have a card on its way wait for its end, but for the one that is `free`.
        """
        busy, now = set(self._out) - {free}, self._clock()
        late = {card for card, wait in self._late.items() if not wait.over(now)}
        found, at = await self._store.read(_look, self._platform.name, self._moved(), late, now=now)
        out = {channel: item for channel, item in self._out.items() if channel != free}
        busy |= set(out)
        if self._away is not None and (busy or not self._away.over(now)):
            return [], None if busy else self._away.end
        shared = self._platform.pace.edits_per_minute is not None
        editing = shared and any(item.message is not None for item in out.values())
        chosen: list[Due] = []
        later = [at] if at is not None else []
        for item in found:
            channel, is_edit = item.place.channel, item.message is not None
            if channel in busy or (is_edit and editing):
                continue
            held = [wait.end for wait in self._waits(item) if not wait.over(now)]
            if held:
                later.append(max(held))
                continue
            chosen.append(item)
            busy.add(channel)
            editing = editing or (shared and is_edit)
            if self._away is not None:
                break
        return chosen, min(later, default=None)

    def _waits(self, item: Due) -> Iterator[_Wait]:
        """What a card waits for."""
        pace = self._posts.get(item.place.channel) if item.message is None else self._edits
        if pace is not None:
            yield pace
        late = self._late.get(item.id)
        if late is not None and self._away is None and not item.refused:
            yield late  # else any card may try whether they are taken again

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

    async def _attempt(self, due: Due) -> None:
        """The door: whatever becomes of one card, the others go on."""
        try:
            await self._deliver(due)
        except StorageFailed:
            raise
        except ChatBusy as busy:
            self._answered()
            asked = timedelta(seconds=max(0.0, min(BUSY_MOST_S, busy.retry_after)))
            wait = _Wait(self._clock(), asked)
            if due.message is None:
                self._posts[due.place.channel] = wait
            else:
                self._edits = wait
        except PlaceRefused as refusal:
            await self._refused(due, refusal)
        except MessageGone as error:
            await self._gone(due, error)
        except (ChatAway, OSError) as error:  # TimeoutError is one
            self._unanswered(due, error)
        except AutocoderError as error:
            log.warning("a card was not delivered: %s: %s", due.key, error)
            await self._failed(due, str(error))
        except Exception as error:
            log.exception("a card failed inside autocoder: %s", due.key)
            await self._failed(due, f"Inside autocoder: {type(error).__name__}: {error}")

    async def _deliver(self, due: Due) -> None:
        scene = replace(self._scene(), now=self._clock())
        drawn = await self._store.read(cards.draw, due, scene)
        card = redacted(drawn.card, self._terms.redact)
        digest = rendering.digest(card)
        message, sent = due.message, self._clock()
        rested = sent  # when it may be edited next: what was posted now may be decided at once
        if message is None:
            message = await self._post(due, card, sent)
        elif digest != due.digest:
            rested += self._terms.edit_interval
            await self._edit(due, message, card, sent)
        now = self._clock()
        await self._store.run(
            outbox.delivered,
            due.id,
            due.wanted,
            message,
            thread=due.place.thread,
            digest=digest,
            not_before=rested,
            again_at=drawn.again_at,
            now=now,
        )
        self._late.pop(due.id, None)
        if due.wanted != due.built:
            self._terms.observed(max((now - due.wanted_at).total_seconds(), 0))
        self._shown.update(
            (run, doing) for run, doing in scene.activity.items() if due.kind is CardKind.PROGRESS
        )

    async def _post(self, due: Due, card: Card, now: datetime) -> str:
        pace = self._platform.pace
        once = due.private_to is not None and not pace.finds_private
        if once:
            await self._store.run(outbox.risked, due.id)
        self._posts[due.place.channel] = _Wait(now, timedelta(seconds=pace.post_interval_s))
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                ref = await self._platform.post(
                    due.place,
                    card,
                    private_to=due.private_to,
                    reply=due.reply,
                    again=due.again,
                    revision=due.wanted,
                )
        except (ChatBusy, PlaceRefused):
            if once:
                await self._store.run(outbox.unrisked, due.id, now=self._clock())
            raise
        self._answered()
        return ref.message

    async def _edit(self, due: Due, message: str, card: Card, now: datetime) -> None:
        place, most = due.place, self._platform.pace.edits_per_minute
        if most is not None:
            self._edits = _Wait(now, timedelta(minutes=1) / most)
        ref = MessageRef(place.platform, place.channel, message, place.thread)
        async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
            await self._platform.edit(ref, card, revision=due.wanted)
        self._answered()

    def _answered(self) -> None:
        """The platform is there; cards that only tried whether it is go out in their turn."""
        if self._away is not None:
            log.info("%s answers again", self._platform.name)
            self._away = None
        self._late = {card: wait for card, wait in self._late.items() if wait.tries}

    def _unanswered(self, due: Due, error: ChatAway | OSError) -> None:
        """It is away, or this card is one that it cannot take: then another one gets through."""
        now = self._clock()
        if self._away is None:
            log.warning("%s does not answer: %s: %s", self._platform.name, due.key, error)
            self._away = _longer(None, now)
            wait = _longer(self._late.get(due.id), now)
            self._late[due.id] = replace(wait, length=2 * wait.length)
            return
        if self._away.over(now):
            self._away = _longer(self._away, now)
        self._late[due.id] = _Wait(now, 2 * self._away.length)

    async def _refused(self, due: Due, refusal: PlaceRefused) -> None:
        """Its place takes nothing; or not this card: then the next one gets through."""
        log.warning("%s takes no cards: %s: %s", due.place.name, due.key, refusal)
        self._answered()
        now = self._clock()
        self._late[due.id] = _Wait(now, 2 * outbox.REFUSED_WAIT, 1)
        await self._store.run(
            outbox.refused,
            due.place,
            self._terms.redact(str(refusal)),
            _notice(due.place, refusal, now),
            project_id=due.project_id,
            now=now,
        )

    async def _gone(self, due: Due, error: MessageGone) -> None:
        self._answered()
        if due.message is None:
            await self._store.run(outbox.root_gone, due.id, now=self._clock())
            await self._failed(due, str(error))
        else:
            await self._store.run(outbox.gone, due.id, due.wanted, now=self._clock())

    async def _failed(self, due: Due, words: str) -> None:
        now = self._clock()
        late = (
            due.wanted != due.built
            and now - due.wanted_at > GIVE_UP
            and due.attempts >= GIVE_UP_TRIES
        )
        await self._store.run(
            outbox.failed,
            due.id,
            self._terms.redact(words),
            retry_at=None if late else now + _backoff(due.attempts),
            now=now,
        )


def _notice(place: Place, refusal: PlaceRefused, now: datetime) -> Card:
    """What an admin is told once of a place that takes nothing."""
    title = f"{place.name} takes no cards"
    waits = "Its cards wait, and go out once that is mended. Other places go on."
    return Card(
        key=card_keys.refused(place.name, now.date()),
        kind=CardKind.NOTICE,
        title=title,
        body="\n".join(filter(None, (markup.escape(str(refusal)), refusal.hint, waits))),
        fallback=f"{title}: {refusal} {waits}",
        tone=Tone.WARNING,
    )


def _look(
    tx: Session,
    platform: str,
    runs: Collection[int],
    late: Collection[int],
    *,
    now: datetime,
) -> tuple[tuple[Due, ...], datetime | None]:
    """What is due, and when the next card is that waits for its time."""
    due = outbox.due(tx, platform, runs=runs, late=late, now=now)
    return due, outbox.next_due(tx, platform, now=now)
