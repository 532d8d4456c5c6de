"""A project in a database of its own."""

from collections.abc import Iterator

import pytest

from tests.unit.operations.build import Site


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.db.close()
