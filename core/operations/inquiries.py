"""Inquiries: what a person asks about a project, from their words to an assistant's answer.

The answer is written in the transaction that ends its run, so that a kill asks again or has
answered, never both. The card that stands where it was asked is drawn from the row.
"""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain import card_keys, failure
from core.domain.agents import RunOutcome
from core.domain.events import CardKind, Event, Level
from core.domain.failure import EndedHow, RunEnd
from core.domain.lifecycle import Cause, InquiryStatus, RunStatus, move
from core.domain.rules import Rules
from core.operations import journal, outbox
from core.ports.chat import Place
from core.store.chat_tables import Inquiry
from core.store.tables import Project, Run

ANSWER_LIMIT = 20_000  # characters that are kept
FAILURES = 2  # of the agent's own, then it is given up
RESTARTS = 3  # accidents in a row: somebody waits


def begin(
    tx: Session,
    project_id: int,
    text: str,
    *,
    inbox_id: int,
    place: Place,
    by: str,
    now: datetime,
) -> int:
    """Put a question to the project's assistant; its card is posted where it was asked."""
    inquiry = Inquiry(
        project_id=project_id,
        inbox_id=inbox_id,
        text=text,
        by=by,
        status=InquiryStatus.OPEN,
        asked_at=now,
    )
    tx.add(inquiry)
    tx.flush()
    journal.record(
        tx, Event.INQUIRY_BEGUN, text[:500], now=now, actor=by,
        project=tx.get_one(Project, project_id), data={"inquiry": inquiry.id},
    )  # fmt: skip
    outbox.want(
        tx, place, card_keys.reply(CardKind.ANSWER, inbox_id), CardKind.ANSWER, project_id=project_id,
        subject_id=inquiry.id, now=now,
    )  # fmt: skip
    return inquiry.id


def waiting(tx: Session, project_id: int) -> list[Inquiry]:
    """Those without an answer, oldest first."""
    return list(
        tx.scalars(
            select(Inquiry)
            .where(Inquiry.project_id == project_id, Inquiry.status == InquiryStatus.OPEN)
            .order_by(Inquiry.id)
        )
    )


def last_run(tx: Session, inquiry_id: int) -> int | None:
    """The newest run that worked on it: the session that goes on."""
    return tx.scalars(
        select(func.max(Run.id)).where(Run.inquiry_id == inquiry_id, Run.status == RunStatus.ENDED)
    ).first()


def taken_up(tx: Session, inquiry_id: int, *, now: datetime) -> None:
    """An assistant begins with it."""
    _refresh(tx, tx.get_one(Inquiry, inquiry_id), now=now)


def run_ended(tx: Session, run: Run, ended: RunEnd, rules: Rules, *, now: datetime) -> None:
    """An assistant's run ended: with the answer, or with what comes next."""
    if run.inquiry_id is None:
        return
    inquiry = tx.get_one(Inquiry, run.inquiry_id)
    if inquiry.status is not InquiryStatus.OPEN:
        return
    if ended.outcome is RunOutcome.FINISHED and ended.words.strip():
        _answered(tx, inquiry, ended.words.strip(), run, now=now)
        return
    settled = failure.settle(ended.how, rules.agents, restarts=inquiry.restarts)
    inquiry.restarts = settled.restarts
    inquiry.failures += settled.attempt
    inquiry.not_before = now + settled.wait if settled.wait else None
    inquiry.trouble = ended.words[:2000] or "The assistant ended without a word."
    spent = ended.how in (EndedHow.BUDGET, EndedHow.CREDENTIALS)
    if spent or inquiry.failures >= FAILURES or inquiry.restarts > RESTARTS:
        give_up(tx, inquiry.id, inquiry.trouble, now=now)
        return
    _refresh(tx, inquiry, now=now)


def _answered(tx: Session, inquiry: Inquiry, words: str, run: Run, *, now: datetime) -> None:
    move(inquiry, InquiryStatus.ANSWERED, by=Cause.AGENT)
    inquiry.answer = words[:ANSWER_LIMIT]
    inquiry.answered_at = now
    journal.record(
        tx, Event.INQUIRY_ANSWERED, words[:500], now=now, actor=f"run:{run.id}", run=run,
        data={"inquiry": inquiry.id},
    )  # fmt: skip
    _refresh(tx, inquiry, now=now)


def give_up(tx: Session, inquiry_id: int, reason: str, *, now: datetime) -> None:
    """No assistant answers it; the card says why, and what the journal tells."""
    inquiry = tx.get_one(Inquiry, inquiry_id)
    if inquiry.status is not InquiryStatus.OPEN:
        return
    move(inquiry, InquiryStatus.GIVEN_UP, by=Cause.SERVICE)
    inquiry.trouble = reason[:2000]
    inquiry.answered_at = now
    journal.record(
        tx, Event.INQUIRY_GIVEN_UP, reason[:500], now=now, level=Level.WARNING,
        project=tx.get_one(Project, inquiry.project_id), data={"inquiry": inquiry.id},
    )  # fmt: skip
    _refresh(tx, inquiry, now=now)


def _refresh(tx: Session, inquiry: Inquiry, *, now: datetime) -> None:
    outbox.refresh(tx, inquiry.project_id, CardKind.ANSWER, inquiry.id, now=now)
