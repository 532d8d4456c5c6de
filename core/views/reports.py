"""A project whole, as its report tells it: what REST shows of it, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from core.domain.lifecycle import ProjectStatus
from core.views.approvals import ApprovalView, approvals
from core.views.features import FeatureView, features
from core.views.json import Hidden
from core.views.members import name_of
from core.views.paging import each
from core.views.phases import PhaseView, phases
from core.views.projects import ProjectSummary, ProjectView, Service, project, summary
from core.views.tasks import TaskView, tasks
from core.views.usage import Usage, usage

_PART = 1000  # rows read at a time


@dataclass(frozen=True, kw_only=True)
class Report:
    project: ProjectView
    phases: Sequence[PhaseView]
    features: Sequence[FeatureView]
    tasks: Sequence[TaskView]
    approvals: Sequence[ApprovalView]
    usage: Usage
    about: Hidden[ProjectSummary]
    names: Hidden[Mapping[str, str]]  # of who decided


def report(tx: Session, project_id: int, service: Service) -> Report:
    about = summary(tx, project_id)
    decisions = tuple(each(tx, lambda after: approvals(tx, project_id, after=after, limit=_PART)))
    return Report(
        project=project(tx, about.name, service),
        phases=tuple(each(tx, lambda after: phases(tx, project_id, after=after, limit=_PART))),
        features=tuple(each(tx, lambda after: features(tx, project_id, after=after, limit=_PART))),
        tasks=tuple(each(tx, lambda after: tasks(tx, project_id, after=after, limit=_PART))),
        approvals=decisions,
        usage=usage(tx, project_id),
        about=about,
        names={by: name_of(tx, by) for made in decisions if (by := made.decided_by)},
    )


def as_completed(found: Report, now: datetime) -> Report:
    """The report as it reads once the project is complete, which its own commit makes it."""
    done = replace(found.project, status=ProjectStatus.COMPLETED, waiting=None, completed_at=now)
    return replace(found, project=done)
