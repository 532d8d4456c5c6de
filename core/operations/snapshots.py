"""The snapshot a decision is made from: one project's open work."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import and_, bindparam, func, not_, select
from sqlalchemy.orm import Session, aliased

from core.domain.agents import SLOTLESS
from core.domain.lifecycle import (
    INTERVIEW_OVER,
    FeatureStatus,
    PhaseStatus,
    ProjectStatus,
    TaskStatus,
)
from core.domain.orders import ACTIVE, NOT_ENDED
from core.domain.rules import Rules
from core.domain.snapshot import (
    FeatureView,
    InquiryView,
    InterviewView,
    PhaseView,
    RunView,
    Snapshot,
    TaskView,
)
from core.operations import inquiries, interviews, spending
from core.store.chat_tables import Interview
from core.store.tables import (
    Feature,
    FeatureDependency,
    Phase,
    Project,
    Question,
    Run,
    Task,
)
from core.views import budgets

# Named, not "all but the last": so an index finds them beside any number that is done.
OPEN_TASK = (TaskStatus.PENDING, TaskStatus.IN_PROGRESS, TaskStatus.STUCK)
_Steady = Callable[[datetime | None], datetime | None]
OPEN_FEATURE = tuple(status for status in FeatureStatus if status is not FeatureStatus.COMPLETED)


# Built once: to build them takes longer than to run them, and a decision needs them all.
_OPEN_PHASE = (
    select(Phase)
    .where(Phase.project_id == bindparam("project"), Phase.status != PhaseStatus.COMPLETED)
    .order_by(Phase.position)
    .limit(1)
)
_WAITED = aliased(Feature)
_WAITS = (
    select(FeatureDependency.feature_id)
    .join(Feature, Feature.id == FeatureDependency.feature_id)
    .join(_WAITED, _WAITED.id == FeatureDependency.depends_on_id)
    .where(
        Feature.phase_id == bindparam("phase"),
        Feature.status.in_(OPEN_FEATURE),
        _WAITED.status != FeatureStatus.COMPLETED,
    )
)
# Whether there is one, not how many: what is done already must not be counted each time.
_OF_FEATURE = select(Task.id).where(Task.feature_id == Feature.id)
_PASSING = _OF_FEATURE.where(Task.status == TaskStatus.PASSING).exists()
_LEFT_OUT = _OF_FEATURE.where(Task.status == TaskStatus.SKIPPED, Task.merging.is_not(None)).exists()
_OPEN_FEATURES = select(
    Feature.id,
    Feature.name,
    Feature.status,
    Feature.priority,
    Feature.position,
    Feature.resume_run_id,
    and_(_PASSING, not_(_LEFT_OUT)).label("passing"),
).where(Feature.phase_id == bindparam("phase"), Feature.status.in_(OPEN_FEATURE))
_OPEN_TASKS = select(
    Task.id,
    Task.number,
    Task.feature_id,
    Task.status,
    Task.priority,
    Task.complexity,
    Task.category,
    Task.files,
    Task.blockers,
    Task.rank,
    Task.position,
    Task.attempts,
    Task.restarts,
    Task.deferred,
    Task.model,
    Task.not_before,
).where(Task.phase_id == bindparam("phase"), Task.status.in_(OPEN_TASK))
_UNDELIVERED = (
    select(Question.run_id, func.count(), func.count(Question.answer))
    .where(Question.project_id == bindparam("project"), Question.delivered.is_(False))
    .group_by(Question.run_id)
)
_RUNS = select(
    Run.id,
    Run.kind,
    Run.status,
    Run.feature_id,
    Run.slot,
    Run.boot_id,
    Run.interview_id,
    Run.inquiry_id,
).where(Run.project_id == bindparam("project"), Run.status.in_(NOT_ENDED))
_INTERVIEWS = (
    select(Interview.id, Interview.kind, Interview.status, Interview.not_before)
    .where(Interview.project_id == bindparam("project"), Interview.status.not_in(INTERVIEW_OVER))
    .order_by(Interview.id)
)
_ELSEWHERE = select(func.count()).where(
    Run.project_id != bindparam("project"),
    Run.status.in_(ACTIVE),
    Run.boot_id == bindparam("boot_id"),
    Run.kind.not_in(SLOTLESS),
)


def load(
    tx: Session,
    project_id: int,
    *,
    rules: Rules,
    upstream: str,
    boot_id: str,
    now: datetime,
) -> Snapshot:
    """Read what `next_orders` needs of a project; costs what is open, not what is done.

    `rules` are the service's.
    """
    project = tx.get_one(Project, project_id)
    rules = rules.of_project(project.settings)
    longest = timedelta(seconds=rules.agents.backoff_max_s)  # after an accident
    steady = partial(_steady, now=now, longest=longest)
    phase = tx.scalars(_OPEN_PHASE, {"project": project_id}).first()
    spent = budgets.exhausted(tx, project, rules, now=now)
    building = phase is not None and project.status is ProjectStatus.RUNNING
    return Snapshot(
        now=now,
        project_id=project_id,
        status=project.status,
        rules=rules,
        phase=PhaseView(
            id=phase.id,
            position=phase.position,
            status=phase.status,
            rework=phase.rework_reason is not None,
        )
        if phase
        else None,
        features=_features(tx, phase.id) if phase and building else (),
        tasks=_tasks(tx, phase.id, steady) if phase and building else (),
        runs=_runs(tx, project_id, boot_id),
        interviews=_interviews(tx, project_id, steady),
        inquiries=_inquiries(tx, project_id, steady),
        agents_elsewhere=tx.scalar(_ELSEWHERE, {"project": project_id, "boot_id": boot_id}) or 0,
        window_until=budgets.window_until(tx, upstream, now),
        budget_left=spent is None and spending.unreserved(tx, project),
        winding_down=project.winding_down_by is not None,
        spent=spent.words if spent else None,
        spent_until=spent.until if spent else None,
        planner_failures=project.planner_failures,
        planner_not_before=steady(project.planner_not_before),
    )


def _steady(moment: datetime | None, *, now: datetime, longest: timedelta) -> datetime | None:
    """A moment to wait for; none where it lies further ahead than any wait: a clock was set back."""
    return None if moment is None or moment > now + longest else moment


def _features(tx: Session, phase_id: int) -> tuple[FeatureView, ...]:
    waits = Counter(tx.scalars(_WAITS, {"phase": phase_id}))
    rows = tx.execute(_OPEN_FEATURES, {"phase": phase_id})
    return tuple(
        FeatureView(
            id=row.id,
            name=row.name,
            status=row.status,
            priority=row.priority,
            position=row.position,
            waits_for=waits[row.id],
            passing=int(row.passing),
            resume_run_id=row.resume_run_id,
        )
        for row in rows
    )


def _tasks(tx: Session, phase_id: int, steady: _Steady) -> tuple[TaskView, ...]:
    rows = tx.execute(_OPEN_TASKS, {"phase": phase_id})
    return tuple(
        TaskView(
            id=row.id,
            number=row.number,
            feature_id=row.feature_id,
            status=row.status,
            priority=row.priority,
            complexity=row.complexity,
            category=row.category,
            files=tuple(row.files),
            blockers=row.blockers,
            rank=row.rank,
            position=row.position,
            attempts=row.attempts,
            restarts=row.restarts,
            deferred=row.deferred,
            model=row.model,
            not_before=steady(row.not_before),
        )
        for row in rows
    )


def _runs(tx: Session, project_id: int, boot_id: str) -> tuple[RunView, ...]:
    waiting = tx.execute(_UNDELIVERED, {"project": project_id})
    answered = {run_id for run_id, asked, answers in waiting if asked == answers}
    rows = tx.execute(_RUNS, {"project": project_id})
    return tuple(
        RunView(
            id=run.id,
            kind=run.kind,
            status=run.status,
            feature_id=run.feature_id,
            slot=run.slot,
            ours=run.boot_id == boot_id,
            answered=run.id in answered,
            interview_id=run.interview_id,
            inquiry_id=run.inquiry_id,
        )
        for run in rows
    )


def _interviews(tx: Session, project_id: int, steady: _Steady) -> tuple[InterviewView, ...]:
    rows = tx.execute(_INTERVIEWS, {"project": project_id})
    return tuple(
        InterviewView(
            id=row.id,
            kind=row.kind,
            status=row.status,
            last_run_id=interviews.last_run(tx, row.id),
            not_before=steady(row.not_before),
        )
        for row in rows
    )


def _inquiries(tx: Session, project_id: int, steady: _Steady) -> tuple[InquiryView, ...]:
    return tuple(
        InquiryView(
            id=row.id,
            last_run_id=inquiries.last_run(tx, row.id),
            not_before=steady(row.not_before),
        )
        for row in inquiries.waiting(tx, project_id)
    )
