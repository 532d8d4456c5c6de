"""The two programs that the practice model builds: their plans, and what coders write for each task.

`programs/NAME/` holds the plan, the plan of a rework (`accents.json`), and a folder per task in
their order. A task has a folder per round: `write` is the first try, `mend` the second after a
refusal, `solved` what a coder writes once it was helped. Files end in `.txt`, so that no tool takes
them for code of ours.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TODOBOOK, NOTEBOOK = "todobook", "notebook"
SEARCHES = {TODOBOOK: "todobook/search.py", NOTEBOOK: "notebook.py"}  # where each finds
INTERVIEWED = "## Decided in the interview"  # what an interviewer puts below the to-do book's spec
ATTEMPTS_BEFORE_HELP = 5  # then the task is stuck and a person says what next
_HERE = Path(__file__).parent / "programs"
_QUESTION = "Under which licence shall the todo book stand?"
_LICENCES = ("MIT", "Apache-2.0", "No licence")
_ASK = f"Ask a person before you write: {_QUESTION} ({' | '.join(_LICENCES)})"


@dataclass(frozen=True)
class Task:
    """A task as `task_get_next` shows it."""

    id: int
    name: str
    category: str
    description: str
    feature: str
    steps: tuple[str, ...]
    checks: tuple[str, ...]
    files: tuple[str, ...]
    attempts: int
    last_error: str
    hints: str  # words of a person, or notes for recovery, if the service shows any

    @classmethod
    def read(cls, given: Mapping[str, object]) -> "Task | None":
        """From JSON; None if it has no usable id."""
        number = given.get("id")
        if not isinstance(number, int):
            return None
        feature = given.get("feature")
        attempts = given.get("attempts")
        return cls(
            id=number,
            name=_text(given.get("name")),
            category=_text(given.get("category")),
            description=_text(given.get("description")),
            feature=_text(feature.get("name")) if isinstance(feature, Mapping) else "",
            steps=_texts(given.get("steps")),
            checks=_texts(given.get("checks")),
            files=_texts(given.get("files")),
            attempts=attempts if isinstance(attempts, int) else 0,
            last_error=_text(given.get("last_error")),
            hints=_hints(given),
        )


@dataclass(frozen=True)
class Change:
    """One file to bring to `content`; by an edit of `old` to `new` where that is enough."""

    path: str
    content: str
    old: str = ""
    new: str = ""


@dataclass(frozen=True)
class Round:
    """Files to read, files to change, then the task is claimed to pass."""

    words: str
    changes: tuple[Change, ...]
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Script:
    """The files of one task by round, and the names that identify it."""

    task: str
    feature: str
    checks: tuple[str, ...]
    rounds: Mapping[str, Mapping[str, str]]

    @property
    def result(self) -> Mapping[str, str]:
        """The task's files as they are when it passes."""
        solved = self.rounds.get("solved")
        return solved or {**self.rounds["write"], **self.rounds.get("mend", {})}


def spec() -> str:
    """The spec of the to-do book."""
    return (_HERE / TODOBOOK / "spec.md").read_text(encoding="utf-8")


def is_todobook(text: str) -> bool:
    """Whether a spec is the to-do book's, as it is or with what an interview decided below it.

    White space does not count.
    """
    return text.partition(INTERVIEWED)[0].split() == spec().split()


def todobook(*, asks: bool = False) -> dict[str, Any]:
    """The to-do book's plan for `plan_submit`; with `asks` its last task needs a person's word."""
    plan = _plan(TODOBOOK, "plan")
    if asks:
        plan["phases"][-1]["features"][-1]["tasks"][-1]["description"] += f"\n\n{_ASK}"
    return plan


def notebook(notes: tuple[str, ...]) -> dict[str, Any]:
    """The plan of a notebook that holds these lines."""
    plan = _plan(NOTEBOOK, "plan")
    plan["phases"][0]["features"][0]["tasks"][0]["steps"] = list(notes)
    return plan


def accents(program: str, wanted: str) -> dict[str, Any]:
    """The plan of a rework that teaches a program's search to ignore accents."""
    plan = _plan(program, "accents")
    task = plan["phases"][0]["features"][0]["tasks"][0]
    task["description"] += f"\n\nA person wanted: {wanted}"
    return plan


def ignores_accents(search: str) -> bool:
    """Whether the text of a program's search shows that it does."""
    return "unicodedata" in search


def rounds(task: Task, answer: str = "") -> tuple[Round, ...]:
    """What to do for a task, a round for each claim; nothing for a task of another plan.

    `answer` is what a person said to its question.
    """
    for program in SEARCHES:
        known: dict[str, str] = {}
        for script in _scripts(program):
            if (script.task, script.feature, set(script.checks)) == (
                task.name, task.feature, set(task.checks),
            ):  # fmt: skip
                return _rounds(_filled(script, task, answer), known, task)
            known.update(script.result)
    return ()


def _filled(script: _Script, task: Task, answer: str) -> _Script:
    """The same script with the task's own steps and a person's word in its files."""
    licence = f"\n## Licence\n\n{answer}\n" if answer else ""
    filled = {
        name: {
            path: text.replace("$STEPS", "\n".join(task.steps)).replace("$LICENCE\n", licence)
            for path, text in files.items()
        }
        for name, files in script.rounds.items()
    }
    return _Script(script.task, script.feature, script.checks, filled)


def _rounds(script: _Script, known: Mapping[str, str], task: Task) -> tuple[Round, ...]:
    # An attempt count that starts again after an error was set back by a person.
    helped = (
        task.attempts >= ATTEMPTS_BEFORE_HELP
        or bool(task.hints)
        or (task.attempts == 0 and bool(task.last_error))
    )
    hard = "solved" in script.rounds
    names = ["solved"] if hard and helped else ["write", "mend"]
    found: list[Round] = []
    written: dict[str, str] = {}
    for name in names:
        files = script.rounds.get(name, {})
        if not files:
            continue
        present = {**known, **written}
        changes = tuple(
            edit(path, present[path], content) if path in present else Change(path, content)
            for path, content in files.items()
        )
        reads = tuple(path for path in files if path in known and path not in written)
        tests_first = "mend" in script.rounds and all(path.startswith("tests/") for path in files)
        words = f"I write {', '.join(files)}."
        if found:
            words = "The check fails; I mend it."
        elif tests_first:
            words = f"I write {', '.join(files)} first: it must fail before I change the program."
        found.append(Round(words, changes, reads))
        written.update(files)
    if not hard or helped:
        # The worktree may have been set back behind an interrupted session: once all over again.
        whole = tuple(Change(path, text) for path, text in script.result.items())
        found.append(Round("I write all files of this task once more.", whole))
    return tuple(found)


def edit(path: str, before: str, after: str) -> Change:
    """The smallest run of lines that turns one text into the other, if it can be found again."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    # A line of context on each side: an insertion alone has nothing to find.
    head, tail = max(0, head - 1), max(0, tail - 1)
    found = "".join(old[head : len(old) - tail])
    if not found or before.count(found) != 1 or before == after:
        return Change(path, after)
    return Change(path, after, found, "".join(new[head : len(new) - tail]))


def _plan(program: str, name: str) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((_HERE / program / f"{name}.json").read_text("utf-8"))
    return plan


@cache
def _scripts(program: str) -> tuple[_Script, ...]:
    planned = [
        (task["name"], feature["name"], tuple(task["checks"]))
        for name in ("plan", "accents")
        for phase in _plan(program, name)["phases"]
        for feature in phase["features"]
        for task in feature["tasks"]
    ]
    folders = sorted((_HERE / program / "tasks").iterdir())
    return tuple(
        _Script(name, feature, checks, {r.name: _files(r) for r in sorted(folder.iterdir())})
        for folder, (name, feature, checks) in zip(folders, planned, strict=True)
    )


def _files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix().removesuffix(".txt"): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.txt"))
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def _hints(given: Mapping[str, object]) -> str:
    """Words meant to help; a line that only points to an earlier attempt's files is none."""
    notes = [_text(given.get(name)) for name in ("guidance", "hint", "recovery_notes")]
    lines = [line for note in notes for line in note.splitlines()]
    return "\n".join(line for line in lines if line.strip() and "refs/" not in line)
