"""The bundled project: a spec, its plan, and for each task the files a coder writes.

`demo/tasks/NN-SLUG/` has a folder per round: `write` is the first try, `mend` the second after
a refusal, `solved` what a coder writes once it was helped. Files end in `.txt`, so that no tool
takes them for code of ours.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from adapters.practice.recipe import Change, Recipe, Round, Task, edit

_HERE = Path(__file__).parent / "demo"
INTERVIEWED = "## Decided in the interview"  # what an interviewer puts below the bundled spec
_QUESTION = "Under which licence shall the todo book stand?"
_LICENCES = ("MIT", "Apache-2.0", "No licence")
_ASK = f"Ask a person before you write: {_QUESTION} ({' | '.join(_LICENCES)})"
ATTEMPTS_BEFORE_HELP = 5  # then the task is stuck and a person says what next


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
    return (_HERE / "spec.md").read_text(encoding="utf-8")


def plan(*, asks: bool = False) -> dict[str, object]:
    """The plan as `plan_submit` takes it; with `asks` its last task needs a person's word."""
    value = json.loads((_HERE / "plan.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    if asks:
        task = value["phases"][-1]["features"][-1]["tasks"][-1]
        task["description"] = f"{task['description']}\n\n{_ASK}"
    return value


def is_bundled(text: str) -> bool:
    """Whether a spec is the bundled one, as it is or with what an interview decided below it.

    White space does not count.
    """
    return text.partition(INTERVIEWED)[0].split() == spec().split()


def recipe(task: Task, answer: str = "") -> Recipe | None:
    """What to do for a task of the bundled plan; None for any other.

    `answer` is what a person said to its question.
    """
    known: dict[str, str] = {}
    for script in _scripts():
        if (
            script.task == task.name
            and script.feature == task.feature
            and set(script.checks) == set(task.checks)
        ):
            return _recipe(_answered(script, answer), known, task)
        known.update(script.result)
    return None


def _answered(script: _Script, answer: str) -> _Script:
    """The same script with a person's word in its README."""
    if not answer:
        return script
    said = f"\n## Licence\n\n{answer}\n"
    rounds = {
        name: {path: text + said if path == "README.md" else text for path, text in files.items()}
        for name, files in script.rounds.items()
    }
    return replace(script, rounds=rounds)


def _recipe(script: _Script, known: Mapping[str, str], task: Task) -> Recipe:
    if "solved" in script.rounds:
        # An attempt count that starts again after an error was set back by a person.
        helped = (
            task.attempts >= ATTEMPTS_BEFORE_HELP
            or bool(task.hints)
            or (task.attempts == 0 and bool(task.last_error))
        )
        names = ["solved"] if helped else ["write", "mend"]
    else:
        names = [name for name in ("write", "mend") if name in script.rounds]
    rounds: list[Round] = []
    present = dict(known)
    for name in names:
        files = script.rounds[name]
        changes = tuple(
            edit(path, present[path], content) if path in present else Change(path, content)
            for path, content in files.items()
        )
        reads = tuple(change.path for change in changes if change.path in known and not rounds)
        words = "The check fails; I mend it." if rounds else f"I write {', '.join(files)}."
        rounds.append(Round(words, changes, reads))
        present.update(files)
    if "solved" not in script.rounds or names == ["solved"]:
        # The worktree may have been set back behind an interrupted session: once all over again.
        whole = tuple(Change(path, text) for path, text in script.result.items())
        rounds.append(Round("I write all files of this task once more.", whole))
    return Recipe(tuple(rounds))


@cache
def _scripts() -> tuple[_Script, ...]:
    folders = sorted((_HERE / "tasks").iterdir())
    return tuple(
        _Script(name, feature, checks, {r.name: _files(r) for r in sorted(folder.iterdir())})
        for folder, (name, feature, checks) in zip(folders, _planned(), strict=True)
    )


def _planned() -> list[tuple[str, str, tuple[str, ...]]]:
    """Task name, feature name and checks, in the order of the plan."""
    phases = plan()["phases"]
    assert isinstance(phases, list)
    return [
        (task["name"], feature["name"], tuple(task["checks"]))
        for phase in phases
        for feature in phase["features"]
        for task in feature["tasks"]
    ]


def _files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix().removesuffix(".txt"): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.txt"))
    }
