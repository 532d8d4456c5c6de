"""The web chat as a chat platform: its posts and edits are rows of our own."""

from collections.abc import Sequence
from typing import Protocol

from adapters.web.stream import Hub
from core.domain.cards import Card
from core.ports.chat import Door, MessageRef, Note, Pace, Place, PlatformState, State


class Poster(Protocol):
    """Writes a card as a message; injected by bot/app."""

    async def post(self, place: Place, card: Card, *, private_to: str | None) -> str: ...

    async def edit(self, message: str, card: Card) -> None: ...


class WebPlatform:
    """Posts once per key and channel, which the database sees to; then wakes who listens."""

    name = "web"
    pace = Pace()
    state = State(PlatformState.OK)

    def __init__(self, poster: Poster, hub: Hub) -> None:
        self._poster = poster
        self._hub = hub

    async def run(self, door: Door) -> None:
        """Deliveries come by HTTP."""

    async def check(self) -> Sequence[Note]:
        return ()

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
        message = await self._poster.post(place, card, private_to=private_to)
        self._hub.changed(place.channel)
        return MessageRef(self.name, place.channel, message, place.thread)

    async def edit(self, ref: MessageRef, card: Card, *, revision: int = 0) -> None:
        await self._poster.edit(ref.message, card)
        self._hub.changed(ref.channel)
