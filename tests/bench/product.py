"""One whole build by the program, as a person starts it, and what could be seen of it."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tests.bench.model import Request, model

_ROOT = Path(__file__).parents[2]
_LOOK_SECONDS = 0.25
_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Look:
    """Processes at one moment."""

    agents: tuple[int, ...]  # processes of each agent at work
    agents_pss: int  # bytes, of all agents together; 0: not looked at
    program_pss: int


@dataclass(frozen=True)
class Build:
    """A finished build."""

    seconds: float  # from the first coder request to the last evidence row
    whole_seconds: float  # of the program, from start to exit
    tasks: int  # accepted
    requests: tuple[Request, ...]
    looks: tuple[Look, ...]

    def coder_requests(self) -> list[Request]:
        return [request for request in self.requests if request.kind == "coder"]


def plan(features: int, tasks: int) -> dict[str, Any]:
    """Independent features of independent tasks, each with one cheap check that fails today."""
    return {
        "summary": "Files that say their names.",
        "phases": [
            {
                "name": "Files",
                "features": [
                    {
                        "name": f"Shelf {shelf}",
                        "tasks": [
                            {
                                "name": f"File {shelf}.{number}",
                                "description": f"Write shelf{shelf}/file{number}.txt.",
                                "steps": [f"Write shelf{shelf}/file{number}.txt with its name."],
                                "complexity": 1,
                                "files": [f"shelf{shelf}/file{number}.txt"],
                                "checks": [f"test -s shelf{shelf}/file{number}.txt"],
                            }
                            for number in range(1, tasks + 1)
                        ],
                    }
                    for shelf in range(1, features + 1)
                ],
            }
        ],
    }


def build(
    planned: Mapping[str, Any], folder: Path, *, agents: int, batch: int, latency: float = 0
) -> Build:
    """Have the program build a plan against the scripted model, in a home of its own."""
    folder.mkdir(parents=True)
    home, spec = folder / "home", folder / "spec.md"
    spec.write_text("# Shelves\n\nFiles that say their names.\n")
    with model(dict(planned), folder, latency=latency) as served:
        started = time.monotonic()
        with (
            (folder / "output.txt").open("wb") as output,
            subprocess.Popen(
                [sys.executable, "-m", "bot", "build", str(spec), "--home", str(home), "--yes"],
                cwd=_ROOT,
                env=_environment(served.url, agents, batch),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            ) as program,
        ):
            watch = _Watch(home / "autocoder.db", program.pid, with_memory=latency > 0)
            watch.start()
            try:
                code = program.wait(_TIMEOUT_SECONDS)
            finally:
                watch.over.set()
                watch.join()
                if program.poll() is None:
                    program.kill()
        whole = time.monotonic() - started
        requests = served.requests()
    if code != 0:
        words = (folder / "output.txt").read_text(errors="replace")[-3000:]
        raise RuntimeError(f"the build ended with {code}:\n{words}")
    first = min(request.at for request in requests if request.kind == "coder")
    last, accepted = _evidence(home / "autocoder.db")
    return Build(last - first, whole, accepted, requests, tuple(watch.looks))


def _environment(url: str, agents: int, batch: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return {
        **kept,
        "LANG": "C.UTF-8",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "none",
        "AUTOCODER_AGENTS__MAX_PARALLEL": str(agents),
        "AUTOCODER_AGENTS__HOST_PARALLEL": str(agents),
        "AUTOCODER_AGENTS__BATCH": str(batch),
        "AUTOCODER_BUDGET__PROJECT_USD": "1000",
    }


def _evidence(database: Path) -> tuple[float, int]:
    """When the last accepted evidence was written, and how many there are."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        last, count = connection.execute(
            "SELECT max(at), count(*) FROM evidence WHERE accepted"
        ).fetchone()
    return datetime.fromisoformat(last).replace(tzinfo=UTC).timestamp(), count


class _Watch(threading.Thread):
    """Counts an agent's processes and memory while it waits for the model."""

    def __init__(self, database: Path, program: int, *, with_memory: bool) -> None:
        super().__init__(daemon=True)
        self.looks: list[Look] = []
        self.over = threading.Event()
        self._database = database
        self._program = program
        self._with_memory = with_memory

    def run(self) -> None:
        while self._with_memory and not self.over.wait(_LOOK_SECONDS):
            try:
                look = self._look()
            except (psutil.Error, OSError, sqlite3.Error):
                continue  # something ended while it was being looked at
            if look.agents:
                self.looks.append(look)

    def _look(self) -> Look:
        families = [
            [process, *process.children(recursive=True)]
            for process in map(psutil.Process, self._pids())
        ]
        return Look(
            agents=tuple(len(family) for family in families),
            agents_pss=sum(pss(process.pid) for family in families for process in family),
            program_pss=pss(self._program),
        )

    def _pids(self) -> list[int]:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT pid FROM agent_processes"
                " WHERE kind = 'coder' AND ended_at IS NULL AND run_id AND pid"
            )
            return [row[0] for row in rows]


def pss(pid: int) -> int:
    """Bytes of proportional set size."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
