"""The live card of a project while the budget of a day or a month is spent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from bot.cards import progress
from bot.cards.rendering import CardRef
from core.domain import markup
from core.domain.cards import Tone
from core.domain.lifecycle import RunStatus
from core.domain.rules import Budget, Rules
from core.operations import projects
from tests.unit.bot.cards import stage
from tests.unit.bot.cards.stage import NOW, PLACE, scene

DAY = Rules(budget=Budget(day_usd=Decimal("1.50")))


def spent(tx: Session) -> int:
    """A project that has spent two dollars today; nobody works on it now."""
    project = stage.build(tx)
    coder = stage.claim(tx, project, 1)
    stage.spend(tx, coder, "2.00")
    coder.status = RunStatus.ENDED
    tx.flush()
    return project


def ref(project: int) -> CardRef:
    return CardRef("progress:todo-api", PLACE, project)


def test_it_says_that_the_day_is_spent_and_when_it_goes_on(tx: Session) -> None:
    project = spent(tx)
    drawn = progress.draw(tx, ref(project), scene(rules=DAY))
    line = "▲ Today's budget (UTC), $1.50, is spent: nothing new starts before Fri 00:00"
    assert line in markup.plain(drawn.card.body)
    assert "nothing new starts before Fri 00:00" in drawn.card.fallback
    assert drawn.card.tone is Tone.WARNING
    midnight = datetime(2026, 3, 13, tzinfo=UTC)
    assert drawn.again_at == midnight, "the card of a new day is drawn by itself"
    after = progress.draw(tx, ref(project), scene(rules=DAY, now=midnight))
    assert "nothing new starts" not in after.card.body
    assert (after.card.tone, after.again_at) == (Tone.INFO, None)


def test_a_month_is_told_likewise_and_a_budget_that_is_not_spent_is_not(tx: Session) -> None:
    project = spent(tx)
    month = Rules(budget=Budget(day_usd=Decimal(100), month_usd=Decimal(2)))
    card = progress.draw(tx, ref(project), scene(rules=month)).card
    assert "▲ This month's budget (UTC), $2.00, is spent" in card.body
    assert "Wed 1 April" in card.body
    rich = replace(month, budget=replace(month.budget, month_usd=Decimal(3)))
    card = progress.draw(tx, ref(project), scene(rules=rich)).card
    assert "is spent" not in card.body


def test_a_stopped_project_waits_for_no_day(tx: Session) -> None:
    project = spent(tx)
    projects.stop(tx, project, actor="web:ann", now=NOW + timedelta(minutes=1))
    drawn = progress.draw(tx, ref(project), scene(rules=DAY))
    assert "is spent" not in drawn.card.body
    assert drawn.again_at is None
