"""The service killed at any moment of the journey: the same end as undisturbed, nothing twice."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bot.home import home_hash
from tests.scripted.process import scripted_model
from tests.stories.kills_journeys import Journey, short, whole
from tests.stories.kills_story import Moment, Story, expect_the_same, look, moments
from tests.stories.service import House, Running, wait_until
from tests.stories.test_service_journey import Person as Newcomer
from tests.stories.world import marked_processes

SEEDS = range(50)
QUICK = (
    Moment("asked", 1.0),  # an agent's question is open
    Moment("sent", 0.6, 0.01),  # the plan's approval is on its way
    Moment("main", 0.6),  # a feature just landed
)

Begin = Callable[[Journey], Story]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Makes a story whose model outlives its services; afterwards nothing of it is left."""
    stories: list[Story] = []
    with ExitStack() as stack:

        def make(journey: Journey) -> Story:
            model = stack.enter_context(scripted_model(tmp_path, journey.scenario))
            stories.append(Story(tmp_path, journey, model))
            return stories[-1]

        yield make
        for story in stories:
            assert story.left() == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("journey", [short, whole])
def test_undisturbed(begin: Begin, journey: Callable[[], Journey]) -> None:
    """What the others are compared with."""
    story = begin(journey())
    story.travel([], at_end=press_everything_again)
    expect_the_same(story)


def press_everything_again(story: Story) -> None:
    """Another person presses what was decided long ago: told so, alone, and nothing moves."""
    admin = story.service.admin
    late = story.service.member("late", "approver")
    before = look(story)
    for client_id, post in story.person.posts.items():
        if "action_id" not in post.body:
            continue
        answer = late.post(post.path, {**post.body, "client_id": f"late {client_id}"})
        assert (answer.status, answer.json["reason"]) == (409, "stale"), (post, answer)
        assert " by local at " in answer.json["text"], answer
        assert " UTC" in answer.json["text"], answer
    after = look(story)
    refused = sum("action_id" in post.body for post in story.person.posts.values())
    assert after.events.pop("press_refused") == refused
    assert after == before
    wait_until(lambda: sum(_is_error(m) for m in late.messages()) == refused)
    assert not any(_is_error(m) for m in admin.messages())
    assert all("its progress card says" in m["text"] for m in late.messages() if _is_error(m))


def _is_error(message: dict[str, Any]) -> bool:
    return message["card"] is not None and message["card"]["kind"] == "error"


@pytest.mark.parametrize("moment", QUICK, ids=lambda moment: moment.measure)
def test_killed_on_a_short_way(begin: Begin, moment: Moment) -> None:
    story = begin(short())
    story.travel([moment])
    assert len(story.kills) == 1
    expect_the_same(story)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_on_the_whole_way(begin: Begin, seed: int) -> None:
    story = begin(whole())
    story.travel(moments(seed))
    assert story.kills
    expect_the_same(story)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", [0.1, 0.35, 0.6, 0.85])
def test_killed_cli(begin: Begin, part: float) -> None:
    """The service goes on by itself, and no attempt is counted."""
    story = begin(whole())
    story.travel([Moment("requests", part, victim="/claude")])
    assert story.kills
    expect_the_same(story)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2))
def test_killed_practice_model(tmp_path: Path, seed: int) -> None:
    """It is started again; a newcomer sees nothing of it."""
    chance = random.Random(seed)
    house = House(tmp_path / "home")
    marker = f"AUTOCODER_PROCESS={home_hash(house.home.resolve())}-".encode()
    with house.running() as service:
        person = Newcomer(service)
        assert service.admin.say("/autocoder new todo-api").status == 201
        for event in ("question_answered", "plan_submitted", "task_passed"):
            wait_until(lambda wanted=event: person.look() and _happened(service, wanted), 400)
            time.sleep(chance.random() * 2)
            models = [pid for pid, line in marked_processes(marker) if "adapters.practice" in line]
            assert models
            os.kill(models[0], signal.SIGKILL)
        wait_until(lambda: person.look() and _happened(service, "feature_landed"), 400)
        tasks = service.admin.get("/api/projects/todo-api/tasks?limit=1000").json["items"]
        assert not any(task["attempts"] for task in tasks if task["status"] == "passing")
        keys = [m["card"]["key"] for m in service.admin.messages() if m["card"]]
        assert len(keys) == len(set(keys))
        assert service.stop() < 5


def _happened(service: Running, event: str) -> bool:
    found = service.admin.get("/api/projects/todo-api/journal?limit=1000").json["items"]
    return any(entry["event"] == event for entry in found)
