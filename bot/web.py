"""What the web adapter asks of the service, answered from the store and by the router."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import select

from bot.app import App
from bot.cards import pictures
from bot.door import FILES, ServiceDoor
from bot.metrics import MEDIA_TYPE, Metrics
from bot.web_pages import WebPages
from bot.web_projects import MAIN, Projects
from core.domain.cards import Card, Press, parse_press
from core.domain.messages import ChannelLine, FileLine, Message
from core.domain.people import Role
from core.errors import InputError, NotFound, StorageFailed
from core.operations import (
    chat_pages,
    members,
    web_chat,
)
from core.ports.chat import Inbound, Outcome, Place, Pressed
from core.ports.web import (
    Echo,
    Readiness,
    Service,
    StoredFile,
)
from core.views import figures
from core.views.budgets import Budgets


def web_service(
    app: App,
    door: ServiceDoor,
    metrics: Metrics,
    ready: Callable[[], bool],
) -> Service:
    """What stands behind the web."""
    chat = _Chat(app, door)
    budget = app.settings.budget
    return Service(
        door=door,
        about=app.about,
        budgets=Budgets(
            project_usd=budget.project_usd,
            run_usd=budget.run_usd,
            day_usd=budget.day_usd,
            month_usd=budget.month_usd,
        ),
        people=_People(app),
        chat=chat,
        projects=Projects(app, chat.pressed),
        pages=WebPages(app),
        health=_Health(app, metrics, ready),
        house=_House(app),
        version=version("autocoder"),
        practice=app.practice,
    )


class _People:
    def __init__(self, app: App) -> None:
        self._store, self._clock = app.parts.store, app.parts.clock

    async def holder(self, token: str) -> str | None:
        return await self._store.read_first(members.holder, token)

    async def role(self, person: str) -> Role:
        return await self._store.read_first(members.role_of, person)

    async def issue_token(self, person: str, role: Role, *, by: str) -> str:
        return await self._store.run(members.issue_token, person, role, by=by, now=self._clock())


class _Chat:
    def __init__(self, app: App, door: ServiceDoor) -> None:
        self._store, self._clock = app.parts.store, app.parts.clock
        self._wake = app.parts.wake
        self._door = door
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
        now = self._clock()
        ticket = await self._door.deliver(
            lambda tx: web_chat.said(
                tx, channel, person, text, thread=thread, file_ids=files, client_id=client_id,
                now=now,
            )
        )  # fmt: skip
        assert ticket.message is not None
        found = await self._store.read_first(chat_pages.message, int(ticket.message), person)
        assert found is not None
        return found

    async def echo(self, channel: str, message_id: int, reader: str, *, wait: float) -> Echo:
        until = asyncio.get_running_loop().time() + wait
        while True:
            seen = self._wake.count
            found = await self._store.read(web_chat.echo, channel, message_id, reader)
            left = until - asyncio.get_running_loop().time()
            if found.complete or left <= 0:
                told = found.outcome
                return Echo(
                    told,
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
        place = await self._store.read_first(web_chat.where, message_id) if message_id else None
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
        ticket = await self._door.deliver(Inbound(delivery, person, place, content))
        return await ticket.outcome() or Outcome(True, "Taken; what comes of it follows.")

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

    async def channels(self) -> Sequence[ChannelLine]:
        return await self._store.read(web_chat.channels)

    async def add_file(
        self,
        channel: str,
        name: str,
        media_type: str,
        content: AsyncIterator[bytes],
        *,
        by: str,
        client_id: str | None,
    ) -> FileLine:
        kept = await self._door.keep(
            content, name, by=by, place=Place(web_chat.PLATFORM, channel), key=client_id or ""
        )
        return FileLine(kept.id, kept.name, kept.size)

    async def picture(
        self, sort: str, number: int, *, until: date | None = None, wide: bool = False
    ) -> str:
        day = until or self._clock().astimezone(UTC).date()
        drawn = await self._store.read(pictures.draw, sort, number, until=day, wide=wide)
        if drawn is None:
            raise NotFound("There is no such picture.")
        return drawn

    async def file(self, file_id: str) -> StoredFile:
        line = await self._store.read(web_chat.known_file, file_id)
        return StoredFile(line, self._files / line.id)


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
        found = await self._app.parts.store.read(figures.figures)
        return self._metrics.page(found), MEDIA_TYPE

    def acknowledged(self, seconds: float) -> None:
        self._metrics.acknowledged(web_chat.PLATFORM, seconds)


@dataclass(frozen=True)
class _House:
    app: App

    async def backup(self, target: Path) -> int:
        return await self.app.parts.store.backup(target)


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
