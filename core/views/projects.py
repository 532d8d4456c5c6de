"""Projects: what each is and where it lives, and how far it is, what it costs, what it waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain import reasons
from core.domain.lifecycle import ProjectStatus, WaitingFor
from core.domain.money import to_usd
from core.domain.names import NAME_LIMIT
from core.domain.orders import ACTIVE
from core.domain.plan import Estimate
from core.domain.rules import Rules
from core.errors import NotFound
from core.ports.chat import Place
from core.store.chat_tables import ProjectPlace
from core.store.tables import Phase, Project, Run
from core.views import budgets, plans
from core.views.json import Hidden, Usd, Utc
from core.views.paging import Page, cut
from core.views.tasks import Counts, counts


@dataclass(frozen=True)
class ProjectRef:
    """What the outside keeps in hand of a project."""

    id: int
    name: str
    slug: str


@dataclass(frozen=True, kw_only=True)
class ProjectSummary:
    """What a project's own row says."""

    id: int
    name: str
    slug: str
    status: ProjectStatus
    practice: bool
    summary: str
    setup: Sequence[str]
    run_command: str | None
    checks: Sequence[str]
    settings: Mapping[str, Any]
    budget_micro_usd: int
    blocked_reason: str | None
    winding_down_by: str | None  # who said `stop after feature`
    first_commit: str | None
    report_commit: str | None
    created_at: datetime
    completed_at: datetime | None

    @property
    def ref(self) -> ProjectRef:
        return ProjectRef(self.id, self.name, self.slug)


@dataclass(frozen=True)
class EstimateView:
    """Ranges, low to high."""

    cost_usd: tuple[Usd, Usd]
    minutes: tuple[int, int]


@dataclass(frozen=True)
class WaitView:
    """What a project that moves waits for; `until` None: for a person."""

    reason: WaitingFor
    until: Utc | None
    text: str


@dataclass(frozen=True, kw_only=True)
class ProjectView:
    """A project; its sums are counted, never listed."""

    id: int
    name: str
    slug: str
    status: ProjectStatus
    channels: Sequence[str]
    path: str
    phase_id: int | None
    mode: str
    tasks: Counts
    agents: int  # at work now
    cost_usd: Usd
    budget: Usd
    estimate: EstimateView | None
    waiting: WaitView | None
    settings: Mapping[str, Any]
    created_at: Utc
    completed_at: Utc | None
    practice: bool
    blocked_reason: Hidden[str | None]


@dataclass(frozen=True)
class Service:
    """What a project's view depends on beside its rows."""

    folder: Path  # where work trees lie
    upstream: str  # names the account's window
    rules: Rules
    now: datetime


def find(tx: Session, name: str) -> ProjectSummary:
    """The project of this name, whatever its case, or of this slug; else NotFound."""
    found = by_name(tx, name)
    if found is None:
        row = tx.scalars(select(Project).where(Project.slug == name.casefold())).first()
        found = _summary(row) if row else None
    if found is None:
        # A longer one is no name: whole it would fill the card, and cut it could hide a secret.
        said = repr(name) if len(name) <= NAME_LIMIT else "of such a long name"
        raise NotFound(f"There is no project {said}.", hint="`/autocoder list` shows all.")
    return found


def by_name(tx: Session, name: str) -> ProjectSummary | None:
    row = tx.scalars(select(Project).where(func.lower(Project.name) == name.casefold())).first()
    return _summary(row) if row else None


def by_id(tx: Session, project_id: int) -> ProjectSummary | None:
    row = tx.get(Project, project_id)
    return _summary(row) if row else None


def summary(tx: Session, project_id: int) -> ProjectSummary:
    """The same of one that is known to exist."""
    return _summary(tx.get_one(Project, project_id))


def names(tx: Session) -> tuple[str, ...]:
    """Every project's name, the newest first."""
    return tuple(tx.scalars(select(Project.name).order_by(Project.id.desc())))


def newest(
    tx: Session, *, limit: int, without: Sequence[ProjectStatus] = ()
) -> tuple[ProjectSummary, ...]:
    """The newest first."""
    query = select(Project).where(Project.status.not_in(without)).order_by(Project.id.desc())
    return tuple(_summary(row) for row in tx.scalars(query.limit(limit)))


def tally(tx: Session) -> dict[ProjectStatus, int]:
    """How many stand how."""
    return dict(tx.execute(select(Project.status, func.count()).group_by(Project.status)).all())


def places_of(tx: Session, project_id: int) -> tuple[tuple[Place, str], ...]:
    """Every channel a project lives in, first the one it was made in, with its root card's key."""
    rows = tx.scalars(
        select(ProjectPlace)
        .where(ProjectPlace.project_id == project_id)
        .order_by(ProjectPlace.position)
    )
    return tuple((Place(row.platform, row.channel), row.root_key) for row in rows)


def projects(tx: Session, service: Service, *, after: int = 0, limit: int) -> Page[ProjectView]:
    query = select(Project).where(Project.id > after).order_by(Project.id)
    rows, rest = cut(tx, query, lambda row: row.id, limit)
    return Page([_view(tx, row, service) for row in rows], rest)


def project(tx: Session, name: str, service: Service) -> ProjectView:
    return _view(tx, tx.get_one(Project, find(tx, name).id), service)


def _summary(row: Project) -> ProjectSummary:
    return ProjectSummary(
        id=row.id,
        name=row.name,
        slug=row.slug,
        status=row.status,
        practice=row.practice,
        summary=row.summary,
        setup=tuple(row.setup),
        run_command=row.run_command,
        checks=tuple(row.checks),
        settings=dict(row.settings),
        budget_micro_usd=row.budget_micro_usd,
        blocked_reason=row.blocked_reason,
        winding_down_by=row.winding_down_by,
        first_commit=row.first_commit,
        report_commit=row.report_commit,
        created_at=row.created_at,
        completed_at=row.completed_at,
    )


def _view(tx: Session, row: Project, service: Service) -> ProjectView:
    phase = tx.scalars(
        select(Phase.id)
        .where(Phase.project_id == row.id, Phase.status.not_in(reasons.DONE_PHASES))
        .order_by(Phase.position)
        .limit(1)
    ).first()
    working = select(func.count()).where(Run.project_id == row.id, Run.status.in_(ACTIVE))
    rules = service.rules.of_project(row.settings)
    planned = plans.estimate_of(tx, row.id, parallel=rules.agents.max_parallel)
    return ProjectView(
        id=row.id,
        name=row.name,
        slug=row.slug,
        status=row.status,
        channels=[place.name for place, _root in places_of(tx, row.id)],
        path=str(service.folder / row.slug),
        phase_id=phase,
        mode=str(row.settings.get("mode", "standard")),
        tasks=counts(tx, row.id),
        agents=tx.scalar(working) or 0,
        cost_usd=budgets.cost_of_project(tx, row.id),
        budget=to_usd(row.budget_micro_usd),
        estimate=_estimate(planned) if planned else None,
        waiting=_waiting(tx, row, service, rules),
        settings=dict(row.settings),
        created_at=row.created_at,
        completed_at=row.completed_at,
        practice=row.practice,
        blocked_reason=row.blocked_reason,
    )


def _estimate(planned: Estimate) -> EstimateView:
    return EstimateView(planned.cost_usd, planned.minutes)


def _waiting(tx: Session, row: Project, service: Service, rules: Rules) -> WaitView | None:
    found = reasons.waiting(
        row.status,
        row.blocked_reason,
        blocked_on=row.blocked_on,
        exhausted=budgets.exhausted(tx, row, rules, now=service.now),
        window_until=budgets.limit_ahead(tx, service.upstream, service.now),
    )
    return WaitView(found.reason, found.until, found.text) if found else None
