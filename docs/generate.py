"""Writes docs/reference from the code: `make docs`. A house test holds the files to it."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import Field, fields
from decimal import Decimal
from pathlib import Path
from typing import get_args

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

import adapters.web
import core.errors
from adapters.web.dependencies import Local
from adapters.web.security import OPEN
from bot.cards import CARDS
from bot.cli import app
from bot.commands import COMMANDS, FAMILIES
from bot.metrics import Metrics
from bot.settings import FILE_NAME, VARIABLES
from core.domain.cards import Label
from core.domain.events import MEANINGS, Event
from core.domain.lifecycle import TaskStatus
from core.domain.markup import COMMAND
from core.domain.money import Tokens
from core.domain.people import LOCAL, Role
from core.domain.rules import SECTIONS
from core.errors import AutocoderError
from core.views.figures import Figures
from core.views.usage import NOTHING, Usage

REFERENCE = Path(__file__).parent / "reference"
NOTICE = "<!-- Written by `make docs` from the code; do not edit. -->\n"
LATER = " *Taken now; has its effect with a later version.*"

OVERRIDING = """\
Each may be overridden by a variable: `agents.max_parallel` by `AUTOCODER_AGENTS__MAX_PARALLEL`.
There a list is JSON or separated by commas. `"none"` takes away a value that need not be.
An unknown or wrong key is an error that names it."""

CALLING = """\
`autocoder …` is the same as `python -m bot …`. Exit status: 0 done, 1 unfinished and resumable,
2 bad input, 3 host unfit, 130 Ctrl-C."""

TALKING = """\
The same everywhere: in the web chat, in `autocoder chat` and `autocoder say`. A project belongs to the channel it
was made in; there, and in its threads, its name may be left out, and elsewhere it stands at the end of the line. A
role holds all that the ones before it hold: {roles}.

`@autocoder TEXT` needs no command's form: where TEXT's first words are a command and the rest can be read as its
arguments, it is that command; else it is `ask TEXT`. What decides or ends something is asked back first, with its
button.

In a project's thread a plain message is never a command. Where a question is open it is the answer; where the
project builds it is guidance for the agents at work; where it is complete you are asked whether it shall be a
feature; else you are told that it changed nothing.

Outside threads a plain message that is no command begins nothing by itself: to whoever wrote it comes the question
`Start a project from this?`, and its button begins one. The interviewer is told the words first. It may be pressed
by any operator, for 30 days."""

BUTTONS: dict[Label, str] = {
    Label.APPROVE: "Approve the plan or gate that is shown.",
    Label.REJECT: "Send it back with a reason.",
    Label.START: "Go on with a stopped project.",
    Label.PAUSE: "Stop its agents for now; what they hold is kept.",
    Label.RESUME: "Go on after a pause.",
    Label.STOP: "Stop it until somebody starts it again.",
    Label.RETRY: "Give a stuck task new attempts.",
    Label.RETRY_WITH_OPUS: "The same, by the largest model.",
    Label.SKIP: "End a task unproved; what depends on it stays undone.",
    Label.GUIDE: "Give a stuck task a hint and new attempts.",
    Label.ANSWER: "Answer a question: an option, several, or own words.",
    Label.JUST_DECIDE: "Let the agent choose; it says what it chose.",
    Label.DETAILS: "Show all of it, to you alone.",
    Label.LOGS: "Show what happened, to you alone.",
    Label.RAISE_BUDGET: "Set a higher limit and go on.",
    Label.CHANGE_ANSWER: "Take back an answer of an interview and give another.",
    Label.START_PROJECT: "Begin a project from words that began nothing; its interviewer is told them.",
    Label.ADD_AS_FEATURE: "Make a feature of words that were said to a project that is finished.",
    Label.PASS: "Vouch for a task that no check can prove.",
    Label.ARCHIVE: "Take the project out of the lists, for good.",
}

LOCAL_ALONE = get_args(Local)[1].dependency

ASKING = """\
On loopback, with `Authorization: Bearer TOKEN`; the token is the line of `web-token` in the home, or a
member's own. `GET /api/openapi.json` has every shape. Times are ISO 8601 in UTC, money is a decimal
string in USD. A collection is `{"items": […], "next": null | CURSOR}`, oldest first, with `?limit=` (100,
at most 1000) and `&cursor=`. A parameter that a path does not know, or a value that it cannot use, is refused
with 422. An error is `{"error", "message", "hint"}`. "member" below: whoever has a token, and then what
their role allows in chat."""

MARKUP = r"""
## The markup of a body

A body is lines. A line that begins with `- ` is a point of a list, one that begins with a tab is verbatim (a
patch, code); an empty line stands between paragraphs. Within a line there are `**bold**`, `` `code` ``, and
links to pages of the service: `[words]`, and then the path in parentheses. A backslash before any of
``\ ` * [ -`` makes it an ordinary character. Nothing else is markup; a message's `text` says the same without."""

COUNTING = """\
At `GET /metrics`, for Prometheus, without a token."""


def pages() -> dict[str, str]:
    """The text of each generated page by its file name."""
    return {
        "cards.md": cards(),
        "chat.md": chat(),
        "commands.md": commands(),
        "errors.md": errors(),
        "events.md": events(),
        "http.md": http(),
        "metrics.md": metrics(),
        "settings.md": settings(),
    }


def settings() -> str:
    lines = [
        "# Settings",
        NOTICE,
        f"Settings stand in `{FILE_NAME}` in the home, a table per section:",
        "",
        "```toml",
        "[agents]",
        "max_parallel = 2",
        "",
        "[budget]",
        "project_usd = 12.50",
        "```",
        "",
        OVERRIDING,
    ]
    for name, section in SECTIONS.items():
        lines += ["", f"## {name}", "", inspect.cleandoc(section.__doc__ or ""), ""]
        lines += ["| key | default | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{name}.{field.name}` | {_value(field.default)} | {_meaning(field)} |"
            for field in fields(section)
        ]
    lines += ["", "## Variables", "", "| variable | meaning (default) |", "| --- | --- |"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items()]
    return "\n".join(lines) + "\n"


def _meaning(field: Field[object]) -> str:
    return f"{field.metadata['about']}{LATER if field.metadata['later'] else ''}"


def _value(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            items = ", ".join(f'"{item}"' for item in value)
            return f"`[{items}]`"
        case float():
            return f"`{value:g}`"
        case _:
            return f"`{value}`"


def commands() -> str:
    lines = [
        "# Commands",
        NOTICE,
        CALLING,
    ]
    for path, command in _leaves("autocoder", get_command(app)):
        arguments = " ".join(
            _metavar(parameter)
            for parameter in command.params
            if isinstance(parameter, TyperArgument)
        )
        lines += ["", f"## {path} {arguments}".rstrip(), "", _sentence(command.help)]
        options = [
            parameter
            for parameter in command.params
            if isinstance(parameter, TyperOption) and not parameter.hidden
        ]
        if options:
            lines += ["", "| option | meaning |", "| --- | --- |"]
        lines += [f"| `{_spelled(option)}` | {_sentence(option.help)} |" for option in options]
    return "\n".join(lines) + "\n"


def _leaves(path: str, command: object) -> Iterator[tuple[str, TyperCommand]]:
    match command:
        case TyperGroup():
            for name, sub in command.commands.items():
                yield from _leaves(f"{path} {name}", sub)
        case TyperCommand() if not command.hidden:
            yield path, command
        case _:
            return


def _metavar(argument: TyperArgument) -> str:
    name = (argument.metavar or argument.name or "").upper()
    return name if argument.required else f"[{name}]"


def _spelled(option: TyperOption) -> str:
    names = ", ".join(option.opts)
    return names if option.is_flag else f"{names} {(option.metavar or option.name or '').upper()}"


def _sentence(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\n\n", " ").replace("\n", " ")


def errors() -> str:
    module = inspect.getdoc(core.errors) or ""
    first, _, tree = module.partition("\n\n")
    lines = ["# Errors", NOTICE, first, "", "```", tree, "```", ""]
    lines += ["| error | what a person reads | what to do |", "| --- | --- | --- |"]
    lines += [
        f"| `{kind.__name__}` | {_sentence(kind.__doc__)} | {kind.hint or '–'} |"
        for kind in error_classes()
    ]
    return "\n".join(lines) + "\n"


def chat() -> str:
    roles = ", ".join(role.value for role in Role)
    lines = ["# What can be said", NOTICE, TALKING.format(roles=roles)]
    for family, names in FAMILIES.items():
        lines += ["", f"## {family}", ""]
        lines += ["| command | who | what it does |", "| --- | --- | --- |"]
        lines += [
            f"| `{COMMAND} {_cell(COMMANDS[name].usage)}` | {_who(COMMANDS[name].role)} "
            f"| {COMMANDS[name].about} |"
            for name in names
        ]
    return "\n".join(lines) + "\n"


def _who(role: Role) -> str:
    return "everybody" if role is Role.NONE else role.value


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def cards() -> str:
    lines = ["# Cards and buttons", NOTICE, "## Cards", ""]
    lines += ["| card | shows | posted at |", "| --- | --- | --- |"]
    for kind, row in CARDS.items():
        at = ", ".join(f"`{event}`" for event in Event if event in row.posted_at)
        lines.append(f"| `{kind}` | {row.about} | {at or '–'} |")
    lines += ["", "## Buttons", ""]
    lines += ["| button | who | does |", "| --- | --- | --- |"]
    for label in Label:
        lines.append(f"| `{label}` | {label.role} | {BUTTONS.get(label, '–')} |")
    lines += [
        "",
        "A press over HTTP names its button by `LABEL:KIND:ID[:MORE]`, the `action_id` of the card.",
        MARKUP,
    ]
    return "\n".join(lines) + "\n"


def events() -> str:
    lines = [
        "# Journal events",
        NOTICE,
        "Every change of state writes one of these in its own transaction. `actor` is a person,",
        "`run:ID` or `service`.",
        "",
        "| event | means |",
        "| --- | --- |",
    ]
    lines += [f"| `{event}` | {MEANINGS.get(event, '–')} |" for event in Event]
    return "\n".join(lines) + "\n"


def metrics() -> str:
    figures = Figures(
        tasks={("todo-api", TaskStatus.PASSING): 1},
        agents=1,
        usage=Usage(
            project=None,
            messages=0,
            tokens=Tokens(),
            cost_usd=Decimal(0),
            unpriced_messages=0,
            by_model={"m": NOTHING},
            by_kind={},
            by_phase={},
            by_feature={},
            by_task={},
            by_day={},
            period=None,
        ),
        outbox_pending=0,
    )
    watched = Metrics()
    watched.acknowledged("web", 0)
    watched.delivered(0)
    page = watched.page(figures).decode()
    lines = ["# Metrics", NOTICE, COUNTING, "", "| metric | kind | labels | means |"]
    lines.append("| --- | --- | --- | --- |")
    for name, words in re.findall(r"^# HELP (\S+) (.*)$", page, re.MULTILINE):
        kind = re.findall(rf"^# TYPE {name} (\w+)$", page, re.MULTILINE)[0]
        if name.endswith("_created"):
            continue
        labels = sorted(
            {
                label
                for sample in re.findall(rf"^{name}(?:_\w+)?\{{(.*)\}}", page, re.MULTILINE)
                for label in re.findall(r'(\w+)="', sample)
            }
            - {"le"}
        )
        shown = ", ".join(f"`{label}`" for label in labels) or "–"
        lines.append(f"| `{name}` | {kind} | {shown} | {words} |")
    return "\n".join(lines) + "\n"


def routers() -> list[APIRouter]:
    """Every router of the web adapter, whichever module has it."""
    found: dict[int, APIRouter] = {}
    for module in sorted(each.name for each in pkgutil.iter_modules(adapters.web.__path__)):
        for value in vars(importlib.import_module(f"adapters.web.{module}")).values():
            if isinstance(value, APIRouter):
                found[id(value)] = value
    return list(found.values())


def routes() -> list[APIRoute]:
    """The routes that stand in the OpenAPI document, by their paths."""
    found = [
        route
        for router in routers()
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
    ]
    return sorted(found, key=lambda route: (route.path.startswith("/api/"), route.path))


def http() -> str:
    whole = FastAPI()
    for router in routers():
        whole.include_router(router)
    described = whole.openapi()["paths"]
    lines = ["# HTTP", NOTICE, ASKING, "", "| request | who | does |", "| --- | --- | --- |"]
    for route in routes():
        for method in sorted(route.methods or ()):
            said = described[route.path][method.lower()]
            words = _sentence(said.get("description", "")).rstrip(".")
            who = "everybody" if route.path in OPEN else _role(route.dependant)
            lines.append(f"| `{method} {route.path}` | {who} | {_cell(words)}. |")
    return "\n".join(lines) + "\n"


def _role(dependant: Dependant) -> str:
    """The role that a route asks for, somewhere among what it depends on."""
    for each in dependant.dependencies:
        if each.call is LOCAL_ALONE:
            return f"`{LOCAL}`"
        if each.call is not None:
            held = inspect.getclosurevars(each.call).nonlocals.get("role")
            if isinstance(held, Role):
                return held.value
        found = _role(each)
        if found != "member":
            return found
    return "member"


def error_classes() -> list[type[AutocoderError]]:
    return [
        value
        for value in vars(core.errors).values()
        if isinstance(value, type) and issubclass(value, AutocoderError)
    ]


if __name__ == "__main__":
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
