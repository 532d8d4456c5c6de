"""Tasks as REST shows them: with their evidence, and why each stands where it does."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain import reasons, shapes
from core.domain.lifecycle import FeatureStatus, PhaseStatus, TaskStatus
from core.domain.shapes import EvidenceData, TaskData
from core.errors import NotFound
from core.operations.listing import agents_at, word
from core.store.tables import (
    Evidence,
    Feature,
    FeatureDependency,
    Phase,
    Task,
    TaskDependency,
)
from core.views.paging import Page, cut


def tasks(
    tx: Session,
    project_id: int,
    *,
    feature_id: int | None,
    status: str | None,
    after: int,
    limit: int,
) -> Page[TaskData]:
    """By number."""
    query = select(Task).where(Task.project_id == project_id, Task.number > after)
    if feature_id is not None:
        query = query.where(Task.feature_id == feature_id)
    if status is not None:
        query = query.where(Task.status == word(TaskStatus, status, "status"))
    rows, rest = cut(tx, query.order_by(Task.number), lambda row: row.number, limit)
    return Page(_tasks(tx, rows), rest)


def task(tx: Session, project_id: int, number: int) -> TaskData:
    row = tx.scalars(
        select(Task).where(Task.project_id == project_id, Task.number == number)
    ).first()
    if row is None:
        raise NotFound(f"There is no task {number} in this project.")
    return _tasks(tx, [row])[0]


def _tasks(tx: Session, rows: Sequence[Task]) -> list[TaskData]:
    ids = [row.id for row in rows]
    waits: dict[int, list[tuple[int, TaskStatus]]] = {}
    for task_id, number, status in tx.execute(
        select(TaskDependency.task_id, Task.number, Task.status)
        .join(Task, Task.id == TaskDependency.depends_on_id)
        .where(TaskDependency.task_id.in_(ids))
        .order_by(Task.number)
    ):
        waits.setdefault(task_id, []).append((number, status))
    proofs: dict[int, list[EvidenceData]] = {}
    for proof in tx.scalars(
        select(Evidence).where(Evidence.task_id.in_(ids)).order_by(Evidence.id)
    ):
        proofs.setdefault(proof.task_id, []).append(_evidence(proof))
    reasons = _Reasons(tx, rows)
    return [
        {
            "id": row.number,
            "feature_id": row.feature_id,
            "name": row.name,
            "category": row.category,
            "description": row.description,
            "steps": row.steps,
            "complexity": row.complexity,
            "checks": row.checks,
            "depends_on": [number for number, _ in waits.get(row.id, ())],
            "files": row.files,
            "priority": row.priority,
            "status": row.status.value,
            "attempts": row.attempts,
            "last_error": row.last_error,
            "recovery_notes": row.recovery_notes,
            "reason": reasons.of(row, waits.get(row.id, [])),
            "evidence": proofs.get(row.id, []),
        }
        for row in rows
    ]


def _evidence(row: Evidence) -> EvidenceData:
    return {
        "id": row.id,
        "accepted": row.accepted,
        "verdict": row.verdict.value,
        "run_id": row.run_id,
        "commit": row.commit,
        "at": shapes.utc(row.at),
        "own_tests": row.own_tests,
        "checks": [
            {
                "command": check["command"],
                "exit_code": check["exit_code"],
                "output": check["output"],
                "seconds": check["seconds"],
            }
            for check in row.checks
        ],
    }


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
