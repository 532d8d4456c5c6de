"""What a scripted coder does for one task: rounds of file changes, each ended by a claim."""

from collections.abc import Mapping
from dataclasses import dataclass


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
    only_new: bool = False  # a file that is there already is left as it is


@dataclass(frozen=True)
class Round:
    """Files to read, files to change, then the task is claimed to pass."""

    words: str
    changes: tuple[Change, ...]
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """The rounds of a task; when the last is refused the task is released with `regret`."""

    rounds: tuple[Round, ...]
    regret: str = "The check still fails and I know no other way."


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


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def _hints(given: Mapping[str, object]) -> str:
    """Words meant to help; a line that only points to an earlier attempt's files is none."""
    notes = [_text(given.get(name)) for name in ("guidance", "hint", "recovery_notes")]
    lines = [line for note in notes for line in note.splitlines()]
    return "\n".join(line for line in lines if line.strip() and "refs/" not in line)
