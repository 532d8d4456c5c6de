"""Inquiries: what was asked about a project, and how far its answer is."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.lifecycle import InquiryStatus, RunStatus
from core.domain.money import Dimension, to_usd
from core.store.chat_tables import Inquiry
from core.store.tables import Run, UsageTotal


@dataclass(frozen=True, kw_only=True)
class InquiryView:
    id: int
    project_id: int
    text: str
    by: str
    status: InquiryStatus
    answer: str | None
    trouble: str | None  # how its last run ended without one
    not_before: datetime | None
    at_work: bool  # an assistant has it
    ahead: int  # questions of the project that are answered before it
    cost_usd: Decimal | None  # None: nobody worked on it yet


def inquiry(tx: Session, inquiry_id: int) -> InquiryView:
    row = tx.get_one(Inquiry, inquiry_id)
    runs = dict(tx.execute(select(Run.id, Run.status).where(Run.inquiry_id == row.id)).all())
    spent = select(func.sum(UsageTotal.micro_usd)).where(
        UsageTotal.project_id == row.project_id,
        UsageTotal.dimension == Dimension.RUN,
        UsageTotal.key.in_([str(run_id) for run_id in runs]),
    )
    ahead = select(func.count()).where(
        Inquiry.project_id == row.project_id,
        Inquiry.status == InquiryStatus.OPEN,
        Inquiry.id < row.id,
    )
    return InquiryView(
        id=row.id,
        project_id=row.project_id,
        text=row.text,
        by=row.by,
        status=row.status,
        answer=row.answer,
        trouble=row.trouble,
        not_before=row.not_before,
        at_work=any(status is not RunStatus.ENDED for status in runs.values()),
        ahead=tx.scalar(ahead) or 0,
        cost_usd=to_usd(tx.scalar(spent) or 0) if runs else None,
    )
