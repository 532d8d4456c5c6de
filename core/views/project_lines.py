"""Projects on a line each: lists, the rail of the web chat, a person's own page."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.lifecycle import AT_REST, ApprovalKind, ApprovalStatus, ProjectStatus
from core.domain.money import Dimension, to_usd
from core.domain.people import Role
from core.ports.chat import Place
from core.store.chat_tables import ProjectPlace
from core.store.tables import Approval, Project, Question, Task, UsageTotal
from core.views.projects import ProjectRef
from core.views.tasks import Counts, counts_of


@dataclass(frozen=True, kw_only=True)
class ProjectLine:
    project: ProjectRef
    status: ProjectStatus
    counts: Counts
    cost_usd: Decimal | None  # list price; None: nobody worked on it yet
    at_gate: bool
    waits: bool  # for somebody of this role
    places: Sequence[tuple[Place, str]]  # first where it was made, each with its root card's key


def project_lines(
    tx: Session,
    *,
    role: Role = Role.ADMIN,
    without: Sequence[ProjectStatus] = (ProjectStatus.ARCHIVED,),
    limit: int,
) -> Sequence[ProjectLine]:
    """The newest first; as many questions to the database for one as for all."""
    rows = tx.scalars(
        select(Project)
        .where(Project.status.not_in(without))
        .order_by(Project.id.desc())
        .limit(limit)
    ).all()
    ids = [row.id for row in rows]
    counts = counts_of(tx, Task.project_id, ids)
    costs = {
        project_id: to_usd(micro_usd)
        for project_id, micro_usd in tx.execute(
            select(UsageTotal.project_id, UsageTotal.micro_usd).where(
                UsageTotal.project_id.in_(ids), UsageTotal.dimension == Dimension.PROJECT
            )
        )
    }
    places: dict[int, list[tuple[Place, str]]] = {}
    for place in tx.scalars(
        select(ProjectPlace).where(ProjectPlace.project_id.in_(ids)).order_by(ProjectPlace.position)
    ):
        found = places.setdefault(place.project_id, [])
        found.append((Place(place.platform, place.channel), place.root_key))
    decisions: dict[int, set[ApprovalKind]] = {}
    for project_id, kind in tx.execute(
        select(Approval.project_id, Approval.kind).where(
            Approval.project_id.in_(ids), Approval.status == ApprovalStatus.OPEN
        )
    ):
        decisions.setdefault(project_id, set()).add(kind)
    asked = set(
        tx.scalars(
            select(Question.project_id).where(
                Question.project_id.in_(ids), Question.answer.is_(None)
            )
        )
    )
    approver, operator = role.covers(Role.APPROVER), role.covers(Role.OPERATOR)

    def waits(row: Project) -> bool:
        if row.status in AT_REST:
            return False
        helps = row.id in asked or row.status is ProjectStatus.BLOCKED or counts[row.id].stuck
        return bool(approver and row.id in decisions) or bool(operator and helps)

    return [
        ProjectLine(
            project=ProjectRef(row.id, row.name, row.slug),
            status=row.status,
            counts=counts[row.id],
            cost_usd=costs.get(row.id),
            at_gate=ApprovalKind.GATE in decisions.get(row.id, ()),
            waits=waits(row),
            places=places.get(row.id, ()),
        )
        for row in rows
    ]
