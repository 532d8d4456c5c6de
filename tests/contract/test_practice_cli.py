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

from adapters.practice import bundle
from adapters.practice.books import read_books
from adapters.practice.process import PracticeModel
from tests.contract.practice_parts import Refused, TaskService

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
def books(tmp_path: Path) -> Path:
    return tmp_path / "books.jsonl"


@pytest.fixture
async def model(books: Path) -> AsyncIterator[PracticeModel]:
    async with PracticeModel(books=books, env={"AUTOCODER_PROCESS": "test-1"}) as running:
        yield running


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
    service: TaskService, model: PracticeModel, home: Path, kind: str, prompt: str
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
            "ANTHROPIC_BASE_URL": model.url,
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
    return result


async def plan(service: TaskService, model: PracticeModel, tmp_path: Path) -> None:
    await run(service, model, tmp_path / "planner", "planner", "Plan it. Read the spec.")
    assert service.plan is not None


async def build(service: TaskService, model: PracticeModel, tmp_path: Path) -> int:
    """Coder runs until nothing is ready; how many it took."""
    for runs in range(1, 12):
        await run(service, model, tmp_path / "coder", "coder", "Begin.")
        if json.loads(service.call("task_get_next", {}))["task"] is None:
            return runs
        service._claimed = None  # looked, did not take
    pytest.fail("the coder never comes to an end")


async def test_bundled_project(tmp_path: Path, model: PracticeModel, books: Path) -> None:
    service = TaskService(tmp_path / "work", bundle.spec())
    await plan(service, model, tmp_path)
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
    entries = read_books(books)
    assert len({entry.message_id for entry in entries}) == len(entries)
    assert all(entry.end_sent for entry in entries)
    assert any(entry.cache_read_input_tokens > 1000 for entry in entries)


async def test_any_other_spec(tmp_path: Path, model: PracticeModel) -> None:
    spec = "# Recettes « été » 🍓\n\n## Chercher\n- par mot\n- par 'tag'\n\n## Noter\n* de 1 à 5\n"
    service = TaskService(tmp_path / "work", spec)
    await plan(service, model, tmp_path)
    assert await build(service, model, tmp_path) == 1
    assert all(task.passing and task.was_red and not task.refusals for task in service.tasks)
    assert service.check("python3 -m unittest discover -s tests -t .")[0] == 0


async def test_a_spec_too_large_to_be_read(tmp_path: Path, model: PracticeModel) -> None:
    service = TaskService(tmp_path / "work", "# Big\n\n## Part\n" + "- words and words\n" * 55_000)
    await plan(service, model, tmp_path)
    assert await build(service, model, tmp_path) == 1
    assert all(task.passing for task in service.tasks)


async def test_a_spec_of_one_enormous_line(tmp_path: Path, model: PracticeModel) -> None:
    service = TaskService(tmp_path / "work", "x" * 1_000_000)
    await plan(service, model, tmp_path)
    assert await build(service, model, tmp_path) == 1
    assert all(task.passing for task in service.tasks)
