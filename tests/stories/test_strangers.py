"""The whole journey by a client and a model that know the contract and nothing else.

What is asserted here is what others rely on, literally.
"""

import itertools
import subprocess
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import Usage, calc_price

from tests.stories.foreign import shapes
from tests.stories.foreign.cast import Coder, Interviewer, Planner
from tests.stories.foreign.guest import Guest, Json, action_of
from tests.stories.foreign.model import Model
from tests.stories.service import Client, House, Listener

EVENTS = {
    "project_created",
    "question_asked",
    "question_answered",
    "spec_written",
    "plan_submitted",
    "plan_approved",
    "plan_rejected",
    "phase_started",
    "phase_approved",
    "phase_rejected",
    "run_started",
    "run_parked",
    "run_resumed",
    "run_ended",
    "task_started",
    "check_failed",
    "task_passed",
    "task_stuck",
    "task_requeued",
    "feature_landed",
    "press_refused",
    "project_completed",
}
NAME = "My Todo"


class Journey:
    """One service after the other on one home, and who speaks to it."""

    def __init__(self, model: Model, folder: Path) -> None:
        self.model = model
        self.interviewer, self.planner, self.coder = Interviewer(), Planner(), Coder()
        model.cast = {
            "interviewer": self.interviewer, "planner": self.planner, "coder": self.coder,
        }  # fmt: skip
        self.house = House(
            folder / "home",
            {
                "AUTOCODER_MODEL": "claude",
                "ANTHROPIC_API_KEY": "any",
                "ANTHROPIC_BASE_URL": model.url,
                "AUTOCODER_AGENTS__ASK_WAIT_S": "8",
                "AUTOCODER_AGENTS__MAX_ATTEMPTS": "2",
            },
        )
        self.seen: list[tuple[int, str, int]] = []  # of the stream: id, event, message

    def listened(self, tab: Listener) -> None:
        self.seen += [(event.id, event.kind, event.data["id"]) for event in tab.events]
        tab.close()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_strangers_journey(tmp_path: Path) -> None:
    with Model() as model:
        journey = Journey(model, tmp_path)
        with journey.house.running() as service:
            guest = Guest(service, service.admin)
            tab = Listener(guest.client)
            _half_an_interview(guest)
            guest.say("kept", client_id="once")
            kept = guest.say("kept", client_id="once")
            journey.listened(tab)
        with journey.house.running() as service:
            guest = Guest(service, service.admin)
            tab = Listener(guest.client, last=journey.seen[-1][0])
            assert guest.say("kept", client_id="once") == kept
            _the_other_half(guest, journey)
            _plans(guest, journey)
            _work(guest, journey)
            _gate(guest)
            _additions(guest)
            _another_channel(guest)
            journey.listened(tab)
            assert model.faults == []
            _shapes(guest)
            _books(guest, model)
            _cards(guest, journey)


def _half_an_interview(guest: Guest) -> None:
    guest.say(f'/autocoder new "{NAME}"')
    guest.wait(lambda: len(_open(guest)) == 2)
    first, second = guest.cards("question")
    [root] = guest.cards("interview")
    assert root["thread"] is None
    assert {first["thread"], second["thread"]} == {root["id"]}
    again = guest.command(f"new {NAME.lower()}")
    assert str(root["id"]) in again["card"]["body"]
    assert len(guest.cards("interview")) == 1
    assert [b["label"] for b in first["card"]["buttons"]][:1] == ["Answer"]
    assert [i["kind"] for i in guest.button(first, "Answer")["form"]["inputs"]] == ["text"]
    assert action_of(second, r"answer:question:\d+:0").endswith(":0")
    assert guest.button(second, "no")["action_id"].endswith(":1")
    thread = root["id"]
    guest.say("no", thread)  # the newest question's
    done: Json = guest.wait(lambda: _answered(guest.again(second)))
    assert "no" in done["card"]["body"]
    assert "Answered by local" in done["card"]["body"]
    assert done["revision"] == 1
    assert done["edited_at"] > done["created_at"]
    file = guest.client.upload("note.md", b"The secret word is plum.\n").json
    guest.say("first, in *own* words /x @y", thread, files=[file["id"]])
    third = guest.open_question(NAME, after=second["id"])
    assert [i["kind"] for i in third["card"]["inputs"]] == ["multi_select"]
    submits = guest.button(third, "Answer")["action_id"]
    assert third["card"]["inputs"][0]["name"] == f"{submits}:chosen"
    for action in ("answer:question:99999:0", f"{submits}:77"):
        refused = guest.act(third, action)
        assert (refused.status, refused.json["reason"]) == (404, "unknown")
    missing = guest.press(third, "Answer")
    assert (missing.status, missing.json["reason"]) == (422, "missing_values")
    assert shapes.FORM(missing.json["form"])


def _open(guest: Guest) -> list[Json]:
    return [message for message in guest.cards("question") if message["card"]["buttons"]]


def _answered(message: Json) -> Json | None:
    return None if message["card"]["buttons"] else message


def _the_other_half(guest: Guest, journey: Journey) -> None:
    operator, viewer = (_member(guest, name, name) for name in ("operator", "viewer"))
    third = guest.open_question(NAME)
    thread = third["thread"]
    name = third["card"]["inputs"][0]["name"]
    refused = viewer.press(third, "Just decide")
    assert (refused.status, refused.json["reason"]) == (403, "not_allowed")
    assert operator.press(third, "Answer", {name: ["blue", "red"]}).json["ok"] is True
    stale = guest.act(third, name.removesuffix(":chosen"), {name: ["red"]})
    assert (stale.status, stale.json["reason"]) == (409, "stale")
    assert "answered by operator at " in stale.json["text"]
    fourth = guest.open_question(NAME, after=third["id"])
    [choice] = fourth["card"]["inputs"]
    assert (choice["kind"], len(choice["options"])) == ("select", 12)
    seventh = f"{guest.button(fourth, 'Answer')['action_id']}:7"
    assert guest.act(fourth, seventh).json["ok"] is True
    last = fourth
    for number in range(4):
        last = guest.open_question(NAME, after=last["id"])
        if number == 0:
            assert guest.press(last, "Just decide").status == 200
        elif number == 1:
            guest.say("just decide", thread)
        elif number == 2:
            assert guest.press(last, "Answer", {"answer": "/clear @x !ls"}).status == 200
        else:
            changed = name.replace("answer", "change_answer").removesuffix(":chosen")
            assert guest.act(last, changed, {"answer": "green"}).json["ok"] is True
    guest.wait(lambda: guest.cards("spec"))
    heard = journey.interviewer
    assert "first, in *own* words /x @y" in heard.answers[0]
    assert "plum" in heard.material
    assert heard.answers[2] == "Option 7"
    assert heard.answers[3:6] == ["just decide", "just decide", "/clear @x !ls"]
    assert "green" in heard.answers[6]
    assert ["initializer_prompt.md" in words for words in heard.sent_back] == [True, True]
    folder = guest.project(NAME)["path"]
    first = _git(folder, "rev-list", "--max-parents=0", "main").strip()
    assert {".autocoder/prompts/app_spec.txt", ".autocoder/prompts/initializer_prompt.md"} <= set(
        _git(folder, "ls-tree", "-r", "--name-only", first).split()
    )


def _member(guest: Guest, name: str, role: str) -> Guest:
    answer = guest.client.post("/api/members", {"user": f"web:{name}", "role": role})
    assert answer.status == 201
    client = Client(guest.client.url, answer.json["token"])
    return Guest(guest.service, client, guest.channel, guest.slack_s)


def _git(folder: str, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def _plans(guest: Guest, journey: Journey) -> None:
    [first] = guest.wait(lambda: guest.cards("plan"))
    labels = [button["label"] for button in first["card"]["buttons"]]
    assert labels == ["Approve", "Reject", "Details"]
    assert guest.get(f"/api/projects/{_slug(guest)}/approvals")["items"][0]["kind"] == "plan"
    operator = _member(guest, "operator", "operator")
    assert operator.press(first, "Approve").status == 403
    assert guest.press(first, "Reject").json["reason"] == "missing_values"
    assert guest.press(first, "Reject", {"reason": "Too <b>big</b>"}).status == 200
    approval = guest.get(f"/api/projects/{_slug(guest)}/approvals")["items"][0]
    assert (approval["status"], approval["decided_by"]) == ("rejected", "web:local")
    assert approval["reason"] == "Too <b>big</b>"
    guest.wait(lambda: len(guest.cards("plan")) == 2)
    assert "Too <b>big</b>" in journey.planner.told[1]
    assert journey.planner.problems
    old = guest.act(first, f"approve:plan:{approval['id']}")
    assert (old.status, old.json["reason"]) == (409, "stale")
    guest.wait(lambda: _answered(guest.again(first)))
    said = guest.say("/autocoder approve", first["thread"])
    guest.wait(lambda: guest.project(NAME)["status"] == "running")
    assert "approved" in guest.answered(said)["card"]["title"]
    again = guest.client.post(f"/api/projects/{_slug(guest)}/start")
    assert again.status == 409
    assert {"error", "message", "hint"} <= set(again.json)


def _slug(guest: Guest) -> str:
    return str(guest.project(NAME)["slug"])


def _work(guest: Guest, journey: Journey) -> None:
    coder = journey.coder
    quick = guest.open_question(NAME)
    thread = quick["thread"]
    name = guest.button(quick, "Answer")["action_id"]
    assert "Which way?" in quick["card"]["body"]
    assert guest.press(quick, "Answer", {name: ["up", "left"]}).status == 200
    noted = guest.answered(guest.say("The port is 8080", thread))
    slow = guest.open_question(NAME, after=quick["id"])
    guest.wait(
        lambda: any(
            run["status"] == "waiting" for run in guest.all(f"/api/projects/{_slug(guest)}/runs")
        )
    )
    assert guest.act(slow, action_of(slow, r"answer:question:\d+:1")).status == 200
    [stuck] = guest.wait(lambda: guest.cards("stuck"))
    labels = {button["label"] for button in stuck["card"]["buttons"]}
    assert {"Retry", "Retry with Opus", "Skip", "Guide"} <= labels
    assert guest.press(stuck, "Guide").json["reason"] == "missing_values"
    assert guest.press(stuck, "Guide", {"hint": "Use the hammer"}).status == 200
    second = guest.wait(lambda: guest.cards("stuck")[1:])[0]
    guest.wait(lambda: _answered(guest.again(stuck)))
    assert any("Use the hammer" in notes for notes in coder.notes)
    action = guest.button(second, "Retry with Opus")["action_id"]
    assert action.startswith("retry_with_opus:task:3")
    assert guest.act(second, action).status == 200
    assert guest.act(second, action).status == 409
    guest.wait(lambda: guest.cards("gate"))
    hint = "local says: The port is 8080"
    assert coder.answers["quick"] == "up, left"
    # Guidance that came after the agent had its task stands below the answer it waits for.
    assert coder.answers["slow"] == ("dog" if hint in coder.guidance else f"dog\n\n{hint}")
    landed = _git(guest.project(NAME)["path"], "show", "main:slow.txt")
    assert landed == coder.answers["slow"]
    guest.wait(lambda: "taken up in task" in guest.again(noted)["text"])


def _gate(guest: Guest) -> None:
    [gate] = guest.cards("gate")
    [phase] = guest.all(f"/api/projects/{_slug(guest)}/phases")
    assert (phase["status"], gate["thread"]) == ("awaiting_approval", gate["thread"])
    path = f"/api/projects/{_slug(guest)}/phases/{phase['id']}"
    assert guest.client.post(f"{path}/reject", {"reason": " "}).status == 422
    assert guest.client.post(f"{path}/reject", {"reason": "Mend it"}).json["id"] == phase["id"]
    second = guest.wait(lambda: guest.cards("gate")[1:])[0]
    guest.wait(lambda: _answered(guest.again(gate)))
    assert guest.client.post(f"{path}/approve").json["status"] == "completed"
    refused = guest.client.post(f"{path}/approve")
    assert (refused.status, refused.json["error"]) == (409, "stale")
    assert {"message", "hint"} <= set(refused.json)
    guest.wait(lambda: guest.cards("report"))
    guest.wait(lambda: _answered(guest.again(second)))
    project = guest.project(NAME)
    assert project["status"] == "completed"
    assert project["completed_at"] is not None
    assert project["tasks"]["passing"] == project["tasks"]["total"] == 4


def _additions(guest: Guest) -> None:
    """On a completed project: a task, then a job, each to its own report."""
    [root] = [card for card in guest.cards("interview") if card["thread"] is None]
    for count, line in enumerate(("task add one more file", "job a tiny file"), start=2):
        guest.say(f"/autocoder {line}", root["id"])

        def done(count: int = count) -> bool:
            for card in guest.cards("plan") + guest.cards("gate"):
                if card["card"]["buttons"]:
                    assert guest.press(card, "Approve").status in (200, 409)
            return len(guest.cards("report")) == count

        guest.wait(done)
    assert guest.project(NAME)["tasks"]["passing"] == 6


def _another_channel(guest: Guest) -> None:
    side = guest.within("side")
    side.say("/autocoder new Plain")
    side.wait(lambda: side.cards("plan"))
    assert side.cards("question") == []
    assert {message["channel"] for message in side.messages()} == {"side"}
    assert side.command("status")["card"]["project"] == "Plain"
    assert guest.command("status")["card"]["project"] == NAME
    assert side.command(f"status {NAME}")["card"]["project"] == NAME
    assert guest.project("Plain")["channels"] == ["web:side"]
    wrong = side.command("statsu", kind="error")
    assert (wrong["card"]["kind"], wrong["private_to"]) == ("error", "web:local")
    assert "Did you mean `/autocoder status`?" in wrong["card"]["body"] + wrong["card"]["title"]
    viewer = _member(side, "viewer", "viewer")
    assert wrong["id"] not in {message["id"] for message in viewer.messages()}
    refused = viewer.command("stop Plain", kind="error")
    assert (refused["card"]["kind"], refused["private_to"]) == ("error", "web:viewer")


def _shapes(guest: Guest) -> None:
    slug = _slug(guest)
    for project in guest.all("/api/projects"):
        assert shapes.PROJECT(project)
    for name, shape in shapes.COLLECTIONS.items():
        items = guest.all(f"/api/projects/{slug}/{name}")
        assert items, name
        assert all(shape(item) for item in items)
        ids = [item["id"] for item in items]
        assert ids == sorted(set(ids)), name
    for channel in ("main", "side"):
        assert all(shapes.MESSAGE(message) for message in guest.within(channel).messages())
    for kind, shape in (("phases", shapes.PHASE), ("features", shapes.FEATURE)):
        for item in guest.all(f"/api/projects/{slug}/{kind}"):
            assert guest.get(f"/api/projects/{slug}/{kind}/{item['id']}") == item
            assert shape(item)
    for feature in guest.all(f"/api/projects/{slug}/features"):
        tasks = guest.all(f"/api/projects/{slug}/features/{feature['id']}/tasks")
        assert {task["feature_id"] for task in tasks} == {feature["id"]}
    tasks = guest.all(f"/api/projects/{slug}/tasks")
    assert [task["id"] for task in tasks] == [1, 2, 3, 4, 5, 6]
    assert guest.get(f"/api/projects/{slug}/tasks/3") == tasks[2]
    for path in ("phases/999", "features/999", "tasks/999"):
        missing = guest.client.get(f"/api/projects/{slug}/{path}")
        assert (missing.status, set(missing.json)) == (404, {"error", "message", "hint"})
    journal = guest.all(f"/api/projects/{slug}/journal")
    assert {entry["event"] for entry in journal} >= EVENTS
    for before, entry in itertools.pairwise(journal):
        assert entry["at"] >= before["at"]
    by = {entry["event"]: entry["actor"].split(":")[0] for entry in journal}
    assert (by["plan_approved"], by["question_asked"], by["phase_started"]) == (
        "web", "run", "service",
    )  # fmt: skip
    page = guest.service.stranger.get("/metrics").body.decode()
    assert f'autocoder_tasks{{project="{slug}",status="passing"}} 6.0' in page


def _books(guest: Guest, model: Model) -> None:
    """What the model's server says it said is what is counted, message by message."""
    usage = guest.get("/api/usage")
    assert shapes.USAGE(usage)
    names = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
    history = guest.all("/api/usage/history")
    counted = {line["message_id"]: tuple(line["tokens"][n] for n in names) for line in history}
    assert len(counted) == len(history) == usage["messages"]
    assert counted == {entry.message_id: entry.tokens for entry in model.books if entry.kind}
    assert [usage["tokens"][n] for n in names] == [sum(t[i] for t in counted.values()) for i in range(5)]  # fmt: skip
    for line in history:
        assert shapes.HISTORY(line)
        given, said, read, short, long = counted[line["message_id"]]
        price = calc_price(
            Usage(
                input_tokens=given + read + short + long, output_tokens=said,
                cache_read_tokens=read, cache_write_tokens=short + long,
            ),
            model_ref=line["model"],
        ).total_price  # fmt: skip
        assert abs(Decimal(line["cost_usd"]) - price) < Decimal(
            "0.00003"
        )  # an hour's cache is dearer
    total = sum((Decimal(line["cost_usd"]) for line in history), Decimal(0))
    assert Decimal(usage["cost_usd"]) == total
    for part in ("by_model", "by_kind", "by_day"):
        assert sum(each["messages"] for each in usage[part].values()) == usage["messages"], part
        assert sum(Decimal(each["cost_usd"]) for each in usage[part].values()) == total, part
    mine = guest.get(f"/api/usage/projects/{_slug(guest)}")
    per_task = Counter(str(line["task_id"]) for line in history if line["project"] == NAME)
    del per_task["None"]
    assert {key: each["messages"] for key, each in mine["by_task"].items()} == per_task
    runs = guest.all(f"/api/projects/{_slug(guest)}/runs")
    assert sum(run["messages"] for run in runs) == mine["messages"]


def _cards(guest: Guest, journey: Journey) -> None:
    """One message per card; the stream told of each message once, in the order of its ids."""
    for channel in ("main", "side"):
        keys = [m["card"]["key"] for m in guest.within(channel).messages() if m["card"]]
        assert len(keys) == len(set(keys))
    ids = [number for number, _, _ in journey.seen]
    assert ids == sorted(set(ids))
    posted = [message for _, kind, message in journey.seen if kind == "message"]
    assert len(posted) == len(set(posted))
    mine = [m["id"] for m in guest.messages()]
    assert set(posted) <= set(mine)
    for place, (_, kind, message) in enumerate(journey.seen):
        if kind == "edit":
            assert any(seen[1:] == ("message", message) for seen in journey.seen[:place])
