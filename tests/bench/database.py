"""Decisions at many sizes, durable transitions per second, beside the machine's own floor."""

import gc
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from statistics import median

from sqlalchemy.orm import Session

from core.domain.failure import EndedHow, settle
from core.domain.orders import next_orders
from core.domain.rules import Agents, Budget, Rules
from core.operations import snapshots, tasks
from core.store.session import Store
from core.store.tables import Run, Task
from core.views import boards
from core.views.projects import Service, project
from tests.bench.figures import Figure, at_most, reported
from tests.bench.filling import CODER_RUN, PROJECT, fill

DONE = 100_000
_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_RULES = Rules(budget=Budget(day_usd=Decimal(50)))
_TRANSITIONS = 300
_ROUNDS = 7


async def decisions(folder: Path) -> Iterable[Figure]:
    """A decision with its snapshot, and what is shown, from 1,000 open tasks to 100,000 done."""
    sizes = ((1_000, 0), (1_000, DONE), (10_000, 0), (10_000, DONE))
    stores: dict[tuple[int, int], Store] = {}
    try:
        for open_tasks, done in sizes:
            path = folder / f"decide-{open_tasks}-{done}.db"
            fill(path, open_tasks=open_tasks, done_tasks=done)
            stores[open_tasks, done] = Store(path)
        decided: dict[tuple[int, int], list[float]] = {size: [] for size in sizes}
        for number in range(_ROUNDS + 1):  # in turn, so that what disturbs one disturbs all
            for size in sizes:
                took = await _ms(partial(_decide, stores[size]))
                if number:
                    decided[size].append(took)
        largest = stores[sizes[-1]]
        cards = [await _ms(partial(_card, largest)) for _ in range(_ROUNDS)]
        shown = [await _ms(partial(_project, largest)) for _ in range(_ROUNDS)]
    finally:
        for store in stores.values():
            await store.close()
    ms = {size: median(times) for size, times in decided.items()}
    return [
        at_most(
            "decision: 100,000 done beside 1,000 open, against none",
            ms[1_000, DONE] / ms[1_000, 0], 1.3, "×",
        ),
        at_most(
            "decision: 100,000 done beside 10,000 open, against none",
            ms[10_000, DONE] / ms[10_000, 0], 1.3, "×",
        ),
        at_most(
            "decision: 10,000 open against 1,000", ms[10_000, DONE] / ms[1_000, DONE], 15, "×"
        ),
        *(
            reported(
                f"  decision, {size[0]:,} open, {size[1]:,} done", ms[size], "ms",
                f"{1000 * ms[size] / size[0]:.0f} µs per open task",
            )
            for size in sizes
        ),
        at_most("a live card read, 10,000 open, 100,000 done", median(cards), 1_000, "ms"),
        at_most("a project over REST read, the same", median(shown), 1_000, "ms"),
    ]  # fmt: skip


async def _decide(store: Store) -> None:
    snapshot = await store.read(
        snapshots.load, PROJECT, rules=_RULES,
        upstream="bench", boot_id="bench", now=_NOW,
    )  # fmt: skip
    if not next_orders(snapshot):
        raise RuntimeError("nothing was ordered")


async def _card(store: Store) -> None:
    await store.read(boards.board, PROJECT, upstream="bench", rules=_RULES, now=_NOW)


async def _project(store: Store) -> None:
    service = Service(Path("/p"), "bench", _RULES, _NOW)
    await store.read(project, "Large", service)


async def _ms(work: Callable[[], Awaitable[None]]) -> float:
    gc.collect()  # else one of them pays for what all left behind, and always the same one
    begun = time.perf_counter()
    await work()
    return 1000 * (time.perf_counter() - begun)


async def transitions(folder: Path) -> Iterable[Figure]:
    """A task given back and claimed again, each in its transaction with its journal entry."""
    path = folder / "transitions.db"
    fill(path, open_tasks=1_000, done_tasks=0)
    store = Store(path)
    rounds = []
    try:
        for _ in range(3):
            begun = time.perf_counter()
            for _ in range(_TRANSITIONS // 2):
                await store.run(_give_back)
                await store.run(_claim)
            rounds.append(_TRANSITIONS / (time.perf_counter() - begun))
    finally:
        await store.close()
    ours, bare = median(rounds), median(_bare_commits(folder / "bare.db") for _ in range(3))
    return [
        reported("durable transitions", ours, "/s", "synchronous=FULL, with their journal"),
        reported("bare SQLite commits in the same folder", bare, "/s", "synchronous=FULL"),
        reported("a transition against a bare commit", bare / ours, "×"),
    ]


def _give_back(tx: Session) -> None:
    settled = settle(EndedHow.SERVICE, Agents(), restarts=0)
    tasks.give_back(
        tx, tx.get_one(Task, 1), settled, error="stopped", model="sonnet", chain=("sonnet",),
        now=_NOW,
    )  # fmt: skip


def _claim(tx: Session) -> None:
    tasks.claim(tx, tx.get_one(Task, 1), tx.get_one(Run, CODER_RUN), now=_NOW)


def _bare_commits(path: Path) -> float:
    """Commits of one small row, per second."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS rows (text)")
        begun = time.perf_counter()
        for number in range(_TRANSITIONS):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO rows VALUES (?)", (str(number),))
            connection.execute("COMMIT")
        return _TRANSITIONS / (time.perf_counter() - begun)
