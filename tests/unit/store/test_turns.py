"""Turns: one at a time, in order, some before others; whoever gives up costs nobody a turn."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from core.store.turns import Turns


async def _take(turns: Turns, name: str, done: list[str], *, first: bool = False) -> None:
    async with turns.turn(first=first):
        done.append(name)
        await asyncio.sleep(0)


async def test_first_ones_pass_those_who_wait_and_each_queue_keeps_its_order() -> None:
    turns, done = Turns(), list[str]()
    async with turns.turn(first=False):
        waiting = [
            asyncio.create_task(_take(turns, name, done, first=name.isupper())) for name in "abABcC"
        ]
        await asyncio.sleep(0)
        assert done == []
    await asyncio.gather(*waiting)
    assert done == ["A", "B", "C", "a", "b", "c"]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12), st.integers(0, 12))
def test_nobody_is_left_waiting_whoever_gives_up(who: list[tuple[bool, bool]], after: int) -> None:
    async def story() -> None:
        turns, inside, served = Turns(), 0, 0

        async def take(first: bool) -> None:
            nonlocal inside, served
            async with turns.turn(first=first):
                inside += 1
                try:
                    assert inside == 1
                    await asyncio.sleep(0)
                finally:
                    inside -= 1
            served += 1

        tasks = [asyncio.create_task(take(first)) for first, _ in who]
        for _ in range(after):
            await asyncio.sleep(0)
        for task, (_, leaves) in zip(tasks, who, strict=True):
            if leaves:
                task.cancel()
        async with asyncio.timeout(5):
            found = await asyncio.gather(*tasks, return_exceptions=True)
        stayed = [f for f, (_, leaves) in zip(found, who, strict=True) if not leaves]
        assert stayed == [None] * len(stayed)
        assert served >= len(stayed)
        async with asyncio.timeout(5), turns.turn(first=False):
            pass

    asyncio.run(story())
