"""What people have a project as a whole do, beside what it holds: go on, and be put away."""

from datetime import datetime

from sqlalchemy.orm import Session

from core.domain.counting import count
from core.domain.lifecycle import ProjectStatus
from core.operations import projects, questions, runs, specs
from core.store.tables import Project, Question, Run
from core.views import interviews

_RESTS = (ProjectStatus.PAUSED, ProjectStatus.STOPPED, ProjectStatus.BLOCKED)


def go_on(tx: Session, project_id: int, *, by: str, now: datetime) -> str:
    """Start or resume it, or what is parked of it: what goes on, in words."""
    project = tx.get_one(Project, project_id)
    rests = project.status in _RESTS or project.winding_down_by is not None
    parked = interviews.parked(tx, project_id)
    if not rests and not parked:
        raise projects.unmoved(tx, project)
    if rests:
        projects.resume(tx, project_id, actor=by, now=now)
    for each in parked:
        specs.resume(tx, each.id, by=by, now=now)
    return project.name if rests else f"{count(len(parked), 'addition')} of {project.name}"


def archive(tx: Session, project_id: int, *, by: str, now: datetime) -> None:
    """Out of the lists, for good: nothing is asked or waited for any more."""
    project = tx.get_one(Project, project_id)
    if project.status is ProjectStatus.ARCHIVED:
        raise projects.unmoved(tx, project)
    projects.archive(tx, project_id, actor=by, now=now)
    runs.drop_parked(tx, Run.project_id == project_id, now=now)
    asked = questions.unanswered(tx, Question.project_id == project_id)
    questions.withdraw(tx, asked, "the project is archived", by=by, now=now)
