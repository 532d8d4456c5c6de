"""Processes on this Linux host, read from /proc."""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.ports.host import RunningProcess

_VARIABLE = "AUTOCODER_PROCESS"
_MARKER = f"{_VARIABLE}=".encode()
_FREEZE_SECONDS = 2.0
_SWEEP_SECONDS = 5.0
_ENDED = "ZX"
_STOPPED = "Tt"


@dataclass(frozen=True)
class _Stat:
    process: RunningProcess
    state: str


class HostProcesses:
    """The `Processes` port. Needs nothing but /proc and the right to signal."""

    def below(self, pid: int) -> tuple[RunningProcess, ...]:
        return tuple(stat.process for stat in _below(pid) if stat.state not in _ENDED)

    def freeze(
        self, pid: int, *, spare: Collection[int] = (), spare_below: Collection[int] = ()
    ) -> tuple[int, ...]:
        """Gives up after 2 s on what cannot be stopped (uninterruptible disk waits)."""
        stopped: list[int] = []
        deadline = time.monotonic() + _FREEZE_SECONDS
        quiet = 0
        # Twice: what a process forked in its last moment, while we read, is seen by the next look.
        while quiet < 2 and time.monotonic() < deadline:
            running = [
                stat
                for stat in _below(pid)
                if stat.state not in _ENDED + _STOPPED
                and stat.process.pid not in spare
                and stat.process.parent not in spare_below
            ]
            quiet = 0 if running else quiet + 1
            for stat in running:
                target = stat.process.pid
                if _signal(target, signal.SIGSTOP) and target not in stopped:
                    stopped.append(target)
            if running:
                time.sleep(0.0005)
        return tuple(stopped)

    def thaw(self, pids: Sequence[int]) -> None:
        # Children first: a parent that runs again must not find a child it waits for stopped.
        for pid in reversed(pids):
            _signal(pid, signal.SIGCONT)

    def kill(self, pids: Sequence[int]) -> None:
        for pid in pids:
            _signal(pid, signal.SIGKILL)

    def sweep(self, marker_prefix: str) -> int:
        if not marker_prefix:
            raise ValueError("an empty marker would match every process of every autocoder")
        killed: set[int] = set()
        deadline = time.monotonic() + _SWEEP_SECONDS
        # Again until none is left: what is being swept may fork meanwhile.
        while time.monotonic() < deadline:
            living = [pid for pid in _pids() if _is_marked(pid, marker_prefix.encode())]
            if not living:
                break
            self.kill(living)
            killed.update(living)
            time.sleep(0.002)
        return len(killed)

    @contextmanager
    def marking(self, marker: str) -> Iterator[None]:
        """What is started within the block inherits the marker, unless it is given another one.

        A process's own marker, by which it would be swept, is what it was started with.
        """
        before = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = marker
        try:
            yield
        finally:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before

    def free_memory(self) -> int:
        """What the kernel calls available, or what the control group leaves if that is less."""
        available = _meminfo("MemAvailable")
        limit = _number(Path("/sys/fs/cgroup/memory.max"))
        used = _number(Path("/sys/fs/cgroup/memory.current"))
        if limit is not None and used is not None:
            return max(0, min(available, limit - used))
        return available


def _below(pid: int) -> list[_Stat]:
    children: dict[int, list[_Stat]] = defaultdict(list)
    for stat in _all():
        children[stat.process.parent].append(stat)
    found: list[_Stat] = []
    queue = [pid]
    while queue:
        for stat in children.get(queue.pop(0), []):
            found.append(stat)
            queue.append(stat.process.pid)
    return found


def _all() -> Iterable[_Stat]:
    for pid in _pids():
        try:
            # Plain calls: this reads every process of the host while an agent waits.
            file = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        except OSError:
            continue  # ended meanwhile
        try:
            text = os.read(file, 4096)
        except OSError:
            continue
        finally:
            os.close(file)
        # The name stands in parentheses and may hold parentheses and spaces itself.
        start, _, rest = text.rpartition(b")")
        state, parent = rest.split(None, 2)[:2]
        name = start.partition(b"(")[2].decode(errors="replace")
        yield _Stat(RunningProcess(pid, int(parent), name), state.decode())


def _is_marked(pid: int, prefix: bytes) -> bool:
    if pid == os.getpid():
        return False
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return any(entry.startswith(_MARKER + prefix) for entry in environ.split(b"\0"))


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _meminfo(name: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return 0


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None  # no such limit ("max") or no such control group
