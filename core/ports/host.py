"""The host: the sandbox, git workspaces, processes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class BoxLevel(StrEnum):
    """How much a box holds back; named on every output."""

    FULL = "full"  # own files, processes and network (bubblewrap)
    REDUCED = "reduced"  # own processes only; dies with its parent
    NONE = "none"  # nothing but the death of the parent


@dataclass(frozen=True)
class BoxProfile:
    """What one process tree in the box sees. Everything not named here is hidden at FULL."""

    work: Path  # working folder, writable
    process_id: str  # AUTOCODER_PROCESS of everything in the box
    git_dir: Path | None = None  # the repository's `.git`, shown read-only at its own path
    writable: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)  # added to a minimal environment
    passed_env: tuple[str, ...] = ()  # names taken from the caller's environment if set there
    network: bool = False  # the host's network; only for `setup`
    gateway: tuple[Path, int] | None = None  # unix socket outside, loopback port inside


@dataclass(frozen=True)
class Execution:
    """One command that ran to its end, or was ended."""

    command: str
    exit_code: int  # 124 when it ran out of time, 128+n when signal n ended it
    output: str  # stdout and stderr as they came; the middle is cut out of a long one
    seconds: float
    timed_out: bool = False


class Box(Protocol):
    """The sandbox: one profile for agents, checks and setup."""

    @property
    def level(self) -> BoxLevel: ...

    def wrap(self, profile: BoxProfile, argv: Sequence[str]) -> tuple[str, ...]:
        """An argv that runs `argv` in the box, with no variable but the profile's."""
        ...

    async def run(self, profile: BoxProfile, command: str, *, timeout: timedelta) -> Execution:
        """Run a shell command in the box. Nothing it started outlives the call."""
        ...


@dataclass(frozen=True)
class Worktree:
    """A work tree of ours with the git folder behind it (never discovered from the inside)."""

    path: Path
    git_dir: Path  # the worktree's own git folder: PROJECT/.git/worktrees/NAME
    common_dir: Path  # PROJECT/.git
    branch: str | None  # None: detached


@dataclass(frozen=True)
class Staged:
    """Everything in a work tree, as git would commit it."""

    tree: str
    parent: str
    changed: tuple[str, ...]  # paths that differ from the parent


@dataclass(frozen=True)
class Commit:
    """A commit made from everything in a work tree."""

    id: str
    tree: str
    parent: str
    changed: tuple[str, ...]  # paths that differ from the parent; empty: an empty commit


@dataclass(frozen=True)
class HistoryEntry:
    """A commit on a branch, as recovery reads it."""

    id: str
    parents: tuple[str, ...]
    subject: str
    task: int | None  # trailer Autocoder-Task
    feature: str | None  # trailer Autocoder-Feature


@dataclass(frozen=True)
class Merged:
    """A merge commit that is on no branch yet."""

    commit: str


@dataclass(frozen=True)
class Conflict:
    """A merge that git could not make."""

    tree: str  # the merge as far as it came, with conflict markers
    paths: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class DiffStat:
    files: int
    added: int
    removed: int


class Workspaces(Protocol):
    """Repositories and worktrees under the home. Every call may be repeated after a crash."""

    def project_path(self, slug: str) -> Path: ...

    async def create(self, slug: str, files: Mapping[str, bytes], message: str) -> str:
        """The repository with its first commit on `main`; an existing one is left as it is."""
        ...

    async def head(self, slug: str, ref: str = "refs/heads/main") -> str | None: ...

    async def open(self, slug: str, feature: str, start: str) -> Worktree:
        """The feature's worktree on branch `feature/FEATURE`, made from `start` if new."""
        ...

    async def open_clean(self, slug: str, commit: str) -> Worktree:
        """The one detached landing worktree: nothing in it but the files of `commit`."""
        ...

    async def open_apart(self, slug: str, name: str, commit: str) -> Worktree:
        """A detached worktree beside the features', made from `commit` if new, else as it is."""
        ...

    async def stage(self, worktree: Worktree) -> Staged:
        """All files as they are now, in the index. Raises NestedRepository."""
        ...

    async def commit(
        self,
        worktree: Worktree,
        message: str,
        *,
        ref: str,
        merging: str | None = None,
        staged: Staged | None = None,
    ) -> Commit:
        """Commit all files, or what was `staged`, as a child of HEAD onto `ref`.

        The branch does not move. `merging` becomes a second parent. Raises NestedRepository.
        """
        ...

    async def stamp(self, slug: str, parent: str, message: str) -> str:
        """An empty commit on top of `parent`, on no branch yet."""
        ...

    async def tree(self, worktree: Worktree) -> str:
        """The tree that `commit` would commit now."""
        ...

    async def advance(self, worktree: Worktree, commit: str, *, expected: str) -> None:
        """Move the worktree's branch from `expected` to `commit`."""
        ...

    async def restore(self, worktree: Worktree, commit: str, *, tree: str | None = None) -> None:
        """Bring branch and files to `commit` (files to `tree` if given); ignored ones stay."""
        ...

    async def merge(self, slug: str, ours: str, theirs: str, message: str) -> Merged | Conflict:
        """Merge without a work tree; a merge commit always (`--no-ff`)."""
        ...

    async def land(self, slug: str, commit: str, *, expected: str) -> None:
        """Compare-and-swap of `main`, then bring the project's folder up. Raises MainMoved."""
        ...

    async def sync(self, slug: str) -> None:
        """Bring the project's folder to `main`, keeping what a person changed there."""
        ...

    async def commit_files(
        self, slug: str, files: Mapping[str, bytes], message: str, *, expected: str
    ) -> str:
        """A commit of these files on top of `main`, written without touching a work tree."""
        ...

    async def history(
        self, slug: str, since: str, until: str, *, first_parent: bool = False
    ) -> tuple[HistoryEntry, ...]:
        """Commits of `since..until`, oldest first."""
        ...

    async def diff_stat(self, slug: str, since: str, until: str) -> DiffStat: ...

    async def changed(self, slug: str, since: str, until: str) -> tuple[str, ...]:
        """Paths that differ."""
        ...

    async def diff(self, slug: str, since: str, until: str, *, limit: int = 200_000) -> str:
        """The patch as text, at most `limit` characters."""
        ...

    async def show(self, slug: str, commit: str, path: str) -> bytes | None: ...

    async def drop(self, worktree: Worktree) -> None:
        """Remove the worktree; its branch stays."""
        ...


class InterviewFolders(Protocol):
    """Folders that interviewers write in, and what people dropped in for them.

    What an agent left there is read without following a link.
    """

    async def open(self, name: str) -> Path:
        """The folder of this name, made if it is new."""
        ...

    async def read(self, folder: Path, path: str, *, limit: int) -> bytes:
        """A regular file below `folder`. Raises BadSpec, saying what is wrong with it."""
        ...

    async def write(self, folder: Path, path: str, content: bytes) -> None: ...

    async def copy_in(self, folder: Path, path: str, file_id: str) -> None:
        """Copy a dropped file to a path below `folder`, once; one that is gone is left out."""
        ...


@dataclass(frozen=True)
class RunningProcess:
    pid: int
    parent: int
    name: str


class Processes(Protocol):
    """Processes on this host, by pid."""

    def below(self, pid: int) -> tuple[RunningProcess, ...]:
        """Every living descendant of `pid`, without `pid` itself."""
        ...

    def freeze(
        self, pid: int, *, spare: Collection[int] = (), spare_below: Collection[int] = ()
    ) -> tuple[int, ...]:
        """Stop everything below `pid`, also what forks meanwhile; what it stopped.

        Left alone are `spare` and the children of `spare_below`.
        """
        ...

    def thaw(self, pids: Sequence[int]) -> None: ...

    def kill(self, pids: Sequence[int]) -> None: ...

    def sweep(self, marker_prefix: str) -> int:
        """Kill every process whose AUTOCODER_PROCESS starts so; how many it were."""
        ...

    def free_memory(self) -> int:
        """Bytes of memory that can be had without swapping."""
        ...
