"""Keys of cards: what a card is called in every channel it stands in, made and read here alone.

A key once made is in people's homes for good: the words here never change.
"""

from datetime import date

from core.domain.events import CardKind

_REMINDER = "reminder-"


def interview(slug: str, number: int = 0) -> str:
    """An interview's card; a project's own, number 0, is the root of its thread."""
    return _numbered("interview", slug, number)


def interview_number(key: str) -> int:
    """Which interview of its project it is: of `interview:SLUG[:NUMBER]`."""
    parts = key.split(":")
    return int(parts[2]) if len(parts) > 2 else 0


def spec(slug: str, number: int = 0) -> str:
    return _numbered("spec", slug, number)


def question(slug: str, question_id: int) -> str:
    return f"question:{slug}:{question_id}"


def plan(slug: str, version: int) -> str:
    return f"plan:{slug}:{version}"


def progress(slug: str) -> str:
    return f"progress:{slug}"


def landed(slug: str, feature: str) -> str:
    """A feature's line, by its slug."""
    return f"landed:{slug}:{feature}"


def stuck(slug: str, task: int, times: int = 1) -> str:
    """A task that is stuck, by its number; each time it is, there is another card."""
    return _numbered(f"stuck:{slug}", str(task), times if times > 1 else 0)


def times_stuck(key: str) -> int:
    """Which time it is stuck, from 1: of `stuck:SLUG:NUMBER[:TIMES]`."""
    parts = key.split(":")
    return int(parts[3]) if len(parts) > 3 else 1


def gate(slug: str, approval_id: int) -> str:
    return f"gate:{slug}:{approval_id}"


def counted(kind: CardKind, slug: str, number: int) -> str:
    """A budget, a limit, a report or a blocked project: the n-th of its project."""
    name = "blocked" if kind is CardKind.ERROR else kind.value
    return f"{name}:{slug}:{number}"


def reply(kind: CardKind, item_id: int) -> str:
    """What answers a delivery, by its id in the inbox."""
    return f"{kind.value}:{item_id}"


def news(version: str) -> str:
    """What is new in a version."""
    return f"news:{version}"


def refused(place: str, day: date) -> str:
    """A place that takes no cards: said once a day at most."""
    return f"refused:{place}:{day}"


def backup_failed(day: date) -> str:
    """A daily copy of the database that could not be made: said once a day."""
    return f"backup-failed:{day}"


def reminder(key: str, number: int) -> str:
    """A card that calls to mind the decision of this key."""
    return f"{key}:{_REMINDER}{number}"


def reminded(key: str) -> str | None:
    """The key of the decision that a card calls to mind; None: it is no reminder."""
    decision, _, last = key.rpartition(":")
    is_one = decision.count(":") == 2 and last.startswith(_REMINDER)  # a project may be called so
    return decision if is_one else None


def _numbered(name: str, about: str, number: int) -> str:
    return f"{name}:{about}:{number}" if number else f"{name}:{about}"
