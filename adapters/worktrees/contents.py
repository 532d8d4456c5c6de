"""Look through a work tree before git does: what an agent may have put there."""

import os
import stat
import time
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

LARGEST_FILE = 512 << 20  # bytes of one file that goes into a commit
_TICK_NS = 20_000_000  # twice the coarsest step of the kernel's file times

# Never part of a commit. Kept in the repository's info/exclude; a .gitignore may overrule it.
EXCLUDED = (
    "__pycache__/",
    "*.pyc",
    ".venv/",
    "venv/",
    "node_modules/",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".tox/",
    ".nox/",
    ".coverage",
    "htmlcov/",
    "*.egg-info/",
    ".eggs/",
    ".gradle/",
    ".DS_Store",
    "*.swp",
    # What the Claude CLI writes before it renames it, left there when it is killed.
    f"*.tmp.[0-9]*.{'[0-9a-f]' * 12}",
)

_READ_BY_GIT = (b".gitignore", b".gitattributes", b".gitmodules")
_EXCLUDED_FOLDERS = frozenset(
    os.fsencode(name.rstrip("/")) for name in EXCLUDED if name.endswith("/") and "*" not in name
)


@dataclass
class Findings:
    """Paths relative to the work tree, as bytes: names need not be UTF-8."""

    nested: list[bytes] = field(default_factory=list)  # folders that hold a `.git`
    large: list[bytes] = field(default_factory=list)
    blocking: list[bytes] = field(default_factory=list)  # pipes that git would wait on for ever
    stamp: bytes = b""  # of every file's path, kind, size and times
    settled: bool = False  # no file changed so lately that the next change may show the same times
    hollow: bool = False  # there are empty folders, which no tree holds


def look_through(work_tree: Path) -> Findings:
    """Nested repositories, files too large for a commit, and a stamp that any change changes.

    Runs nothing, follows no link.

    Must come before every `git add`: git runs programs named by a nested repository's own
    configuration once that repository is in the index.
    """
    findings = Findings()
    stamp, newest, began = blake2b(), 0, time.time_ns()
    pending = [(os.fsencode(work_tree), b"", True)]
    while pending:
        folder, relative, excludes_hold = pending.pop()
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError:
            continue  # unreadable or gone: git says so in its own words
        findings.hollow |= not entries
        for entry in entries:
            if entry.name == b".gitignore" and _overrules(entry):
                excludes_hold = False
        for entry in entries:
            path = relative + entry.name
            if entry.name == b".git":
                if relative:
                    findings.nested.append(relative.rstrip(b"/"))
                    stamp.update(b"%s\0" % path)
            elif entry.is_dir(follow_symlinks=False):
                if not (excludes_hold and entry.name in _EXCLUDED_FOLDERS):
                    pending.append((entry.path, path + b"/", excludes_hold))
            elif (seen := _stat(entry)) is not None:
                times = seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino
                stamp.update(b"%s\0%d %d %d %d %d\0" % (path, seen.st_mode, *times))
                newest = max(newest, seen.st_ctime_ns)
                if entry.name in _READ_BY_GIT and stat.S_ISFIFO(seen.st_mode):
                    findings.blocking.append(path)
                elif stat.S_ISREG(seen.st_mode) and seen.st_size > LARGEST_FILE:
                    findings.large.append(path)
    findings.stamp = stamp.digest()
    findings.settled = newest < began - _TICK_NS
    return findings


def readable_path(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def _overrules(entry: os.DirEntry[bytes]) -> bool:
    """Whether a .gitignore takes something back, perhaps one of our excludes."""
    if not entry.is_file(follow_symlinks=False):
        return False
    try:
        return b"!" in Path(os.fsdecode(entry.path)).read_bytes()
    except OSError:
        return True


def _stat(entry: os.DirEntry[bytes]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None
