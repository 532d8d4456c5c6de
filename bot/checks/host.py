"""What is missing or wrong on this host, and how to mend it: `autocoder check`."""

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol, assert_never
from urllib.parse import urlsplit

import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.checks import home as check_home
from bot.checks.finding import Finding, Level
from bot.settings import (
    CHAT_PLATFORMS,
    CREDENTIAL_VARIABLES,
    GIB,
    PREFIX,
    VARIABLES,
    ModelSource,
    Settings,
    derived_host_parallel,
    load,
)
from core.errors import BadSetting
from core.ports.host import BoxLevel

GIT_WANTED: Final = (2, 39)
_PROGRAM_SECONDS: Final = 20
_MARKER_VARIABLE: Final = "AUTOCODER_PROCESS"  # set by us for what we start


class SandboxFact(Protocol):
    """What trying the sandbox showed."""

    @property
    def level(self) -> BoxLevel: ...

    @property
    def reason(self) -> str:
        """Why it is not FULL."""
        ...

    @property
    def hint(self) -> str: ...


@dataclass(frozen=True)
class Probes:
    """What only adapters can find out."""

    sandbox: Callable[[], SandboxFact]
    unseen_toolchains: Callable[[str, Sequence[Path]], Sequence[Path]]  # PATH, already readable


def check(environ: Mapping[str, str], home: Path | None, probes: Probes) -> list[Finding]:
    """Look at everything once; takes about a second. Writes nothing that stays."""
    findings = [_system(), _python(), _git(), _cli(bundled_cli())]
    try:
        settings = load(environ, home)
    except BadSetting as error:
        *others, last = str(error).splitlines()
        findings += [Finding("settings", Level.ERROR, problem) for problem in others]
        return [*findings, Finding("settings", Level.ERROR, last, error.hint)]
    findings.append(_sandbox(settings, probes.sandbox()))
    findings += _toolchains(settings, environ, probes)
    findings.append(_model(settings, environ))
    findings += [*check_home.look(settings), _agents(settings), *_chat(settings)]
    findings += _variables(environ)
    return findings


def is_fit(findings: Sequence[Finding]) -> bool:
    return all(finding.level is not Level.ERROR for finding in findings)


def as_json(findings: Sequence[Finding]) -> str:
    """`{"fit": bool, "findings": [{"name", "level", "what", "mend"}]}`."""
    return json.dumps(
        {"fit": is_fit(findings), "findings": [asdict(finding) for finding in findings]},
        ensure_ascii=False,
        indent=2,
    )


def show(findings: Sequence[Finding], console: Console) -> None:
    """The findings for a person at a terminal."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        mark, style = _mark(finding.level)
        table.add_row(Text(mark, style), Text(finding.name, "bold"), Text(finding.what))
        if finding.mend:
            table.add_row("", "", Text(finding.mend, "dim" if finding.level is Level.OK else ""))
    console.print(table)
    errors = sum(finding.level is Level.ERROR for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    console.print()
    if errors:
        mark, style = _mark(Level.ERROR)
        words = f"{mark} Not fit: {errors} to mend first"
    else:
        mark, style = _mark(Level.OK)
        words = f"{mark} This host is fit"
    rest = f", {warnings} {'warning' if warnings == 1 else 'warnings'}." if warnings else "."
    console.print(Text(words + rest, style))


def bundled_cli() -> Path | None:
    """The Claude CLI that claude-agent-sdk brings along."""
    spec = importlib.util.find_spec("claude_agent_sdk")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "_bundled" / "claude"
    return path if path.exists() else None


def _mark(level: Level) -> tuple[str, str]:
    match level:
        case Level.OK:
            return "✓", "green"
        case Level.WARNING:
            return "▲", "yellow"
        case Level.ERROR:
            return "■", "red"
        case _:
            assert_never(level)


def _system() -> Finding:
    name = platform.system() or "unknown"
    if name != "Linux":
        return Finding(
            "system",
            Level.ERROR,
            f"{name} is not supported: the sandbox, process control and locks need Linux.",
            "Run autocoder on a Linux host, in a virtual machine or in a container.",
        )
    return Finding("system", Level.OK, f"Linux {platform.release()}, {platform.machine()}")


def _python() -> Finding:
    return Finding("python", Level.OK, f"{platform.python_version()} ({sys.executable})")


def _git() -> Finding:
    wanted = ".".join(map(str, GIT_WANTED))
    program = shutil.which("git")
    if program is None:
        return Finding(
            "git", Level.ERROR, "git is not installed.", "Install it: apt-get install git"
        )
    words = _output([program, "--version"])
    number = re.search(r"(\d+)\.(\d+)[\d.]*", words)
    if number is None:
        return Finding(
            "git", Level.ERROR, f"{program} does not tell its version: {words}", "Reinstall git."
        )
    if (int(number[1]), int(number[2])) < GIT_WANTED:
        return Finding(
            "git",
            Level.ERROR,
            f"{number[0]} is too old: {wanted} or newer is wanted.",
            "Install a newer one, on Debian 12 or later: apt-get install git",
        )
    return Finding("git", Level.OK, f"{number[0]} ({program})")


def _cli(path: Path | None) -> Finding:
    mend = "Run make setup."
    if path is None:
        words = "The Claude CLI, which comes with claude-agent-sdk, is not there."
        return Finding("claude cli", Level.ERROR, words, mend)
    words = _output([str(path), "--version"])
    version = re.match(r"\d+\.\d+\.\d+", words)
    if version is None:
        return Finding("claude cli", Level.ERROR, f"{path} does not run: {words}", mend)
    return Finding("claude cli", Level.OK, f"{version[0]}, bundled")


def _sandbox(settings: Settings, fact: SandboxFact) -> Finding:
    practice = settings.model is ModelSource.PRACTICE
    if fact.level is BoxLevel.FULL:
        if settings.rules.sandbox.required:
            return Finding("sandbox", Level.OK, "full: own files, processes and network")
        return Finding(
            "sandbox",
            Level.WARNING,
            "full, but `sandbox.required` is false: should it fail, agents run without it.",
            "Take `sandbox.required` out of the settings.",
        )
    words = f"{fact.level}: {fact.reason.rstrip('.')}."
    if not settings.rules.sandbox.required:
        words += " Agents run all the same, because `sandbox.required` is false."
    elif practice:
        words += " The practice model runs all the same; the claude model would refuse to start."
    else:
        words += " The claude model refuses to start without the full sandbox."
    level = Level.ERROR if settings.rules.sandbox.required and not practice else Level.WARNING
    return Finding("sandbox", level, words, fact.hint)


def _toolchains(
    settings: Settings, environ: Mapping[str, str], probes: Probes
) -> Iterator[Finding]:
    for path in settings.rules.sandbox.read:
        if not path.exists():
            yield Finding(
                "toolchain",
                Level.WARNING,
                f"{path} of `sandbox.read` does not exist.",
                "Take it out of the settings, or mend its path.",
            )
    read = settings.rules.sandbox.read
    if unseen := probes.unseen_toolchains(environ.get("PATH", ""), read):
        listed = json.dumps([str(path) for path in (*read, *unseen)])
        yield Finding(
            "toolchain",
            Level.WARNING,
            f"Agents cannot see {', '.join(map(str, unseen))}, which is on your PATH.",
            f"If they need it, set `read = {listed}` under `[sandbox]` in autocoder.toml.",
        )


def _model(settings: Settings, environ: Mapping[str, str]) -> Finding:
    near = _near_credential(environ)
    variables = ", ".join(CREDENTIAL_VARIABLES)
    match settings.model:
        case ModelSource.CLAUDE if settings.credential is None:
            return Finding(
                "model",
                Level.ERROR,
                f"claude, but there is no credential.{near}",
                "Run `claude setup-token` and set CLAUDE_CODE_OAUTH_TOKEN to what it prints, "
                f"or set another of {variables}.",
            )
        case ModelSource.CLAUDE:
            where = urlsplit(settings.base_url).hostname if settings.base_url else "Anthropic"
            by = settings.credential.variable if settings.credential else ""
            return Finding("model", Level.OK, f"claude at {where}, by {by}")
        case ModelSource.PRACTICE if settings.credential is None and near:
            return Finding(
                "model",
                Level.WARNING,
                f"practice (scripted, offline, costs nothing).{near}",
                "For the real model run `claude setup-token` and set CLAUDE_CODE_OAUTH_TOKEN to "
                f"what it prints, or set another of {variables}.",
            )
        case ModelSource.PRACTICE:
            real = "" if settings.credential else f"For the real model set one of {variables}."
            return Finding("model", Level.OK, "practice (scripted, offline, costs nothing)", real)
        case _:
            assert_never(settings.model)


def _near_credential(environ: Mapping[str, str]) -> str:
    """What looks like a credential and is none, in words with a space before them."""
    folder = environ.get("CLAUDE_CONFIG_DIR") or f"{environ.get('HOME', '~')}/.claude"
    if (Path(folder).expanduser() / ".credentials.json").exists():
        return " The Claude CLI is logged in here, which agents in their box cannot use."
    if environ.get("ANTHROPIC_BASE_URL"):
        return " ANTHROPIC_BASE_URL alone is no credential."
    return ""


def _agents(settings: Settings) -> Finding:
    cores, memory = os.cpu_count() or 1, psutil.virtual_memory().total
    on_host = settings.rules.agents.host_parallel or derived_host_parallel(cores, memory)
    words = (
        f"{settings.rules.agents.max_parallel} at once in a project, {on_host} on this host "
        f"({cores} cores, {memory / GIB:.0f} GB)"
    )
    return Finding("agents", Level.OK, words)


def _chat(settings: Settings) -> Iterator[Finding]:
    """Which chats take part, and what is missing for those that do not."""
    for name, wanted in CHAT_PLATFORMS.items():
        missing = [variable for variable in wanted if variable not in settings.chat_tokens]
        listed = " and ".join(missing)
        if missing == list(wanted):
            yield Finding(name, Level.OK, f"off: {listed} not set")
        elif missing:
            words = f"off: {listed} not set, though it needs {' and '.join(wanted)}."
            yield Finding(name, Level.WARNING, words, f"Set {listed} too.")
        else:
            yield Finding(
                name, Level.OK, "its token is set, but this version does not speak it yet"
            )


def _variables(environ: Mapping[str, str]) -> Iterator[Finding]:
    known = {*VARIABLES, _MARKER_VARIABLE}
    for name in sorted(environ):
        if name.startswith(PREFIX) and "__" not in name and name not in known:
            words = f"{name} is set, which autocoder does not know."
            yield Finding("variable", Level.WARNING, words, f"Known are {', '.join(VARIABLES)}.")


def _output(argv: Sequence[str]) -> str:
    """The first line a program prints, or why it printed none."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROGRAM_SECONDS,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROGRAM_SECONDS} s"
    except OSError as error:
        return error.strerror or "it cannot be started"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return lines[0][:200] if lines else f"it ended with {done.returncode}"
