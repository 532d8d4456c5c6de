"""Connections that ask for nothing, or too slowly, do not keep others out.

uvicorn waits for ever for the head of a request, for a reader that takes nothing, and takes as
many connections as there are file descriptors, which the database and the agents need too.
"""

import asyncio
import json
import resource
import socket
from collections.abc import Iterator

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 15.0  # from a request's first byte, or a connection's beginning, to the end of its head
STALL_S = 25.0  # how long a reader may take nothing; less than a stream waits for it
BACKLOG = 32  # connections taken in one round
QUEUE = 512  # connections that wait to be taken
UNSENT = 256 * 1024  # bytes the kernel keeps for a reader that is slow
_MOST = 2_000
_LEAST = 16


def most() -> int:
    """How many connections may be open at once, by what this process may open."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST
    # Some rounds of newcomers are taken before the first of them is looked at.
    return max(_LEAST, min(_MOST, soft // 2 - BACKLOG))


class Connection(H11Protocol):
    """One connection, with patience that ends."""

    _late: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        taken = transport.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT)
        self._watch()
        if len(self.connections) > most():
            # One that asks for nothing goes; where all are at work, the newcomer.
            silent = next(self._silent(), None)
            if silent is not None:
                silent.leave()
            else:
                self._refuse(b"503 Service Unavailable", "busy", "Too many connections are open.",
                             "Close some tabs, then try again.")  # fmt: skip

    def connection_lost(self, exc: Exception | None) -> None:
        self._at_ease()
        if self._stalled is not None:
            self._stalled.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.asks:
            self._at_ease()
        elif self.timeout_keep_alive_task is None:  # else a whole request was answered already
            self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self._stalled or self.loop.call_later(STALL_S, self.leave)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is answered in the shape of every error."""
        if self.asks:  # an answer is under way, which this would be part of
            self.transport.close()
            return
        self._refuse(b"400 Bad Request", "malformed", msg, "Speak HTTP/1.1.")

    def _refuse(self, status: bytes, error: str, message: str, hint: str) -> None:
        content = json.dumps({"error": error, "message": message, "hint": hint}).encode()
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        self.transport.write(head % (status, len(content)) + b"connection: close\r\n\r\n" + content)
        self.transport.close()

    @property
    def asks(self) -> bool:
        """Whether a request of it is being answered."""
        return (
            self.cycle is not None  # type: ignore[redundant-expr]  # before the first it is
            and not self.cycle.response_complete
        )

    def leave(self) -> None:
        """End it at once, whatever is still to be sent."""
        self.transport.abort()

    def _watch(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_S, self.leave)

    def _at_ease(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _silent(self) -> Iterator["Connection"]:
        for each in self.connections:
            if not isinstance(each, Connection) or each is self:
                continue
            if not each.asks and not each.transport.is_closing():
                yield each
