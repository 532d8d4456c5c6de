"""The real Claude CLI, driven by the practice model, builds projects that hold."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import (
    ClaudeAgentOptions,
    ClaudeSDKClient,
    ResultMessage,
    SdkMcpTool,
    create_sdk_mcp_server,
)

from adapters.practice import programs
from adapters.practice.server import practice_model
from bot.cards.labels import PRACTICE_REJECTION
from core.orchestrator.briefing import CODER_BEGIN, PLANNER_BEGIN
from tests.contract.practice_parts import Refused, TaskService, rejected_gate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

_SCHEMAS: dict[str, dict[str, Any]] = {
    "plan_submit": {"plan": {"type": "object"}},
    "task_get_next": {},
    "task_mark_passing": {"task_id": {"type": "integer"}},
    "task_release": {"task_id": {"type": "integer"}, "reason": {"type": "string"}},
}
_TOOLS = {
    "planner": (["Read", "Glob", "Grep"], ["plan_submit"]),
    "coder": (
        ["Bash", "Read", "Write", "Edit", "Glob", "Grep"],
        ["task_get_next", "task_mark_passing", "task_release"],
    ),
}


@pytest.fixture
async def model() -> AsyncIterator[str]:
    async with practice_model() as url:
        yield url


def _tool(service: TaskService, name: str) -> SdkMcpTool[Any]:
    async def handle(arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            text, refused = service.call(name, arguments), False
        except Refused as words:
            text, refused = str(words), True
        return {"content": [{"type": "text", "text": text}], "is_error": refused}

    required = [n for n in _SCHEMAS[name] if n != "reason"]
    schema = {"type": "object", "properties": _SCHEMAS[name], "required": required}
    return SdkMcpTool(name=name, description=name, input_schema=schema, handler=handle)


async def run(
    service: TaskService, model: str, home: Path, kind: str, prompt: str
) -> ResultMessage:
    """One run of an agent in the repository."""
    builtin, own = _TOOLS[kind]
    options = ClaudeAgentOptions(
        cwd=service.repository,
        system_prompt=f"You are the {kind} of autocoder.\n\nCall your tools.",
        model="sonnet",
        tools=builtin,
        mcp_servers={
            "autocoder": create_sdk_mcp_server("autocoder", tools=[_tool(service, n) for n in own])
        },
        permission_mode="bypassPermissions",
        setting_sources=[],
        strict_mcp_config=True,
        max_turns=150,
        env={
            "ANTHROPIC_BASE_URL": model,
            "ANTHROPIC_API_KEY": "x",
            "CLAUDE_CONFIG_DIR": str(home),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "NO_PROXY": "127.0.0.1",
            "IS_SANDBOX": "1",
        },
    )
    result: ResultMessage | None = None
    async with ClaudeSDKClient(options) as client:
        await client.query(prompt)
        async for message in client.receive_response():
            if isinstance(message, ResultMessage):
                result = message
    service.end_run()
    assert result is not None
    assert not result.is_error, result.result
    assert (result.result or "").startswith("[practice] ")
    assert result.usage is not None
    return result


async def plan(service: TaskService, model: str, tmp_path: Path, prompt: str) -> None:
    before = service.plan
    await run(service, model, tmp_path / "planner", "planner", prompt)
    assert service.plan is not before


async def build(service: TaskService, model: str, tmp_path: Path) -> int:
    """Coder runs until nothing is ready; how many it took."""
    for runs in range(1, 12):
        result = await run(service, model, tmp_path / "coder", "coder", CODER_BEGIN)
        assert result.usage is not None
        assert result.usage["cache_read_input_tokens"] > 1000
        if json.loads(service.call("task_get_next", {}))["task"] is None:
            return runs
        service.end_look()
    pytest.fail("the coder never comes to an end")


async def test_the_story(tmp_path: Path, model: str) -> None:
    service = TaskService(tmp_path / "work", programs.spec())
    await plan(service, model, tmp_path, PLANNER_BEGIN)
    await build(service, model, tmp_path)

    (stuck,) = service.stuck
    assert stuck.attempts == 5
    assert sum(task.passing for task in service.tasks) == 13
    mended = [task for task in service.tasks if task.passing and task.refusals]
    assert len(mended) == 1
    assert mended[0].attempts == 0

    service.stuck_after = 10  # a person says: retry
    await build(service, model, tmp_path)
    assert all(task.passing and task.was_red for task in service.tasks)
    assert service.plan is not None
    for command in service.plan["checks"]:
        assert service.check(command)[0] == 0


@pytest.mark.parametrize(
    "spec",
    [
        "# Recettes « été » 🍓\n\n## Chercher\n- par mot\n- par 'tag'\n\n## Noter\n* de 1 à 5\n",
        "# Big\n\n## Part\n" + "".join(f"- words and words {n}\n" for n in range(55_000)),
        "x" * 1_000_000,
    ],
    ids=["ordinary", "too large to be read", "one enormous line"],
)
async def test_any_other_spec(tmp_path: Path, model: str, spec: str) -> None:
    service = TaskService(tmp_path / "work", spec)
    await plan(service, model, tmp_path, PLANNER_BEGIN)
    assert await build(service, model, tmp_path) == 1
    service.goes_on = True
    await plan(service, model, tmp_path, rejected_gate(PRACTICE_REJECTION))
    assert await build(service, model, tmp_path) == 1
    assert all(task.passing and task.was_red for task in service.tasks)
    assert service.check("python3 -m unittest discover -s tests -t .")[0] == 0
    notes = (service.repository / "notes.txt").read_text().splitlines()
    assert notes[0] == ("Recettes « été » 🍓" if "été" in spec else notes[0])
    assert len(notes) <= 40
