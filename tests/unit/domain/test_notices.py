"""Every event is told of, or is known to be nobody's business."""

import pytest

from core.domain.cards import CardKind
from core.domain.events import Event
from core.domain.notices import TOLD, wishes

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


def test_only_these_events_change_no_card() -> None:
    assert set(Event) - TOLD == SILENT


@pytest.mark.parametrize(("event", "kind"), POSTED.items())
def test_what_happens_is_posted(event: Event, kind: CardKind) -> None:
    assert kind in [wish.kind for wish in wishes(event) if wish.post]


@pytest.mark.parametrize(("event", "kind"), CHANGED.items())
def test_a_decision_changes_the_card_that_asked(event: Event, kind: CardKind) -> None:
    assert kind in [wish.kind for wish in wishes(event)]


@pytest.mark.parametrize("event", WORK)
def test_work_changes_the_live_card_but_posts_nothing(event: Event) -> None:
    found = wishes(event)
    assert CardKind.PROGRESS in [wish.kind for wish in found]
    assert not [wish for wish in found if wish.post]


def test_only_the_account_concerns_every_project() -> None:
    assert [e for e in Event if any(w.everywhere for w in wishes(e))] == [Event.RATE_LIMITED]
