"""Migrations by Alembic, never destructive; a copy of the database is taken first."""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine

from core.errors import StorageFailed
from core.store import chat_tables  # noqa: F401  makes its tables known
from core.store.tables import Table

_HERE = Path(__file__).parent
HEAD = max(path.name for path in (_HERE / "versions").glob("[0-9]*.py"))[:4]  # the newest revision


@dataclass(frozen=True)
class Upgrade:
    """A schema that was changed."""

    before: str  # the revision it was at
    copy: Path  # the database as it was


def revision(path: Path) -> str | None:
    """The revision a database file is at; None for a new one."""
    if not path.exists():
        return None
    with closing(_look(path)) as connection:
        known = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
        ).fetchone()
        row = known and connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def knows(revision: str) -> bool:
    """Whether a revision is one of this version's, or older."""
    return any((_HERE / "versions").glob(f"{revision}_*.py"))


def upgrade(path: Path) -> Upgrade | None:
    """Bring the file to HEAD; what was changed, None for a new file or one at HEAD.

    An existing file is copied beside itself first (`NAME.REVISION.backup`) and migrated in one
    transaction, so a kill leaves it as it was. A new one appears whole or not at all. Raises
    StorageFailed for the file of a newer autocoder.
    """
    at = revision(path)
    if at == HEAD:
        return None
    if at is not None and not knows(at):
        raise StorageFailed(
            f"The database {path} was made by a newer autocoder.",
            hint="Use that one, or another home.",
        )
    if at is not None:
        copy = path.with_name(f"{path.name}.{at}.backup")
        backup(path, copy)
        _migrate(path)
        return Upgrade(at, copy)
    if path.exists() and path.stat().st_size:
        _migrate(path)
    else:
        new = path.with_name(f"{path.name}.new")
        for left in (new, new.with_name(f"{new.name}-journal")):
            left.unlink(missing_ok=True)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _create(new)
        new.replace(path)
    return None


def _create(path: Path) -> None:
    """All tables as they are now: Alembic, which is large, is for homes that are there already."""
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path))
    with engine.begin() as connection:
        Table.metadata.create_all(connection)
        connection.exec_driver_sql(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
        )
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (HEAD,))
    engine.dispose()


def _migrate(path: Path) -> None:
    from alembic import command  # slow to import, and needed once in a home's life
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["path"] = path
    command.upgrade(config, HEAD)


def backup(path: Path, target: Path) -> int:
    """A consistent copy by SQLite's backup API, for its owner alone; its bytes.

    One step copies the state of one moment while another thread or process goes on writing. The
    copy is one file, without a log beside it; it takes its name when it is whole and on disk.
    """
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(_look(path)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        size = part.stat().st_size
        part.replace(target)
    except (sqlite3.Error, OSError):
        part.unlink(missing_ok=True)
        raise
    return size


def _look(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
