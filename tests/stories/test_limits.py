"""What a model server may do to us: limits, overload, errors, silence, half answers."""

import time
from datetime import UTC, datetime

import pytest

from tests.scripted.scenario import Fault
from tests.stories import proofs
from tests.stories.conftest import MakeWorld
from tests.stories.works import Piece, alone, honest, play
from tests.stories.world import World, until

TWO = (Piece("One", (honest("one"),)), Piece("Two", (honest("two"),)))


def limit(first: int, last: int, seconds: int | None, status: int = 429) -> Fault:
    headers = {} if seconds is None else {"retry-after": str(seconds)}
    return Fault(first, last, kind="coder", status=status, headers=headers)


def no_attempt_was_lost(story: World) -> None:
    assert set(story.column("SELECT attempts FROM tasks")) == {0}


def window_end(story: World) -> float:
    (until_when,) = story.column("SELECT until FROM account_windows")
    return datetime.fromisoformat(until_when).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("status", [429, pytest.param(529, marks=pytest.mark.slow)])
def test_all_agents_wait_for_the_window(world: MakeWorld, status: int) -> None:
    story = world(play(TWO, faults=(limit(2, 2, 2, status),)))
    ending = story.build()
    assert ending.code == 0, ending.words
    assert story.events().count("rate_limited") == 1
    no_attempt_was_lost(story)
    assert story.model is not None
    requests = [request for request in story.model.requests() if request["kind"] == "coder"]
    limited = next(request["at"] for request in requests if request["fault"])
    # A request of the other agent may have been under way.
    early = [r for r in requests if limited + 0.3 < r["at"] < window_end(story)]
    assert not early
    proofs.hold(story)


@pytest.mark.slow
def test_a_limit_without_a_date(world: MakeWorld) -> None:
    story = world(play(TWO, faults=(limit(1, 1, None, 529),)))
    begun = time.monotonic()
    ending = story.build()
    assert ending.code == 0, ending.words
    assert time.monotonic() - begun > 15
    no_attempt_was_lost(story)


@pytest.mark.slow
def test_the_window_survives_a_restart(world: MakeWorld) -> None:
    story = world(play(TWO, faults=(limit(2, 2, 5),)))
    program = story.start()
    until(lambda: story.journal_rows() > 0 and "rate_limited" in story.events())
    program.kill()
    assert story.model is not None
    before = len(story.model.requests())
    ending = story.build()
    assert ending.code == 0, ending.words
    assert story.model.requests()[before]["at"] >= window_end(story)
    no_attempt_was_lost(story)


@pytest.mark.slow
def test_server_errors_pass(world: MakeWorld) -> None:
    story = world(play(alone(honest("one")), faults=(Fault(2, 4, kind="coder", status=500),)))
    ending = story.build()
    assert ending.code == 0, ending.words
    no_attempt_was_lost(story)
    proofs.hold(story)


def test_a_wrong_key_stops_at_once(world: MakeWorld) -> None:
    story = world(play(TWO, faults=(Fault(1, 99, status=401, message="invalid x-api-key"),)))
    ending = story.build()
    assert ending.code == 1, ending.words
    assert "API key" in ending.out + ending.err
    assert story.model is not None
    assert len(story.model.requests()) == 1
    story.model.play(play(alone(honest("one"))))
    again = story.build()
    assert again.code == 0, again.words


def test_silence_is_ended(world: MakeWorld) -> None:
    story = world(play(alone(honest("one")), faults=(Fault(3, 3, "hang", "coder"),)))
    ending = story.build(AGENTS__SILENCE_S="3")
    assert ending.code == 0, ending.words
    assert "interrupted" in story.column("SELECT outcome FROM runs WHERE kind = 'coder'")
    no_attempt_was_lost(story)
    proofs.hold(story)


@pytest.mark.slow
def test_silence_for_ever_is_given_up(world: MakeWorld) -> None:
    story = world(play(alone(honest("one")), faults=(Fault(1, 999, "hang", "coder"),)))
    ending = story.build(
        "--yes", AGENTS__SILENCE_S="1", AGENTS__MAX_ATTEMPTS="1", AGENTS__BACKOFF_MAX_S="1"
    )
    assert ending.code == 1, ending.words
    assert story.statuses() == {"one": "stuck"}
    assert story.runs() == 6


@pytest.mark.slow
def test_a_cut_stream_is_asked_again(world: MakeWorld) -> None:
    story = world(play(alone(honest("one")), faults=(Fault(2, 2, "cut", "coder"),)))
    ending = story.build()
    assert ending.code == 0, ending.words
    no_attempt_was_lost(story)
    proofs.hold(story)
