"""What the pages of the web chat show around the messages, from the store."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot import wording
from bot.app import App
from bot.cards import daily, words
from bot.cards.frame import bold, said
from bot.commands import COMMANDS
from core.domain import card_keys
from core.domain.cards import Picture
from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
)
from core.domain.messages import Message
from core.domain.money import to_usd
from core.domain.people import Role
from core.operations import chat_pages, members, outbox, web_chat
from core.ports.chat import Place
from core.ports.pages import CommandLine, ProjectLine, Replies, Surroundings, WaitingLine
from core.store.tables import Approval, Phase, Plan, Project, Question, Run, Task
from core.views import budgets

PROJECTS = 40
EACH = 30  # of each sort that waits
KEPT_S = 0.9  # less than a page waits after a change before it looks again
_AT_REST = (ProjectStatus.ARCHIVED, ProjectStatus.STOPPED)


class WebPages:
    def __init__(self, app: App) -> None:
        self._app = app
        self._store, self._clock = app.parts.store, app.parts.clock
        self.box = app.box
        self._looks: dict[Role, tuple[float, asyncio.Future[Surroundings]]] = {}

    async def surroundings(self, person: str) -> Surroundings:
        """At most KEPT_S old: with many tabs open, one look serves all of a role."""
        role = await self._store.read(members.role_of, person)
        now = asyncio.get_running_loop().time()
        begun, look = self._looks.get(role, (now, None))
        if look is None or now - begun >= KEPT_S:
            look = asyncio.ensure_future(self._store.read(self._look, role, self._clock()))
            self._looks[role] = (now, look)
        return await asyncio.shield(look)

    async def message(self, message_id: int, reader: str) -> Message | None:
        return await self._store.read(chat_pages.message, message_id, reader)

    async def replies(self, roots: Sequence[int], reader: str) -> Mapping[int, Replies]:
        return await self._store.read(chat_pages.replies, roots, reader)

    async def search(self, words: str, reader: str, *, limit: int) -> Sequence[Message]:
        return await self._store.read(chat_pages.search, words, reader, limit=limit)

    async def spent(self) -> Picture | None:
        today = self._clock().astimezone(UTC).date()
        return await self._store.read(daily.shown, "month", daily.ALL, today)

    def commands(self, role: Role) -> Sequence[CommandLine]:
        return [
            CommandLine(spec.name, spec.usage, spec.about)
            for spec in COMMANDS.values()
            if role.covers(spec.role)
        ]

    def _look(self, tx: Session, role: Role, now: datetime) -> Surroundings:
        waiting = _waiting(tx, role, now)
        return Surroundings(
            channels=web_chat.channels(tx),
            projects=_projects(tx, {wait.project_id for wait in waiting}),
            waiting=[wait.line for wait in waiting],
            today_usd=to_usd(budgets.day_total(tx, now)),
            day_budget_usd=self._app.settings.budget.day_usd,
            agents=tx.scalar(
                select(func.count()).where(Run.status.in_((RunStatus.STARTING, RunStatus.WORKING)))
            )
            or 0,
        )


@dataclass(frozen=True)
class _Wait:
    since: datetime
    project_id: int
    line: WaitingLine


def _waiting(tx: Session, role: Role, now: datetime) -> list[_Wait]:
    """What the role may act upon, the oldest first, each with where its card stands."""
    found: list[_Wait] = []

    def add(
        project: Project, what: str, since: datetime, key: str, *, repeated: bool = False
    ) -> None:
        channel = _channel(tx, project.id)
        card = chat_pages.standing(tx, channel, key, repeated=repeated) if channel else None
        text = f"{words.WAITS} {what}, since {wording.clock(since, now)}"
        line = WaitingLine(text, channel, card[1] if card else None, card[0] if card else None)
        found.append(_Wait(since, project.id, line))

    live = Project.status.not_in(_AT_REST)
    if role.covers(Role.APPROVER):
        for approval, project in tx.execute(
            select(Approval, Project)
            .join(Project, Project.id == Approval.project_id)
            .where(Approval.status == ApprovalStatus.OPEN, live)
            .limit(EACH)
        ):
            what, key = _decision(tx, approval, project.slug)
            add(project, f"{what} of {bold(project.name)}", approval.opened_at, key)
    if role.covers(Role.OPERATOR):
        for question, project in tx.execute(
            select(Question, Project)
            .join(Project, Project.id == Question.project_id)
            .where(Question.answer.is_(None), live)
            .limit(EACH)
        ):
            what = f"A question of {bold(project.name)}: {said(question.text, 100)}"
            add(project, what, question.asked_at, card_keys.question(project.slug, question.id))
        for task, project in tx.execute(
            select(Task, Project)
            .join(Project, Project.id == Task.project_id)
            .where(Task.status == TaskStatus.STUCK, live)
            .limit(EACH)
        ):
            what = f"Task {task.number} of {bold(project.name)} is stuck: {said(task.name, 90)}"
            since = task.stuck_at or project.created_at
            add(project, what, since, card_keys.stuck(project.slug, task.number), repeated=True)
        for project in tx.scalars(
            select(Project).where(Project.status == ProjectStatus.BLOCKED).limit(EACH)
        ):
            what = f"{bold(project.name)} is blocked: {said(project.blocked_reason or '', 120)}"
            add(project, what, project.created_at, card_keys.progress(project.slug))
    return sorted(found, key=lambda wait: wait.since)


def _decision(tx: Session, approval: Approval, slug: str) -> tuple[str, str]:
    """What is to be decided, and the key of its card."""
    if approval.kind is ApprovalKind.PLAN:
        plan = tx.get(Plan, approval.subject_id)
        what = f"Plan {plan.version}" if plan else "The plan"
        return what, card_keys.plan(slug, int(approval.version))
    phase = tx.get(Phase, approval.subject_id)
    what = f"The gate of phase {phase.position} {said(phase.name, 60)}" if phase else "A gate"
    return what, card_keys.gate(slug, approval.id)


def _channel(tx: Session, project_id: int) -> str | None:
    place = _place(tx, project_id)
    return place[0].channel if place else None


def _place(tx: Session, project_id: int) -> tuple[Place, str] | None:
    """Its first channel of the web chat, and its root card's key."""
    places = outbox.places_of(tx, project_id)
    return next((found for found in places if found[0].platform == web_chat.PLATFORM), None)


def _projects(tx: Session, waited_for: set[int]) -> list[ProjectLine]:
    """The newest projects that are not archived, by name."""
    rows = tx.scalars(
        select(Project)
        .where(Project.status != ProjectStatus.ARCHIVED)
        .order_by(Project.id.desc())
        .limit(PROJECTS)
    ).all()
    ids = [row.id for row in rows]
    counts: dict[int, dict[TaskStatus, int]] = {}
    for project_id, status, number in tx.execute(
        select(Task.project_id, Task.status, func.count())
        .where(Task.project_id.in_(ids))
        .group_by(Task.project_id, Task.status)
    ):
        counts.setdefault(project_id, {})[status] = number
    gates = set(
        tx.scalars(
            select(Approval.project_id).where(
                Approval.project_id.in_(ids),
                Approval.kind == ApprovalKind.GATE,
                Approval.status == ApprovalStatus.OPEN,
            )
        )
    )
    return [
        _line(tx, row, counts.get(row.id, {}), row.id in waited_for, row.id in gates)
        for row in sorted(rows, key=lambda row: row.name.lower())
    ]


def _line(
    tx: Session, project: Project, tally: Mapping[TaskStatus, int], waits: bool, at_gate: bool
) -> ProjectLine:
    found = _place(tx, project.id)
    channel = root = None
    if found is not None:
        place, key = found
        channel = place.channel
        card = chat_pages.standing(tx, channel, key)
        root = (card[1] or card[0]) if card else None
    return ProjectLine(
        name=project.name,
        status=project.status,
        passing=tally.get(TaskStatus.PASSING, 0),
        total=sum(tally.values()),
        waits=waits,
        at_gate=at_gate,
        channel=channel,
        root=root,
    )
