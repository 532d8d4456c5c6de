"""Look through a work tree before git does: what an agent may have put there."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

LARGEST_FILE = 512 << 20  # bytes of one file that goes into a commit

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


def look_through(work_tree: Path) -> Findings:
    """Nested repositories and files too large for a commit; runs nothing, follows no link.

    Must come before every `git add`: git runs programs named by a nested repository's own
    configuration once that repository is in the index.
    """
    findings = Findings()
    pending = [(os.fsencode(work_tree), b"", True)]
    while pending:
        folder, relative, excludes_hold = pending.pop()
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError:
            continue  # unreadable or gone: git says so in its own words
        for entry in entries:
            if entry.name == b".gitignore" and _overrules(entry):
                excludes_hold = False
        for entry in entries:
            path = relative + entry.name
            if entry.name == b".git":
                if relative:
                    findings.nested.append(relative.rstrip(b"/"))
            elif entry.is_dir(follow_symlinks=False):
                if not (excludes_hold and entry.name in _EXCLUDED_FOLDERS):
                    pending.append((entry.path, path + b"/", excludes_hold))
            elif entry.name in _READ_BY_GIT and _is_pipe(entry):
                findings.blocking.append(path)
            elif entry.is_file(follow_symlinks=False) and _size(entry) > LARGEST_FILE:
                findings.large.append(path)
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


def _is_pipe(entry: os.DirEntry[bytes]) -> bool:
    try:
        return stat.S_ISFIFO(entry.stat(follow_symlinks=False).st_mode)
    except OSError:
        return False


def _size(entry: os.DirEntry[bytes]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
