"""Migrations give what the tables say, keep what is there, and copy it first."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import String, create_engine

from core.errors import StorageFailed
from core.store import migrations
from core.store.tables import Table
from core.store.types import Word


def test_the_migrated_schema_is_that_of_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    migrations._migrate(path)  # a new one is made of the tables at once
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


NEXT = """
from alembic import op
import sqlalchemy as sa
revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None
def upgrade():
    with op.batch_alter_table("account_windows") as table:
        table.add_column(sa.Column("new", sa.Integer(), nullable=False, server_default="7"))
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    {more}
"""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A database of this version with a row in it."""
    path = tmp_path / "a.sqlite"
    migrations.upgrade(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("INSERT INTO account_windows VALUES ('x', NULL, 1, '', '2027-01-01')")
        raw.commit()
    return path


def _next_version(folder: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> None:
    """The next version, with a revision more."""
    ours = Path(migrations.__file__).parent
    shutil.copytree(ours, folder / "next", ignore=shutil.ignore_patterns("__pycache__"))
    revision = folder / "next" / "versions" / "9999_more.py"
    revision.write_text(NEXT.format(head=migrations.HEAD, more=more))
    monkeypatch.setattr(migrations, "_HERE", folder / "next")
    monkeypatch.setattr(migrations, "HEAD", "9999")


def test_an_older_database_is_copied_and_loses_no_row(
    older: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = migrations.HEAD
    _next_version(tmp_path, monkeypatch)
    done = migrations.upgrade(older)
    assert done == migrations.Upgrade(before, older.with_name(f"a.sqlite.{before}.backup"))
    assert migrations.revision(older) == "9999"
    with closing(sqlite3.connect(older)) as raw:
        assert raw.execute("SELECT upstream, new FROM account_windows").fetchall() == [("x", 7)]
    assert migrations.revision(done.copy) == before
    with closing(sqlite3.connect(done.copy)) as raw:
        assert raw.execute("SELECT upstream FROM account_windows").fetchall() == [("x",)]
    assert done.copy.stat().st_mode & 0o777 == 0o600


def test_a_migration_that_fails_half_way_changes_nothing(
    older: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = migrations.HEAD
    _next_version(tmp_path, monkeypatch, "raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        migrations.upgrade(older)
    assert migrations.revision(older) == before
    with closing(sqlite3.connect(older)) as raw:
        assert raw.execute("SELECT * FROM account_windows").fetchall() == [
            ("x", None, 1, "", "2027-01-01")
        ]
        assert raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'later'").fetchone() is None


def test_the_database_of_a_newer_version_is_left_alone(older: Path) -> None:
    with closing(sqlite3.connect(older)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
    before = older.read_bytes()
    with pytest.raises(StorageFailed, match="newer autocoder"):
        migrations.upgrade(older)
    assert older.read_bytes() == before
    assert [path.name for path in older.parent.iterdir()] == ["a.sqlite"]


def test_a_home_of_the_first_version_is_taken_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its projects live in the terminal, and its features have the usual priority."""
    path = tmp_path / "a.sqlite"
    first = tmp_path / "first"
    with monkeypatch.context() as then:
        shutil.copytree(
            Path(migrations.__file__).parent, first, ignore=shutil.ignore_patterns("000[2-9]*")
        )
        then.setattr(migrations, "_HERE", first)
        then.setattr(migrations, "HEAD", "0001")
        migrations._migrate(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(
            "INSERT INTO projects (id, name, slug, status, spec_digest, summary, setup, checks,"
            " practice, settings, budget_micro_usd, planner_failures, planner_restarts, created_at)"
            " VALUES (1, 'todo', 'todo', 'running', '', '', '[]', '[]', 1, '{}', 1, 0, 0,"
            " '2026-03-11')"
        )
        raw.execute(
            "INSERT INTO phases (id, project_id, position, name, description, status,"
            " gate_failures) VALUES (1, 1, 1, 'One', '', 'in_progress', 0)"
        )
        raw.execute(
            "INSERT INTO features (id, project_id, phase_id, position, name, slug, description,"
            " spec, status, priority, branch, prepared)"
            " VALUES (1, 1, 1, 1, 'A', 'a', '', '', 'pending', 999, 'feature/a', 0)"
        )
        raw.commit()
    migrations.upgrade(path)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT priority FROM features").fetchall() == [(0,)]
        assert raw.execute("SELECT platform, channel FROM project_places").fetchall() == [
            ("terminal", "main")
        ]
