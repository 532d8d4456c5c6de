"""A chat platform in memory: for the demo and for tests. It keeps the port's whole promise.

One message per key and channel, found again when a post is repeated; edits count revisions; a
thread hangs on its root. `fail` and `lose` make it as unreliable as a real one.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.domain.cards import Card
from core.errors import ChatAway
from core.ports.chat import Door, Inbound, MessageRef, Note, Pace, Place, PlatformState, State


@dataclass(frozen=True)
class Posted:
    """A card as it stands."""

    id: int
    place: Place
    card: Card
    private_to: str | None
    revision: int = 0


@dataclass
class Weather:
    """What goes wrong next: calls that fail before their effect, and answers that get lost."""

    fail: int = 0
    lose: int = 0
    keys: set[str] = field(default_factory=set)  # cards that always fail


class PracticeChat:
    """ChatPlatform in memory."""

    pace = Pace()
    state = State(PlatformState.OK)

    def __init__(self, name: str = "practice") -> None:
        self.name = name
        self.weather = Weather()
        self.messages: dict[int, Posted] = {}
        self.calls: list[tuple[str, str]] = []  # post or edit, and the card's key
        self._by_key: dict[tuple[str, str], int] = {}
        self._inbound: asyncio.Queue[Inbound] = asyncio.Queue()

    async def run(self, door: Door) -> None:
        while True:
            await door.deliver(await self._inbound.get())

    async def check(self) -> Sequence[Note]:
        return ()

    async def say(self, inbound: Inbound) -> None:
        """Somebody said or pressed something."""
        await self._inbound.put(inbound)

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
        self._before("post", card)
        known = self._by_key.get((place.channel, card.key))
        if known is None:
            known = len(self.messages) + 1
            self.messages[known] = Posted(known, place, card, private_to)
            self._by_key[place.channel, card.key] = known
        else:
            self._change(known, card)
        self._after()
        return MessageRef(self.name, place.channel, str(known))

    async def edit(self, ref: MessageRef, card: Card, *, revision: int = 0) -> None:
        self._before("edit", card)
        self._change(int(ref.message), card)
        self._after()

    def standing(self, key: str) -> Posted:
        """The message of a card; KeyError when there is none."""
        found = (posted for posted in self.messages.values() if posted.card.key == key)
        posted = next(found, None)
        if posted is None:
            raise KeyError(key)
        return posted

    def _change(self, message: int, card: Card) -> None:
        posted = self.messages[message]
        if posted.card != card:
            self.messages[message] = replace(posted, card=card, revision=posted.revision + 1)

    def _before(self, call: str, card: Card) -> None:
        self.calls.append((call, card.key))
        if card.key in self.weather.keys:
            raise ChatAway(f"{card.key} is not taken.")
        if self.weather.fail:
            self.weather.fail -= 1
            raise ChatAway("The chat is away.")

    def _after(self) -> None:
        if self.weather.lose:
            self.weather.lose -= 1
            raise ChatAway("The answer was lost.")
