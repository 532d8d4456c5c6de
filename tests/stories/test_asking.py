"""A question to the assistant on a running service: answered once, whatever dies meanwhile."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from adapters.worktrees.workspaces import Worktrees
from core.domain.lifecycle import FeatureStatus, PhaseStatus, ProjectStatus, TaskStatus
from core.store.session import Store
from core.store.tables import Feature, Phase, Project, Task
from tests.stories.service import House, Running, wait_until

pytestmark = pytest.mark.slow

ASK = "@autocoder project:todo-api why did task 1 take so long?"


def _write(tx: Session, commit: str) -> None:
    now = datetime.now(UTC)
    project = Project(
        name="todo-api", slug="todo-api", status=ProjectStatus.COMPLETED, spec_digest="",
        practice=True, budget_micro_usd=20_000_000, created_at=now, setup=[], checks=[],
        first_commit=commit,
    )  # fmt: skip
    tx.add(project)
    tx.flush()
    phase = Phase(project_id=project.id, position=1, name="One", status=PhaseStatus.COMPLETED)
    tx.add(phase)
    tx.flush()
    feature = Feature(
        project_id=project.id, phase_id=phase.id, position=1, name="Storage", slug="storage",
        status=FeatureStatus.COMPLETED, branch="feature/storage", landed_commit=commit,
    )  # fmt: skip
    tx.add(feature)
    tx.flush()
    tx.add(
        Task(
            project_id=project.id, phase_id=phase.id, feature_id=feature.id, number=1, position=1,
            name="Store", status=TaskStatus.PASSING, allowed_attempts=5, steps=[], checks=[],
            files=[],
        )
    )  # fmt: skip


async def _build(home: Path) -> None:
    home.mkdir()
    files = {"app/storage.py": b"def store(): ...\n", ".autocoder/prompts/app_spec.txt": b"# T\n"}
    commit = await Worktrees(home, "test-0").create("todo-api", files, "Begin\n")
    store = Store(home / "autocoder.db")
    await store.run(_write, commit)
    await store.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    home = tmp_path / "home"
    asyncio.run(_build(home))
    yield House(home)
    shutil.rmtree(home, ignore_errors=True)


def _one(home: Path, query: str) -> Any:
    with closing(sqlite3.connect(f"file:{home / 'autocoder.db'}?mode=ro", uri=True)) as rows:
        found = rows.execute(query).fetchone()
        return found[0] if found else None


def _answers(service: Running) -> list[dict[str, Any]]:
    return [m for m in service.admin.messages() if m["card"] and m["card"]["kind"] == "answer"]


def _answered(service: Running) -> bool:
    return any("I am scripted" in message["text"] for message in _answers(service))


def test_it_is_answered_from_what_was_read(house: House) -> None:
    with house.running() as service:
        said = service.admin.say(ASK).json["id"]
        wait_until(lambda: _answered(service), 90)
        (message,) = _answers(service)
        assert message["card"]["body"].startswith("\\[practice] Task 1 `Store` is passing")
        echo = service.admin.get(f"/api/chat/main/messages/{said}/outcome").json
        assert echo["done"] is True
        runs = service.admin.get("/api/projects/todo-api/runs").json["items"]
        assert [(run["kind"], run["outcome"]) for run in runs] == [("assistant", "finished")]
        usage = service.admin.get("/api/usage/projects/todo-api").json
        assert usage["by_kind"]["assistant"]["messages"] == usage["messages"] >= 2


@pytest.mark.parametrize("after", ["inquiries", "runs", "agent_processes", "usage_entries"])
def test_a_kill_repeats_nothing(house: House, after: str) -> None:
    with house.running() as service:
        service.admin.say(ASK, client_id="once")
        wait_until(lambda: _one(house.home, f"SELECT id FROM {after}"), 90)
        service.process.kill()
        service.process.wait()
    with house.running() as service:
        service.admin.say(ASK, client_id="once")
        wait_until(lambda: _answered(service), 120)
        assert len(_answers(service)) == 1
    assert _one(house.home, "SELECT count(*) FROM inquiries") == 1
    assert _one(house.home, "SELECT count(*) FROM runs WHERE outcome = 'finished'") == 1


def test_a_spent_budget_is_said(house: House) -> None:
    with closing(sqlite3.connect(house.home / "autocoder.db")) as rows, rows:
        rows.execute("UPDATE projects SET budget_micro_usd = 0")
    with house.running() as service:
        service.admin.say(ASK)
        wait_until(lambda: "is spent" in "".join(m["text"] for m in _answers(service)), 60)
        assert "/autocoder budget" in _answers(service)[0]["text"]
