"""A migrated SQLite database in memory, one transaction per operation, as the store has it."""

import sqlite3
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from core.store import migrations

P = ParamSpec("P")
T = TypeVar("T")


@cache
def migrated() -> bytes:
    """The content of a migrated, empty database file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.sqlite"
        migrations.upgrade(path)
        return path.read_bytes()


class Database:
    """Operations run here as `store.run` runs them, but at once."""

    def __init__(self) -> None:
        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(":memory:", check_same_thread=False)
            connection.deserialize(migrated())
            connection.isolation_level = None
            connection.execute("PRAGMA foreign_keys=ON")
            return connection

        self.engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool)

        @event.listens_for(self.engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN")

    def do(
        self,
        operation: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `operation(tx, …)` in one transaction."""
        with Session(self.engine, expire_on_commit=False) as tx, tx.begin():
            return operation(tx, *args, **kwargs)

    def ask(self, query: Callable[[Session], T]) -> T:
        """Look at what is committed."""
        with Session(self.engine) as tx:
            return query(tx)

    def close(self) -> None:
        self.engine.dispose()
