"""The service as a process, and a plain HTTP client of it, for stories and contract tests."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.scripted.process import ROOT


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Somebody with a token, or without."""

    url: str
    token: str | None

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 20,
        on_sent: Callable[[], None] | None = None,
    ) -> Answer:
        """`on_sent` is called between the request's last byte and the answer's first."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        content = raw
        if body is not None:
            content = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=timeout)
        try:
            connection.request(method, path, content, {**sent, **(headers or {})})
            if on_sent is not None:
                on_sent()
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Answer:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.ask("POST", path, body, **options)

    def say(self, text: str, channel: str = "main", **more: Any) -> Answer:
        return self.post(f"/api/chat/{channel}/messages", {"text": text, **more})

    def messages(self, channel: str = "main", after: int = 0) -> list[dict[str, Any]]:
        path = f"/api/chat/{channel}/messages?after={after}&limit=1000"
        items = self.get(path, timeout=60).json["items"]
        assert isinstance(items, list)
        return items

    def upload(
        self, name: str, content: bytes, kind: str = "text/plain", *, client_id: str = ""
    ) -> Answer:
        edge = "0b1c2d3e4f"
        form = f"--{edge}\r\nContent-Disposition: form-data; "
        once = f'{form}name="client_id"\r\n\r\n{client_id}\r\n' if client_id else ""
        head = f'{form}name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
        raw = f"{once}{head}".encode() + content
        return self.post(
            "/api/chat/main/files",
            raw=raw + f"\r\n--{edge}--\r\n".encode(),
            headers={"Content-Type": f"multipart/form-data; boundary={edge}"},
        )


@dataclass
class Event:
    """One server-sent event."""

    id: int
    kind: str
    data: dict[str, Any]


class Listener:
    """Reads a stream in a thread, as a browser tab does."""

    def __init__(self, client: Client, channel: str = "main", last: int | None = None) -> None:
        self.events: list[Event] = []
        self.comments: list[str] = []
        self.ended = threading.Event()
        self._connection = http.client.HTTPConnection(urlsplit(client.url).netloc, timeout=60)
        headers = {"Authorization": f"Bearer {client.token}", "Accept": "text/event-stream"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self._connection.request("GET", f"/api/chat/{channel}/stream", headers=headers)
        assert self._connection.sock is not None
        self._socket: socket.socket = self._connection.sock  # the response takes it away
        self._response = self._connection.getresponse()
        assert self._response.status == 200
        assert self._response.getheader("content-type", "").startswith("text/event-stream")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        wait_until(lambda: bool(self.comments))

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            while line := self._response.readline():
                text = line.decode().rstrip("\r\n")
                if text.startswith(":"):
                    self.comments.append(text)
                elif text:
                    name, _, value = text.partition(": ")
                    fields[name] = value
                elif fields:
                    data = json.loads(fields["data"])
                    self.events.append(Event(int(fields["id"]), fields["event"], data))
                    fields = {}
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass  # it was closed, by us or by the service
        self._response.close()
        self._connection.close()
        self._socket.close()
        self.ended.set()

    def close(self) -> None:
        """Cut it; closing alone would wait for what the thread reads."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)


@dataclass
class Running:
    """A service at work."""

    process: subprocess.Popen[bytes]
    home: Path
    out: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def where(self) -> dict[str, Any]:
        found = json.loads((self.home / "service.json").read_text())
        assert isinstance(found, dict)
        return found

    @property
    def admin(self) -> Client:
        return Client(self.where["url"], (self.home / "web-token").read_text().strip())

    @property
    def stranger(self) -> Client:
        return Client(self.where["url"], None)

    def member(self, name: str, role: str) -> Client:
        answer = self.admin.post("/api/members", {"user": f"web:{name}", "role": role})
        assert answer.status == 201
        return Client(self.where["url"], answer.json["token"])

    def wait_ready(self, timeout: float = 180) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.out.read_text()
            try:
                mine = self.where["pid"] == self.pid  # not what a killed one left
                return mine and self.stranger.get("/readyz").status == 200
            except (OSError, ValueError, http.client.HTTPException):
                return False

        wait_until(ready, timeout)

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Seconds until it was gone."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - begun


@dataclass
class House:
    """A home in which services are started, one after the other."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    starts: int = 0

    def start(self, *, tree: Path = ROOT, **env: str) -> Running:
        """Start the service, of this source tree or of another one."""
        self.starts += 1
        out = self.home.with_name(f"{self.home.name}-{self.starts}.txt")
        with out.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "bot", "serve", "--home", str(self.home)],
                cwd=tree,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "AUTOCODER_MODEL": "practice",
                    "AUTOCODER_PORT": "0",
                    "PYTHONPATH": str(tree),
                    **self.env,
                    **env,
                },
                process_group=0,
            )
        return Running(process, self.home, out)

    @contextmanager
    def running(self, *, tree: Path = ROOT, **env: str) -> Iterator[Running]:
        service = self.start(tree=tree, **env)
        try:
            service.wait_ready()
            yield service
        finally:
            if service.process.poll() is None:
                service.process.kill()
            service.process.wait()


def wait_until(true: Any, timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.02)
