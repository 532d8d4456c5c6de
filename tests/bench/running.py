"""`autocoder serve` as a person starts it, and what it costs the machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.client import Line
from tests.bench.product import pss

_ROOT = Path(__file__).parents[2]
_READY_SECONDS = 120
_LOOK_S = 0.01


@dataclass(frozen=True)
class Running:
    """A service that takes commands."""

    process: psutil.Process
    url: str
    token: str
    home: Path
    ready_seconds: float  # from its start to its first 200 at /readyz

    def line(self) -> Line:
        return Line(self.url, self.token)

    def family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def pss(self) -> int:
        """Bytes, its children included."""
        return sum(pss(process.pid) for process in self.family())

    def cpu(self) -> float:
        """Seconds of processor time so far, its children included."""
        times = [process.cpu_times() for process in self.family()]
        return sum(each.user + each.system for each in times)


@contextmanager
def service(home: Path, env: Mapping[str, str]) -> Iterator[Running]:
    """A service on this home, ready; killed at the end of the block if it is still there."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    said = home.with_name(f"{home.name}.txt")
    begun = time.monotonic()
    with (
        said.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "bot", "serve", "--home", str(home)],
            cwd=_ROOT,
            env={**kept, "LANG": "C.UTF-8", "AUTOCODER_PORT": "0", **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            url = _ready(process, home, said, begun)
            took = time.monotonic() - begun
            token = (home / "web-token").read_text().strip()
            yield Running(psutil.Process(process.pid), url, token, home, took)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _ready(process: subprocess.Popen[bytes], home: Path, said: Path, begun: float) -> str:
    while time.monotonic() - begun < _READY_SECONDS:
        if process.poll() is not None:
            words = said.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"the service ended with {process.returncode}:\n{words}")
        with suppress(OSError, ValueError, KeyError):
            url = str(json.loads((home / "service.json").read_text())["url"])
            line = Line(url)
            status, _ = line.ask("GET", "/readyz")
            line.close()
            if status == 200:
                return url
        time.sleep(_LOOK_S)
    raise RuntimeError("the service does not become ready")
