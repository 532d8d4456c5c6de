"""One Claude CLI in its box, and the task that owns its client.

The SDK wants connect, use and disconnect in one asyncio task: `_own` is that task. Others hand it
work and read what comes out of a queue. It is never cancelled: what shall end is killed, and the
client notices.
"""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from claude_agent_sdk import (
    ClaudeAgentOptions,
    ClaudeSDKClient,
    ClaudeSDKError,
    Message,
    ResultMessage,
)

from adapters.claude.gateway import Door
from adapters.claude.launch import pid_file
from core.errors import AutocoderError
from core.ports.host import Processes, RunningProcess

_CONNECT_SECONDS = 60
_GRACE_SECONDS = 2
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Ended:
    """The last thing of a turn that brought no result: why the process is of no more use."""

    reason: str


Output = asyncio.Queue[Message | Ended]
_Job = Callable[[ClaudeSDKClient], Awaitable[None]]


class AgentDiedError(AutocoderError):
    """The agent's process ended."""


class AgentProcess:
    """A started CLI. Make it, `start` it, `ask` it any number of times, `end` it."""

    def __init__(
        self, door: Door, script: Path, processes: Processes, *, adopt: bool = False
    ) -> None:
        """With `adopt`, what left the process tree is found by its marker: no box holds it."""
        self.door = door
        self._adopt = adopt
        self.options = ClaudeAgentOptions(cli_path=script)
        self.stderr: deque[str] = deque(maxlen=5)  # the last lines of the CLI or of the box
        self.moving = asyncio.Event()  # cleared while its checks run: its tools wait
        self.moving.set()
        self.ready: Callable[[], Awaitable[object]] | None = None  # waits for its work folder
        self.calls = 0  # tools of ours that are at work for it
        self.pid: int | None = None
        self.created_at = 0.0
        self._script = script
        self._processes = processes
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._client: ClaudeSDKClient | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner: asyncio.Task[None] | None = None
        self._output: Output | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._own_family: frozenset[int] = frozenset()
        self._carriers: frozenset[int] = frozenset()  # socat forks a child per connection

    @property
    def id(self) -> str:
        return self.door.process_id

    @property
    def alive(self) -> bool:
        """Also while it waits: its owner sees the end only when it has something to do."""
        running = self.pid is None or _is_same(self.pid, self.created_at)
        return running and self._owner is not None and not self._owner.done()

    @property
    def last_activity(self) -> float:
        """Event loop's time of the last sign of life; a tool of ours at work is one."""
        return asyncio.get_running_loop().time() if self.calls else self.door.last_activity

    async def free(self) -> None:
        """Wait until its tools may touch the work folder."""
        if self.ready is not None:
            await self.ready()
        await self.moving.wait()

    def touch(self) -> None:
        self.door.last_activity = asyncio.get_running_loop().time()

    async def start(self) -> None:
        """Start the CLI and wait until it answers. Raises AgentDiedError."""
        self._owner = asyncio.create_task(self._own(), name=f"agent {self.id}")
        self._owner.add_done_callback(self._over)
        await asyncio.wait(
            [self._ready, self._owner],
            timeout=_CONNECT_SECONDS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        self._find()
        if not self._ready.done():
            words = self._failure() if self._owner.done() else "it does not answer"
            await self.end(kill=True)
            said = "; ".join(self.stderr)
            raise AgentDiedError(f"The Claude CLI did not start: {said or words}")
        below = self._below()
        self._own_family = frozenset(process.pid for process in below)
        self._carriers = frozenset(process.pid for process in below if process.name == "socat")
        self.touch()

    def ask(self, prompt: str) -> Output:
        """Send a user message; the queue gives what the turn brings, at last a result or Ended."""
        output: Output = asyncio.Queue()

        async def turn(client: ClaudeSDKClient) -> None:
            await client.query(prompt)
            async for message in client.receive_response():
                self.touch()
                output.put_nowait(message)
                if isinstance(message, ResultMessage):
                    self._idle.set()
                    return
            raise AgentDiedError("The agent's process ended.")

        self._idle.clear()
        self._output = output
        if self.alive:
            self._jobs.put_nowait(turn)
        else:
            output.put_nowait(Ended(self._failure()))
            self._idle.set()
        return output

    async def halt(self) -> None:
        """Interrupt the turn; what has not ended after 2 s is killed with its box."""
        if self._idle.is_set() and self._ready.done():
            return
        if self._client is not None and self._ready.done():
            try:
                async with asyncio.timeout(_GRACE_SECONDS):
                    await self._client.interrupt()
                    await self._idle.wait()
            except (TimeoutError, ClaudeSDKError):
                await self.end(kill=True)
        else:
            await self.end(kill=True)

    async def end(self, *, kill: bool = False) -> None:
        """End the process and all in its box; 2 s to leave by itself, unless `kill`."""
        if self._owner is None:
            return
        self._jobs.put_nowait(None)
        if not kill and self.alive:
            await asyncio.wait([self._owner], timeout=_GRACE_SECONDS)
        self._find()
        family = self._family()
        if self.pid is not None and _is_same(self.pid, self.created_at):
            # Stopped first, so that it starts nothing while its children are being killed.
            _signal(self.pid, signal.SIGSTOP)
            family |= self._family()
            _signal(self.pid, signal.SIGKILL)
        self._processes.kill(sorted(family))
        await asyncio.wait([self._owner], timeout=_CONNECT_SECONDS)
        self._script.unlink(missing_ok=True)
        pid_file(self._script).unlink(missing_ok=True)

    def kill_strays(self) -> None:
        """Kill what the agent left running in the box."""
        strays = (p for p in self._below() if p.parent not in self._carriers)
        self._processes.kill([p.pid for p in strays if p.pid not in self._own_family])

    def freeze(self) -> Callable[[], None]:
        """Stop what the agent started in its box (blocks some milliseconds); the answer thaws it.

        The CLI itself is held by `moving`, which its gate waits for: it uses no tool meanwhile.
        Stopping it too would cost a task a third of its time, for it takes long to come back.
        """
        if self.pid is None:
            return lambda: None
        stopped = self._processes.freeze(
            self.pid, spare=self._own_family, spare_below=self._carriers
        )
        return lambda: self._processes.thaw(stopped)

    async def _own(self) -> None:
        self._client = ClaudeSDKClient(self.options)
        try:
            await self._client.connect()
            self._ready.set_result(None)
            while (job := await self._jobs.get()) is not None:
                await job(self._client)
        finally:
            await self._client.disconnect()

    def _over(self, owner: asyncio.Task[None]) -> None:
        if not owner.cancelled():
            owner.exception()  # looked at: it is told by `_failure`
        if self._output is not None and not self._idle.is_set():
            self._output.put_nowait(Ended(self._failure()))
        self._idle.set()

    def _failure(self) -> str:
        if self._owner is None or not self._owner.done() or self._owner.cancelled():
            return "the process ended"
        return str(self._owner.exception() or "the process ended")

    def _find(self) -> None:
        if self.pid is not None:
            return
        try:
            pid = int(pid_file(self._script).read_text())
        except (OSError, ValueError):
            return
        created_at = _started(pid)
        if created_at is not None:
            self.pid, self.created_at = pid, created_at

    def _below(self) -> tuple[RunningProcess, ...]:
        below = self._processes.below(self.pid) if self.pid is not None else ()
        if not self._adopt:
            return below
        known = {self.pid, *(process.pid for process in below)}
        return (*below, *(found for found in _marked(self.id) if found.pid not in known))

    def _family(self) -> frozenset[int]:
        return frozenset(process.pid for process in self._below())


def _marked(process_id: str) -> Iterator[RunningProcess]:
    for process in psutil.process_iter():
        try:
            if process.environ().get("AUTOCODER_PROCESS") == process_id:
                yield RunningProcess(process.pid, process.ppid(), process.name())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _is_same(pid: int, created_at: float) -> bool:
    found = _started(pid)
    return found is not None and found == created_at


def _started(pid: int) -> float | None:
    """When a process that has not ended began, in seconds since the host did.

    Not by psutil: its moments of the day change when the host's clock is set.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name stands in parentheses and may hold parentheses and spaces itself.
    fields = text.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19]) / _TICKS


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
