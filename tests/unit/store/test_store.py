"""One writer, many readers: transactions that are whole, durable and seen when they are."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Collection
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.domain.events import Event
from core.errors import StorageFailed
from core.operations import journal
from core.store.session import Store
from core.store.tables import AccountWindow, JournalEntry
from tests.unit.operations.build import NOW
from tests.unit.operations.database import migrated


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    (tmp_path / "autocoder.sqlite").write_bytes(migrated())
    made = Store(tmp_path / "autocoder.sqlite")
    yield made
    await made.close()


def write(tx: Session, words: str) -> int:
    journal.record(tx, Event.SERVICE_STARTED, words, now=NOW)
    tx.flush()
    return count(tx)


def count(tx: Session) -> int:
    return tx.scalar(select(func.count()).select_from(JournalEntry)) or 0


async def test_a_transaction_is_whole_or_nothing(store: Store) -> None:
    def half(tx: Session) -> None:
        write(tx, "first")
        raise ValueError("second")

    with pytest.raises(ValueError, match="second"):
        await store.run(half)
    assert await store.read(count) == 0
    assert await store.run(write, "again") == 1


async def test_writers_take_turns(store: Store) -> None:
    """Fifty at once, each reading what it then adds to: none is lost."""
    inside, most = 0, 0

    def add(tx: Session) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        window = tx.get(AccountWindow, "x")
        if window is None:
            tx.add(AccountWindow(upstream="x", consecutive_limits=1, changed_at=NOW))
        else:
            window.consecutive_limits += 1
        tx.flush()
        inside -= 1

    await asyncio.gather(*(store.run(add) for _ in range(50)))
    assert await store.read(lambda tx: tx.get_one(AccountWindow, "x").consecutive_limits) == 50
    assert most == 1


async def test_a_cancelled_caller_does_not_undo_its_transaction(store: Store) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(tx: Session) -> None:
        begun.set()
        go_on.wait(10)
        write(tx, "kept")

    task = asyncio.create_task(store.run(slow))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await store.run(write, "next") == 2


async def test_a_reader_sees_what_is_committed_and_one_state(store: Store) -> None:
    looked, written = threading.Event(), threading.Event()

    def look(tx: Session) -> tuple[int, int]:
        first = count(tx)
        looked.set()
        written.wait(10)
        return first, count(tx)

    reading = asyncio.create_task(store.read(look))
    await asyncio.to_thread(looked.wait, 10)
    await store.run(write, "meanwhile")
    written.set()
    assert await reading == (0, 0)
    assert await store.read(count) == 1


async def test_a_reader_does_not_see_an_open_transaction(store: Store) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(tx: Session) -> None:
        write(tx, "x")
        begun.set()
        go_on.wait(10)

    writing = asyncio.create_task(store.run(slow))
    await asyncio.to_thread(begun.wait, 10)
    assert await store.read(count) == 0
    go_on.set()
    await writing
    assert await store.read(count) == 1


async def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(StorageFailed, match="readonly"):
        await store.read(write, "x")
    assert await store.read(count) == 0


async def test_a_full_disk_is_told_and_leaves_nothing_half_done(store: Store) -> None:
    await store.run(write, "before")
    pages = await store.run(lambda tx: tx.scalar(text("PRAGMA page_count")))

    def shrink(tx: Session) -> None:
        tx.execute(text(f"PRAGMA max_page_count = {pages + 2}"))

    await store.run(shrink)
    with pytest.raises(StorageFailed, match="full") as caught:
        await store.run(write, "x" * 100_000)
    assert "Free some space" in caught.value.hint
    assert await store.read(count) == 1
    await store.run(lambda tx: tx.execute(text("PRAGMA max_page_count = 1000000")))
    assert await store.run(write, "x" * 100_000) == 2


async def test_a_commit_wakes_and_a_failure_does_not(tmp_path: Path) -> None:
    woken: list[Collection[str]] = []
    store = Store(tmp_path / "a.sqlite", on_commit=woken.append)
    await store.run(write, "x")
    with pytest.raises(IntegrityError):
        await store.run(lambda tx: tx.execute(text("INSERT INTO run_tasks VALUES (1, 1, 1, 1)")))
    await store.run(lambda tx: tx.execute(text("UPDATE phases SET position = 1")))
    await store.run(count)
    assert woken == [{"journal"}, {"phases"}, set()]
    await store.close()


async def test_what_returned_is_durable(tmp_path: Path) -> None:
    """As a kill would leave it: the files are copied while the store is open."""
    store = Store(tmp_path / "a.sqlite")
    await store.run(write, "x")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tmp_path.glob("a.sqlite*"):
        (copy / path.name).write_bytes(path.read_bytes())
    await store.close()
    again = Store(copy / "a.sqlite")
    assert await again.read(count) == 1
    await again.close()


async def test_pragmas_are_what_durability_needs(store: Store) -> None:
    def pragmas(tx: Session) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [tx.scalar(text(f"PRAGMA {name}")) for name in names]

    assert await store.run(pragmas) == ["wal", 2, 1]


@pytest.mark.parametrize("name", ["with space", "per%41cent", "ha#sh", "que?ry", "é中", "q'uote"])
async def test_any_folder_may_hold_the_database(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    store = Store(folder / "autocoder.sqlite")
    await store.run(write, "x")
    assert await store.read(count) == 1
    await store.close()
    assert (folder / "autocoder.sqlite").is_file()
    with closing(sqlite3.connect(folder / "autocoder.sqlite")) as raw:
        assert raw.execute("SELECT count(*) FROM journal").fetchone() == (1,)


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as one" * 100])
async def test_a_file_that_is_no_database_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.sqlite").write_bytes(content)
    with pytest.raises(StorageFailed, match="cannot be opened"):
        Store(tmp_path / "a.sqlite")


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="cannot be opened"):
        Store(tmp_path / "nowhere" / "a.sqlite")
