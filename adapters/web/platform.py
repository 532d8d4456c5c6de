"""The web chat as a chat platform: HTTP in, rows of our own out."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn

from adapters.web.app import build
from adapters.web.backend import Backend
from adapters.web.connections import BACKLOG, QUEUE, Connection
from adapters.web.stream import Hub
from core.domain.cards import Card
from core.operations import web
from core.ports.chat import Door, MessageRef, Note, Pace, Place, PlatformState, State
from core.views.messages import PLATFORM

Application = Callable[[Any, Any, Any], Awaitable[None]]
STOP_S = 2.0  # how long open requests may take once it stops


class WebPlatform:
    """Posts once per key and channel, which the database sees to; then wakes who listens."""

    name = PLATFORM
    pace = Pace()

    def __init__(self, backend: Backend, listening: socket.socket) -> None:
        self._backend = backend
        self._listening = listening
        self._hub: Hub | None = None
        self._server: _Server | None = None

    @property
    def state(self) -> State:
        up = self._server is not None and self._server.started
        return State(PlatformState.OK if up else PlatformState.CONNECTING)

    async def run(self, door: Door) -> None:
        """Serve until cancelled; then what is open may end, but not for long."""
        self._hub = hub = Hub(door, self._backend.redact)
        self._server = server = _Server(build(self._backend, door, hub), self._listening)
        serving = asyncio.create_task(server.serve(sockets=[self._listening]))
        try:
            await asyncio.shield(serving)
        finally:
            hub.close()
            server.leave()
            await asyncio.wait((serving,), timeout=STOP_S)
            server.force_exit = True
            await serving

    async def check(self) -> Sequence[Note]:
        return (Note(f"{self._backend.host}, {_reach(self._backend.host)}"),)

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
        message = await self._backend.run(
            web.post, place, card, private_to=private_to, now=self._backend.clock()
        )
        self._changed(place.channel)
        return MessageRef(self.name, place.channel, message, place.thread)

    async def edit(self, ref: MessageRef, card: Card, *, revision: int = 0) -> None:
        await self._backend.run(web.edit, ref.message, card, now=self._backend.clock())
        self._changed(ref.channel)

    def _changed(self, channel: str) -> None:
        if self._hub is not None:
            self._hub.changed(channel)


def _reach(host: str) -> str:
    """Who can come as far as the door, where a token is asked for."""
    try:
        alone = ipaddress.ip_address(host).is_loopback
    except ValueError:
        alone = host == "localhost"
    if alone:
        return "loopback and with a token only"
    return "with a token only; unencrypted, other hosts may reach it (AUTOCODER_HOST)"


class _Server(uvicorn.Server):
    """Signals are the service's, not the web server's; and it sleeps where that looks about."""

    def __init__(self, application: Application, listening: socket.socket):
        super().__init__(
            uvicorn.Config(
                application,
                http=Connection,
                backlog=BACKLOG,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,  # the application's door sets it
                proxy_headers=False,
                ws="none",
                timeout_graceful_shutdown=int(STOP_S),
                timeout_keep_alive=30,
            )
        )
        self._leaving = asyncio.Event()
        self._listening = listening

    def leave(self) -> None:
        """Take no more, end what is open."""
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        # It was made as long as one round takes: a burst shall wait, not be turned away.
        self._listening.listen(QUEUE)
        await self._leaving.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
