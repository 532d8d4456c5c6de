"""Parts around a runner: a ledger and a registry that remember, real box, processes, gateway."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from adapters.claude.gateway import Gateway
from adapters.claude.judge import BashJudge
from adapters.claude.runner import ClaudeRunner
from adapters.processes import HostProcesses
from adapters.sandbox.sandbox import open_box
from core.domain.agents import PROFILES, AgentKind
from core.domain.money import MessageUsage
from core.ports.agents import (
    LimitReport,
    Refusal,
    RunEnded,
    RunRequest,
    RunSignal,
    Tool,
    ToolCall,
    ToolReply,
)
from core.ports.host import Box
from mcp_server.server import agent_server


@dataclass
class MemoryLedger:
    booked: list[tuple[str, MessageUsage]] = field(default_factory=list)
    limits: list[LimitReport] = field(default_factory=list)
    answers: int = 0
    refusal: Refusal | None = None
    refuse_after: int | None = None  # admit so many requests, then refuse
    admitted: int = 0
    book_delay: float = 0.0

    async def admit(self, process_id: str) -> Refusal | None:
        spent = self.refuse_after is None or self.admitted >= self.refuse_after
        if spent and self.refusal is not None:
            return self.refusal
        self.admitted += 1
        return None

    async def book(self, process_id: str, usage: MessageUsage) -> None:
        await asyncio.sleep(self.book_delay)
        self.booked.append((process_id, usage))

    async def limited(self, process_id: str, report: LimitReport) -> None:
        self.limits.append(report)

    async def answered(self, process_id: str) -> None:
        self.answers += 1


@dataclass
class MemoryRegistry:
    prefix: str = field(default_factory=lambda: f"test{uuid4().hex[:8]}")
    runs: dict[str, int | None] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    pids: dict[str, int] = field(default_factory=dict)
    sessions: dict[int, str] = field(default_factory=dict)  # of warm runs

    async def register(self, run_id: int, kind: AgentKind, model: str, work: Path) -> str:
        process_id = f"{self.prefix}-{len(self.runs) + 1}"
        self.runs[process_id] = run_id
        self.events.append("register")
        return process_id

    async def started(self, process_id: str, pid: int, created_at: float) -> None:
        self.pids[process_id] = pid
        self.events.append("started")

    async def assign(self, process_id: str, run_id: int, session_id: str) -> None:
        self.runs[process_id] = run_id
        self.sessions[run_id] = session_id
        self.events.append(f"assign {run_id}")

    async def ended(self, process_id: str) -> None:
        self.events.append("ended")


@dataclass
class Calls:
    """Our seven coder tools, each answering what it was called with."""

    made: list[tuple[str, ToolCall]] = field(default_factory=list)

    def tools(self) -> dict[str, Tool]:
        return {
            name: self._tool(name) for profile in PROFILES.values() for name in profile.own_tools
        }

    def _tool(self, name: str) -> Tool:
        async def handle(call: ToolCall) -> ToolReply:
            self.made.append((name, call))
            return ToolReply('{"task": null, "left": 0}')

        schema = {"type": "object", "properties": {"task_id": {"type": "integer"}}}
        return Tool(name, f"What {name} does, in a sentence of usual length.", schema, handle)


@dataclass
class Parts:
    runner: ClaudeRunner
    gateway: Gateway
    ledger: MemoryLedger
    registry: MemoryRegistry
    calls: Calls
    work: Path
    home: Path
    box: Box

    def request(self, run_id: int = 1, **changed: object) -> RunRequest:
        return run_request(self.work, run_id, **changed)


def run_request(work: Path, run_id: int = 1, **changed: object) -> RunRequest:
    kind = changed.get("kind", AgentKind.CODER)
    assert isinstance(kind, AgentKind)
    profile = PROFILES[kind]
    values: dict[str, object] = {
        "run_id": run_id,
        "kind": kind,
        "model": "sonnet",
        "system_prompt": f"You are the {kind} of autocoder.\nDo as the tools say.",
        "prompt": "Begin.",
        "session_id": str(uuid4()),
        "resume": False,
        "work": work,
        "git_dir": None,
        "builtin_tools": profile.builtin_tools,
        "own_tools": profile.own_tools,
        "writes": profile.writes,
        "warm": profile.warm,
        "max_turns": 40,
        "max_time": timedelta(seconds=60),
        "silence": timedelta(seconds=60),
    }
    return RunRequest(**{**values, **changed})  # type: ignore[arg-type]  # a test's own fields


@asynccontextmanager
async def parts(url: str, folder: Path, box: Box | None = None) -> AsyncIterator[Parts]:
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    runtime = Path(tempfile.mkdtemp(prefix="acg"))
    ledger, registry, calls = MemoryLedger(), MemoryRegistry(), Calls()
    gateway = Gateway(ledger, runtime, url, None)
    box = box or open_box(required=False)
    runner = ClaudeRunner(
        gateway=gateway,
        registry=registry,
        box=box,
        processes=HostProcesses(),
        tools=calls.tools(),
        server=agent_server,
        judge=BashJudge("test-0"),
        home=home,
    )
    try:
        yield Parts(runner, gateway, ledger, registry, calls, work, home, box)
    finally:
        await runner.close()
        await gateway.close()
        shutil.rmtree(runtime)


async def collect(signals: AsyncIterator[RunSignal]) -> tuple[list[RunSignal], RunEnded]:
    """All signals of a run, and its end."""
    found = [signal async for signal in signals]
    last = found[-1]
    assert isinstance(last, RunEnded)
    assert not any(isinstance(signal, RunEnded) for signal in found[:-1])
    return found, last
