"""The journey in a terminal: from a spec to a landed, proved repository (CONTRACT.md §1)."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.app import App, open_app
from bot.decisions import PERSON, Decisions
from bot.exits import Exit
from bot.settings import Settings
from bot.terminal.view import (
    GatePrompt,
    Happening,
    Header,
    PlanPrompt,
    Prompt,
    QuestionPrompt,
    StuckPrompt,
    View,
)
from core.domain.lifecycle import ApprovalKind, ProjectStatus, TaskStatus
from core.domain.report import ApprovalLine, Report
from core.errors import AutocoderError
from core.operations import projects, questions, reports
from core.store.tables import JournalEntry
from core.views.projects import ProjectRef
from core.views.reports import report as report_of

SCRIPTED_ANSWERS = 2  # how often a demo answers at one stuck task

_GLANCE_S = 0.5  # between two looks at whether something happened, while agents are at work
_LOOK_S = 1.0  # between two looks at the whole project when nothing did
INITIALIZER = (
    "Build what `app_spec.txt` beside this file says.\n\n"
    "autocoder plans it in phases, features and tasks, has agents do the tasks, proves each by its"
    " checks and lands each feature on `main`.\n"
)


@dataclass(frozen=True)
class Errand:
    """What was asked for on the command line."""

    title: str
    name: str
    spec: str
    spec_digest: str
    budget: Decimal | None  # None: the settings' for a new project, unchanged for a known one
    approve_all: bool  # --yes
    stuck_answer: str | None = None  # what a demo types at a stuck task


class Journey:
    """One build, driven to its end."""

    def __init__(
        self, app: App, errand: Errand, project: ProjectRef, view: View, stop: asyncio.Event
    ) -> None:
        self._app = app
        self._parts = app.parts
        self._errand = errand
        self._project = project
        self._view = view
        self._decisions = Decisions(app.parts, view)
        self._stop = stop
        self._seen_entry = 0
        self._answering: tuple[Prompt, asyncio.Task[str | None]] | None = None
        self._scripted_at: Counter[int] = Counter()

    async def travel(self) -> Exit:
        """Go on until the project is complete or cannot go on without somebody."""
        wake = self._parts.wake
        self._seen_entry = await self._parts.store.read(_last_entry)
        try:
            loop = asyncio.get_running_loop()
            while True:
                seen, begun = wake.count, loop.time()
                board = await self._board()
                await self._tell(board)
                took = loop.time() - begun
                if board.status is ProjectStatus.COMPLETED:
                    self._finish(board)
                    return Exit.COMPLETED
                ended = await self._step(board, seen)
                if ended is not None:
                    return ended
                while not await self._worth_a_look(seen, begun, took):
                    if self._stop.is_set():
                        return Exit.INTERRUPTED
                    seen = wake.count
                    self._view.update(board, self._app.orchestrator.activity)
        finally:
            if self._answering is not None:
                self._answering[1].cancel()

    async def _step(self, board: Report, seen: int) -> Exit | None:
        """Ask, decide, or see that nothing can go on; the board is of the wake count `seen`."""
        if self._answering is not None:
            put, answer = self._answering
            if not answer.done():
                return None
            self._answering = None
            line = answer.result()
            if line is None:
                await self._unfinished("The input ended.")
                return Exit.UNFINISHED
            await self._decisions.apply(put, line, board)
            self._app.orchestrator.hurry()
            return None
        prompt = await self._next_prompt(board)
        line = self._by_itself(prompt) if prompt is not None else None
        if prompt is not None and line is not None:
            await self._decisions.apply(prompt, line, board)
            self._app.orchestrator.hurry()
            return None
        if prompt is not None and not self._errand.approve_all:
            asked = asyncio.create_task(self._view.ask(prompt, board))
            self._answering = (prompt, asked)
            asked.add_done_callback(lambda _task: self._parts.wake.notify())
            return None
        orchestrator = self._app.orchestrator
        if (
            self._parts.wake.count == seen  # else the board may not show what is asked since
            and orchestrator.idle(self._project.id)
            and orchestrator.next_due(self._project.id) is None
        ):
            await self._unfinished(_why_idle(board))
            return Exit.UNFINISHED
        return None

    def _by_itself(self, prompt: Prompt) -> str | None:
        """What `--yes`, or a demo, answers."""
        match prompt:
            case PlanPrompt() | GatePrompt():
                return "approve" if self._errand.approve_all else None
            case StuckPrompt():
                return self._scripted(prompt.task.number)
            case QuestionPrompt():
                return None
            case _:
                assert_never(prompt)

    def _scripted(self, number: int) -> str | None:
        """A demo's answer at a stuck task; the same task is not retried for ever."""
        answer = self._errand.stuck_answer
        if answer is None or self._scripted_at[number] >= SCRIPTED_ANSWERS:
            return None
        self._scripted_at[number] += 1
        return answer

    async def _worth_a_look(self, seen: int, begun: float, took: float) -> bool:
        """Wait for a change; whether it asks for a whole board, the last one having been `begun`.

        A board costs milliseconds (`took` seconds), a large project's more, and takes them from
        the agents. All that a person must know soon is in the journal, and what waits for one
        leaves the orchestrator idle; what only counts up, such as money, may wait a little.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + min(max(_GLANCE_S, 4 * took), 1)
        await self._wait(seen)
        while not self._urgent and (rest := until - loop.time()) > 0:
            await self._first(
                rest,
                self._stop.wait(),
                self._app.orchestrator.looked.wait(self._app.orchestrator.looked.count),
            )
        if self._stop.is_set():
            return False
        return (
            self._answered
            or loop.time() - begun >= _LOOK_S
            or self._app.orchestrator.idle(self._project.id)
            or await self._parts.store.read(_last_entry) != self._seen_entry
        )

    @property
    def _answered(self) -> bool:
        return self._answering is not None and self._answering[1].done()

    @property
    def _urgent(self) -> bool:
        """Somebody waits for the next look."""
        idle = self._app.orchestrator.idle(self._project.id)
        return self._stop.is_set() or self._answered or idle

    async def _wait(self, seen: int) -> None:
        """Until something changes, the person stops or nothing is left; at most a second."""
        wake, orchestrator = self._parts.wake, self._app.orchestrator
        loop = asyncio.get_running_loop()
        until = loop.time() + 1  # for clocks
        was_idle = orchestrator.idle(self._project.id)
        while wake.count == seen and not self._stop.is_set() and loop.time() < until:
            looks = orchestrator.looked.count
            if orchestrator.idle(self._project.id) and not was_idle:
                return
            await self._first(
                until - loop.time(),
                wake.wait(seen),
                orchestrator.looked.wait(looks),
                self._stop.wait(),
            )

    async def _first(self, seconds: float, *events: Coroutine[Any, Any, object]) -> None:
        """Until one of these comes, or the time is over."""
        waiters = [asyncio.create_task(event) for event in events]
        await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()

    async def _board(self, *, with_evidence: bool = False) -> Report:
        return await self._parts.store.read(
            reports.load,
            self._project.id,
            upstream=self._parts.upstream,
            parallel=self._parts.rules.limits.max_parallel,
            with_evidence=with_evidence,
        )

    async def _tell(self, board: Report) -> None:
        entries = await self._parts.store.read(_entries, self._project.id, self._seen_entry)
        for entry in entries:
            self._seen_entry = entry.id
            self._view.happened(entry, board)
        self._view.update(board, self._app.orchestrator.activity)

    async def _next_prompt(self, board: Report) -> Prompt | None:
        approval = board.open_approval()
        if approval is not None:
            return await self._approval_prompt(approval, board)
        for question in await self._parts.store.read(questions.open_questions, self._project.id):
            return QuestionPrompt(question)
        if not self._parts.rules.limits.skip_stuck:
            for task in board.tasks:
                if task.status is TaskStatus.STUCK:
                    return StuckPrompt(task)
        return None

    async def _approval_prompt(self, approval: ApprovalLine, board: Report) -> Prompt | None:
        match approval.kind:
            case ApprovalKind.PLAN:
                return PlanPrompt(approval, board.plan) if board.plan else None
            case ApprovalKind.GATE:
                phase = next(p for p in board.phases if p.id == approval.subject_id)
                base = phase.base_commit or board.first_commit or approval.version
                diff = await self._parts.workspaces.diff_stat(board.slug, base, approval.version)
                return GatePrompt(approval, phase, diff)
            case _:
                assert_never(approval.kind)

    def _finish(self, board: Report) -> None:
        repository = self._parts.workspaces.project_path(board.slug)
        report_file = repository / ".autocoder" / "report.md"
        self._view.finish(board, repository=repository, report_file=report_file)

    async def _unfinished(self, why: str) -> None:
        report = await self._board(with_evidence=True)
        folder = self._app.settings.database.parent
        found = await self._parts.store.read(report_of, self._project.id, self._parts.about())
        for name, content in self._parts.render_report(found).items():
            (folder / Path(name).name).write_bytes(content)
        self._view.stop(why, report, report_file=folder / "report.md")

    async def interrupted(self) -> None:
        """Ctrl-C: say where it stands."""
        await self._unfinished("Stopped.")


def _why_idle(board: Report) -> str:
    if board.blocked_reason:
        return board.blocked_reason
    if board.usage.assumed_usd >= board.budget_usd:
        return (
            f"The budget of ${board.budget_usd:.2f} is spent."
            " Go on with a larger one: --budget USD."
        )
    stuck = [str(task.number) for task in board.tasks if task.status is TaskStatus.STUCK]
    if stuck:
        return f"Task {', '.join(stuck)} is stuck and nothing else can run."
    return "Nothing can run: the budget of the day or of a running agent is reserved or spent."


def _last_entry(tx: Session) -> int:
    return (
        tx.scalars(select(JournalEntry.id).order_by(JournalEntry.id.desc()).limit(1)).first() or 0
    )


def _entries(tx: Session, project_id: int, after: int) -> list[Happening]:
    rows = tx.scalars(
        select(JournalEntry)
        .where(JournalEntry.project_id == project_id, JournalEntry.id > after)
        .order_by(JournalEntry.id)
    )
    return [
        Happening(
            id=row.id,
            at=row.at,
            event=row.event,
            level=row.level,
            text=row.text,
            task_id=row.task_id,
            feature_id=row.feature_id,
            phase_id=row.phase_id,
        )
        for row in rows
    ]


async def begin(app: App, errand: Errand) -> tuple[ProjectRef, bool]:
    """The project of this errand with its repository; whether it was there before."""
    store, parts = app.parts.store, app.parts
    before = await store.read(_last_entry)
    project = await store.run(
        projects.create,
        name=errand.name,
        spec_digest=errand.spec_digest,
        practice=app.practice,
        budget=errand.budget or app.settings.budget.project_usd,
        actor=PERSON,
        now=parts.clock(),
    )
    known = await store.read(_last_entry) == before
    if known and errand.budget is not None:
        await store.run(projects.set_budget, project.id, errand.budget)
    folder = ".autocoder/prompts"
    commit = await parts.workspaces.create(
        project.slug,
        {
            f"{folder}/app_spec.txt": errand.spec.encode(),
            f"{folder}/initializer_prompt.md": INITIALIZER.encode(),
        },
        f"Begin {project.name} with its spec\n",
    )
    await store.run(projects.spec_written, project.id, commit, now=parts.clock())
    await parts.workspaces.sync(project.slug)
    await store.run(projects.resume, project.id, actor=PERSON, now=parts.clock())
    return project, known


async def run(settings: Settings, errand: Errand, view: View, stop: asyncio.Event) -> Exit:
    """Build one spec. Errors that a person must see come out as AutocoderError."""
    async with open_app(settings, nobody_here=errand.approve_all) as app:
        project, known = await begin(app, errand)
        view.begin(
            Header(
                title=errand.title,
                practice=app.practice,
                home=settings.home,
                box=app.box,
                agents=app.parts.rules.limits.max_parallel,
                resumed=known,
            )
        )
        if done := app.parts.store.upgrade:
            words = f"The database was brought to a newer schema, from {done.before}."
            view.complain(words, f"As it was it is kept in {done.copy}.")
        journey = Journey(app, errand, project, view, stop)
        app.orchestrator.add(project.id)
        return await _beside(app, journey)


async def _beside(app: App, journey: Journey) -> Exit:
    """The journey beside the orchestrator; whichever ends first ends the other."""
    loop = asyncio.create_task(app.orchestrator.run())
    travel = asyncio.create_task(journey.travel())
    try:
        await asyncio.wait((loop, travel), return_when=asyncio.FIRST_COMPLETED)
        if loop.done():
            travel.cancel()
            await asyncio.wait((travel,))
            await loop
            raise AutocoderError("The orchestrator ended by itself.")
        result = await travel
    finally:
        await app.orchestrator.stop()
        loop.cancel()
        await asyncio.wait((loop,))
    if result is Exit.INTERRUPTED:
        await journey.interrupted()
    return result
