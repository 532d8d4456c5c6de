"""A home whose projects wait for a decision, made by the operations that bring it there."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from core.domain import card_keys
from core.domain.agents import AgentKind, RunOutcome
from core.domain.failure import EndedHow, RunEnd
from core.domain.order import StartRun
from core.domain.plan import Plan, PlannedFeature, PlannedPhase, PlannedTask
from core.domain.rules import Models, Rules
from core.operations import plans, projects, runs
from core.store.chat_tables import Channel, ProjectPlace
from core.store.session import Store

NOTHING = Decimal(0)  # to spend: what is approved does not begin


def fill(home: Path, count: int, *, ago: timedelta = timedelta(0)) -> None:
    """`count` projects in the channel `main`, each with a plan that waits since `ago`."""
    home.mkdir(mode=0o700)
    asyncio.run(_fill(home / "autocoder.db", count, datetime.now(UTC) - ago))


async def _fill(database: Path, count: int, now: datetime) -> None:
    store = Store(database)
    await store.run(_channel, now)
    for number in range(1, count + 1):
        await store.run(_planned, number, now)
    await store.close()


def _channel(tx: Session, now: datetime) -> None:
    tx.add(Channel(platform="web", name="main", created_at=now))


def _planned(tx: Session, number: int, now: datetime) -> None:
    project = projects.create(
        tx, name=f"thing {number}", spec_digest="d", practice=True, budget=NOTHING,
        actor="web:local", now=now,
    )  # fmt: skip
    tx.add(
        ProjectPlace(
            project_id=project.id,
            platform="web",
            channel="main",
            root_key=card_keys.interview(project.slug),
        )
    )
    projects.spec_written(tx, project.id, "c0", now=now)
    order = StartRun(AgentKind.PLANNER, "opus", "plan")
    run = runs.begin(
        tx, project.id, order, session_id=UUID(int=number), boot_id="before", host="here", now=now
    )
    assert run is not None
    runs.register_process(tx, run.id, AgentKind.PLANNER, "opus", "w", now=now)
    task = PlannedTask("task", checks=("true",))
    made = Plan((PlannedPhase("phase", (PlannedFeature("feature", (task,)),)),))
    assert plans.submit(tx, run.id, made, {}, max_attempts=5, now=now).problems == ()
    ended = RunEnd(RunOutcome.FINISHED, EndedHow.AGENT, "done")
    runs.end(tx, run.id, ended, Rules(models=Models(chain=("opus",))), now=now)
