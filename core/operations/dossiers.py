"""Dossiers: what is on file about a task or a project, as an assistant reads it.

Plain values for JSON; texts are cut so that a dossier stays within some thousand words.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.lifecycle import ApprovalStatus, TaskStatus
from core.domain.money import Dimension, to_usd
from core.operations import tasks
from core.store.tables import (
    Approval,
    Evidence,
    Feature,
    JournalEntry,
    Phase,
    Project,
    Run,
    RunTask,
    Task,
    TaskDependency,
    UsageTotal,
)

_RUNS = 20
_PROOFS = 8
_OUTPUT = 1_500  # characters of a check's output: its end says most
_ENTRIES = 40
LISTED = 300


def of_task(tx: Session, project_id: int, number: int) -> dict[str, Any]:
    """One task with its runs, proofs and journal. Raises InputError when there is none."""
    row = tasks.find(tx, project_id, number)
    feature = tx.get_one(Feature, row.feature_id)
    needs = tx.scalars(
        select(Task.number)
        .join(TaskDependency, TaskDependency.depends_on_id == Task.id)
        .where(TaskDependency.task_id == row.id)
        .order_by(Task.number)
    )
    return {
        "id": row.number,
        "name": row.name,
        "status": row.status.value,
        "feature": {"id": feature.id, "name": feature.name, "status": feature.status.value},
        "category": row.category,
        "description": row.description,
        "steps": list(row.steps),
        "checks": list(row.checks),
        "files": list(row.files),
        "complexity": row.complexity,
        "depends_on": list(needs),
        "failed_attempts": row.attempts,
        "same_error_in_a_row": row.error_repeats,
        "last_error": _end(row.last_error or "") or None,
        "recovery_notes": row.recovery_notes,
        "cost_usd": _cost(tx, project_id, Dimension.TASK, row.id),
        "runs": _runs(tx, row),
        "proofs": _proofs(tx, row),
        "journal": _journal(tx, JournalEntry.task_id == row.id),
    }


def of_project(tx: Session, project_id: int) -> dict[str, Any]:
    """How a project stands, and what happened in it last."""
    project = tx.get_one(Project, project_id)
    features = tx.scalars(
        select(Feature).where(Feature.project_id == project_id).order_by(Feature.position)
    ).all()
    counts = tx.execute(
        select(Task.feature_id, Task.status, func.count())
        .where(Task.project_id == project_id)
        .group_by(Task.feature_id, Task.status)
    ).all()
    tally: dict[int, dict[str, int]] = {}
    for feature_id, status, number in counts:
        tally.setdefault(feature_id, {})[status.value] = number
    phases = tx.scalars(
        select(Phase).where(Phase.project_id == project_id).order_by(Phase.position)
    )
    waiting = tx.scalars(
        select(Approval).where(
            Approval.project_id == project_id, Approval.status == ApprovalStatus.OPEN
        )
    )
    return {
        "name": project.name,
        "status": project.status.value,
        "summary": project.summary,
        "blocked_reason": project.blocked_reason,
        "run": project.run_command,
        "cost_usd": _cost(tx, project_id, Dimension.PROJECT, project_id),
        "budget_usd": str(to_usd(project.budget_micro_usd)),
        "waits_for_a_decision": [
            f"{row.kind.value}, since {_at(row.opened_at)}" for row in waiting
        ],
        "phases": [
            {
                "number": phase.position,
                "name": phase.name,
                "status": phase.status.value,
                "features": [
                    {
                        "id": feature.id,
                        "name": feature.name,
                        "status": feature.status.value,
                        "tasks": tally.get(feature.id, {}),
                        "landed_commit": feature.landed_commit,
                    }
                    for feature in features
                    if feature.phase_id == phase.id
                ],
            }
            for phase in phases
        ],
        "journal": _journal(tx, JournalEntry.project_id == project_id),
    }


def listed(tx: Session, project_id: int, status: TaskStatus | None) -> list[dict[str, Any]]:
    """Tasks in short, at most LISTED of them."""
    query = (
        select(Task, Feature.name)
        .join(Feature, Feature.id == Task.feature_id)
        .where(Task.project_id == project_id)
    )
    if status is not None:
        query = query.where(Task.status == status)
    return [
        {
            "id": row.number,
            "name": row.name,
            "feature": feature,
            "status": row.status.value,
            "failed_attempts": row.attempts,
        }
        for row, feature in tx.execute(query.order_by(Task.number).limit(LISTED))
    ]


def _runs(tx: Session, row: Task) -> list[dict[str, Any]]:
    found = tx.scalars(
        select(Run)
        .join(RunTask, RunTask.run_id == Run.id)
        .where(RunTask.task_id == row.id)
        .order_by(Run.id.desc())
        .limit(_RUNS)
    ).all()
    return [
        {
            "agent": f"{run.kind.value}-{run.seat}",
            "model": run.model,
            "began": _at(run.started_at),
            "ended": _at(run.ended_at),
            "outcome": run.outcome.value if run.outcome else run.status.value,
            "began_because": run.reason,
            "last_words": _end(run.words),
        }
        for run in reversed(found)
    ]


def _proofs(tx: Session, row: Task) -> list[dict[str, Any]]:
    found = tx.scalars(
        select(Evidence)
        .where(Evidence.task_id == row.id)
        .order_by(Evidence.id.desc())
        .limit(_PROOFS)
    ).all()
    return [
        {
            "at": _at(proof.at),
            "accepted": proof.accepted,
            "verdict": proof.verdict.value,
            "commit": proof.commit,
            "checks": [
                {
                    "command": check["command"],
                    "exit_code": check["exit_code"],
                    "output": _end(check["output"]) if check["exit_code"] else "",
                }
                for check in proof.checks
            ],
        }
        for proof in reversed(found)
    ]


def _journal(tx: Session, about: Any) -> list[str]:
    """The newest entries, oldest first, a line each."""
    rows = tx.scalars(
        select(JournalEntry).where(about).order_by(JournalEntry.id.desc()).limit(_ENTRIES)
    ).all()
    return [
        f"{_at(row.at)} {row.event.value} by {row.actor}: {' '.join(row.text.split())[:300]}"
        for row in reversed(rows)
    ]


def _cost(tx: Session, project_id: int, dimension: Dimension, key: int) -> str:
    total = tx.get(UsageTotal, (project_id, dimension, str(key)))
    return str(to_usd(total.micro_usd)) if total else "0"


def _end(text: str) -> str:
    return text if len(text) <= _OUTPUT else f"…{text[-_OUTPUT:]}"


def _at(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else None
