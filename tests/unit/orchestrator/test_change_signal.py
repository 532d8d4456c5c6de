"""Waking: nothing that happened is slept through, and nobody waits for ever for a moment past."""

import asyncio
from datetime import timedelta

from core.orchestrator.change_signal import ChangeSignal


async def test_what_happened_before_the_wait_is_not_slept_through() -> None:
    wake = ChangeSignal()
    seen = wake.count
    wake.notify()
    assert await asyncio.wait_for(wake.wait(seen), 1) == seen + 1


async def test_all_that_wait_are_woken_again_and_again() -> None:
    wake = ChangeSignal()
    for _ in range(3):
        waiting = [asyncio.create_task(wake.wait(wake.count)) for _ in range(5)]
        await asyncio.sleep(0)
        wake.notify()
        assert await asyncio.wait_for(asyncio.gather(*waiting), 1) == [wake.count] * 5


async def test_a_moment_that_is_now_or_past_ends_the_wait() -> None:
    wake = ChangeSignal()
    for timeout in (timedelta(0), timedelta(seconds=-5), timedelta(milliseconds=1)):
        assert await asyncio.wait_for(wake.wait(wake.count, timeout), 1) == wake.count


async def test_without_a_moment_the_wait_lasts_until_something_happens() -> None:
    wake = ChangeSignal()
    waiting = asyncio.create_task(wake.wait(wake.count))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    wake.notify()
    await asyncio.wait_for(waiting, 1)
