"""What the card of a stuck task offers: the larger model only where it is one."""

import pytest
from sqlalchemy.orm import Session

from core.domain.cards import Card, Style
from core.domain.events import CardKind
from core.domain.lifecycle import RunStatus
from core.domain.rules import Models, Rules
from core.store.tables import Project
from tests.unit.bot.cards import stage
from tests.unit.bot.cards.stage import scene, tell


def stuck_card(tx: Session, project: int, *, chain: tuple[str, ...] | None = None) -> Card:
    tell(tx)
    return stage.card(
        tx, CardKind.STUCK, markup=scene(rules=Rules(models=Models(chain=chain))) if chain else None
    )


def labels(card: Card) -> list[str]:
    return [button.label for button in card.buttons]


def primary(card: Card) -> list[str]:
    return [button.label for button in card.buttons if button.style is Style.PRIMARY]


def facts(card: Card) -> dict[str, str]:
    return {field.name: field.value for field in card.fields}


def opus_cost_something(tx: Session, project: int) -> None:
    """A run of Opus that ended, so that another one's cost can be told."""
    coder = stage.claim(tx, project, 3, model="opus")
    stage.spend(tx, coder, "0.60")
    coder.status = RunStatus.ENDED


@pytest.mark.parametrize("model", ["opus", "claude-opus-4-1"])
def test_what_opus_failed_at_is_tried_again_without_the_offer_of_opus(
    tx: Session, model: str
) -> None:
    project = stage.build(tx)
    opus_cost_something(tx, project)
    stage.fail(tx, project, 1, times=3)
    stage.fail(tx, project, 1, times=2, model=model)
    card = stuck_card(tx, project)
    assert "3 runs of Sonnet, 2 of Opus" in card.body
    assert labels(card) == ["Retry", "Skip", "Guide"]
    assert primary(card) == ["Retry"]
    assert "With Opus" not in facts(card)


def test_opus_is_offered_with_what_it_costs_where_a_lesser_model_failed(tx: Session) -> None:
    project = stage.build(tx)
    opus_cost_something(tx, project)
    stage.fail(tx, project, 1)
    card = stuck_card(tx, project)
    assert labels(card) == ["Retry with Opus", "Retry", "Skip", "Guide"]
    assert primary(card) == ["Retry with Opus"]
    assert facts(card)["With Opus"] == "about $0.60"


def test_a_chain_decides_what_is_a_step_up_the_projects_own_first(tx: Session) -> None:
    project = stage.build(tx)
    stage.fail(tx, project, 1)
    assert primary(stuck_card(tx, project, chain=("haiku", "sonnet"))) == ["Retry"]
    tx.get_one(Project, project).settings = {"chain": ["haiku", "sonnet", "opus"]}
    card = stuck_card(tx, project, chain=("haiku", "sonnet"))
    assert primary(card) == ["Retry with Opus"]
    assert primary(stuck_card(tx, project, chain=("opus", "sonnet"))) == ["Retry with Opus"]
    tx.get_one(Project, project).settings = {"chain": ["opus", "sonnet"]}
    assert primary(stuck_card(tx, project)) == ["Retry"]
