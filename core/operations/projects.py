"""Projects: made, blocked, unblocked, stopped, completed."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import select, union, update
from sqlalchemy.orm import Session

from core.domain.events import Event, Level
from core.domain.lifecycle import (
    Cause,
    FeatureStatus,
    InquiryStatus,
    InterviewStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    WaitingFor,
    may_move,
    move,
)
from core.domain.money import to_micro
from core.domain.names import slugify
from core.errors import InputError, StalePress, StateError
from core.operations import journal
from core.store.chat_tables import Inquiry, Interview
from core.store.tables import AccountWindow, Feature, Phase, Project, Run
from core.views.journal import by_whom
from core.views.projects import ProjectRef


def create(
    tx: Session,
    *,
    name: str,
    spec_digest: str,
    practice: bool,
    budget: Decimal,
    actor: str,
    now: datetime,
) -> ProjectRef:
    """The project of this name and spec, made if it is new; another spec is refused."""
    wanted = name.casefold()
    rows = tx.scalars(select(Project)).all()
    known = next((row for row in rows if row.name.casefold() == wanted), None)
    if known:
        if known.spec_digest != spec_digest:
            raise InputError(
                f"A project {known.name!r} exists in this home, with another spec.",
                hint="Give this one another name with --name, or use another --home.",
            )
        if other_model(known, practice=practice):
            raise InputError(
                f"The project {known.name!r} was begun with {_model(known.practice)}.",
                hint="Use another --name or --home for the other model.",
            )
        return ProjectRef(known.id, known.name, known.slug)
    project = Project(
        name=name,
        slug=slugify(name, {row.slug for row in rows}, fallback="project"),
        status=ProjectStatus.PLANNING,
        spec_digest=spec_digest,
        practice=practice,
        budget_micro_usd=to_micro(budget),
        created_at=now,
    )
    tx.add(project)
    journal.record(
        tx, Event.PROJECT_CREATED, f"Project {name} was created.", now=now, actor=actor,
        project=project,
    )  # fmt: skip
    return ProjectRef(project.id, project.name, project.slug)


def other_model(project: Project, *, practice: bool) -> str | None:
    """Why the model of this life of the service does not go on with a project; None: it does.

    A script would fill real work with its own, and Claude would be paid for a rehearsal.
    """
    if project.practice == practice:
        return None
    setting = "practice" if project.practice else "claude"
    return (
        f"{project.name} was begun with {_model(project.practice)}, and this service runs"
        f" {_model(practice)}. Start it with AUTOCODER_MODEL={setting} to go on, or make a new"
        " project."
    )


def _model(practice: bool) -> str:
    return "the practice model" if practice else "Claude"


def spec_written(tx: Session, project_id: int, commit: str, *, now: datetime) -> None:
    """The first commit on `main` holds both spec files."""
    project = tx.get_one(Project, project_id)
    if project.first_commit is None:
        project.first_commit = commit
        journal.record(
            tx, Event.SPEC_WRITTEN, f"The spec is on main at {commit[:7]}.", now=now,
            project=project,
        )  # fmt: skip


def set_budget(tx: Session, project_id: int, budget: Decimal) -> None:
    tx.get_one(Project, project_id).budget_micro_usd = to_micro(budget)


def block(
    tx: Session, project_id: int, reason: str, *, on: WaitingFor | None = None, now: datetime
) -> None:
    """Nothing more starts until a person goes on with it."""
    project = tx.get_one(Project, project_id)
    if project.status not in (
        ProjectStatus.INTERVIEWING,
        ProjectStatus.PLANNING,
        ProjectStatus.RUNNING,
    ):
        return
    project.before_pause = project.status
    project.blocked_reason = reason
    project.blocked_on = on
    move(project, ProjectStatus.BLOCKED, by=Cause.SERVICE)
    journal.record(tx, Event.PROJECT_BLOCKED, reason, now=now, level=Level.ERROR, project=project)


def resume(tx: Session, project_id: int, *, actor: str, now: datetime) -> None:
    """Go on with a blocked, paused or stopped project; another is left as it is.

    What led to the block is counted anew, else it would block again at once.
    """
    project = tx.get_one(Project, project_id)
    if project.winding_down_by is not None:
        project.winding_down_by = None
        if project.status is ProjectStatus.RUNNING:
            journal.record(
                tx, Event.PROJECT_RESUMED, f"{project.name} goes on after the features at work.",
                now=now, actor=actor, project=project,
            )  # fmt: skip
    if project.status not in (
        ProjectStatus.BLOCKED,
        ProjectStatus.PAUSED,
        ProjectStatus.STOPPED,
    ):
        return
    move(project, project.before_pause or ProjectStatus.RUNNING, by=Cause.PERSON)
    project.blocked_reason = None
    project.blocked_on = None
    project.planner_failures = 0
    project.planner_restarts = 0
    project.planner_not_before = None
    tx.execute(
        update(Interview)
        .where(Interview.project_id == project_id)
        .values(failures=0, restarts=0, not_before=None)
    )
    for phase in tx.scalars(select(Phase).where(Phase.project_id == project_id)):
        phase.gate_failures = 0
    for window in tx.scalars(select(AccountWindow)):
        window.consecutive_limits = 0
    journal.record(
        tx, Event.PROJECT_RESUMED, f"{project.name} goes on.", now=now, actor=actor,
        project=project,
    )  # fmt: skip


def pause(tx: Session, project_id: int, *, actor: str, now: datetime) -> None:
    """Its agents stop at once; what they hold goes back to the queue."""
    project = tx.get_one(Project, project_id)
    if project.status not in (ProjectStatus.PLANNING, ProjectStatus.RUNNING):
        raise unmoved(tx, project)
    project.before_pause = project.status
    move(project, ProjectStatus.PAUSED, by=Cause.PERSON)
    journal.record(
        tx, Event.PROJECT_PAUSED, f"{project.name} is paused.", now=now, actor=actor,
        project=project,
    )  # fmt: skip


def stoppable(tx: Session, project_id: int) -> Project:
    """The project, if a person may stop it now."""
    project = tx.get_one(Project, project_id)
    if not may_move(project.status, ProjectStatus.STOPPED, Cause.PERSON):
        raise unmoved(tx, project)
    return project


def stop(tx: Session, project_id: int, *, actor: str, now: datetime) -> None:
    """Its agents stop at once and nothing starts until a person starts it again."""
    project = stoppable(tx, project_id)
    if project.status not in (ProjectStatus.PAUSED, ProjectStatus.BLOCKED):
        project.before_pause = project.status
    move(project, ProjectStatus.STOPPED, by=Cause.PERSON)
    project.winding_down_by = None
    journal.record(
        tx, Event.PROJECT_STOPPED, f"{project.name} is stopped.", now=now, actor=actor,
        project=project,
    )  # fmt: skip


_MOVES = (
    Event.PROJECT_PAUSED, Event.PROJECT_STOPPED, Event.PROJECT_RESUMED, Event.PROJECT_BLOCKED,
    Event.PROJECT_COMPLETED, Event.PROJECT_ARCHIVED, Event.PLAN_APPROVED,
)  # fmt: skip


def living(tx: Session, project_id: int) -> Project:
    """The project, which is not archived."""
    project = tx.get_one(Project, project_id)
    if project.status is ProjectStatus.ARCHIVED:
        raise unmoved(tx, project)
    return project


def unmoved(tx: Session, project: Project) -> StalePress:
    """It is so already, or cannot be so from where it stands; who moved it last."""
    last = by_whom(tx, _MOVES, project_id=project.id)
    who = f", last moved by {last.name}" if last else ""
    return StalePress(
        f"{project.name} is {project.status.words}{who}", at=last.at if last else None
    )


def building(tx: Session, project_id: int) -> Project:
    """The project, if features may be at work in it."""
    project = tx.get_one(Project, project_id)
    if project.status is ProjectStatus.RUNNING:
        return project
    stops = may_move(project.status, ProjectStatus.STOPPED, Cause.PERSON)
    raise StateError(
        f"{project.name} is {project.status.words}: no feature is at work.",
        hint=f"`/autocoder stop {project.name}` stops it now." if stops else "",
    )


def wind_down(tx: Session, project_id: int, *, actor: str, now: datetime) -> tuple[str, ...]:
    """Begin nothing new, and stop once the features at work have landed: their names.

    Without one it stops at once.
    """
    project = building(tx, project_id)
    begun = (FeatureStatus.IN_PROGRESS, FeatureStatus.LANDING)
    names = tx.scalars(
        select(Feature.name)
        .where(Feature.project_id == project_id, Feature.status.in_(begun))
        .order_by(Feature.position)
    ).all()
    if not names:
        stop(tx, project_id, actor=actor, now=now)
        return ()
    project.winding_down_by = actor
    journal.record(
        tx, Event.PROJECT_WINDING_DOWN, f"{project.name} stops after {', '.join(names)}."[:500],
        now=now, actor=actor, project=project,
    )  # fmt: skip
    return tuple(names)


def wound_down(tx: Session, project_id: int, *, now: datetime) -> None:
    """The features that were at work have landed, or wait for a person."""
    project = tx.get_one(Project, project_id)
    if project.winding_down_by is not None and project.status is ProjectStatus.RUNNING:
        stop(tx, project_id, actor=project.winding_down_by, now=now)


def archive(tx: Session, project_id: int, *, actor: str, now: datetime) -> None:
    """Out of the lists, for good; its repository and its journal stay."""
    project = tx.get_one(Project, project_id)
    move(project, ProjectStatus.ARCHIVED, by=Cause.PERSON)
    journal.record(
        tx, Event.PROJECT_ARCHIVED, f"{project.name} is archived.", now=now, actor=actor,
        project=project,
    )  # fmt: skip


def complete(tx: Session, project_id: int, report_commit: str, *, now: datetime) -> None:
    """The last gate was approved and the report is on `main`."""
    project = tx.get_one(Project, project_id)
    if project.status is ProjectStatus.COMPLETED:
        return
    left = tx.scalars(
        select(Phase.name).where(
            Phase.project_id == project_id, Phase.status != PhaseStatus.COMPLETED
        )
    ).first()
    if left is not None:
        return  # something was added while the report was written
    project.report_commit = report_commit
    project.completed_at = now
    move(project, ProjectStatus.COMPLETED, by=Cause.SERVICE)
    journal.record(
        tx, Event.PROJECT_COMPLETED, f"{project.name} is complete.", now=now, project=project
    )


def at_work(tx: Session) -> tuple[int, ...]:
    """Projects that something may have to be done for: all but those at rest.

    A project at rest is one that no person's word and no run moves.
    """
    resting = (ProjectStatus.COMPLETED, ProjectStatus.ARCHIVED, ProjectStatus.STOPPED)
    moving = select(Project.id).where(Project.status.not_in(resting))
    talking = select(Interview.project_id).where(
        Interview.status.not_in((InterviewStatus.DONE, InterviewStatus.WITHDRAWN))
    )
    asked = select(Inquiry.project_id).where(Inquiry.status == InquiryStatus.OPEN)
    running = select(Run.project_id).where(Run.status != RunStatus.ENDED)
    return tuple(tx.scalars(union(moving, talking, asked, running)))
