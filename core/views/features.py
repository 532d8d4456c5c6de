"""Features: who works on each, what it waits for, where it landed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.lifecycle import FeatureStatus
from core.errors import NotFound
from core.store.tables import Feature, FeatureDependency
from core.views.json import Hidden
from core.views.paging import Page, cut
from core.views.runs import agents_at


@dataclass(frozen=True, kw_only=True)
class FeatureView:
    id: int
    project_id: Hidden[int]
    phase_id: int
    name: str
    slug: str
    description: str
    spec: str
    status: FeatureStatus
    priority: int
    branch: str
    agent: str | None
    depends_on: Sequence[int]
    last_green_commit: Hidden[str | None]  # the branch's last proved one
    landed_commit: str | None
    landed_at: Hidden[datetime | None]


def features(
    tx: Session, project_id: int, *, phase_id: int | None = None, after: int = 0, limit: int
) -> Page[FeatureView]:
    """By id."""
    query = select(Feature).where(Feature.project_id == project_id, Feature.id > after)
    if phase_id is not None:
        query = query.where(Feature.phase_id == phase_id)
    rows, rest = cut(tx, query.order_by(Feature.id), lambda row: row.id, limit)
    return Page(_views(tx, rows), rest)


def every(tx: Session, project_id: int, *, phase_id: int | None = None) -> Sequence[FeatureView]:
    """All of a project or of one phase, in their order."""
    query = select(Feature).where(Feature.project_id == project_id)
    if phase_id is not None:
        query = query.where(Feature.phase_id == phase_id)
    return _views(tx, tx.scalars(query.order_by(Feature.position)).all())


def feature(tx: Session, project_id: int, feature_id: int) -> FeatureView:
    """A feature of this project, or NotFound."""
    found = by_id(tx, feature_id)
    if found is None or found.project_id != project_id:
        raise NotFound(f"There is no feature {feature_id} in this project.")
    return found


def by_id(tx: Session, feature_id: int) -> FeatureView | None:
    row = tx.get(Feature, feature_id)
    return _views(tx, [row])[0] if row else None


def _views(tx: Session, rows: Sequence[Feature]) -> list[FeatureView]:
    ids = [row.id for row in rows]
    waits: dict[int, list[int]] = {}
    for edge in tx.scalars(select(FeatureDependency).where(FeatureDependency.feature_id.in_(ids))):
        waits.setdefault(edge.feature_id, []).append(edge.depends_on_id)
    agents = agents_at(tx, ids)
    return [
        FeatureView(
            id=row.id,
            project_id=row.project_id,
            phase_id=row.phase_id,
            name=row.name,
            slug=row.slug,
            description=row.description,
            spec=row.spec,
            status=row.status,
            priority=row.priority,
            branch=row.branch,
            agent=agents.get(row.id),
            depends_on=sorted(waits.get(row.id, ())),
            last_green_commit=row.last_green_commit,
            landed_commit=row.landed_commit,
            landed_at=row.landed_at,
        )
        for row in rows
    ]
