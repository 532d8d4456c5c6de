"""Linked worktrees made by hand, as gitrepository-layout(5) describes them.

`git worktree add` leaves half-made worktrees behind when it is killed, collides with itself
and chooses names by itself. These few files can be written again and again instead.
"""

import os
import re
import shutil
import stat
from pathlib import Path

from core.errors import WorkspaceError
from core.ports.host import Worktree

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
_OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_UNFINISHED = (
    "MERGE_HEAD",
    "MERGE_MSG",
    "MERGE_MODE",
    "AUTO_MERGE",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "ORIG_HEAD",
)


def checked_name(name: str) -> str:
    """`name` if it may be a folder and a branch; it comes from people and models."""
    if not _NAME.fullmatch(name) or len(name) > 128 or ".." in name or name.endswith(".lock"):
        raise WorkspaceError(f"{name!r} cannot name a folder and a branch")
    return name


def checked_path(path: str) -> str:
    """`path` if a commit may hold it; git itself drops a bad one without an error."""
    parts = path.split("/")
    if "\0" in path or any(part.lower() in ("", ".", "..", ".git") for part in parts):
        raise WorkspaceError(f"{path!r} cannot be a file of a repository")
    return path


def attach(worktree: Worktree, head: str) -> None:
    """Make or mend the link between a work tree and its git folder.

    `head` is the content of HEAD: `ref: refs/heads/…` or an object id.
    """
    worktree.path.mkdir(parents=True, exist_ok=True)
    worktree.git_dir.mkdir(parents=True, exist_ok=True)
    write_if_other(worktree.git_dir / "commondir", "../..\n")
    write_if_other(worktree.git_dir / "gitdir", f"{worktree.path}/.git\n")
    write_if_other(worktree.git_dir / "HEAD", f"{head}\n")
    mend_link(worktree)


def mend_link(worktree: Worktree) -> None:
    """Put the `.git` file back if something else stands in its place."""
    link = worktree.path / ".git"
    text = f"gitdir: {worktree.git_dir}\n"
    if link.is_file() and not link.is_symlink() and link.read_bytes() == text.encode():
        return
    remove_tree(link)
    link.write_text(text)


def forget_unfinished(git_dir: Path) -> None:
    """Drop the traces of a merge or pick that was interrupted."""
    for name in _UNFINISHED:
        (git_dir / name).unlink(missing_ok=True)


def remove_locks(common_dir: Path) -> None:
    """Remove every lock in a repository; only for the moment before our first call in it."""
    for folder, folders, files in os.walk(common_dir):
        if folder == str(common_dir) and "objects" in folders:
            folders.remove("objects")
        for name in files:
            if name.endswith(".lock"):
                (Path(folder) / name).unlink(missing_ok=True)


def read_ref(common_dir: Path, ref: str) -> str | None:
    """The id a ref holds, without starting git; None if there is none."""
    try:
        text = (common_dir / ref).read_text().strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return _packed(common_dir, ref)
    return text if _OBJECT_ID.fullmatch(text) else None


def move_ref(common_dir: Path, ref: str, new: str, *, expected: str) -> None:
    """Compare-and-swap of a ref as gitrepository-layout(5) and git's lock files have it.

    Does nothing when it is there already. Raises WorkspaceError when it is elsewhere.
    """
    path = common_dir / ref
    lock = path.with_name(f"{path.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("x") as file:  # git waits for it, and we for git's
        ours = True
        try:
            file.write(f"{new}\n")
            file.flush()
            found = read_ref(common_dir, ref)
            if found == expected:
                lock.replace(path)
                ours = False  # what is called so from now on is another's
            elif found != new:
                raise WorkspaceError(f"{ref} is at {found}, not at {expected}")
        finally:
            if ours:
                lock.unlink()


def remove_tree(path: Path) -> None:
    """Remove a folder, also one whose parts were made unreadable; follows no link."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    open_folders(path)
    shutil.rmtree(path)


def open_folders(path: Path) -> None:
    """Give ourselves back `path` and the folders below it that an agent locked."""
    path.chmod(stat.S_IMODE(path.lstat().st_mode) | stat.S_IRWXU)
    for folder, folders, _ in os.walk(path):
        for name in folders:
            child = Path(folder) / name
            mode = child.lstat().st_mode
            if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
                child.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)


def write_if_other(path: Path, text: str) -> None:
    """Write a small file in one step, unless it already says so."""
    try:
        if path.read_text() == text:
            return
    except (OSError, UnicodeDecodeError):
        pass  # missing, unreadable or nonsense: written anew
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.write_text(text)
    temporary.replace(path)


def _packed(common_dir: Path, ref: str) -> str | None:
    try:
        lines = (common_dir / "packed-refs").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    for line in lines:
        object_id, _, name = line.partition(" ")
        if name == ref:
            return object_id
    return None
