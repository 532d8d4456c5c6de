"""A gate is rejected with the reason that its form offers: the practice model carries it out."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stories.service import Client, House, wait_until

SAID = ("A shelf: Café Zoë", "quick", "just decide", "its core", "It works")
ACCENTS = "tests/test_accents.py"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with House(tmp_path / "home").running() as service:
        yield service.admin


def _card(client: Client, kind: str, title: str = "", after: int = 0) -> dict[str, Any]:
    """The newest message of a card that waits for somebody, once there is one."""

    def found() -> list[dict[str, Any]]:
        return [
            message
            for message in client.messages(after=after)
            if (card := message["card"])
            and card["buttons"]
            and card["kind"] == kind
            and card["title"].startswith(title)
        ]

    wait_until(found, timeout=120)
    return found()[-1]


def _press(client: Client, message: dict[str, Any], label: str, **values: list[str]) -> Any:
    (button,) = [b for b in message["card"]["buttons"] if b["label"] == label]
    press = {"message_id": message["id"], "action_id": button["action_id"]}
    return client.post("/api/chat/presses", {**press, "values": values} if values else press)


def _git(folder: str, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.slow
def test_the_offered_reason_becomes_real_rework(client: Client) -> None:
    client.say("/autocoder new Shelf")
    for number, words in enumerate(SAID, start=1):
        asked = _card(client, "question", f"Question {number} of")
        client.say(words, thread=asked["thread"])
    plan = _card(client, "plan")
    assert "only a notebook with your words" in plan["card"]["body"]
    _press(client, plan, "Approve")

    gate = _card(client, "gate")
    (form,) = [b["form"] for b in gate["card"]["buttons"] if b["label"] == "Reject"]
    left_out = _press(client, gate, "Reject")
    assert (left_out.status, left_out.json["form"]) == (422, form)
    project = client.get("/api/projects/Shelf").json
    before = _git(project["path"], "rev-parse", "main").strip()
    assert _press(client, gate, "Reject", reason=[form["inputs"][0]["value"]]).json["ok"]

    again = _card(client, "gate", after=gate["id"])
    task = client.get("/api/projects/Shelf/tasks").json["items"][-1]
    red, green = task["evidence"]
    assert (red["accepted"], green["accepted"]) == (False, True)
    assert "AssertionError" in red["checks"][0]["output"]
    changed = _git(project["path"], "diff", "--name-only", before, "main").split()
    assert changed == ["notebook.py", ACCENTS]
    _git(project["path"], "checkout", "-q", before, "--", "notebook.py")
    check = ["python3", "-B", *task["checks"][0].split()[1:]]
    assert subprocess.run(check, cwd=project["path"], capture_output=True).returncode == 1
    _git(project["path"], "checkout", "-q", "main", "--", "notebook.py")
    assert subprocess.run(check, cwd=project["path"], capture_output=True).returncode == 0
    _press(client, again, "Approve")
    wait_until(lambda: client.get("/api/projects/Shelf").json["status"] == "completed", 60)
