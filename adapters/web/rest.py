"""Health, people and projects over HTTP."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import PlainTextResponse
from sqlalchemy.orm import Session

from adapters.web.dependencies import (
    Admin,
    Approver,
    Inside,
    Operator,
    Reading,
    Viewer,
    WantedPart,
    as_json,
)
from adapters.web.presses import press_answer, pressed
from adapters.web.shapes import (
    Collection,
    Health,
    MemberToken,
    NewMember,
    Readiness,
    Reason,
)
from core.domain.cards import Label, Press, Subject
from core.domain.events import Event, Level
from core.domain.lifecycle import ApprovalKind, ApprovalStatus, TaskStatus
from core.domain.people import LOCAL, Role
from core.errors import InputError, StateError, StorageFailed
from core.operations import web
from core.ports.chat import Place, PlatformState
from core.views import (
    approvals,
    features,
    figures,
    graph,
    journal,
    members,
    messages,
    phases,
    runs,
    tasks,
    usage,
)
from core.views import projects as project_views
from core.views.approvals import ApprovalView
from core.views.budgets import UsageSettings
from core.views.features import FeatureView
from core.views.graph import Graph
from core.views.journal import JournalLine
from core.views.json import encode
from core.views.members import MemberView
from core.views.paging import Page
from core.views.phases import PhaseView
from core.views.projects import ProjectView, find
from core.views.runs import RunView
from core.views.tasks import TaskView
from core.views.usage import HistoryLine, Span, SpanLine, Usage

open_routes = APIRouter(tags=["health"])
routes = APIRouter(prefix="/api")

Name = Annotated[str, Path(max_length=100, description="A project's name or slug.")]
Id = Annotated[int, Path(ge=0, lt=2**62)]


@open_routes.get("/healthz")
async def healthz() -> Health:
    """200 as soon as the process answers."""
    return {"status": "ok"}


@open_routes.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(inside: Inside, response: Response) -> Readiness:
    """200 once commands are taken and recovery has been decided."""
    backend = inside.backend
    ready, database = backend.ready(), "ok"
    try:
        await inside.door.read(messages.last_change)
    except StorageFailed as error:
        ready, database = False, f"error: {error}"
    response.status_code = 200 if ready else 503
    parts = {"database": database, **backend.states()}
    return {"ready": ready, "model": "practice" if backend.practice else "claude", "parts": parts}


@open_routes.get("/metrics", response_class=PlainTextResponse)
async def metrics(inside: Inside) -> Response:
    """What Prometheus scrapes: tasks, agents, messages, tokens, cost, cards, acknowledgements."""
    on = [part for part, state in inside.backend.states().items() if state != PlatformState.OFF]
    found = await inside.door.read(figures.figures, on)
    return Response(inside.backend.metrics(found), media_type=inside.backend.metrics_type)


@routes.get("/members", response_model=Collection[MemberView], tags=["members"])
async def list_members(read: Reading, _person: Viewer) -> Response:
    """Who has a role, and which."""
    return await read.page(MemberView, lambda tx: Page(members.members(tx), None))


@routes.post("/members", status_code=201, tags=["members"])
async def add_member(body: NewMember, inside: Inside, person: Admin) -> MemberToken:
    """Give a person of the web chat a role and a token of their own; the former one ends."""
    if body.user == LOCAL:
        raise InputError(f"{LOCAL} is whoever holds the web token.", hint="Use another name.")
    roles = [role for role in Role if role is not Role.NONE]
    if body.role not in roles:
        raise InputError(f"{body.role!r} is no role.", hint=f"There are {', '.join(roles)}.")
    token = await inside.backend.run(
        web.issue_token, body.user, Role(body.role), by=person, now=inside.backend.clock()
    )
    return {"user": body.user, "role": body.role, "token": token}


@routes.get("/projects", response_model=Collection[ProjectView], tags=["projects"])
async def list_projects(
    inside: Inside, read: Reading, part: WantedPart, _person: Viewer
) -> Response:
    """Every project of this home: how far it is, and what it waits for."""
    about = inside.backend.about()
    return await read.page(
        ProjectView,
        lambda tx: project_views.projects(tx, about, after=part.after, limit=part.limit),
    )


@routes.get("/projects/{name}", response_model=ProjectView, tags=["projects"])
async def get_project(name: Name, inside: Inside, read: Reading, _person: Viewer) -> Response:
    """One project: its status, its tasks counted, its cost, what it waits for and until when."""
    about = inside.backend.about()
    return await read.one(ProjectView, lambda tx: project_views.project(tx, name, about))


_MEANT: Mapping[Label, str] = {
    Label.START: "Let a stopped or imported project go on; one that goes on answers 409.",
    Label.PAUSE: "Interrupt its agents; their work is kept.",
    Label.RESUME: "Go on with a paused or blocked project.",
    Label.STOP: "End its agents; nothing starts until a person starts it again.",
}


def _command(verb: Label) -> None:
    async def command(name: Name, inside: Inside, read: Reading, person: Operator) -> Any:
        project_id, place = await inside.door.read(_project, name)
        press = Press(verb, Subject.PROJECT, project_id)
        outcome = await pressed(inside, person, press, place, {})
        if not outcome.ok:
            return press_answer(outcome)
        return await get_project(name, inside, read, person)

    routes.add_api_route(
        f"/projects/{{name}}/{verb}",
        command,
        methods=["POST"],
        name=f"{verb}_project",
        summary=f"{verb.capitalize()} a project",
        description=_MEANT[verb],
        tags=["projects"],
        response_model=ProjectView,
    )


for _verb in _MEANT:
    _command(_verb)


def _project(tx: Session, name: str) -> tuple[int, Place]:
    """Its id, and where the words about what is done over HTTP go."""
    found = find(tx, name)
    return found.id, messages.home_of(tx, found.id)


@routes.get("/projects/{name}/phases", response_model=Collection[PhaseView], tags=["projects"])
async def list_phases(name: Name, read: Reading, part: WantedPart, _person: Viewer) -> Response:
    """The phases of an approved plan, in their order."""
    return await read.listed(PhaseView, phases.phases, name, part)


@routes.get("/projects/{name}/phases/{phase_id}", response_model=PhaseView, tags=["projects"])
async def get_phase(name: Name, phase_id: Id, read: Reading, _person: Viewer) -> Response:
    """One phase."""
    return await read.one(PhaseView, lambda tx: phases.phase(tx, find(tx, name).id, phase_id))


_DECIDED: Mapping[Label, str] = {
    Label.APPROVE: "Approve at a phase's gate: the next one begins, after the last it is complete.",
    Label.REJECT: "Reject at a phase's gate; `reason` becomes a task of the same phase.",
}


def _decision(verdict: Label) -> None:
    async def decide(
        name: Name,
        phase_id: Id,
        inside: Inside,
        read: Reading,
        person: Approver,
        body: Reason | None = None,
    ) -> Any:
        reason = body.reason if body else ""
        if verdict is Label.REJECT and not reason.strip():
            hint = 'Send {"reason": "what is wrong"}.'
            raise InputError("A rejection needs a reason.", hint=hint)
        approval, place = await inside.door.read(_gate, name, phase_id)
        press = Press(verdict, Subject.GATE, approval)
        values = {"reason": (reason,)} if reason else {}
        outcome = await pressed(inside, person, press, place, values)
        if not outcome.ok:
            return press_answer(outcome)
        return await get_phase(name, phase_id, read, person)

    routes.add_api_route(
        f"/projects/{{name}}/phases/{{phase_id}}/{verdict}",
        decide,
        methods=["POST"],
        name=f"{verdict}_phase",
        summary=f"{verdict.capitalize()} at a phase's gate",
        description=_DECIDED[verdict],
        tags=["projects"],
        response_model=PhaseView,
    )


for _verdict in _DECIDED:
    _decision(_verdict)


def _gate(tx: Session, name: str, phase_id: int) -> tuple[int, Place]:
    """The phase's last decision: an open one, else the one that forbids another."""
    project_id, place = _project(tx, name)
    phases.phase(tx, project_id, phase_id)
    found = approvals.of_subject(tx, ApprovalKind.GATE, phase_id)
    if not found:
        raise StateError(
            "This phase is not at its gate.", hint="It opens when all its features have landed."
        )
    opened = (each for each in found if each.status is ApprovalStatus.OPEN)
    return next(opened, found[-1]).id, place


@routes.get(
    "/projects/{name}/phases/{phase_id}/features",
    response_model=Collection[FeatureView],
    tags=["projects"],
)
async def list_features_of_phase(
    name: Name, phase_id: Id, read: Reading, part: WantedPart, _person: Viewer
) -> Response:
    """The features of one phase."""

    def look(tx: Session) -> Page[FeatureView]:
        of = phases.phase(tx, find(tx, name).id, phase_id)
        return features.features(
            tx, of.project_id, phase_id=of.id, after=part.after, limit=part.limit
        )

    return await read.page(FeatureView, look)


@routes.get("/projects/{name}/features", response_model=Collection[FeatureView], tags=["projects"])
async def list_features(name: Name, read: Reading, part: WantedPart, _person: Viewer) -> Response:
    """The features of a project: who works on which, and what each waits for."""
    return await read.listed(FeatureView, features.features, name, part)


@routes.get("/projects/{name}/features/{feature_id}", response_model=FeatureView, tags=["projects"])
async def get_feature(name: Name, feature_id: Id, read: Reading, _person: Viewer) -> Response:
    """One feature."""
    return await read.one(
        FeatureView, lambda tx: features.feature(tx, find(tx, name).id, feature_id)
    )


@routes.get(
    "/projects/{name}/features/{feature_id}/tasks",
    response_model=Collection[TaskView],
    tags=["projects"],
)
async def list_tasks_of_feature(
    name: Name, feature_id: Id, read: Reading, part: WantedPart, _person: Viewer
) -> Response:
    """The tasks of one feature."""

    def look(tx: Session) -> Page[TaskView]:
        of = features.feature(tx, find(tx, name).id, feature_id)
        return tasks.tasks(tx, of.project_id, feature_id=of.id, after=part.after, limit=part.limit)

    return await read.page(TaskView, look)


@routes.get("/projects/{name}/tasks", response_model=Collection[TaskView], tags=["projects"])
async def list_tasks(
    name: Name,
    read: Reading,
    part: WantedPart,
    _person: Viewer,
    status: TaskStatus | None = None,
) -> Response:
    """The tasks of a project, each with why it stands where it does; `status` picks some."""
    return await read.listed(TaskView, tasks.tasks, name, part, status=status)


@routes.get("/projects/{name}/tasks/{number}", response_model=TaskView, tags=["projects"])
async def get_task(name: Name, number: Id, read: Reading, _person: Viewer) -> Response:
    """One task by its number, with its evidence."""
    return await read.one(TaskView, lambda tx: tasks.task(tx, find(tx, name).id, number))


@routes.get("/projects/{name}/journal", response_model=Collection[JournalLine], tags=["projects"])
async def list_journal(
    name: Name,
    read: Reading,
    part: WantedPart,
    _person: Viewer,
    event: Event | None = None,
    level: Level | None = None,
) -> Response:
    """What happened, as a chain of hashes; `event` and `level` pick some."""
    return await read.listed(JournalLine, journal.journal, name, part, event=event, level=level)


@routes.get("/projects/{name}/runs", response_model=Collection[RunView], tags=["projects"])
async def list_runs(name: Name, read: Reading, part: WantedPart, _person: Viewer) -> Response:
    """Every run of an agent: its tasks, model, outcome, messages, tokens and cost."""
    return await read.listed(RunView, runs.runs, name, part)


@routes.get(
    "/projects/{name}/approvals", response_model=Collection[ApprovalView], tags=["projects"]
)
async def list_approvals(name: Name, read: Reading, part: WantedPart, _person: Viewer) -> Response:
    """Decisions on plans and at gates: open ones, and who decided what and when."""
    return await read.listed(ApprovalView, approvals.approvals, name, part)


@routes.get("/projects/{name}/graph", response_model=Graph, tags=["projects"])
async def get_graph(name: Name, read: Reading, _person: Viewer) -> Response:
    """What waits for what: features and tasks."""
    return await read.one(Graph, lambda tx: graph.graph(tx, find(tx, name).id))


@routes.get("/usage", response_model=Usage, tags=["usage"])
async def get_usage(read: Reading, _person: Viewer) -> Response:
    """What all projects spent: in all, by model, kind, phase, feature, task and day."""
    return await read.one(Usage, lambda tx: usage.usage(tx, None))


@routes.get("/usage/projects/{name}", response_model=Usage, tags=["usage"])
async def get_project_usage(name: Name, read: Reading, _person: Viewer) -> Response:
    """What one project spent, divided in the same ways."""
    return await read.one(Usage, lambda tx: usage.usage(tx, find(tx, name).id))


@routes.get(
    "/usage/history",
    response_model=Collection[HistoryLine] | Collection[SpanLine],
    tags=["usage"],
)
async def list_history(
    read: Reading,
    part: WantedPart,
    _person: Viewer,
    project: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[date | None, Query(alias="from")] = None,
    until: Annotated[date | None, Query(alias="to")] = None,
    by: Span | None = None,
) -> Response:
    """Each message of a model with its tokens and price, or with `by` what each hour or day used.

    `project` picks those of one, `from` and `to` are days (UTC), both included.
    """
    days = usage.Days(since, until)

    def of(tx: Session) -> int | None:
        return find(tx, project).id if project is not None else None

    if by is None:
        return await read.page(
            HistoryLine,
            lambda tx: usage.history(tx, of(tx), days, after=part.after, limit=part.limit),
        )
    return await read.page(
        SpanLine,
        lambda tx: usage.history_by(tx, of(tx), by, days, after=part.after, limit=part.limit),
    )


@routes.get("/usage/settings", response_model=UsageSettings, tags=["usage"])
async def get_usage_settings(inside: Inside, _person: Viewer) -> Response:
    """The service's limit of tokens and its budgets; a project may have its own."""
    return as_json(encode(UsageSettings, inside.backend.usage_settings))
