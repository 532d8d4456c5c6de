"""Decisions about plans and gates: what waits, who decided, when and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.domain.lifecycle import AT_REST, ApprovalKind, ApprovalStatus
from core.domain.proof import CheckResult
from core.store.tables import Approval, Project
from core.views.json import Hidden, Utc
from core.views.paging import Page, cut


@dataclass(frozen=True)
class Diff:
    """How much a gate's phase changed."""

    files: int
    added: int
    removed: int


@dataclass(frozen=True, kw_only=True)
class ApprovalView:
    """`subject_id` is the plan's or the phase's id."""

    id: int
    project_id: Hidden[int]
    kind: ApprovalKind
    subject_id: int
    version: Hidden[str]  # the plan's version, or the commit of the gate
    status: ApprovalStatus
    waits: Hidden[bool]  # for a person: it is open, and its project is not at rest
    checks: Hidden[Sequence[CheckResult]]  # a gate's, on `main`
    diff: Hidden[Diff | None]  # a gate's
    opened_at: Utc
    reminded_at: Hidden[datetime | None]
    decided_at: Utc | None
    decided_by: str | None
    reason: str | None


def approvals(tx: Session, project_id: int, *, after: int = 0, limit: int) -> Page[ApprovalView]:
    query = (
        select(Approval)
        .where(Approval.project_id == project_id, Approval.id > after)
        .order_by(Approval.id)
    )
    rows, rest = cut(tx, query, lambda row: row.id, limit)
    return Page([_view(tx, row) for row in rows], rest)


def by_id(tx: Session, approval_id: int) -> ApprovalView | None:
    row = tx.get(Approval, approval_id)
    return _view(tx, row) if row else None


def waiting(tx: Session, project_id: int) -> ApprovalView | None:
    """The newest decision of a project that is open."""
    return _last(
        tx,
        select(Approval).where(
            Approval.project_id == project_id, Approval.status == ApprovalStatus.OPEN
        ),
    )


def last(tx: Session, project_id: int, *, kind: ApprovalKind | None = None) -> ApprovalView | None:
    """The newest decision of a project, open or not."""
    query = select(Approval).where(Approval.project_id == project_id)
    return _last(tx, query if kind is None else query.where(Approval.kind == kind))


def of_subject(tx: Session, kind: ApprovalKind, subject_id: int) -> Sequence[ApprovalView]:
    """Every decision about a plan or a phase, the oldest first."""
    rows = tx.scalars(
        select(Approval)
        .where(Approval.kind == kind, Approval.subject_id == subject_id)
        .order_by(Approval.id)
    )
    return [_view(tx, row) for row in rows]


def _last(tx: Session, query: Select[Approval]) -> ApprovalView | None:
    row = tx.scalars(query.order_by(Approval.id.desc()).limit(1)).first()
    return _view(tx, row) if row else None


def _view(tx: Session, row: Approval) -> ApprovalView:
    open_ = row.status is ApprovalStatus.OPEN
    return ApprovalView(
        id=row.id,
        project_id=row.project_id,
        kind=row.kind,
        subject_id=row.subject_id,
        version=row.version,
        status=row.status,
        waits=open_ and tx.get_one(Project, row.project_id).status not in AT_REST,
        checks=[
            CheckResult(check["command"], check["exit_code"], check["output"], check["seconds"])
            for check in row.checks
        ],
        diff=None
        if row.diff_files is None
        else Diff(row.diff_files, row.diff_added or 0, row.diff_removed or 0),
        opened_at=row.opened_at,
        reminded_at=row.reminded_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        reason=row.reason,
    )
