"""Kinds of agents as values (CONTRACT.md §4), and how their runs end."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class AgentKind(StrEnum):
    INTERVIEWER = "interviewer"
    PLANNER = "planner"
    CODER = "coder"
    ASSISTANT = "assistant"


@dataclass(frozen=True)
class AgentProfile:
    """What an agent of a kind has."""

    own_tools: tuple[str, ...]  # of the MCP server `autocoder`
    builtin_tools: tuple[str, ...]  # of the Claude CLI
    writes: bool  # may change files of its worktree
    warm: bool  # its process may be cleared and used for another run in the same worktree
    patience: timedelta | None = None  # a person waits for it: no run of it is longer


PROFILES: dict[AgentKind, AgentProfile] = {
    AgentKind.INTERVIEWER: AgentProfile(
        own_tools=("ask_person",),
        builtin_tools=("Read", "Write", "Glob", "Grep"),
        writes=True,
        warm=False,
    ),
    AgentKind.PLANNER: AgentProfile(
        own_tools=("plan_submit",),
        builtin_tools=("Read", "Glob", "Grep"),
        writes=False,
        warm=False,
    ),
    AgentKind.CODER: AgentProfile(
        own_tools=(
            "task_get_next",
            "task_get",
            "task_mark_passing",
            "task_mark_failing",
            "task_skip",
            "task_release",
            "ask_person",
        ),
        builtin_tools=("Bash", "Read", "Write", "Edit", "Glob", "Grep"),
        writes=True,
        warm=True,
    ),
    AgentKind.ASSISTANT: AgentProfile(
        own_tools=("task_get", "task_list"),
        builtin_tools=("Read", "Glob", "Grep"),
        writes=False,
        warm=False,
        patience=timedelta(minutes=10),
    ),
}

# A person waits for them and they build nothing: they take no agent's place.
SLOTLESS = (AgentKind.INTERVIEWER, AgentKind.ASSISTANT)


class RunOutcome(StrEnum):
    """How a run ended (DESIGN.md §3)."""

    FINISHED = "finished"  # the agent ended its turn
    FAILED = "failed"  # turns, time or the API ended it
    INTERRUPTED = "interrupted"  # its process or the service died, or it fell silent
    STOPPED = "stopped"  # by a person or by the service
    OUT_OF_BUDGET = "out_of_budget"
    RATE_LIMITED = "rate_limited"


class FailureKind(StrEnum):
    """Whose fault a failed run is; only the agent's own counts as an attempt."""

    AGENT = "agent"  # turns or time used up
    TRANSIENT = "transient"  # 5xx, connection, cut stream: tried again after a while
    CREDENTIALS = "credentials"  # 401, 403: nothing runs until a person mends it
    REQUEST = "request"  # any other 4xx
