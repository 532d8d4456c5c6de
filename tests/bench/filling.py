"""A home's database filled fast: so many open tasks, beside so many done ones."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from core.domain.agents import AgentKind, RunOutcome
from core.domain.events import Event, Level
from core.domain.lifecycle import FeatureStatus, PhaseStatus, ProjectStatus, RunStatus, TaskStatus
from core.domain.money import Dimension
from core.domain.proof import Verdict
from core.store import migrations

TASKS_OF_A_FEATURE = 10
PROJECT, DONE_PHASE, OPEN_PHASE = 1, 1, 2
CODER_PROCESS, CODER_RUN = 1, 1
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

Row = dict[str, object]


def fill(path: Path, *, open_tasks: int, done_tasks: int) -> None:
    """One project at work: a coder has the first open task.

    Of the done tasks, with their runs, evidence, sums and journal, a third lies in a completed
    phase, a third in completed features of the open phase, a third in its open features.
    """
    _write(path, _rows(open_tasks, done_tasks))


def settle(path: Path, *, journal: int = 0, upstream: str | None = None) -> None:
    """Make of a filled home one in which no agent is at work.

    The journal gets up to `journal` rows, all of them told. The project is stopped, or with
    `upstream` at work, but waiting for that account's limit.
    """
    at = _BEGIN.replace(tzinfo=None).isoformat(" ")
    with closing(sqlite3.connect(path)) as connection:
        (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM journal").fetchone()
        connection.execute(
            "UPDATE tasks SET status = ?, run_id = NULL WHERE id = 1", (TaskStatus.PENDING,)
        )
        connection.execute(
            "UPDATE runs SET status = ?, outcome = ? WHERE id = ?",
            (RunStatus.ENDED, RunOutcome.STOPPED, CODER_RUN),
        )
        connection.execute("UPDATE agent_processes SET ended_at = ?, run_id = NULL", (at,))
        if upstream is None:
            connection.execute("UPDATE projects SET status = ?", (ProjectStatus.STOPPED,))
        connection.commit()
    _write(path, _settled(last, journal, upstream))


def _write(path: Path, tables: Iterable[tuple[str, Iterable[Row]]]) -> None:
    migrations.upgrade(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        for table, rows in tables:
            left = iter(rows)
            first = next(left, None)
            if first is None:
                continue
            names = ", ".join(f'"{name}"' for name in first)
            marks = ", ".join("?" for _ in first)
            connection.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",
                (tuple(row.values()) for row in chain((first,), left)),
            )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _settled(last: int, journal: int, upstream: str | None) -> Iterable[tuple[str, Iterable[Row]]]:
    at = _BEGIN.replace(tzinfo=None).isoformat(" ")
    yield "journal", (_entry(n, None) for n in range(last + 1, journal + 1))
    yield "told", [{"id": 1, "entry_id": max(last, journal)}]
    yield "channels", [{"platform": "web", "name": "large", "created_at": at}]
    yield "project_places", [
        {
            "project_id": PROJECT, "platform": "web", "channel": "large",
            "root_key": "interview:large", "position": 0,
        }
    ]  # fmt: skip
    if upstream is not None:
        until = (_BEGIN + timedelta(days=36_500)).replace(tzinfo=None).isoformat(" ")
        yield (
            "account_windows",
            [{"upstream": upstream, "until": until, "strikes": 1, "reason": "", "changed_at": at}],
        )


def _entry(number: int, task: int | None) -> Row:
    return {
        "id": number, "at": (_BEGIN + timedelta(seconds=number)).replace(tzinfo=None).isoformat(" "),
        "level": Level.INFO, "category": "task", "event": Event.TASK_PASSED, "text": "passes",
        "actor": "service", "project_id": PROJECT, "task_id": task, "data": "{}",
        "hash": f"{number:064}", "previous_hash": f"{number - 1:064}",
    }  # fmt: skip


def _rows(open_tasks: int, done_tasks: int) -> Iterable[tuple[str, Sequence[Row]]]:
    at = _BEGIN.replace(tzinfo=None).isoformat(" ")
    open_features = max(1, open_tasks // TASKS_OF_A_FEATURE)
    done_features = done_tasks // TASKS_OF_A_FEATURE
    yield "projects", [
        {
            "id": PROJECT, "name": "Large", "slug": "large", "status": ProjectStatus.RUNNING,
            "spec_digest": "0", "summary": "", "setup": "[]", "checks": "[]", "practice": 0,
            "settings": "{}", "budget_micro_usd": 10**12, "planner_failures": 0,
            "planner_restarts": 0, "created_at": at,
        }
    ]  # fmt: skip
    yield "phases", [
        _phase(DONE_PHASE, PhaseStatus.COMPLETED), _phase(OPEN_PHASE, PhaseStatus.IN_PROGRESS)
    ]  # fmt: skip
    yield (
        "features",
        [_feature(n, OPEN_PHASE, FeatureStatus.IN_PROGRESS) for n in range(1, open_features + 1)]
        + [
            _feature(
                open_features + n, DONE_PHASE if n % 2 else OPEN_PHASE, FeatureStatus.COMPLETED
            )
            for n in range(1, done_features + 1)
        ],
    )
    yield (
        "runs",
        [_run(CODER_RUN, RunStatus.WORKING, 1, at)]
        + [
            _run(CODER_RUN + n, RunStatus.ENDED, 1 + n % open_features, at)
            for n in range(1, done_tasks + 1)
        ],
    )
    yield "agent_processes", [
        {
            "id": n, "kind": AgentKind.CODER, "model": "sonnet", "work": f"/w/{n}",
            "run_id": CODER_RUN if n == CODER_PROCESS else None, "pid": n, "registered_at": at,
        }
        for n in range(CODER_PROCESS, CODER_PROCESS + 1 + done_tasks // TASKS_OF_A_FEATURE)
    ]  # fmt: skip
    tasks = [_open_task(n, 1 + (n - 1) % open_features) for n in range(1, open_tasks + 1)]
    for n in range(1, done_tasks + 1):
        own = open_features + 1 + (n - 1) // TASKS_OF_A_FEATURE
        feature = 1 + n % open_features if n % 3 == 0 else min(own, open_features + done_features)
        phase = OPEN_PHASE if n % 3 == 0 or (feature - open_features) % 2 == 0 else DONE_PHASE
        tasks.append(_task(open_tasks + n, phase, feature, TaskStatus.PASSING, run=CODER_RUN + n))
    yield "tasks", tasks
    if not done_tasks:
        return
    yield (
        "run_tasks",
        [
            {"run_id": CODER_RUN + n, "task_id": open_tasks + n, "claimed_at": at, "passed": 1}
            for n in range(1, done_tasks + 1)
        ],
    )
    yield "evidence", [
        {
            "task_id": open_tasks + n, "run_id": CODER_RUN + n, "verdict": Verdict.ACCEPTED,
            "accepted": 1, "commit": "0" * 40, "own_tests": "[]", "checks": "[]", "at": at,
        }
        for n in range(1, done_tasks + 1)
    ]  # fmt: skip
    yield (
        "usage_totals",
        [
            _total(dimension, key)
            for n in range(1, done_tasks + 1)
            for dimension, key in ((Dimension.RUN, CODER_RUN + n), (Dimension.TASK, open_tasks + n))
        ],
    )
    yield "journal", [_entry(n, open_tasks + n) for n in range(1, done_tasks + 1)]


def _phase(number: int, status: PhaseStatus) -> Row:
    return {
        "id": number, "project_id": PROJECT, "position": number, "name": f"Phase {number}",
        "description": "", "status": status, "gate_failures": 0,
    }  # fmt: skip


def _feature(number: int, phase: int, status: FeatureStatus) -> Row:
    return {
        "id": number, "project_id": PROJECT, "phase_id": phase, "position": number,
        "name": f"Feature {number}", "slug": f"feature-{number}", "description": "", "spec": "",
        "status": status, "priority": 999, "branch": f"feature/{number}", "prepared": 0,
    }  # fmt: skip


def _run(number: int, status: RunStatus, feature: int, at: str) -> Row:
    ended = status is RunStatus.ENDED
    return {
        "id": number, "project_id": PROJECT, "kind": AgentKind.CODER, "status": status,
        "outcome": RunOutcome.FINISHED if ended else None, "feature_id": feature,
        "phase_id": OPEN_PHASE, "seat": 1, "model": "sonnet", "session_id": str(number),
        "life": "bench", "host": "here", "attempt": 1, "reserved_micro_usd": 0, "reason": "",
        "words": "", "started_at": at,
    }  # fmt: skip


def _open_task(number: int, feature: int) -> Row:
    if number == 1:
        return _task(number, OPEN_PHASE, feature, TaskStatus.IN_PROGRESS, run=CODER_RUN)
    return _task(number, OPEN_PHASE, feature, TaskStatus.PENDING, run=None)


def _task(number: int, phase: int, feature: int, status: TaskStatus, *, run: int | None) -> Row:
    return {
        "id": number, "project_id": PROJECT, "phase_id": phase, "feature_id": feature,
        "number": number, "position": number, "name": f"Task {number}", "category": "feature",
        "description": "Do it.", "steps": "[]", "complexity": 1 + number % 3,
        "checks": '["true"]', "files": "[]", "priority": 999, "status": status, "blockers": 0,
        "rank": number % 7, "attempts": 0, "allowed_attempts": 5, "restarts": 0, "refusals": 0,
        "deferred": 0, "error_repeats": 0, "run_id": run,
    }  # fmt: skip


def _total(dimension: Dimension, key: int) -> Row:
    return {
        "project_id": PROJECT, "dimension": dimension, "key": str(key), "messages": 4,
        "unpriced_messages": 0, "input": 400, "output": 80, "cache_read": 0, "cache_write_5m": 0,
        "cache_write_1h": 0, "micro_usd": 1000, "assumed_micro_usd": 1000,
    }  # fmt: skip
