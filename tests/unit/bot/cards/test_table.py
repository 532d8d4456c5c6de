"""The page of all cards: every event is told of, or is known to be nobody's business."""

from collections import Counter

import pytest

from bot.cards import CARDS
from core.domain.events import EVERYWHERE, CardKind, Event
from core.operations import card_subjects
from core.operations.notices import told_by
from core.views.waiting import WaitKind

SILENT = {
    Event.SERVICE_STARTED,
    Event.SERVICE_STOPPED,
    Event.PRESS_REFUSED,
    Event.GUIDANCE_GIVEN,
    Event.GUIDANCE_TAKEN,
    Event.INQUIRY_BEGUN,
    Event.INQUIRY_ANSWERED,
    Event.INQUIRY_GIVEN_UP,
    Event.MEMBER_CHANGED,
    Event.CARD_GIVEN_UP,
}
POSTED = {
    Event.QUESTION_ASKED: CardKind.QUESTION,
    Event.SPEC_WRITTEN: CardKind.SPEC,
    Event.PLAN_SUBMITTED: CardKind.PLAN,
    Event.PLAN_APPROVED: CardKind.PROGRESS,
    Event.PHASE_READY: CardKind.GATE,
    Event.FEATURE_LANDED: CardKind.LANDED,
    Event.TASK_STUCK: CardKind.STUCK,
    Event.BUDGET_WARNING: CardKind.BUDGET,
    Event.BUDGET_REACHED: CardKind.BUDGET,
    Event.RATE_LIMITED: CardKind.LIMIT,
    Event.PROJECT_BLOCKED: CardKind.ERROR,
    Event.PROJECT_COMPLETED: CardKind.REPORT,
}
CHANGED = {  # a decision takes the buttons off the card that asked for it
    Event.QUESTION_ANSWERED: CardKind.QUESTION,
    Event.PLAN_APPROVED: CardKind.PLAN,
    Event.PLAN_REJECTED: CardKind.PLAN,
    Event.PHASE_APPROVED: CardKind.GATE,
    Event.PHASE_REJECTED: CardKind.GATE,
    Event.TASK_RETRIED: CardKind.STUCK,
    Event.TASK_SKIPPED: CardKind.STUCK,
    Event.TASK_GUIDED: CardKind.STUCK,
    Event.TASK_PASSED: CardKind.STUCK,
    Event.BUDGET_CHANGED: CardKind.BUDGET,
    Event.PROJECT_RESUMED: CardKind.ERROR,
}
WORK = [
    Event.RUN_STARTED,
    Event.RUN_PARKED,
    Event.RUN_RESUMED,
    Event.RUN_ENDED,
    Event.TASK_STARTED,
    Event.CHECK_FAILED,
    Event.TASK_PASSED,
    Event.TASK_REQUEUED,
    Event.LANDING_CONFLICT,
    Event.PROJECT_PAUSED,
    Event.PROJECT_STOPPED,
]


TOLD = told_by(CARDS)


def test_only_these_events_change_no_card() -> None:
    """An event that is new is taken up by a row of CARDS, or named above."""
    assert set(Event) - set(TOLD) == SILENT


def test_what_an_event_tells_of_can_be_found_and_drawn() -> None:
    told = {kind for kinds in TOLD.values() for kind in kinds}
    assert {kind for kind in told if CARDS[kind].draw is None} == set()
    assert {k for k in told if CARDS[k].subjects is card_subjects.nothing} == set()


def test_each_thing_that_waits_has_one_card() -> None:
    assert Counter(row.waits for row in CARDS.values() if row.waits) == Counter(WaitKind)


@pytest.mark.parametrize(("event", "kind"), POSTED.items())
def test_what_happens_is_posted(event: Event, kind: CardKind) -> None:
    assert TOLD[event][kind] is True


@pytest.mark.parametrize(("event", "kind"), CHANGED.items())
def test_a_decision_changes_the_card_that_asked(event: Event, kind: CardKind) -> None:
    assert kind in TOLD[event]


@pytest.mark.parametrize("event", WORK)
def test_work_changes_the_live_card_but_posts_nothing(event: Event) -> None:
    assert CardKind.PROGRESS in TOLD[event]
    assert not any(TOLD[event].values())


def test_only_the_account_concerns_every_project() -> None:
    assert {Event.RATE_LIMITED} == EVERYWHERE
