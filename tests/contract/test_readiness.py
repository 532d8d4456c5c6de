"""Ready is who takes commands and has decided what an earlier life left; healthy is who answers."""

import asyncio
import subprocess
import sys
from pathlib import Path

from bot import serve
from bot.app import open_app
from bot.settings import load
from tests.stories.service import Client


async def test_it_answers_before_it_is_ready(tmp_path: Path) -> None:
    settings = load({"AUTOCODER_MODEL": "practice", "AUTOCODER_PORT": "0"}, tmp_path / "home")
    async with (
        open_app(settings) as app,
        serve._room(app, "token", tuple) as room,
        asyncio.TaskGroup() as group,
    ):
        [web] = [group.create_task(chat.run(room.talk.door)) for chat in room.platforms]
        stranger = Client(room.where.url, None)
        healthy = await asyncio.to_thread(stranger.get, "/healthz")
        assert (healthy.status, healthy.json) == (200, {"status": "ok"})
        unready = await asyncio.to_thread(stranger.get, "/readyz")
        assert (unready.status, unready.json["ready"]) == (503, False)
        assert unready.json["parts"]["orchestrator"] == "recovering"
        app.orchestrator.take_all()
        loops = [group.create_task(loop()) for loop in room.loops]
        await app.orchestrator.recovered.wait()
        await room.talk.router.recovered.wait()
        ready = await asyncio.to_thread(stranger.get, "/readyz")
        assert (ready.status, ready.json["ready"]) == (200, True)
        assert ready.json["parts"]["orchestrator"] == "ok"
        for task in (web, *loops):
            task.cancel()


def test_a_start_loads_nothing_that_it_does_not_need() -> None:
    code = "import bot.serve, bot.checks.host, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert {"alembic", "slack_bolt", "discord"} & set(loaded) == set()
    assert "fastapi" in loaded
