"""Features and phases added to a project, at work and complete, by a client that is a stranger."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stories.foreign import extras
from tests.stories.foreign.guest import Guest, Json
from tests.stories.foreign.model import Model
from tests.stories.service import House

NAME = "Grows"


class Story:
    """A service, a scripted model and somebody who speaks to it."""

    def __init__(self, model: Model, guest: Guest) -> None:
        self.model, self.guest = model, guest
        self.interviewer, self.planner = extras.Interviewer(), extras.Planner()
        self.coder = extras.Coder()
        model.cast = {
            "interviewer": self.interviewer, "planner": self.planner, "coder": self.coder,
        }  # fmt: skip

    @property
    def thread(self) -> int:
        [root] = [card for card in self.guest.cards("interview") if card["thread"] is None]
        return int(root["id"])

    def plan(self, count: int) -> Json:
        """The newest plan, once there are so many."""
        found: list[Json] = self.guest.wait(
            lambda: len(self.guest.cards("plan")) >= count and self.guest.cards("plan")
        )
        assert len(found) == count
        return found[-1]

    def closed(self, message: Json) -> Json:
        """A card once its buttons are gone."""

        def look() -> Json | None:
            now = self.guest.again(message)
            return None if now["card"]["buttons"] else now

        found: Json = self.guest.wait(look)
        return found

    def interviewed(self, look: str, whom: str) -> None:
        """Answer both questions of an addition's interview: by a press, by a plain message."""
        guest = self.guest
        first = guest.open_question(NAME)
        assert first["thread"] == self.thread
        assert guest.press(first, look).json["ok"] is True
        assert look in self.closed(first)["card"]["body"]
        second = guest.open_question(NAME, after=first["id"])
        guest.say(whom, self.thread)
        assert whom in self.closed(second)["card"]["body"]
        assert self.guest.wait(lambda: self.interviewer.answers[-2:] == [look, whom])

    def status(self, wanted: str) -> Json:
        def look() -> Json | None:
            found = self.guest.project(NAME)
            return found if found["status"] == wanted else None

        found: Json = self.guest.wait(look)
        return found

    def project_status(self) -> str:
        return str(self.guest.project(NAME)["status"])

    def gate(self, count: int) -> None:
        [*_, gate] = self.guest.wait(
            lambda: len(self.guest.cards("gate")) >= count and self.guest.cards("gate")
        )
        assert self.guest.press(gate, "Approve").status == 200

    def tasks(self) -> dict[str, str]:
        return {t["name"]: t["status"] for t in self.guest.all("/api/projects/grows/tasks")}

    def spec_on_main(self) -> str:
        folder = self.guest.project(NAME)["path"]
        return subprocess.run(
            ["git", "show", "main:.autocoder/prompts/app_spec.txt"],
            cwd=folder, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip


@contextmanager
def told(folder: Path) -> Iterator[Story]:
    with Model() as model:
        house = House(
            folder / "home",
            {
                "AUTOCODER_MODEL": "claude",
                "ANTHROPIC_API_KEY": "any",
                "ANTHROPIC_BASE_URL": model.url,
            },
        )
        with house.running() as service:
            yield Story(model, Guest(service, service.admin))
            assert model.faults == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_project_grows_at_work_and_when_it_is_complete(tmp_path: Path) -> None:
    with told(tmp_path) as story:
        _begun(story)
        _a_feature_at_work(story)
        _a_phase_when_complete(story)
        _withdrawn(story)
        assert story.project_status() == "completed"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_additions_at_once_while_a_gate_is_open(tmp_path: Path) -> None:
    with told(tmp_path) as story:
        _begun(story)
        story.coder.may.set()
        guest = story.guest
        [gate] = guest.wait(lambda: guest.cards("gate"))
        for what in ("the first thing", "the second thing"):
            guest.command(f"feature add {what}", story.thread)
        _both_asked(story)
        which = guest.command("withdraw", story.thread, kind="error")
        words = which["card"]["title"] + which["card"]["body"]
        assert "the first thing" in words
        assert "the second thing" in words
        _one_plan_after_the_other(story)
        assert guest.again(gate)["card"]["buttons"], "a gate binds to what was shown"
        assert guest.press(gate, "Approve").status == 200
        story.gate(2)
        story.status("completed")
        phases = guest.all("/api/projects/grows/phases")
        assert [phase["status"] for phase in phases] == ["completed"] * 2
        assert set(story.tasks().values()) == {"passing"}
        spec = story.spec_on_main()
        assert "for aunts" in spec
        assert "for uncles" in spec


def _both_asked(story: Story) -> None:
    """Each answer goes to the interview that asked for it."""
    guest = story.guest
    for whom in (("plain", "ornate"), ("aunts", "uncles")):
        asked = guest.wait(lambda: len(_open(guest)) == 2 and _open(guest))
        for question, answer in zip(asked, whom, strict=True):
            if answer in ("plain", "ornate"):
                assert guest.press(question, answer).status == 200
            else:
                assert guest.press(question, "Answer", {"answer": answer}).status == 200
        for question in asked:
            story.closed(question)


def _open(guest: Guest) -> list[Json]:
    return [message for message in guest.cards("question") if message["card"]["buttons"]]


def _one_plan_after_the_other(story: Story) -> None:
    guest = story.guest
    first = story.plan(2)
    guest.wait(lambda: len(guest.cards("spec")) == 3)
    assert len(guest.cards("plan")) == 2, "one plan at a time waits for a decision"
    assert guest.press(first, "Approve").status == 200
    second = story.plan(3)
    assert guest.press(second, "Approve").status == 200


def _begun(story: Story) -> None:
    guest = story.guest
    guest.say(f"/autocoder new {NAME}")
    assert guest.press(story.plan(1), "Approve").status == 200
    guest.wait(lambda: story.tasks() == {"base": "in_progress"})


def _a_feature_at_work(story: Story) -> None:
    guest = story.guest
    said = guest.command("feature add export as *CSV*", story.thread)
    assert "export as" in said["card"]["title"]
    [card] = [each for each in guest.cards("interview") if each["thread"] == story.thread]
    assert "export as" in card["card"]["body"]
    story.interviewed("ornate", "accountants, mostly")
    assert "export as *CSV*" in story.interviewer.begun[-1]
    [_, spec] = guest.wait(lambda: len(guest.cards("spec")) == 2 and guest.cards("spec"))
    assert "It looks ornate, for accountants, mostly." in spec["card"]["body"]
    assert "It looks ornate" in story.spec_on_main()
    first = story.plan(2)
    assert first["thread"] == story.thread
    assert "1 feature, 1 task more in phase 1 Base, before its gate." in first["card"]["body"]
    assert story.project_status() == "running"
    assert guest.press(first, "Reject").json["reason"] == "missing_values"
    assert guest.press(first, "Reject", {"reason": "Do it otherwise"}).status == 200
    second = story.plan(3)
    assert story.closed(first)["card"]["tone"] != "success"
    assert "Do it otherwise" in story.planner.told[-1]
    assert "export as *CSV*" in story.planner.told[-1]
    assert "It looks ornate" in story.planner.told[-1]
    assert "extra3" not in story.tasks()
    assert guest.press(second, "Approve").status == 200
    assert story.tasks().keys() == {"base", "extra3"}
    story.closed(second)
    story.coder.may.set()
    story.gate(1)
    story.status("completed")
    assert story.tasks() == {"base": "passing", "extra3": "passing"}
    assert len(guest.all("/api/projects/grows/phases")) == 1
    guest.wait(lambda: len(guest.cards("report")) == 1)


def _a_phase_when_complete(story: Story) -> None:
    guest = story.guest
    story.guest.command("phase add a page for it", story.thread)
    story.interviewed("plain", "everybody")
    assert story.project_status() == "completed"
    shown = story.plan(4)
    assert "**2 Phase of extra4** · 1 task" in shown["card"]["body"]
    assert guest.press(shown, "Approve").status == 200
    running = story.status("running")
    assert running["completed_at"] is None
    story.gate(2)
    story.status("completed")
    assert set(story.tasks().values()) == {"passing"}
    phases = guest.all("/api/projects/grows/phases")
    assert [phase["name"] for phase in phases] == ["Base", "Phase of extra4"]
    first, _ = guest.wait(lambda: len(guest.cards("report")) == 2 and guest.cards("report"))
    assert first["card"]["progress"] == {"done": 2, "total": 2}, "it tells of its day"
    assert {"report:grows:1", "report:grows:2"} == {
        report["card"]["key"] for report in guest.cards("report")
    }
    assert "for everybody" in story.spec_on_main()


def _withdrawn(story: Story) -> None:
    """Given up while it is asked about, then when its plan is shown."""
    guest = story.guest
    guest.command("feature add something else", story.thread)
    question = guest.open_question(NAME)
    gone = guest.command("withdraw", story.thread)
    assert "something else" in gone["card"]["title"]
    story.closed(question)
    pressed = guest.act(question, question["card"]["buttons"][0]["action_id"])
    assert (pressed.status, pressed.json["reason"]) == (409, "stale")
    guest.command("feature add a third thing", story.thread)
    story.interviewed("plain", "nobody")
    shown = story.plan(5)
    guest.command("withdraw", story.thread)
    assert "Withdrawn: it is not wanted any more" in story.closed(shown)["card"]["body"]
    pressed = guest.act(shown, shown["card"]["buttons"][0]["action_id"])
    assert (pressed.status, pressed.json["reason"]) == (409, "stale")
    guest.say("/autocoder withdraw", story.thread)
    guest.wait(lambda: [e for e in guest.cards("error") if "No addition" in e["card"]["title"]])
    assert story.project_status() == "completed"
    assert len(story.tasks()) == 3
    waiting = [run for run in guest.all("/api/projects/grows/runs") if run["status"] == "waiting"]
    assert waiting == []
