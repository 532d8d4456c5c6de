"""The bare warm CLI: claude-agent-sdk and nothing of ours but the words the model gets.

The same prompt and tools as a coder of ours has, in-process, with the same environment, so that
the requests are the same; no box, no gateway, no checks, no git, no database. `/clear` between
tasks, as ours.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from claude_agent_sdk import (
    ClaudeAgentOptions,
    ClaudeSDKClient,
    ResultMessage,
    SdkMcpTool,
    ToolAnnotations,
    create_sdk_mcp_server,
)

from adapters.claude.gateway import CredentialKind, Door
from adapters.claude.launch import SETTINGS, AgentFolders, box_profile, find_cli
from core.domain.agents import PROFILES, AgentKind
from core.domain.redaction import Redaction
from core.orchestrator import briefing
from core.orchestrator.parts import Parts
from core.orchestrator.proving import Prover
from core.ports.agents import RunRequest, Tool
from core.ports.host import BoxLevel
from mcp_server.tools import Toolbox
from tests.bench.model import Request, model

_ROOT = Path(__file__).parents[2]
_PROFILE = PROFILES[AgentKind.CODER]


@dataclass(frozen=True)
class Session:
    """Tasks done by one warm CLI."""

    seconds: float  # from the first request to the last answer of task_mark_passing
    requests: tuple[Request, ...]


def session(planned: Mapping[str, Any], folder: Path) -> Session:
    """Do the tasks of a plan one after another in a process of its own."""
    folder.mkdir(parents=True)
    with model(dict(planned), folder) as served:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.bare", served.url, str(folder)],
            cwd=_ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        requests = served.requests()
    if done.returncode != 0:
        raise RuntimeError(f"the bare CLI ended with {done.returncode}:\n{done.stderr[-3000:]}")
    last = float(done.stdout.split()[-1])
    return Session(last - min(request.at for request in requests), requests)


class _Tasks:
    """Answers the tools as the service would, from memory."""

    def __init__(self, planned: Mapping[str, Any]) -> None:
        self._waiting = [
            {"id": number, **task, "attempts": 0, "last_error": None, "recovery_notes": None}
            | {"feature": {"id": 1, "name": feature["name"]}}
            for phase in planned["phases"]
            for feature in phase["features"]
            for number, task in enumerate(feature["tasks"], 1)
        ]
        self.count = len(self._waiting)
        self.last_passed = 0.0

    def answer(self, name: str) -> dict[str, Any]:
        if name == "task_get_next":
            return {"task": self._waiting.pop(0), "left": 0}
        if name == "task_mark_passing":
            self.last_passed = time.time()
            return {"accepted": True, "evidence": {"id": 1, "commit": "0" * 40}}
        raise LookupError(name)


def _coder_tools() -> list[Tool]:
    """Ours, for their names, descriptions and schemas; their handlers are not called."""
    nothing: Any = None
    parts = cast(Parts, SimpleNamespace(redact=Redaction()))
    tools = Toolbox(parts, cast(Prover, nothing), judge=nothing, end_run=nothing).tools()
    return [tools[name] for name in _PROFILE.own_tools]


def _offered(tool: Tool, tasks: _Tasks) -> SdkMcpTool[Any]:
    async def handle(arguments: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(tasks.answer(tool.name))
        return {"content": [{"type": "text", "text": text}]}

    return SdkMcpTool(
        name=tool.name,
        description=tool.description,
        input_schema=dict(tool.schema),
        handler=handle,
        annotations=ToolAnnotations(readOnlyHint=True) if tool.read_only else None,
    )


def _options(url: str, folder: Path, tasks: _Tasks) -> ClaudeAgentOptions:
    work = folder / "work"
    work.mkdir()
    subprocess.run(["git", "init", "--quiet", str(work)], check=True)
    folders = AgentFolders(folder / "agent")
    folders.make()
    tools = _coder_tools()
    door = Door("bare", "none", port=int(url.rpartition(":")[2]))
    request = cast(RunRequest, _Place(work))
    profile = box_profile(request, door, folders, find_cli(), BoxLevel.NONE, CredentialKind.API_KEY)
    return ClaudeAgentOptions(
        cli_path=find_cli(),
        cwd=work,
        env={**profile.env, "CLAUDE_AGENT_SDK_SKIP_VERSION_CHECK": "1"},
        model="sonnet",
        system_prompt=(files("core") / "prompts" / "coder.md").read_text("utf-8"),
        tools=list(_PROFILE.builtin_tools),
        allowed_tools=[
            *_PROFILE.builtin_tools,
            *(f"mcp__autocoder__{tool.name}" for tool in tools),
        ],
        disallowed_tools=["Agent", "Task"],
        mcp_servers={
            "autocoder": create_sdk_mcp_server(
                "autocoder", tools=[_offered(tool, tasks) for tool in tools]
            )
        },
        strict_mcp_config=True,
        setting_sources=[],
        settings=SETTINGS,
        permission_mode="bypassPermissions",
        max_turns=80,
    )


@dataclass(frozen=True)
class _Place:
    """What `box_profile` reads of a request."""

    work: Path
    git_dir: None = None


async def _work(url: str, folder: Path) -> None:
    tasks = _Tasks(json.loads((folder / "plan.json").read_text()))
    async with ClaudeSDKClient(_options(url, folder, tasks)) as client:
        for number in range(tasks.count):
            if number:
                await _turn(client, "/clear")
            await _turn(client, briefing.CODER_BEGIN)
    print(tasks.last_passed)


async def _turn(client: ClaudeSDKClient, prompt: str) -> None:
    await client.query(prompt)
    async for message in client.receive_response():
        if isinstance(message, ResultMessage) and message.is_error:
            raise RuntimeError(message.result)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.bench.bare")
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    asyncio.run(_work(given.url, given.folder))
