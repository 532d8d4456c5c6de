"""Bring the files of a work tree to a commit."""

import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from adapters.worktrees import linking
from adapters.worktrees.contents import look_through
from adapters.worktrees.git import Git, Place, storage
from core.errors import WorkspaceError
from core.ports.host import Worktree

_MAIN = "refs/heads/main"
_CHECKED_OUT = "refs/autocoder/checkout"  # the commit a project's folder was last brought to

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkout:
    """Two manners: a worktree of ours is reset, a person's folder is only carried along."""

    git: Git

    async def reset(self, worktree: Worktree, treeish: str, *, ignored_too: bool) -> None:
        """Index and files as in `treeish`; untracked files go, ignored ones if wanted."""
        place = Place(worktree.git_dir, worktree.path)
        clean = ("clean", "-ffdxq") if ignored_too else ("clean", "-ffdq")
        await asyncio.to_thread(_remove_pipes, worktree.path)
        try:
            await self.git.run(place, "read-tree", "--reset", "-u", treeish)
            await self.git.run(place, *clean)
        except WorkspaceError:
            # A broken index, a locked folder or a nested repository in the way.
            with storage():
                await asyncio.to_thread(linking.open_folders, worktree.path)
                (worktree.git_dir / "index").unlink(missing_ok=True)
            await self.git.run(place, *clean)
            await self.git.run(place, "read-tree", "--reset", "-u", treeish)
            await self.git.run(place, *clean)

    async def bring_to(self, project: Path, commit: str) -> None:
        """Bring a project's folder to `commit`, keeping what a person changed.

        Where that is impossible the files stay as they are and the log says so. The folder is
        left alone while a person has another branch checked out in it.
        """
        common = project / ".git"
        if (common / "HEAD").read_text().strip() != f"ref: {_MAIN}":
            log.info("project folder is on another branch and stays as it is: %s", project)
            return
        old = linking.read_ref(common, _CHECKED_OUT)
        if old == commit:
            return
        place = Place(common, project)
        try:
            if old is None:
                await self.git.run(place, "read-tree", "--reset", "-u", commit)
            else:
                await self._carry(place, old, commit)
        except WorkspaceError as error:
            log.warning("project folder stays behind main: %s: %s", project, error)
            return
        await self.git.run(Place(common), "update-ref", _CHECKED_OUT, commit)

    async def _carry(self, place: Place, old: str, new: str) -> None:
        two_trees = ("read-tree", "-m", "-u", old, new)
        try:
            await self.git.run(place, *two_trees)
        except WorkspaceError:
            # Files that a killed call of ours had brought up already look changed by a person.
            await self.git.run(place, "update-index", "-q", "--refresh", allow=(0, 1))
            given = await self._already_new(place, old, new)
            update = ("update-index", "-z", "--add", "--remove", "--stdin")
            await self.git.run(place, *update, given=given)
            await self.git.run(place, *two_trees)

    async def _already_new(self, place: Place, old: str, new: str) -> bytes:
        """Paths that differ between the commits and stand in the folder as `new` has them."""
        answer = await self.git.run(
            place, "diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new, "--"
        )
        index = place.git_dir / f"autocoder-sync-{os.getpid()}"
        beside = Place(place.git_dir, place.work_tree, index)
        try:
            await self.git.run(beside, "read-tree", new)
            await self.git.run(beside, "update-index", "-q", "--refresh", allow=(0, 1))
            other = await self.git.run(beside, "diff-files", "-z", "--name-only")
        finally:
            index.unlink(missing_ok=True)
        same = set(answer.output.split(b"\0")) - set(other.output.split(b"\0")) - {b""}
        return b"".join(path + b"\0" for path in sorted(same))


def _remove_pipes(work_tree: Path) -> None:
    for path in look_through(work_tree).blocking:
        (work_tree / os.fsdecode(path)).unlink(missing_ok=True)
