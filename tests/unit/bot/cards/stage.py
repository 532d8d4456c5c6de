"""A project of 2 phases, 3 features and 5 tasks, taken along its way by the real operations."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache

from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from bot import cards
from bot.cards.rendering import RenderContext
from core.domain import card_keys, failure
from core.domain.agents import AgentKind
from core.domain.cards import Card
from core.domain.events import CardKind
from core.domain.lifecycle import Cause, FeatureStatus, InterviewKind, RunStatus, move
from core.domain.money import MessageUsage, Price, Tokens
from core.domain.plan import Plan, PlannedFeature, PlannedPhase, PlannedTask
from core.domain.proof import CheckResult, Verdict
from core.domain.rules import Agents, Rules
from core.operations import (
    additions,
    approvals,
    evidence,
    features,
    notices,
    outbox,
    plans,
    projects,
    spending,
    tasks,
)
from core.operations.evidence import Proof
from core.ports.agents import LimitReport
from core.ports.chat import Place
from core.ports.host import BoxLevel, DiffStat
from core.store.chat_tables import OutboxItem, ProjectPlace
from core.store.tables import AgentProcess, Approval, Feature, Phase, Project, Run, Table, Task

NOW = datetime(2026, 3, 12, 10, 48, tzinfo=UTC)
COMMIT = "4f2c9e1b81e03d88ae4105d0a7c3c07b2d49d41f"
CHECK = CheckResult("pytest -q", 0, "........\n48 passed in 3.10s\n", 3.1)
RED = CheckResult("pytest -q", 1, "E   AssertionError: 429 != 200\n1 failed\n", 2.0)
PLACE = Place("practice", "main")
UPSTREAM = "practice"


def scene(**changes: object) -> RenderContext:
    return RenderContext(
        **{  # type: ignore[arg-type]  # each test names what differs
            "now": NOW + timedelta(hours=1),
            "upstream": UPSTREAM,
            "rules": Rules(),
            "box": BoxLevel.FULL,
            "zone": UTC,
            **changes,
        }
    )


@cache
def _empty() -> sqlite3.Connection:
    """All tables; making them takes longer than a test."""
    engine = create_engine("sqlite://")
    Table.metadata.create_all(engine)
    connection = engine.raw_connection().driver_connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


def _copy() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    _empty().backup(made)
    return made


@contextmanager
def database() -> Iterator[Session]:
    engine = create_engine("sqlite://", creator=_copy)
    with Session(engine, expire_on_commit=False) as tx, tx.begin():
        yield tx
    engine.dispose()


def plan() -> Plan:
    def task(name: str, *waits: str, complexity: int = 2) -> PlannedTask:
        return PlannedTask(name, checks=("pytest -q",), depends_on=waits, complexity=complexity)

    return Plan(
        summary="A REST API for to-do lists.",
        setup=("python3 -m venv .venv", ".venv/bin/pip install -e ."),
        checks=("ruff check .",),
        phases=(
            PlannedPhase(
                "Foundation",
                (
                    PlannedFeature("Storage", (task("Schema"), task("Store", "Schema"))),
                    PlannedFeature("Endpoints", (task("Create"), task("Update", "Create")),
                                   depends_on=("Storage",)),
                ),
            ),
            PlannedPhase("Release", (PlannedFeature("Docs", (task("README", complexity=4),)),)),
        ),
    )  # fmt: skip


def begin(
    tx: Session, name: str = "todo-api", *, practice: bool = False, place: Place = PLACE
) -> int:
    """A project that lives in the channel, with its root wanted."""
    made = projects.create(
        tx, name=name, spec_digest="x", practice=practice, budget=Decimal(12),
        actor="web:local", now=NOW,
    )  # fmt: skip
    root = card_keys.interview(made.slug)
    tx.add(
        ProjectPlace(
            project_id=made.id, platform=place.platform, channel=place.channel, root_key=root
        )
    )
    tx.flush()
    projects.spec_written(tx, made.id, COMMIT, now=NOW)
    return made.id


def run(
    tx: Session,
    project_id: int,
    kind: AgentKind = AgentKind.CODER,
    *,
    slot: int = 1,
    feature: Feature | None = None,
    model: str = "sonnet",
) -> Run:
    row = Run(
        project_id=project_id, kind=kind, status=RunStatus.WORKING, slot=slot, model=model,
        session_id="s", boot_id="l", host="h", started_at=NOW,
        feature_id=feature.id if feature else None, phase_id=feature.phase_id if feature else None,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    return row


def submit(tx: Session, project_id: int, what: Plan | None = None) -> Approval:
    """The plan's open approval."""
    planner = run(tx, project_id, AgentKind.PLANNER)
    submitted = plans.submit(tx, planner.id, what or plan(), {}, max_attempts=5, now=NOW)
    assert submitted.accepted, submitted.problems
    move(planner, RunStatus.ENDED, by=Cause.SERVICE)
    return _open(tx, project_id)


COLOURS = Plan(
    phases=(
        PlannedPhase(
            "Colours",
            (
                PlannedFeature(
                    "Palette",
                    (PlannedTask("Pick", checks=("true",)), PlannedTask("Draw", checks=("true",))),
                    depends_on=("Storage",),
                ),
            ),
        ),
    )
)


def add(tx: Session, project_id: int) -> Approval:
    """The open approval of an addition: a feature of two tasks."""
    added = additions.begin(tx, project_id, InterviewKind.TASK, "colours", by="web:ann", now=NOW)
    planner = run(tx, project_id, AgentKind.PLANNER)
    planner.interview_id = added.id
    submitted = additions.submit(tx, planner.id, COLOURS, {}, main=COMMIT, max_attempts=5, now=NOW)
    assert submitted.accepted, submitted.problems
    move(planner, RunStatus.ENDED, by=Cause.SERVICE)
    return _open(tx, project_id)


def _open(tx: Session, project_id: int) -> Approval:
    tx.flush()
    return tx.scalars(
        select(Approval)
        .where(Approval.project_id == project_id)
        .order_by(Approval.id.desc())
        .limit(1)
    ).one()


def approve(tx: Session, approval: Approval, *, by: str = "web:ann") -> None:
    approvals.approve(tx, approval.id, by=by, main=COMMIT, max_attempts=5, now=NOW)


def build(tx: Session, *, practice: bool = False) -> int:
    """A project whose plan is approved."""
    project_id = begin(tx, practice=practice)
    approve(tx, submit(tx, project_id))
    return project_id


def feature(tx: Session, project_id: int, name: str) -> Feature:
    return tx.scalars(
        select(Feature).where(Feature.project_id == project_id, Feature.name == name)
    ).one()


def task(tx: Session, project_id: int, number: int) -> Task:
    return tx.scalars(
        select(Task).where(Task.project_id == project_id, Task.number == number)
    ).one()


def claim(
    tx: Session, project_id: int, number: int, *, slot: int = 1, model: str = "sonnet"
) -> Run:
    """A coder that works on a task."""
    row = task(tx, project_id, number)
    own = tx.get_one(Feature, row.feature_id)
    if own.status is FeatureStatus.PENDING:
        move(own, FeatureStatus.IN_PROGRESS, by=Cause.SERVICE)
    coder = run(tx, project_id, slot=slot, feature=own, model=model)
    tasks.claim(tx, row, coder, now=NOW)
    return coder


def prove(
    tx: Session, project_id: int, number: int, verdict: Verdict = Verdict.ACCEPTED, *,
    at: datetime = NOW, own_tests: tuple[str, ...] = (),
) -> None:  # fmt: skip
    coder = claim(tx, project_id, number)
    evidence.record_proof(
        tx, task(tx, project_id, number).id, coder.id,
        Proof(verdict, COMMIT, (CHECK,), own_tests), now=at,
    )  # fmt: skip
    move(coder, RunStatus.ENDED, by=Cause.SERVICE)


def fail(
    tx: Session, project_id: int, number: int, times: int = 5, *, model: str = "sonnet"
) -> None:
    """Attempts that end without it; the last one makes it stuck."""
    row = task(tx, project_id, number)
    for _ in range(times):
        coder = claim(tx, project_id, number, model=model)
        evidence.record_proof(tx, row.id, coder.id, Proof(Verdict.RED, COMMIT, (RED,)), now=NOW)
        settled = failure.settle(failure.EndedHow.AGENT, Agents(), restarts=0)
        tasks.give_back(
            tx, row, settled, error=row.last_error or "", model=model, chain=("sonnet",), now=NOW
        )
        move(coder, RunStatus.ENDED, by=Cause.SERVICE)


def land(tx: Session, project_id: int, name: str) -> Feature:
    row = feature(tx, project_id, name)
    move(row, FeatureStatus.LANDING, by=Cause.SERVICE)
    features.landed(tx, row.id, COMMIT, 3, now=NOW)
    return row


def open_gate(tx: Session, project_id: int, position: int = 1, *, red: bool = False) -> Approval:
    phase = tx.scalars(
        select(Phase).where(Phase.project_id == project_id, Phase.position == position)
    ).one()
    approvals.open_gate(
        tx, phase.id, COMMIT, (CHECK, RED) if red else (CHECK,),
        diff=DiffStat(31, 1284, 96), now=NOW + timedelta(hours=1),
    )  # fmt: skip
    return _open(tx, project_id)


def to_gate(tx: Session, project_id: int) -> Approval:
    """The first phase done, its gate open."""
    for number in (1, 2, 3, 4):
        prove(tx, project_id, number, at=NOW + timedelta(minutes=number))
    land(tx, project_id, "Storage")
    land(tx, project_id, "Endpoints")
    return open_gate(tx, project_id)


def spend(tx: Session, coder: Run, usd: str, *, message: str = "m1") -> None:
    """One message of an agent's run."""
    process = AgentProcess(
        kind=coder.kind, model=coder.model, work="/w", run_id=coder.id, registered_at=NOW
    )
    tx.add(process)
    tx.flush()
    usage = MessageUsage(message, coder.model, coder.model, Tokens(10, 20))
    spending.book(
        tx, process.id, f"p-{process.id}", usage,
        lambda _usage: Price(Decimal(usd), Decimal(usd)), Rules(), now=NOW,
    )  # fmt: skip


def limit(tx: Session, project_id: int, *, seconds: int) -> datetime:
    """The account is limited; when it no longer is."""
    coder = claim(tx, project_id, 1)
    process = AgentProcess(
        kind=coder.kind, model=coder.model, work="/w", run_id=coder.id, registered_at=NOW
    )
    tx.add(process)
    tx.flush()
    report = LimitReport(429, {"retry-after": str(seconds)}, "slow down")
    until = spending.limited(tx, UPSTREAM, process.id, report, now=NOW)
    move(coder, RunStatus.ENDED, by=Cause.SERVICE)
    return until


def tell(tx: Session) -> None:
    """What happened becomes cards that are wanted."""
    tx.flush()
    while notices.tell(tx, cards.CARDS, now=NOW):
        continue


def card(
    tx: Session,
    kind: CardKind,
    subject_id: int | None = None,
    *,
    markup: RenderContext | None = None,
) -> Card:
    """The newest card of a kind that is wanted, as it would be shown now."""
    query = select(OutboxItem).where(OutboxItem.kind == kind)
    if subject_id is not None:
        query = query.where(OutboxItem.subject_id == subject_id)
    row = tx.scalars(query.order_by(OutboxItem.id.desc()).limit(1)).one()
    return cards.draw(tx, outbox._due(row), markup or scene()).card


def keys(tx: Session) -> list[str]:
    return list(tx.scalars(select(OutboxItem.key).order_by(OutboxItem.id)))


def slug(tx: Session, project_id: int) -> str:
    return tx.get_one(Project, project_id).slug
