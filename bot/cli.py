"""The command line: `autocoder …`, which is `python -m bot …`."""

import asyncio
import gc
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import partial
from importlib.metadata import version
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from bot import settings as settings_file
from bot.data import commands as data_commands
from bot.data.commands import Home
from bot.exits import Exit, complain
from bot.settings import ModelSource, Settings
from core.domain.names import parse_name
from core.domain.spec import SPEC_LIMIT, name_from, read_spec
from core.errors import AutocoderError, BadSpec, InputError

# What a command needs beside this is imported where it is needed: the whole takes seconds on a
# busy host, and a second `serve` shall say at once who holds the home.
if TYPE_CHECKING:
    from bot.build import BuildRequest
    from bot.client import Client

T = TypeVar("T")

_LEAST_BUDGET = Decimal("0.000001")  # USD; less is not counted
_SPEC_SECONDS = 10  # a spec may come through a pipe
_DEMO = "todo-api"
_DEMO_PACE = {"AUTOCODER_PRACTICE__LATENCY_S": "0"}  # where nobody chose another one
_DEMO_SETTINGS = {
    "AUTOCODER_MODEL": ModelSource.PRACTICE.value,
    "AUTOCODER_BUDGET__PROJECT_USD": "2",
    "AUTOCODER_AGENTS__MAX_ATTEMPTS": "3",  # then a person says that a larger model shall try
}

app = typer.Typer(
    name="autocoder",
    help="Builds software from a spec with coding agents, and accepts only what is proved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_commands.db, name="db")
app.command()(data_commands.export)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"autocoder {version('autocoder')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None: ...


@app.command()
def check(
    home: Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what is missing or wrong on this host, and how to mend it."""
    from rich.console import Console

    from bot.app import host_probes
    from bot.checks import host as host_check

    findings = host_check.check(os.environ, home, host_probes())
    try:
        if as_json:
            typer.echo(host_check.as_json(findings))
        else:
            host_check.show(findings, Console())
    except OSError as error:
        words = f"The output cannot be written: {error.strerror}."
        raise typer.Exit(complain(AutocoderError(words))) from error
    if not host_check.is_fit(findings):
        raise typer.Exit(Exit.HOST_UNFIT)


@app.command()
def serve(home: Home = None) -> None:
    """Start the service: the web chat, the agents; Slack and Discord where their tokens are set."""
    trouble: AutocoderError | None = None
    try:
        settings = settings_file.load(os.environ, home)
        gc.disable()  # a fifth of what the imports take; bot/serve turns it on again
        from bot.app import host_probes
        from bot.checks import host as host_check
        from bot.checks.finding import Finding
        from bot.serve import serve as run_service

        def look() -> list[Finding]:
            return host_check.check(os.environ, home, host_probes())

        _run(run_service(settings, _say, look))
    except* AutocoderError as group:
        trouble = _first(group)
    _leave(complain(trouble) if trouble else Exit.COMPLETED)


def _leave(status: int) -> NoReturn:
    """All is closed. Taking the interpreter apart would cost seconds of the five to stop in."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(status)


Channel = Annotated[str, typer.Option("--channel", help="A channel of the web chat.")]


@app.command()
def say(
    text: Annotated[str, typer.Argument(help="A message, or `/autocoder …`.")],
    channel: Channel = "main",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until its effect is done, however long.")
    ] = False,
    home: Home = None,
) -> None:
    """Say one message to the running service and print its answer."""
    from bot.chat import say as say_once
    from bot.client import Client

    try:
        ok, words = say_once(Client(_home(home)), channel, text, wait=wait)
    except AutocoderError as error:
        raise typer.Exit(complain(error)) from error
    typer.echo(words)
    if not ok:
        raise typer.Exit(Exit.UNFINISHED)


@app.command()
def chat(channel: Channel = "main", home: Home = None) -> None:
    """The running service's chat in the terminal."""
    from bot.client import Client

    try:
        client = Client(_home(home))
    except AutocoderError as error:
        raise typer.Exit(complain(error)) from error
    _leave(_run(_in_terminal(partial(_chatted, client, channel))))


async def _chatted(client: "Client", channel: str, stop: asyncio.Event) -> Exit:
    from bot.app import open_terminal
    from bot.build import PLACE
    from bot.chat import Chat

    terminal = open_terminal(PLACE, os.environ, stop.set, chats=True)
    try:
        await Chat(client, channel, terminal).run(stop)
    finally:
        await terminal.close()
    return Exit.COMPLETED


def _home(home: Path | None) -> Path:
    return settings_file.load(os.environ, home).home


def _say(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()


@app.command()
def build(
    spec: Annotated[
        Path, typer.Argument(help="A spec in Markdown, 1 byte to 1 MB.", readable=False)
    ],
    name: Annotated[str | None, typer.Option("--name", help="The project's name.")] = None,
    home: Home = None,
    budget: Annotated[str | None, typer.Option("--budget", help="What it may cost, USD.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Approve the plan and every gate.")] = False,
) -> None:
    """Build what a spec says, into a repository whose checks pass. Again goes on where it was."""
    from bot.build import BuildRequest, approving

    def prepare() -> tuple[Settings, BuildRequest]:
        text = read_spec(_content(spec))
        request = BuildRequest(
            title=f"autocoder {version('autocoder')} build",
            name=parse_name(name) if name is not None else name_from(text, spec.stem),
            spec=text,
            budget=_money(budget) if budget is not None else None,
            automatic=approving if yes else None,
            nobody_here=yes,
        )
        return settings_file.load(os.environ, home), request

    _carry_out(prepare)


@app.command()
def demo(home: Home = None) -> None:
    """The whole story once with the practice model: offline, scripted, free."""
    from bot.build import BuildRequest, Demonstrator

    def prepare() -> tuple[Settings, BuildRequest]:
        place = home or Path(tempfile.mkdtemp(prefix="autocoder-demo-"))
        title = f"autocoder {version('autocoder')} demo"
        request = BuildRequest(title=title, name=_DEMO, spec=None, automatic=Demonstrator())
        return settings_file.load({**_DEMO_PACE, **os.environ, **_DEMO_SETTINGS}, place), request

    _carry_out(prepare)


def _content(path: Path) -> bytes:
    """At most a byte more than a spec may have; a pipe that gives nothing is not waited for."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", 0) as file:
            return _read_all(file, path)
    except OSError as error:
        raise BadSpec(
            f"The spec {path} cannot be read: {error.strerror}.",
            hint="Give the path of a Markdown file.",
        ) from error


def _read_all(file: FileIO, path: Path) -> bytes:
    content = b""
    until = time.monotonic() + _SPEC_SECONDS
    while len(content) <= SPEC_LIMIT:
        piece = file.read(SPEC_LIMIT + 1 - len(content))
        if piece == b"":
            break
        content += piece or b""
        if time.monotonic() > until:
            raise BadSpec(f"The spec {path} did not end within {_SPEC_SECONDS} seconds.")
        if piece is None:
            select.select([file], [], [], 0.2)
    return content


def _money(text: str) -> Decimal:
    try:
        amount = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or not _LEAST_BUDGET <= amount <= 1_000_000:
        raise InputError(
            f"--budget {text[:40]!r} is no amount.",
            hint="Give USD above 0, at most 1,000,000: 12.50.",
        )
    return amount


def _carry_out(prepare: Callable[[], tuple[Settings, "BuildRequest"]]) -> None:
    try:
        settings, request = prepare()
    except AutocoderError as error:
        raise typer.Exit(complain(error)) from error
    _leave(_run(_in_terminal(partial(_built, settings, request))))


async def _built(settings: Settings, request: "BuildRequest", stop: asyncio.Event) -> Exit:
    from bot.app import host_probes, open_terminal
    from bot.build import PLACE, run
    from bot.checks import host as host_check
    from bot.checks.finding import Finding

    def look() -> list[Finding]:
        return host_check.check(os.environ, settings.home, host_probes())

    return await run(
        settings, request, partial(open_terminal, PLACE, os.environ, stop.set), stop, look
    )


async def _in_terminal(main: Callable[[asyncio.Event], Awaitable[Exit]]) -> int:
    """Until it ends, or is told to by a signal; errors become words."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signals.append(signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    trouble: AutocoderError | None = None
    result = Exit.UNFINISHED
    try:
        result = await main(stop)
    except* AutocoderError as group:
        trouble = _first(group)
    finally:
        for number in signals:  # all is tidied up: a late one would only spoil the exit status
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
    return complain(trouble) if trouble else result


def _first(group: BaseExceptionGroup[AutocoderError]) -> AutocoderError:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            return _first(error)
        return error
    return AutocoderError()


def main() -> None:
    app()


def _run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end.

    Python 3.11 starts a thread for each child process to wait in, which more than doubles what a
    short one costs, and git's are short; from 3.12 on asyncio waits on a pidfd by itself, where
    Linux (5.3) has them.
    """
    if sys.version_info < (3, 12) and _has_pidfd():
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    return asyncio.run(main)


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
