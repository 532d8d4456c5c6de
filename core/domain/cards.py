"""Cards: what people see, once for every platform."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from core.domain.events import CardKind
from core.domain.people import Role
from core.errors import InputError

TITLE_LIMIT = 150
BODY_LIMIT = 3_000
FIELDS = 4
BUTTONS = 4  # beside a question's options
OPTION_BUTTONS = 5  # a question with more of them has a select


class Tone(StrEnum):
    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    DANGER = "danger"


class Style(StrEnum):
    PRIMARY = "primary"
    DANGER = "danger"
    DEFAULT = "default"


class InputKind(StrEnum):
    TEXT = "text"
    SELECT = "select"
    MULTI_SELECT = "multi_select"


@dataclass(frozen=True)
class Option:
    label: str
    value: str


@dataclass(frozen=True)
class Input:
    """One thing to fill in."""

    name: str
    label: str
    kind: InputKind = InputKind.TEXT
    required: bool = True
    max_length: int = 4000
    options: tuple[Option, ...] = ()
    value: str = ""  # text that stands there first


@dataclass(frozen=True)
class Form:
    """What opens before a press counts; without inputs a question that sending it confirms."""

    title: str
    inputs: tuple[Input, ...]


class Label(StrEnum):
    """What a button does, in the snake case of its action_id."""

    APPROVE = "approve"
    REJECT = "reject"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    RETRY = "retry"
    RETRY_WITH_OPUS = "retry_with_opus"
    SKIP = "skip"
    GUIDE = "guide"
    ANSWER = "answer"
    JUST_DECIDE = "just_decide"
    DETAILS = "details"
    LOGS = "logs"
    RAISE_BUDGET = "raise_budget"
    CHANGE_ANSWER = "change_answer"
    START_PROJECT = "start_project"
    ADD_AS_FEATURE = "add_as_feature"
    PASS = "pass"  # noqa: S105  # a button, no password
    ARCHIVE = "archive"

    @property
    def role(self) -> Role:
        """The least role that may press it."""
        return _ROLES.get(self, Role.OPERATOR)


_ROLES = {
    Label.APPROVE: Role.APPROVER,
    Label.REJECT: Role.APPROVER,
    Label.PASS: Role.APPROVER,
    Label.ARCHIVE: Role.ADMIN,
    Label.RAISE_BUDGET: Role.ADMIN,
    Label.DETAILS: Role.VIEWER,
    Label.LOGS: Role.VIEWER,
}


class Subject(StrEnum):
    """What a press is about."""

    PLAN = "plan"  # the approval's id
    GATE = "gate"  # the approval's id
    PROJECT = "project"
    TASK = "task"  # N, the project's id as `more`; without `more`: the row's id
    QUESTION = "question"
    BUDGET = "budget"  # the project's id
    WORDS = "words"  # the delivery's id in the inbox


@dataclass(frozen=True)
class Press:
    """`LABEL:KIND:ID[:MORE]`; a press is resolved by this alone, never by its message."""

    label: Label
    subject: Subject
    id: int
    more: str = ""

    def encode(self) -> str:
        tail = f":{self.more}" if self.more else ""
        return f"{self.label}:{self.subject}:{self.id}{tail}"


def parse_press(action_id: str) -> Press:
    """The press of an action_id, or InputError when it is none of ours."""
    parts = action_id.split(":", 3)
    try:
        label, subject = Label(parts[0]), Subject(parts[1])
        if not parts[2].isascii() or not parts[2].isdigit() or len(parts[2]) > 12:
            raise ValueError(parts[2])
        press = Press(label, subject, int(parts[2]), parts[3] if len(parts) > 3 else "")
        if press.encode() != action_id:  # no card ever said it so
            raise ValueError(action_id)
    except (ValueError, IndexError):
        raise InputError(
            "This button is not known here.", hint="Look at the newest card."
        ) from None
    return press


@dataclass(frozen=True)
class Button:
    label: str  # as it reads: "Retry with Opus"
    press: Press
    style: Style = Style.DEFAULT
    form: Form | None = None


@dataclass(frozen=True)
class Field:
    name: str
    value: str


@dataclass(frozen=True)
class Progress:
    """How much of `total` is done; what of the rest is being done, and what cannot go on."""

    done: int
    total: int
    active: int = 0
    stuck: int = 0


@dataclass(frozen=True)
class Picture:
    """A picture the service made; `url` is a path on the service and ends in `.svg`."""

    url: str
    alt: str


@dataclass(frozen=True)
class Link:
    """A way to another place: it does nothing.

    `to` is the key of another card (its copy in this place, else where the project lives), a path
    of the service (left out where a platform cannot reach it), or an https address.
    """

    label: str
    to: str


@dataclass(frozen=True)
class TableBlock:
    """Figures in rows and columns; every cell is plain text, every row as long as the head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class TextFile:
    """All of a text that the body shortens: platforms attach it, or link to it."""

    name: str  # of a file: plan.md
    text: str


@dataclass(frozen=True)
class Card:
    """Title → state → bar → facts → evidence → who is waited for → buttons.

    `body` is light Markdown, at most BODY_LIMIT characters: core/domain/markup.py says exactly
    what that is, parses it, and escapes words from outside, which whoever builds the card does.
    Everything else on a card is plain text. `fallback` is never empty.
    """

    key: str  # a card's identity, such as plan:todo-api:1
    kind: CardKind
    title: str
    body: str
    fallback: str
    project: str | None = None  # its name
    fields: tuple[Field, ...] = ()
    progress: Progress | None = None
    pictures: tuple[Picture, ...] = ()
    tone: Tone = Tone.INFO
    buttons: tuple[Button, ...] = ()
    inputs: tuple[Input, ...] = ()  # shown in the card itself: a question's multi-select
    links: tuple[Link, ...] = ()
    table: TableBlock | None = None
    whole: TextFile | None = None


Automatic = Callable[[Card], str | None]
"""Somebody who decides in a person's place: what they type at a card, if anything."""
