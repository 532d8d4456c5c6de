"""Kinds of agents, a row each, and how their runs end."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum, auto


class AgentKind(StrEnum):
    INTERVIEWER = "interviewer"
    PLANNER = "planner"
    CODER = "coder"
    ASSISTANT = "assistant"


class Purpose(Enum):
    """What runs work for: it says how they are carried out, and what their end settles."""

    TASKS = auto()  # of one feature, in its worktree
    PLAN = auto()  # of the project, of a rejected phase or of an addition
    INTERVIEW = auto()  # or an addition that is talked over
    INQUIRY = auto()  # a person's question about the project


@dataclass(frozen=True)
class AgentProfile:
    """What an agent of a kind is for, and what it has."""

    purpose: Purpose
    own_tools: tuple[str, ...]  # of the MCP server `autocoder`
    builtin_tools: tuple[str, ...]  # of the Claude CLI
    writes: bool = False  # may change files of its worktree
    warm: bool = False  # its process may be cleared and used for another run in the same worktree
    awaited: bool = False  # a person waits for it: it takes no other agent's place
    converses: bool = False  # each question ends its turn, and the answer is its next message
    time_limit: timedelta | None = None  # no run of it is longer


PROFILES: dict[AgentKind, AgentProfile] = {
    AgentKind.INTERVIEWER: AgentProfile(
        Purpose.INTERVIEW,
        own_tools=("ask_person",),
        builtin_tools=("Read", "Write", "Glob", "Grep"),
        writes=True,
        awaited=True,
        converses=True,
    ),
    AgentKind.PLANNER: AgentProfile(
        Purpose.PLAN,
        own_tools=("plan_submit",),
        builtin_tools=("Read", "Glob", "Grep"),
    ),
    AgentKind.CODER: AgentProfile(
        Purpose.TASKS,
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
        Purpose.INQUIRY,
        own_tools=("task_get", "task_list"),
        builtin_tools=("Read", "Glob", "Grep"),
        awaited=True,
        time_limit=timedelta(minutes=10),
    ),
}
SLOTLESS = tuple(kind for kind, profile in PROFILES.items() if profile.awaited)


class RunOutcome(StrEnum):
    """How a run ended."""

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
