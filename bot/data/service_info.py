"""The files by which others find a running service: its token and where it listens."""

import errno
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bot.data.home import using
from core.errors import StateError

TOKEN = "web-token"  # noqa: S105  # the file's name
SERVICE = "service.json"


@dataclass(frozen=True)
class ServiceInfo:
    """Where a running service is reached."""

    pid: int
    port: int
    url: str
    started_at: str


def web_token(home: Path) -> str:
    """The home's token, made at the first start and kept; nobody but its owner may read it."""
    path = home / TOKEN
    with using(home):
        if known := known_token(home):
            path.chmod(0o600)
            return known
        token = secrets.token_urlsafe(32)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w") as writing:
            writing.write(f"{token}\n")
        new.rename(path)
    return token


def known_token(home: Path) -> str | None:
    """The token that was made already."""
    try:
        return (home / TOKEN).read_text("ascii", "replace").strip() or None
    except FileNotFoundError:
        return None


@contextmanager
def published(home: Path, where: ServiceInfo) -> Iterator[None]:
    """`service.json` stands in the home while the block runs."""
    path = home / SERVICE
    new = path.with_suffix(".new")
    with using(home):
        new.write_text(json.dumps(asdict(where)) + "\n")
        new.rename(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def service_info(home: Path) -> ServiceInfo:
    """Where the service of this home is; StateError when none runs."""
    try:
        found = json.loads((home / SERVICE).read_text())
        where = ServiceInfo(
            int(found["pid"]), int(found["port"]), str(found["url"]), str(found["started_at"])
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise _nobody(home) from None
    if not Path(f"/proc/{where.pid}").exists():
        raise _nobody(home)  # it was killed
    return where


def _nobody(home: Path) -> StateError:
    return StateError(
        f"No autocoder runs in {home}.", hint="Start it: `make run`, or `autocoder serve`."
    )


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
