"""Features: taken to `main`, or completed with nothing to land."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.events import Event
from core.domain.lifecycle import Cause, FeatureStatus, TaskStatus, move
from core.errors import StateError
from core.operations import journal
from core.store.tables import Feature, Project, Task
from core.views.tasks import vouched


@dataclass(frozen=True)
class Landing:
    """A feature on its way to `main`."""

    feature_id: int
    name: str
    feature_slug: str
    slug: str  # the project's
    head: str
    first_commit: str
    setup: tuple[str, ...]
    checks: tuple[str, ...]  # plan-wide, of all that has landed, and its own
    tasks: tuple[str, ...]  # "9 Sign-in", for the merge's message


def begin_landing(tx: Session, feature_id: int) -> Landing | None:
    """Take a finished feature into the queue; None when it is not finished any more."""
    feature = tx.get_one(Feature, feature_id)
    unfinished = select(Task.id).where(
        Task.feature_id == feature_id,
        Task.status.not_in((TaskStatus.PASSING, TaskStatus.SKIPPED)),
    )
    if (
        feature.status is FeatureStatus.COMPLETED
        or feature.last_green_commit is None
        or tx.scalar(unfinished.limit(1)) is not None
    ):
        return None
    if feature.status is not FeatureStatus.LANDING:
        move(feature, FeatureStatus.LANDING, by=Cause.SERVICE)
    project = tx.get_one(Project, feature.project_id)
    if project.first_commit is None:
        raise StateError("The project has no repository yet.")
    own = tx.scalars(
        select(Task)
        .where(Task.feature_id == feature_id, Task.status == TaskStatus.PASSING)
        .order_by(Task.number)
    ).all()
    mine = tx.scalars(
        select(Task)
        .where(Task.feature_id == feature_id, Task.status == TaskStatus.PASSING, ~vouched())
        .order_by(Task.number)
    )
    checks = [*landed_checks(tx, project.id), *(check for t in mine for check in t.checks)]
    return Landing(
        feature_id=feature.id,
        name=feature.name,
        feature_slug=feature.slug,
        slug=project.slug,
        head=feature.last_green_commit,
        first_commit=project.first_commit,
        setup=tuple(project.setup),
        checks=tuple(dict.fromkeys(checks)),
        tasks=tuple(f"{task.number} {task.name}" for task in own),
    )


def landed_checks(tx: Session, project_id: int) -> tuple[str, ...]:
    """The plan-wide checks, then those of every landed task that they prove, once each."""
    project = tx.get_one(Project, project_id)
    landed = tx.scalars(
        select(Task)
        .join(Feature, Feature.id == Task.feature_id)
        .where(
            Task.project_id == project_id,
            Task.status == TaskStatus.PASSING,
            Feature.landed_commit.is_not(None),
            ~vouched(),
        )
        .order_by(Task.number)
    )
    own = [check for task in landed for check in task.checks]
    return tuple(dict.fromkeys([*project.checks, *own]))


def landed(tx: Session, feature_id: int, commit: str, checks: int, *, now: datetime) -> None:
    """The feature's merge is on `main`, green; what waited for it may start."""
    feature = tx.get_one(Feature, feature_id)
    if feature.status is FeatureStatus.COMPLETED:
        return
    move(feature, FeatureStatus.COMPLETED, by=Cause.SERVICE)
    feature.landed_commit = commit
    feature.landed_at = now
    feature.prepared = False
    journal.record(
        tx,
        Event.FEATURE_LANDED,
        f"{feature.name} landed at {commit[:7]}: {checks} checks green.",
        now=now,
        feature=feature,
        data={"commit": commit, "checks": checks},
    )


def complete_empty(tx: Session, feature_id: int) -> None:
    """Nothing lands: every task, or the landing itself, was skipped."""
    feature = tx.get_one(Feature, feature_id)
    if feature.status is FeatureStatus.COMPLETED:
        return
    own = tx.scalars(select(Task).where(Task.feature_id == feature_id)).all()
    left_out = any(t.merging and t.status is TaskStatus.SKIPPED for t in own)
    over = (TaskStatus.SKIPPED, TaskStatus.PASSING) if left_out else (TaskStatus.SKIPPED,)
    if all(task.status in over for task in own):
        move(feature, FeatureStatus.COMPLETED, by=Cause.SERVICE)
