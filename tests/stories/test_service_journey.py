"""The whole journey over HTTP, by a client that knows only the contract, with kills in it."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.stories.service import House, Running, wait_until

# What the person presses, by the beginning of the action, in this order.
ANSWERS = ("just_decide:question:", "answer:question:", "approve:", "retry_with_opus:", "retry:")


@dataclass
class Person:
    """Presses whatever waits for a person."""

    service: Running
    pressed: list[str] = field(default_factory=list)

    def look(self) -> str:
        """Answer what is open; the project's status."""
        for message in self.service.admin.messages():
            button = self._wanted(message["card"])
            if button is not None:
                answer = self.service.admin.post(
                    "/api/chat/presses",
                    {"message_id": message["id"], "action_id": button["action_id"]},
                )
                assert answer.status in (200, 409), answer.body
                self.pressed.append(button["action_id"])
        found = self.service.admin.get("/api/projects").json["items"]
        return str(found[0]["status"]) if found else ""

    def _wanted(self, card: dict[str, Any] | None) -> dict[str, Any] | None:
        for beginning in ANSWERS:
            for button in card["buttons"] if card else ():
                if button["action_id"].startswith(beginning) and button["form"] is None:
                    return dict(button)
        return None


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "home")


def _until(person: Person, true: Callable[[str], bool]) -> None:
    wait_until(lambda: true(person.look()), timeout=400)


def cards(service: Running) -> Iterator[str]:
    for message in service.admin.messages():
        if message["card"] and not message["deleted"]:
            yield message["card"]["key"]


@pytest.mark.slow
def test_from_a_name_to_a_report_through_a_stop_and_a_kill(house: House) -> None:
    with house.running() as service:
        assert service.admin.say("/autocoder new todo-api").status == 201
        _until(Person(service), lambda status: status == "running")
        assert service.stop(signal.SIGTERM) < 5
    with house.running() as service:

        def halfway(_status: str) -> bool:
            tasks = service.admin.get("/api/projects/todo-api").json["tasks"]
            return int(tasks["passing"]) >= 5

        _until(Person(service), halfway)
        service.process.kill()
        service.process.wait()
    with house.running() as service:
        _until(Person(service), lambda status: status == "completed")
        wait_until(lambda: any(key.startswith("report:") for key in cards(service)))
        keys = list(cards(service))
        assert len(keys) == len(set(keys)), "a card was posted twice"
        assert {"interview:todo-api", "spec:todo-api", "progress:todo-api"} <= set(keys)
        admin = service.admin
        tasks = admin.get("/api/projects/todo-api/tasks").json["items"]
        assert {task["status"] for task in tasks} == {"passing"}
        assert all(any(proof["accepted"] for proof in task["evidence"]) for task in tasks)
        repository = admin.get("/api/projects/todo-api").json["path"]
        log = subprocess.run(
            ["git", "log", "--format=%(trailers:key=Autocoder-Task,valueonly,separator=%x2C)"],
            cwd=repository, capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        assert sorted(map(int, log)) == sorted(task["id"] for task in tasks)
        usage = admin.get("/api/usage/projects/todo-api").json
        history = admin.get("/api/usage/history?project=todo-api&limit=1000").json["items"]
        assert usage["messages"] == len(history)
        assert len({line["message_id"] for line in history}) == len(history)
        phases = admin.get("/api/projects/todo-api/phases").json["items"]
        again = admin.post(f"/api/projects/todo-api/phases/{phases[0]['id']}/approve")
        assert (again.status, again.json["reason"]) == (409, "stale")
        assert "approved by local at " in again.json["text"]
