"""Reading a project whole: for its board, and with evidence for its report."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.lifecycle import ApprovalKind, ApprovalStatus, ProjectStatus, RunStatus, TaskStatus
from core.domain.money import Dimension, Tokens, to_usd
from core.domain.plan import estimate
from core.domain.report import (
    ApprovalLine,
    EvidenceLine,
    FeatureLine,
    ModelUsage,
    PhaseLine,
    PlanLine,
    Report,
    RunLine,
    Spent,
    TaskLine,
    UsageLine,
    count,
)
from core.operations import evidence
from core.store import tables
from core.views.plans import PlanView, latest


def load(
    tx: Session, project_id: int, *, upstream: str, parallel: int, with_evidence: bool
) -> Report:
    """Read a project whole; `with_evidence` for the report, without for the board.

    The board holds the plan only while it waits for its approval.
    """
    project = tx.get_one(tables.Project, project_id)
    window = tx.get(tables.AccountWindow, upstream)
    costs = _costs(tx, project_id)
    tasks = _tasks(tx, project_id, costs, with_evidence)
    runs = _runs(tx, project_id)
    agents = {run.feature_id: run.agent for run in runs if run.feature_id}
    wanted = with_evidence or project.status is ProjectStatus.AWAITING_APPROVAL
    plan = latest(tx, project_id) if wanted else None  # large, and read again at each look
    return Report(
        id=project.id,
        name=project.name,
        slug=project.slug,
        status=project.status,
        practice=project.practice,
        summary=project.summary,
        setup=tuple(project.setup),
        run_command=project.run_command,
        checks=tuple(project.checks),
        budget_usd=to_usd(project.budget_micro_usd),
        blocked_reason=project.blocked_reason,
        blocked_on=project.blocked_on,
        first_commit=project.first_commit,
        created_at=project.created_at,
        completed_at=project.completed_at,
        plan=_plan(plan, parallel) if plan else None,
        phases=_phases(tx, project_id, tasks, costs),
        features=_features(tx, project_id, tasks, costs, agents),
        tasks=tasks,
        approvals=_approvals(tx, project_id),
        runs=runs,
        usage=_usage(tx, project_id, tasks),
        window_until=window.until if window else None,
    )


def as_completed(report: Report, now: datetime) -> Report:
    """The report as it reads once the project is complete, which its own commit makes it."""
    return replace(report, status=ProjectStatus.COMPLETED, completed_at=now)


# Columns, not objects: a project may have 100,000 tasks.
_TASK = (
    tables.Task.id,
    tables.Task.number,
    tables.Task.feature_id,
    tables.Task.name,
    tables.Task.category,
    tables.Task.description,
    tables.Task.steps,
    tables.Task.complexity,
    tables.Task.checks,
    tables.Task.files,
    tables.Task.priority,
    tables.Task.status,
    tables.Task.attempts,
    tables.Task.error_repeats,
    tables.Task.last_error,
    tables.Task.recovery_notes,
)
_TOTAL = (
    tables.UsageTotal.dimension,
    tables.UsageTotal.key,
    tables.UsageTotal.messages,
    tables.UsageTotal.unpriced_messages,
    tables.UsageTotal.input,
    tables.UsageTotal.output,
    tables.UsageTotal.cache_read,
    tables.UsageTotal.cache_write_5m,
    tables.UsageTotal.cache_write_1h,
    tables.UsageTotal.micro_usd,
    tables.UsageTotal.assumed_micro_usd,
)

Costs = dict[tuple[Dimension, str], Decimal]


def _costs(tx: Session, project_id: int) -> Costs:
    rows = tx.execute(
        select(
            tables.UsageTotal.dimension, tables.UsageTotal.key, tables.UsageTotal.micro_usd
        ).where(
            tables.UsageTotal.project_id == project_id,
            tables.UsageTotal.dimension != Dimension.RUN,
        )
    )
    return {(row.dimension, row.key): to_usd(row.micro_usd) for row in rows}


def _plan(row: PlanView, parallel: int) -> PlanLine:
    plan = row.plan
    return PlanLine(
        version=row.version,
        plan=plan,
        changes=tuple(row.changes),
        estimate=estimate((task.complexity for task in plan.tasks()), parallel=parallel),
    )


def _tasks(tx: Session, project_id: int, costs: Costs, with_evidence: bool) -> tuple[TaskLine, ...]:
    rows = tx.execute(
        select(*_TASK).where(tables.Task.project_id == project_id).order_by(tables.Task.number)
    ).all()
    numbers = {row.id: row.number for row in rows}
    waits: dict[int, list[int]] = {}
    edges = select(tables.TaskDependency).join(
        tables.Task, tables.Task.id == tables.TaskDependency.task_id
    )
    for edge in tx.scalars(edges.where(tables.Task.project_id == project_id)):
        waits.setdefault(edge.task_id, []).append(numbers[edge.depends_on_id])
    proofs: dict[int, list[EvidenceLine]] = {}
    if with_evidence:
        found = select(tables.Evidence).join(tables.Task, tables.Task.id == tables.Evidence.task_id)
        for row in tx.scalars(
            found.where(tables.Task.project_id == project_id).order_by(tables.Evidence.id)
        ):
            proofs.setdefault(row.task_id, []).append(
                EvidenceLine(
                    id=row.id,
                    verdict=row.verdict,
                    accepted=row.accepted,
                    run_id=row.run_id,
                    commit=row.commit,
                    at=row.at,
                    own_tests=tuple(row.own_tests),
                    checks=tuple(evidence.from_json(check) for check in row.checks),
                )
            )
    return tuple(
        TaskLine(
            id=row.id,
            number=row.number,
            feature_id=row.feature_id,
            name=row.name,
            category=row.category,
            description=row.description,
            steps=tuple(row.steps),
            complexity=row.complexity,
            checks=tuple(row.checks),
            depends_on=tuple(sorted(waits.get(row.id, ()))),
            files=tuple(row.files),
            priority=row.priority,
            status=row.status,
            attempts=row.attempts,
            error_repeats=row.error_repeats,
            last_error=row.last_error,
            recovery_notes=row.recovery_notes,
            evidence=tuple(proofs.get(row.id, ())),
            cost_usd=costs.get((Dimension.TASK, str(row.id)), Decimal(0)),
        )
        for row in rows
    )


def _phases(
    tx: Session, project_id: int, tasks: Sequence[TaskLine], costs: Costs
) -> tuple[PhaseLine, ...]:
    phase_of = dict(
        tx.execute(
            select(tables.Feature.id, tables.Feature.phase_id).where(
                tables.Feature.project_id == project_id
            )
        ).all()
    )
    statuses: dict[int, list[TaskStatus]] = {}
    for task in tasks:
        statuses.setdefault(phase_of[task.feature_id], []).append(task.status)
    approved = {
        row.subject_id: row
        for row in tx.scalars(
            select(tables.Approval).where(
                tables.Approval.project_id == project_id,
                tables.Approval.kind == ApprovalKind.GATE,
                tables.Approval.status == ApprovalStatus.APPROVED,
            )
        )
    }
    rows = tx.scalars(
        select(tables.Phase)
        .where(tables.Phase.project_id == project_id)
        .order_by(tables.Phase.position)
    )
    return tuple(
        PhaseLine(
            id=row.id,
            position=row.position,
            name=row.name,
            description=row.description,
            status=row.status,
            base_commit=row.base_commit,
            counts=count(statuses.get(row.id, ())),
            cost_usd=costs.get((Dimension.PHASE, str(row.id)), Decimal(0)),
            approved_by=approved[row.id].decided_by if row.id in approved else None,
            approved_at=approved[row.id].decided_at if row.id in approved else None,
        )
        for row in rows
    )


def _features(
    tx: Session,
    project_id: int,
    tasks: Sequence[TaskLine],
    costs: Costs,
    agents: dict[int, str],
) -> tuple[FeatureLine, ...]:
    statuses: dict[int, list[TaskStatus]] = {}
    for task in tasks:
        statuses.setdefault(task.feature_id, []).append(task.status)
    waits: dict[int, list[int]] = {}
    edges = select(tables.FeatureDependency).join(
        tables.Feature, tables.Feature.id == tables.FeatureDependency.feature_id
    )
    for edge in tx.scalars(edges.where(tables.Feature.project_id == project_id)):
        waits.setdefault(edge.feature_id, []).append(edge.depends_on_id)
    rows = tx.scalars(
        select(tables.Feature)
        .where(tables.Feature.project_id == project_id)
        .order_by(tables.Feature.position)
    )
    return tuple(
        FeatureLine(
            id=row.id,
            phase_id=row.phase_id,
            position=row.position,
            name=row.name,
            slug=row.slug,
            description=row.description,
            spec=row.spec,
            status=row.status,
            priority=row.priority,
            branch=row.branch,
            depends_on=tuple(sorted(waits.get(row.id, ()))),
            landed_commit=row.landed_commit,
            counts=count(statuses.get(row.id, ())),
            cost_usd=costs.get((Dimension.FEATURE, str(row.id)), Decimal(0)),
            agent=agents.get(row.id),
        )
        for row in rows
    )


def _approvals(tx: Session, project_id: int) -> tuple[ApprovalLine, ...]:
    rows = tx.scalars(
        select(tables.Approval)
        .where(tables.Approval.project_id == project_id)
        .order_by(tables.Approval.id)
    )
    return tuple(
        ApprovalLine(
            id=row.id,
            kind=row.kind,
            subject_id=row.subject_id,
            version=row.version,
            status=row.status,
            opened_at=row.opened_at,
            decided_at=row.decided_at,
            decided_by=row.decided_by,
            reason=row.reason,
            checks=tuple(evidence.from_json(check) for check in row.checks),
        )
        for row in rows
    )


def _runs(tx: Session, project_id: int) -> tuple[RunLine, ...]:
    rows = tx.execute(
        select(tables.Run, tables.Task.number, tables.Task.name)
        .outerjoin(
            tables.Task,
            (tables.Task.run_id == tables.Run.id) & (tables.Task.status == TaskStatus.IN_PROGRESS),
        )
        .where(tables.Run.project_id == project_id, tables.Run.status != RunStatus.ENDED)
        .order_by(tables.Run.id)
    )
    return tuple(
        RunLine(
            id=run.id,
            agent=f"{run.kind.value}-{run.seat}",
            status=run.status,
            model=run.model,
            feature_id=run.feature_id,
            task_number=number,
            task_name=name,
            started_at=run.started_at,
            reason=run.reason,
        )
        for run, number, name in rows
    )


def _usage(tx: Session, project_id: int, tasks: Sequence[TaskLine]) -> UsageLine:
    rows = tx.execute(
        select(*_TOTAL)
        .where(
            tables.UsageTotal.project_id == project_id,
            tables.UsageTotal.dimension != Dimension.RUN,
        )
        .order_by(tables.UsageTotal.key)
    ).all()
    found: dict[Dimension, list[Any]] = {dimension: [] for dimension in Dimension}
    for row in rows:
        found[row.dimension].append(row)
    whole = next(iter(found[Dimension.PROJECT]), None)

    def by(dimension: Dimension) -> dict[str, Spent]:
        return {
            row.key: Spent(row.messages, _tokens(row), to_usd(row.micro_usd))
            for row in found[dimension]
        }

    by_task = by(Dimension.TASK)
    return UsageLine(
        messages=whole.messages if whole else 0,
        unpriced_messages=whole.unpriced_messages if whole else 0,
        tokens=_tokens(whole) if whole else Tokens(),
        cost_usd=to_usd(whole.micro_usd) if whole else Decimal(0),
        assumed_usd=to_usd(whole.assumed_micro_usd) if whole else Decimal(0),
        by_model=tuple(
            ModelUsage(row.key, row.messages, _tokens(row), to_usd(row.micro_usd))
            for row in found[Dimension.MODEL]
        ),
        by_kind=by(Dimension.KIND),
        by_phase=by(Dimension.PHASE),
        by_feature=by(Dimension.FEATURE),
        by_task={
            str(task.number): by_task[str(task.id)] for task in tasks if str(task.id) in by_task
        },
        by_day=by(Dimension.DAY),
    )


def _tokens(row: Any) -> Tokens:
    return Tokens(row.input, row.output, row.cache_read, row.cache_write_5m, row.cache_write_1h)
