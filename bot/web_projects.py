"""Projects as the web adapter asks for them: read in parts, changed by presses."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import reading
from bot.app import App
from bot.reads import Question
from core.domain import shapes
from core.domain.cards import Label, Press, Subject
from core.domain.lifecycle import ApprovalKind, ApprovalStatus
from core.domain.shapes import (
    ApprovalData,
    FeatureData,
    PhaseData,
    ProjectData,
    TaskData,
    UsageData,
    UsageSettingsData,
)
from core.errors import StateError
from core.operations import listing, outbox, project_listing, task_listing, usage, web_chat
from core.operations.project_listing import Service
from core.ports.chat import Outcome, Place
from core.ports.web import Encoded, ProjectVerb, Verdict
from core.store.session import Store
from core.store.tables import Approval, Project
from core.views.paging import Page

MAIN = "main"  # the channel that is there before anybody spoke


class Pressed(Protocol):
    """Has the router act upon a press."""

    def __call__(
        self, person: str, press: Press, values: Mapping[str, tuple[str, ...]], place: Place
    ) -> Awaitable[Outcome]: ...


class Projects:
    """What the REST paths show and change."""

    def __init__(self, app: App, pressed: Pressed, secrets: Sequence[str]) -> None:
        self._app = app
        self._secrets = secrets
        self._store: Store = app.parts.store
        self._pressed = pressed

    async def projects(self, *, after: int, limit: int) -> Page[ProjectData]:
        return await self._store.read(
            project_listing.projects, self._service(), after=after, limit=limit
        )

    async def project(self, name: str) -> ProjectData:
        service = self._service()
        return await self._store.read(
            lambda tx: project_listing.project(tx, listing.find(tx, name), service)
        )

    def _service(self) -> Service:
        parts = self._app.parts
        return Service(
            folder=self._app.settings.projects,
            upstream=parts.upstream,
            parallel=parts.rules.limits.max_parallel,
            caps=parts.rules.caps,
            now=parts.clock(),
        )

    async def phases(self, name: str, *, after: int, limit: int) -> Page[PhaseData]:
        return await self._store.read(
            lambda tx: listing.phases(tx, listing.find(tx, name).id, after=after, limit=limit)
        )

    async def phase(self, name: str, phase_id: int) -> PhaseData:
        return await self._store.read(
            lambda tx: listing.phase(tx, listing.find(tx, name).id, phase_id)
        )

    async def features(self, name: str, *, phase_id: int | None, after: int, limit: int) -> Encoded:
        return await self._long("features", name=name, phase_id=phase_id, after=after, limit=limit)

    async def feature(self, name: str, feature_id: int) -> FeatureData:
        return await self._store.read(
            lambda tx: listing.feature(tx, listing.find(tx, name).id, feature_id)
        )

    async def tasks(
        self, name: str, *, feature_id: int | None, status: str | None, after: int, limit: int
    ) -> Encoded:
        return await self._long(
            "tasks", name=name, feature_id=feature_id, status=status, after=after, limit=limit
        )

    async def task(self, name: str, number: int) -> TaskData:
        return await self._store.read(
            lambda tx: task_listing.task(tx, listing.find(tx, name).id, number)
        )

    async def journal(
        self, name: str, *, event: str | None, level: str | None, after: int, limit: int
    ) -> Encoded:
        return await self._long(
            "journal", name=name, event=event, level=level, after=after, limit=limit
        )

    async def runs(self, name: str, *, after: int, limit: int) -> Encoded:
        return await self._long("runs", name=name, after=after, limit=limit)

    async def approvals(self, name: str, *, after: int, limit: int) -> Page[ApprovalData]:
        return await self._store.read(
            lambda tx: listing.approvals(tx, listing.find(tx, name).id, after=after, limit=limit)
        )

    async def graph(self, name: str) -> Encoded:
        return await self._long("graph", name=name)

    async def usage(self, name: str | None) -> Encoded:
        return await self._long("usage", name=name)

    async def spent(self) -> UsageData:
        return await self._store.read(usage.usage, None, fine=False)

    async def history(self, name: str | None, *, after: int, limit: int) -> Encoded:
        return await self._long("history", name=name, after=after, limit=limit)

    async def _long(self, what: str, **arguments: Any) -> Encoded:
        return await reading.ask(
            self._store, self._app.reader, Question(what, arguments), self._secrets
        )

    async def usage_settings(self) -> UsageSettingsData:
        budget = self._app.settings.budget
        return {
            "budget": {
                "project_usd": shapes.usd(budget.project_usd),
                "run_usd": shapes.usd(budget.run_usd),
                "day_usd": shapes.usd(budget.day_usd) if budget.day_usd is not None else None,
            }
        }

    async def command(self, name: str, verb: ProjectVerb, *, by: str) -> Outcome:
        project_id, place = await self._store.read(_project_place, name)
        return await self._pressed(
            by, Press(Label(verb.value), Subject.PROJECT, project_id), {}, place
        )

    async def decide(
        self, name: str, phase_id: int, verdict: Verdict, reason: str, *, by: str
    ) -> Outcome:
        approval, place = await self._store.read(_gate, name, phase_id)
        values = {"reason": (reason,)} if reason else {}
        press = Press(Label(verdict.value), Subject.GATE, approval)
        return await self._pressed(by, press, values, place)


def _place(tx: Session, project: Project) -> Place:
    """Where the words about what was done over REST go."""
    found = outbox.place_of(tx, project.id)
    if found is not None and found[0].platform == web_chat.PLATFORM:
        return found[0]
    return Place(web_chat.PLATFORM, MAIN)


def _project_place(tx: Session, name: str) -> tuple[int, Place]:
    project = listing.find(tx, name)
    return project.id, _place(tx, project)


def _gate(tx: Session, name: str, phase_id: int) -> tuple[int, Place]:
    """The phase's last decision: an open one, else the one that forbids another."""
    project = listing.find(tx, name)
    found = tx.scalars(
        select(Approval)
        .where(
            Approval.project_id == project.id,
            Approval.kind == ApprovalKind.GATE,
            Approval.subject_id == phase_id,
        )
        .order_by((Approval.status == ApprovalStatus.OPEN).desc(), Approval.id.desc())
        .limit(1)
    ).first()
    if found is None:
        listing.phase(tx, project.id, phase_id)
        raise StateError(
            "This phase is not at its gate.", hint="It opens when all its features have landed."
        )
    return found.id, _place(tx, project)
