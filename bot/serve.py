"""The running service: everything at work in one process, until it is told to stop."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from sqlalchemy.orm import Session

from bot.app import App, open_app, open_web
from bot.data import news
from bot.data.service_info import ServiceInfo, listen, published, web_token
from bot.logs import logged
from bot.metrics import Metrics
from bot.router import Router
from bot.settings import CHAT_PLATFORMS, ModelSource, Settings
from bot.talk import Check, Talk
from core.domain import card_keys, markup
from core.domain.cards import BODY_LIMIT, Card
from core.domain.events import CardKind, Event
from core.domain.people import Role
from core.operations import journal, members, outbox
from core.ports.chat import ChatPlatform, Place, PlatformState, State
from core.ports.host import BoxLevel
from core.store.migrations import HEAD
from core.views import journal as journal_views
from core.views import messages
from core.views.json import utc

log = logging.getLogger(__name__)

_COLLECT_AFTER = 10_000  # new objects; Python's own 700 is for small programs
_Thing = tuple[str, bool, str]  # its name, whether it is on, and why
Say = Callable[[str], None]


@dataclass(frozen=True)
class _Room:
    """The parts of a running service."""

    app: App
    platforms: Sequence[ChatPlatform]
    talk: Talk
    loops: tuple[Callable[[], Coroutine[Any, Any, None]], ...]
    where: ServiceInfo
    token: str


async def serve(settings: Settings, say: Say, check: Check) -> None:
    """Run until SIGTERM or SIGINT. Raises HomeHeld, HostUnfit and StorageFailed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_app(settings, token=web_token) as app:
        with logged(settings.home, app.parts.redact):
            async with _room(app, web_token(settings.home), check) as room:
                await _run(room, stop, say)


@asynccontextmanager
async def _room(app: App, token: str, check: Check) -> AsyncIterator[_Room]:
    settings, metrics = app.settings, Metrics()
    with contextlib.closing(listen(settings.host, settings.port)) as listening:
        port = listening.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else host  # noqa: S104  # compared
        where = ServiceInfo(os.getpid(), port, f"http://{shown}:{port}", utc(app.parts.clock()))
        talk = Talk(app, check)
        platforms: list[ChatPlatform] = []
        web = open_web(
            app,
            listening,
            token=token,
            metrics=metrics,
            svg=talk.door.svg,
            ready=lambda: _recovered(app, talk.router),
            states=lambda: _states(app, talk.router, platforms),
        )
        platforms.append(web)
        loops = (app.orchestrator.run, *talk.loops(platforms, metrics.delivered))
        yield _Room(app, platforms, talk, loops, where, token)


def _recovered(app: App, router: Router) -> bool:
    return app.orchestrator.recovered.is_set() and router.recovered.is_set()


def _states(app: App, router: Router, platforms: Sequence[ChatPlatform]) -> dict[str, str]:
    """How each part does, for `/readyz`."""
    off = dict.fromkeys(CHAT_PLATFORMS, str(State(PlatformState.OFF)))
    at_work = "ok" if _recovered(app, router) else "recovering"
    return {"orchestrator": at_work, **off, **{each.name: str(each.state) for each in platforms}}


async def _run(room: _Room, stop: asyncio.Event, say: Say) -> None:
    app = room.app
    store, clock = app.parts.store, app.parts.clock
    before = await store.read(_last_version)
    await store.run(_started, app, room.where, now=clock())
    app.orchestrator.take_all()
    code = await store.run(_claim_code, now=clock())
    with published(app.settings.home, room.where):
        try:
            async with asyncio.TaskGroup() as group:
                chats = [group.create_task(chat.run(room.talk.door)) for chat in room.platforms]
                loops = [group.create_task(loop()) for loop in room.loops]
                for line in _lines(room, await _chats(room), code):
                    say(line)
                for line in await _news(app, before):
                    say(line)
                _settle_memory()
                log.info("started")
                await stop.wait()
                say("Stopping: agents are interrupted, everything goes on where it was.")
                for chat in chats:
                    chat.cancel()  # what is open there may end meanwhile
                await app.orchestrator.stop()
                await asyncio.wait(chats)
                for task in loops:
                    task.cancel()
        finally:
            await store.run(_stopped, now=clock())
            log.info("stopped")


def _settle_memory() -> None:
    """Leave what is loaded out of every collection to come.

    A full one looks at a million objects of modules, for 0.2 s in which no thread does anything.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


def _lines(room: _Room, chats: Sequence[_Thing], code: str | None) -> Iterator[str]:
    """One line per thing that is on or off, and why; last the URL."""
    app, settings = room.app, room.app.settings
    yield f"autocoder {version('autocoder')} · home {settings.home} · pid {room.where.pid}"
    for name, on, why in (*_things(app), *chats):
        yield f"  {name:<9} {'on' if on else 'off':<4} {why}"
    if code is not None:
        yield f"  admins    {'–':<4} beside you here nobody: `/autocoder claim {code}` makes one, once"
    yield from (f"▲ {warning}" for warning in settings.warnings)
    yield f"✓ Web chat: {room.where.url}/?token={room.token}"


def _things(app: App) -> Iterator[_Thing]:
    settings = app.settings
    if app.practice:
        why = "no Claude credential" if settings.credential is None else "AUTOCODER_MODEL"
        yield "model", True, f"practice, scripted ({why}); `claude setup-token` connects Claude"
    else:
        found = settings.credential.variable if settings.credential else ModelSource.CLAUDE.value
        yield "model", True, f"Claude, by {found}"
    weaker = "" if app.box is BoxLevel.FULL else "; `autocoder check` says what is missing"
    yield "sandbox", app.box is not BoxLevel.NONE, f"{app.box}{weaker}"
    yield "database", True, f"{settings.database}{_upgraded(app)}"


async def _chats(room: _Room) -> list[_Thing]:
    """Each chat platform: what it says of itself, or what it wants first."""
    found = []
    for chat in room.platforms:
        on = chat.state.kind not in (PlatformState.OFF, PlatformState.ERROR)
        notes = [note.words for note in await chat.check()]
        found.append((chat.name, on, "; ".join(notes if on else (str(chat.state), *notes))))
    settings, running = room.app.settings, {chat.name for chat in room.platforms}
    for name, wanted in CHAT_PLATFORMS.items():
        missing = [variable for variable in wanted if variable not in settings.chat_tokens]
        if missing:
            found.append((name, False, f"{' and '.join(missing)} not set"))
        elif name not in running:
            why = "its token is set, but this version does not speak it yet"
            found.append((name, False, why))
    return found


def _upgraded(app: App) -> str:
    done = app.parts.store.upgrade
    return f"; brought from {done.before} to {HEAD}, as it was: {done.copy}" if done else ""


def _started(tx: Session, app: App, where: ServiceInfo, *, now: datetime) -> None:
    for person in app.settings.admins:
        members.set_role(tx, person, Role.ADMIN, by=journal.SERVICE, now=now)
    journal.record(
        tx,
        Event.SERVICE_STARTED,
        f"The service started, version {version('autocoder')}.",
        now=now,
        data={"version": version("autocoder"), "pid": where.pid},
    )


def _claim_code(tx: Session, *, now: datetime) -> str | None:
    """A new one-time code, while nobody but the holder of the web token is an admin."""
    return None if members.has_admin(tx) else members.issue_claim(tx, now=now)


def _stopped(tx: Session, *, now: datetime) -> None:
    journal.record(tx, Event.SERVICE_STOPPED, "The service stopped.", now=now)


def _last_version(tx: Session) -> str | None:
    """The version that worked in this home last."""
    started = journal_views.last_of_service(tx, Event.SERVICE_STARTED)
    found = started.data.get("version") if started else None
    return str(found) if found is not None else None


async def _news(app: App, before: str | None) -> list[str]:
    """What is new since the last start, said here and once in every web channel."""
    now = version("autocoder")
    if before is None or before == now:
        return []
    text = news.changes_since(before, now, news.changelog())
    card = Card(
        key=card_keys.news(now),
        kind=CardKind.NOTICE,
        title=f"autocoder {now} is at work, {before} was before",
        body=markup.escape(text)[:BODY_LIMIT],
        fallback=f"autocoder {now} is at work, {before} was before.",
    )
    await app.parts.store.run(_tell_channels, card, now=app.parts.clock())
    return [card.fallback, *text.splitlines()]


def _tell_channels(tx: Session, card: Card, *, now: datetime) -> None:
    for line in messages.channels(tx):
        outbox.say(tx, Place(messages.PLATFORM, line.name), card, now=now)
