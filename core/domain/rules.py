"""What people may set: the sections of the settings, their keys, defaults and meanings. Pure.

The same names stand in `autocoder.toml`, in the environment, in what a project has of its own,
and in the code that follows them. `bot/settings` reads and validates them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from annotated_types import Ge, Gt, Le, MinLen, MultipleOf

Count = Annotated[int, Ge(1), Le(10_000)]
Seconds = Annotated[float, Gt(0), Le(7 * 86_400)]
Minutes = Annotated[float, Gt(0), Le(7 * 1440)]
Share = Annotated[float, Ge(0), Le(1)]
Dollars = Annotated[Decimal, Gt(0), Le(1_000_000), MultipleOf(Decimal("0.000001"))]


class OnStuck(StrEnum):
    ASK = "ask"  # wait for a person
    SKIP = "skip"  # leave it out; what depends on it stays undone


class TrackBy(StrEnum):
    PROJECT = "project"
    GLOBAL = "global"


def _about(
    about: str,
    *,
    own: bool = False,
    later: bool = False,
    fits: Callable[[Any], None] | None = None,
) -> dict[str, Any]:
    """What is known of a setting beside its type and default.

    `own`: a project may have another value; `later`: it has no effect as yet; `fits` raises
    ValueError with what is wrong beside what the type says.
    """
    return {"about": about, "own": own, "later": later, "fits": fits}


def _model(value: str) -> None:
    if not value or len(value) > 200 or any(char.isspace() for char in value):
        raise ValueError("a model is an alias such as sonnet, or a full name without spaces")


def _chain(value: tuple[str, ...]) -> None:
    for model in value:
        _model(model)
    if len(set(value)) < len(value):
        raise ValueError("each model may stand in the chain once")


def _slash_command(value: str) -> None:
    if not re.fullmatch(r"/[a-z0-9_-]{1,31}", value):
        raise ValueError("a slash command is / and up to 31 of a-z, 0-9, _ and -")


def _model_of(kind: str, *, later: bool = False) -> dict[str, Any]:
    return _about(f"The model of the {kind}.", own=not later, later=later, fits=_model)


@dataclass(frozen=True)
class Agents:
    """How many agents work, how long, how often."""

    max_parallel: Count = field(
        default=3, metadata=_about("Agents at work at once in one project.", own=True)
    )
    host_parallel: Count | None = field(
        default=None,
        metadata=_about("Agents at once on this host, over all projects; none: from its size."),
    )
    silence_s: Seconds = field(
        default=3600,
        metadata=_about(
            "Seconds without a signal after which a run is stopped and requeued.", own=True
        ),
    )
    check_timeout_s: Seconds = field(
        default=600, metadata=_about("Seconds that one check or setup may take.", own=True)
    )
    max_attempts: Count = field(
        default=5, metadata=_about("Attempts at a task before it is stuck.", own=True)
    )
    max_turns: Count = field(default=80, metadata=_about("Turns of one run.", own=True))
    max_minutes: Minutes = field(default=60, metadata=_about("Minutes of one run.", own=True))
    backoff_max_s: Seconds = field(
        default=300,
        metadata=_about(
            "Longest wait in seconds after a transient error of the model's server.", own=True
        ),
    )
    batch: Count = field(
        default=3, metadata=_about("Small tasks of one feature that one run may take.", own=True)
    )
    on_stuck: OnStuck = field(
        default=OnStuck.ASK,
        metadata=_about("`ask` waits for a person, `skip` leaves a stuck task out.", own=True),
    )
    ask_wait_s: Annotated[float, Ge(0), Le(60)] = field(
        default=50,
        metadata=_about(
            "Seconds an agent's question waits for its answer before its run parks.", own=True
        ),
    )
    regression_ratio: Annotated[int, Ge(0), Le(10)] = field(
        default=1, metadata=_about("Regression runs per coder run.", later=True)
    )


@dataclass(frozen=True)
class Models:
    """Which model does what: an alias (haiku, sonnet, opus) or a full name."""

    chain: Annotated[tuple[str, ...], MinLen(1)] = field(
        default=("haiku", "sonnet", "opus"),
        metadata=_about(
            "From small to large: after the same error three times the next one tries.",
            own=True,
            fits=_chain,
        ),
    )
    interviewer: str = field(default="sonnet", metadata=_model_of("interviewer"))
    planner: str = field(default="opus", metadata=_model_of("planner"))
    coder: str = field(default="sonnet", metadata=_model_of("coder"))
    tester: str = field(default="sonnet", metadata=_model_of("tester", later=True))
    reviewer: str = field(default="opus", metadata=_model_of("reviewer", later=True))
    merger: str = field(default="sonnet", metadata=_model_of("merger", later=True))
    assistant: str = field(default="sonnet", metadata=_model_of("assistant"))


@dataclass(frozen=True)
class Budget:
    """Where spending ends, at list prices in USD."""

    project_usd: Dollars = field(
        default=Decimal(20), metadata=_about("One project, in all.", own=True)
    )
    run_usd: Dollars = field(default=Decimal(5), metadata=_about("One run of one agent.", own=True))
    day_usd: Dollars | None = field(
        default=None, metadata=_about("All projects in one day (UTC); none: no limit.", own=True)
    )
    month_usd: Dollars | None = field(
        default=None, metadata=_about("All projects in one month (UTC); none: no limit.", own=True)
    )


@dataclass(frozen=True)
class TokenLimit:
    """Tokens of a month."""

    monthly_limit: Annotated[int, Ge(1), Le(10**15)] | None = field(
        default=None, metadata=_about("Tokens of one month (UTC); none: no limit.", later=True)
    )
    warn_at: Share = field(
        default=0.2, metadata=_about("Share of them left at which a card tells.", later=True)
    )
    pause_at: Share = field(
        default=0.05, metadata=_about("Share of them left at which nothing new starts.", later=True)
    )
    reset_day: Annotated[int, Ge(1), Le(31)] = field(
        default=1, metadata=_about("Day of the month on which they begin anew.", later=True)
    )
    track_by: TrackBy = field(
        default=TrackBy.PROJECT,
        metadata=_about("`project` counts each by itself, `global` all together.", later=True),
    )


@dataclass(frozen=True)
class Chat:
    """Chat platforms."""

    edit_interval_s: Seconds = field(
        default=1, metadata=_about("Least seconds between two edits of one card.")
    )


@dataclass(frozen=True)
class Proof:
    """What counts as proved."""

    strict: bool = field(
        default=False,
        metadata=_about("Refuse work whose checks were all green before it began.", own=True),
    )


@dataclass(frozen=True)
class Sandbox:
    """The box around agents and checks."""

    required: bool = field(
        default=True, metadata=_about("The claude model refuses to start without the full sandbox.")
    )
    read: tuple[Path, ...] = field(
        default=(),
        metadata=_about(
            "Absolute paths shown read-only in the box: a toolchain in somebody's home."
        ),
    )


@dataclass(frozen=True)
class Gates:
    """Phase gates."""

    remind_after_s: Seconds = field(
        default=86_400,
        metadata=_about("Seconds after which a reminder of an open plan or gate is sent."),
    )


@dataclass(frozen=True)
class Practice:
    """The practice model."""

    latency_s: Annotated[float, Ge(0), Le(60)] = field(
        default=1.5,
        metadata=_about(
            "Seconds it takes for each step of a coder, so that one can watch; `demo` takes 0."
        ),
    )


@dataclass(frozen=True)
class Slack:
    """Slack."""

    command: str = field(
        default="/autocoder", metadata=_about("The slash command.", later=True, fits=_slash_command)
    )


@dataclass(frozen=True)
class Rules:
    """The settings of the service, or of one project."""

    agents: Agents = Agents()
    models: Models = Models()
    budget: Budget = Budget()
    usage: TokenLimit = TokenLimit()
    chat: Chat = Chat()
    proof: Proof = Proof()
    sandbox: Sandbox = Sandbox()
    gates: Gates = Gates()
    practice: Practice = Practice()
    slack: Slack = Slack()
    own: frozenset[str] = frozenset()  # keys whose value is the project's own

    def of_project(self, settings: Mapping[str, Any]) -> "Rules":
        """These, less what a project has of its own: key → the value as JSON, once validated."""
        sections: dict[str, Any] = {}
        for name, value in settings.items():
            section = OWN.get(name)
            if section is not None and value is not None:
                now = sections.get(section, getattr(self, section))
                sections[section] = replace(now, **{name: _read(SECTIONS[section], name, value)})
        return replace(self, **sections, own=frozenset(settings)) if sections else self


SECTIONS: Final[dict[str, type]] = {
    name: type(section) for name, section in vars(Rules()).items() if is_dataclass(section)
}

# What a project may have of its own: key → section. No two sections share such a key.
OWN: Final[dict[str, str]] = {
    each.name: section
    for section, kind in SECTIONS.items()
    for each in fields(kind)
    if each.metadata["own"]
}


def meaning(section: str, name: str) -> str:
    """What a setting is for, in a sentence."""
    about: str = next(
        each.metadata["about"] for each in fields(SECTIONS[section]) if each.name == name
    )
    return about


def _read(section: type, name: str, value: Any) -> Any:
    """A stored value as the field's own type; numbers are what they are in JSON."""
    default: Any = next(each.default for each in fields(section) if each.name == name)
    match default:
        case tuple():
            return tuple(value)
        case StrEnum():
            return type(default)(value)
        case Decimal() | None:  # None: a limit that is not set
            return Decimal(value)
        case _:
            return value
