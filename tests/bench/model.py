"""The scripted model of the benchmarks: a Messages API server in a process of its own.

An interviewer asks nothing and writes its two files; a planner submits the plan it was given. A
coder does what every honest coder does: next task,
write its file, have it proved; on with the next one while there is one for this run, else end.
Its answer is a function of the request. Each request is logged as one line of JSON.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.scripted_model import Asked, Say, Use, serving

_OURS = "mcp__autocoder__"
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Request:
    """One request as the server saw it."""

    at: float  # seconds since the epoch, when it was there whole
    size: int  # bytes of the body
    kind: str  # coder, planner, interviewer, or other
    turn: int  # answers of the model before it in its conversation


class Script:
    def __init__(self, plan: dict[str, Any], latency: float, log: Path) -> None:
        self._plan = plan
        self._latency = latency
        self._log = log.open("a", buffering=1)

    def __call__(self, asked: Asked) -> Say:
        tools = {tool["name"] for tool in asked.body.get("tools", ())}
        if f"{_OURS}plan_submit" in tools:
            kind, say = "planner", self._planner(asked)
        elif f"{_OURS}task_get_next" in tools:
            kind, say = "coder", _coder(asked, self._latency)
        elif f"{_OURS}ask_person" in tools:
            kind, say = "interviewer", _interviewer(asked)
        else:
            kind, say = "other", Say("ok")
        row = {"at": time.time(), "size": asked.size, "kind": kind, "turn": asked.turns}
        self._log.write(json.dumps(row) + "\n")
        return say

    def _planner(self, asked: Asked) -> Say:
        if asked.turns:
            return Say("Planned.")
        return Say(uses=(Use(f"{_OURS}plan_submit", {"plan": self._plan}),))


def _interviewer(asked: Asked) -> Say:
    names = ("app_spec.txt", "initializer_prompt.md")
    if asked.turns >= len(names):
        return Say("Written.")
    path = f".autocoder/prompts/{names[asked.turns]}"
    return Say(
        uses=(Use("Write", {"file_path": path, "content": "# Files that say their names\n"}),)
    )


def _coder(asked: Asked, latency: float) -> Say:
    used = _last_use(asked)
    match used:
        case None:
            return _use("task_get_next", {}, latency)
        case "task_get_next":
            task = json.loads(asked.last)["task"]
            if task is None:
                return Say("Done.", delay=latency)
            text = f"{task['name']}\n" * 3
            write = Use("Write", {"file_path": task["files"][0], "content": text})
            return Say("I write it.", (write,), delay=latency)
        case "Write":
            return _use("task_mark_passing", {"task_id": _task(asked)["id"]}, latency)
        case _:
            if '"accepted": true' in asked.last and _left(asked) > 0:
                return _use("task_get_next", {}, latency)
            return Say("Done.", delay=latency)


def _use(tool: str, arguments: dict[str, Any], latency: float) -> Say:
    return Say(uses=(Use(_OURS + tool, arguments),), delay=latency)


def _last_use(asked: Asked) -> str | None:
    for message in reversed(asked.body["messages"]):
        if message["role"] == "assistant":
            names = [part["name"] for part in message["content"] if part["type"] == "tool_use"]
            return str(names[-1]).removeprefix(_OURS) if names else ""
    return None


def _next_task(asked: Asked) -> dict[str, Any]:
    """What task_get_next last answered in this conversation."""
    for message in reversed(asked.body["messages"]):
        content = message["content"]
        for block in content if isinstance(content, list) else ():
            if block.get("type") == "tool_result":
                inner = block.get("content", "")
                text = inner if isinstance(inner, str) else inner[0].get("text", "")
                if '"task": {' in text:
                    found: dict[str, Any] = json.loads(text)
                    return found
    raise LookupError("no task in this conversation")


def _task(asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = _next_task(asked)["task"]
    return found


def _left(asked: Asked) -> int:
    return int(_next_task(asked)["left"])


@dataclass(frozen=True)
class Served:
    """A running model server."""

    url: str
    log: Path

    def requests(self) -> tuple[Request, ...]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return tuple(Request(**json.loads(line)) for line in lines)


@contextmanager
def model(plan: dict[str, Any], folder: Path, *, latency: float = 0) -> Iterator[Served]:
    """Serve `plan` from a child process; `latency` in seconds before each coder's answer."""
    log, given = folder / "requests.jsonl", folder / "plan.json"
    given.write_text(json.dumps(plan))
    argv = [sys.executable, "-m", "tests.bench.model", str(given), str(log), str(latency)]
    with subprocess.Popen(
        argv, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield Served(server.stdout.readline().strip(), log)
        finally:
            server.stdin.close()  # its end of file tells it to leave, also when we are killed


async def _serve(plan: Path, log: Path, latency: float) -> None:
    async with serving(Script(json.loads(plan.read_text()), latency, log)) as server:
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.bench.model")
    parser.add_argument("plan", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("latency", type=float)
    given = parser.parse_args()
    asyncio.run(_serve(given.plan, given.log, given.latency))
