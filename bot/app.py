"""The composition root: the only file of `bot` that names adapters."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from pwd import getpwuid
from typing import Any
from uuid import uuid4

from adapters import prices
from adapters.claude.gateway import Credential, CredentialKind, Gateway
from adapters.claude.judge import BashJudge
from adapters.claude.runner import ClaudeRunner
from adapters.interview_folders import HostInterviewFolders
from adapters.practice.server import practice_model
from adapters.processes import HostProcesses
from adapters.sandbox.levels import detect, unseen_toolchains
from adapters.sandbox.sandbox import open_box
from adapters.terminal.live import open_screen
from adapters.terminal.platform import TerminalPlatform
from adapters.web.backend import Backend, CommandLine
from adapters.web.platform import WebPlatform
from adapters.worktrees.git import WANTED_GIT, git_version
from adapters.worktrees.workspaces import Worktrees
from bot import report
from bot.cards import daily
from bot.checks.host import Probes
from bot.commands import COMMANDS
from bot.data.home import database_held, held, home_hash, runtime_folder
from bot.data.service_info import known_token
from bot.door import FILES
from bot.metrics import MEDIA_TYPE, Metrics
from bot.settings import GIB, ModelSource, Settings, derived_host_parallel
from core.domain.agents import AgentKind
from core.domain.cards import Automatic, Card
from core.domain.money import MessageUsage, Price
from core.domain.people import LOCAL
from core.domain.redaction import Redaction
from core.errors import HostUnfit, MissingProgram
from core.orchestrator.change_signal import ChangeSignal
from core.orchestrator.coding import Worker
from core.orchestrator.landing import Lander
from core.orchestrator.ledger import StoreLedger, StoreRegistry
from core.orchestrator.parts import Parts
from core.orchestrator.proving import Prover
from core.orchestrator.tick import Orchestrator
from core.ports.agents import Tool
from core.ports.chat import ChatPlatform, Hearing, Place
from core.ports.host import BoxLevel
from core.store.session import Store
from core.views import projects
from core.views.budgets import Budgets, UsageSettings
from mcp_server.server import agent_server
from mcp_server.tools import Toolbox

ANTHROPIC = "https://api.anthropic.com"
_SWITCH_S = 0.0005  # a thread that reads the database holds up the event loop by this, not 5 ms


def host_probes() -> Probes:
    return Probes(sandbox=detect, unseen_toolchains=unseen_toolchains)


@dataclass(frozen=True)
class App:
    """The running parts, wired."""

    settings: Settings
    parts: Parts
    orchestrator: Orchestrator
    box: BoxLevel
    practice: bool

    def about(self) -> projects.Service:
        """What a project's view depends on beside its rows."""
        return projects.Service(
            self.settings.projects, self.parts.upstream, self.parts.rules, self.parts.clock()
        )


def open_web(
    app: App,
    listening: socket.socket,
    *,
    token: str,
    metrics: Metrics,
    svg: Callable[[str], Awaitable[str]],
    ready: Callable[[], bool],
    states: Callable[[], Mapping[str, str]],
) -> WebPlatform:
    """The web chat on a socket; `states` says how each part of the service does."""
    settings, parts = app.settings, app.parts
    backend = Backend(
        version=version("autocoder"),
        practice=app.practice,
        box=app.box,
        host=settings.host,
        token=token,
        usage_settings=UsageSettings(
            settings.rules.usage, Budgets(**asdict(settings.rules.budget))
        ),
        about=app.about,
        commands=[CommandLine(s.name, s.usage, s.about, s.role) for s in COMMANDS.values()],
        files=settings.home / FILES,
        redact=parts.redact,
        clock=parts.clock,
        run=parts.store.run,
        read_first=parts.store.read_first,
        commits=parts.wake,
        svg=svg,
        spent=partial(daily.shown, sort="month", number=daily.ALL),
        states=states,
        ready=ready,
        metrics=metrics.page,
        metrics_type=MEDIA_TYPE,
        acknowledged=partial(metrics.acknowledged, WebPlatform.name),
        backup=parts.store.backup,
    )
    return WebPlatform(backend, listening)


@dataclass(frozen=True)
class Terminal:
    """The terminal as a chat platform, and what else a command shows there."""

    platform: ChatPlatform
    hear: Callable[
        [Hearing], Coroutine[Any, Any, None]
    ]  # until cancelled: `run`, with whoever hears
    show: Callable[[Card], None]  # words of the command's own
    ended: asyncio.Event  # the input
    quiet: Callable[[], Awaitable[None]]  # what was typed for the person was heard
    close: Callable[[], Awaitable[None]]  # the terminal is as it was


def open_terminal(
    place: Place,
    environ: Mapping[str, str],
    on_interrupt: Callable[[], None],
    automatic: Automatic | None = None,
    *,
    chats: bool = False,
) -> Terminal:
    """`automatic` types for the person, who else is asked; `chats`: lines come at any time."""

    def details() -> None:
        platform.details()

    screen = open_screen(on_interrupt, None if chats else details, environ)
    platform = TerminalPlatform(
        screen,
        place,
        LOCAL,
        called=_login_name(),
        automatic=automatic,
        chats=chats,
    )
    return Terminal(
        platform, platform.run, platform.show, platform.ended, platform.quiet, platform.close
    )


def _login_name() -> str | None:
    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError:
        return None


@asynccontextmanager
async def open_app(
    settings: Settings,
    *,
    nobody_here: bool = False,
    token: Callable[[Path], str | None] = known_token,
) -> AsyncIterator[App]:
    """Everything wired and running but the orchestrator's loop; all of it ends with the block.

    `token` gives the home's web token, once nobody else holds the home.
    """
    practice, rules = settings.model is ModelSource.PRACTICE, settings.rules
    sys.setswitchinterval(_SWITCH_S)
    async with AsyncExitStack() as stack:
        stack.enter_context(held(settings.home))
        stack.enter_context(database_held(settings.database, settings.home))
        marker = home_hash(settings.home)
        processes = HostProcesses()
        processes.sweep(f"{marker}-")
        stack.enter_context(processes.marking(f"{marker}-0"))
        _need_git()
        _need_credential(settings)
        box = open_box(
            required=rules.sandbox.required and not practice,
            readable=rules.sandbox.read,
            hidden=(settings.home,),
        )
        on_host = rules.agents.host_parallel or derived_host_parallel(
            os.cpu_count() or 1, processes.free_memory() or GIB
        )
        wake = ChangeSignal()
        store = Store(settings.database, on_commit=wake.notify)
        stack.push_async_callback(store.close)
        parts = Parts(
            store=store,
            wake=wake,
            workspaces=Worktrees(settings.home, f"{marker}-0"),
            interview_folders=HostInterviewFolders(settings.home),
            box=box,
            rules=replace(rules, agents=replace(rules.agents, host_parallel=on_host)),
            clock=lambda: datetime.now(UTC),
            price=_price,
            render_report=partial(report.render, box=box.level),
            prompts=_prompts(),
            upstream="practice" if practice else settings.base_url or ANTHROPIC,
            practice=practice,
            nobody_here=nobody_here,
            home_hash=marker,
            boot_id=uuid4().hex,
            host=socket.gethostname(),
            redact=Redaction(settings.secrets(token(settings.home))),
        )
        upstream = settings.base_url or ANTHROPIC
        if practice:
            model = practice_model(latency=rules.practice.latency_s)
            upstream = await stack.enter_async_context(model)
        gateway = Gateway(
            StoreLedger(parts),
            stack.enter_context(runtime_folder(settings.home)),
            upstream,
            None if practice else _credential(settings),
        )
        stack.push_async_callback(gateway.close)
        yield _wire(settings, parts, gateway, processes, practice=practice)


def _wire(
    settings: Settings,
    parts: Parts,
    gateway: Gateway,
    processes: HostProcesses,
    *,
    practice: bool,
) -> App:
    """Agents tell us things through tools, tools prove through the prover, which stops agents."""
    judge = BashJudge(parts.service_process)

    async def refusal(command: str) -> str | None:
        verdict = await judge(command)
        return None if verdict.allowed else verdict.reason

    async def freeze(process_id: str) -> Callable[[], None]:
        return await runner.freeze(process_id)

    def end_run(run_id: int, why: str) -> None:
        worker.end_run(run_id, why)

    prover = Prover(parts, freeze=freeze, end_run=end_run)
    tools: dict[str, Tool] = Toolbox(parts, prover, judge=refusal, end_run=end_run).tools()
    runner = ClaudeRunner(
        gateway=gateway,
        registry=StoreRegistry(parts),
        box=parts.box,
        processes=processes,
        tools=tools,
        server=agent_server,
        judge=judge,
        home=settings.home,
    )
    worker = Worker(parts, runner, prover)
    orchestrator = Orchestrator(parts, runner, worker, Lander(parts, runner))
    return App(settings, parts, orchestrator, parts.box.level, practice)


def _need_git() -> None:
    found = git_version()
    if found is None:
        raise MissingProgram(
            "git is not installed, or does not tell its version.",
            hint="Install it: apt-get install git.",
        )
    if found < WANTED_GIT:
        have, want = (".".join(map(str, version)) for version in (found, WANTED_GIT))
        raise HostUnfit(
            f"git {have} is too old; {want} or newer is wanted.",
            hint="Install a newer one, on Debian 12 or later: apt-get install git.",
        )


def _need_credential(settings: Settings) -> None:
    if settings.model is ModelSource.CLAUDE and settings.credential is None:
        raise HostUnfit(
            "There is no Claude credential in the environment.",
            hint="Set ANTHROPIC_API_KEY, or CLAUDE_CODE_OAUTH_TOKEN from `claude setup-token`;"
            " or try the practice model: AUTOCODER_MODEL=practice.",
        )


def _price(usage: MessageUsage) -> Price:
    return Price(prices.price(usage), prices.assumed_price(usage))


def _prompts() -> dict[str, str]:
    folder = files("core") / "prompts"
    return {kind.value: (folder / f"{kind.value}.md").read_text("utf-8") for kind in AgentKind}


def _credential(settings: Settings) -> Credential | None:
    given = settings.credential
    if given is None:
        return None
    return Credential(CredentialKind(given.variable), given.secret.get_secret_value())
