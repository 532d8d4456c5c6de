"""Migrations by Alembic, never destructive; a copy of the database is taken first."""

import sqlite3
from contextlib import closing
from pathlib import Path

from core.errors import StorageFailed

HEAD = "0001"
_HERE = Path(__file__).parent


def revision(path: Path) -> str | None:
    """The revision a database file is at; None for a new one."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(path)) as connection:
        known = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
        ).fetchone()
        row = known and connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def upgrade(path: Path) -> str | None:
    """Bring the file to HEAD; the revision it was at if that was another.

    An existing file is copied beside itself first (`NAME.REVISION.backup`). A new one appears
    whole or not at all: SQLite makes each table for itself, and half of them would be in the
    way of the next start. Raises StorageFailed for the file of a newer autocoder.
    """
    at = revision(path)
    if at == HEAD:
        return None
    if at is not None and not any((_HERE / "versions").glob(f"{at}_*.py")):
        raise StorageFailed(
            f"The database {path} was made by a newer autocoder.",
            hint="Use that one, or another home.",
        )
    if at is not None:
        backup(path, path.with_name(f"{path.name}.{at}.backup"))
    if path.exists() and path.stat().st_size:
        _migrate(path)
    else:
        new = path.with_name(f"{path.name}.new")
        for left in (new, new.with_name(f"{new.name}-journal")):
            left.unlink(missing_ok=True)
        _migrate(new)
        new.replace(path)
    return at


def _migrate(path: Path) -> None:
    from alembic import command  # slow to import, and needed once in a home's life
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["path"] = path
    command.upgrade(config, HEAD)


def backup(path: Path, target: Path) -> None:
    """A consistent copy by SQLite's backup API."""
    with (
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
