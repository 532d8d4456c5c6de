"""What the pages of the web chat ask beside the API's reads; injected by bot/app."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from core.domain.cards import Picture
from core.domain.lifecycle import ProjectStatus
from core.domain.messages import ChannelLine, Message
from core.domain.people import Role
from core.ports.host import BoxLevel


@dataclass(frozen=True)
class CommandLine:
    """A command as a person may complete it; the words after `/autocoder`."""

    name: str
    usage: str
    about: str


@dataclass(frozen=True)
class Replies:
    """What stands below a root message."""

    count: int
    last_at: datetime


@dataclass(frozen=True)
class WaitingLine:
    """Something that waits for a person; `words` is light Markdown."""

    words: str
    channel: str | None  # where its card stands, if it does in the web chat
    thread: int | None
    message_id: int | None


@dataclass(frozen=True)
class ProjectLine:
    """A project as the rail shows it."""

    name: str
    status: ProjectStatus
    passing: int
    total: int
    waits: bool  # for a person
    at_gate: bool
    channel: str | None
    root: int | None  # its thread, in the web chat


@dataclass(frozen=True)
class Surroundings:
    """What every page shows beside its own: one consistent look."""

    channels: Sequence[ChannelLine]
    projects: Sequence[ProjectLine]
    waiting: Sequence[WaitingLine]
    today_usd: Decimal  # of all projects, this UTC day
    day_budget_usd: Decimal | None
    agents: int  # at work now


class Pages(Protocol):
    """What only the pages of the web chat show."""

    box: BoxLevel

    async def surroundings(self, person: str) -> Surroundings: ...

    async def message(self, message_id: int, reader: str) -> Message | None: ...

    async def replies(self, roots: Sequence[int], reader: str) -> Mapping[int, Replies]: ...

    async def search(self, words: str, reader: str, *, limit: int) -> Sequence[Message]:
        """The newest messages that `reader` may see with these words in them."""
        ...

    async def spent(self) -> Picture | None:
        """What all projects spent in the last 30 days, by day; None where that is nothing."""
        ...

    def commands(self, role: Role) -> Sequence[CommandLine]: ...
