"""Writes docs/reference from the code: `make docs`. A house test holds the files to it."""

import inspect
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

import core.errors
from bot.cli import app
from bot.settings import FILE_NAME, SECTIONS, VARIABLES, Section
from core.errors import AutocoderError

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


def pages() -> dict[str, str]:
    """The text of each generated page by its file name."""
    return {
        "commands.md": commands(),
        "errors.md": errors(),
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
            f"| `{name}.{key}` | {_value(field.default)} | {_meaning(section, key, field)} |"
            for key, field in section.model_fields.items()
        ]
    lines += ["", "## Variables", "", "| variable | meaning (default) |", "| --- | --- |"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items()]
    return "\n".join(lines) + "\n"


def _meaning(section: type[Section], key: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra
    later = LATER if isinstance(extra, dict) and extra.get("later") else ""
    words = field.description or f"The model of the {key}."
    return f"{words}{later}"


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


def error_classes() -> list[type[AutocoderError]]:
    return [
        value
        for value in vars(core.errors).values()
        if isinstance(value, type) and issubclass(value, AutocoderError)
    ]


if __name__ == "__main__":
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
