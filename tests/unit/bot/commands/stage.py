"""A service's inside without agents: a store, a repository, a router, and a project on it."""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from adapters.worktrees.workspaces import Worktrees
from bot import cards
from bot.checks.finding import Finding, Level
from bot.commands.command import Services
from bot.door import ServiceDoor
from bot.router import Router
from bot.settings import load
from core.domain import card_keys
from core.domain.agents import AgentKind
from core.domain.cards import Card, parse_press
from core.domain.events import CardKind, Event
from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    FeatureStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
)
from core.domain.people import LOCAL, Role
from core.domain.redaction import Redaction
from core.domain.rules import Rules
from core.operations import members, outbox
from core.orchestrator.change_signal import ChangeSignal
from core.orchestrator.parts import Parts
from core.ports.chat import Asked, Content, Inbound, Outcome, Place, Pressed, Said, Ticket
from core.ports.host import BoxLevel
from core.store.chat_tables import OutboxItem, ProjectPlace
from core.store.session import Store
from core.store.tables import (
    Approval,
    Feature,
    JournalEntry,
    Phase,
    Plan,
    Project,
    Question,
    Run,
    RunTask,
    Task,
)

NOW = datetime(2026, 3, 11, 10, 48, tzinfo=UTC)
MAIN = Place("web", "main")
PLAN: dict[str, Any] = {
    "summary": "A to-do list.",
    "setup": ["pip install ."],
    "run": "python3 app.py",
    "checks": ["pytest -q"],
    "phases": [
        {
            "name": "Foundation",
            "description": "",
            "features": [
                {
                    "name": "Storage",
                    "description": "",
                    "spec": "",
                    "depends_on": [],
                    "tasks": [
                        {
                            "name": f"Task {n}",
                            "category": "",
                            "description": "",
                            "steps": [],
                            "complexity": 2,
                            "checks": [f"test -f {n}.txt"],
                            "depends_on": [],
                            "files": [],
                        }
                        for n in (1, 2, 3)
                    ],
                }
            ],
        }
    ],
}


async def told(ticket: Ticket) -> Outcome:
    """What came of a delivery."""
    outcome = await ticket.outcome(60)
    assert outcome is not None, f"delivery {ticket.item_id} was not acted upon"
    return outcome


@dataclass
class Stage:
    """Speaks to a router as a platform does, and looks at what came of it."""

    home: Path
    store: Store
    router: Router
    door: ServiceDoor
    worktrees: Worktrees
    services: Services
    begun: list[int] = field(default_factory=list)
    deliveries: int = 0

    def inbound(self, content: Content, *, by: str, place: Place, delivery: str = "") -> Inbound:
        self.deliveries += 1
        return Inbound(delivery or f"d{self.deliveries}", by, place, content)

    async def ask(self, line: str, *, by: str = LOCAL, place: Place = MAIN) -> Card:
        """The card that answers a command."""
        received, _outcome = await self.command(line, by=by, place=place)
        card = await self.card(received.item_id)
        assert card is not None, f"nothing answers {line!r}"
        return card

    async def command(
        self, line: str, *, by: str = LOCAL, place: Place = MAIN
    ) -> tuple[Ticket, Outcome]:
        return await self.hear(self.inbound(Asked(line), by=by, place=place))

    async def say(self, text: str, *, by: str = LOCAL, place: Place = MAIN) -> tuple[int, Outcome]:
        ticket, outcome = await self.hear(self.inbound(Said(text), by=by, place=place))
        return ticket.item_id, outcome

    async def deliver(self, content: Content, *, by: str = LOCAL, place: Place = MAIN) -> Outcome:
        return (await self.hear(self.inbound(content, by=by, place=place)))[1]

    async def press(
        self, action_id: str, *, by: str = LOCAL, delivery: str = "", **values: str
    ) -> Outcome:
        given: dict[str, tuple[str, ...]] = {name: (value,) for name, value in values.items()}
        pressed = Pressed(parse_press(action_id), given)
        return (await self.hear(self.inbound(pressed, by=by, place=MAIN, delivery=delivery)))[1]

    async def hear(self, inbound: Inbound) -> tuple[Ticket, Outcome]:
        """A delivery and what came of it."""
        ticket = await self.router.deliver(inbound)
        return ticket, await told(ticket)

    async def card(self, item_id: int) -> Card | None:
        """What was said in answer to a delivery."""

        def look(tx: Session) -> Card | None:
            for due in map(outbox._due, tx.scalars(select(OutboxItem))):
                answers = due.fixed is not None or due.key == f"answer:{item_id}"
                if due.key.rpartition(":")[2] == str(item_id) and answers:
                    return cards.draw(tx, due, self.services.scene(NOW)).card
            return None

        return await self.store.read(look)

    def built(self, tx: Session, row: OutboxItem) -> Card:
        """A card of the outbox as it would be posted."""
        return cards.draw(tx, outbox._due(row), self.services.scene(NOW)).card

    async def rows(self, table: Any, *where: Any) -> list[Any]:
        return await self.store.read(lambda tx: list(tx.scalars(select(table).where(*where))))

    async def row(self, table: Any, key: Any) -> Any:
        return await self.store.read(lambda tx: tx.get_one(table, key))

    async def happened(self, event: Event) -> list[JournalEntry]:
        return await self.rows(JournalEntry, JournalEntry.event == event)

    async def member(self, person: str, role: Role) -> str:
        await self.store.run(members.set_role, person, role, by=LOCAL, now=NOW)
        return person

    async def change(self, change: Callable[[Session], Any]) -> Any:
        return await self.store.run(change)


@cache
def _template() -> Path:
    """A migrated database, made once: migrating takes longer than most tests."""
    folder = Path(tempfile.mkdtemp(prefix="autocoder-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "template.db"
    asyncio.run(Store(path).close())
    return path


@asynccontextmanager
async def stage(
    home: Path,
    *,
    run: bool = True,
    clock: Callable[[], datetime] = lambda: NOW,
    secrets: Sequence[str] = (),
) -> AsyncIterator[Stage]:
    """A stage whose router runs; `secrets` never leave it."""
    home.mkdir(exist_ok=True)
    begun: list[int] = []
    settings = load({"AUTOCODER_MODEL": "practice"}, home)
    wake = ChangeSignal()
    if not settings.database.exists():
        shutil.copy(await asyncio.to_thread(_template), settings.database)
    store = Store(settings.database, on_commit=wake.notify)
    worktrees = Worktrees(home, "test-0")
    parts = cast(
        Parts,
        SimpleNamespace(
            store=store,
            wake=wake,
            workspaces=worktrees,
            box=SimpleNamespace(level=BoxLevel.FULL),
            rules=Rules(),
            clock=clock,
            upstream="practice",
            redact=Redaction(secrets),
        ),
    )
    services = Services(
        parts=parts,
        settings=settings,
        practice=True,
        activity=dict,
        check=lambda: [
            Finding("git", Level.OK, "2.47"),
            Finding("disk", Level.ERROR, "full", "Free some."),
        ],
        take_up=begun.append,
    )
    router = Router(services)
    made = Stage(home, store, router, ServiceDoor(services, router), worktrees, services, begun)
    loop = asyncio.create_task(router.run()) if run else None
    try:
        yield made
    finally:
        if loop is not None:
            if loop.done():
                loop.result()
            loop.cancel()
            await asyncio.wait([loop])
        await store.close()


def project(
    tx: Session, name: str = "todo-api", *, status: ProjectStatus = ProjectStatus.RUNNING
) -> Project:
    """A project that lives in web:main, its root card posted as message 7."""
    slug = name.lower().replace(" ", "-")
    row = Project(
        name=name, slug=slug, status=status, spec_digest="", practice=True,
        budget_micro_usd=20_000_000, created_at=NOW, run_command="python3 app.py",
        setup=[], checks=[],
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    key = card_keys.interview(slug)
    tx.add(ProjectPlace(project_id=row.id, platform="web", channel="main", root_key=key))
    post(tx, key, CardKind.INTERVIEW, row.id, message=str(6 + row.id))
    return row


def thread(project_id: int = 1) -> Place:
    return Place("web", "main", str(6 + project_id))


def post(
    tx: Session, key: str, kind: CardKind, project_id: int, *, message: str | None,
    subject_id: int | None = None,
) -> None:  # fmt: skip
    """A card that stands in web:main, or is on its way there."""
    tx.add(
        OutboxItem(
            platform="web", channel="main", key=key, kind=kind, project_id=project_id,
            subject_id=subject_id, message=message, wanted=1, built=1 if message else 0,
            wanted_at=NOW,
        )
    )  # fmt: skip
    tx.flush()


def posted(tx: Session, key: str, message: str) -> None:
    """A card that is wanted stands there now."""
    tx.scalars(select(OutboxItem).where(OutboxItem.key == key)).one().message = message


def plan(tx: Session, row: Project, *, version: int = 1, posted: bool = True) -> Approval:
    """A plan that waits for its decision."""
    row.status = ProjectStatus.AWAITING_APPROVAL
    made = Plan(project_id=row.id, version=version, payload=PLAN, changes=[], submitted_at=NOW)
    tx.add(made)
    tx.flush()
    approval = Approval(
        project_id=row.id, kind=ApprovalKind.PLAN, subject_id=made.id, version=str(version),
        status=ApprovalStatus.OPEN, opened_at=NOW,
    )  # fmt: skip
    tx.add(approval)
    post(
        tx, f"plan:{row.slug}:{version}", CardKind.PLAN, row.id, subject_id=made.id,
        message=str(100 + version) if posted else None,
    )  # fmt: skip
    return approval


def tasks(tx: Session, row: Project, *statuses: TaskStatus) -> list[Task]:
    """A phase with one feature and a task of each status."""
    phase = Phase(project_id=row.id, position=1, name="Foundation", status=PhaseStatus.IN_PROGRESS)
    tx.add(phase)
    tx.flush()
    feature = Feature(
        project_id=row.id, phase_id=phase.id, position=1, name="Storage", slug="storage",
        status=FeatureStatus.IN_PROGRESS, branch="feature/storage",
    )  # fmt: skip
    tx.add(feature)
    tx.flush()
    made = []
    for number, status in enumerate(statuses, start=1):
        task = Task(
            project_id=row.id, phase_id=phase.id, feature_id=feature.id, number=number,
            position=number, name=f"Task {number}", status=status, allowed_attempts=5,
            steps=[], checks=[], files=[],
        )  # fmt: skip
        tx.add(task)
        made.append(task)
    tx.flush()
    return made


def run(
    tx: Session, row: Project, task: Task | None = None, *, kind: AgentKind = AgentKind.CODER
) -> Run:
    """An agent at work, on a task if one is given."""
    made = Run(
        project_id=row.id, kind=kind, status=RunStatus.WORKING, model="sonnet", session_id="s",
        boot_id="l", host="h", started_at=NOW, feature_id=task.feature_id if task else None,
    )  # fmt: skip
    tx.add(made)
    tx.flush()
    if task is not None:
        task.status = TaskStatus.IN_PROGRESS
        task.run_id = made.id
        tx.add(RunTask(run_id=made.id, task_id=task.id, claimed_at=NOW))
    return made


def question(
    tx: Session, row: Project, text: str = "Which?", *options: str, multiple: bool = False
) -> Question:
    asker = run(tx, row)
    made = Question(
        project_id=row.id, run_id=asker.id, text=text, options=list(options), multiple=multiple,
        asked_at=NOW,
    )  # fmt: skip
    tx.add(made)
    tx.flush()
    return made
