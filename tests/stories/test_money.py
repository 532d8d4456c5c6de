"""Budgets hold at the door; every message is counted once."""

from decimal import Decimal

import pytest

from tests.stories import proofs
from tests.stories.conftest import MakeWorld
from tests.stories.works import Piece, honest, play

FEATURES = tuple(Piece(f"Piece {n}", tuple(honest(f"work{n}{m}") for m in "ab")) for n in "123")
AGENTS = 3


def test_the_budget_holds_and_can_be_raised(world: MakeWorld) -> None:
    story = world(play(FEATURES, output_tokens=1500))
    first = story.build("--yes", "--budget", "0.30")
    assert first.code == 1, first.words
    assert "budget" in first.out + first.err
    assert story.model is not None
    assert len(story.model.requests()) == len(story.model.messages())
    spent, after = Decimal(0), 0
    for row in story.column("SELECT assumed_micro_usd FROM usage_entries ORDER BY id"):
        after += spent >= 300_000
        spent += row
    assert spent >= 300_000
    assert after <= AGENTS - 1
    assert "budget_reached" in story.events()
    proofs.money_is_exact(story)

    spent_out = len(story.model.requests())
    again = story.build("--yes")
    assert again.code == 1, again.words
    assert len(story.model.requests()) == spent_out

    raised = story.build("--yes", "--budget", "9")
    assert raised.code == 0, raised.words
    assert set(story.column("SELECT attempts FROM tasks")) == {0}
    proofs.hold(story)


@pytest.mark.slow
def test_the_first_message_spends_it_all(world: MakeWorld) -> None:
    story = world(play(FEATURES, output_tokens=5000))
    ending = story.build("--budget", "0.01")
    assert ending.code == 1, ending.words
    assert story.model is not None
    assert len(story.model.requests()) == 1


@pytest.mark.slow
def test_the_budget_of_a_run(world: MakeWorld) -> None:
    """It is the agent's own doing: attempts, then stuck."""
    story = world(play((FEATURES[0],), output_tokens=3000))
    ending = story.build("--yes", BUDGET__RUN_USD="0.05", AGENTS__MAX_ATTEMPTS="2")
    assert ending.code == 1, ending.words
    assert story.runs() <= 4
    assert set(story.column("SELECT outcome FROM runs WHERE kind = 'coder'")) == {"out_of_budget"}
    assert "stuck" in story.statuses().values()
    proofs.money_is_exact(story)
