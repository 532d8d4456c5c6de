"""A runner whose SDK comes with the first run: the same runs, and none that was stopped before."""

import asyncio
import subprocess
import sys
from pathlib import Path

from adapters.claude.late import LateRunner
from core.domain.agents import AgentKind, RunOutcome
from tests.contract.agent_parts import collect, parts
from tests.contract.scripted_model import Asked, Say, serving


def script(_asked: Asked) -> Say:
    return Say("done")


async def test_its_runs_are_those_of_the_runner_it_makes(tmp_path: Path) -> None:
    async with serving(script) as model, parts(model.url, tmp_path) as given:
        late = LateRunner(given.home, lambda _claude: given.runner)
        assert not late.resumable(AgentKind.CODER, given.work, "none")
        request = given.request()
        _, end = await collect(late.run(request))
        assert end.outcome is RunOutcome.FINISHED
        assert end.session_id is not None
        assert late.resumable(AgentKind.CODER, given.work, end.session_id)
        await late.close()


async def test_what_is_stopped_before_it_is_there_never_starts(tmp_path: Path) -> None:
    async with serving(script) as model, parts(model.url, tmp_path) as given:
        late = LateRunner(given.home, lambda _claude: given.runner)
        stopped, closed = (asyncio.create_task(collect(late.run(given.request(n)))) for n in (1, 2))
        await asyncio.sleep(0)
        await late.stop(1)
        await late.close()
        for task in (stopped, closed):
            _, end = await task
            assert end.outcome is RunOutcome.STOPPED
        assert model.asked == []


def test_the_service_starts_without_what_only_agents_need() -> None:
    code = "import bot.serve, bot.check, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    late = {"claude_agent_sdk", "mcp", "alembic", "slack_bolt", "discord", "matplotlib"}
    assert late & set(loaded) == set()
    assert "fastapi" in loaded
