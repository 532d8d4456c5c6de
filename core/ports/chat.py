"""Chat: what people say and press, and what a platform must offer (DESIGN.md §7)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from core.domain.cards import Card, Press


@dataclass(frozen=True)
class Place:
    """A channel of a platform, or a thread in it (its root message)."""

    platform: str  # web, slack, discord
    channel: str
    thread: str | None = None

    @property
    def name(self) -> str:
        """`web:main`."""
        return f"{self.platform}:{self.channel}"


@dataclass(frozen=True)
class MessageRef:
    """A message that was posted."""

    platform: str
    channel: str
    message: str


@dataclass(frozen=True)
class Attachment:
    """A file somebody dropped in; its bytes are kept by us under this id."""

    id: str
    name: str
    size: int


@dataclass(frozen=True)
class Asked:
    """A command line after the slash command's own word, or a mention's text as `ask …`."""

    line: str


@dataclass(frozen=True)
class Said:
    """A plain message."""

    text: str
    files: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Pressed:
    """A button, with what was filled in or chosen with it."""

    press: Press
    values: dict[str, tuple[str, ...]]


Content = Asked | Said | Pressed


@dataclass(frozen=True)
class Inbound:
    """One delivery of a platform. `delivery` is the platform's own id of it."""

    delivery: str
    person: str  # web:local, slack:U…
    place: Place
    content: Content
    message: str | None = None  # the platform's id of the person's own message


class ChatPlatform(Protocol):
    """What a chat platform must offer."""

    name: str

    def listen(self) -> AsyncIterator[Inbound]:
        """Deliveries as they come; the next is asked for once the last is in the inbox."""
        ...

    async def post(self, place: Place, card: Card, *, private_to: str | None) -> MessageRef:
        """Post a card; repeated with the same key after an uncertain answer it is found again."""
        ...

    async def edit(self, ref: MessageRef, card: Card) -> None: ...
