"""What the web needs of the service beside its door; given by bot.app."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from core.domain.cards import Picture
from core.domain.people import Role
from core.domain.redaction import Redaction
from core.ports.host import BoxLevel
from core.views import projects
from core.views.budgets import UsageSettings
from core.views.figures import Figures

P = ParamSpec("P")
T = TypeVar("T")


class Transact(Protocol):
    """Runs a function of a transaction."""

    async def __call__(
        self, function: Callable[Concatenate[Any, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...


class Commits(Protocol):
    """Wakes whoever waits for something to be committed."""

    count: int

    async def wait(self, seen: int, timeout: timedelta | None = None) -> int: ...


class Spent(Protocol):
    """What all projects spent in the last days, as a picture; None where that is nothing."""

    def __call__(self, tx: Any, *, until: date) -> Picture | None: ...


@dataclass(frozen=True)
class CommandLine:
    """A command as a person may complete it; the words after `/autocoder`."""

    name: str
    usage: str
    about: str
    role: Role


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The rest of the service."""

    version: str
    practice: bool
    box: BoxLevel
    host: str  # the address that is listened on
    token: str
    usage_settings: UsageSettings
    about: Callable[[], projects.Service]
    commands: Sequence[CommandLine]
    files: Path  # the folder of what was dropped
    redact: Redaction
    clock: Callable[[], datetime]
    run: Transact  # for the web's own rows
    read_first: Transact  # a short look that somebody waits for
    commits: Commits
    svg: Callable[[str], Awaitable[str]]  # of a picture, by its address
    spent: Spent
    states: Callable[[], Mapping[str, str]]  # of the parts: `ok`, `off`, `error: WORDS`
    ready: Callable[[], bool]
    metrics: Callable[[Figures], bytes]  # the page for Prometheus
    metrics_type: str
    acknowledged: Callable[[float], None]  # a delivery was, so many seconds after it came
    backup: Callable[[Path], Awaitable[int]]
