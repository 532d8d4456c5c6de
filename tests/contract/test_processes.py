"""`HostProcesses` keeps the `Processes` port's promise, with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from adapters.processes import HostProcesses
from core.ports.host import Processes

FORKING = """
import os, sys, time
print("up", flush=True)
while True:
    if os.fork() == 0:
        time.sleep(0.02)
        open(sys.argv[1], "a").write("x")
        os._exit(0)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError:
        pass
    time.sleep(0.0005)
"""


@pytest.fixture
def processes() -> Processes:
    return HostProcesses()


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes to be ended with everything in their sessions."""
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for process in found:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def start(
    started: list[subprocess.Popen[bytes]], *argv: str, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, start_new_session=True, env={**os.environ, **(env or {})}
    )
    started.append(process)
    return process


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def grown(path: Path, before: int) -> bool:
    return path.stat().st_size > before


def state(pid: int) -> str:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()[0]


def test_below_names_every_living_descendant(
    processes: Processes, started: list[subprocess.Popen[bytes]]
) -> None:
    outer = start(started, "sh", "-c", "sh -c 'sleep 71 & sleep 72; true' & (sleep 73; true)")
    names = ["sh", "sh", "sleep", "sleep", "sleep"]  # once each fork has become its program
    assert soon(lambda: sorted(process.name for process in processes.below(outer.pid)) == names)
    below = processes.below(outer.pid)
    parents = {process.pid: process.parent for process in below}
    assert all(parent == outer.pid or parent in parents for parent in parents.values())
    assert outer.pid not in parents


def test_an_odd_name_is_read_whole(
    processes: Processes, started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    outer = start(started, "sh", "-c", f"'{program}' 74; true")
    assert soon(lambda: [process.name for process in processes.below(outer.pid)] == [program.name])
    assert processes.below(outer.pid)[0].parent == outer.pid


def test_frozen_processes_do_nothing_until_they_are_thawed(
    processes: Processes, started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    count = tmp_path / "count"
    count.touch()
    outer = start(
        started, "sh", "-c", '"$0" -c "$1" "$2"; true', sys.executable, FORKING, str(count)
    )
    assert outer.stdout is not None
    outer.stdout.readline()
    for _ in range(5):
        assert soon(lambda: count.stat().st_size > 20)
        stopped = processes.freeze(outer.pid)
        assert stopped
        assert outer.pid not in stopped
        before = count.stat().st_size
        living = processes.below(outer.pid)
        assert {process.pid for process in living} <= set(stopped)
        assert {state(process.pid) for process in living} == {"T"}
        time.sleep(0.1)
        assert count.stat().st_size == before
        processes.thaw(stopped)
        assert soon(partial(grown, count, before))
        count.write_text("")


def test_kill_ends_and_does_not_mind_the_dead(
    processes: Processes, started: list[subprocess.Popen[bytes]]
) -> None:
    outer = start(started, "sleep", "75")
    processes.kill([outer.pid, 2**22 - 1])
    assert outer.wait(5) == -signal.SIGKILL


def test_sweep_finds_the_marker_alone(
    processes: Processes, started: list[subprocess.Popen[bytes]]
) -> None:
    mark = f"sweeptest{os.getpid()}"
    ours = start(
        started, "sh", "-c", "setsid sleep 76 & sleep 76", env={"AUTOCODER_PROCESS": f"{mark}-1"}
    )
    stopped = start(started, "sleep", "76", env={"AUTOCODER_PROCESS": f"{mark}-20"})
    other = start(started, "sleep", "76", env={"AUTOCODER_PROCESS": f"x{mark}-1"})
    near = start(started, "sleep", "76", env={"XAUTOCODER_PROCESS": f"{mark}-1"})
    assert soon(lambda: len(processes.below(ours.pid)) == 2)
    stopped.send_signal(signal.SIGSTOP)
    assert processes.sweep(f"{mark}-") == 4
    assert ours.wait(5) == stopped.wait(5) == -signal.SIGKILL
    assert other.poll() is None
    assert near.poll() is None
    assert processes.sweep(f"{mark}-") == 0
    with pytest.raises(ValueError, match="empty"):
        processes.sweep("")


def test_what_is_started_inherits_the_marker_unless_it_has_its_own() -> None:
    command = ["sh", "-c", "echo $AUTOCODER_PROCESS"]

    def marker(**more: str) -> str:
        env = {**os.environ, **more} if more else None
        return subprocess.run(command, capture_output=True, text=True, env=env).stdout.strip()

    before = marker()
    with HostProcesses().marking("abcdef-0"):
        assert marker() == "abcdef-0"
        assert marker(AUTOCODER_PROCESS="abcdef-7") == "abcdef-7"
    assert marker() == before


def test_free_memory_is_in_bytes(processes: Processes) -> None:
    assert 1 << 20 < processes.free_memory() < 1 << 50
