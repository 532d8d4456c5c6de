"""Health, people and projects over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import PlainTextResponse

from adapters.web.asking import (
    Admin,
    Approver,
    Inside,
    Operator,
    Viewer,
    WantedPart,
    collection,
    sent,
    sent_collection,
)
from adapters.web.chat_api import press_answer
from adapters.web.shapes import (
    Collection,
    Health,
    MemberToken,
    NewMember,
    Readiness,
    Reason,
)
from core.domain.people import LOCAL, Role
from core.domain.shapes import (
    ApprovalData,
    FeatureData,
    GraphData,
    HistoryData,
    JournalData,
    PhaseData,
    ProjectData,
    RunData,
    TaskData,
    UsageData,
    UsageSettingsData,
)
from core.errors import InputError, StorageFailed
from core.operations import web
from core.ports.web import ProjectVerb, Verdict
from core.views import figures, messages
from core.views import members as people
from core.views.members import MemberView

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
    found = await inside.door.read(figures.figures)
    return Response(inside.backend.metrics(found), media_type=inside.backend.metrics_type)


@routes.get("/members", tags=["members"])
async def members(inside: Inside, _person: Viewer) -> Collection[MemberView]:
    """Who has a role, and which."""
    return {"items": await inside.door.read(people.members), "next": None}


@routes.post("/members", status_code=201, tags=["members"])
async def add_member(body: NewMember, inside: Inside, person: Admin) -> MemberToken:
    """Give a person of the web chat a role and a token of their own; the former one ends."""
    if body.user == LOCAL:
        raise InputError(f"{LOCAL} is whoever holds the web token.", hint="Use another name.")
    roles = [role for role in Role if role is not Role.NONE]
    if body.role not in roles:
        raise InputError(f"{body.role[:40]!r} is no role.", hint=f"There are {', '.join(roles)}.")
    token = await inside.backend.run(
        web.issue_token, body.user, Role(body.role), by=person, now=inside.backend.clock()
    )
    return {"user": body.user, "role": body.role, "token": token}


@routes.get("/projects", tags=["projects"])
async def projects(service: Inside, part: WantedPart, _person: Viewer) -> Collection[ProjectData]:
    """Every project of this home: how far it is, and what it waits for."""
    return collection(await service.projects.projects(after=part.after, limit=part.limit))


@routes.get("/projects/{name}", tags=["projects"])
async def project(name: Name, service: Inside, _person: Viewer) -> ProjectData:
    """One project: its status, its tasks counted, its cost, what it waits for and until when."""
    return await service.projects.project(name)


_MEANT = {
    ProjectVerb.START: "Let a stopped or imported project go on; one that goes on answers 409.",
    ProjectVerb.PAUSE: "Interrupt its agents; their work is kept.",
    ProjectVerb.RESUME: "Go on with a paused or blocked project.",
    ProjectVerb.STOP: "End its agents; nothing starts until a person starts it again.",
}


def _command(verb: ProjectVerb) -> None:
    async def command(name: Name, service: Inside, person: Operator) -> Any:
        await service.projects.project(name)
        outcome = await service.projects.command(name, verb, by=person)
        return await service.projects.project(name) if outcome.ok else press_answer(outcome)

    routes.add_api_route(
        f"/projects/{{name}}/{verb}",
        command,
        methods=["POST"],
        name=f"{verb}_project",
        summary=f"{verb.capitalize()} a project",
        description=_MEANT[verb],
        tags=["projects"],
        response_model=ProjectData,
    )


for _verb in ProjectVerb:
    _command(_verb)


@routes.get("/projects/{name}/phases", tags=["projects"])
async def phases(
    name: Name, service: Inside, part: WantedPart, _person: Viewer
) -> Collection[PhaseData]:
    """The phases of an approved plan, in their order."""
    return collection(await service.projects.phases(name, after=part.after, limit=part.limit))


@routes.get("/projects/{name}/phases/{phase_id}", tags=["projects"])
async def phase(name: Name, phase_id: Id, service: Inside, _person: Viewer) -> PhaseData:
    """One phase."""
    return await service.projects.phase(name, phase_id)


_DECIDED = {
    Verdict.APPROVE: "Approve at a phase's gate: the next one begins, after the last it is complete.",
    Verdict.REJECT: "Reject at a phase's gate; `reason` becomes a task of the same phase.",
}


def _decision(verdict: Verdict) -> None:
    async def decide(
        name: Name,
        phase_id: Id,
        service: Inside,
        person: Approver,
        body: Reason | None = None,
    ) -> Any:
        await service.projects.phase(name, phase_id)
        reason = body.reason if body else ""
        if verdict is Verdict.REJECT and not reason.strip():
            hint = 'Send {"reason": "what is wrong"}.'
            raise InputError("A rejection needs a reason.", hint=hint)
        outcome = await service.projects.decide(name, phase_id, verdict, reason, by=person)
        if not outcome.ok:
            return press_answer(outcome)
        return await service.projects.phase(name, phase_id)

    routes.add_api_route(
        f"/projects/{{name}}/phases/{{phase_id}}/{verdict}",
        decide,
        methods=["POST"],
        name=f"{verdict}_phase",
        summary=f"{verdict.capitalize()} at a phase's gate",
        description=_DECIDED[verdict],
        tags=["projects"],
        response_model=PhaseData,
    )


for _verdict in Verdict:
    _decision(_verdict)


@routes.get(
    "/projects/{name}/phases/{phase_id}/features",
    response_model=Collection[FeatureData],
    tags=["projects"],
)
async def phase_features(
    name: Name, phase_id: Id, service: Inside, part: WantedPart, _person: Viewer
) -> Response:
    """The features of one phase."""
    await service.projects.phase(name, phase_id)
    return sent_collection(
        await service.projects.features(name, phase_id=phase_id, after=part.after, limit=part.limit)
    )


@routes.get("/projects/{name}/features", response_model=Collection[FeatureData], tags=["projects"])
async def features(name: Name, service: Inside, part: WantedPart, _person: Viewer) -> Response:
    """The features of a project: who works on which, and what each waits for."""
    return sent_collection(
        await service.projects.features(name, phase_id=None, after=part.after, limit=part.limit)
    )


@routes.get("/projects/{name}/features/{feature_id}", tags=["projects"])
async def feature(name: Name, feature_id: Id, service: Inside, _person: Viewer) -> FeatureData:
    """One feature."""
    return await service.projects.feature(name, feature_id)


@routes.get(
    "/projects/{name}/features/{feature_id}/tasks",
    response_model=Collection[TaskData],
    tags=["projects"],
)
async def feature_tasks(
    name: Name, feature_id: Id, service: Inside, part: WantedPart, _person: Viewer
) -> Response:
    """The tasks of one feature."""
    await service.projects.feature(name, feature_id)
    return sent_collection(
        await service.projects.tasks(
            name, feature_id=feature_id, status=None, after=part.after, limit=part.limit
        )
    )


@routes.get("/projects/{name}/tasks", response_model=Collection[TaskData], tags=["projects"])
async def tasks(
    name: Name,
    service: Inside,
    part: WantedPart,
    _person: Viewer,
    status: Annotated[str | None, Query(max_length=32)] = None,
) -> Response:
    """The tasks of a project, each with why it stands where it does; `status` picks some."""
    return sent_collection(
        await service.projects.tasks(
            name, feature_id=None, status=status, after=part.after, limit=part.limit
        )
    )


@routes.get("/projects/{name}/tasks/{number}", tags=["projects"])
async def task(name: Name, number: Id, service: Inside, _person: Viewer) -> TaskData:
    """One task by its number, with its evidence."""
    return await service.projects.task(name, number)


@routes.get("/projects/{name}/journal", response_model=Collection[JournalData], tags=["projects"])
async def journal(
    name: Name,
    service: Inside,
    part: WantedPart,
    _person: Viewer,
    event: Annotated[str | None, Query(max_length=64)] = None,
    level: Annotated[str | None, Query(max_length=16)] = None,
) -> Response:
    """What happened, as a chain of hashes; `event` and `level` pick some."""
    return sent_collection(
        await service.projects.journal(
            name, event=event, level=level, after=part.after, limit=part.limit
        )
    )


@routes.get("/projects/{name}/runs", response_model=Collection[RunData], tags=["projects"])
async def runs(name: Name, service: Inside, part: WantedPart, _person: Viewer) -> Response:
    """Every run of an agent: its tasks, model, outcome, messages, tokens and cost."""
    return sent_collection(await service.projects.runs(name, after=part.after, limit=part.limit))


@routes.get("/projects/{name}/approvals", tags=["projects"])
async def approvals(
    name: Name, service: Inside, part: WantedPart, _person: Viewer
) -> Collection[ApprovalData]:
    """Decisions on plans and at gates: open ones, and who decided what and when."""
    return collection(await service.projects.approvals(name, after=part.after, limit=part.limit))


@routes.get("/projects/{name}/graph", response_model=GraphData, tags=["projects"])
async def graph(name: Name, service: Inside, _person: Viewer) -> Response:
    """What waits for what: features and tasks."""
    return sent(await service.projects.graph(name))


@routes.get("/usage", response_model=UsageData, tags=["usage"])
async def usage(service: Inside, _person: Viewer) -> Response:
    """What all projects spent: in all, by model, kind, phase, feature, task and day."""
    return sent(await service.projects.usage(None))


@routes.get("/usage/projects/{name}", response_model=UsageData, tags=["usage"])
async def project_usage(name: Name, service: Inside, _person: Viewer) -> Response:
    """What one project spent, divided in the same ways."""
    return sent(await service.projects.usage(name))


@routes.get("/usage/history", response_model=Collection[HistoryData], tags=["usage"])
async def history(
    service: Inside,
    part: WantedPart,
    _person: Viewer,
    project: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Each message of a model with its tokens and price; `project` picks those of one."""
    found = await service.projects.history(project, after=part.after, limit=part.limit)
    return sent_collection(found)


@routes.get("/usage/settings", tags=["usage"])
async def usage_settings(service: Inside, _person: Viewer) -> UsageSettingsData:
    """The service's budgets; a project may have its own."""
    return await service.projects.usage_settings()
