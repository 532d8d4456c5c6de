"""A delivery with a chat in memory, and a clock that stands until it is moved."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from shutil import copy
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.cards import CARDS
from bot.delivery import Delivery, Terms
from core.domain.cards import Card
from core.domain.events import CardKind
from core.domain.redaction import Redaction
from core.operations import notices, outbox
from core.orchestrator.change_signal import ChangeSignal
from core.ports.chat import ChatPlatform, Pace, Place
from core.store.chat_tables import OutboxItem
from core.store.session import Store
from tests.chat.memory import MemoryChat
from tests.chat.stepping import deliver_due
from tests.unit.bot.cards.stage import NOW, PLACE, scene

INTERVAL = timedelta(seconds=1)
SECRET = "a-web-token-that-nobody-may-see"


class House:
    """A store, a chat and a clock that stands until it is moved."""

    def __init__(self, path: Path, pace: Pace | None = None) -> None:
        self.wake = ChangeSignal()
        self.store = Store(path, on_commit=self.wake.notify)
        self.chat = MemoryChat(PLACE.platform, pace)
        self.now = NOW
        self.activity: dict[int, str] = {}
        self.delays: list[float] = []
        self.delivery = self.start()

    def start(self, chat: ChatPlatform | None = None) -> Delivery:
        """A delivery without a memory of what another did."""
        return Delivery(
            self.store,
            self.wake,
            lambda: self.now,
            chat or self.chat,
            lambda: scene(now=self.now, activity=self.activity),
            Terms(INTERVAL, Redaction([SECRET]), self.delays.append),
        )

    async def do(self, operation: Callable[[Session], object]) -> None:
        await self.store.run(operation)
        while await self.store.run(notices.tell, CARDS, now=self.now):
            continue

    async def say(self, *wanted: Card, place: Place = PLACE, **how: Any) -> None:
        """Words that are fixed now."""

        def said(tx: Session) -> None:
            for card in wanted:
                outbox.say(tx, place, card, now=self.now, **how)

        await self.store.run(said)

    async def all_out(self) -> None:
        """Deliver as time passes, until nothing is due."""
        while await deliver_due(self.delivery):
            self.now += INTERVAL

    async def second(self) -> list[tuple[str, str]]:
        """What the chat is asked to do within one."""
        before = len(self.chat.calls)
        await deliver_due(self.delivery)
        self.now += INTERVAL
        return self.chat.calls[before:]

    async def seconds(self, number: int) -> list[tuple[str, str]]:
        return [call for _ in range(number) for call in await self.second()]

    def shown(self) -> list[str]:
        return [posted.card.key for posted in self.chat.messages.values()]

    async def items(self) -> list[OutboxItem]:
        return await self.store.read(lambda tx: list(tx.scalars(select(OutboxItem))))


def card(key: str, kind: CardKind = CardKind.ANSWER, words: str = "It is so.") -> Card:
    return Card(key=key, kind=kind, title=key, body=words, fallback=f"{key}: {words}")


@asynccontextmanager
async def opened(folder: Path, empty: Path, pace: Pace | None = None) -> AsyncIterator[House]:
    """With a copy of an empty database."""
    house = House(Path(copy(empty, folder / "autocoder.db")), pace)
    try:
        yield house
    finally:
        await house.store.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(*loops: object) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(loop.run()) for loop in loops]  # type: ignore[attr-defined]  # Teller or Delivery
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
