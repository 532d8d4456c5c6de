"""The data folder: exactly one autocoder works in it."""

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from core.errors import AutocoderError, HomeHeld, InputError, StorageFailed

_LOCK = "lock"
_LOOKERS_S = 0.5
_SOCKET_ROOM = 40  # bytes left of a unix socket's 107 for its own name


def home_hash(home: Path) -> str:
    """Eight characters that name a home in process markers."""
    return sha256(str(home.resolve()).encode()).hexdigest()[:8]


def chosen_home(flag: Path | None, environ: Mapping[str, str]) -> Path:
    """The home of a command: its `--home`, else AUTOCODER_HOME, else `~/.autocoder`."""
    chosen = str(flag) if flag is not None else environ.get("AUTOCODER_HOME", "").strip()
    chosen = chosen or "~/.autocoder"
    if chosen == "~" or chosen.startswith("~/"):
        chosen = (environ.get("HOME") or str(Path.home())) + chosen[1:]
    return Path(chosen).absolute()


def flag_of(arguments: Sequence[str]) -> Path | None:
    """`--home DIR` of a command line that nobody has parsed yet."""
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--home":
            following = arguments[index + 1 : index + 2]
            return Path(value) if equals else Path(following[0]) if following else None
    return None


def need_free(home: Path) -> None:
    """Raise HomeHeld when somebody holds the home now; quick, and no promise for later."""
    try:
        lock = os.open(home / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # nobody ever held it, or whoever tries to will say what is wrong
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        raise _held(home, lock) from error
    finally:
        os.close(lock)


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold the home, made if it is missing. Raises HomeHeld with the holder's pid."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(home, error) from error
    with _locked(home / _LOCK, home):
        yield


@contextmanager
def database_held(database: Path, home: Path) -> Iterator[None]:
    """Hold a database that lies outside the home, where other homes may name it too."""
    if database.parent == home:
        yield
        return
    with _locked(database.with_name(f"{database.name}.{_LOCK}"), database.parent):
        yield


@contextmanager
def _locked(path: Path, place: Path) -> Iterator[None]:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(place, error) from error
    try:
        _lock(lock, place)
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise _unusable(place, error) from error
        yield
    finally:
        os.close(lock)


def _lock(lock: int, place: Path) -> None:
    """Take the lock; who only looks whether it is free has it for a moment."""
    until = time.monotonic() + _LOOKERS_S
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            trouble = _held(place, lock)
            if _lives(trouble.pid) or time.monotonic() > until:
                raise trouble from error
        time.sleep(0.01)


def _held(place: Path, lock: int) -> HomeHeld:
    holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
    pid = int(holder) if holder.isdigit() else None
    return HomeHeld(f"Another autocoder (pid {holder or 'unknown'}) works in {place}.", pid=pid)


def _lives(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()


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


@contextmanager
def using(home: Path) -> Iterator[None]:
    """What the home's disk refuses within the block is said in words."""
    try:
        yield
    except OSError as error:
        raise _unusable(home, error) from error


def _unusable(home: Path, error: OSError) -> AutocoderError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFailed(f"The disk of {home} is full.")
    return InputError(
        f"The folder {home} cannot be used: {error.strerror}.",
        hint="Give another one with --home, or make this one writable.",
    )
