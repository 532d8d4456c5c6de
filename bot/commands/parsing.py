"""A command line: which command, which arguments, which project; and the nearest if none fits."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bot.commands.command import Argument, CommandSpec, Kind
from core.domain.markup import COMMAND
from core.domain.names import NAME_LIMIT, unquote
from core.errors import InputError

_SHOWN = 60  # characters of a mistyped word that are repeated
_COMPARED = 48
_NAMED = NAME_LIMIT + 16  # characters at the end of a line that may name a project, with quotes
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}
_PROJECT = re.compile(
    r"""(?:^|(?<=\s))project:\s*("[^"]*"|'[^']*'|“[^”]*”|\S+)""", re.I
)  # at either end of the line


@dataclass(frozen=True)
class Parsed:
    spec: CommandSpec
    values: Mapping[str, str] = field(default_factory=dict)
    project: str | None = None  # the name as it was typed


def find(
    line: str, commands: Mapping[str, CommandSpec], planned: Collection[str] = ()
) -> tuple[CommandSpec, str]:
    """The command of a line and what follows it. Raises InputError with the nearest one.

    `planned` are the names of commands that are not built yet.
    """
    text = line.strip()
    if text.split(maxsplit=1)[:1] == [COMMAND]:
        text = text[len(COMMAND) :].strip()
    if not text:
        return commands["help"], ""
    parts = text.split(maxsplit=3)
    first = parts[0].lower().removeprefix("/")
    two = f"{first} {parts[1].lower()}" if len(parts) > 1 else ""
    three = f"{two} {parts[2].lower()}" if len(parts) > 2 else ""
    if three in commands:
        return commands[three], parts[3] if len(parts) > 3 else ""
    if two in commands:
        return commands[two], text.split(maxsplit=2)[2] if len(parts) > 2 else ""
    if first in commands:
        return commands[first], text[len(parts[0]) :].lstrip()
    families = [name for name in commands if name.startswith(f"{first} ")]
    if families:
        meant = nearest(two or first, families)
        begun = not two or is_slip(two, meant) or commands[meant].reads
        raise _no_command(two or first, meant if begun else f"help {meant}")
    meant = nearest(first, [*commands, *planned])
    slip = is_slip(first, meant)
    if slip and meant in planned:
        raise not_built(meant)
    if not slip:  # nobody is led from a word that means nothing to one that changes something
        meant = nearest(first, [name for name, spec in commands.items() if spec.reads])
    raise _no_command(first, meant)


def not_built(name: str) -> InputError:
    return InputError(
        f"`{name}` is not built yet in this version.", hint=f"`{COMMAND} help` lists what is."
    )


def _no_command(word: str, meant: str) -> InputError:
    return InputError(
        f"There is no command {shown(word)}.",
        hint=f"Did you mean `{COMMAND} {meant}`? `{COMMAND} help` lists them all.",
    )


def parse(spec: CommandSpec, rest: str, projects: Collection[str], *, here: bool) -> Parsed:
    """Read the arguments of a command.

    `projects` are the names that exist; `here`: the place has a project, so that a text may begin
    with another one's name without meaning it.
    """
    text = any(a.kind is Kind.TEXT for a in spec.arguments)
    named, rest = _named_project(rest, text and here, projects) if spec.project else (None, rest)
    reader = _Reader(spec, rest.strip(), projects)
    if named is None and spec.project and spec.arguments:
        free = any(a.kind in (Kind.TEXT, Kind.NAME) for a in spec.arguments)
        if not (free and here):
            named = reader.leading_project()
        if named is None and any(a.kind is Kind.NAME for a in spec.arguments):
            named = reader.trailing_project()
    values = {}
    for argument in spec.arguments:
        value = reader.take(argument)
        if value is not None:
            values[argument.name] = value
        elif argument.required:
            raise reader.wants(argument)
    for argument in spec.arguments:  # words may come in any order
        if argument.kind is Kind.WORD and argument.name not in values and reader.rest:
            value = reader.take(argument)
            if value is not None:
                values[argument.name] = value
    left = reader.rest.strip()
    if left:
        if not spec.project or named is not None:
            raise reader.unknown(left)
        named = reader.project(left)
    return Parsed(spec, values, named)


def find_typed(
    name: str,
    values: Mapping[str, str],
    commands: Mapping[str, CommandSpec],
    planned: Collection[str] = (),
) -> tuple[CommandSpec, Mapping[str, str]]:
    """The command of this name, and its values; `stop` with `after: feature` is a longer one."""
    spec, _ = find(name, commands, planned)
    for option, value in values.items():
        longer = f"{spec.name} {option} {value}".lower()
        if longer in spec.longer:
            return commands[longer], {k: v for k, v in values.items() if k != option}
    return spec, values


def typed(spec: CommandSpec, values: Mapping[str, str], projects: Collection[str]) -> Parsed:
    """Arguments that came by their names: words are taken as they are, never read as a line."""
    known = {argument.name for argument in spec.arguments}
    for name in values:
        if name not in known:
            raise InputError(
                f"`{COMMAND} {spec.name}` has no argument {shown(name)}.", hint=_usage(spec)
            )
    given = {name: value for name, value in values.items() if value.strip()}
    line = " ".join(f"{a.after} {given[a.name]}".strip() for a in spec.arguments if a.name in given)
    found: dict[str, str] = {}
    for argument in spec.arguments:
        value = given.get(argument.name)
        if value is not None and argument.kind in (Kind.TEXT, Kind.NAME, Kind.ONE):
            found[argument.name] = value.strip() if argument.kind is Kind.ONE else value
            continue
        reader = _Reader(spec, (value or "").strip(), projects, whole=line)
        read = reader.take(replace(argument, after=""))
        if reader.rest.strip():
            raise reader.unknown(reader.rest.strip(), argument.choices)
        if read is not None:
            found[argument.name] = read
        elif argument.required:
            raise reader.wants(argument)
    return Parsed(spec, found)


class _Reader:
    """Takes arguments off the front of a line."""

    def __init__(
        self, spec: CommandSpec, rest: str, projects: Collection[str], *, whole: str | None = None
    ) -> None:
        self.rest = rest
        self._whole = rest if whole is None else whole  # the line as it is repeated
        self._spec = spec
        self._projects = projects
        self._taken: set[str] = set()  # arguments that have their value

    def take(self, argument: Argument) -> str | None:
        value = self._value(argument)
        if value is not None:
            self._taken.add(argument.name)
        return value

    def _value(self, argument: Argument) -> str | None:
        if argument.after:
            return self._taken_after(argument)
        match argument.kind:
            case Kind.TEXT:
                text, self.rest = self.rest, ""
                return text or None
            case Kind.NAME:
                text, self.rest = unquote(self.rest), ""
                return text or None
            case Kind.PROJECT:
                text, self.rest = self.rest, ""
                return self.project(text) if text else None
            case Kind.ONE:
                word, self.rest = _word(self.rest)
                return word or None
            case Kind.NUMBER:
                return self._number(argument)
            case Kind.NUMBERS:
                return self._numbers(argument)
            case Kind.WORD:
                return self._choice(argument)

    def wants(self, argument: Argument) -> InputError:
        return InputError(
            f"`{COMMAND} {self._spec.name}` wants {argument.about}.", hint=_usage(self._spec)
        )

    def _taken_after(self, argument: Argument) -> str | None:
        word, rest = _word(self.rest)
        if word.lower() != argument.after:
            return None
        self.rest = rest
        value = self.take(replace(argument, after="", required=True))
        if value is None:
            raise self.wants(argument)
        return value

    def _number(self, argument: Argument) -> str | None:
        word, rest = _word(self.rest)
        number = word.removeprefix("#")
        if is_number(number):
            self.rest = rest
            return str(int(number))
        if word and argument.required:
            raise self._no_number(word, argument)
        return None

    def _numbers(self, argument: Argument) -> str | None:
        found: list[str] = []
        while True:
            word, rest = _word(self.rest)
            numbers = [part.removeprefix("#") for part in word.split(",") if part]
            if not numbers or not all(is_number(number) for number in numbers):
                break
            found += [str(int(number)) for number in numbers]
            self.rest = rest
        if not found and self.rest:
            raise self._no_number(self.rest, argument)
        return " ".join(dict.fromkeys(found)) or None

    def _no_number(self, word: str, argument: Argument) -> InputError:
        if self._spec.planned:  # which takes something else there
            return not_built(self._spec.planned)
        return InputError(
            f"{shown(word)} is no number: `{COMMAND} {self._spec.name}` wants {argument.about}.",
            hint=_usage(self._spec),
        )

    def _choice(self, argument: Argument) -> str | None:
        word, rest = _word(self.rest)
        if not word:
            return None
        choices = {choice.lower(): choice for choice in argument.choices}
        if word.lower() in choices:
            self.rest = rest
            return choices[word.lower()]
        if not argument.required and (
            any(other.after == word.lower() for other in self._spec.arguments)
            or (self._spec.project and _spelt(self.rest, self._projects))
        ):
            return None
        raise self.unknown(word, (*argument.choices, *self._announcing(argument)))

    def _announcing(self, argument: Argument) -> Sequence[str]:
        """Words that may stand in the place of one that may be left out."""
        return [a.after for a in self._spec.arguments if a.after and not argument.required]

    def project(self, text: str) -> str:
        """A project's name as it is spelt."""
        known = _spelt(text, self._projects)
        if known is not None:
            return known
        raise self.unknown(text)

    def leading_project(self) -> str | None:
        """A project's name that stands before the other arguments, taken off."""
        quoted, rest = _quoted(self.rest)
        if quoted and _spelt(quoted, self._projects):
            self.rest = rest
            return _spelt(quoted, self._projects)
        lower = self.rest.casefold()
        for name in sorted(self._projects, key=len, reverse=True):
            start = name.casefold()
            if lower.startswith(f"{start} ") and len(self.rest) > len(name):
                self.rest = self.rest[len(name) :].lstrip()
                return name
        return None

    def trailing_project(self) -> str | None:
        """A project's name that stands at the end, behind a name or alone, taken off."""
        rest = self.rest
        for at in range(max(len(rest) - _NAMED, 0), len(rest)):
            known = _spelt(rest[at:], self._projects) if at == 0 or rest[at - 1] == " " else None
            if known is not None:
                self.rest = rest[:at].rstrip()
                return known
        return None

    def unknown(self, word: str, choices: Sequence[str] = ()) -> InputError:
        """An argument that fits nothing, with the whole line as it was probably meant."""
        spec = self._spec
        known = list(choices) or (list(self._projects) if spec.project else [])
        if spec.arguments and spec.arguments[0].kind is Kind.PROJECT:
            known = list(self._projects)
        if not choices:
            left = [each for each in spec.arguments if each.name not in self._taken]
            known += [f"{each.after} {c}".strip() for each in left for c in each.choices]
        bare = unquote(word)
        if word.split()[0].lower() in spec.planned.split()[1:]:
            return not_built(spec.planned)
        longer = self._longer(word)
        if longer is not None or not known:
            alone = spec.reads and not any(argument.required for argument in spec.arguments)
            line = longer or (spec.name if alone else "")
            return InputError(
                f"`{COMMAND} {spec.name}` has no argument {shown(bare)}.",
                hint=f"Did you mean `{COMMAND} {line}`?" if line else _usage(spec),
            )
        announced = [f"{a.after} {c}" for a in spec.arguments if a.after for c in a.choices]
        exact = (line for line in announced if line.endswith(f" {bare.lower()}"))
        meant = next(exact, None) or nearest(bare, known)
        what = "project" if meant in self._projects else "argument"
        if not (spec.reads or is_slip(bare, meant)):
            return InputError(f"There is no {what} {shown(bare)}.", hint=_usage(spec))
        before, found, after = self._whole.rpartition(word)
        line = f"{before}{meant}{after}" if found else meant
        line = " ".join(line.split())
        return InputError(
            f"There is no {what} {shown(bare)}.",
            hint=f"Did you mean `{COMMAND} {spec.name} {line[:200]}`?",
        )

    def _longer(self, word: str) -> str | None:
        """A command that begins like this one and may have been meant, with the rest of the line."""
        first = " ".join(word.lower().split())
        for name in self._spec.longer:
            tail = name.removeprefix(f"{self._spec.name} ")
            typed = " ".join(first.split()[: len(tail.split())])
            if is_slip(typed, tail):
                rest = " ".join(word.split()[len(tail.split()) :])
                return f"{name} {rest}".strip()[:200]
        return None


def is_slip(word: str, name: str) -> bool:
    """Whether it is the name but for a slip of the finger in every third letter."""
    typed, other = word.lower()[:_COMPARED], name.lower()[:_COMPARED]
    return distance(typed, other) <= max(len(typed), len(other)) / 3


def is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 9


def shown(word: str) -> str:
    """A mistyped word as messages repeat it."""
    return repr(word if len(word) <= _SHOWN else f"{word[:_SHOWN]}…")


def nearest(word: str, known: Sequence[str]) -> str:
    """The known word that takes the fewest slips of a finger; the first of equals."""
    typed = word.lower()[:_COMPARED]

    def far(name: str) -> tuple[float, int]:
        other = name.lower()[:_COMPARED]
        slips = float(distance(typed, other))
        if other.startswith(typed) or typed.startswith(other):
            slips -= 0.5
        if len(typed) > 1 and other.startswith(typed):
            slips = min(slips, 0.9)  # typed as far as that
        return slips, abs(len(other) - len(typed))

    return min(known, key=far)


def distance(one: str, other: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours between two words."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        last, before, row = before, row, [i]
        for j, b in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


def _named_project(rest: str, free: bool, projects: Collection[str]) -> tuple[str | None, str]:
    """`project:NAME` at the beginning or the end of the line.

    With `free` the line is somebody's words, in a place that says which project is meant: only a
    project that exists is named there, at the beginning and without a space behind the colon.
    """
    for match in _PROJECT.finditer(rest):
        begins, ends = not rest[: match.start()].strip(), not rest[match.end() :].strip()
        name = unquote(match[1])
        meant = begins and match.end() == len("project:") + len(match[1]) and _spelt(name, projects)
        if meant if free else begins or ends:
            return name, f"{rest[: match.start()]} {rest[match.end() :]}".strip()
    return None, rest


def _spelt(name: str, projects: Collection[str]) -> str | None:
    """A project's name as it is spelt, whatever the case it was typed in."""
    wanted = unquote(name).casefold()
    return next((each for each in projects if each.casefold() == wanted), None)


def _quoted(text: str) -> tuple[str, str]:
    """A text in quotes at the front, and what follows it."""
    close = _QUOTES.get(text[:1])
    end = text.find(close, 1) if close else -1
    return (text[1:end], text[end + 1 :].lstrip()) if end > 0 else ("", text)


def _word(text: str) -> tuple[str, str]:
    """The first word, a quoted one whole, and what follows it."""
    quoted, rest = _quoted(text)
    if quoted:
        return quoted, rest
    parts = text.split(maxsplit=1)
    if not parts:
        return "", ""
    return parts[0], parts[1] if len(parts) > 1 else ""


def _usage(spec: CommandSpec) -> str:
    tail = f" For example `{COMMAND} {spec.examples[0]}`." if spec.examples else ""
    return f"`{COMMAND} {spec.usage}`.{tail}"
