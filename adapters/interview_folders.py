"""The `Desks` port: folders below the home, read and written without following a link."""

import asyncio
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import BadSpec, StorageFailed, WorkspaceError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LINKS = (errno.ELOOP, errno.ENOTDIR)


class HostInterviewFolders:
    """Folders in `home/interviews`; dropped files lie in `home/files` under their ids."""

    def __init__(self, home: Path) -> None:
        self._desks = home.absolute() / "interviews"
        self._files = home.absolute() / "files"

    async def open(self, name: str) -> Path:
        folder = self._desks / Path(name).name
        with _storage():
            (folder / ".autocoder" / "prompts").mkdir(parents=True, exist_ok=True)
        return folder

    async def read(self, folder: Path, path: str, *, limit: int) -> bytes:
        return await asyncio.to_thread(_read, folder, path, limit)

    async def write(self, folder: Path, path: str, content: bytes) -> None:
        with _storage():
            await asyncio.to_thread(_write, folder, path, content)

    async def copy_in(self, folder: Path, path: str, file_id: str) -> None:
        source = self._files / Path(file_id).name
        with _storage():
            await asyncio.to_thread(_lay, folder, path, source)


@contextmanager
def _storage() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _LINKS:  # the repository's doing, not the disk's
            raise WorkspaceError("A link or a file stands where a folder is wanted.") from error
        raise StorageFailed(f"An interview's folder cannot be written: {error}") from error


@contextmanager
def _below(folder: Path, path: str, *, make: bool) -> Iterator[tuple[int, str]]:
    """The open folder that holds `path`, and the file's name in it."""
    *parents, name = Path(path).parts
    place = os.open(folder, _FOLDER)
    try:
        for part in parents:
            if make:
                try:
                    os.mkdir(part, 0o755, dir_fd=place)
                except FileExistsError:
                    pass
            deeper = os.open(part, _FOLDER, dir_fd=place)
            os.close(place)
            place = deeper
        yield place, name
    finally:
        os.close(place)


def _read(folder: Path, path: str, limit: int) -> bytes:
    try:
        with _below(folder, path, make=False) as (place, name):
            # Without O_NONBLOCK a named pipe would hold us for ever.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(name, flags, dir_fd=place), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise BadSpec("it is no file.")
                content = file.read(limit + 1)
    except FileNotFoundError:
        raise BadSpec("it is not there.") from None
    except OSError as error:
        words = "a link stands there." if error.errno in _LINKS else f"{error.strerror}."
        raise BadSpec(words) from None
    if len(content) > limit:
        raise BadSpec(f"it is larger than {limit:,} bytes.")
    return content


def _write(folder: Path, path: str, content: bytes) -> None:
    with _below(folder, path, make=True) as (place, name):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(name, flags, 0o644, dir_fd=place), "wb") as file:
            file.write(content)


def _lay(folder: Path, path: str, source: Path) -> None:
    if not source.is_file():
        return
    with _below(folder, path, make=True) as (place, name):
        with suppress(FileNotFoundError):
            if os.stat(name, dir_fd=place, follow_symlinks=False).st_size == source.stat().st_size:
                return
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with source.open("rb") as file, open(os.open(name, flags, 0o644, dir_fd=place), "wb") as to:
            shutil.copyfileobj(file, to)
