"""Control groups in which the processes of each box are counted."""

import os
import re
import time
from pathlib import Path

TASKS = 4096  # threads and processes in one box
_ALL_TASKS = 16384  # in all boxes together; half of what the kernel has by default
_NAME = "autocoder-boxes"
_KEPT_SECONDS = 600  # a group made for a box that has not started yet must not go


class BoxGroups:
    """One group per AUTOCODER_PROCESS, so that a fork bomb ends there and harms no other box.

    As root no other limit holds: RLIMIT_NPROC does not count user 0.
    """

    def __init__(self, top: Path) -> None:
        self._top = top
        self._pruned = 0.0

    def join_file(self, process_id: str) -> Path | None:
        """Where a process writes `0` to be counted; None if the group cannot be made."""
        self._prune()
        group = self._top / re.sub(r"[^A-Za-z0-9_-]", "_", process_id)
        try:
            group.mkdir(exist_ok=True)
            (group / "pids.max").write_text(str(TASKS))
        except OSError:
            return None
        # Moving one thread (v1) takes no lock; moving a process waits some 6 ms for all others.
        for join in (group / "tasks", group / "cgroup.procs"):
            if os.access(join, os.W_OK):
                return join
        return None

    def _prune(self) -> None:
        now = time.time()
        if now - self._pruned < _KEPT_SECONDS:
            return
        self._pruned = now
        for group in self._top.iterdir():
            try:
                if group.is_dir() and now - group.stat().st_mtime > _KEPT_SECONDS:
                    group.rmdir()
            except OSError:
                continue  # in use


def box_groups() -> BoxGroups | None:
    """None where this program may not make control groups or cannot count processes."""
    own = _own_group()
    if own is None:
        return None
    top = own / _NAME
    try:
        top.mkdir(exist_ok=True)
        if not (top / "tasks").exists():  # v2 hands controllers down one level at a time
            (own / "cgroup.subtree_control").write_text("+pids")
            (top / "cgroup.subtree_control").write_text("+pids")
        (top / "pids.max").write_text(str(_ALL_TASKS))
    except OSError:
        return None
    return BoxGroups(top)


def _own_group() -> Path | None:
    """Our own group: of the pids controller (v1), else the unified one (v2)."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    root = Path("/sys/fs/cgroup")
    unified: Path | None = None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "pids" in controllers.split(","):
            return root / "pids" / path.lstrip("/")
        if not controllers and (root / "cgroup.controllers").exists():
            unified = root / path.lstrip("/")
    return unified
