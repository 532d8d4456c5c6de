"""A command of the chat: how it is described, what it is given, and what it answers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from bot.cards.rendering import RenderContext
from bot.checks.finding import Finding
from bot.commands.attempt_limiter import AttemptLimiter
from bot.settings import Settings
from core.domain.cards import (
    Button,
    Card,
    Field,
    Form,
    Link,
    Picture,
    Progress,
    TableBlock,
    TextFile,
    Tone,
)
from core.domain.events import CardKind
from core.domain.people import Role
from core.domain.rules import Rules
from core.errors import InputError
from core.orchestrator.parts import Parts
from core.ports.chat import Attachment, Place
from core.views import projects
from core.views.projects import ProjectRef


class Kind(StrEnum):
    """What an argument is."""

    NUMBER = "number"  # N, a task's
    NUMBERS = "numbers"  # one or more of them
    WORD = "word"  # one of its choices
    ONE = "one"  # one word, whatever it is
    TEXT = "text"  # all that follows, as it was typed
    NAME = "name"  # all that follows, quotes taken off
    PROJECT = "project"  # the same, a project that exists


@dataclass(frozen=True)
class Argument:
    name: str  # as platforms with options call it
    about: str
    kind: Kind = Kind.TEXT
    required: bool = True
    choices: tuple[str, ...] = ()
    after: str = ""  # the word that stands before it in a line: `by` model


@dataclass(frozen=True)
class Services:
    """What commands may reach of the running service."""

    parts: Parts
    settings: Settings
    practice: bool
    activity: Callable[[], Mapping[int, str]]  # run → what its agent is doing now
    check: Callable[[], Sequence[Finding]]  # about a second; in a thread
    take_up: Callable[[int], None]  # a project begins: the orchestrator shall look at it
    attempts: AttemptLimiter = field(default_factory=AttemptLimiter)  # of claim codes

    def rules(self, tx: Session, project_id: int) -> Rules:
        """The service's rules, less what the project has of its own."""
        return self.parts.rules.of_project(projects.summary(tx, project_id).settings)

    def scene(self, now: datetime) -> RenderContext:
        """What cards depend on beside the database."""
        return RenderContext(
            now=now,
            upstream=self.parts.upstream,
            rules=self.parts.rules,
            box=self.parts.box.level,
            activity=self.activity(),
        )


@dataclass(frozen=True)
class Call:
    """One command of one person, with its arguments as they were typed."""

    item_id: int
    person: str
    role: Role
    place: Place
    services: Services
    now: datetime
    values: Mapping[str, str] = field(default_factory=dict)
    project: ProjectRef | None = None
    files: tuple[Attachment, ...] = ()

    @property
    def here(self) -> ProjectRef:
        """The project it is about."""
        if self.project is None:
            raise InputError(
                "Which project is meant?",
                hint="Name it at the end of the command, or choose one for this channel:"
                " `/autocoder use NAME`. `/autocoder list` shows them.",
            )
        return self.project

    def number(self, name: str) -> int:
        return int(self.values[name])


@dataclass(frozen=True)
class Reply:
    """What a person is told. Without a title nothing is said: cards that stand there change."""

    title: str = ""
    body: str = ""  # light Markdown (core/domain/markup.py)
    fields: tuple[Field, ...] = ()
    progress: Progress | None = None
    pictures: tuple[Picture, ...] = ()
    table: TableBlock | None = None
    whole: TextFile | None = None  # all of a text that the body begins
    buttons: tuple[Button, ...] = ()
    links: tuple[Link, ...] = ()
    tone: Tone = Tone.INFO
    kind: CardKind = CardKind.ANSWER
    private: bool = False
    project: ProjectRef | None = None
    card: Card | None = None  # drawn already; title, body and so on are its own
    said: str = ""  # the words of the outcome; else the title
    begun: int | None = None  # a project the orchestrator shall take up
    ok: bool = True
    reason: str = ""


Operation = Callable[[Session], Reply]
"""Run in one transaction with the mark that the delivery is done, and with the reply."""

Query = Callable[[], Awaitable["Reply | Operation"]]
"""Reads first (git, a file, an agent); its reply, or what it decided to do, is one transaction."""


_TOLD_APART = ("ask", "archive")


@dataclass(frozen=True)
class CommandSpec:
    """One command of the vocabulary. Exactly one of `does` and `looks` is given."""

    name: str
    usage: str
    role: Role
    about: str  # one sentence
    arguments: tuple[Argument, ...] = ()
    examples: tuple[str, ...] = ()
    execute: Callable[[Session, Call], Reply] | None = None
    prepare: Callable[[Call], Awaitable[Reply | Operation]] | None = None
    confirm: Callable[[Session, Call], Reply] | None = None  # back, where it was said in words
    slow: bool = False  # nobody waits behind it
    project: bool = True  # whether it is about a project, whose name may be left out
    private: bool = False  # its answer is for whoever asked
    longer: tuple[str, ...] = ()  # commands that begin with this one's name
    sets: bool = False  # with arguments it changes something, whatever its role
    planned: str = ""  # the usage of a form of it that is not built yet

    @property
    def reads(self) -> bool:
        """Whether it only tells, whatever its arguments."""
        return Role.VIEWER.covers(self.role) and not self.sets

    @property
    def changes(self) -> bool:
        """Whether it changes a project; questions and `archive` say themselves what they find."""
        return self.project and self.role.covers(Role.OPERATOR) and self.name not in _TOLD_APART

    @property
    def takes_names(self) -> bool:
        """Whether a project's name may stand in its line."""
        return self.project or any(a.kind is Kind.PROJECT for a in self.arguments)


class MissingValues(InputError):
    """Something must be filled in first."""

    def __init__(self, message: str, form: Form | None) -> None:
        super().__init__(message)
        self.form = form
