"""Cards: words and figures of the database, written once for every platform.

CARDS is the page of them all: which events post a card or bring it up to date, what it is about,
and how it is drawn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from bot.cards import (
    answers,
    blocked,
    completed,
    gate,
    interview,
    landed,
    money,
    plan,
    progress,
    questions,
    stuck,
)
from bot.cards.rendering import CardRef, Drawn, RenderContext
from core.domain.events import CardKind, Event
from core.errors import StateError
from core.operations import card_subjects
from core.operations.notices import CardSpec
from core.operations.outbox import Due
from core.views.waiting import WaitKind


@dataclass(frozen=True)
class CardRow(CardSpec):
    """All that is said of a kind of card in one place."""

    about: str  # what it shows, for docs/reference/cards.md
    draw: Callable[[Session, CardRef, RenderContext], Drawn] | None = (
        None  # None: its words are fixed
    )


_PROJECT_WENT_ON = (Event.PROJECT_RESUMED, Event.PROJECT_STOPPED, Event.PROJECT_ARCHIVED)
_PROJECT = (
    Event.PROJECT_PAUSED,
    Event.PROJECT_WINDING_DOWN,
    Event.PROJECT_BLOCKED,
    Event.PROJECT_COMPLETED,
    *_PROJECT_WENT_ON,
)
_QUESTION = (Event.QUESTION_ASKED, Event.QUESTION_ANSWERED, Event.QUESTION_WITHDRAWN)
_PLAN = (Event.PLAN_SUBMITTED, Event.PLAN_APPROVED, Event.PLAN_REJECTED)
_GATE = (Event.PHASE_READY, Event.PHASE_APPROVED, Event.PHASE_REJECTED)
_INTERVIEW_HALTED = (
    Event.INTERVIEW_SENT_BACK,
    Event.INTERVIEW_BLOCKED,
    Event.INTERVIEW_WITHDRAWN,
)
_UNSTUCK = (Event.TASK_RETRIED, Event.TASK_SKIPPED, Event.TASK_GUIDED, Event.TASK_PASSED)
_SPENT = (Event.BUDGET_WARNING, Event.BUDGET_REACHED)
_AT_WORK = (
    Event.RUN_STARTED,
    Event.RUN_PARKED,
    Event.RUN_RESUMED,
    Event.RUN_ENDED,
    Event.TASK_STARTED,
    Event.TASK_REQUEUED,
    Event.TASK_STUCK,
    *_UNSTUCK,
    Event.CHECK_FAILED,
    Event.FEATURE_LANDED,
    Event.LANDING_CONFLICT,
    Event.GATE_FAILED,
)

CARDS: Mapping[CardKind, CardRow] = {
    CardKind.INTERVIEW: CardRow(
        "The head of a project's thread: what is talked about, and how far it is.",
        interview.draw,
        posted_at=(Event.PROJECT_CREATED, Event.INTERVIEW_BEGUN),
        updated_at=(
            *_INTERVIEW_HALTED,
            Event.SPEC_WRITTEN,
            *_QUESTION,
            *_PLAN,
            Event.PHASE_STARTED,
            *_GATE,
            *_PROJECT,
        ),
        subjects=card_subjects.interview,
        all_at_once=True,
        standing=card_subjects.open_interviews,
    ),
    CardKind.QUESTION: CardRow(
        "An agent asks. Options are buttons, own words are always taken.",
        questions.draw,
        posted_at=(Event.QUESTION_ASKED, Event.QUESTION_ANSWERED),
        updated_at=(Event.QUESTION_WITHDRAWN, *_PROJECT_WENT_ON),
        subjects=card_subjects.question,
        waits=WaitKind.QUESTION,
    ),
    CardKind.SPEC: CardRow(
        "The spec as it stands on `main`.",
        interview.draw_spec,
        posted_at=(Event.SPEC_WRITTEN,),
        subjects=card_subjects.spec,
    ),
    CardKind.PLAN: CardRow(
        "Phases, features, tasks, cost and time; nothing is built before its approval.",
        plan.draw,
        posted_at=_PLAN,
        updated_at=(*_INTERVIEW_HALTED, Event.SPEC_WRITTEN, *_PROJECT_WENT_ON),
        subjects=card_subjects.plan,
        all_at_once=True,  # one takes another's place
        waits=WaitKind.PLAN,
    ),
    CardKind.PROGRESS: CardRow(
        "The one live card of a project: tasks, agents at work, cost, forecast.",
        progress.draw,
        posted_at=(Event.PLAN_APPROVED, Event.PHASE_STARTED),
        updated_at=(
            *_QUESTION,
            *_PLAN,
            Event.PLAN_REFUSED,
            Event.PLAN_EXTENDED,
            *_AT_WORK,
            *_GATE,
            *_SPENT,
            Event.BUDGET_CHANGED,
            Event.RATE_LIMITED,
            Event.SETTINGS_CHANGED,
            *_PROJECT,
        ),
        subjects=card_subjects.progress,
        all_at_once=True,
        standing=card_subjects.progress_of_plan,
    ),
    CardKind.LANDED: CardRow(
        "A feature is on `main`, with its evidence and cost.",
        landed.draw,
        posted_at=(Event.FEATURE_LANDED,),
        subjects=card_subjects.feature,
    ),
    CardKind.STUCK: CardRow(
        "A task that used up its attempts: what was tried, what went wrong.",
        stuck.draw,
        posted_at=(Event.TASK_STUCK,),
        updated_at=(*_UNSTUCK, *_PROJECT_WENT_ON),
        subjects=card_subjects.task,
        waits=WaitKind.STUCK,
    ),
    CardKind.GATE: CardRow(
        "A phase is built and proved; the next one starts only after its approval.",
        gate.draw,
        posted_at=_GATE,
        updated_at=_PROJECT_WENT_ON,
        subjects=card_subjects.gate,
        all_at_once=True,
        waits=WaitKind.GATE,
    ),
    CardKind.BUDGET: CardRow(
        "Spending passed a mark, or reached the limit.",
        money.draw_budget,
        posted_at=_SPENT,
        updated_at=(Event.BUDGET_CHANGED, *_PROJECT_WENT_ON),
        subjects=card_subjects.each_time(CardKind.BUDGET),
        all_at_once=True,  # an earlier one is not the one to act upon
    ),
    CardKind.LIMIT: CardRow(
        "The model's server refuses for load or allowance: all wait, and until when.",
        money.draw_limit,
        posted_at=(Event.RATE_LIMITED,),
        subjects=card_subjects.each_time(CardKind.LIMIT),
        all_at_once=True,
    ),
    CardKind.DIGEST: CardRow("The day in a channel. *Comes with a later version.*"),
    CardKind.REPORT: CardRow(
        "The project is complete: what was built, proved and spent.",
        completed.draw_report,
        posted_at=(Event.PROJECT_COMPLETED,),
        subjects=card_subjects.each_time(CardKind.REPORT),  # an earlier one tells of its own day
        standing=card_subjects.last_report,
    ),
    CardKind.NOTICE: CardRow("What an admin or a channel is told once."),
    CardKind.ANSWER: CardRow("The answer to a command.", answers.draw),
    CardKind.ERROR: CardRow(
        "What went wrong, what it means, what to do.",
        blocked.draw_blocked,
        posted_at=(Event.PROJECT_BLOCKED,),
        updated_at=_PROJECT_WENT_ON,
        subjects=card_subjects.each_time(CardKind.ERROR),
        all_at_once=True,
        waits=WaitKind.BLOCKED,
    ),
    CardKind.HELP: CardRow("What can be said; and what is new after an update."),
}


def draw(tx: Session, due: Due, scene: RenderContext) -> Drawn:
    """The card that `due` asks for, as it is now; a read."""
    if due.fixed is not None:
        return Drawn(due.fixed)
    if due.project_id is None:
        raise StateError(f"The card {due.key} belongs to no project.")
    how = CARDS[due.kind].draw
    if how is None:
        raise StateError(f"The words of {due.key} are fixed when they are said.")
    return how(tx, CardRef(due.key, due.place, due.project_id, due.subject_id or 0), scene)
