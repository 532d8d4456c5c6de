"""Dossiers: what is on file about a task or a project, as an assistant reads it.

Texts are cut so that a dossier stays within some thousand words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.agents import RunOutcome
from core.domain.lifecycle import FeatureStatus, PhaseStatus, TaskStatus
from core.domain.money import Dimension
from core.domain.proof import CheckResult
from core.store.tables import Run, RunTask, Task
from core.views import budgets, features, journal, members, phases, projects, tasks, waiting
from core.views.json import Usd, Utc
from core.views.projects import ProjectView, Service
from core.views.runs import agent_name
from core.views.tasks import Counts, EvidenceView, TaskView, counted

_RUNS = 20
_PROOFS = 8
_OUTPUT = 1_500  # characters of a check's output: its end says most
_ENTRIES = 40


@dataclass(frozen=True, kw_only=True)
class RunDossier:
    """How a run of a task went."""

    agent: str  # coder-1
    model: str
    began: Utc
    ended: Utc | None
    outcome: RunOutcome | None
    began_because: str
    last_words: str


@dataclass(frozen=True, kw_only=True)
class TaskContext:
    task: TaskView
    feature: str
    cost_usd: Usd
    runs: Sequence[RunDossier]
    journal: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class FeatureDossier:
    id: int
    name: str
    status: FeatureStatus
    tasks: Counts
    landed_commit: str | None


@dataclass(frozen=True, kw_only=True)
class PhaseDossier:
    number: int
    name: str
    status: PhaseStatus
    features: Sequence[FeatureDossier]


@dataclass(frozen=True, kw_only=True)
class ProjectContext:
    project: ProjectView
    summary: str
    blocked_reason: str | None
    run: str | None  # the command that starts it
    waits_for_a_person: Sequence[str]
    phases: Sequence[PhaseDossier]
    journal: Sequence[str]


def of_task(tx: Session, project_id: int, number: int) -> TaskContext:
    """One task with its runs, proofs and journal; NotFound where there is none."""
    task = tasks.task(tx, project_id, number)
    feature = features.feature(tx, project_id, task.feature_id)
    return TaskContext(
        task=replace(
            task,
            last_error=_end(task.last_error or "") or None,
            evidence=[_proof(proof) for proof in task.evidence[-_PROOFS:]],
        ),
        feature=feature.name,
        cost_usd=budgets.cost_of(tx, project_id, Dimension.TASK, task.row_id),
        runs=_runs(tx, task.row_id),
        journal=_journal(tx, journal.newest(tx, task_row_id=task.row_id, limit=_ENTRIES)),
    )


def of_project(tx: Session, project_id: int, service: Service) -> ProjectContext:
    """How a project stands, and what happened in it last."""
    summary = projects.summary(tx, project_id)
    found = features.every(tx, project_id)
    tally: dict[int, dict[TaskStatus, int]] = {}
    for feature_id, status, number in tx.execute(
        select(Task.feature_id, Task.status, func.count())
        .where(Task.project_id == project_id)
        .group_by(Task.feature_id, Task.status)
    ):
        tally.setdefault(feature_id, {})[status] = number
    return ProjectContext(
        project=projects.project(tx, summary.name, service),
        summary=summary.summary,
        blocked_reason=summary.blocked_reason,
        run=summary.run_command,
        waits_for_a_person=[
            f"{wait.kind} {wait.number or ''} {wait.text}, since {wait.since:%Y-%m-%d %H:%M} UTC"
            for wait in waiting.waiting(tx, project_id=project_id)
        ],
        phases=[
            PhaseDossier(
                number=phase.position,
                name=phase.name,
                status=phase.status,
                features=[
                    FeatureDossier(
                        id=feature.id,
                        name=feature.name,
                        status=feature.status,
                        tasks=counted(tally.get(feature.id, {})),
                        landed_commit=feature.landed_commit,
                    )
                    for feature in found
                    if feature.phase_id == phase.id
                ],
            )
            for phase in phases.every(tx, project_id)
        ],
        journal=_journal(tx, journal.newest(tx, project_id=project_id, limit=_ENTRIES)),
    )


def _runs(tx: Session, task_id: int) -> Sequence[RunDossier]:
    rows = tx.scalars(
        select(Run)
        .join(RunTask, RunTask.run_id == Run.id)
        .where(RunTask.task_id == task_id)
        .order_by(Run.id.desc())
        .limit(_RUNS)
    ).all()
    return [
        RunDossier(
            agent=agent_name(row),
            model=row.model,
            began=row.started_at,
            ended=row.ended_at,
            outcome=row.outcome,
            began_because=row.reason,
            last_words=_end(row.words),
        )
        for row in reversed(rows)
    ]


def _proof(proof: EvidenceView) -> EvidenceView:
    """Without the output of what was green."""
    return replace(proof, checks=[_check(check) for check in proof.checks])


def _check(check: CheckResult) -> CheckResult:
    return replace(check, output="" if check.green else _end(check.output))


def _journal(tx: Session, found: Sequence[journal.JournalLine]) -> Sequence[str]:
    names = members.names_of(tx, [line.actor for line in found])
    return [
        f"{line.at:%Y-%m-%d %H:%M:%S} UTC {line.event} by {names[line.actor]}:"
        f" {' '.join(line.text.split())[:300]}"
        for line in found
    ]


def _end(text: str) -> str:
    return text if len(text) <= _OUTPUT else f"…{text[-_OUTPUT:]}"
