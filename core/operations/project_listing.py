"""Projects as REST shows them; their sums are counted, never listed."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain import reasons, shapes
from core.domain.lifecycle import TaskStatus
from core.domain.money import Caps, Dimension, to_usd
from core.domain.orders import ACTIVE
from core.domain.plan import estimate
from core.domain.shapes import ProjectData
from core.operations import outbox
from core.operations.projects import latest_plan
from core.store.tables import Phase, Project, Run, Task, UsageTotal
from core.views import budgets
from core.views.paging import Page, cut


@dataclass(frozen=True)
class Service:
    """What a project's data depends on beside its rows."""

    folder: Path  # where work trees lie
    upstream: str  # names the account's window
    parallel: int
    caps: Caps
    now: datetime


def projects(tx: Session, service: Service, *, after: int, limit: int) -> Page[ProjectData]:
    query = select(Project).where(Project.id > after).order_by(Project.id)
    rows, rest = cut(tx, query, lambda row: row.id, limit)
    return Page([project(tx, row, service) for row in rows], rest)


def project(tx: Session, row: Project, service: Service) -> ProjectData:
    counts = dict(
        tx.execute(
            select(Task.status, func.count()).where(Task.project_id == row.id).group_by(Task.status)
        ).all()
    )
    phase = tx.scalars(
        select(Phase.id)
        .where(Phase.project_id == row.id, Phase.status.not_in(reasons.DONE_PHASES))
        .order_by(Phase.position)
        .limit(1)
    ).first()
    total = tx.get(UsageTotal, (row.id, Dimension.PROJECT, str(row.id)))
    places = outbox.places_of(tx, row.id)
    return {
        "id": row.id,
        "name": row.name,
        "slug": row.slug,
        "status": row.status.value,
        "channels": [f"{place.platform}:{place.channel}" for place, _root in places],
        "path": str(service.folder / row.slug),
        "phase_id": phase,
        "mode": str(row.settings.get("mode", "standard")),
        "tasks": {
            "total": sum(counts.values()),
            "pending": counts.get(TaskStatus.PENDING, 0),
            "in_progress": counts.get(TaskStatus.IN_PROGRESS, 0),
            "passing": counts.get(TaskStatus.PASSING, 0),
            "stuck": counts.get(TaskStatus.STUCK, 0),
            "skipped": counts.get(TaskStatus.SKIPPED, 0),
        },
        "agents": tx.scalar(
            select(func.count()).where(Run.project_id == row.id, Run.status.in_(ACTIVE))
        )
        or 0,
        "cost_usd": shapes.usd(to_usd(total.micro_usd if total else 0)),
        "budget": shapes.usd(to_usd(row.budget_micro_usd)),
        "estimate": _estimate(tx, row.id, service.parallel),
        "waiting": _waiting(tx, row, service),
        "settings": dict(row.settings),
        "created_at": shapes.utc(row.created_at),
        "completed_at": shapes.maybe_utc(row.completed_at),
        "practice": row.practice,
    }


def _waiting(tx: Session, row: Project, service: Service) -> shapes.WaitingData | None:
    found = reasons.waiting(
        row.status,
        row.blocked_reason,
        blocked_on=row.blocked_on,
        exhausted=budgets.exhausted(tx, row, service.caps.less(row.settings), now=service.now),
        window_until=budgets.limit_ahead(tx, service.upstream, service.now),
    )
    if found is None:
        return None
    return {
        "reason": found.reason.value,
        "until": shapes.maybe_utc(found.until),
        "text": found.text,
    }


def _estimate(tx: Session, project_id: int, parallel: int) -> shapes.EstimateData | None:
    plan = latest_plan(tx, project_id)
    if plan is None:
        return None
    complexities = [
        task["complexity"]
        for phase in plan.payload["phases"]
        for feature in phase["features"]
        for task in feature["tasks"]
    ]
    found = estimate(complexities, parallel=parallel)
    return {
        "cost_usd": [shapes.usd(amount) for amount in found.cost_usd],
        "minutes": list(found.minutes),
    }
