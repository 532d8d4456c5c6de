"""A signal that something was committed, for loops that sleep until then."""

import asyncio
from collections.abc import Collection
from datetime import timedelta


class ChangeSignal:
    """An event that many may wait for, again and again."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._of: list[tuple[frozenset[str], ChangeSignal]] = []
        self.count = 0

    def notify(self, tables: Collection[str] | None = None) -> None:
        """Wake all that wait now, and whoever compares `count`.

        `tables` are those that were written; None: whatever it was, it concerns everybody.
        """
        self.count += 1
        self._event.set()
        self._event = asyncio.Event()
        for wanted, wake in self._of:
            if tables is None or not wanted.isdisjoint(tables):
                wake.notify()

    def of(self, *tables: str) -> "ChangeSignal":
        """One that is notified with this one, but only if one of these tables was written."""
        wake = ChangeSignal()
        self._of.append((frozenset(tables), wake))
        return wake

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
