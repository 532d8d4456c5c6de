"""A lock with two queues: whoever a person waits for goes before the others."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

URGENT_S = 0.2  # so long the others give way; then both take turns


class PriorityLock:
    """First come, first served within each queue; while a person waits, the other begins nothing."""

    def __init__(self) -> None:
        self._taken = False
        self._first: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()
        self._hurried = 0
        self._end: asyncio.TimerHandle | None = None
        self._calm = asyncio.Event()
        self._calm.set()

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """A person waits for what is done inside, so what has not begun gives way.

        Up to URGENT_S from the first of several who overlap: many shall not starve the others.
        """
        self._hurried += 1
        if self._hurried == 1:
            self._calm.clear()
            self._end = asyncio.get_running_loop().call_later(URGENT_S, self._calmed)
        try:
            yield
        finally:
            self._hurried -= 1
            if not self._hurried:
                assert self._end is not None
                self._end.cancel()
                self._calmed()

    def _calmed(self) -> None:
        self._calm.set()
        if not self._taken:
            self._pass_on()

    async def no_urgent_turn(self) -> None:
        """Wait until nothing urgent is under way."""
        await self._calm.wait()

    @asynccontextmanager
    async def turn(self, *, first: bool) -> AsyncIterator[None]:
        """Wait for a turn; with `first`, before all who came without it."""
        if self._taken or not (first or self._calm.is_set()):
            await self._wait(self._first if first else self._others)
        self._taken = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, queue: deque[asyncio.Future[None]]) -> None:
        """The turn is handed over: whoever comes while it is handed over waits too."""
        mine = asyncio.get_running_loop().create_future()
        queue.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        for queue in (self._first, self._others) if self._calm.is_set() else (self._first,):
            while queue:
                waiting = queue.popleft()
                if not waiting.done():
                    self._taken = True
                    waiting.set_result(None)
                    return
        self._taken = False
