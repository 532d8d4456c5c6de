"""Questions of agents to people."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from core.domain.cards import Label
from core.domain.events import Event
from core.domain.lifecycle import ProjectStatus, RunStatus
from core.domain.people import Role
from core.errors import InputError, StalePress, StateError
from core.operations import interviews, journal
from core.store.tables import Project, Question, Run, Task
from core.views import members

TEXT_LIMIT = 10_000
OPTION_LIMIT = 200
OPTIONS = 25
JUST_DECIDE = "just decide"  # the agent chooses, and says what


# Buttons that only some people may press: an option that looks like one would mislead them.
_DECISIONS = {label.value.replace("_", " ") for label in Label if label.role.covers(Role.APPROVER)}


def ask(
    tx: Session,
    run_id: int,
    text: str,
    options: Sequence[str],
    multiple: bool,
    *,
    topic: str = "",
    expected: int | None = None,
    now: datetime,
) -> int:
    """Write a question; the same one of the same run again is the same question."""
    if not text.strip() or len(text) > TEXT_LIMIT:
        raise InputError(f"A question has 1 to {TEXT_LIMIT:,} characters.")
    if len(options) > OPTIONS or any(not o.strip() or len(o) > OPTION_LIMIT for o in options):
        raise InputError(
            f"At most {OPTIONS} options of 1 to {OPTION_LIMIT} characters can be shown."
        )
    for option in options:
        if " ".join(option.split()).casefold() in _DECISIONS:
            raise InputError(
                f"{option!r} is a button of autocoder's own cards.",
                hint="Say in the option what would be done.",
            )
    known = tx.scalars(
        select(Question).where(
            Question.run_id == run_id, Question.text == text, Question.delivered.is_(False)
        )
    ).first()
    if known:
        return known.id
    run = tx.get_one(Run, run_id)
    if tx.get_one(Project, run.project_id).status is ProjectStatus.ARCHIVED:
        raise StateError("The project is archived: nobody answers. End your turn.")
    question = Question(
        project_id=run.project_id,
        run_id=run_id,
        text=text,
        options=list(options),
        multiple=multiple,
        topic=" ".join(topic.split())[:80],
        expected=expected if expected is not None and 0 < expected < 100 else None,
        asked_at=now,
    )
    if run.interview_id is not None:
        interviews.asks(tx, run, question)
    tx.add(question)
    tx.flush()
    journal.record(
        tx, Event.QUESTION_ASKED, text[:500], now=now, actor=f"run:{run_id}", run=run,
        data=_about(question),
    )  # fmt: skip
    return question.id


def _about(question: Question) -> dict[str, object]:
    return {"question": question.id, "interview": question.interview_id}


def answer(tx: Session, question_id: int, text: str, *, by: str, now: datetime) -> None:
    """Answer an open question; the first answer stays."""
    if not text.strip():
        raise InputError("An answer has words.")
    if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in text):
        raise InputError("An answer is text: it holds characters that are none.")
    question = still_open(tx, question_id)
    question.answer = text
    question.answered_by = by
    question.answered_at = now
    journal.record(
        tx, Event.QUESTION_ANSWERED, text[:500], now=now, actor=by,
        run=tx.get_one(Run, question.run_id), data=_about(question),
    )  # fmt: skip


def still_open(tx: Session, question_id: int) -> Question:
    """The question, if it waits for an answer; StalePress says who gave it, or what ended it."""
    question = tx.get_one(Question, question_id)
    if question.answer is None:
        return question
    if question.answered_by is None:
        what = f"This was withdrawn: {question.answer}"
    else:
        what = f"This was answered by {members.name_of(tx, question.answered_by)}"
    raise StalePress(what, at=question.answered_at)


def withdraw(tx: Session, opened: Sequence[Question], why: str, *, by: str, now: datetime) -> None:
    """Nobody waits for these any more: their cards say so and take no answer."""
    for question in opened:
        question.answer = why
        question.answered_at = now
        question.delivered = True
        journal.record(
            tx, Event.QUESTION_WITHDRAWN, f"{why}: {question.text}"[:500], now=now, actor=by,
            run=tx.get_one(Run, question.run_id), data=_about(question),
        )  # fmt: skip


def unanswered(tx: Session, *where: ColumnElement[bool]) -> Sequence[Question]:
    """Questions that wait for an answer, oldest first."""
    query = select(Question).where(Question.answer.is_(None), *where)
    return tx.scalars(query.order_by(Question.id)).all()


def run_over(tx: Session, run_id: int, held: Sequence[Task], *, now: datetime) -> None:
    """A coder's run is over for good: nobody hears an answer in its session.

    What was answered too late for it stands in the notes of its task, for the next attempt.
    """
    opened = unanswered(tx, Question.run_id == run_id)
    withdraw(tx, opened, "the run that asked is over", by=journal.SERVICE, now=now)
    late = select(Question).where(Question.run_id == run_id, Question.delivered.is_(False))
    for question in tx.scalars(late.order_by(Question.id)).all():
        question.delivered = True
        for task in held:
            who = members.name_of(tx, question.answered_by or "")
            words = f"{who} answers “{question.text[:500]}”: {question.answer}"
            task.recovery_notes = (
                f"{task.recovery_notes}\n{words}" if task.recovery_notes else words
            )


def choose(tx: Session, question_id: int, places: Sequence[int], *, by: str, now: datetime) -> None:
    """Answer by the places of options, from 0: their labels literally, joined by `, `."""
    options = tx.get_one(Question, question_id).options
    if not places or any(not 0 <= place < len(options) for place in places):
        raise InputError("This question has no such option.", hint="Look at its card.")
    text = ", ".join(options[place] for place in dict.fromkeys(places))
    answer(tx, question_id, text, by=by, now=now)


def answered(tx: Session, question_id: int) -> bool:
    return tx.get_one(Question, question_id).answer is not None


def take_answer(tx: Session, question_id: int) -> str | None:
    """The answer for the agent that waits; once taken it is delivered.

    Not where that agent died meanwhile: its run is parked, and the next one is told.
    """
    question = tx.get_one(Question, question_id)
    at_work = tx.get_one(Run, question.run_id).status is RunStatus.WORKING
    if question.answer is not None and at_work:
        question.delivered = True
    return question.answer
