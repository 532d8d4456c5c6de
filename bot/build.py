"""`build` and `demo`: one project in one process, from its spec or interview to its last commit.

Orchestrator, router and delivery are the service's; the terminal is a chat platform like another.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from bot import report
from bot.app import App, Terminal, open_app
from bot.cards import CARDS, formatting, labels
from bot.cards.rendering import footnote
from bot.exits import Exit
from bot.logs import logged
from bot.settings import Settings
from bot.talk import Check, Talk
from core.domain import markup
from core.domain.cards import TITLE_LIMIT, Automatic, Card, Field, Label, Tone
from core.domain.events import CardKind
from core.domain.lifecycle import InterviewStatus, ProjectStatus, WaitingFor
from core.domain.names import sanitize
from core.domain.people import LOCAL
from core.domain.spec import digest
from core.errors import InputError, StateError
from core.operations import notices, outbox, places, projects
from core.ports.chat import Asked, Inbound, Place
from core.views import interviews
from core.views import projects as project_views
from core.views.projects import ProjectRef, ProjectView
from core.views.reports import report as report_of
from core.views.waiting import WaitKind, waiting

PLACE = Place("terminal", "main")
INITIALIZER = (
    "Build what `app_spec.txt` beside this file says.\n\n"
    "autocoder plans it in phases, features and tasks, has agents do the tasks, proves each by its"
    " checks and lands each feature on `main`.\n"
)
_SPEC_FOLDER = ".autocoder/prompts"
OpenTerminal = Callable[[Automatic | None], Terminal]
_LOOK_S = 1.0  # clocks and hosts sleep
_MOMENT = timedelta(seconds=2)  # cards wait between their edits
_FLUSH_S = 5.0  # for the last cards to be shown
_RETRIES = 2  # of one task in a demo


@dataclass(frozen=True)
class BuildRequest:
    """What was asked for on the command line."""

    title: str
    name: str
    spec: str | None  # None: an interview makes it
    budget: Decimal | None = (
        None  # None: the settings' for a new project, unchanged for a known one
    )
    automatic: Automatic | None = None  # who decides in a person's place
    nobody_here: bool = False  # agents that ask are told to decide themselves


def approving(card: Card) -> str | None:
    """`--yes`: what it types at a card that waits."""
    return "approve" if card.kind in (CardKind.PLAN, CardKind.GATE) else None


@dataclass
class Demonstrator:
    """The person of a demo: answers the interview, approves, has a larger model try again."""

    tried: Counter[str] = field(default_factory=Counter)

    def __call__(self, card: Card) -> str | None:
        match card.kind:
            case CardKind.QUESTION if card.inputs:
                return ", ".join(str(n) for n, _ in enumerate(card.inputs[0].options, 1))
            case CardKind.QUESTION if any(button.press.more for button in card.buttons):
                return "1"
            case CardKind.QUESTION:
                return "just decide"
            case CardKind.STUCK:
                self.tried[card.title] += 1
                return _retry(card) if self.tried[card.title] <= _RETRIES else None
            case _:
                return approving(card)


def _retry(card: Card) -> str:
    larger = any(button.press.label is Label.RETRY_WITH_OPUS for button in card.buttons)
    return "retry opus" if larger else "retry"


async def run(
    settings: Settings,
    request: BuildRequest,
    open_terminal: OpenTerminal,
    stop: asyncio.Event,
    check: Check,
) -> Exit:
    """Until the project is complete or cannot go on without somebody."""
    async with open_app(settings, nobody_here=request.nobody_here) as app:
        request = replace(request, name=sanitize(app.parts.redact.hide(request.name)))
        with logged(settings.home, app.parts.redact):
            await app.parts.store.run(outbox.drop, PLACE)
            terminal = open_terminal(request.automatic)
            build = _Build(app, request, terminal, stop)
            try:
                return await build.run(Talk(app, check))
            finally:
                await app.orchestrator.stop()
                await terminal.close()


class _Build:
    def __init__(
        self, app: App, request: BuildRequest, terminal: Terminal, stop: asyncio.Event
    ) -> None:
        self._app = app
        self._parts = app.parts
        self._errand = request
        self._terminal = terminal
        self._stop = stop

    async def run(self, talk: Talk) -> Exit:
        async with asyncio.TaskGroup() as group:
            begun = await self._begin() if self._errand.spec is not None else None
            self._terminal.show(self._header(known=begun is not None and begun.known))
            platform = self._terminal.platform
            loops = (self._app.orchestrator.run, *talk.loops([platform]))
            tasks = [group.create_task(loop()) for loop in loops]
            tasks.append(group.create_task(platform.run(talk.door)))
            project = begun.project if begun else await self._interviewed(talk)
            self._app.orchestrator.add(project.id)
            result, why = await self._over(project)
            await self._app.orchestrator.stop()
            await self._flush()
            for task in tasks:
                task.cancel()
        self._terminal.show(await self._ending(project, why))
        return result

    async def _begin(self) -> "_Begun":
        """The project of a spec with its repository."""
        request, parts = self._errand, self._parts
        spec = request.spec or ""
        begun = await parts.store.run(_created, self._app, request, digest(spec), now=parts.clock())
        slug = begun.project.slug
        files = {
            f"{_SPEC_FOLDER}/app_spec.txt": spec.encode(),
            f"{_SPEC_FOLDER}/initializer_prompt.md": INITIALIZER.encode(),
        }
        subject = f"Begin {begun.project.name} with its spec\n"
        commit = await parts.workspaces.create(slug, files, subject)
        await parts.store.run(projects.spec_written, begun.project.id, commit, now=parts.clock())
        await parts.workspaces.sync(slug)
        return begun

    async def _interviewed(self, talk: Talk) -> ProjectRef:
        """The project of a demo, begun as everybody begins one."""
        store, name = self._parts.store, self._errand.name
        known = await store.read(project_views.by_name, name)
        if known is None:
            inbound = Inbound(f"{name}:new", LOCAL, PLACE, Asked(f"new {name}"))
            outcome = await (await talk.door.deliver(inbound)).outcome()
            known = await store.read(project_views.by_name, name)
            if known is None:
                raise StateError(outcome.text if outcome else "")
            return known.ref
        if not known.practice:
            raise InputError(
                f"The project {name!r} in this home was begun with Claude.",
                hint="Use another --home.",
            )
        await store.run(_taken_up, known.id, now=self._parts.clock())
        return known.ref

    def _header(self, *, known: bool) -> Card:
        app = self._app
        home, parallel = app.settings.home, self._parts.rules.agents.max_parallel
        facts = (
            f"home {markup.escape(str(home))}",
            "SQLite",
            labels.sandbox(app.box),
            f"{formatting.count(parallel, 'agent')} at most",
            "Ctrl-C stops, running it again resumes",
        )
        newer = ""
        if done := self._parts.store.upgrade:
            newer = (
                f"{labels.WAITS} The database was brought to a newer schema, from {done.before};"
                f" as it was it is kept in {markup.escape(str(done.copy))}."
            )
        going_on = "Going on where it was." if known else ""
        return _card(
            self._errand.title,
            (footnote(app.practice, app.box), " · ".join(facts), going_on, newer),
        )

    async def _over(self, project: ProjectRef) -> tuple[Exit, str]:
        """How it ends, and why it is not complete."""
        parts, orchestrator = self._parts, self._app.orchestrator
        while True:
            seen, looks = parts.wake.count, orchestrator.looked.count
            status = (await parts.store.read(project_views.summary, project.id)).status
            if status is ProjectStatus.COMPLETED and not await self._grows(project):
                return Exit.COMPLETED, ""
            if self._stop.is_set():
                return Exit.INTERRUPTED, "Stopped."
            if self._terminal.ended.is_set():
                return Exit.UNFINISHED, "The input ended."
            if orchestrator.idle(project.id) and orchestrator.next_due(project.id) is None:
                shown = not await parts.store.read(_unshown, now=parts.clock())
                await self._terminal.quiet()
                if shown and parts.wake.count == seen and not await self._asks(project, status):
                    return Exit.UNFINISHED, await self._why(project)
            await _first(
                parts.wake.wait(seen),
                orchestrator.looked.wait(looks),
                self._stop.wait(),
                self._terminal.ended.wait(),
            )

    async def _grows(self, project: ProjectRef) -> bool:
        """Whether something is being added to it."""
        added = await self._parts.store.read(interviews.under_way, project.id)
        return any(each.status is not InterviewStatus.BLOCKED for each in added)

    async def _asks(self, project: ProjectRef, status: ProjectStatus) -> bool:
        """Whether somebody at the terminal can let it go on."""
        if self._errand.automatic is not None:
            return False
        waits = await self._parts.store.read(waiting, project_id=project.id)
        kinds = {wait.kind for wait in waits} - {WaitKind.BLOCKED}
        return bool(kinds) or status is ProjectStatus.PAUSED

    async def _why(self, project: ProjectRef) -> str:
        view = await self._view(project)
        if view.blocked_reason:
            return view.blocked_reason
        if view.waiting is not None and view.waiting.reason is WaitingFor.BUDGET:
            return f"{view.waiting.text} Go on with a larger one: --budget USD."
        waits = await self._parts.store.read(waiting, project_id=project.id)
        stuck = [wait.number for wait in waits if wait.kind is WaitKind.STUCK]
        if stuck:
            are = "is" if len(stuck) == 1 else "are"
            return f"{formatting.numbered('Task', stuck)} {are} stuck and nothing else can run."
        return f"{project.name} is {view.status.words} and nothing can run."

    async def _view(self, project: ProjectRef) -> ProjectView:
        view = project_views.project
        return await self._parts.store.read(view, project.name, self._parts.about())

    async def _flush(self) -> None:
        """What happened last is shown."""
        parts, wake = self._parts, self._parts.wake
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_S):
                seen = wake.count
                while await parts.store.read(_unshown, now=parts.clock()):
                    seen = await wake.wait(seen)

    async def _ending(self, project: ProjectRef, why: str) -> Card:
        if not why:
            self._drop_report(project)
            folder = self._parts.workspaces.project_path(project.slug)
            paths = (Field("Repository", str(folder)), Field("Report", str(folder / report.PAGE)))
            return replace(_card("Done", ()), tone=Tone.SUCCESS, fields=paths)
        view = await self._view(project)
        stuck = f", {view.tasks.stuck} stuck" if view.tasks.stuck else ""
        sums = (
            f"{view.tasks.passing} of {formatting.count(view.tasks.total, 'task')} passing{stuck}"
        )
        first, *more = why.splitlines()
        lines = (
            *map(markup.escape, more),
            f"{sums}, {formatting.usd(view.cost_usd)} at list prices.",
            "Nothing done is lost: the same command goes on from here.",
        )
        return replace(
            _card(formatting.one_line(first, TITLE_LIMIT), lines),
            tone=Tone.WARNING if self._stop.is_set() else Tone.DANGER,
            fields=(Field("Report", str(await self._report(project))),),
        )

    async def _report(self, project: ProjectRef) -> Path:
        """Both files beside the database, uncommitted."""
        parts = self._parts
        found = await parts.store.read(report_of, project.id, parts.about())
        for name, content in parts.render_report(found).items():
            self._beside(name).write_bytes(content)
        return self._beside(report.PAGE)

    def _drop_report(self, project: ProjectRef) -> None:
        """Those of an earlier end of this project, which is out of date."""
        data = self._beside(report.DATA)
        with suppress(FileNotFoundError, ValueError):
            match json.loads(data.read_bytes()):
                case {"project": {"id": project.id}}:
                    self._beside(report.PAGE).unlink(missing_ok=True)
                    data.unlink()
                case _:
                    pass  # another project's, or nobody's of ours

    def _beside(self, name: str) -> Path:
        """Where a file of the report lies while it is not committed."""
        return self._app.settings.database.parent / Path(name).name


@dataclass(frozen=True)
class _Begun:
    project: ProjectRef
    known: bool


def _created(
    tx: Session, app: App, request: BuildRequest, spec_digest: str, *, now: datetime
) -> _Begun:
    """The project of this name and spec, living in the terminal."""
    before = project_views.by_name(tx, request.name)
    project = projects.create(
        tx,
        name=request.name,
        spec_digest=spec_digest,
        practice=app.practice,
        budget=request.budget or app.settings.rules.budget.project_usd,
        actor=LOCAL,
        now=now,
    )
    if before is not None and request.budget is not None:
        projects.set_budget(tx, project.id, request.budget)
    _taken_up(tx, project.id, now=now)
    return _Begun(project, before is not None)


def _taken_up(tx: Session, project_id: int, *, now: datetime) -> None:
    notices.begin(tx)
    places.show(tx, project_id, PLACE, CARDS, now=now)
    projects.resume(tx, project_id, actor=LOCAL, now=now)


def _unshown(tx: Session, *, now: datetime) -> bool:
    """Whether something is to be shown now, or in a moment."""
    if notices.pending(tx) or outbox.due(tx, PLACE.platform, now=now):
        return True
    held = outbox.next_due(tx, PLACE.platform, now=now)
    return held is not None and held - now < _MOMENT


def _card(title: str, lines: Iterable[str]) -> Card:
    """Words of the command's own."""
    body = "\n".join(line for line in lines if line)
    return Card(key="build", kind=CardKind.HELP, title=title, body=body, fallback=title)


async def _first(*events: Coroutine[Any, Any, object]) -> None:
    """Until one of these comes, or a little time is over."""
    waiters = [asyncio.create_task(event) for event in events]
    await asyncio.wait(waiters, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    for waiter in waiters:
        waiter.cancel()
