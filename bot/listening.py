"""The socket of the web chat."""

import errno
import os
import socket

from core.errors import StateError


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; StateError when the address is not to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        number = error.errno or 0  # negative: a name that leads nowhere
        words = os.strerror(number) if number > 0 else error.strerror
        hint = "Set AUTOCODER_HOST to an address of this host."
        if number in (errno.EADDRINUSE, errno.EACCES):
            hint = "Set AUTOCODER_PORT to another port, or to 0 for a free one."
        raise StateError(
            f"The web chat cannot listen on {host} port {port}: {words}.", hint=hint
        ) from error
    # asyncio does it only for sockets that name their protocol, which this one does not; without
    # it each answer waits 40 ms for the client's acknowledgement of its headers.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
