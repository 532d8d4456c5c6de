"""The service killed at any moment of the journey: the same end as undisturbed, nothing twice."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.scripted.process import scripted_model
from tests.stories.kills_journeys import Journey, short, whole
from tests.stories.kills_story import Moment, Story, expect_the_same, look, moments
from tests.stories.service import wait_until

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
