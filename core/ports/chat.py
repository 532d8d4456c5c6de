"""Chat: what people say and press, and what a platform must offer.

A platform is run with a door. What it hears it hands to the door as an `Inbound`; what it shows
it reads through the door as views; cards to post and edit come from the delivery loop.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from core.domain.cards import Card, Form, Picture, Press
from core.domain.markup import COMMAND

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """A channel of a platform, or a thread in it (its root message)."""

    platform: str  # web, terminal, slack, discord
    channel: str
    thread: str | None = None

    @property
    def name(self) -> str:
        """`web:main`."""
        return f"{self.platform}:{self.channel}"


@dataclass(frozen=True)
class MessageRef:
    """A message that was posted, and the thread it stands in."""

    platform: str
    channel: str
    message: str
    thread: str | None = None


@dataclass(frozen=True)
class Attachment:
    """A file somebody dropped in; its bytes are kept by us under this id."""

    id: str
    name: str
    size: int


@dataclass(frozen=True)
class Asked:
    """A command line without the slash command's own word.

    With `values` the line is the command's name alone and the arguments came typed, by their
    names: they are taken as they are, never read as a line. `project` is one that was chosen
    apart from them.
    """

    line: str
    values: Mapping[str, str] | None = None
    project: str | None = None


@dataclass(frozen=True)
class Said:
    """A plain message; `mention`: it is for us, by our name or in a direct message.

    In a thread of ours only our name makes it one, also in a direct message.
    """

    text: str
    files: tuple[Attachment, ...] = ()
    mention: bool = False


@dataclass(frozen=True)
class Pressed:
    """A button, with what was filled in or chosen with it."""

    press: Press
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Content = Asked | Said | Pressed

MENTION = "@autocoder"


def content_of(text: str, files: tuple[Attachment, ...] = ()) -> Asked | Said:
    """What somebody typed, where a platform has no commands and no mentions of its own."""
    word, *rest = text.split(maxsplit=1)[:2] or [""]
    words = rest[0].rstrip() if rest else ""
    if word.lower() == COMMAND:
        return Asked(words)
    if word.lower().rstrip(",:") == MENTION:
        return Said(words, files, mention=True)
    return Said(text, files)


@dataclass(frozen=True)
class Inbound:
    """One delivery of a platform. `delivery` is the platform's own id of it."""

    delivery: str
    person: str  # web:local, slack:U…
    place: Place
    content: Content
    message: str | None = None  # the platform's id of the person's own message
    name: str | None = None  # how the person is called there
    reply: str | None = None  # a handle for private answers; kept, and never logged


@dataclass(frozen=True)
class Outcome:
    """What a person is told at once about what they did; a repeated delivery is told the same."""

    ok: bool
    text: str
    reason: str = ""  # stale, not_allowed, unknown, missing_values …
    form: Form | None = None  # what must be filled in first: of missing_values


class Ticket(Protocol):
    """A delivery that is durable: it may be acknowledged."""

    item_id: int
    message: str | None  # of the Inbound

    async def outcome(self, within: float | None = None) -> Outcome | None:
        """What comes of it; None where that takes longer than `within` seconds."""
        ...


@dataclass(frozen=True)
class Suggestion:
    """A word that fits where somebody types."""

    label: str
    value: str


class Theme(StrEnum):
    LIGHT = "light"
    DARK = "dark"


Heard = Inbound | Callable[[Any], Inbound]
"""A delivery, or what makes it in the transaction that keeps it: a platform's own row with it."""


class Hearing(Protocol):
    """Whoever takes what people say and press."""

    async def deliver(self, heard: Heard) -> Ticket:
        """Keep a delivery; once this returns it is durable, and acted upon by itself."""
        ...


class Door(Hearing, Protocol):
    """The service as a platform sees it."""

    async def form(self, press: Press, person: str) -> Form | None:
        """What must be filled in or confirmed before a press counts.

        It acts on nothing and journals nothing. None: the press counts as it is, or is refused.
        """
        ...

    async def suggest(
        self, command: str, option: str, typed: str, place: Place, person: str
    ) -> Sequence[Suggestion]:
        """At most 25 values of a command's option that this person may use here."""
        ...

    async def keep(
        self, source: AsyncIterator[bytes], name: str, *, by: str, place: Place, key: str = ""
    ) -> Attachment:
        """Keep a dropped file; of one person the same `key` again is the file that came first."""
        ...

    async def picture(self, picture: Picture, theme: Theme) -> bytes:
        """The PNG of a card's picture."""
        ...

    async def home(self, person: str) -> Sequence[Card]:
        """What stands on a person's own page: what waits for them, and their projects."""
        ...

    async def read(
        self, view: Callable[Concatenate[Any, P], T], /, *args: P.args, **kw: P.kwargs
    ) -> T:
        """One consistent look through a function of `core.views`."""
        ...

    async def heard_until(self, place: Place) -> str | None:
        """The last message that was heard there, to catch up after an outage."""
        ...


class PlatformState(StrEnum):
    """How a platform does; with ERROR go words."""

    OFF = "off"
    CONNECTING = "connecting"
    OK = "ok"
    ERROR = "error"


@dataclass(frozen=True)
class State:
    """`ok`, `error: The token was revoked.`"""

    kind: PlatformState
    words: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.words}" if self.words else str(self.kind)


@dataclass(frozen=True)
class Pace:
    """What a platform takes; None: as much as there is."""

    post_interval_s: float = 0.0  # between two posts in one channel
    edits_per_minute: int | None = None  # of the whole platform, shared by its cards
    finds_private: bool = True  # private posts, too, are found again by their key


@dataclass(frozen=True)
class Note:
    """Something `autocoder check` says of a platform; with a remedy it is a problem."""

    words: str
    remedy: str = ""


class ChatPlatform(Protocol):
    """What a chat platform must offer."""

    name: str
    pace: Pace

    @property
    def state(self) -> State: ...

    async def run(self, door: Door) -> None:
        """Connect, hear, reconnect, until cancelled."""
        ...

    async def check(self) -> Sequence[Note]:
        """Whether its token, its rights and its channels are as they must be."""
        ...

    async def post(
        self,
        place: Place,
        card: Card,
        *,
        private_to: str | None = None,
        reply: str | None = None,
        again: int = 0,
        revision: int = 0,
    ) -> MessageRef:
        """Post a card; the same key and `again` after an uncertain answer is found again.

        `private_to` sees it alone, by the handle `reply` where the platform wants one; `again`
        counts the posts of this key that were deleted by hand or replaced before. Raises
        MessageGone where the root of its thread stands no more.
        """
        ...

    async def edit(self, ref: MessageRef, card: Card, *, revision: int = 0) -> None:
        """Bring a posted card up to date. Raises MessageGone where it stands no more."""
        ...
