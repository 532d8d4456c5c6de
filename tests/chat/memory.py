"""A chat platform in memory that keeps the port's whole promise, with faults to be ordered.

One message of a key, its `again` and channel, found again when a post is repeated; edits count
revisions; a thread hangs on its root; a private message is one person's.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.domain.cards import Card
from core.errors import ChatAway, ChatBusy, MessageGone, PlaceRefused
from core.ports.chat import Door, Inbound, MessageRef, Note, Pace, Place, PlatformState, State


@dataclass(frozen=True)
class Posted:
    """A card as it stands."""

    id: int
    place: Place
    card: Card
    private_to: str | None
    reply: str | None = None
    again: int = 0
    wish: int = 0  # the newest that was shown
    revision: int = 0  # edits so far


@dataclass
class Weather:
    """What goes wrong: calls fail before their effect, or their answers are lost after it."""

    away: bool = False
    fail: int = 0  # of the next calls
    lose: int = 0
    busy: list[float] = field(default_factory=list)  # seconds, that each of the next calls is told
    keys: set[str] = field(default_factory=set)  # cards that are never taken
    refused: dict[str, PlaceRefused] = field(default_factory=dict)  # by channel, or card


class MemoryChat:
    """ChatPlatform in memory."""

    state = State(PlatformState.OK)

    def __init__(self, name: str = "memory", pace: Pace | None = None) -> None:
        self.name = name
        self.pace = pace or Pace()
        self.weather = Weather()
        self.messages: dict[int, Posted] = {}
        self.calls: list[tuple[str, str]] = []  # post or edit, and the card's key
        self._last = 0
        self._inbound: asyncio.Queue[Inbound] = asyncio.Queue()

    async def run(self, door: Door) -> None:
        while True:
            await door.deliver(await self._inbound.get())

    async def check(self) -> Sequence[Note]:
        return ()

    def say(self, inbound: Inbound) -> None:
        """Somebody said or pressed something."""
        self._inbound.put_nowait(inbound)

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
        self._before("post", place.channel, card)
        if place.thread is not None and int(place.thread) not in self.messages:
            raise MessageGone(f"There is no thread {place.thread}.")
        known = self._known(place, card.key, again, private_to)
        if known is None:
            self._last += 1
            known = Posted(self._last, place, card, private_to, reply, again, revision)
            self.messages[known.id] = known
        else:
            self._change(known, card, revision)
        self._after()
        return MessageRef(self.name, place.channel, str(known.id), place.thread)

    async def edit(self, ref: MessageRef, card: Card, *, revision: int = 0) -> None:
        self._before("edit", ref.channel, card)
        posted = self.messages.get(int(ref.message))
        if posted is None or (posted.place.channel, posted.place.thread) != (
            ref.channel,
            ref.thread,
        ):
            raise MessageGone(f"There is no message {ref.message}.")
        self._change(posted, card, revision)
        self._after()

    def standing(self, key: str) -> Posted:
        """The message of a card; KeyError when there is none."""
        found = [posted for posted in self.messages.values() if posted.card.key == key]
        if not found:
            raise KeyError(key)
        return found[-1]

    def delete(self, key: str) -> None:
        """Somebody deletes the message of a card by hand."""
        del self.messages[self.standing(key).id]

    def _known(self, place: Place, key: str, again: int, private_to: str | None) -> Posted | None:
        if private_to is not None and not self.pace.finds_private:
            return None
        wanted = (place.channel, key, again)
        return next(
            (
                posted
                for posted in self.messages.values()
                if (posted.place.channel, posted.card.key, posted.again) == wanted
            ),
            None,
        )

    def _change(self, posted: Posted, card: Card, wish: int) -> None:
        """The newest state wins, and an edit that changes nothing is none."""
        if wish >= posted.wish and posted.card != card:
            revision = posted.revision + 1
            self.messages[posted.id] = replace(posted, card=card, wish=wish, revision=revision)

    def _before(self, call: str, channel: str, card: Card) -> None:
        self.calls.append((call, card.key))
        weather = self.weather
        if weather.away or card.key in weather.keys:
            raise ChatAway("The chat is away.")
        if weather.fail:
            weather.fail -= 1
            raise ChatAway("The chat is away.")
        if weather.busy:
            raise ChatBusy(retry_after=weather.busy.pop(0))
        refusal = weather.refused.get(channel) or weather.refused.get(card.key)
        if refusal is not None:
            raise refusal

    def _after(self) -> None:
        if self.weather.lose:
            self.weather.lose -= 1
            raise ChatAway("The answer was lost.")
