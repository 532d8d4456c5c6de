"""The web chat as a chat platform: its posts and edits are rows of our own."""

from collections.abc import AsyncIterator
from typing import Protocol

from adapters.web.stream import Hub
from core.domain.cards import Card
from core.ports.chat import Inbound, MessageRef, Place


class Poster(Protocol):
    """Writes a card as a message; injected by bot/app."""

    async def post(self, place: Place, card: Card, *, private_to: str | None) -> str: ...

    async def edit(self, message: str, card: Card) -> None: ...


class WebPlatform:
    """Posts once per key and channel, which the database sees to; then wakes who listens."""

    name = "web"

    def __init__(self, poster: Poster, hub: Hub) -> None:
        self._poster = poster
        self._hub = hub

    async def listen(self) -> AsyncIterator[Inbound]:
        """Nothing: deliveries come by HTTP, and are in the inbox when they are answered."""
        return
        yield

    async def post(self, place: Place, card: Card, *, private_to: str | None) -> MessageRef:
        message = await self._poster.post(place, card, private_to=private_to)
        self._hub.changed(place.channel)
        return MessageRef(self.name, place.channel, message)

    async def edit(self, ref: MessageRef, card: Card) -> None:
        await self._poster.edit(ref.message, card)
        self._hub.changed(ref.channel)
