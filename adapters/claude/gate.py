"""What an agent may do with its tools: the last look before a tool runs.

The box is the boundary; this tells the agent in words what to do instead. Facts (CLI 2.1.327):
the CLI makes `file_path` absolute before the hook sees it, from its own working folder; `path` of
Glob and Grep stays as given.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from claude_agent_sdk import HookContext
from claude_agent_sdk.types import HookInput, HookJSONOutput

from core.domain.bash_policy import JudgeCommand
from core.ports.agents import TOOL_SERVER, RunRequest

PREFIX = f"mcp__{TOOL_SERVER}__"  # of our tools, where the CLI names them
_PATIENCE_SECONDS = 30  # half of what the CLI waits for a hook
_READERS = {"Read": "file_path", "Glob": "path", "Grep": "path"}
_WRITERS = {"Write": "file_path", "Edit": "file_path"}


class Gate:
    """The PreToolUse hook of one agent process. What it does not know it denies."""

    def __init__(
        self,
        request: RunRequest,
        judge: JudgeCommand,
        *,
        free: Callable[[], Awaitable[object]],
        readable: tuple[Path, ...] = (),
    ) -> None:
        """`free` waits while checks run on the worktree: no tool may touch it meanwhile."""
        self._free = free
        self._work = request.work
        self._writes = request.writes
        self._builtin = frozenset(request.builtin_tools)
        self._own = frozenset(PREFIX + name for name in request.own_tools)
        self._judge = judge
        self._readable = readable  # outside the worktree, such as kept tool results

    async def hook(
        self, given: HookInput, tool_use_id: str | None, context: HookContext
    ) -> HookJSONOutput:
        name, arguments = given.get("tool_name"), given.get("tool_input")
        if not isinstance(name, str) or not isinstance(arguments, dict):
            return _deny("This tool call cannot be read.")
        reason = await self.objection(name, arguments)
        if reason is not None:
            return _deny(reason)
        if name in self._builtin and not await self._may_move():
            return _deny("Checks are running in your working folder. Call this again after them.")
        changed = self._absolute(name, arguments)
        if changed is None:
            return {}
        return {
            "hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": "allow",
                "updatedInput": changed,
            }
        }

    async def _may_move(self) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._free()
        except TimeoutError:
            return False
        return True

    async def objection(self, name: str, arguments: Mapping[str, Any]) -> str | None:
        """Why this use of a tool is refused, in words for the agent; None lets it pass."""
        if name in self._own:
            return None
        if name not in self._builtin:
            return f"{name} is not among your tools: {', '.join(sorted(self._builtin))}."
        if name == "Bash":
            return await self._bash(arguments)
        if name in _WRITERS:
            if not self._writes:
                return "You may read here, not write. Say what you want changed in your answer."
            return self._path(arguments.get(_WRITERS[name]), write=True)
        if name in _READERS:
            if name == "Glob" and (words := self._pattern(arguments.get("pattern"))):
                return words
            path = arguments.get(_READERS[name])
            return None if path is None and name != "Read" else self._path(path, write=False)
        return f"{name} is not offered here."

    async def _bash(self, arguments: Mapping[str, Any]) -> str | None:
        command = arguments.get("command")
        if not isinstance(command, str):
            return "Bash needs a command."
        if arguments.get("run_in_background"):
            return "Nothing may run on after its call: run it in the foreground, with a timeout."
        if not self._writes:
            return "You may read here, not run commands. Use Read, Glob and Grep."
        verdict = await self._judge(command)
        return None if verdict.allowed else verdict.reason

    def _path(self, given: object, *, write: bool) -> str | None:
        if not isinstance(given, str) or not given or "\0" in given or given.startswith("~"):
            return "This needs a path, best one relative to your working folder."
        lexical = os.path.normpath(self._work / given)
        real = os.path.realpath(lexical)
        if not write and any(_inside(real, os.path.realpath(root)) for root in self._readable):
            return None
        roots = ((lexical, str(self._work)), (real, os.path.realpath(self._work)))
        for path, root in roots:
            if not _inside(path, root):
                return (
                    f"{given} is outside your working folder. Stay inside {self._work}; "
                    "relative paths are taken from it."
                )
            if ".git" in Path(os.path.relpath(path, root)).parts:
                return "The .git folder is the service's: it commits your work itself."
        return None

    def _pattern(self, pattern: object) -> str | None:
        if not isinstance(pattern, str):
            return "Glob needs a pattern."
        if ".." in Path(pattern).parts:
            return "A pattern may not hold `..`: search inside your working folder."
        if pattern.startswith(("/", "~")):
            return self._path(pattern.split("*")[0] or "/", write=False)
        return None

    def _absolute(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """The arguments with a relative path made absolute from the worktree; None: as they are."""
        key = (_READERS | _WRITERS).get(name)
        path = arguments.get(key) if key else None
        if key is None or not isinstance(path, str) or Path(path).is_absolute():
            return None
        return {**arguments, key: str(self._work / path)}


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _deny(reason: str) -> HookJSONOutput:
    return {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": "deny",
            "permissionDecisionReason": reason,
        }
    }
