"""Worlds for stories."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.scripted.process import scripted_model
from tests.scripted.scenario import Scenario
from tests.stories.world import World

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
        assert made.left_processes() == []
