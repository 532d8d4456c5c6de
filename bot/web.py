"""What the web adapter asks of the service, answered from the store and by the router."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.app import App
from bot.cards import plan
from bot.metrics import MEDIA_TYPE, Metrics
from bot.web_pages import WebPages
from core.domain import shapes
from core.domain.cards import Card, Label, Press, Subject, parse_press
from core.domain.lifecycle import ApprovalKind, ApprovalStatus
from core.domain.messages import ChannelLine, FileLine, Message
from core.domain.people import Role
from core.domain.shapes import (
    ApprovalData,
    FeatureData,
    GraphData,
    HistoryData,
    JournalData,
    MemberData,
    PhaseData,
    ProjectData,
    RunData,
    TaskData,
    UsageData,
)
from core.errors import InputError, NotFound, StateError, StorageFailed
from core.operations import (
    inbox,
    listing,
    members,
    outbox,
    task_listing,
    usage,
    web_chat,
)
from core.ports.chat import Inbound, Place, Pressed
from core.ports.web import (
    Echo,
    Outcome,
    Page,
    ProjectVerb,
    Readiness,
    Service,
    StoredFile,
    Verdict,
)
from core.store.session import Store
from core.store.tables import Approval, Project

MAIN = "main"  # the channel that is there before anybody spoke
FILES = "files"  # folder in the home


class Deliveries(Protocol):
    """The router, as far as the web knows it."""

    async def press(self, inbound: Inbound) -> inbox.Outcome: ...

    def nudge(self) -> None: ...


def web_service(
    app: App, router: Deliveries, metrics: Metrics, ready: Callable[[], bool]
) -> Service:
    chat = _Chat(app, router)
    return Service(
        people=_People(app),
        chat=chat,
        projects=_Projects(app, chat),
        pages=WebPages(app),
        health=_Health(app, metrics, ready),
        version=version("autocoder"),
        practice=app.practice,
    )


class _People:
    def __init__(self, app: App) -> None:
        self._store, self._clock = app.parts.store, app.parts.clock

    async def holder(self, token: str) -> str | None:
        return await self._store.read(members.holder, token)

    async def role(self, person: str) -> Role:
        return await self._store.read(members.role_of, person)

    async def members(self) -> Sequence[MemberData]:
        return [
            {
                "user": line.person,
                "role": line.role.value,
                "added_by": line.added_by,
                "added_at": shapes.utc(line.added_at),
            }
            for line in await self._store.read(members.all_members)
        ]

    async def issue_token(self, person: str, role: Role, *, by: str) -> str:
        return await self._store.run(members.issue_token, person, role, by=by, now=self._clock())


class _Chat:
    def __init__(self, app: App, router: Deliveries) -> None:
        self._store, self._clock = app.parts.store, app.parts.clock
        self._wake = app.parts.wake
        self._router = router
        self._files = app.settings.home / FILES

    async def say(
        self,
        channel: str,
        person: str,
        text: str,
        *,
        thread: int | None,
        files: Sequence[str],
        client_id: str | None,
    ) -> Message:
        message, _received = await self._store.run(
            web_chat.say,
            channel,
            person,
            text,
            thread=thread,
            file_ids=files,
            client_id=client_id,
            now=self._clock(),
        )
        self._router.nudge()
        return message

    async def echo(self, channel: str, message_id: int, reader: str, *, wait: float) -> Echo:
        until = asyncio.get_running_loop().time() + wait
        while True:
            seen = self._wake.count
            found = await self._store.read(web_chat.echo, channel, message_id, reader)
            left = until - asyncio.get_running_loop().time()
            if found.complete or left <= 0:
                told = found.outcome
                return Echo(
                    Outcome(told.ok, told.text, told.reason, told.form) if told else None,
                    found.answers,
                    found.complete,
                )
            await self._wake.wait(seen, timedelta(seconds=left))

    async def press(
        self,
        person: str,
        action_id: str,
        values: Mapping[str, tuple[str, ...]],
        *,
        message_id: int | None,
        client_id: str | None,
    ) -> Outcome:
        try:
            press = parse_press(action_id)
        except InputError as error:
            return Outcome(False, f"{error} {error.hint}", "unknown")
        place = await self._store.read(web_chat.where, message_id) if message_id else None
        return await self.pressed(
            person, press, values, place or Place(web_chat.PLATFORM, MAIN), client_id
        )

    async def pressed(
        self,
        person: str,
        press: Press,
        values: Mapping[str, tuple[str, ...]],
        place: Place,
        client_id: str | None = None,
    ) -> Outcome:
        """Have the router act upon a press, and hear what came of it."""
        delivery = f"press:{person}:{client_id}" if client_id else secrets.token_hex(16)
        content = Pressed(press, dict(values))
        found = await self._router.press(Inbound(delivery, person, place, content))
        return Outcome(found.ok, found.text, found.reason, found.form)

    async def after(
        self, channel: str, reader: str, *, after_id: int, limit: int
    ) -> Sequence[Message]:
        return await self._store.read(
            web_chat.after, channel, reader, after_id=after_id, limit=limit
        )

    async def before(
        self, channel: str, reader: str, *, before_id: int | None, thread: int | None, limit: int
    ) -> Sequence[Message]:
        return await self._store.read(
            web_chat.before, channel, reader, before_id=before_id, thread=thread, limit=limit
        )

    async def changes(self, channel: str, *, since: int, limit: int) -> Sequence[Message]:
        return await self._store.read(web_chat.changes, channel, since=since, limit=limit)

    async def last_change(self) -> int:
        return await self._store.read(web_chat.last_change)

    async def last_message(self, channel: str, *, since: int) -> int:
        return await self._store.read(web_chat.last_message, channel, since=since)

    async def channels(self) -> Sequence[ChannelLine]:
        return await self._store.read(web_chat.channels)

    async def add_file(
        self, channel: str, name: str, media_type: str, content: AsyncIterator[bytes], *, by: str
    ) -> FileLine:
        file_id = secrets.token_hex(16)
        size = await _write(self._files, file_id, content)
        return await self._store.run(
            web_chat.add_file, channel, name, size, media_type, by=by, file_id=file_id,
            now=self._clock(),
        )  # fmt: skip

    async def plan_picture(self, plan_id: int) -> str:
        drawn = await self._store.read(plan.picture, plan_id)
        if drawn is None:
            raise NotFound("There is no such plan.")
        return drawn

    async def file(self, file_id: str) -> StoredFile:
        line = await self._store.read(web_chat.known_file, file_id)
        return StoredFile(line, self._files / line.id)


async def _write(folder: Path, file_id: str, content: AsyncIterator[bytes]) -> int:
    """Write a file whole under its id; bytes written. Nobody but us may read it."""
    part = folder / f"{file_id}.part"
    size = 0
    try:
        await asyncio.to_thread(folder.mkdir, 0o700, exist_ok=True)
        await asyncio.to_thread(part.touch, 0o600)
        with part.open("wb") as file:  # opening is quick, writing is not
            async for piece in content:
                size += await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(part.rename, folder / file_id)
    except OSError as error:
        await asyncio.to_thread(part.unlink, missing_ok=True)
        raise StorageFailed(f"The file cannot be kept: {error.strerror}.") from error
    return size


class _Projects:
    def __init__(self, app: App, chat: _Chat) -> None:
        self._app = app
        self._store: Store = app.parts.store
        self._chat = chat
        self._upstream = app.parts.upstream
        self._parallel = app.parts.rules.limits.max_parallel

    async def projects(self, *, after: int, limit: int) -> Page[ProjectData]:
        return await self._store.read(
            listing.projects, self._app.settings.projects, self._upstream, self._parallel,
            after=after, limit=limit,
        )  # fmt: skip

    async def project(self, name: str) -> ProjectData:
        def look(tx: Session) -> ProjectData:
            row = listing.find(tx, name)
            folder = self._app.settings.projects
            return listing.project(tx, row, folder, self._upstream, self._parallel)

        return await self._store.read(look)

    async def phases(self, name: str, *, after: int, limit: int) -> Page[PhaseData]:
        return await self._store.read(
            lambda tx: listing.phases(tx, listing.find(tx, name).id, after=after, limit=limit)
        )

    async def phase(self, name: str, phase_id: int) -> PhaseData:
        return await self._store.read(
            lambda tx: listing.phase(tx, listing.find(tx, name).id, phase_id)
        )

    async def features(
        self, name: str, *, phase_id: int | None, after: int, limit: int
    ) -> Page[FeatureData]:
        return await self._store.read(
            lambda tx: listing.features(
                tx, listing.find(tx, name).id, phase_id=phase_id, after=after, limit=limit
            )
        )

    async def feature(self, name: str, feature_id: int) -> FeatureData:
        return await self._store.read(
            lambda tx: listing.feature(tx, listing.find(tx, name).id, feature_id)
        )

    async def tasks(
        self, name: str, *, feature_id: int | None, status: str | None, after: int, limit: int
    ) -> Page[TaskData]:
        return await self._store.read(
            lambda tx: task_listing.tasks(
                tx,
                listing.find(tx, name).id,
                feature_id=feature_id,
                status=status,
                after=after,
                limit=limit,
            )
        )

    async def task(self, name: str, number: int) -> TaskData:
        return await self._store.read(
            lambda tx: task_listing.task(tx, listing.find(tx, name).id, number)
        )

    async def journal(
        self, name: str, *, event: str | None, level: str | None, after: int, limit: int
    ) -> Page[JournalData]:
        return await self._store.read(
            lambda tx: listing.journal(
                tx, listing.find(tx, name).id, event=event, level=level, after=after, limit=limit
            )
        )

    async def runs(self, name: str, *, after: int, limit: int) -> Page[RunData]:
        return await self._store.read(
            lambda tx: listing.runs(tx, listing.find(tx, name).id, after=after, limit=limit)
        )

    async def approvals(self, name: str, *, after: int, limit: int) -> Page[ApprovalData]:
        return await self._store.read(
            lambda tx: listing.approvals(tx, listing.find(tx, name).id, after=after, limit=limit)
        )

    async def graph(self, name: str) -> GraphData:
        return await self._store.read(lambda tx: listing.graph(tx, listing.find(tx, name).id))

    async def usage(self, name: str | None) -> UsageData:
        return await self._store.read(
            lambda tx: usage.usage(tx, listing.find(tx, name) if name is not None else None)
        )

    async def history(self, name: str | None, *, after: int, limit: int) -> Page[HistoryData]:
        def look(tx: Session) -> Page[HistoryData]:
            project_id = listing.find(tx, name).id if name is not None else None
            return listing.history(tx, project_id, after=after, limit=limit)

        return await self._store.read(look)

    async def usage_settings(self) -> Mapping[str, Any]:
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
        return await self._chat.pressed(
            by, Press(Label(verb.value), Subject.PROJECT, project_id), {}, place
        )

    async def decide(
        self, name: str, phase_id: int, verdict: Verdict, reason: str, *, by: str
    ) -> Outcome:
        approval, place = await self._store.read(_gate, name, phase_id)
        values = {"reason": (reason,)} if reason else {}
        press = Press(Label(verdict.value), Subject.GATE, approval)
        return await self._chat.pressed(by, press, values, place)


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


class _Health:
    def __init__(self, app: App, metrics: Metrics, ready: Callable[[], bool]) -> None:
        self._app, self._metrics, self._ready = app, metrics, ready

    async def readiness(self) -> Readiness:
        database = "ok"
        try:
            await self._app.parts.store.read(lambda tx: tx.scalar(select(1)))
        except StorageFailed as error:
            database = f"error: {error}"
        ready = self._ready()
        return Readiness(
            ready=ready and database == "ok",
            model="practice" if self._app.practice else "claude",
            parts={
                "database": database,
                "orchestrator": "ok" if ready else "recovering",
                "slack": "off",
                "discord": "off",
            },
        )

    async def metrics(self) -> tuple[bytes, str]:
        figures = await self._app.parts.store.read(usage.figures)
        return self._metrics.page(figures), MEDIA_TYPE

    def acknowledged(self, seconds: float) -> None:
        self._metrics.acknowledged(web_chat.PLATFORM, seconds)


@dataclass(frozen=True)
class CardPoster:
    """Posts and edits of the web chat, as operations."""

    app: App

    async def post(self, place: Place, card: Card, *, private_to: str | None) -> str:
        return await self.app.parts.store.run(
            web_chat.post, place, card, private_to=private_to, now=self.app.parts.clock()
        )

    async def edit(self, message: str, card: Card) -> None:
        if not message.isdigit():
            raise NotFound(f"There is no message {message[:40]!r}.")
        await self.app.parts.store.run(
            web_chat.edit, int(message), card, now=self.app.parts.clock()
        )
