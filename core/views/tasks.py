"""Tasks: what each is, how it stands and why, and what proves it; and how many stand how."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, String, cast, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.domain import reasons
from core.domain.lifecycle import FeatureStatus, PhaseStatus, TaskStatus
from core.domain.proof import CheckResult, Verdict
from core.errors import NotFound
from core.store.tables import (
    Evidence,
    Feature,
    FeatureDependency,
    Phase,
    Task,
    TaskDependency,
)
from core.views.json import Hidden, Utc
from core.views.paging import Page, cut
from core.views.runs import agents_at


@dataclass(frozen=True)
class Counts:
    """Tasks by status."""

    total: int = 0
    pending: int = 0
    in_progress: int = 0
    passing: int = 0
    stuck: int = 0
    skipped: int = 0

    @property
    def by_status(self) -> Sequence[tuple[TaskStatus, int]]:
        """In the order in which it matters."""
        return (
            (TaskStatus.STUCK, self.stuck),
            (TaskStatus.IN_PROGRESS, self.in_progress),
            (TaskStatus.PENDING, self.pending),
            (TaskStatus.PASSING, self.passing),
            (TaskStatus.SKIPPED, self.skipped),
        )


@dataclass(frozen=True)
class EvidenceView:
    """One proof of a task, accepted or not."""

    id: int
    accepted: bool
    verdict: Verdict
    run_id: int | None
    commit: str
    at: Utc
    own_tests: Sequence[str]
    checks: Sequence[CheckResult]


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """A task. Its `id` is the number people use, from 1 in each project."""

    id: int
    row_id: Hidden[int]
    project_id: Hidden[int]
    feature_id: int
    phase_id: Hidden[int]
    name: str
    category: str
    description: str
    steps: Sequence[str]
    complexity: int
    checks: Sequence[str]
    depends_on: Sequence[int]
    files: Sequence[str]
    priority: int
    status: TaskStatus
    attempts: int
    last_error: str | None
    error_repeats: Hidden[int]
    recovery_notes: str | None
    stuck_at: Hidden[datetime | None]
    merging: Hidden[str | None]  # it brings its feature up to this commit of `main`
    run_id: Hidden[int | None]  # that has it
    reason: str
    evidence: Sequence[EvidenceView]


@dataclass(frozen=True)
class TaskLine:
    """A task in short."""

    id: int
    name: str
    feature: str
    status: TaskStatus
    attempts: int
    error_repeats: Hidden[int]


@dataclass(frozen=True)
class FeatureName:
    id: int
    name: str
    slug: Hidden[str]


@dataclass(frozen=True, kw_only=True)
class TaskBrief:
    """A task as its agent is given it, texts verbatim."""

    id: int
    row_id: Hidden[int]
    name: str
    category: str
    description: str
    steps: Sequence[str]
    checks: Sequence[str]
    files: Sequence[str]
    complexity: int
    attempts: int
    last_error: str | None
    recovery_notes: str | None
    feature: FeatureName
    measured: Hidden[bool]  # its checks ran before the first attempt
    merging: Hidden[str | None]


def tasks(
    tx: Session,
    project_id: int,
    *,
    feature_id: int | None = None,
    status: TaskStatus | None = None,
    after: int = 0,
    limit: int,
) -> Page[TaskView]:
    """By number."""
    query = select(Task).where(Task.project_id == project_id, Task.number > after)
    if feature_id is not None:
        query = query.where(Task.feature_id == feature_id)
    if status is not None:
        query = query.where(Task.status == status)
    rows, rest = cut(tx, query.order_by(Task.number), lambda row: row.number, limit)
    return Page(_views(tx, rows), rest)


def task(tx: Session, project_id: int, number: int) -> TaskView:
    """Task N of a project, or NotFound."""
    found = by_number(tx, project_id, number)
    if found is not None:
        return found
    last = tx.scalar(select(func.max(Task.number)).where(Task.project_id == project_id))
    if last is None:
        raise NotFound(f"There is no task {number}: this project has no tasks yet.")
    raise NotFound(f"There is no task {number}; they go from 1 to {last}.")


def named(tx: Session, project_id: int, typed: str, *, limit: int) -> Sequence[tuple[int, str]]:
    """Number and name of tasks that begin with or hold what is typed; what is open first."""
    query = select(Task.number, Task.name).where(Task.project_id == project_id)
    if typed:
        begins = cast(Task.number, String).startswith(typed, autoescape=True)
        query = query.where(or_(begins, Task.name.icontains(typed, autoescape=True)))
    over = Task.status.in_((TaskStatus.PASSING, TaskStatus.SKIPPED))
    return [
        (number, name)
        for number, name in tx.execute(query.order_by(over, Task.number).limit(limit))
    ]


def by_number(tx: Session, project_id: int, number: int) -> TaskView | None:
    query = select(Task).where(Task.project_id == project_id, Task.number == number)
    return next(iter(every(tx, query)), None)


def by_row(tx: Session, task_id: int) -> TaskView | None:
    """The task of a row's id."""
    return next(iter(every(tx, select(Task).where(Task.id == task_id))), None)


def lines(
    tx: Session, project_id: int, *, status: TaskStatus | None = None, limit: int | None = None
) -> Sequence[TaskLine]:
    """The tasks in short, by number."""
    query = select(
        Task.number, Task.name, Feature.name, Task.status, Task.attempts, Task.error_repeats
    ).join(Feature, Feature.id == Task.feature_id)
    query = query.where(Task.project_id == project_id)
    if status is not None:
        query = query.where(Task.status == status)
    return [TaskLine(*row) for row in tx.execute(query.order_by(Task.number).limit(limit))]


def brief(tx: Session, task_id: int) -> TaskBrief:
    """What its agent needs of the task of a row's id."""
    row = tx.get_one(Task, task_id)
    feature = tx.get_one(Feature, row.feature_id)
    return TaskBrief(
        id=row.number,
        row_id=row.id,
        name=row.name,
        category=row.category,
        description=row.description,
        steps=tuple(row.steps),
        checks=tuple(row.checks),
        files=tuple(row.files),
        complexity=row.complexity,
        attempts=row.attempts,
        last_error=row.last_error,
        recovery_notes=row.recovery_notes,
        feature=FeatureName(feature.id, feature.name, feature.slug),
        measured=row.before is not None,
        merging=row.merging,
    )


def held_by(tx: Session, run_id: int) -> TaskView | None:
    """The task that a run has, or has had last."""
    query = select(Task).where(Task.run_id == run_id).order_by(Task.id.desc()).limit(1)
    return next(iter(every(tx, query)), None)


def every(tx: Session, query: Select[Task]) -> Sequence[TaskView]:
    """The tasks of a query, in its order."""
    return _views(tx, tx.scalars(query).all())


def counts(tx: Session, project_id: int) -> Counts:
    return counts_of(tx, Task.project_id, (project_id,))[project_id]


def counts_of(
    tx: Session, column: InstrumentedAttribute[int], ids: Collection[int]
) -> dict[int, Counts]:
    """How many tasks of each of these projects, phases or features stand how."""
    found: dict[int, dict[TaskStatus, int]] = {each: {} for each in ids}
    for each, status, number in tx.execute(
        select(column, Task.status, func.count())
        .where(column.in_(ids))
        .group_by(column, Task.status)
    ):
        found[each][status] = number
    return {each: counted(tally) for each, tally in found.items()}


def complexities(tx: Session, project_id: int) -> list[int]:
    """Of every task of a project, in no order."""
    rows = tx.execute(
        select(Task.complexity, func.count())
        .where(Task.project_id == project_id)
        .group_by(Task.complexity)
    )
    return [complexity for complexity, number in rows for _ in range(number)]


def vouched() -> ColumnElement[bool]:
    """Of a task: a person vouches for it. Its checks prove nothing, so nothing waits for them."""
    by_word = exists().where(Evidence.task_id == Task.id, Evidence.verdict == Verdict.VOUCHED)
    return by_word.correlate(Task)


def counted(found: Mapping[TaskStatus, int]) -> Counts:
    return Counts(
        total=sum(found.values()),
        pending=found.get(TaskStatus.PENDING, 0),
        in_progress=found.get(TaskStatus.IN_PROGRESS, 0),
        passing=found.get(TaskStatus.PASSING, 0),
        stuck=found.get(TaskStatus.STUCK, 0),
        skipped=found.get(TaskStatus.SKIPPED, 0),
    )


def numbers_of(tx: Session, task_ids: Sequence[int | None]) -> dict[int, int]:
    """The number, which people use, of each of these tasks."""
    ids = {task_id for task_id in task_ids if task_id is not None}
    return dict(tx.execute(select(Task.id, Task.number).where(Task.id.in_(ids))).all())


def _views(tx: Session, rows: Sequence[Task]) -> list[TaskView]:
    ids = [row.id for row in rows]
    waits: dict[int, list[tuple[int, TaskStatus]]] = {}
    for task_id, number, status in tx.execute(
        select(TaskDependency.task_id, Task.number, Task.status)
        .join(Task, Task.id == TaskDependency.depends_on_id)
        .where(TaskDependency.task_id.in_(ids))
        .order_by(Task.number)
    ):
        waits.setdefault(task_id, []).append((number, status))
    proofs: dict[int, list[EvidenceView]] = {}
    for proof in tx.scalars(
        select(Evidence).where(Evidence.task_id.in_(ids)).order_by(Evidence.id)
    ):
        proofs.setdefault(proof.task_id, []).append(evidence_view(proof))
    reasons_of = _Reasons(tx, rows)
    return [
        TaskView(
            id=row.number,
            row_id=row.id,
            project_id=row.project_id,
            feature_id=row.feature_id,
            phase_id=row.phase_id,
            name=row.name,
            category=row.category,
            description=row.description,
            steps=row.steps,
            complexity=row.complexity,
            checks=row.checks,
            depends_on=[number for number, _ in waits.get(row.id, ())],
            files=row.files,
            priority=row.priority,
            status=row.status,
            attempts=row.attempts,
            last_error=row.last_error,
            error_repeats=row.error_repeats,
            recovery_notes=row.recovery_notes,
            stuck_at=row.stuck_at,
            merging=row.merging,
            run_id=row.run_id,
            reason=reasons_of.of(row, waits.get(row.id, [])),
            evidence=proofs.get(row.id, []),
        )
        for row in rows
    ]


def evidence_view(row: Evidence) -> EvidenceView:
    return EvidenceView(
        id=row.id,
        accepted=row.accepted,
        verdict=row.verdict,
        run_id=row.run_id,
        commit=row.commit,
        at=row.at,
        own_tests=row.own_tests,
        checks=[
            CheckResult(check["command"], check["exit_code"], check["output"], check["seconds"])
            for check in row.checks
        ],
    )


class _Reasons:
    """What is around some tasks, read once for all of them."""

    def __init__(self, tx: Session, rows: Sequence[Task]) -> None:
        ids = {row.feature_id for row in rows}
        self._features = {
            row.id: row for row in tx.scalars(select(Feature).where(Feature.id.in_(ids)))
        }
        self._agents = agents_at(tx, list(ids))
        self._unlanded: dict[int, list[str]] = {}
        for feature_id, name in tx.execute(
            select(FeatureDependency.feature_id, Feature.name)
            .join(Feature, Feature.id == FeatureDependency.depends_on_id)
            .where(
                FeatureDependency.feature_id.in_(ids),
                Feature.status != FeatureStatus.COMPLETED,
            )
            .order_by(Feature.position)
        ):
            self._unlanded.setdefault(feature_id, []).append(name)
        phase_ids = {row.phase_id for row in rows}
        self._phases = {
            row.id: row for row in tx.scalars(select(Phase).where(Phase.id.in_(phase_ids)))
        }

    def of(self, task: Task, waits: Sequence[tuple[int, TaskStatus]]) -> str:
        feature, phase = self._features[task.feature_id], self._phases[task.phase_id]
        return reasons.task_reason(
            task.status,
            attempts=task.attempts,
            agent=self._agents.get(feature.id),
            feature=feature.name,
            closed_phase=phase.position if phase.status is PhaseStatus.PENDING else None,
            unlanded=self._unlanded.get(feature.id, ()),
            unproved=[n for n, status in waits if status is not TaskStatus.PASSING],
        )
