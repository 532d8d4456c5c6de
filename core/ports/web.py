"""What the web adapter asks of the service: named reads and acts, injected by bot/app.

Every read is one consistent look; every act is durable when it returns. Errors are those of
core/errors: NotFound, InputError, StateError, NotAllowed.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from core.domain.cards import Label
from core.domain.messages import ChannelLine, FileLine, Message
from core.domain.people import Role
from core.ports.chat import Door, Outcome
from core.ports.pages import Pages
from core.views import projects
from core.views.budgets import Budgets


@dataclass(frozen=True)
class Echo:
    """What came of a person's message so far."""

    outcome: Outcome | None  # None: it was not acted upon yet
    answers: Sequence[Message]
    complete: bool  # acted upon, and every answer stands in the chat


@dataclass(frozen=True)
class Readiness:
    """Whether commands are taken, and how each part does."""

    ready: bool
    model: str  # claude or practice
    parts: Mapping[str, str]


@dataclass(frozen=True)
class StoredFile:
    line: FileLine
    path: Path


class People(Protocol):
    """Who somebody is, and what they may."""

    async def holder(self, token: str) -> str | None:
        """Whose token this is."""
        ...

    async def role(self, person: str) -> Role: ...

    async def issue_token(self, person: str, role: Role, *, by: str) -> str: ...


class Chat(Protocol):
    """The web chat's messages, deliveries and files."""

    async def say(
        self,
        channel: str,
        person: str,
        text: str,
        *,
        thread: int | None,
        files: Sequence[str],
        client_id: str | None,
    ) -> Message: ...

    async def echo(self, channel: str, message_id: int, reader: str, *, wait: float) -> Echo:
        """What came of a message, complete or as it is after `wait` seconds."""
        ...

    async def press(
        self,
        person: str,
        action_id: str,
        values: Mapping[str, tuple[str, ...]],
        *,
        message_id: int | None,
        client_id: str | None,
    ) -> Outcome: ...

    async def after(
        self, channel: str, reader: str, *, after_id: int, limit: int
    ) -> Sequence[Message]: ...

    async def before(
        self, channel: str, reader: str, *, before_id: int | None, thread: int | None, limit: int
    ) -> Sequence[Message]: ...

    async def changes(self, channel: str, *, since: int, limit: int) -> Sequence[Message]:
        """For all readers: whoever passes them on leaves out what is private to others."""
        ...

    async def last_change(self) -> int: ...

    async def channels(self) -> Sequence[ChannelLine]: ...

    async def add_file(
        self,
        channel: str,
        name: str,
        media_type: str,
        content: AsyncIterator[bytes],
        *,
        by: str,
        client_id: str | None,
    ) -> FileLine: ...

    async def file(self, file_id: str) -> StoredFile: ...

    async def picture(
        self, sort: str, number: int, *, until: date | None = None, wide: bool = False
    ) -> str:
        """The SVG that a card shows: of a `plan`, a `gate` or a project's `cost`.

        Or the `week` or `month` up to a day (UTC; None: today) of what a project spent, with 0 of
        what all did; `wide` for a page.
        """
        ...


class Projects(Protocol):
    """What the REST paths change. `name` is a project's name or slug."""

    async def command(self, name: str, verb: Label, *, by: str) -> Outcome: ...

    async def decide(
        self, name: str, phase_id: int, verdict: Label, reason: str, *, by: str
    ) -> Outcome: ...


class Health(Protocol):
    """How the service does."""

    async def readiness(self) -> Readiness: ...

    async def metrics(self) -> tuple[bytes, str]:
        """The page for Prometheus and its media type."""
        ...

    def acknowledged(self, seconds: float) -> None:
        """A delivery of the web chat became durable so long after it came."""
        ...


class House(Protocol):
    """What only whoever holds the web token may have done."""

    async def backup(self, target: Path) -> int:
        """Copy the database into a new file of this host; its bytes."""
        ...


@dataclass(frozen=True)
class Service:
    """All of it."""

    door: Door
    about: Callable[[], projects.Service]
    budgets: Budgets
    people: People
    chat: Chat
    projects: Projects
    pages: Pages
    health: Health
    house: House
    version: str
    practice: bool
