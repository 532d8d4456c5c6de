"""What fits where somebody types: commands, projects, tasks, choices."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.orm import Session

from bot.commands.command import CommandSpec, Kind
from core.domain.people import Role
from core.ports.chat import Place, Suggestion
from core.views import members, projects, tasks
from core.views.places import project_at

MOST = 25
LONGEST = 100  # characters of a label
PROJECT = "project"  # the option that names one
LINE = ("command", "sub")  # options that are a command themselves


def suggest(
    tx: Session,
    commands: Mapping[str, CommandSpec],
    command: str,
    option: str,
    typed: str,
    place: Place,
    person: str,
) -> Sequence[Suggestion]:
    """At most 25 values of a command's option that this person may use here."""
    role = members.role_of(tx, person)
    spec = commands.get(command)
    if option in LINE:
        mine = (each for each in commands.values() if role.covers(each.role))
        return _fitting(typed, ((each.usage, each.name) for each in mine))
    if spec is None or not role.covers(spec.role) or not role.covers(Role.VIEWER):
        return ()
    argument = next((each for each in spec.arguments if each.name == option), None)
    if option == PROJECT or (argument is not None and argument.kind is Kind.PROJECT):
        return _fitting(typed, ((name, name) for name in projects.names(tx)))
    if argument is None:
        return ()
    if argument.choices:
        return _fitting(typed, ((choice, choice) for choice in argument.choices))
    here = project_at(tx, place)
    if argument.kind not in (Kind.NUMBER, Kind.NUMBERS) or here is None:
        return ()
    before, _, word = typed.rpartition(" ") if argument.kind is Kind.NUMBERS else ("", "", typed)
    found = tasks.named(tx, here.id, word.strip(), limit=MOST)
    return [
        Suggestion(f"{number} {name}"[:LONGEST], f"{before} {number}".strip())
        for number, name in found
    ]


def _fitting(typed: str, known: Iterable[tuple[str, str]]) -> Sequence[Suggestion]:
    """Those that begin with what was typed, then those that hold it."""
    wanted = typed.strip().casefold()
    all_of = [pair for pair in known if wanted in pair[0].casefold()]
    all_of.sort(key=lambda pair: not pair[0].casefold().startswith(wanted))
    return [Suggestion(label[:LONGEST], value) for label, value in all_of[:MOST]]
