"""Streams of a channel: one wake, one query, shared by all who listen.

A channel that somebody listens to has a feed: its last changes, encoded once, in a ring. Each
reader keeps only how far it has read, so a stalled one costs nothing; who fell behind the ring
reads the database by itself; who does not take a piece within SEND_TIMEOUT_S is let go and
resumes by Last-Event-ID.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from sse_starlette.event import ServerSentEvent

from core.ports.chat import Door
from core.views import messages
from core.views.json import encode
from core.views.messages import MessageView

PING_S = 15
SEND_TIMEOUT_S = 30
_RING = 500  # changes
_RING_BYTES = 8_000_000  # of them all: a message may have 100,000 characters
_BATCH = 25  # changes read at once: one reader holds no more


@dataclass(frozen=True)
class Change:
    """One post or edit, as it goes to every reader."""

    number: int
    posted: int  # the change that posted it
    private_to: str | None
    data: bytes

    def event(self, kind: str) -> bytes:
        """As it goes over the wire, for every reader from the same bytes."""
        return b"id: %d\r\nevent: %b\r\ndata: %b\r\n\r\n" % (
            self.number, kind.encode(), self.data,
        )  # fmt: skip


class Feed:
    """The latest changes of one channel."""

    def __init__(self, tip: int) -> None:
        self.tip = tip  # everything up to here has been looked for
        self.settled = tip  # nothing up to here waits to be looked for
        self.floor = tip  # everything after this is in the ring
        self.ring: deque[Change] = deque()
        self.bytes = 0
        self.readers = 0
        self.news = asyncio.Event()  # replaced at each change, so that many may wait
        self.dirty = asyncio.Event()
        self.pump: asyncio.Task[None] | None = None

    def add(self, changes: list[Change]) -> None:
        for change in changes:
            self.ring.append(change)
            self.bytes += len(change.data)
        while len(self.ring) > _RING or self.bytes > _RING_BYTES:
            oldest = self.ring.popleft()
            self.bytes -= len(oldest.data)
            self.floor = oldest.number
        self.tip = changes[-1].number
        self.announce()

    def announce(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def since(self, number: int) -> list[Change]:
        return [change for change in self.ring if change.number > number]


class Hub:
    """The feeds of all channels that somebody listens to."""

    def __init__(self, door: Door, redact: Callable[[str], str]) -> None:
        self._read = door.read
        self._redact = redact
        self._feeds: dict[str, Feed] = {}
        self._closing = False

    def changed(self, channel: str) -> None:
        """Something was posted or edited there."""
        feed = self._feeds.get(channel)
        if feed is not None:
            feed.dirty.set()

    def close(self) -> None:
        """Every stream ends after what it is sending."""
        self._closing = True
        for feed in self._feeds.values():
            feed.announce()

    @property
    def readers(self) -> int:
        return sum(feed.readers for feed in self._feeds.values())

    async def listen(
        self, channel: str, reader: str, since: int | None
    ) -> AsyncIterator[ServerSentEvent | bytes]:
        """Changes after `since`, or from now on, for as long as somebody listens."""
        feed = await self._join(channel)
        try:
            number = feed.tip if since is None else since
            if number > feed.tip and number > await self._read(messages.last_change):
                number = feed.tip  # of another database: what is said from now on is news
            begun, told = number, set[int]()  # what was posted after `begun` is new, once
            # Something must leave at once, else a proxy holds the whole answer back.
            yield ServerSentEvent(comment="open")
            while not self._closing:
                news = feed.news
                if number < feed.floor:
                    found = await self._look(channel, number)
                    number = found[-1].number if found else feed.floor
                else:
                    found = feed.since(number)
                    number = max(number, feed.tip)
                for change in found:
                    if change.private_to is None or change.private_to == reader:
                        new = change.posted > begun and change.posted not in told
                        told.add(change.posted)
                        kind = "message" if new else "edit"
                        yield change.event(kind)
                if number == feed.tip == feed.settled:
                    begun, told = number, set()
                if number >= feed.tip:
                    await news.wait()
        finally:
            self._leave(channel, feed)

    async def _join(self, channel: str) -> Feed:
        feed = self._feeds.get(channel)
        if feed is None:
            tip = await self._read(messages.last_change)
            feed = self._feeds.setdefault(channel, Feed(tip))
            if feed.pump is None:
                feed.pump = asyncio.create_task(self._pump(channel, feed))
                feed.dirty.set()  # what came while the tip was read
        feed.readers += 1
        return feed

    def _leave(self, channel: str, feed: Feed) -> None:
        feed.readers -= 1
        if feed.readers == 0:
            self._feeds.pop(channel, None)
            if feed.pump is not None:
                feed.pump.cancel()

    async def _pump(self, channel: str, feed: Feed) -> None:
        while True:
            await feed.dirty.wait()
            feed.dirty.clear()
            while found := await self._look(channel, feed.tip):
                feed.add(found)
            feed.settled = feed.tip

    async def _look(self, channel: str, since: int) -> list[Change]:
        found = await self._read(messages.changes, channel, since=since, limit=_BATCH)
        return [self._change(message) for message in found]

    def _change(self, message: MessageView) -> Change:
        data = self._redact(encode(MessageView, message).decode()).encode()
        return Change(message.changed, message.posted, message.private_to, data)
