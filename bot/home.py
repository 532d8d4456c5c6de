"""The data folder: exactly one autocoder works in it."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from core.errors import AutocoderError, HomeHeld, InputError, StorageFailed

_LOCK = "lock"
_SOCKET_ROOM = 40  # bytes left of a unix socket's 107 for its own name


def home_hash(home: Path) -> str:
    """Eight characters that name a home in process markers."""
    return sha256(str(home.resolve()).encode()).hexdigest()[:8]


def need_free(home: Path) -> None:
    """Raise HomeHeld when somebody holds the home now; quick, and no promise for later."""
    if (home / _LOCK).exists():
        with held(home):
            pass


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold the home, made if it is missing. Raises HomeHeld with the holder's pid."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(home, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
            pid = int(holder) if holder.isdigit() else None
            raise HomeHeld(
                f"Another autocoder (pid {holder or 'unknown'}) works in {home}.", pid=pid
            ) from error
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise _unusable(home, error) from error
        yield
    finally:
        os.close(lock)


@contextmanager
def runtime_folder(home: Path) -> Iterator[Path]:
    """A private folder whose path is short enough for unix sockets."""
    inside = home / "run"
    if len(os.fsencode(inside)) + _SOCKET_ROOM <= 107:
        try:
            inside.mkdir(mode=0o700, exist_ok=True)
            for old in inside.iterdir():
                old.unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(home, error) from error
        yield inside
    else:
        with tempfile.TemporaryDirectory(prefix="autocoder-") as folder:
            yield Path(folder)


def _unusable(home: Path, error: OSError) -> AutocoderError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFailed(f"The disk of {home} is full.")
    return InputError(
        f"The folder {home} cannot be used: {error.strerror}.",
        hint="Give another one with --home, or make this one writable.",
    )
