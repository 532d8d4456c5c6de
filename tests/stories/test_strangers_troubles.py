"""Stuck tasks decided in every way, and questions nobody waits for, by a client that is a stranger."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.stories.foreign.guest import Guest, Json
from tests.stories.foreign.model import Model
from tests.stories.foreign.troubles import HARD, Coder, Planner, interviewer
from tests.stories.service import House
from tests.stories.world import below

NAME = "troubles"
TASKS = f"/api/projects/{NAME}/tasks"


@contextmanager
def building(folder: Path, coder: Coder, names: tuple[str, ...], **env: str) -> Iterator[Guest]:
    """A project that is being built, each task a feature."""
    with Model() as model:
        model.cast = {"interviewer": interviewer, "planner": Planner(*names), "coder": coder}
        house = House(
            folder / "home",
            {
                "AUTOCODER_MODEL": "claude",
                "ANTHROPIC_API_KEY": "any",
                "ANTHROPIC_BASE_URL": model.url,
                "AUTOCODER_AGENTS__MAX_PARALLEL": "1",
                **env,
            },
        )
        with house.running() as service:
            guest = Guest(service, service.admin)
            guest.say(f"/autocoder new {NAME}")
            [plan] = guest.wait(lambda: guest.cards("plan"))
            assert guest.press(plan, "Approve").status == 200
            yield guest
            assert model.faults == []


def _task(guest: Guest, number: int) -> Json:
    found: Json = guest.get(f"{TASKS}/{number}")
    return found


def _status(guest: Guest, number: int, *wanted: str) -> Json:
    def look() -> Json | None:
        found = _task(guest, number)
        return found if found["status"] in wanted else None

    found: Json = guest.wait(look)
    return found


def _stuck_card(guest: Guest, number: int) -> Json:
    key = f"stuck:{NAME}:{number}"
    found: Json = guest.wait(
        lambda: [card for card in guest.cards("stuck") if card["card"]["key"] == key]
    )[0]
    return found


def _closed(guest: Guest, message: Json) -> Json:
    def look() -> Json | None:
        now = guest.again(message)
        return None if now["card"]["buttons"] else now

    found: Json = guest.wait(look)
    assert found["revision"] > 0
    return found


def _journal(guest: Guest, event: str) -> list[Json]:
    entries = guest.all(f"/api/projects/{NAME}/journal")
    return [entry for entry in entries if entry["event"] == event]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_stuck_tasks_are_decided_in_every_way(tmp_path: Path) -> None:
    coder = Coder()
    with building(tmp_path, coder, HARD, AUTOCODER_AGENTS__MAX_ATTEMPTS="1") as guest:
        cards = {number: _stuck_card(guest, number) for number in range(1, len(HARD) + 1)}
        [root] = [card for card in guest.cards("interview") if card["thread"] is None]
        thread = root["id"]
        assert {card["thread"] for card in cards.values()} == {thread}
        _read(guest, thread)
        _by_command(guest, thread, cards)
        _by_press(guest, cards)
        _helped(guest, thread, cards, coder)
        [gate] = guest.wait(lambda: guest.cards("gate"))
        assert "A person vouches, no check of their own proves it: task 3" in gate["card"]["body"]
        assert guest.press(gate, "Approve").status == 200
        guest.wait(lambda: guest.cards("report"))
        statuses = [task["status"] for task in guest.all(TASKS)]
        assert statuses == ["skipped", "skipped", "passing", "passing", "passing"]
        actors = {entry["actor"] for entry in _journal(guest, "task_skipped")}
        assert actors == {"web:local"}


def _read(guest: Guest, thread: int) -> None:
    """`logs` and `why` say what happened, and change nothing."""
    logs = guest.command("logs 1", thread)
    assert "task 1" in logs["card"]["title"].lower()
    assert "stuck" in logs["card"]["body"]
    warnings = guest.command("logs 1 warning", thread)["card"]["body"]
    assert "stuck" in warnings
    assert len(warnings) < len(logs["card"]["body"])
    why = guest.command("why 1", thread)
    assert "test -s skipped.txt" in why["card"]["body"]
    assert "It is too hard." in _task(guest, 1)["last_error"]
    progress = guest.cards("progress")[0]
    assert guest.press(progress, "Logs").status == 200
    guest.wait(
        lambda: [
            message
            for message in guest.messages()
            if message["private_to"] == "web:local"
            and message["card"]["title"].startswith("Log of troubles")
        ]
    )
    assert _task(guest, 1)["status"] == "stuck"


def _by_command(guest: Guest, thread: int, cards: dict[int, Json]) -> None:
    said = guest.command("skip 1", thread)
    assert "Task 1 is skipped" in said["card"]["title"]
    assert _task(guest, 1)["status"] == "skipped"
    assert "Skipped by local" in _closed(guest, cards[1])["card"]["body"]
    said = guest.command("pass 3 I looked at it", thread)
    assert "vouches" in said["card"]["title"]
    passed = _task(guest, 3)
    assert passed["status"] == "passing"
    assert passed["evidence"][-1]["accepted"] is True
    assert "Passed" in _closed(guest, cards[3])["card"]["body"]
    [entry] = _journal(guest, "task_passed")
    assert (entry["actor"], entry["task_id"]) == ("web:local", 3)
    assert "I looked at it" in entry["text"]
    again = guest.command("pass 3 twice", thread, kind="error")
    assert "nothing was changed" in again["card"]["title"]


def _by_press(guest: Guest, cards: dict[int, Json]) -> None:
    assert guest.press(cards[2], "Skip").json["ok"] is True
    assert _task(guest, 2)["status"] == "skipped"
    _closed(guest, cards[2])
    late = guest.press(cards[2], "Skip")
    assert (late.status, late.json["reason"]) == (409, "stale")
    assert " by local at " in late.json["text"]


def _helped(guest: Guest, thread: int, cards: dict[int, Json], coder: Coder) -> None:
    guest.command("guide 4 Use the hammer", thread)
    assert "Use the hammer" in _closed(guest, cards[4])["card"]["body"]
    passed = _status(guest, 4, "passing")
    assert "Use the hammer" in passed["recovery_notes"]
    assert any("Use the hammer" in notes for notes in coder.notes["guided"])
    guest.command("retry 5 opus", thread)
    assert "Tried again by local" in _closed(guest, cards[5])["card"]["body"]
    _status(guest, 5, "passing")
    assert "opus" in coder.models["stronger"][-1]
    [retried] = [e for e in _journal(guest, "task_retried") if e["task_id"] == 5]
    assert retried["actor"] == "web:local"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_question_nobody_waits_for_is_withdrawn(tmp_path: Path) -> None:
    """One run does its task all the same, another uses up its turns."""
    env = {"AUTOCODER_AGENTS__ASK_WAIT_S": "0", "AUTOCODER_AGENTS__MAX_TURNS": "12"}
    with building(tmp_path, Coder(), ("moot", "endless"), **env) as guest:
        asked = guest.wait(lambda: len(guest.cards("question")) == 2 and guest.cards("question"))
        for question in asked:
            closed = _closed(guest, question)
            assert "Withdrawn: the run that asked is over" in closed["card"]["body"]
            number = question["card"]["key"].rpartition(":")[2]
            pressed = guest.act(question, f"answer:question:{number}", {"answer": "x"})
            assert (pressed.status, pressed.json["reason"]) == (409, "stale")
            assert "withdrawn" in pressed.json["text"]
        guest.wait(lambda: guest.cards("gate"))
        assert len(_journal(guest, "question_withdrawn")) == 2
        assert _journal(guest, "question_answered") == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_answer_within_a_minute_and_one_after_it(tmp_path: Path) -> None:
    """The first is the tool's result; the second is heard by a session that was parked."""
    coder = Coder()
    with building(tmp_path, coder, ("prompt", "patient")) as guest:
        quick = guest.open_question(NAME)
        time.sleep(20)
        assert _journal(guest, "run_parked") == []
        assert guest.press(quick, "later").json["ok"] is True
        slow = guest.open_question(NAME, after=quick["id"])
        asked = time.monotonic()
        guest.wait(lambda: _journal(guest, "run_parked"))
        assert time.monotonic() - asked > 40, (
            "it waits about a minute, as far as one sees from here"
        )
        [parked] = [r for r in guest.all(f"/api/projects/{NAME}/runs") if r["status"] == "waiting"]
        guest.wait(lambda: not _at_work(guest))
        time.sleep(10)
        guest.say("  until *Monday*, `x`", slow["thread"])
        guest.wait(lambda: guest.cards("gate"))
        assert coder.results["prompt"] == "later"
        assert coder.results["patient"] == "until *Monday*, `x`"
        after = [r for r in guest.all(f"/api/projects/{NAME}/runs") if r["id"] > parked["id"]]
        assert after[0]["session_id"] == parked["session_id"]
        assert _journal(guest, "run_resumed")[0]["run_id"] == after[0]["id"]


def _at_work(guest: Guest) -> list[int]:
    """Processes of agents below the service."""
    found = []
    for pid in below(guest.service.pid):
        with suppress(OSError):
            if b"claude" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found
