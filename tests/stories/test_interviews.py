"""Interviews with the real CLI and the practice model: asked, left, killed, taken up, written."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from adapters.practice.programs import todobook
from core.views.plans import PLAN
from tests.contract.practice_parts import OWN_WORDS
from tests.scripted.process import ROOT
from tests.stories.world import marked_processes

SPEC = ".autocoder/prompts/app_spec.txt"
SAID = {
    "overview": "A book list, «mine»",
    "involvement": "Detailed",
    "technology": "just decide",
    "features": "own words: [sort], and\nfind by 'author'",
    "technical details": "One JSON file",
    "success criteria": "It $HOME works",
}


class Service:
    """The service as a process, and a person who looks into its database."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.stories.talk", str(self.home)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "AUTOCODER_MODEL": "practice"},
        )
        assert self._line() == "ready\n"

    def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def do(self, *doing: object) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(doing) + "\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def stop(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=20)
            self._process = None

    def rows(self, query: str) -> list[Any]:
        path = self.home / "autocoder.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()

    def column(self, query: str) -> list[Any]:
        return [row[0] for row in self.rows(query)]

    def wait(self, query: str, timeout: float = 60) -> Any:
        """The first row there is."""
        deadline = time.monotonic() + timeout
        while not (found := self.rows(query)):
            assert time.monotonic() < deadline, self.rows(
                "SELECT event, text FROM journal ORDER BY id DESC LIMIT 8"
            )
            time.sleep(0.03)
        return found[0]

    def question(self, number: int) -> tuple[int, str]:
        """Id and topic of the N-th question, once it waits."""
        asked = "SELECT id, topic FROM questions WHERE answer IS NULL AND number ="
        found: tuple[int, str] = self.wait(f"{asked} {number}")
        return found

    def answer(self, number: int) -> None:
        question, topic = self.question(number)
        assert self.do("answer", question, SAID[topic]) is None

    def agents(self) -> list[str]:
        """Living processes of agents: all of this home but those of the service itself."""
        home = sha256(str(self.home.resolve()).encode()).hexdigest()[:8]
        lines = marked_processes(f"AUTOCODER_PROCESS={home}-".encode())
        return [line for pid, line in lines if f"{home}-0".encode() not in _marker(pid)]

    def spec(self, slug: str) -> str:
        return (self.home / "projects" / slug / SPEC).read_text()

    def git(self, slug: str, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.home / "projects" / slug,
            capture_output=True,
            text=True,
            check=True,
        ).stdout


def _marker(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b"-0"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "home")
    made.start()
    yield made
    made.stop()


def test_from_a_name_to_a_plan(service: Service) -> None:
    project = service.do("new", "Book list")
    assert service.do("new", "book LIST") == project, "a second one is the first"
    for number in range(1, 4):
        service.answer(number)
    number_of_three = service.question(4)
    service.wait("SELECT 1 FROM runs WHERE status = 'waiting'")
    assert service.agents() == [], "no process waits for a person"
    files = service.home / "files"
    files.mkdir()
    (files / "abc").write_bytes(b"png")
    assert service.do("drop", project, "abc", "../odd name.png") == ["material/1-odd-name.png"]
    technology = service.column("SELECT id FROM questions WHERE topic = 'technology'")[0]
    assert service.do("change", technology, "Something else") is None
    for number in range(5, 8):  # the one that was open is asked again
        service.answer(number)
    assert number_of_three[1] == service.column("SELECT topic FROM questions WHERE number = 5")[0]
    assert service.wait("SELECT kind FROM approvals WHERE status = 'open'") == ("plan",)
    spec = service.spec("book-list")
    for words in ("«mine»", "Something else", "[sort]", "One JSON file", "$HOME", "1-odd-name"):
        assert words in spec
    assert (service.home / "interviews/book-list/material/1-odd-name.png").read_bytes() == b"png"
    assert service.git("book-list", "ls-tree", "-r", "--name-only", "main").split() == [
        SPEC,
        ".autocoder/prompts/initializer_prompt.md",
    ]
    interviewers = "FROM runs WHERE kind = 'interviewer'"
    assert len(set(service.column(f"SELECT session_id {interviewers}"))) == 1
    assert service.column("SELECT count(*) FROM journal WHERE event = 'spec_written'") == [1]
    assert "StateError" in service.do("change", technology, "Too late")


def test_killed_between_asking_and_writing(service: Service) -> None:
    """Each wait is cut short, each question is asked once, each answer is heard."""
    service.do("new", "Book list")
    asked = "SELECT count(*) FROM questions"
    moments: list[Callable[[], object]] = [
        lambda: service.wait(f"SELECT 1 WHERE ({asked}) = 1"),
        lambda: service.answer(1),
    ]
    for moment in moments:
        moment()
        service.kill()
        service.start()
    for number in range(2, 7):
        service.answer(number)
    service.wait("SELECT 1 FROM interviews WHERE status != 'asking'")
    service.kill()
    service.start()
    service.wait("SELECT kind FROM approvals WHERE status = 'open'")
    expect_undisturbed(service)


@pytest.mark.slow
@pytest.mark.parametrize("every", [2, 3, 5])
def test_killed_again_and_again(service: Service, every: int) -> None:
    """Killed whenever the journal has grown by so much, and answered as soon as something waits."""
    service.do("new", "Book list")
    killed, deadline = 1, time.monotonic() + 240
    while not service.rows("SELECT 1 FROM approvals"):
        assert time.monotonic() < deadline
        length = service.column("SELECT count(*) FROM journal")[0]
        if length >= killed + every and killed < 40:
            service.kill()
            killed = length
            service.start()
        for (number,) in service.rows("SELECT number FROM questions WHERE answer IS NULL"):
            service.answer(number)
        time.sleep(0.01)
    expect_undisturbed(service)


def expect_undisturbed(service: Service) -> None:
    assert service.rows("SELECT topic, answer FROM questions ORDER BY id") == list(SAID.items())
    spec = service.spec("book-list")
    for words in ("«mine»", "Detailed", "[sort]", "One JSON file", "$HOME"):
        assert words in spec
    assert service.git("book-list", "rev-list", "--count", "main").strip() == "1"
    assert service.column("SELECT count(*) FROM journal WHERE event = 'spec_written'") == [1]
    assert service.column("SELECT count(*) FROM plans") == [1]
    assert service.column("SELECT failures FROM interviews") == [0]


@pytest.mark.slow
@pytest.mark.parametrize("said", OWN_WORDS)
def test_own_words_lead_to_the_story(service: Service, said: Mapping[str, str]) -> None:
    service.do("new", "Own words")
    for number in range(1, len(said) + 1):
        question, topic = service.question(number)
        assert service.do("answer", question, said[topic]) is None
    service.wait("SELECT 1 FROM approvals WHERE status = 'open'")
    ((plan,),) = service.rows("SELECT payload FROM plans")
    assert json.loads(plan) == json.loads(
        json.dumps(asdict(PLAN.validate_python(todobook(asks=True))))
    )
    assert service.rows("SELECT topic, answer FROM questions ORDER BY id") == list(said.items())


@pytest.mark.slow
def test_what_is_added_is_built(service: Service) -> None:
    """A job, then a feature with an interview, on a project that is complete."""
    project = service.do("new", "Small")
    complete = "SELECT 1 FROM projects WHERE status = 'completed'"
    _approve_until(service, complete)
    assert isinstance(service.do("add", project, "job", "Add a CHANGES file"), int)
    service.wait("SELECT 1 FROM projects WHERE status = 'running'")
    plans = service.column("SELECT count(*) FROM approvals WHERE kind = 'plan'")
    _approve_until(service, complete)
    assert service.column("SELECT count(*) FROM approvals WHERE kind = 'plan'") == plans == [1]
    feature = service.do("add", project, "feature", "Export to CSV")
    _approve_until(service, f"SELECT 1 FROM interviews WHERE id = {feature} AND status = 'done'")
    _approve_until(service, complete)
    assert "## Export to CSV" in service.spec("small")
    assert service.column("SELECT DISTINCT status FROM tasks") == ["passing"]
    assert service.column("SELECT DISTINCT status FROM phases") == ["completed"]


def _approve_until(service: Service, query: str, timeout: float = 150) -> None:
    deadline = time.monotonic() + timeout
    while not service.rows(query):
        assert time.monotonic() < deadline, service.rows("SELECT event, text FROM journal")[-6:]
        for (question,) in service.rows("SELECT id FROM questions WHERE answer IS NULL"):
            service.do("answer", question, "Anything at all")
        for approval, slug in service.rows(
            "SELECT a.id, p.slug FROM approvals a JOIN projects p ON p.id = a.project_id"
            " WHERE a.status = 'open'"
        ):
            service.do("approve", approval, slug)
        time.sleep(0.05)
