"""One writer, many readers.

SQLite before 3.51.3 can corrupt a WAL that two connections write and checkpoint at once, so one
connection in one thread writes; readers open the file `mode=ro` in other threads.
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Collection, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool, StaticPool

from core.errors import InputError, StorageFailed
from core.store import migrations
from core.store.priority_lock import PriorityLock

P = ParamSpec("P")
T = TypeVar("T")

_BUSY_TIMEOUT_S = 5
_STORAGE_ERRORS = (OperationalError, DatabaseError)  # the others are mistakes of our own
_READERS = 2  # they take the interpreter in turns: more of them only hold each other up
_WRITES = re.compile(r'\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM)\s+"?(\w+)', re.IGNORECASE)


class Store:
    """Runs operations, one transaction each, off the event loop."""

    def __init__(
        self, path: Path, *, on_commit: Callable[[Collection[str]], None] = lambda _tables: None
    ) -> None:
        """Open the SQLite file at `path`, migrating it first if it is older.

        `on_commit` is told the tables that a transaction wrote, after it.
        """
        self.path = path
        self._on_commit = on_commit
        try:
            for file in path.parent.glob(f"{path.name}*"):  # its logs and copies too
                with suppress(FileNotFoundError):
                    file.chmod(0o600)
            self.upgrade = migrations.upgrade(path)
            self._written: set[str] = set()  # by the transaction that runs now
            self._engine = _writer(path, self._written)
            self._reading = _reader(path)
        except (sqlite3.Error, DatabaseError, OSError) as error:
            raise _failed(f"The database {path} cannot be opened", error) from error
        self._turns = PriorityLock()
        self._writing_thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._reading_threads = ThreadPoolExecutor(_READERS, thread_name_prefix="reader")
        self._first_reading_thread = ThreadPoolExecutor(1, thread_name_prefix="first-reader")

    async def run(
        self,
        operation: Callable[Concatenate[Session, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `operation(tx, …)` in one transaction; it is durable when this returns.

        A cancelled caller does not undo it: the transaction ends as it would have.
        """
        return await _to_its_end(self._run(lambda tx: operation(tx, *args, **kwargs), False))

    async def run_first(
        self,
        operation: Callable[Concatenate[Session, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The same for a person who waits: before all others, and they begin nothing meanwhile."""
        with self._turns.urgent():
            return await _to_its_end(self._run(lambda tx: operation(tx, *args, **kwargs), True))

    async def _run(self, operation: Callable[[Session], T], first: bool) -> T:
        async with self._turns.turn(first=first):
            result, written = await asyncio.get_running_loop().run_in_executor(
                self._writing_thread, self._transact, operation
            )
        self._on_commit(written)
        return result

    def _transact(self, operation: Callable[[Session], T]) -> tuple[T, frozenset[str]]:
        self._written.clear()
        try:
            with Session(self._engine, expire_on_commit=False) as tx, tx.begin():
                result = operation(tx)
            return result, frozenset(self._written)
        except DatabaseError as error:
            if type(error) not in _STORAGE_ERRORS:
                raise
            raise _failed("The database refused to write", error) from error

    async def read(
        self,
        query: Callable[Concatenate[Session, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `query(tx, …)` on a read-only connection; it sees every finished transaction."""
        await self._turns.no_urgent_turn()
        return await asyncio.get_running_loop().run_in_executor(
            self._reading_threads, self._look, lambda tx: query(tx, *args, **kwargs)
        )

    async def read_first(
        self,
        query: Callable[Concatenate[Session, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The same for a short look that a person waits for: it queues behind no long one."""
        return await asyncio.get_running_loop().run_in_executor(
            self._first_reading_thread, self._look, lambda tx: query(tx, *args, **kwargs)
        )

    def _look(self, query: Callable[[Session], T]) -> T:
        try:
            with Session(self._reading) as tx:
                return query(tx)
        except DatabaseError as error:
            if type(error) not in _STORAGE_ERRORS:
                raise
            raise _failed("The database cannot be read", error) from error

    async def backup(self, target: Path) -> int:
        """Copy the file as it is at one moment, while writing goes on; the copy's bytes."""
        return await asyncio.to_thread(copy, self.path, target)

    async def close(self) -> None:
        async with self._turns.turn(first=False):
            self._reading_threads.shutdown()
            self._first_reading_thread.shutdown()
            self._writing_thread.shutdown()
            self._reading.dispose()
            self._engine.dispose()


def bring_up(path: Path) -> migrations.Upgrade | None:
    """Bring a database to this version's schema; what was done, if anything was older."""
    try:
        return migrations.upgrade(path)
    except (sqlite3.Error, DatabaseError, OSError) as error:
        raise _failed(f"The database {path} cannot be upgraded", error) from error


def copy(path: Path, target: Path) -> int:
    """Copy a database into a new file of its own; its bytes. Raises InputError, StorageFailed."""
    if target.exists() or target.is_symlink():
        raise InputError(f"{target} exists already.", hint="Give the name of a new file.")
    if not target.parent.is_dir():
        raise InputError(f"{target.parent} is not a folder.", hint="Make it first.")
    try:
        return migrations.backup(path, target)
    except PermissionError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}.") from error
    except (sqlite3.Error, OSError) as error:
        raise StorageFailed(
            f"The copy {target} cannot be made: {error}.", hint="Nothing of it was kept."
        ) from error


@contextmanager
def reading(path: Path) -> Iterator[Session]:
    """One look at a database that another process may be writing; it sees one state.

    Raises StorageFailed, also when the file is not at this version's schema.
    """
    try:
        at = migrations.revision(path)
        if at != migrations.HEAD:
            raise StorageFailed(
                f"The database {path} has the schema {at or 'of nobody'},"
                f" not {migrations.HEAD} as this autocoder.",
                hint="Run `autocoder db upgrade`.",
            )
        engine = _reader(path)
        try:
            with Session(engine) as tx:
                yield tx
        finally:
            engine.dispose()
    except (sqlite3.Error, DatabaseError) as error:
        raise _failed(f"The database {path} cannot be read", error) from error


def _failed(what: str, error: Exception) -> StorageFailed:
    words = str(error.orig if isinstance(error, DatabaseError) else error)
    if "full" in words or "I/O" in words:  # SQLite says the latter when its WAL finds no room
        return StorageFailed(f"{what}: {words}")
    return StorageFailed(
        f"{what}: {words}",
        hint="Run `autocoder check`: it looks at the home, its disk and its database.",
    )


def _writer(path: Path, written: set[str]) -> Engine:
    """The connection that writes; the tables it writes are noted in `written`."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT_S},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN is deferred; ours is below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine, "before_cursor_execute")
    def note(
        _connection: Any, _cursor: Any, statement: str, _values: Any, _context: Any, _many: bool
    ) -> None:
        found = _WRITES.match(statement)
        if found:
            written.add(found[1])

    with engine.connect():  # makes the WAL before a reader opens the file
        pass
    return engine


def _reader(path: Path) -> Engine:
    engine = create_engine(
        URL.create(
            "sqlite",
            database=f"file:{_uri_path(path)}",
            query={"mode": "ro", "uri": "true"},
        ),
        poolclass=QueuePool,
        pool_size=_READERS + 1,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT_S},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction before a SELECT
        connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")  # all queries of one look see one state

    return engine


def _uri_path(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(work)
    # The shield of a cancelled caller looks at no result, and asyncio would print the failure.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(task)
