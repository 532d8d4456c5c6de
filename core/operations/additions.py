"""Additions to a project that has an approved plan: features, phases, tasks, jobs.

A feature and a phase begin with an interview, which changes the spec; a planner then submits
only what is new, and a person approves it. A task needs no interview: the planner has the
person's words. A job is one small task with a check, made and built without an approval: whoever
may order it has decided with the command itself, and a planner that makes more of it is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.domain import card_keys
from core.domain import plan as planning
from core.domain.events import Event
from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    Cause,
    FeatureStatus,
    InterviewKind,
    InterviewStatus,
    ProjectStatus,
    move,
)
from core.domain.people import Role
from core.errors import InputError, NotAllowed, StateError
from core.operations import interviews, journal, plans, questions, runs
from core.operations.plans import Submitted
from core.store.chat_tables import Interview
from core.store.tables import Feature, Phase, Plan, Project, Question, Run
from core.views import interviews as interview_views
from core.views import phases
from core.views.members import name_of
from core.views.plans import PLAN, latest

TAKES = (ProjectStatus.RUNNING, ProjectStatus.PAUSED, ProjectStatus.COMPLETED)
_INTERVIEWED = (InterviewKind.FEATURE, InterviewKind.PHASE, InterviewKind.SPEC)
_UNDECIDED = (ProjectStatus.PLANNING, ProjectStatus.AWAITING_APPROVAL)
_INSTEAD = {
    ProjectStatus.INTERVIEWING: "Say it in the interview: it is not over.",
    ProjectStatus.PLANNING: "Wait for its first plan.",
    ProjectStatus.ARCHIVED: "It is put away for good: begin another one, `/autocoder new NAME`.",
    ProjectStatus.AWAITING_APPROVAL: "Reject the plan with it as the reason, or approve first.",
}


@dataclass(frozen=True)
class Addition:
    """What a person asked to add, and the card that tells of it."""

    id: int
    number: int  # within its project, from 1
    kind: InterviewKind
    card_key: str


def begin(
    tx: Session, project_id: int, kind: InterviewKind, text: str, *, by: str, now: datetime
) -> Addition:
    """Add a feature, a phase, a task or a job to a project with an approved plan."""
    project = tx.get_one(Project, project_id)
    if kind is InterviewKind.PROJECT or not text.strip():
        raise InputError("Say in words what shall be added.")
    if len(text) > interviews.REQUEST_LIMIT:
        raise InputError(f"At most {interviews.REQUEST_LIMIT:,} characters are taken.")
    takes = (*TAKES, *_UNDECIDED) if kind is InterviewKind.SPEC else TAKES
    if project.status not in takes:
        raise StateError(
            f"{project.name} is {project.status.words}: nothing can be added to it now.",
            hint=_INSTEAD.get(
                project.status, f"Start it first: `/autocoder start {project.name}`."
            ),
        )
    last = tx.scalar(select(func.max(Interview.number)).where(Interview.project_id == project_id))
    interview = Interview(
        project_id=project_id,
        number=(last or 0) + 1,
        kind=kind,
        status=InterviewStatus.ASKING if kind in _INTERVIEWED else InterviewStatus.PLANNING,
        request=text.strip(),
        by=by,
        begun_at=now,
    )
    tx.add(interview)
    tx.flush()
    key = card_keys.interview(project.slug, interview.number)
    what = "The spec is changed" if kind is InterviewKind.SPEC else f"A {kind!s} is added"
    journal.record(
        tx, Event.INTERVIEW_BEGUN, f"{what}: {text.strip()[:300]}", now=now,
        actor=by, project=project, data={"interview": interview.id},
    )  # fmt: skip
    return Addition(interview.id, interview.number, kind, key)


def withdraw(tx: Session, interview_id: int, *, by: str, now: datetime) -> None:
    """A person gives an addition up before its plan was approved."""
    interview = tx.get_one(Interview, interview_id)
    if interview.kind is InterviewKind.PROJECT:
        raise StateError("This is no addition.", hint="Stop or archive the project.")
    move(interview, InterviewStatus.WITHDRAWN, by=Cause.PERSON)
    interview.ended_at = now
    opened = plans.open_approval(tx, interview.project_id, ApprovalKind.PLAN)
    if opened and tx.get_one(Plan, opened.subject_id).interview_id == interview_id:
        move(opened, ApprovalStatus.WITHDRAWN, by=Cause.SERVICE)
        opened.decided_at = now
    runs.drop_parked(tx, Run.interview_id == interview_id, now=now)
    asked = questions.unanswered(tx, Question.interview_id == interview_id)
    questions.withdraw(tx, asked, "it is not wanted any more", by=by, now=now)
    journal.record(
        tx, Event.INTERVIEW_WITHDRAWN, f"{interview.request[:300]} is not wanted any more.",
        now=now, actor=by, project=tx.get_one(Project, interview.project_id),
        data={"interview": interview_id},
    )  # fmt: skip


def give_up(
    tx: Session, project_id: int, *, number: int | None, by: str, role: Role, now: datetime
) -> str:
    """Withdraw the addition of this number, or the only one: what was asked for."""
    found = interview_views.under_way(tx, project_id)
    if number is not None:
        found = [each for each in found if each.number == number]
    if not found:
        raise StateError(
            f"No addition to {tx.get_one(Project, project_id).name} waits for its plan.",
            hint="What is planned is given up task by task: `/autocoder skip N`.",
        )
    if len(found) > 1:
        listed = "; ".join(f"{each.number} {_short(each.request)}" for each in found)
        raise InputError(f"Which one? {listed}.", hint=f"`/autocoder withdraw {found[-1].number}`")
    (addition,) = found
    if not role.covers(Role.ADMIN) and addition.by != by:
        raise NotAllowed(
            f"{name_of(tx, addition.by)} asked for this: they or an admin may give it up; your role"
            f" is {role!s}."
        )
    withdraw(tx, addition.id, by=by, now=now)
    return addition.request


def _short(request: str) -> str:
    line = " ".join(request.split())
    return line if len(line) <= 60 else f"{line[:59].rstrip()}…"


def submit(
    tx: Session,
    run_id: int,
    plan: planning.Plan,
    refused_checks: Mapping[str, str],
    *,
    main: str | None,
    max_attempts: int,
    now: datetime,
) -> Submitted:
    """A planner's plan, of a project or of an addition. `main` is where it stands now."""
    run = tx.get_one(Run, run_id)
    if run.interview_id is None:
        return plans.submit(tx, run_id, plan, refused_checks, max_attempts=max_attempts, now=now)
    interview = tx.get_one(Interview, run.interview_id)
    project = tx.get_one(Project, run.project_id)
    wanted = (InterviewStatus.PLANNING, InterviewStatus.AWAITING_APPROVAL)
    if interview.status not in wanted or project.status not in TAKES:
        return Submitted(("Nothing new is wanted of this project now; end your turn.",))
    phase = _phase(tx, interview)
    problems = planning.problems(
        plan, refused_checks=refused_checks, known=_known(tx, project.id, phase, interview.id)
    )
    problems += tuple(_too_much(interview.kind, plan))
    if problems:
        return Submitted(problems)
    if interview.kind is InterviewKind.JOB:
        plans.keep(tx, project, run, plan, now=now)
        move(interview, InterviewStatus.DONE, by=Cause.AGENT)
        _carry_out(tx, project, interview, plan, max_attempts=max_attempts, now=now)
        plans.start_next_phase(tx, project, main, now=now)
        return Submitted(())
    plans.propose(tx, project, run, plan, now=now)
    if interview.status is InterviewStatus.PLANNING:
        move(interview, InterviewStatus.AWAITING_APPROVAL, by=Cause.AGENT)
    return Submitted(())


def _too_much(kind: InterviewKind, plan: planning.Plan) -> list[str]:
    """What only fits a larger addition."""
    found = []
    if kind is not InterviewKind.PHASE and len(plan.phases) > 1:
        found.append("Give one phase: a phase is not what was asked for.")
    if kind is InterviewKind.JOB:
        if len(plan.tasks()) != 1:
            found.append("A job is one feature with one task.")
        if plan.setup or plan.checks:
            found.append(
                "A job has no setup and no plan-wide checks: nobody approves them."
                " Leave both empty."
            )
    return found


def _phase(tx: Session, interview: Interview) -> Phase | None:
    """The phase an addition goes to; None for one of its own."""
    if interview.kind is InterviewKind.PHASE:
        return None
    found = phases.open_for_more(tx, interview.project_id)
    return tx.get_one(Phase, found.id) if found else None


def _known(tx: Session, project_id: int, phase: Phase | None, interview_id: int) -> planning.Known:
    """Names there are; those of another plan that waits for a decision are taken too."""
    have = plans.known(tx, project_id, phase)
    opened = plans.open_approval(tx, project_id, ApprovalKind.PLAN)
    row = tx.get_one(Plan, opened.subject_id) if opened else None
    if row is None or row.interview_id == interview_id:
        return have
    waiting = PLAN.validate_python(row.payload)
    tasks = {task.name: feature.name for feature in waiting.features() for task in feature.tasks}
    features = {feature.name for feature in waiting.features()}
    return planning.Known(
        tasks={**tasks, **have.tasks},
        features={*features, *have.features},
        later={*have.later, *tasks, *features},
    )


def approved(tx: Session, project: Project, row: Plan, *, max_attempts: int, now: datetime) -> None:
    """The plan of an addition becomes features; a project that was complete goes on."""
    interview = tx.get_one(Interview, row.interview_id)
    plan = PLAN.validate_python(row.payload)
    known = _known(tx, project.id, _phase(tx, interview), interview.id)
    problems = planning.problems(plan, known=known)
    if problems:
        raise StateError(
            f"The project changed since this was planned: {problems[0]}",
            hint="Reject it with that as the reason.",
        )
    move(interview, InterviewStatus.DONE, by=Cause.PERSON)
    _carry_out(tx, project, interview, plan, max_attempts=max_attempts, now=now)


def rejected(tx: Session, interview_id: int, reason: str) -> None:
    """The planner plans the addition anew."""
    interview = tx.get_one(Interview, interview_id)
    move(interview, InterviewStatus.PLANNING, by=Cause.PERSON)
    interview.replan_reason = reason
    interview.failures = interview.restarts = 0


def _carry_out(
    tx: Session,
    project: Project,
    interview: Interview,
    plan: planning.Plan,
    *,
    max_attempts: int,
    now: datetime,
) -> None:
    interview.ended_at = now
    new_setup = [command for command in plan.setup if command not in project.setup]
    project.setup = [*project.setup, *new_setup]
    project.checks = list(dict.fromkeys([*project.checks, *plan.checks]))
    project.run_command = plan.run or project.run_command
    if new_setup:  # worktrees that were prepared before need it too
        tx.execute(
            update(Feature)
            .where(Feature.project_id == project.id, Feature.status != FeatureStatus.COMPLETED)
            .values(prepared=False)
        )
    phase = _phase(tx, interview)
    if phase is not None:
        plans.add_features(tx, phase, plan.features(), max_attempts=max_attempts)
    elif interview.kind is InterviewKind.PHASE:
        plans.add_phases(tx, project, plan.phases, max_attempts=max_attempts)
    else:
        only = planning.PlannedPhase(
            name=plan.phases[0].name,
            description=plan.phases[0].description,
            features=plan.features(),
        )
        plans.add_phases(tx, project, (only,), max_attempts=max_attempts)
    plans.add_dependencies(tx, project.id, plan)
    if project.status is ProjectStatus.COMPLETED:
        project.completed_at = None
        move(project, ProjectStatus.RUNNING, by=Cause.PERSON)
    journal.record(
        tx, Event.PLAN_EXTENDED, f"Added: {plan.growth}.", now=now,
        project=project, phase=phase, data={"interview": interview.id},
    )  # fmt: skip


@dataclass(frozen=True)
class AdditionRequest:
    """An addition as its planner is told."""

    kind: InterviewKind
    request: str
    base_commit: str | None
    spec_commit: str | None
    plan: Mapping[str, object] | None  # that was rejected
    reason: str | None


def requested(tx: Session, interview_id: int) -> AdditionRequest:
    interview = tx.get_one(Interview, interview_id)
    before = latest(tx, interview.project_id, interview_id)
    return AdditionRequest(
        interview.kind,
        interview.request,
        interview.base_commit,
        interview.spec_commit,
        before.payload if before else None,
        interview.replan_reason,
    )
