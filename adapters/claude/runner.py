"""Agents through claude-agent-sdk: one Claude CLI per agent at work, in the box."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from claude_agent_sdk import ClaudeAgentOptions, HookMatcher, ResultMessage
from claude_agent_sdk.types import McpSdkServerConfig

from adapters.claude.gate import PREFIX, Gate
from adapters.claude.gateway import CredentialKind, Door, Gateway
from adapters.claude.judge import BashJudge
from adapters.claude.launch import (
    SETTINGS,
    AgentFolders,
    agent_folders,
    box_profile,
    find_cli,
    write_script,
)
from adapters.claude.process import AgentDiedError, AgentProcess, Ended
from adapters.claude.signals import activities, ended, refused
from core.domain.agents import AgentKind, FailureKind, RunOutcome
from core.errors import AutocoderError
from core.ports.agents import (
    TOOL_SERVER,
    CallTool,
    ProcessRegistry,
    RunEnded,
    RunRequest,
    RunSignal,
    Tool,
    ToolCall,
    ToolReply,
)
from core.ports.host import Box, BoxLevel, Processes

_LARGEST_MESSAGE = 32 * 1024**2  # the SDK's own 1 MB ends the run at a long Write
_HOOK_SECONDS = 60
_NOTHING_FOUND = "No conversation found"  # as the CLI says it
_LOOK_S = 5  # between two looks at the clock
_NAP_S = 2  # later than that: the host slept, or this process was stopped
_NEVER = ["Agent", "Task"]  # subagents go to the background and outlive the result
_CLEAR = "/clear"
_NOT_OURS = f"^(?!{PREFIX})"  # tools of ours decide for themselves, and asking costs milliseconds


@dataclass
class _Live:
    """A run between `run` and its RunEnded."""

    request: RunRequest
    process: AgentProcess | None = None
    stopped: bool = False


@dataclass(frozen=True)
class _Warm:
    """A process that waits for the next run of its kind in its worktree."""

    process: AgentProcess
    request: RunRequest  # of the run that started it
    cleared: asyncio.Task[str | None]  # the new session's id, None when the process died

    def fits(self, request: RunRequest) -> bool:
        """Whether a run may have this process: all it was started with is the same."""
        mine = self.request
        return (
            request.warm
            and not request.resume
            and (
                (mine.work, mine.kind, mine.model, mine.system_prompt, mine.max_turns)
                == (
                    request.work,
                    request.kind,
                    request.model,
                    request.system_prompt,
                    request.max_turns,
                )
                and (mine.builtin_tools, mine.own_tools, mine.git_dir, mine.writes)
                == (request.builtin_tools, request.own_tools, request.git_dir, request.writes)
            )
        )


class ClaudeRunner:
    """The `AgentRunner` port. Use it from one event loop, in the main thread.

    `home` holds private folders of agents (`agents/KIND-HASH`, transcripts in them). Prompts of
    warm runs must be constants of ours: they go through the CLI's own expansion, which `/clear`
    needs; every other prompt is passed verbatim, so words of people are never commands.
    """

    def __init__(
        self,
        *,
        gateway: Gateway,
        registry: ProcessRegistry,
        box: Box,
        processes: Processes,
        tools: Mapping[str, Tool],
        server: Callable[[Sequence[Tool], CallTool], McpSdkServerConfig],
        judge: BashJudge,
        home: Path,
    ) -> None:
        self._gateway = gateway
        self._registry = registry
        self._box = box
        self._processes = processes
        self._tools = tools
        self._server = server
        self._judge = judge
        self._home = home
        self._cli = find_cli()
        self._live: dict[int, _Live] = {}
        self._warm: dict[Path, _Warm] = {}
        self._all: dict[str, AgentProcess] = {}

    def resumable(self, kind: AgentKind, work: Path, session_id: str) -> bool:
        return agent_folders(self._home, kind, work).holds(session_id, work)

    async def run(self, request: RunRequest) -> AsyncGenerator[RunSignal, None]:
        live = _Live(request)
        self._live[request.run_id] = live
        end: RunEnded | None = None
        try:
            async with aclosing(self._signals(live)) as signals:
                async for signal in signals:
                    if isinstance(signal, RunEnded):
                        end = signal
                        break
                    yield signal
        except (AutocoderError, OSError) as error:
            # Not an interruption: what does not start now may not start for a while.
            end = RunEnded(RunOutcome.FAILED, str(error), FailureKind.TRANSIENT, request.session_id)
        finally:
            # Shielded: whoever cancels the consumer shall not leave a process behind. Such a
            # shield looks at no result, and asyncio would print the failure.
            settling = asyncio.ensure_future(self._settle(live, end))
            settling.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.shield(settling)
        if end is None or live.stopped:
            last = end.session_id if end is not None else request.session_id
            end = RunEnded(RunOutcome.STOPPED, "Stopped.", session_id=last)
        yield end

    async def stop(self, run_id: int) -> None:
        live = self._live.get(run_id)
        if live is None:
            return
        live.stopped = True
        if live.process is not None:
            await live.process.halt()

    async def freeze(self, process_id: str) -> Callable[[], None]:
        process = self._all.get(process_id)
        if process is None:
            return lambda: None
        process.moving.clear()
        thaw: Callable[[], None] | None = None
        try:
            thaw = await asyncio.to_thread(process.freeze)
        finally:
            if thaw is None:
                process.moving.set()
        frozen = thaw

        def go_on() -> None:
            frozen()
            process.moving.set()

        return go_on

    async def retire(self, work: Path) -> None:
        warm = self._warm.pop(work, None)
        if warm is not None:
            await self._end(warm.process)

    async def close(self) -> None:
        for live in self._live.values():
            live.stopped = True
        running = [live.process for live in self._live.values() if live.process is not None]
        await asyncio.gather(*(process.halt() for process in running))
        self._warm.clear()
        await asyncio.gather(*(self._end(process) for process in list(self._all.values())))

    async def _signals(self, live: _Live) -> AsyncGenerator[RunSignal, None]:
        """The run itself, up to its RunEnded; raises AutocoderError or OSError when nothing can be started."""
        request = live.request
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.max_time.total_seconds()
        session_id = await self._take_warm(live) or request.session_id
        process = live.process or await self._start(live)
        if live.stopped:
            return
        process.ready = request.ready
        output = process.ask(request.prompt)
        while True:
            silent = process.last_activity + request.silence.total_seconds()
            look = loop.time() + _LOOK_S
            try:
                async with asyncio.timeout_at(min(deadline, silent, look)):
                    message = await output.get()
            except TimeoutError:
                slept = loop.time() - look
                if slept > _NAP_S:  # we stood still, and so may the agent: nobody used up time
                    deadline += slept
                    process.touch()
                    continue
                if loop.time() < deadline:
                    if loop.time() < process.last_activity + request.silence.total_seconds():
                        continue  # bytes of an answer that is not whole yet
                    await process.halt()
                    words = f"No sign of life for {request.silence}."
                    yield RunEnded(RunOutcome.INTERRUPTED, words, session_id=session_id)
                    return
                await process.halt()
                words = f"The agent used up its time ({request.max_time})."
                yield RunEnded(RunOutcome.FAILED, words, FailureKind.AGENT, session_id)
                return
            if isinstance(message, Ended):
                found = refused(process.door) or RunEnded(RunOutcome.INTERRUPTED, message.reason)
                yield RunEnded(found.outcome, found.text, found.failure, session_id)
                return
            for activity in activities(message, str(request.work)):
                yield activity
            if isinstance(message, ResultMessage):
                yield ended(message, process.door)
                return

    async def _take_warm(self, live: _Live) -> str | None:
        """Map the worktree's warm process to this run if it fits, else end it.

        Its new session's id; None: there is none to be had.
        """
        warm = self._warm.pop(live.request.work, None)
        if warm is None:
            return None
        process = warm.process
        if warm.fits(live.request):
            live.process = process
            session_id = await warm.cleared
            if session_id is not None and process.alive:
                process.door.reset()
                process.touch()
                await self._registry.assign(process.id, live.request.run_id, session_id)
                return session_id
            live.process = None
        await self._end(process)
        return None

    async def _clear(self, process: AgentProcess) -> str | None:
        """Forget the conversation; the new session's id, None when the process died."""
        output = process.ask(_CLEAR)
        while True:
            message = await output.get()
            if isinstance(message, Ended):
                return None
            if isinstance(message, ResultMessage):
                return message.session_id

    async def _start(self, live: _Live) -> AgentProcess:
        request = live.request
        process_id = await self._registry.register(
            request.run_id, request.kind, request.model, request.work
        )
        door = await self._gateway.open(process_id, tcp=self._box.level is not BoxLevel.FULL)
        try:
            process = self._prepare(request, door)
            self._all[process_id] = live.process = process
        finally:
            if live.process is None:
                await self._gateway.shut(door)
                await self._registry.ended(process_id)
        try:
            await process.start()
        except AgentDiedError as error:
            if request.resume and _NOTHING_FOUND in str(error):
                folders = agent_folders(self._home, request.kind, request.work)
                folders.set_aside(request.session_id)  # else it would be tried for ever
            raise
        if process.pid is not None:
            await self._registry.started(process_id, process.pid, process.created_at)
        return process

    def _prepare(self, request: RunRequest, door: Door) -> AgentProcess:
        credential = self._gateway.credential
        kind = credential.kind if credential is not None else CredentialKind.API_KEY
        folders = agent_folders(self._home, request.kind, request.work)
        folders.make()
        profile = box_profile(request, door, folders, self._cli, self._box.level, kind)
        script = write_script(folders, profile, self._box, self._cli)
        unboxed = self._box.level is BoxLevel.NONE
        process = AgentProcess(door, script, self._processes, adopt=unboxed)
        process.options = self._options(request, process, script, folders)
        return process

    def _options(
        self, request: RunRequest, process: AgentProcess, script: Path, folders: AgentFolders
    ) -> ClaudeAgentOptions:
        gate = Gate(
            request,
            self._judge.within(request.work),
            free=process.free,
            readable=(folders.config / "projects",),
        )

        async def call(tool: Tool, arguments: Mapping[str, object]) -> ToolReply:
            process.calls += 1
            try:
                return await tool.handler(ToolCall(process.id, arguments))
            finally:
                process.touch()
                process.calls -= 1

        own = [self._tools[name] for name in request.own_tools]
        resume = request.resume and folders.holds(request.session_id, request.work)
        return ClaudeAgentOptions(
            cli_path=script,
            cwd=request.work,
            env={"AUTOCODER_PROCESS": process.id},
            model=request.model,
            system_prompt=request.system_prompt,
            tools=list(request.builtin_tools),
            allowed_tools=[*request.builtin_tools, *(PREFIX + tool.name for tool in own)],
            disallowed_tools=_NEVER,
            mcp_servers={TOOL_SERVER: self._server(own, call)} if own else {},
            strict_mcp_config=True,
            setting_sources=[],
            settings=SETTINGS,
            permission_mode="bypassPermissions",
            hooks={
                "PreToolUse": [
                    HookMatcher(
                        matcher=_NOT_OURS,
                        hooks=[gate.hook],
                        timeout=_HOOK_SECONDS,
                        on_failure="block",
                    )
                ]
            },
            max_turns=request.max_turns,
            max_buffer_size=_LARGEST_MESSAGE,
            verbatim_prompts=not _keeps_warm(request),
            resume=request.session_id if resume else None,
            session_id=None if resume else request.session_id,
            stderr=process.stderr.append,
        )

    async def _settle(self, live: _Live, end: RunEnded | None) -> None:
        """Leave nothing of a run behind but, after a good end, its warm process."""
        process, request = live.process, live.request
        self._live.pop(request.run_id, None)
        if process is None:
            return
        finished = end is not None and end.outcome is RunOutcome.FINISHED and not live.stopped
        if finished and _keeps_warm(request) and process.alive:
            process.kill_strays()
            # Cleared at once: that takes the CLI longer than it takes us to begin the next run.
            cleared = asyncio.create_task(self._clear(process))
            self._warm[request.work] = _Warm(process, request, cleared)
            return
        if end is None or live.stopped:
            await process.halt()
        await self._end(process)

    async def _end(self, process: AgentProcess) -> None:
        if self._all.pop(process.id, None) is None:
            return
        await process.end()
        await self._gateway.shut(process.door)
        await self._registry.ended(process.id)


def _keeps_warm(request: RunRequest) -> bool:
    """A resumed session continues with a person's words: verbatim, so it cannot be cleared."""
    return request.warm and not request.resume
