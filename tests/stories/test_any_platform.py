"""The whole journey on each platform: real agents of the practice model, real cards, one person."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.app import App, open_app
from bot.settings import load
from bot.talk import Talk
from core.domain.lifecycle import ProjectStatus
from core.operations import outbox
from core.views import projects
from core.views.waiting import waiting
from tests.platforms.house import Seat
from tests.platforms.journey import Player
from tests.platforms.seats import SEATS
from tests.unit.bot.commands.stage import Stage

pytestmark = pytest.mark.slow
WITHIN_S = 240


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", list(SEATS))
async def test_from_new_to_the_report(name: str, tmp_path: Path) -> None:
    environ = {**os.environ, "AUTOCODER_MODEL": "practice", "AUTOCODER_PORT": "0"}
    async with open_app(load(environ, tmp_path / "home")) as app:
        talk = Talk(app, list)
        at = cast(Stage, SimpleNamespace(services=talk.services, door=talk.door))
        async with SEATS[name](at) as seat:
            loops: tuple[Callable[[], Awaitable[None]], ...] = (
                app.orchestrator.run,
                *talk.loops([seat.platform]),
                partial(seat.platform.run, talk.door),
            )
            tasks = [asyncio.ensure_future(loop()) for loop in loops]
            try:
                async with asyncio.timeout(WITHIN_S):
                    kinds = await _played(app, seat)
            except TimeoutError:
                shown = "\n".join(await asyncio.to_thread(seat.shown))
                pytest.fail(f"It does not end. Last shown: …{shown[-3000:]}")
            finally:
                await app.orchestrator.stop()
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            assert {"plan", "gate", "question", "stuck"} <= kinds, "the journey has all of it"
    assert (tmp_path / "home/projects/todo-api/.autocoder/report.md").is_file()


async def _played(app: App, seat: Seat) -> set[str]:
    """To the end; the kinds of cards that were acted upon."""
    player, done = Player(seat), set[str]()
    await player.begin()
    read: Any = app.parts.store.read
    while not (found := await read(projects.by_name, "todo-api")):
        await asyncio.sleep(0.1)
    while (found := await read(projects.by_name, "todo-api")).status is not ProjectStatus.COMPLETED:
        for wait in await read(partial(waiting, project_id=found.id)):
            if await _stands(app, seat, wait.key) and f"{wait.key} {wait.since}" not in done:
                with suppress(KeyError):  # the card's newest state is on its way
                    await player.act(wait)
                    done.add(f"{wait.key} {wait.since}")
        await asyncio.sleep(0.2)
    async with asyncio.timeout(20):
        while not any("todo-api is complete" in w for w in await asyncio.to_thread(seat.shown)):
            await asyncio.sleep(0.2)
    return {key.split(":")[0] for key in done}


async def _stands(app: App, seat: Seat, key: str) -> bool:
    """Whether the card was posted there; of a screen, which cannot be asked, the outbox knows."""
    if seat.finds:
        return key in await asyncio.to_thread(seat.standing)
    return await app.parts.store.read(outbox.message_of, seat.place, key) is not None
