"""End a box at once and wait until nothing of it is left."""

import os
import select
import signal
import time
from pathlib import Path

_PATIENCE_SECONDS = 5.0
_STOP_SECONDS = 0.2


def end_box(pid: int) -> None:
    """Kill the box whose outer process is `pid`, our child; blocks some milliseconds.

    The outer process is stopped first so that it cannot start the inside while we look for
    it. The inside is pid 1 of a process namespace: when it is dead, all in it are.
    """
    waited = _open(pid)
    if waited is None:
        return
    _signal(pid, signal.SIGSTOP)
    _until_stopped(pid)
    fds = [waited]
    for child in _children(pid):
        fd = _open(child)
        if fd is not None:
            fds.append(fd)
        _signal(child, signal.SIGKILL)
    _signal(pid, signal.SIGKILL)
    _wait_all(fds)


def end_marked(name: str, value: str) -> int:
    """Kill every process with `name=value` in its environment, until none is left."""
    wanted = f"{name}={value}".encode()
    killed: set[int] = set()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        living = [pid for pid in _pids() if wanted in _environ(pid).split(b"\0")]
        if not living:
            break
        for pid in living:
            _signal(pid, signal.SIGKILL)
        killed.update(living)
        time.sleep(0.001)
    return len(killed)


def _wait_all(fds: list[int]) -> None:
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    left, deadline = set(fds), time.monotonic() + _PATIENCE_SECONDS
    while left and (seconds := deadline - time.monotonic()) > 0:
        for fd, _ in poller.poll(seconds * 1000):
            poller.unregister(fd)
            left.discard(fd)
    for fd in fds:
        os.close(fd)


def _until_stopped(pid: int) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline and _state(pid) not in "TtZX":
        time.sleep(0.0005)


def _state(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "X"
    return text.rpartition(")")[2].strip()[:1]


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return [child for child in _pids() if _parent(child) == pid]


def _parent(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return -1
    return int(text.rpartition(")")[2].split()[1])


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _open(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
