"""The database by hand: `autocoder db upgrade | backup | check`.

One process writes the file: what changes it needs a home that nobody holds, a
copy is made by the running service, and what only looks reads beside it.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from bot.client import Client
from bot.data.home import database_held, held
from bot.data.service_info import known_token, service_info
from bot.settings import Settings
from core.domain.redaction import Redaction
from core.errors import NotFound, StateError, StorageFailed
from core.operations import journal
from core.store import migrations
from core.store.session import bring_up, copy, reading

_SHOWN = 5  # of the problems of one kind


@dataclass(frozen=True)
class Seen:
    """One thing looked at."""

    name: str
    fine: bool
    words: str


def upgrade(settings: Settings) -> str:
    """Bring the schema to this version's; what was done. Raises HomeHeld and StorageFailed."""
    path = settings.database
    if path.exists() and _revision(path) == migrations.HEAD:
        return f"The database is at {migrations.HEAD}, the newest schema; nothing was changed."
    with held(settings.home), database_held(path, settings.home):
        new = not path.exists()
        done = bring_up(path)
    if done is None:
        return f"The database {path} was {'made' if new else 'filled'} at {migrations.HEAD}."
    return (
        f"The database was brought from {done.before} to {migrations.HEAD};"
        f" as it was it is kept in {done.copy}."
    )


def backup(settings: Settings, target: Path) -> str:
    """Copy the database into a new file; by the running service where one runs."""
    source = _existing(settings)
    target = target.expanduser().absolute()
    try:
        service_info(settings.home)
    except StateError:
        size = copy(source, target)
    else:
        size = Client(settings.home).backup(target)
    return f"{target}: {size / 2**20:.1f} MB, as of now and whole."


def check(settings: Settings) -> Iterator[Seen]:
    """Look at the whole file: seconds for a large one. It may be written meanwhile."""
    path = _existing(settings)
    yield Seen("file", True, f"{path}, {path.stat().st_size / 2**20:.1f} MB")
    try:
        at = _revision(path)
    except StorageFailed as error:
        yield Seen("schema", False, str(error))
        return
    newest = at == migrations.HEAD
    words = f"{at}, the newest" if newest else f"{at or 'none'}, not {migrations.HEAD}"
    yield Seen("schema", newest, words + ("" if newest else ": `autocoder db upgrade`"))
    integrity = _seen("integrity", "whole", path, _integrity)
    yield integrity
    yield _seen("references", "all lead somewhere", path, _references)
    if newest and integrity.fine:
        yield _journal(path)


def _journal(path: Path) -> Seen:
    with reading(path) as tx:
        count, broken = journal.first_break(tx)
    if broken is None:
        return Seen("journal", True, f"{count:,} entries, each follows from the one before")
    words = f"entry {broken} is not as it was written, or one before it is missing"
    return Seen("journal", False, words)


@contextmanager
def look(settings: Settings) -> Iterator[tuple[Session, Redaction]]:
    """One look at the database, and what must not be repeated of it."""
    with reading(_existing(settings)) as tx:
        yield tx, Redaction(settings.secrets(known_token(settings.home)))


def _existing(settings: Settings) -> Path:
    if not settings.database.exists():
        raise NotFound(
            f"There is no database {settings.database} yet.",
            hint="The first start makes it; another home is named by --home.",
        )
    return settings.database


def _revision(path: Path) -> str | None:
    try:
        return migrations.revision(path)
    except sqlite3.Error as error:
        raise StorageFailed(
            f"The database {path} cannot be read: {error}.",
            hint="Stop autocoder, set the file aside and put a copy in its place.",
        ) from error


def _seen(
    name: str, fine: str, path: Path, look: Callable[[sqlite3.Connection], Sequence[str]]
) -> Seen:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            problems = look(database)
    except sqlite3.Error as error:
        problems = [str(error)]
    more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return Seen(name, not problems, "; ".join(problems[:_SHOWN]) + more if problems else fine)


def _integrity(database: sqlite3.Connection) -> Sequence[str]:
    rows = [str(row[0]) for row in database.execute("PRAGMA integrity_check")]
    return [] if rows == ["ok"] else rows


def _references(database: sqlite3.Connection) -> Sequence[str]:
    return [
        f"{table} row {row} refers to a {parent} that is not there"
        for table, row, parent, _ in database.execute("PRAGMA foreign_key_check")
    ]
