"""Call the git program so that nothing in a repository can make it run something."""

import asyncio
import errno
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import MissingProgram, StorageFailed, WorkspaceError

WANTED_GIT = (2, 39)  # merge-tree --write-tree as it is read here

_LOCK_STALE_SECONDS = 2.0
_LOCK_POLL_SECONDS = 0.05
_LOCK = re.compile(rb"'([^'\n]+\.lock)'?: File exists")
_NO_SPACE = (b"No space left on device", b"Disk quota exceeded")
_READ_BYTES = 1 << 16
_TIMEOUT_SECONDS = 600  # no call of ours needs it; an ignore pattern can be made to

_CONFIG = {
    "advice.detachedHead": "false",
    "commit.gpgSign": "false",
    "core.attributesFile": "/dev/null",
    "core.autocrlf": "false",
    "core.bigFileThreshold": "64m",
    "core.excludesFile": "/dev/null",
    "core.fileMode": "true",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.logAllRefUpdates": "false",
    "core.quotePath": "false",
    "core.safecrlf": "false",
    "core.symlinks": "true",
    "core.untrackedCache": "false",
    "diff.ignoreSubmodules": "all",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
}

_BRIEF = frozenset(("commit-tree", "rev-parse", "update-ref", "write-tree"))

_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "file:https:ssh",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_AUTHOR_EMAIL": "autocoder@localhost",
    "GIT_AUTHOR_NAME": "autocoder",
    "GIT_COMMITTER_EMAIL": "autocoder@localhost",
    "GIT_COMMITTER_NAME": "autocoder",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
}


@dataclass(frozen=True)
class Answer:
    """What one call of git said; `code` is negative when a signal ended it."""

    code: int
    output: bytes
    words: str  # stderr
    cut: bool = False  # output is longer than what was asked for

    @property
    def line(self) -> str:
        return self.output.decode("utf-8", "replace").strip()


@dataclass(frozen=True)
class Place:
    """Which repository and work tree a call is about; git never discovers them itself."""

    git_dir: Path
    work_tree: Path | None = None
    index: Path | None = None  # another index than the git folder's own


@dataclass(frozen=True)
class Git:
    """`process_id` marks every git for the sweep at the next start."""

    process_id: str
    _program: tuple[str, ...] = field(default_factory=lambda: _found("git"))
    _setpriv: tuple[str, ...] = field(default_factory=lambda: _found("setpriv"))

    async def run(
        self,
        place: Place,
        *args: str,
        given: bytes = b"",
        allow: tuple[int, ...] = (0,),
        limit: int | None = None,
    ) -> Answer:
        """One call; exit codes outside of `allow` raise WorkspaceError with git's words.

        `given` goes to stdin; at most `limit` bytes of output are read. A lock left by a git
        that was killed is removed. Raises StorageFailed when the disk is full.
        """
        answer = await self._call(place, args, given, limit)
        if answer.code not in allow and await _heal_lock(answer.words.encode()):
            answer = await self._call(place, args, given, limit)
        if answer.code in allow or answer.cut:
            return answer
        words = answer.words or f"git {args[0]} ended with {answer.code}"
        if any(text in answer.words.encode() for text in _NO_SPACE):
            raise StorageFailed(f"The disk is full: {words}")
        raise WorkspaceError(f"git {args[0]}: {words}")

    async def _call(
        self, place: Place, args: tuple[str, ...], given: bytes, limit: int | None
    ) -> Answer:
        if not self._program:
            raise MissingProgram("git is not installed.", hint="Install it: apt-get install git")
        where = [f"--git-dir={place.git_dir}"]
        if place.work_tree is not None:
            where.append(f"--work-tree={place.work_tree}")
        with storage():
            process = await asyncio.create_subprocess_exec(
                *self._leash(args[0]),
                *self._program,
                *where,
                *args,
                cwd=place.work_tree or place.git_dir,
                env=self._environment(place),
                stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                output, words, cut = await _converse(process, given, limit)
        except TimeoutError as error:
            words_of_ours = f"git {args[0]} did not end within {_TIMEOUT_SECONDS} s"
            raise WorkspaceError(words_of_ours) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Answer(
            process.returncode or 0, output, words.decode("utf-8", "replace").strip(), cut
        )

    def _leash(self, command: str) -> tuple[str, ...]:
        """Git dies with us; a command that ends in a millisecond needs no second program for it."""
        if command in _BRIEF or not self._setpriv:
            return ()
        return (*self._setpriv, "--pdeathsig", "KILL")

    def _environment(self, place: Place) -> Mapping[str, str]:
        env = {
            **_ENVIRONMENT,
            "PATH": os.environ.get("PATH", os.defpath),
            "AUTOCODER_PROCESS": self.process_id,
            "GIT_CONFIG_COUNT": str(len(_CONFIG)),
        }
        for number, (key, value) in enumerate(_CONFIG.items()):
            env[f"GIT_CONFIG_KEY_{number}"] = key
            env[f"GIT_CONFIG_VALUE_{number}"] = value
        if place.index is not None:
            env["GIT_INDEX_FILE"] = str(place.index)
        return env


def git_version() -> tuple[int, ...] | None:
    """The installed git's version, (2, 39, 5); None if there is none that tells it."""
    if shutil.which("git") is None:
        return None
    try:
        said = subprocess.run(
            ["git", "--version"], capture_output=True, text=True, errors="replace", timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\d+(\.\d+)+", said.stdout)
    return tuple(int(part) for part in match.group().split(".")) if match else None


@contextmanager
def storage() -> Iterator[None]:
    """What the file system refuses to ourselves rather than to git, in words."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise WorkspaceError(f"{error.filename}: {error.strerror}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFailed(f"The disk is full: {error}") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageFailed(
                f"{error.filename} cannot be written: {error.strerror}",
                hint="Give the user that runs autocoder the right to write there.",
            ) from error
        raise


def _found(name: str) -> tuple[str, ...]:
    path = shutil.which(name)
    return (path,) if path else ()


async def _converse(
    process: asyncio.subprocess.Process, given: bytes, limit: int | None
) -> tuple[bytes, bytes, bool]:
    if limit is None:
        output, words = await process.communicate(given or None)
        return output, words, False
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("git was started without pipes")
    output = b""
    while len(output) <= limit and (chunk := await process.stdout.read(_READ_BYTES)):
        output += chunk
    if len(output) > limit:
        process.kill()
        while await process.stdout.read(_READ_BYTES):
            continue  # unread output would keep `wait` waiting for the end of the pipe
        return output[:limit], b"", True
    words = await process.stderr.read()
    await process.wait()
    return output, words, False


async def _heal_lock(words: bytes) -> bool:
    """Wait for the lock that stopped a call; remove it once it is older than 2 s.

    No git of ours holds one that long: it was left by one that was killed.
    """
    match = _LOCK.search(words)
    if match is None:
        return False
    lock = Path(os.fsdecode(match.group(1)))
    for _ in range(1 + int(_LOCK_STALE_SECONDS / _LOCK_POLL_SECONDS)):
        if _removed_if_stale(lock):
            return True
        await asyncio.sleep(_LOCK_POLL_SECONDS)
    return _removed_if_stale(lock)


def _removed_if_stale(lock: Path) -> bool:
    try:
        age = time.time() - lock.stat().st_mtime
    except FileNotFoundError:
        return True
    if 0 <= age < _LOCK_STALE_SECONDS:
        return False
    lock.unlink(missing_ok=True)
    return True
