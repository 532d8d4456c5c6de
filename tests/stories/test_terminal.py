"""A build and the service in one home; what a build shows when it begins again; the demo."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.stories.service import House, wait_until
from tests.stories.stranger import Stranger, expect_words, left_processes

PROMPT = "approve · reject REASON · details ›"


def waiting(stranger: Stranger, spec: Path, number: signal.Signals = signal.SIGTERM) -> str:
    """What a build says until its plan waits; it is ended then."""
    program = stranger.begin("build", spec, listening=True)
    program.until_it_says(PROMPT, timeout=200)
    program.signal(number)
    return program.end().out


def rows(home: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(home / "autocoder.db", isolation_level=None)) as database:
        return database.execute(query).fetchall()


@pytest.mark.timeout(400)
def test_a_build_that_begins_again_shows_what_waits(tmp_path: Path) -> None:
    """After a kill, after a stop, and in a home of a version that knew no cards."""
    stranger = Stranger(tmp_path)
    spec = stranger.spec()
    first = waiting(stranger, spec, signal.SIGKILL)
    assert first.count("Plan for Notes") == 1
    assert first.endswith(f"{PROMPT}\n")
    again = waiting(stranger, spec)
    assert "Going on where it was." in again
    assert again.count("Plan for Notes") == 1
    assert "Spec of Notes" not in again
    for table in ("outbox", "inbox", "told"):
        rows(stranger.home, f"DELETE FROM {table}")
    old = waiting(stranger, spec)
    assert old.count("Plan for Notes") == 1
    assert "Spec of Notes" not in old
    assert left_processes(stranger.home) == []


@pytest.mark.timeout(400)
def test_what_a_build_began_goes_on_in_the_service(tmp_path: Path) -> None:
    """In its list and on its page; `use` brings it into a channel, where it is decided."""
    stranger = Stranger(tmp_path)
    spec = stranger.spec()
    waiting(stranger, spec)
    with House(stranger.home).running() as service:
        client = service.admin
        [project] = client.get("/api/projects").json["items"]
        assert (project["name"], project["channels"]) == ("Notes", ["terminal:main"])
        assert b"Notes" in client.get("/c/main").body
        client.say("/autocoder use Notes")

        def plan() -> list[dict[str, object]]:
            kinds = [m for m in client.messages() if m["card"] and m["card"]["kind"] == "plan"]
            return [m["card"] for m in kinds if m["card"]["buttons"]]

        wait_until(plan)
        assert client.get("/api/projects/Notes").json["channels"] == ["terminal:main", "web:main"]
        client.say("/autocoder approve")
        wait_until(lambda: _status(stranger) == "running")
    done = stranger.run("build", spec, "--yes")
    expect_words(done, 0, "Notes is complete", "Repository")
    assert "Plan for Notes" not in done.out


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_build_takes_up_what_was_added_in_the_service(tmp_path: Path) -> None:
    """The same command goes on, though the spec on main is another one by then."""
    stranger = Stranger(tmp_path)
    spec = stranger.spec()
    expect_words(stranger.run("build", spec, "--yes"), 0, "Notes is complete")
    with House(stranger.home).running() as service:
        client = service.admin
        client.say("/autocoder use Notes")

        def shown(kind: str) -> set[str]:
            cards = [message["card"] for message in client.messages() if message["card"]]
            return {card["key"] for card in cards if card["kind"] == kind}

        wait_until(lambda: shown("report"))
        client.say("/autocoder feature add colours")
        for number in (1, 2):
            wait_until(lambda key=f"question:notes:{number}": key in shown("question"))
            press = {"message_id": 1, "action_id": f"just_decide:question:{number}"}
            client.post("/api/chat/presses", press)
        wait_until(lambda: shown("plan"))
        assert shown("plan") == {"plan:notes:2"}, "the first one was decided long ago"
        wait_until(lambda: b"autocoder_outbox_pending 0.0" in client.get("/metrics").body)
    again = stranger.run("build", spec, "--yes")
    expect_words(again, 0, "Plan for Notes: what is new", "Notes is complete", "Repository")
    assert _status(stranger) == "completed"


def _status(stranger: Stranger) -> object:
    return rows(stranger.home, "SELECT status FROM projects")[0][0]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_demo_shows_the_whole_story(tmp_path: Path) -> None:
    """Interview, plan, gates, a question, a larger model for a stuck task; again: its report."""
    stranger = Stranger(tmp_path)
    done = stranger.run("demo", "--home", stranger.home)
    expect_words(
        done, 0, "Question 5 of 5: success criteria", "› just decide", "Spec of todo-api",
        "Plan for todo-api   › Approved", "Gate: phase 2", "with opus", "todo-api is complete",
    )  # fmt: skip
    assert done.seconds < 200
    repository = stranger.home / "projects" / "todo-api"
    assert (repository / ".autocoder" / "report.md").exists()
    checks = [sys.executable, "-m", "unittest", "discover", "-s", "tests", "-t", "."]
    assert subprocess.run(checks, cwd=repository, check=False).returncode == 0
    assert rows(stranger.home, "SELECT DISTINCT platform, person FROM inbox") == [
        ("terminal", "web:local")
    ]
    assert rows(stranger.home, "SELECT count(*) FROM tasks WHERE status != 'passing'") == [(0,)]
    again = stranger.run("demo", "--home", stranger.home)
    expect_words(again, 0, "todo-api is complete", "Repository")
    assert again.seconds < 60
    assert left_processes(stranger.home) == []
