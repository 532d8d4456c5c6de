"""Plans as they were submitted, with what each asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain import plan as planning
from core.domain.lifecycle import InterviewKind, InterviewStatus
from core.domain.plan import Estimate, estimate
from core.store.tables import Feature, Phase, Plan, Project, Task, TaskDependency
from core.views import features, interviews, phases, tasks
from core.views.features import FeatureView
from core.views.phases import PhaseView

PLAN = TypeAdapter(planning.Plan)


@dataclass(frozen=True, kw_only=True)
class PlanView:
    """A version of a plan; `payload` is what `plan_submit` took, completed."""

    id: int
    project_id: int
    version: int
    interview_id: int | None  # an addition's
    payload: Mapping[str, Any]
    changes: Sequence[str]
    submitted_at: datetime

    @cached_property
    def plan(self) -> planning.Plan:
        return PLAN.validate_python(self.payload)

    @property
    def complexities(self) -> list[int]:
        """Of every task."""
        return [
            task["complexity"]
            for phase in self.payload["phases"]
            for feature in phase["features"]
            for task in feature["tasks"]
        ]


def plan(tx: Session, plan_id: int) -> PlanView | None:
    row = tx.get(Plan, plan_id)
    return _view(row) if row else None


def latest(tx: Session, project_id: int, interview_id: int | None = None) -> PlanView | None:
    """The newest plan of the project itself, or of one addition to it."""
    row = tx.scalars(
        select(Plan)
        .where(Plan.project_id == project_id, Plan.interview_id.is_not_distinct_from(interview_id))
        .order_by(Plan.version.desc())
        .limit(1)
    ).first()
    return _view(row) if row else None


def estimate_of(tx: Session, project_id: int, *, parallel: int) -> Estimate | None:
    """What all its tasks were thought to take; before there are any, those of its newest plan."""
    levels = tasks.complexities(tx, project_id)
    if not levels:
        found = latest(tx, project_id)
        levels = found.complexities if found else []
    return estimate(levels, parallel=parallel) if levels else None


@dataclass(frozen=True)
class Built:
    """A project's plan as its phases, features and tasks stand, with all that was added."""

    plan: planning.Plan
    numbers: Sequence[int]  # of its tasks, in their order


def built(tx: Session, project_id: int) -> Built | None:
    """None before a plan was approved."""
    project = tx.get_one(Project, project_id)
    every = features.every(tx, project_id)
    if not every:
        return None
    called = {feature.id: feature.name for feature in every}
    of_feature: dict[int, list[Task]] = {feature.id: [] for feature in every}
    of_project = select(Task).where(Task.project_id == project_id).order_by(Task.number)
    for task in tx.scalars(of_project):
        of_feature[task.feature_id].append(task)
    names = {task.id: task.name for own in of_feature.values() for task in own}
    waits: dict[int, list[str]] = {task_id: [] for task_id in names}
    edges = select(TaskDependency).join(Task, Task.id == TaskDependency.task_id)
    for edge in tx.scalars(edges.where(Task.project_id == project_id)):
        waits[edge.task_id].append(names[edge.depends_on_id])
    numbers: list[int] = []

    def planned(feature: FeatureView) -> planning.PlannedFeature:
        own = of_feature[feature.id]
        numbers.extend(task.number for task in own)
        return planning.PlannedFeature(
            name=feature.name,
            tasks=tuple(_task(task, waits[task.id]) for task in own),
            description=feature.description,
            spec=feature.spec,
            depends_on=tuple(called[other] for other in feature.depends_on),
        )

    plan = planning.Plan(
        phases=tuple(
            planning.PlannedPhase(
                phase.name,
                tuple(planned(feature) for feature in every if feature.phase_id == phase.id),
                phase.description,
            )
            for phase in phases.every(tx, project_id)
        ),
        summary=project.summary,
        setup=tuple(project.setup),
        run=project.run_command,
        checks=tuple(project.checks),
    )
    return Built(plan, numbers)


def _task(row: Task, waits: Sequence[str]) -> planning.PlannedTask:
    return planning.PlannedTask(
        name=row.name,
        description=row.description,
        steps=tuple(row.steps),
        complexity=row.complexity,
        checks=tuple(row.checks),
        depends_on=tuple(waits),
    )


def grows(tx: Session, plan: PlanView) -> PhaseView | None:
    """The phase that a planned addition goes to, or went to; None where it has its own."""
    requested = interviews.by_id(tx, plan.interview_id) if plan.interview_id else None
    if requested is None or requested.kind is InterviewKind.PHASE:
        return None
    if requested.status is not InterviewStatus.DONE:
        return phases.open_for_more(tx, plan.project_id)
    names = [feature.name for feature in plan.plan.features()]
    taken = (
        select(Phase.id)
        .join(Feature, Feature.phase_id == Phase.id)
        .where(Phase.project_id == plan.project_id, Feature.name.in_(names))
    )
    found = tx.scalars(taken.limit(1)).first()
    phase = phases.by_id(tx, found) if found is not None else None
    own = phase is None or phase.name in {each.name for each in plan.plan.phases}
    return None if own else phase


def position(tx: Session, plan: PlanView) -> int:
    """Where the first phase stands that a plan has of its own, or will stand."""
    if plan.interview_id is None:
        return 1
    there = phases.every(tx, plan.project_id)
    mine = {phase.name for phase in plan.plan.phases}
    return next((each.position for each in there if each.name in mine), len(there) + 1)


def _view(row: Plan) -> PlanView:
    return PlanView(
        id=row.id,
        project_id=row.project_id,
        version=row.version,
        interview_id=row.interview_id,
        payload=row.payload,
        changes=tuple(row.changes),
        submitted_at=row.submitted_at,
    )
