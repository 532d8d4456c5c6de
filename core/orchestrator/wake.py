"""Waking whoever waits for something to change."""

import asyncio
from datetime import timedelta


class Wake:
    """An event that many may wait for, again and again."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.count = 0

    def notify(self) -> None:
        """Wake all that wait now, and whoever compares `count`."""
        self.count += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seen: int, timeout: timedelta | None = None) -> int:
        """Return the count once it differs from `seen`, or after `timeout`."""
        if self.count == seen:
            event = self._event
            seconds = None if timeout is None else timeout.total_seconds()
            try:
                async with asyncio.timeout(seconds):
                    await event.wait()
            except TimeoutError:
                pass
        return self.count
