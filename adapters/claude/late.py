"""Agents, once there are any: the SDK is loaded with the first run.

It takes half a second and 30 MB, which a service at rest and its start need not pay.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.claude.launch import agent_folders, find_cli
from core.domain.agents import AgentKind, RunOutcome
from core.ports.agents import RunEnded, RunRequest, RunSignal

if TYPE_CHECKING:
    from adapters.claude.runner import ClaudeRunner

Make = Callable[["type[ClaudeRunner]"], "ClaudeRunner"]


class LateRunner:
    """The `AgentRunner` port: a ClaudeRunner that is made when it is needed."""

    def __init__(self, home: Path, make: Make) -> None:
        """Raises MissingProgram when there is no CLI to run later."""
        find_cli()
        self._home = home
        self._make = make
        self._runner: ClaudeRunner | None = None
        self._loading = asyncio.Lock()
        self._waiting: set[int] = set()  # runs that wait for it, and were not stopped

    def resumable(self, kind: AgentKind, work: Path, session_id: str) -> bool:
        return agent_folders(self._home, kind, work).holds(session_id, work)

    async def run(self, request: RunRequest) -> AsyncGenerator[RunSignal, None]:
        runner = self._runner or await self._loaded(request.run_id)
        if runner is None:
            yield RunEnded(RunOutcome.STOPPED, "Stopped.", session_id=request.session_id)
            return
        async with aclosing(runner.run(request)) as signals:
            async for signal in signals:
                yield signal

    async def stop(self, run_id: int) -> None:
        self._waiting.discard(run_id)
        if self._runner is not None:
            await self._runner.stop(run_id)

    async def freeze(self, process_id: str) -> Callable[[], None]:
        if self._runner is None:
            raise RuntimeError(f"No process {process_id} was started.")
        return await self._runner.freeze(process_id)

    async def retire(self, work: Path) -> None:
        if self._runner is not None:
            await self._runner.retire(work)

    async def close(self) -> None:
        self._waiting.clear()
        if self._runner is not None:
            await self._runner.close()

    async def _loaded(self, run_id: int) -> "ClaudeRunner | None":
        """None when the run was stopped meanwhile."""
        self._waiting.add(run_id)
        async with self._loading:
            if self._runner is None:
                self._runner = self._make(await asyncio.to_thread(_load))
        if run_id not in self._waiting:
            return None
        self._waiting.discard(run_id)
        return self._runner


def _load() -> "type[ClaudeRunner]":
    from adapters.claude.runner import ClaudeRunner

    return ClaudeRunner
