"""Worlds for stories."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.scripted.process import scripted_model
from tests.scripted.scenario import Scenario
from tests.stories.world import World

TIMEOUT_S = 300  # for machines that do something else meanwhile

MakeWorld = Callable[[Scenario], World]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes a world for a scenario; afterwards nothing of it may be left running."""
    worlds: list[World] = []
    with ExitStack() as stack:

        def make(scenario: Scenario) -> World:
            folder = tmp_path / f"world-{len(worlds)}"
            folder.mkdir()
            model = stack.enter_context(scripted_model(folder, scenario))
            worlds.append(World(folder, model))
            return worlds[-1]

        yield make
        for made in worlds:
            made.close()
    for made in worlds:
        assert made.left_processes() == []


@pytest.fixture
def practice_world(tmp_path: Path) -> Iterator[World]:
    """A world with the practice model."""
    world = World(tmp_path, None)
    yield world
    world.close()
    assert world.left_processes() == []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
