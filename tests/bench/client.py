"""A person at the service's HTTP: posts that are timed, a stream that is kept, pages that are read."""

import argparse
import http.client
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any
from urllib.parse import quote, urlsplit

_ROOT = Path(__file__).parents[2]
_READ_PAUSE_S = 0.05  # between two pages of the reader: a person's browser, not a flood


class Line:
    """One connection that is kept, as a browser keeps it."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        sent = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, sent, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def get(self, path: str) -> Any:
        status, body = self.ask("GET", path)
        if status != 200:
            raise RuntimeError(f"{path} answered {status}: {body[:500]!r}")
        return json.loads(body)

    def timed(self, path: str, body: object) -> tuple[float, int]:
        """Seconds until a POST was answered whole, and its status."""
        begun = time.perf_counter()
        status, _ = self.ask("POST", path, body)
        return time.perf_counter() - begun, status

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Arrival:
    """One message or edit, as it came by the stream."""

    at: float  # seconds since the epoch
    data: dict[str, Any]


class Stream:
    """A channel's server-sent events with the times at which they came."""

    def __init__(self, url: str, token: str, channel: str) -> None:
        self._lines: list[tuple[float, bytes]] = []
        self._socket = socket.create_connection(
            (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        )
        self._socket.sendall(
            f"GET /api/chat/{channel}/stream HTTP/1.0\r\nHost: {urlsplit(url).netloc}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines, suppress(OSError, ValueError):
            for line in lines:
                if line.startswith(b"data: "):  # read later: now only the time matters
                    self._lines.append((time.time(), line))

    def arrivals(self) -> Iterator[Arrival]:
        for at, line in tuple(self._lines):
            yield Arrival(at, json.loads(line.removeprefix(b"data: ")))

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()


def routes(project: str) -> tuple[str, ...]:
    """What somebody reads who looks at a project whole."""
    of = f"/api/projects/{quote(project)}"
    return (
        "/api/projects",
        of,
        f"{of}/phases",
        f"{of}/features",
        f"{of}/tasks",
        f"{of}/journal",
        f"{of}/runs",
        f"{of}/approvals",
        "/api/usage",
        f"/api/usage/projects/{quote(project)}",
        f"/api/usage/history?project={quote(project)}",
        "/metrics",
    )


@contextmanager
def reader(url: str, token: str, project: str) -> Iterator[None]:
    """Somebody who reads a project's report and lists, one page after the other, all the time."""
    argv = [sys.executable, "-m", "tests.bench.client", "--", url, token, project]
    with Popen(argv, cwd=_ROOT, stdin=DEVNULL) as process:
        try:
            yield
            if process.poll() is not None:
                raise RuntimeError("the reader gave up")
        finally:
            process.terminate()


def _read_on(url: str, token: str, project: str) -> None:
    line = Line(url, token)
    while True:
        for path in routes(project):
            large = path.endswith(("/tasks", "/journal"))
            status, body = line.ask("GET", f"{path}?limit=1000" if large else path)
            if status != 200:
                raise RuntimeError(f"{path} answered {status}: {body[:500]!r}")
            time.sleep(_READ_PAUSE_S)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.bench.client")
    for name in ("url", "token", "project"):
        parser.add_argument(name)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _read_on(given.url, given.token, given.project)
