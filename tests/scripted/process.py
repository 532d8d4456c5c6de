"""The scripted model as a process of its own, and its books."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.scripted.scenario import Scenario

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Booked:
    """One message, as its server saw it."""

    message_id: str
    model: str
    kind: str | None
    input_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    output_tokens: int
    end_sent: bool


@dataclass(frozen=True)
class ScriptedModel:
    url: str
    pid: int
    script: Path
    books: Path

    def play(self, scenario: Scenario) -> None:
        """From the next request on."""
        scenario.save(self.script)

    def wait_for(self, count: int, kind: str | None = None, *, timeout: float = 60) -> int:
        """Return when so many requests have come. Raises TimeoutError."""
        query = f"count={count}" + (f"&kind={kind}" if kind else "")
        with urllib.request.urlopen(f"{self.url}/_seen?{query}", timeout=timeout) as answer:
            return int(json.load(answer)["seen"])

    def messages(self) -> dict[str, Booked]:
        """By message id."""
        lines = (line for line in self._lines() if "message_id" in line)
        return {line["message_id"]: Booked(**line) for line in lines}

    def requests(self) -> list[dict[str, Any]]:
        return [line for line in self._lines() if "request" in line]

    def _lines(self) -> Iterator[dict[str, Any]]:
        for line in self.books.read_text().splitlines():
            yield json.loads(line)


@contextmanager
def scripted_model(folder: Path, scenario: Scenario) -> Iterator[ScriptedModel]:
    """In a session of its own, so that no signal to the program reaches it; dies with us."""
    script, books = folder / "scenario.json", folder / "books.jsonl"
    scenario.save(script)
    books.touch()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.scripted", str(script), str(books), str(os.getpid())],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield ScriptedModel(f"http://127.0.0.1:{port}", process.pid, script, books)
        finally:
            process.kill()
