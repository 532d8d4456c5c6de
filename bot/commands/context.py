"""Where somebody speaks: which project is meant there, and what was shown there last."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.commands.spec import Call
from core.domain.cards import CardKind
from core.domain.lifecycle import ApprovalKind, ApprovalStatus
from core.errors import StalePress, StateError
from core.store.chat_tables import OutboxItem
from core.store.tables import Approval

_CARDS = 50  # of decisions, that are looked at
_SEEN = timedelta(seconds=10)  # after which a card shows everybody that it is decided


@dataclass(frozen=True)
class Decision:
    """What a typed `approve` or `reject` is about."""

    approval_id: int
    kind: ApprovalKind


def shown_decision(tx: Session, call: Call) -> Decision:
    """The plan or gate whose card was posted last in this channel, if it still is to be decided.

    A typed word binds to what its writer could see: a newer version that is not posted yet is
    not meant by it (DESIGN.md §4, invariant 5). Once whoever writes knows that it is decided, the
    one that was posted before it and still waits is meant.
    """
    project = call.here
    waiting = tx.scalars(
        select(Approval).where(
            Approval.project_id == project.id, Approval.status == ApprovalStatus.OPEN
        )
    ).first()
    cards = tx.scalars(
        select(OutboxItem)
        .where(
            OutboxItem.platform == call.place.platform,
            OutboxItem.channel == call.place.channel,
            OutboxItem.project_id == project.id,
            OutboxItem.kind.in_((CardKind.PLAN, CardKind.GATE)),
            OutboxItem.message.is_not(None),
        )
        .order_by(OutboxItem.id.desc())
        .limit(_CARDS)
    ).all()
    if not cards:
        if waiting is None:
            raise StateError(f"Nothing of {project.name} waits for a decision.")
        raise StateError(
            f"The {waiting.kind!s} of {project.name} was not shown in this channel.",
            hint="Decide where its card stands, or press its button.",
        )
    shown, *before = (_approval_of(tx, card) for card in cards)
    if shown is None or shown.status is not ApprovalStatus.OPEN:
        if waiting is None:
            raise StalePress(_decided(tx, project.id, shown))
        other = next((a for a in before if a and a.status is ApprovalStatus.OPEN), None)
        if other is not None:
            if shown is None or _knows(call, shown):
                return Decision(other.id, other.kind)
            raise StalePress(
                f"{_decided(tx, project.id, shown)} A {other.kind!s} of {project.name} waits too.",
                hint="Press its button, or say it again in a moment.",
            )
        raise StalePress(
            f"A newer {waiting.kind!s} of {project.name} waits than the one shown here.",
            hint="Its card comes in a moment; look at it first.",
        )
    return Decision(shown.id, shown.kind)


def _knows(call: Call, decided: Approval) -> bool:
    """Whether a person's word was not meant for a decision that somebody made at that moment."""
    at = decided.decided_at
    return at is None or decided.decided_by == call.person or call.now - at >= _SEEN


def decisions_open(tx: Session, project_id: int) -> bool:
    """Whether a plan or gate of a project waits, wherever its card stands."""
    waiting = select(Approval.id).where(
        Approval.project_id == project_id, Approval.status == ApprovalStatus.OPEN
    )
    return tx.scalars(waiting.limit(1)).first() is not None


def _approval_of(tx: Session, card: OutboxItem) -> Approval | None:
    """The decision a card asks for: a gate's card names it, a plan's names the plan."""
    if card.kind is CardKind.GATE:
        return tx.get(Approval, card.subject_id or 0)
    return tx.scalars(
        select(Approval).where(
            Approval.kind == ApprovalKind.PLAN, Approval.subject_id == card.subject_id
        )
    ).first()


def _decided(tx: Session, project_id: int, shown: Approval | None) -> str:
    last = (
        shown
        or tx.scalars(
            select(Approval).where(Approval.project_id == project_id).order_by(Approval.id.desc())
        ).first()
    )
    if last is None or last.decided_at is None:
        return "Nothing waits for a decision."
    who = last.decided_by or "the service"
    return (
        f"This {last.kind!s} was {last.status!s} by {who} at {last.decided_at:%H:%M UTC on %Y-%m-%d};"
        " nothing was changed."
    )
