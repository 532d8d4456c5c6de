"""`autocoder db` on files that are whole and on others."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.data import database
from bot.settings import Settings, load
from core.errors import HomeHeld, InputError, NotFound, StorageFailed
from core.store import migrations
from tests.unit.operations.build import Site, task


@pytest.fixture
def settings(tmp_path: Path, site: Site) -> Settings:
    """A home with a database that holds a project."""
    made = load({"HOME": str(tmp_path)}, tmp_path)
    site.build({"a": (task("1"),)})
    site.done(1)
    with site.db.engine.connect() as connection, closing(sqlite3.connect(made.database)) as file:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.backup(file)
    return made


@contextmanager
def changed(settings: Settings) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(settings.database)) as raw:
        yield raw
        raw.commit()


def _wrong(settings: Settings) -> set[str]:
    return {seen.name for seen in database.check(settings) if not seen.fine}


def test_a_whole_one(settings: Settings) -> None:
    seen = list(database.check(settings))
    assert [each.name for each in seen] == ["file", "schema", "integrity", "references", "journal"]
    assert all(each.fine for each in seen)


def test_a_reference_to_nothing(settings: Settings) -> None:
    with changed(settings) as raw:
        raw.execute("DELETE FROM features")
    assert "references" in _wrong(settings)


def test_a_journal_that_was_altered(settings: Settings) -> None:
    with changed(settings) as raw:
        raw.execute("UPDATE journal SET text = 'nothing happened' WHERE id = 2")
    assert _wrong(settings) == {"journal"}


def test_an_older_schema(settings: Settings) -> None:
    with changed(settings) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '0000'")
    assert _wrong(settings) == {"schema"}


def test_a_damaged_file(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.database)) as raw:
        (root,) = raw.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_journal_project_id_id'"
        ).fetchone()
    with settings.database.open("r+b") as file:
        file.seek((root - 1) * 4096 + 2048)
        file.write(os.urandom(2048))
    assert "integrity" in _wrong(settings)
    settings.database.write_bytes(b"no database at all" * 1000)
    assert _wrong(settings) == {"schema"}
    with pytest.raises(StorageFailed, match="not a database"):
        database.upgrade(settings)


def test_nothing_to_look_at(tmp_path: Path) -> None:
    nowhere = load({"HOME": str(tmp_path)}, tmp_path)
    with pytest.raises(NotFound):
        list(database.check(nowhere))
    with pytest.raises(NotFound):
        database.backup(nowhere, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_is_whole_and_for_its_owner_alone(settings: Settings, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    database.backup(settings, target)
    assert target.stat().st_mode & 0o777 == 0o600
    assert migrations.revision(target) == migrations.HEAD
    copied = settings.model_copy(update={"database": target})
    assert _wrong(copied) == set()
    with pytest.raises(InputError, match="exists already"):
        database.backup(settings, target)
    with pytest.raises(InputError, match="no-folder is not a folder"):
        database.backup(settings, tmp_path / "no-folder" / "copy.db")


def test_an_upgrade_makes_what_is_missing_and_leaves_what_is_right(tmp_path: Path) -> None:
    settings = load({"HOME": str(tmp_path)}, tmp_path / "new")
    assert "was made" in database.upgrade(settings)
    assert _wrong(settings) == set()
    assert "nothing was changed" in database.upgrade(settings)


def test_nobody_upgrades_below_a_process_at_work(settings: Settings) -> None:
    with changed(settings) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '0000'")
    with (settings.home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        with pytest.raises(HomeHeld, match=str(os.getpid())):
            database.upgrade(settings)
