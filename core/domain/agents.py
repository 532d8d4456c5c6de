"""Kinds of agents as values: tools, model rule, limits (CONTRACT.md §4)."""

from dataclasses import dataclass
from enum import StrEnum


class AgentKind(StrEnum):
    INTERVIEWER = "interviewer"
    PLANNER = "planner"
    CODER = "coder"


@dataclass(frozen=True)
class AgentProfile:
    """What an agent of a kind has."""

    own_tools: tuple[str, ...]  # of the MCP server `autocoder`
    builtin_tools: tuple[str, ...]  # of the Claude CLI
    writes: bool  # may change files of its worktree
    warm: bool  # its process may be cleared and used for another run in the same worktree


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
}
