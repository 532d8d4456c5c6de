"""Who may read the database: its owner alone."""

import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from core.store.session import Store


@pytest.mark.parametrize("before", [None, 0o644])
async def test_the_database_and_its_log_are_its_owners(tmp_path: Path, before: int | None) -> None:
    path = tmp_path / "autocoder.db"
    if before is not None:
        await Store(path).close()
        path.chmod(before)
    store = Store(path)
    try:
        await store.run(lambda tx: tx.execute(text("CREATE TABLE written (n INTEGER)")))
        found = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    finally:
        await store.close()
    assert found == dict.fromkeys(("autocoder.db", "autocoder.db-wal", "autocoder.db-shm"), 0o600)
