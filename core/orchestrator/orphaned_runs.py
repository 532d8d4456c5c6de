"""Runs of coders that an earlier start of the service left: they may hold commits it did not record."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.domain.proof import CheckResult
from core.operations import evidence, tasks
from core.store.tables import Feature, Project, Run
from core.views.tasks import TaskBrief, brief


@dataclass(frozen=True)
class Lost:
    """A coder's run of an earlier life, with the task it held."""

    run_id: int
    slug: str
    feature_slug: str
    branch: str
    last_green_commit: str
    task: TaskBrief
    before: tuple[CheckResult, ...]


def find_lost(tx: Session, project_id: int, run_id: int) -> Lost | None:
    run = tx.get_one(Run, run_id)
    feature = tx.get(Feature, run.feature_id) if run.feature_id else None
    held = tasks.held_by(tx, run_id)
    if feature is None or feature.last_green_commit is None or not held:
        return None
    return Lost(
        run_id=run_id,
        slug=tx.get_one(Project, project_id).slug,
        feature_slug=feature.slug,
        branch=feature.branch,
        last_green_commit=feature.last_green_commit,
        task=brief(tx, held[0].id),
        before=tuple(evidence.from_json(row) for row in held[0].before or ()),
    )
