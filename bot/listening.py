"""The socket of the web chat."""

import socket

from core.errors import StateError

QUEUE = 512  # connections that wait to be taken


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; StateError when the address is not to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=QUEUE)
    except OSError as error:
        raise StateError(
            f"The web chat cannot listen on {host} port {port}: {error.strerror}.",
            hint="Set AUTOCODER_PORT to another port, or to 0 for a free one.",
        ) from error
    # asyncio does it only for sockets that name their protocol, which this one does not; without
    # it each answer waits 40 ms for the client's acknowledgement of its headers.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
