"""A service without agents, with people in front of its chat platforms, and a clock that is moved."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.cards import CARDS
from bot.delivery import Delivery, Terms
from core.domain.cards import Card
from core.domain.redaction import Redaction
from core.operations import notices, places
from core.ports.chat import ChatPlatform, MessageRef, Place
from core.store.chat_tables import InboxItem
from tests.chat.stepping import deliver_due
from tests.platforms.faults import Faulty
from tests.unit.bot.cards import stage as builder
from tests.unit.bot.commands.stage import Stage, stage

INTERVAL = timedelta(seconds=1)
SECRET = "a-web-token-that-nobody-may-see"
NOW = builder.NOW + timedelta(hours=2)


class Seat(Protocol):
    """A person in front of a platform: what they see there, say and press."""

    place: Place
    platform: ChatPlatform
    finds: bool  # what stands there can be read back, and people told apart
    roles: bool  # more than one person sits there

    def shown(self) -> list[str]:
        """What stands there: the words of each message, or of the whole screen."""
        ...

    def standing(self) -> set[str]:
        """Of the cards that stand there; of a screen none can be told."""
        ...

    async def say(self, words: str, *, root: str = "", times: int = 1) -> None:
        """Said once, and delivered so many times; in the thread of the card `root`, if given."""
        ...

    async def press(self, key: str, label: str, words: str = "") -> str:
        """Press a button of the card `key`; what is told at once. KeyError: it is not there."""
        ...


class House:
    """The running parts, and the seats."""

    def __init__(self, at: Stage, clock: "Clock") -> None:
        self.at = at
        self.clock = clock
        self.seats: list[Seat] = []
        self.doors: list[Faulty] = []
        self.deliveries: list[Delivery] = []

    @property
    def seat(self) -> Seat:
        return self.seats[0]

    @property
    def faults(self) -> Faulty:
        """What goes wrong between the service and the first seat's platform."""
        return self.doors[0]

    def deliver_anew(self) -> None:
        """Deliveries without a memory of what others did, as after a kill."""
        self.deliveries = [self._delivery(each) for each in self.doors]

    def _delivery(self, platform: ChatPlatform) -> Delivery:
        parts = self.at.services.parts
        return Delivery(
            parts.store,
            parts.wake,
            self.clock,
            platform,
            lambda: self.at.services.scene(self.clock()),
            Terms(INTERVAL, Redaction([SECRET])),
        )

    def take(self, seat: Seat) -> None:
        self.seats.append(seat)
        self.doors.append(Faulty(seat.platform))
        self.deliveries.append(self._delivery(self.doors[-1]))

    async def do(self, operation: Callable[..., Any], *given: Any, **how: Any) -> Any:
        """An operation of somebody else, and the cards that tell of it."""
        result = await self.at.store.run(operation, *given, **how)
        await self.all_out()
        return result

    async def build(self, make: Callable[[Session, int], Any] = lambda _tx, _project: None) -> int:
        """A project whose plan waits, in every seat's place; then what `make` makes of it."""

        def built(tx: Session) -> int:
            project = builder.begin(tx, place=self.seat.place)
            for seat in self.seats[1:]:
                places.settle(tx, project, seat.place, CARDS, now=NOW)
            builder.submit(tx, project)
            make(tx, project)
            return project

        return int(await self.do(built))

    async def tell(self) -> None:
        while await self.at.store.run(notices.tell, CARDS, now=self.clock()):
            continue

    async def acted(self) -> None:
        """Everything that was delivered has had its effect."""
        opened = select(func.count()).where(InboxItem.done_at.is_(None)).select_from(InboxItem)
        async with asyncio.timeout(20):
            while await self.at.store.read(lambda tx: tx.scalar(opened)):
                await asyncio.sleep(0.01)

    async def all_out(self) -> None:
        """What was said has its effect, and as time passes every card its newest state."""
        await self.acted()
        await self.tell()
        while sum([await deliver_due(each) for each in self.deliveries]):
            self.clock.now += INTERVAL

    async def say(self, words: str, **how: Any) -> None:
        await self.seat.say(words, **how)
        await self.all_out()

    async def press(self, key: str, label: str, words: str = "", *, seat: int = 0) -> str:
        told = await self.seats[seat].press(key, label, words)
        await self.all_out()
        return told

    async def sees(self, words: str, *, seat: int = 0) -> None:
        """Wait until these words stand there."""
        try:
            async with asyncio.timeout(10):
                while not await self.count(words, seat=seat):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            shown = "\n---\n".join(await self.shown(seat=seat))
            raise AssertionError(f"{words!r} is not shown:\n{shown}") from None

    async def shown(self, *, seat: int = 0) -> list[str]:
        return await asyncio.to_thread(self.seats[seat].shown)  # which may ask over HTTP

    async def count(self, words: str, *, seat: int = 0) -> int:
        """How often these words stand there."""
        return sum(each.count(words) for each in await self.shown(seat=seat))


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


Sit = Callable[[Stage, asyncio.TaskGroup], AsyncIterator[Seat]]


@asynccontextmanager
async def opened(home: Path, seats: Sequence[Any]) -> AsyncIterator[House]:
    """A house with these seats taken, each a context manager of the stage and a task group."""
    clock = Clock()
    async with stage(home, clock=clock, secrets=[SECRET]) as at:
        house = House(at, clock)
        async with _sat(house, list(seats)):
            yield house


@asynccontextmanager
async def _sat(house: House, seats: list[Any]) -> AsyncIterator[None]:
    if not seats:
        yield
        return
    async with seats[0](house.at) as seat:
        task = asyncio.create_task(seat.platform.run(house.at.door))
        house.take(seat)
        try:
            async with _sat(house, seats[1:]):
                yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception():
                raise task.exception()  # type: ignore[misc]  # it is one


def ref(place: Place, message: str) -> MessageRef:
    return MessageRef(place.platform, place.channel, message, place.thread)


def words_of(card: Card) -> str:
    """All of a card as one text, the way a reader would meet it."""
    parts = [card.title, card.body, card.fallback, *(f"{f.name} {f.value}" for f in card.fields)]
    parts += [button.label for button in card.buttons]
    parts += [option.label for each in card.inputs for option in each.options]
    parts += [link.label for link in card.links]
    if card.table:
        parts += [" ".join(row) for row in (card.table.head, *card.table.rows)]
    return "\n".join(parts)
