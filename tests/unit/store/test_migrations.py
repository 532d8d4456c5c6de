"""The migrations make the tables that the code has; what is asked often finds its rows by index."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

from core.domain.agents import AgentKind
from core.domain.lifecycle import FeatureStatus, PhaseStatus, ProjectStatus, RunStatus, TaskStatus
from core.domain.orders import Limits
from core.operations import questions, runs, snapshots, spending, tasks
from core.operations.spending import Caps
from core.store import migrations
from core.store.tables import AgentProcess, Feature, Phase, Project, Run, RunTask, Table, Task

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CAPS = Caps(Decimal(5), Decimal(50))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = tmp_path_factory.mktemp("store") / "autocoder.db"
    migrations.upgrade(path)
    made = create_engine(f"sqlite:///{path}")
    with Session(made) as tx, tx.begin():
        _fill(tx)
    yield made
    made.dispose()


def test_the_migrations_make_the_tables_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_a_migrated_file_is_left_alone_and_an_older_one_copied_first(tmp_path: Path) -> None:
    path = tmp_path / "autocoder.db"
    assert migrations.upgrade(path) is None
    before = path.read_bytes()
    assert migrations.revision(path) == migrations.HEAD
    assert migrations.upgrade(path) is None
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["autocoder.db"]


def _fill(tx: Session) -> None:
    project = Project(
        name="Sums", slug="sums", status=ProjectStatus.RUNNING, spec_digest="0", practice=False,
        budget_micro_usd=10**7, created_at=NOW,
    )  # fmt: skip
    tx.add(project)
    tx.flush()
    phase = Phase(project_id=project.id, position=1, name="Numbers", status=PhaseStatus.IN_PROGRESS)
    tx.add(phase)
    tx.flush()
    feature = Feature(
        project_id=project.id, phase_id=phase.id, position=1, name="Sum", slug="sum",
        status=FeatureStatus.IN_PROGRESS, branch="feature/sum",
    )  # fmt: skip
    tx.add(feature)
    tx.flush()
    run = Run(
        project_id=project.id, kind=AgentKind.CODER, status=RunStatus.WORKING,
        feature_id=feature.id, phase_id=phase.id, model="sonnet", session_id="0", life="now",
        host="here", started_at=NOW,
    )  # fmt: skip
    tx.add(run)
    tx.flush()
    task = Task(
        project_id=project.id, phase_id=phase.id, feature_id=feature.id, number=1, position=1,
        name="Add", status=TaskStatus.IN_PROGRESS, allowed_attempts=5, run_id=run.id,
    )  # fmt: skip
    tx.add(task)
    tx.flush()
    tx.add(RunTask(run_id=run.id, task_id=task.id, claimed_at=NOW))
    tx.add(
        AgentProcess(
            kind=AgentKind.CODER, model="sonnet", work="/work", run_id=run.id, registered_at=NOW
        )
    )
    tx.flush()


def _decide(tx: Session) -> object:
    return snapshots.load(tx, 1, limits=Limits(), caps=CAPS, upstream="here", life="now", now=NOW)


# Asked at every request, decision or task: each must cost what is open, never what is done.
ASKED_OFTEN: dict[str, Callable[[Session], object]] = {
    "decide": _decide,
    "admit": lambda tx: spending.admit(tx, 1, "here", CAPS, now=NOW),
    "held": lambda tx: tasks.held_by(tx, 1),
    "claim": lambda tx: tasks.claim_next(tx, 1, batch=3, coder_model="sonnet", now=NOW),
    "asks": lambda tx: runs.asks(tx, 1),
    "current run": lambda tx: runs.current_run(tx, 1),
    "costs of runs": lambda tx: spending.run_costs(tx, 1, AgentKind.CODER, limit=21),
    "open questions": lambda tx: questions.open_questions(tx, 1),
}


@pytest.mark.parametrize("what", ASKED_OFTEN)
def test_what_is_asked_often_finds_its_rows_by_index(engine: Engine, what: str) -> None:
    asked: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(
        _connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool
    ) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            asked.append((statement, values))

    with Session(engine) as tx:
        ASKED_OFTEN[what](tx)
        connection = tx.connection().connection.cursor()
        plans = {
            statement: [
                row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            ]
            for statement, values in list(asked)
        }
    assert plans
    scans = {
        statement: step
        for statement, steps in plans.items()
        for step in steps
        if re.match(r"SCAN (?!CONSTANT|\(|SUBQUERY)", step)
    }
    assert scans == {}
