"""Migrations give what the tables say, keep what is there, and copy it first."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import String, create_engine

from core.store import migrations
from core.store.tables import Table
from core.store.types import Word


def test_the_migrated_schema_is_that_of_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    migrations.upgrade(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": _differs, "compare_server_default": True}
        )
        assert compare_metadata(context, Table.metadata) == []
    engine.dispose()


def _differs(_context: object, _inspected: object, _metadata: object, found: object,
             wanted: object) -> bool | None:  # fmt: skip
    if isinstance(wanted, Word) and isinstance(found, String):
        return found.length != Word.impl.length
    return None


def test_every_index_of_the_tables_exists(tmp_path: Path) -> None:
    migrations.upgrade(tmp_path / "a.sqlite")
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as raw:
        found = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type='index'")}
        partial = raw.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'uq_approvals_open'"
        ).fetchone()[0]
    wanted = {index.name for table in Table.metadata.tables.values() for index in table.indexes}
    assert wanted <= found
    assert "WHERE status = 'open'" in partial


def test_a_second_upgrade_does_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    assert migrations.revision(path) is None
    assert migrations.upgrade(path) is None
    assert migrations.revision(path) == migrations.HEAD
    before = path.read_bytes()
    assert migrations.upgrade(path) is None
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.sqlite"]


@pytest.mark.parametrize("name", ["a.sqlite", "per%41cent.sqlite", "ha#sh.sqlite", "que?ry.sqlite"])
def test_a_backup_is_a_whole_copy_also_of_what_is_only_in_the_wal(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    migrations.upgrade(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("INSERT INTO account_windows VALUES ('x', NULL, 1, '', '2027-01-01')")
        raw.commit()
        migrations.backup(path, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert copy.execute("SELECT upstream, strikes FROM account_windows").fetchall() == [
            ("x", 1)
        ]
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
