"""Turns: one at a time, in order, some before others; whoever gives up costs nobody a turn."""

import asyncio
from collections.abc import Coroutine
from contextlib import nullcontext

from hypothesis import given
from hypothesis import strategies as st

from core.store.priority_lock import URGENT_S, PriorityLock


async def _take(turns: PriorityLock, name: str, done: list[str], *, first: bool = False) -> None:
    async with turns.turn(first=first):
        done.append(name)
        await asyncio.sleep(0)


async def test_first_ones_pass_those_who_wait_and_each_queue_keeps_its_order() -> None:
    turns, done = PriorityLock(), list[str]()
    async with turns.turn(first=False):
        waiting = [
            asyncio.create_task(_take(turns, name, done, first=name.isupper())) for name in "abABcC"
        ]
        await asyncio.sleep(0)
        assert done == []
    await asyncio.gather(*waiting)
    assert done == ["A", "B", "C", "a", "b", "c"]


async def test_while_a_person_waits_only_first_ones_get_a_turn() -> None:
    turns, done = PriorityLock(), list[str]()
    with turns.urgent():
        waiting = [
            asyncio.create_task(_take(turns, name, done, first=name.isupper())) for name in "aBbC"
        ]
        looking = asyncio.create_task(turns.no_urgent_turn())
        for _ in range(20):
            await asyncio.sleep(0)
        assert done == ["B", "C"]
        assert not looking.done()
    await asyncio.gather(looking, *waiting)
    assert done == ["B", "C", "a", "b"]


async def test_many_who_wait_do_not_starve_the_others() -> None:
    turns, done = PriorityLock(), list[str]()
    with turns.urgent():
        waiting = asyncio.create_task(_take(turns, "a", done))
        async with asyncio.timeout(URGENT_S + 5):
            await waiting
    with turns.urgent():
        assert not await _soon(turns.no_urgent_turn())
    assert await _soon(turns.no_urgent_turn())


async def _soon(waiting: Coroutine[None, None, None]) -> bool:
    task = asyncio.create_task(waiting)
    await asyncio.sleep(0)
    done = task.done()
    task.cancel()
    return done


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=12),
    st.integers(0, 12),
)
def test_nobody_is_left_waiting_whoever_gives_up(
    who: list[tuple[bool, bool, bool]], after: int
) -> None:
    async def story() -> None:
        turns, inside, served = PriorityLock(), 0, 0

        async def take(first: bool, hurries: bool) -> None:
            with turns.urgent() if hurries else nullcontext():
                await one(first)

        async def one(first: bool) -> None:
            nonlocal inside, served
            async with turns.turn(first=first):
                inside += 1
                try:
                    assert inside == 1
                    await asyncio.sleep(0)
                finally:
                    inside -= 1
            served += 1

        tasks = [asyncio.create_task(take(first, hurries)) for first, hurries, _ in who]
        for _ in range(after):
            await asyncio.sleep(0)
        for task, (_, _, leaves) in zip(tasks, who, strict=True):
            if leaves:
                task.cancel()
        async with asyncio.timeout(5):
            found = await asyncio.gather(*tasks, return_exceptions=True)
        stayed = [f for f, (_, _, leaves) in zip(found, who, strict=True) if not leaves]
        assert stayed == [None] * len(stayed)
        assert served >= len(stayed)
        async with asyncio.timeout(5), turns.turn(first=False):
            pass

    asyncio.run(story())
