"""What a coder does for a task outside the bundled plan.

Tasks of a plan drafted here carry all they need in their own words. For a task of somebody
else's plan a labelled note and a test are written where its checks can be met that way;
otherwise the task is released with a reason.
"""

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from string import Template

from adapters.practice import drafting
from adapters.practice.outline import clean
from adapters.practice.recipe import Change, Recipe, Round, Task

_TEMPLATES = Path(__file__).parent / "templates"
_MODULE_IN_WORDS = re.compile(r"`([a-z_][\w]*)\.([a-z_][\w]*)`")
_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_COMMENT = {".py": "#", ".toml": "#", ".yaml": "#", ".yml": "#", ".sh": "#", ".cfg": "#"}


def recipe(task: Task) -> Recipe:
    """The rounds for this task; none if nothing honest can be done."""
    changes = _drafted(task)
    if changes is not None:
        written = Round(f"I write {', '.join(c.path for c in changes)}.", changes)
        return Recipe((written, Round("I write all files of this task once more.", changes)))
    try:
        changes = _unknown(task)
    except _CannotMeet as reason:
        return Recipe((), f"{reason} The practice model cannot do this task.")
    reads = tuple(change.path for change in changes)
    return Recipe(
        (Round(f"I write {', '.join(reads)} where it is missing.", changes, reads),),
        "The check still fails; the practice model cannot do more for a task it does not know.",
    )


def _drafted(task: Task) -> tuple[Change, ...] | None:
    """The files of a task that `drafting` planned; None if it is not of that shape."""
    files = task.files
    match task.category:
        case drafting.POINTS if len(files) == 4:
            package = files[0].partition("/")[0]
            return (
                Change(files[0], _fill("init", package=package)),
                Change(files[1], _fill("points")),
                Change(files[2], ""),
                Change(files[3], _fill("test_points", package=package)),
                Change(".gitignore", "__pycache__/\n*.pyc\n"),
            )
        case drafting.OVERVIEW if len(files) == 4:
            package = files[0].partition("/")[0]
            title = task.name.removeprefix("Overview of ")
            listed = "\n".join(f"- {step}" for step in task.steps)
            return (
                Change(files[0], _fill("overview", package=package)),
                Change(files[1], _fill("main", package=package, title=repr(title))),
                Change(files[2], _fill("readme", package=package, title=title, listed=listed)),
                Change(files[3], _fill("test_overview", package=package, title=repr(title))),
            )
        case drafting.SECTION if len(files) == 2 and task.steps:
            path = PurePosixPath(files[0])
            names = {"package": path.parent.name, "module": path.stem}
            title = task.name.removeprefix("Points of ")
            points = "\n".join(f"    {step!r}," for step in task.steps)
            return (
                Change(files[0], _fill("section", **names, title=repr(title), points=points)),
                Change(files[1], _fill("test_section", **names, count=str(len(task.steps)))),
            )
        case drafting.PAGE if len(files) == 2 and _MODULE_IN_WORDS.search(task.description):
            found = _MODULE_IN_WORDS.search(task.description)
            assert found is not None
            listed = "\n".join(f"{n}. {step}" for n, step in enumerate(task.steps, start=1))
            title = task.name.removeprefix("Page of ")
            names = {"package": found[1], "module": found[2], "page": files[0]}
            return (
                Change(files[0], _fill("page", title=title, listed=listed)),
                Change(files[1], _fill("test_page", **names)),
            )
        case _:
            return None


class _CannotMeet(Exception):
    """A check that no note or test can meet; the message names it."""


@dataclass
class _Wanted:
    """Files that the checks of an unknown task ask for."""

    lines: dict[str, list[str]] = field(default_factory=dict)  # notes: path → lines they hold
    scripts: set[str] = field(default_factory=set)
    tests: dict[str, tuple[str, str]] = field(default_factory=dict)  # path → class, method

    def note(self, path: str, *lines: str) -> None:
        self.lines.setdefault(_inside(path), []).extend(lines)


def _unknown(task: Task) -> tuple[Change, ...]:
    wanted = _Wanted()
    for check in task.checks:
        for words in _commands(check):
            _want(words, wanted, check)
    subject = f"practice_notes/{drafting.identifier(task.name, fallback='task')}_{task.id}.py"
    changes: dict[str, str] = {}
    if wanted.tests or not (wanted.lines or wanted.scripts):
        changes[subject] = _note_module(task)
    for path, (case, method) in wanted.tests.items():
        changes[path] = _fill("test_note", subject=repr(subject), case=case, method=method)
        folder = PurePosixPath(path).parent
        if folder.name == "tests":
            changes[f"{folder}/__init__.py"] = ""
    for path in wanted.scripts:
        changes[path] = _fill("script", name=repr(clean(task.name, 80)))
    for path, lines in wanted.lines.items():
        if path not in changes:
            changes[path] = _note(path, task, lines)
    for path in task.files:
        if path not in changes and _is_inside(path) and not path.endswith("/"):
            changes[path] = _note(path, task, [])
    return tuple(Change(path, text, only_new=True) for path, text in changes.items())


def _commands(check: str) -> Iterable[Sequence[str]]:
    """The simple commands of a check that is a plain `&&` list."""
    try:
        lexer = shlex.shlex(check, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        raise _CannotMeet(f"I cannot read the check {clean(check, 120)!r}.") from None
    command: list[str] = []
    for word in words:
        if word == "&&":
            yield command
            command = []
        elif set(word) <= set("();<>|&") or "$" in word or word == "!":
            raise _CannotMeet(f"I do not play with shell in the check {clean(check, 120)!r}.")
        else:
            command.append(word)
    yield command


def _want(words: Sequence[str], wanted: _Wanted, check: str) -> None:
    plain = [word for word in words[1:] if not word.startswith("-")]
    match list(words):
        case ["true" | ":"]:
            pass
        case ["test", "-d", folder] | ["[", "-d", folder, "]"]:
            wanted.note(f"{folder.rstrip('/')}/README.md")
        case ["test", "-f" | "-s" | "-e" | "-r", path] | [
            "[",
            "-f" | "-s" | "-e" | "-r",
            path,
            "]",
        ]:
            wanted.note(path)
        case ["cat" | "ls", *_] if plain:
            for path in plain:
                wanted.note(path)
        case ["grep", *_] if len(plain) >= 2 and not re.search(r"[\\^$*+?\[\](){}|]", plain[0]):
            for path in plain[1:]:
                wanted.note(path, plain[0])
        case ["python3" | "python", "-m", "compileall", *_]:
            pass
        case ["python3" | "python", "-m", "unittest" | "pytest" as runner, *rest]:
            _want_tests(runner, rest, wanted)
        case ["pytest", *rest]:
            _want_tests("pytest", rest, wanted)
        case ["python3" | "python", path] if path.endswith(".py"):
            wanted.scripts.add(_inside(path))
        case _:
            raise _CannotMeet(f"I know no way to meet the check {clean(check, 120)!r}.")


def _want_tests(runner: str, arguments: Sequence[str], wanted: _Wanted) -> None:
    named = [word for word in arguments if not word.startswith("-")]
    if not named or "discover" in named or "-k" in arguments:
        return
    for name in named:
        if runner == "pytest" or name.endswith(".py"):
            path, *parts = name.split("::")
            if not path.endswith(".py"):
                continue
        else:
            dotted = name.split(".")
            if not all(_NAME.match(part) for part in dotted):
                raise _CannotMeet(f"{clean(name, 80)!r} is no name of a test.")
            split = next((i for i, part in enumerate(dotted) if part[0].isupper()), len(dotted))
            path, parts = "/".join(dotted[:split]) + ".py", dotted[split:]
        if not all(_NAME.match(part) for part in parts) or len(parts) > 2:
            raise _CannotMeet(f"{clean(name, 80)!r} is no name of a test.")
        case = parts[0] if parts else "Note"
        wanted.tests[_inside(path)] = (case, parts[1] if len(parts) == 2 else "test_is_whole")


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and not {"..", ".git"} & set(pure.parts)


def _inside(path: str) -> str:
    if not _is_inside(path):
        raise _CannotMeet(f"{clean(path, 80)!r} is outside of the worktree.")
    return str(PurePosixPath(path))


def _note(path: str, task: Task, lines: Sequence[str]) -> str:
    suffix = PurePosixPath(path).suffix
    says = [
        f"[practice] A note for the task: {clean(task.name, 120)}",
        "The practice model wrote it; it does not do what the task asks for.",
    ]
    if suffix == ".json":
        return json.dumps({"practice": says, "lines": list(lines)}, indent=1) + "\n"
    mark = _COMMENT.get(suffix)
    if mark is not None:
        return "\n".join(f"{mark} {line}" for line in (*says, *lines)) + "\n"
    return "\n\n".join((*says, *lines)) + "\n"


def _note_module(task: Task) -> str:
    steps = task.steps or (clean(task.description, 300) or clean(task.name, 300) or "This task",)
    return _fill(
        "note",
        name=repr(task.name),
        description=repr(task.description),
        steps="\n".join(f"    {clean(step, 1000)!r}," for step in steps),
    )


@cache
def _template(name: str) -> Template:
    return Template((_TEMPLATES / f"{name}.txt").read_text(encoding="utf-8"))


def _fill(template: str, **values: str) -> str:
    return _template(template).substitute(values)
