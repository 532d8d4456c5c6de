"""What contract tests of several rooms begin with."""

from pathlib import Path

import pytest

from core.store import migrations


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database; migrating takes longer than a test."""
    path = tmp_path_factory.mktemp("empty") / "autocoder.db"
    migrations.upgrade(path)
    return path
