"""Agents: what runs them, what they may tell us, and what their model requests cost."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from core.domain.agents import AgentKind, FailureKind, RunOutcome
from core.domain.money import MessageUsage

TOOL_SERVER = "autocoder"  # the MCP server of our tools, as agents know it


@dataclass(frozen=True)
class ToolCall:
    """One call of a tool of ours. Who calls is known from the process, never from arguments."""

    process_id: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class ToolReply:
    """One text block of JSON; or, refused, words that tell the agent what to do."""

    text: str
    refused: bool = False


@dataclass(frozen=True)
class Tool:
    """A tool of ours; its handler refuses in words and raises no error of ours."""

    name: str  # without the server's prefix
    description: str
    schema: Mapping[str, object]  # JSON Schema of the arguments
    handler: Callable[[ToolCall], Awaitable[ToolReply]]
    read_only: bool = False


CallTool = Callable[[Tool, Mapping[str, object]], Awaitable[ToolReply]]


@dataclass(frozen=True)
class RunRequest:
    """One agent's piece of work."""

    run_id: int
    kind: AgentKind
    model: str  # an alias (sonnet) or a full name
    system_prompt: str
    prompt: str  # the first, or the next, user message
    session_id: str  # a UUID chosen and stored by us before the start
    resume: bool  # continue the session where its transcript lives
    work: Path  # the worktree: working folder of the agent
    git_dir: Path | None  # shown read-only in the box
    builtin_tools: tuple[str, ...]
    own_tools: tuple[str, ...]
    writes: bool
    warm: bool
    max_turns: int
    max_time: timedelta
    silence: timedelta  # no sign of life for so long: the run is stopped
    ready: Callable[[], Awaitable[object]] | None = None  # its tools wait for the work folder


@dataclass(frozen=True)
class Activity:
    """What an agent is doing now, in a few words ("edits app/store.py")."""

    text: str


@dataclass(frozen=True)
class RunEnded:
    """The last signal of every run."""

    outcome: RunOutcome
    text: str = ""  # the agent's last words, or what went wrong in ours
    failure: FailureKind | None = None
    session_id: str | None = None  # the session as the CLI named it last


RunSignal = Activity | RunEnded


class AgentRunner(Protocol):
    """Runs agents, each in its own box."""

    def run(self, request: RunRequest) -> AsyncIterator[RunSignal]:
        """Signals of one run; the last is RunEnded. Closing the iterator stops the run."""
        ...

    def resumable(self, kind: AgentKind, work: Path, session_id: str) -> bool:
        """Whether the transcript of a session lives here, so that `resume` continues it.

        Without it a run with `resume` starts the session anew: give it a recovery note.
        """
        ...

    async def stop(self, run_id: int) -> None:
        """Interrupt a run; after 2 s its box is killed. Its iterator then ends with STOPPED."""
        ...

    async def freeze(self, process_id: str) -> Callable[[], None]:
        """Stop every process in an agent's box; the answer thaws them."""
        ...

    async def retire(self, work: Path) -> None:
        """End the warm processes of a worktree."""
        ...

    async def close(self) -> None:
        """Interrupt all runs at once, then end every process within 2 s."""
        ...


class ProcessRegistry(Protocol):
    """The table of agent processes, which maps each to its current run."""

    async def register(self, run_id: int, kind: AgentKind, model: str, work: Path) -> str:
        """A new process id (HOMEHASH-N), mapped to this run, durable before the start."""
        ...

    async def started(self, process_id: str, pid: int, created_at: float) -> None: ...

    async def assign(self, process_id: str, run_id: int, session_id: str) -> None:
        """Map a warm process to its next run, with the session it began: `resume` continues it."""
        ...

    async def ended(self, process_id: str) -> None: ...


class RefusalReason(StrEnum):
    BUDGET = "budget"
    WINDOW = "window"  # the account waits for its reset
    NO_RUN = "no_run"  # the process has no run, or its run has ended


@dataclass(frozen=True)
class Refusal:
    reason: RefusalReason
    text: str
    until: datetime | None = None


@dataclass(frozen=True)
class LimitReport:
    """What the model server said when it refused for load or allowance."""

    status: int  # 429 or 529
    headers: Mapping[str, str]  # lower-case names
    message: str


class Ledger(Protocol):
    """The door to the model: asked before each request, told after each message."""

    async def admit(self, process_id: str) -> Refusal | None: ...

    async def book(self, process_id: str, usage: MessageUsage) -> None:
        """Write the usage row; returns when it is durable. The same message counts once."""
        ...

    async def limited(self, process_id: str, report: LimitReport) -> None: ...

    async def answered(self, process_id: str) -> None:
        """A request was answered well: the account is not limited any more."""
        ...
