"""Alembic's entry: run the migrations on the file named by `config.attributes["path"]`."""

from alembic import context
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from core.store import chat_tables  # noqa: F401  makes its tables known
from core.store.tables import Table

engine = create_engine(
    URL.create("sqlite", database=str(context.config.attributes["path"])), poolclass=NullPool
)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
