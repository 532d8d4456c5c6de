"""The files by which others find a running service: its token and where it listens."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bot.home import using
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
