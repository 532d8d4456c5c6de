from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from tests.unit.bot.cards import stage


@pytest.fixture
def tx() -> Iterator[Session]:
    with stage.database() as session:
        yield session
