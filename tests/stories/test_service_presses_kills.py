"""Each press has one effect: pressed twice, at once, a thousand times, late, or into a kill."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.stories import kills_home
from tests.stories.service import Answer, Client, House, Running, wait_until

TIMES = 1_000
SLOW = (pytest.mark.slow, pytest.mark.timeout(1800))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "home")


def plans(client: Client, count: int) -> list[dict[str, Any]]:
    """The messages of so many plan cards."""

    def cards() -> list[dict[str, Any]]:
        found = client.messages()
        return [m for m in found if m["card"] and m["card"]["kind"] == "plan"]

    wait_until(lambda: len(cards()) >= count)
    return cards()


def press(
    client: Client,
    message: dict[str, Any],
    label: str,
    *,
    on_sent: Callable[[], None] | None = None,
    **more: Any,
) -> Answer:
    button = next(b for b in message["card"]["buttons"] if b["label"] == label)
    body = {"message_id": message["id"], "action_id": button["action_id"], **more}
    return client.post("/api/chat/presses", body, timeout=60, on_sent=on_sent)


def journal(client: Client, project: str, event: str) -> list[dict[str, Any]]:
    found = client.get(f"/api/projects/{project}/journal?limit=1000").json["items"]
    return [entry for entry in found if entry["event"] == event]


def approvals(client: Client, project: str) -> list[dict[str, Any]]:
    found = client.get(f"/api/projects/{project}/approvals").json["items"]
    assert isinstance(found, list)
    return found


def at_once(*doings: Any) -> list[Any]:
    """All of them from a common start, each in a thread."""
    gate = threading.Barrier(len(doings))

    def do(doing: Any) -> Any:
        gate.wait()
        return doing()

    with ThreadPoolExecutor(len(doings)) as pool:
        return list(pool.map(do, doings))


@pytest.mark.parametrize("rounds", [8, pytest.param(50, marks=SLOW)])
def test_two_at_once(house: House, rounds: int) -> None:
    """One approves or rejects; the other is told who was first, and what stands now."""
    kills_home.fill(house.home, rounds)
    with house.running() as service:
        people = {name: service.member(name, "approver") for name in ("ann", "bob")}
        first: Counter[str] = Counter()
        for message in plans(service.admin, rounds):
            ann, bob = at_once(
                lambda shown=message: press(people["ann"], shown, "Approve"),
                lambda shown=message: press(
                    people["bob"], shown, "Reject", values={"reason": ["No."]}
                ),
            )
            assert sorted([ann.status, bob.status]) == [200, 409]
            winner, late = ("ann", bob) if ann.status == 200 else ("bob", ann)
            first[winner] += 1
            assert late.json["reason"] == "stale"
            assert f"by {winner} " in late.json["text"]
            assert " UTC" in late.json["text"]
            project = message["card"]["project"].replace(" ", "%20")
            (approval,) = approvals(service.admin, project)
            assert approval["decided_by"] == f"web:{winner}"
            decisions = Counter(
                entry["event"]
                for event in ("plan_approved", "plan_rejected")
                for entry in journal(service.admin, project, event)
            )
            assert decisions.total() == 1
            assert len(journal(service.admin, project, "press_refused")) == 1
        assert first.total() == rounds


@pytest.mark.parametrize("times", [60, pytest.param(TIMES, marks=SLOW)])
def test_one_delivery_many_times(house: House, times: int) -> None:
    """The same client_id has one effect and one answer, also through a kill -9."""
    kills_home.fill(house.home, 1)
    told: list[bytes] = []

    def deliver(service: Running, count: int) -> None:
        message = shown or plans(service.admin, 1)[0]
        shown.update(message)
        admin = service.admin

        def once(number: int) -> bytes:
            if number % 2:
                said = admin.say("/autocoder new other", client_id="once")
                assert said.status == 201
            else:
                said = press(admin, message, "Approve", client_id="once")
                assert said.status == 200
            return bytes(said.body)

        with ThreadPoolExecutor(8) as pool:
            told.extend(pool.map(once, range(count)))

    shown: dict[str, Any] = {}
    with house.running() as service:
        deliver(service, times // 2)
        service.process.kill()
        service.process.wait()
    with house.running() as service:
        deliver(service, times - times // 2)
        assert len(told) == times
        assert len(set(told)) == 2
        admin = service.admin
        assert len(journal(admin, "thing%201", "plan_approved")) == 1
        assert len(journal(admin, "other", "project_created")) == 1
        assert journal(admin, "thing%201", "press_refused") == []
        mine = [m for m in admin.messages() if m["author"] == "web:local"]
        assert [m["text"] for m in mine] == ["/autocoder new other"]


def test_one_file_many_times(house: House) -> None:
    with house.running() as service:
        upload = partial(service.admin.upload, client_id="once")
        answers = at_once(*(partial(upload, "a.txt", b"a") for _ in range(4)), *[
            partial(upload, "b.txt", b"b" * 100_000)
        ])  # fmt: skip
        answers.append(upload("a.txt", b"a"))
        assert {answer.status for answer in answers} == {201}
        assert len({answer.body for answer in answers}) == 1
        other = service.admin.upload("a.txt", b"a", client_id="another")
        assert other.json["id"] != answers[0].json["id"]
        kept = service.admin.get(f"/api/files/{answers[0].json['id']}").body
        assert len(kept) == answers[0].json["size"]
        assert sorted(path.suffix for path in (house.home / "files").iterdir()) == ["", ""]


@pytest.mark.parametrize("rounds", [pytest.param(12, marks=SLOW)])
def test_pressed_into_a_kill(house: House, rounds: int) -> None:
    """Whatever the moment: pressed again with its client_id, it was done once and says so."""
    chance = random.Random(rounds)
    kills_home.fill(house.home, rounds)
    ready = []
    for number in range(rounds):
        begun = time.monotonic()
        with house.running() as service:
            ready.append(time.monotonic() - begun)
            message = plans(service.admin, rounds)[number]
            wait = chance.choice([0.0, chance.random() * 0.04])

            def die(service: Running = service, wait: float = wait) -> None:
                time.sleep(wait)
                service.process.kill()

            try:
                press(service.admin, message, "Approve", client_id=f"p{number}", on_sent=die)
            except (OSError, ValueError):
                pass  # its answer is lost
            service.process.wait()
        with house.running() as service:
            answer = press(service.admin, message, "Approve", client_id=f"p{number}")
            assert (answer.status, answer.json["ok"]) == (200, True)
            project = message["card"]["project"].replace(" ", "%20")
            assert [a["status"] for a in approvals(service.admin, project)] == ["approved"]
            assert len(journal(service.admin, project, "plan_approved")) == 1
    print(f"ready after {[round(took, 2) for took in ready]} s")


def test_a_card_of_a_month_ago(house: House) -> None:
    """Decided meanwhile: a private word with who, when and what stands now; one old card."""
    kills_home.fill(house.home, 1, ago=timedelta(days=31))
    with house.running() as service:
        old = plans(service.admin, 1)[0]
        bob = service.member("bob", "approver")
        assert press(service.admin, old, "Approve").status == 200
        late = press(bob, old, "Approve")
        assert (late.status, late.json["reason"]) == (409, "stale")
        assert "approved by local" in late.json["text"]

        def refusals(client: Client) -> list[dict[str, Any]]:
            found = client.messages()
            return [m["card"] for m in found if m["card"] and m["card"]["kind"] == "error"]

        wait_until(lambda: bool(refusals(bob)))
        (word,) = refusals(bob)
        assert refusals(service.admin) == []
        assert "by local" in word["title"]
        assert "thing 1 is running" in word["body"]
        wait_until(lambda: not _buttons(service.admin, old))
        assert len(approvals(service.admin, "thing%201")) == 1


def _buttons(client: Client, message: dict[str, Any]) -> set[str]:
    (found,) = [m for m in client.messages() if m["id"] == message["id"]]
    return {b["label"] for b in found["card"]["buttons"]} & {"Approve", "Reject"}
