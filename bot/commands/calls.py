"""From what was said to a call: which command, with which arguments, about which project."""

from dataclasses import replace

from sqlalchemy.orm import Session

from bot.commands import COMMANDS, PLANNED, parsing
from bot.commands.command import Call, CommandSpec
from core.domain.lifecycle import ProjectStatus
from core.domain.markup import COMMAND
from core.domain.names import is_name, unquote
from core.errors import InputError, NotAllowed, NotFound, StateError
from core.ports.chat import Asked
from core.views import members, places, projects


def meant(asked: Asked) -> tuple[CommandSpec, Asked]:
    """The command that is asked for, and what of it is left: the rest of its line, or values."""
    if asked.values is None:
        spec, rest = parsing.find(asked.line, COMMANDS, PLANNED)
        return spec, replace(asked, line=rest)
    spec, values = parsing.find_typed(asked.line, asked.values, COMMANDS, PLANNED)
    return spec, replace(asked, values=values)


def known(tx: Session, call: Call) -> Call:
    """The call with its person's role."""
    return replace(call, role=members.role_of(tx, call.person))


def prepared(tx: Session, call: Call, spec: CommandSpec, asked: Asked) -> Call:
    """The call with its arguments and its project, if its person may make it."""
    call = known(tx, call)
    if not call.role.covers(spec.role):
        raise NotAllowed(
            f"`{COMMAND} {spec.name}` wants the role {spec.role!s}; yours is {call.role!s}."
        )
    standing = places.project_at(tx, call.place) if spec.project else None
    names = projects.names(tx) if spec.takes_names else ()
    if asked.values is not None:
        parsed = parsing.typed(spec, asked.values, names)
    else:
        here = standing is not None or asked.project is not None
        parsed = parsing.parse(spec, asked.line, names, here=here)
    wanted = asked.project or parsed.project
    named = projects.by_name(tx, wanted) if wanted is not None else None
    if wanted is not None and named is None:
        near = parsing.nearest(wanted, names) if names else ""
        proposed = spec.reads or parsing.is_slip(wanted, near)
        raise NotFound(
            f"There is no project {parsing.shown(wanted)}."
            + (f" Did you mean {near!r}?" if near and proposed else ""),
            hint=f"`{COMMAND} list` shows them all.",
        )
    project = named.ref if named is not None else standing
    if project is not None and spec.changes:
        status = projects.summary(tx, project.id).status
        if status is ProjectStatus.ARCHIVED:
            raise StateError(
                f"{project.name} is archived: it can be looked at, and nothing more.",
                hint=f"`{COMMAND} list` shows the others.",
            )
    return replace(call, values=parsed.values, project=project)


def in_words(tx: Session, call: Call, text: str) -> Asked | None:
    """What words that are for us ask: a command if they are one, else a question.

    None: they are no command, and no project lives here that could be asked about.
    """
    here = places.project_at(tx, call.place) is not None
    if _is_command(tx, text, here=here):
        return Asked(text)
    named = parsing.parse(COMMANDS["ask"], text, projects.names(tx), here=here).project
    return Asked(f"ask {text}") if here or named is not None else None


def meant_without_slash(tx: Session, text: str) -> str | None:
    """`/new todo-api`: one of our commands as if it were a slash command of its own."""
    line = text.strip()
    if not line.startswith("/") or not _is_command(tx, line[1:], here=True):
        return None
    return f"{COMMAND} {line[1:]}"


def _is_command(tx: Session, text: str, *, here: bool) -> bool:
    """Whether a text's first words are a command and the rest can be read as its arguments."""
    try:
        spec, rest = parsing.find(text, COMMANDS)
        names = projects.names(tx) if spec.takes_names else ()
        values = parsing.parse(spec, rest, names, here=here).values
    except InputError:
        return False
    name, sub = values.get("name"), " ".join(values.get("sub", "").lower().split())
    if spec.name == "new" and name is not None and not is_name(unquote(name)):
        return False
    return spec.name != "help" or not sub or sub in (*COMMANDS, *PLANNED)
