"""A place where the processes of all boxes are counted."""

import os
from pathlib import Path

_TASKS = 4096
_NAME = "autocoder-boxes"


def box_cgroup() -> Path | None:
    """A control group that ends a fork bomb, or None where we may not make one.

    As root no other limit holds: RLIMIT_NPROC does not count user 0.
    """
    own = _own_group()
    if own is None:
        return None
    group = own / _NAME
    try:
        group.mkdir(exist_ok=True)
        limit = group / "pids.max"
        if not limit.exists():
            (own / "cgroup.subtree_control").write_text("+pids")
        limit.write_text(str(_TASKS))
    except OSError:
        return None
    return group if os.access(group / "cgroup.procs", os.W_OK) else None


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
