"""What happened → which cards tell of it (DESIGN.md §1.2–1.6). Pure.

A new event does not pass the type checker until it is decided here what it shows.
"""

from dataclasses import dataclass
from typing import assert_never

from core.domain.cards import CardKind
from core.domain.events import Event


@dataclass(frozen=True)
class Wish:
    """A card of the event's project that shall stand there, in its newest state.

    `post`: it is posted if it is not there yet; else it is brought up to date where it stands.
    `everywhere`: in every project that has work to do, for what concerns them all.
    """

    kind: CardKind
    post: bool = False
    everywhere: bool = False


def wishes(event: Event) -> tuple[Wish, ...]:
    """The cards that an event of a project posts or changes."""
    match event:
        case Event.PROJECT_CREATED:
            return (_post(CardKind.INTERVIEW),)
        case Event.INTERVIEW_BEGUN:
            return (_post(CardKind.INTERVIEW),)
        case Event.INTERVIEW_SENT_BACK | Event.INTERVIEW_BLOCKED | Event.INTERVIEW_WITHDRAWN:
            return (_ROOT, Wish(CardKind.PLAN))
        case Event.SPEC_WRITTEN:
            return (_post(CardKind.SPEC), Wish(CardKind.PLAN), _ROOT)
        case Event.QUESTION_ASKED | Event.QUESTION_ANSWERED:
            return (_post(CardKind.QUESTION), _ROOT, _PROGRESS)
        case Event.QUESTION_WITHDRAWN:
            return (Wish(CardKind.QUESTION), _ROOT, _PROGRESS)
        case Event.PLAN_SUBMITTED | Event.PLAN_REJECTED:
            return (_post(CardKind.PLAN), _ROOT, _PROGRESS)
        case Event.PLAN_APPROVED:
            return (_post(CardKind.PLAN), _post(CardKind.PROGRESS), _ROOT)
        case Event.PHASE_STARTED:
            return (_post(CardKind.PROGRESS), _ROOT)
        case Event.PHASE_READY | Event.PHASE_APPROVED | Event.PHASE_REJECTED:
            return (_post(CardKind.GATE), _PROGRESS, _ROOT)
        case Event.FEATURE_LANDED:
            return (_post(CardKind.LANDED), _PROGRESS)
        case Event.TASK_STUCK:
            return (_post(CardKind.STUCK), _PROGRESS)
        case Event.TASK_RETRIED | Event.TASK_SKIPPED | Event.TASK_GUIDED | Event.TASK_PASSED:
            return (Wish(CardKind.STUCK), _PROGRESS)
        case Event.BUDGET_WARNING | Event.BUDGET_REACHED:
            return (_post(CardKind.BUDGET), _PROGRESS)
        case Event.BUDGET_CHANGED:
            return (Wish(CardKind.BUDGET), _PROGRESS)
        case Event.RATE_LIMITED:
            return (
                Wish(CardKind.LIMIT, post=True, everywhere=True),
                Wish(CardKind.PROGRESS, everywhere=True),
            )
        case Event.PROJECT_BLOCKED:
            return (_post(CardKind.ERROR), _PROGRESS, _ROOT)
        case Event.PROJECT_RESUMED | Event.PROJECT_STOPPED | Event.PROJECT_ARCHIVED:
            return (Wish(CardKind.ERROR), Wish(CardKind.BUDGET), _PROGRESS, _ROOT)
        case Event.PROJECT_COMPLETED:
            return (_post(CardKind.REPORT), _PROGRESS, _ROOT)
        case Event.PROJECT_PAUSED | Event.PROJECT_WINDING_DOWN:
            return (_PROGRESS, _ROOT)
        case (
            Event.RUN_STARTED
            | Event.RUN_PARKED
            | Event.RUN_RESUMED
            | Event.RUN_ENDED
            | Event.PLAN_EXTENDED
            | Event.PLAN_REFUSED
            | Event.GATE_FAILED
            | Event.TASK_STARTED
            | Event.CHECK_FAILED
            | Event.TASK_REQUEUED
            | Event.LANDING_CONFLICT
            | Event.SETTINGS_CHANGED
        ):
            return (_PROGRESS,)
        case (
            Event.SERVICE_STARTED
            | Event.SERVICE_STOPPED
            | Event.PRESS_REFUSED  # whoever pressed was told
            | Event.GUIDANCE_GIVEN  # acknowledged where it was said
            | Event.GUIDANCE_TAKEN
            | Event.INQUIRY_BEGUN  # its card stands where it was asked, maybe in another channel
            | Event.INQUIRY_ANSWERED
            | Event.INQUIRY_GIVEN_UP
            | Event.MEMBER_CHANGED
            | Event.CARD_GIVEN_UP
        ):
            return ()
        case _:
            assert_never(event)


def _post(kind: CardKind) -> Wish:
    return Wish(kind, post=True)


_ROOT = Wish(CardKind.INTERVIEW)
_PROGRESS = Wish(CardKind.PROGRESS)

# Nothing is asked of an event whose answer is the same every time.
TOLD = frozenset(event for event in Event if wishes(event))
