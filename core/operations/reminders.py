"""Reminders of plans and gates that wait for a person's decision."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain import card_keys
from core.domain.events import CardKind
from core.domain.lifecycle import AT_REST, ApprovalKind, ApprovalStatus
from core.operations import outbox
from core.store.tables import Approval, Project
from core.views import projects


def due(tx: Session, after: timedelta, *, now: datetime) -> bool:
    """Whether `remind` has something to do."""
    return any(_due(approval, after, now) for approval in _waiting_decisions(tx))


def remind(tx: Session, after: timedelta, *, now: datetime) -> None:
    """A line in the thread for each decision that waits `after` since its last reminder.

    However long the service was away, it is one reminder.
    """
    for approval in _waiting_decisions(tx):
        if not _due(approval, after, now):
            continue
        approval.reminded_at = now
        slug = tx.get_one(Project, approval.project_id).slug
        kind, subject, key = _decision_card(tx, approval, slug)
        outbox.refresh(tx, approval.project_id, kind, subject, now=now)
        number = outbox.count(tx, approval.project_id, kind, subject)
        for place, root in projects.places_of(tx, approval.project_id):
            outbox.want(
                tx,
                place,
                card_keys.reminder(key, number),
                kind,
                project_id=approval.project_id,
                subject_id=subject,
                thread_key=root,
                now=now,
            )


def _due(approval: Approval, after: timedelta, now: datetime) -> bool:
    return (approval.reminded_at or approval.opened_at) + after <= now


def _waiting_decisions(tx: Session) -> Sequence[Approval]:
    return tx.scalars(
        select(Approval)
        .join(Project, Project.id == Approval.project_id)
        .where(Approval.status == ApprovalStatus.OPEN, Project.status.not_in(AT_REST))
        .order_by(Approval.id)
    ).all()


def _decision_card(tx: Session, approval: Approval, slug: str) -> tuple[CardKind, int, str]:
    match approval.kind:
        case ApprovalKind.PLAN:
            key = card_keys.plan(slug, int(approval.version))
            return CardKind.PLAN, approval.subject_id, key
        case ApprovalKind.GATE:
            return CardKind.GATE, approval.id, card_keys.gate(slug, approval.id)
        case _:
            assert_never(approval.kind)
