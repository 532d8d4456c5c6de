"""A project as its live card shows it: sums and what is going on, whatever its size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    FeatureStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
)
from core.domain.money import Dimension, Exhausted, to_usd
from core.domain.plan import Estimate
from core.domain.rules import Rules
from core.store.tables import (
    Approval,
    Evidence,
    Feature,
    Phase,
    Project,
    Run,
    Task,
)
from core.views import budgets, members, plans
from core.views.runs import agent_name
from core.views.tasks import Counts, counted
from core.views.waiting import Waiting, WaitKind, waiting

PACE = 21  # proofs of which the pace is taken
LOOKED_AT = 10_000  # proofs of the home among which they are sought


@dataclass(frozen=True)
class PhaseOnBoard:
    id: int
    position: int
    name: str
    status: PhaseStatus
    rework: bool  # rejected, and not made into tasks yet
    counts: Counts
    approved_by: str | None  # as people are called
    approved_at: datetime | None


@dataclass(frozen=True)
class AgentOnBoard:
    """A run that has not ended."""

    run_id: int
    agent: str  # coder-1
    status: RunStatus
    model: str
    task: int | None  # its number
    name: str | None  # the task's
    mending: bool  # a check of this task failed in this run
    started_at: datetime
    cost_usd: Decimal


@dataclass(frozen=True)
class Board:
    """One project now."""

    id: int
    name: str
    slug: str
    status: ProjectStatus
    practice: bool
    blocked_reason: str | None
    budget_usd: Decimal
    cost_usd: Decimal  # list price
    exhausted: Exhausted | None  # the budget that lets nothing new start
    counts: Counts
    phases: tuple[PhaseOnBoard, ...]
    agents: tuple[AgentOnBoard, ...]
    parallel: int  # agents that may work at once
    landing: tuple[str, ...]  # features on their way to `main` without an agent
    planned: Estimate | None  # of every task
    passed_at: tuple[datetime, ...]  # the last proofs, oldest first
    waits: Sequence[Waiting]  # beside what blocks it
    window_until: datetime | None  # the end of the account's limit, while there is one
    created_at: datetime
    completed_at: datetime | None

    @property
    def open_phase(self) -> PhaseOnBoard | None:
        return next((p for p in self.phases if p.status is not PhaseStatus.COMPLETED), None)


def board(tx: Session, project_id: int, *, upstream: str, rules: Rules, now: datetime) -> Board:
    """Read what the card shows; its queries count rather than list tasks. `rules`: the service's."""
    project = tx.get_one(Project, project_id)
    rules = rules.of_project(project.settings)
    parallel = rules.agents.max_parallel
    by_phase = _counts(tx, project_id)
    return Board(
        id=project.id,
        name=project.name,
        slug=project.slug,
        status=project.status,
        practice=project.practice,
        blocked_reason=project.blocked_reason,
        budget_usd=to_usd(project.budget_micro_usd),
        cost_usd=budgets.cost_of_project(tx, project_id),
        exhausted=budgets.exhausted(tx, project, rules, now=now),
        counts=_sum(by_phase),
        phases=_phases(tx, project_id, by_phase),
        agents=_agents(tx, project_id),
        parallel=parallel,
        landing=_landing(tx, project_id),
        planned=plans.estimate_of(tx, project_id, parallel=parallel),
        passed_at=_passed_at(tx, project_id),
        waits=[
            wait for wait in waiting(tx, project_id=project_id) if wait.kind is not WaitKind.BLOCKED
        ],
        window_until=budgets.limit_ahead(tx, upstream, now),
        created_at=project.created_at,
        completed_at=project.completed_at,
    )


def _counts(tx: Session, project_id: int) -> dict[int, dict[TaskStatus, int]]:
    """Tasks by phase and status."""
    found: dict[int, dict[TaskStatus, int]] = {}
    rows = tx.execute(
        select(Task.phase_id, Task.status, func.count())
        .where(Task.project_id == project_id)
        .group_by(Task.phase_id, Task.status)
    )
    for phase_id, status, number in rows:
        found.setdefault(phase_id, {})[status] = number
    return found


def _sum(by_phase: Mapping[int, Mapping[TaskStatus, int]]) -> Counts:
    whole: dict[TaskStatus, int] = {}
    for tally in by_phase.values():
        for status, number in tally.items():
            whole[status] = whole.get(status, 0) + number
    return counted(whole)


def _phases(
    tx: Session, project_id: int, by_phase: Mapping[int, Mapping[TaskStatus, int]]
) -> tuple[PhaseOnBoard, ...]:
    approved = {
        row.subject_id: row
        for row in tx.scalars(
            select(Approval).where(
                Approval.project_id == project_id,
                Approval.kind == ApprovalKind.GATE,
                Approval.status == ApprovalStatus.APPROVED,
            )
        )
    }
    rows = tx.scalars(select(Phase).where(Phase.project_id == project_id).order_by(Phase.position))
    return tuple(
        PhaseOnBoard(
            id=row.id,
            position=row.position,
            name=row.name,
            status=row.status,
            rework=row.rework_reason is not None,
            counts=counted(by_phase.get(row.id, {})),
            approved_by=_by(tx, approved.get(row.id)),
            approved_at=approved[row.id].decided_at if row.id in approved else None,
        )
        for row in rows
    )


def _by(tx: Session, decision: Approval | None) -> str | None:
    return members.name_of(tx, decision.decided_by) if decision and decision.decided_by else None


def _agents(tx: Session, project_id: int) -> tuple[AgentOnBoard, ...]:
    rows = tx.execute(
        select(Run, Task.number, Task.name, Task.refusals)
        .outerjoin(Task, (Task.run_id == Run.id) & (Task.status == TaskStatus.IN_PROGRESS))
        .where(Run.project_id == project_id, Run.status != RunStatus.ENDED)
        .order_by(Run.id)
    )
    return tuple(
        AgentOnBoard(
            run_id=run.id,
            agent=agent_name(run),
            status=run.status,
            model=run.model,
            task=number,
            name=name,
            mending=bool(refusals),
            started_at=run.started_at,
            cost_usd=budgets.cost_of(tx, project_id, Dimension.RUN, run.id),
        )
        for run, number, name, refusals in rows
    )


def _landing(tx: Session, project_id: int) -> tuple[str, ...]:
    return tuple(
        tx.scalars(
            select(Feature.name)
            .where(Feature.project_id == project_id, Feature.status == FeatureStatus.LANDING)
            .order_by(Feature.position)
        )
    )


def _passed_at(tx: Session, project_id: int) -> tuple[datetime, ...]:
    """The last proofs, of the home's last LOOKED_AT: looking further back would cost what is done."""
    of_project = select(Task.id).where(Task.id == Evidence.task_id, Task.project_id == project_id)
    newest = tx.scalar(select(func.max(Evidence.id))) or 0
    rows = tx.scalars(
        select(Evidence.at)
        .where(Evidence.accepted, Evidence.id > newest - LOOKED_AT, of_project.exists())
        .order_by(Evidence.id.desc())
        .limit(PACE)
    ).all()
    return tuple(reversed(rows))
