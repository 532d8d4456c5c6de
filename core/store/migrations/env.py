"""Alembic's entry: run the migrations on the file named by `config.attributes["path"]`."""

import sqlite3
from typing import Any

from alembic import context
from sqlalchemy import URL, create_engine, event
from sqlalchemy.pool import NullPool

from core.store import chat_tables  # noqa: F401  makes its tables known
from core.store.tables import Table

engine = create_engine(
    URL.create("sqlite", database=str(context.config.attributes["path"])), poolclass=NullPool
)


@event.listens_for(engine, "connect")
def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # else the driver commits around each change of the schema


@event.listens_for(engine, "begin")
def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        render_as_batch=True,
        transactional_ddl=True,  # all of it or nothing
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
