"""`stop after feature`: what is begun is brought to its end, nothing new is begun."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from core.domain.agents import AgentKind
from core.domain.lifecycle import FeatureStatus, PhaseStatus, ProjectStatus, RunStatus, TaskStatus
from core.domain.order import StartRun, StopProject
from core.domain.orders import next_orders
from core.domain.rules import Rules
from core.domain.snapshot import FeatureView, PhaseView, RunView, Snapshot, TaskView

NOW = datetime(2026, 3, 12, tzinfo=UTC)


def _at_work(
    status: FeatureStatus, *tasks: TaskStatus, number: int
) -> tuple[FeatureView, list[TaskView]]:
    feature = FeatureView(number, f"f{number}", status, 999, number, 0, 0, None)
    views = [
        TaskView(number * 10 + n, number * 10 + n, number, task, 999, 2, "", (), 0, 1, n, 0, 0, False, None, None)
        for n, task in enumerate(tasks)
    ]  # fmt: skip
    return feature, views


def _winding(*features: tuple[FeatureView, list[TaskView]], **more: Any) -> Snapshot:
    phase = PhaseView(1, 1, PhaseStatus.IN_PROGRESS, rework=False)
    made = Snapshot(
        NOW, 1, ProjectStatus.RUNNING, Rules(), phase,
        features=tuple(feature for feature, _ in features),
        tasks=tuple(task for _, tasks in features for task in tasks),
        winding_down=True,
    )  # fmt: skip
    return replace(made, **more)


def test_a_project_that_winds_down_begins_nothing_new_and_then_stops() -> None:
    begun = _at_work(FeatureStatus.IN_PROGRESS, TaskStatus.PENDING, number=1)
    new = _at_work(FeatureStatus.READY, TaskStatus.PENDING, number=2)
    stuck = _at_work(FeatureStatus.IN_PROGRESS, TaskStatus.STUCK, number=3)
    started = next_orders(_winding(begun, new, stuck))
    assert [o.feature_id for o in started if isinstance(o, StartRun)] == [1]
    assert len(started) == 1
    landing = _at_work(FeatureStatus.LANDING, number=1)
    assert StopProject() not in next_orders(_winding(landing, new))
    assert StopProject() not in next_orders(_winding(begun, new, budget_left=False))
    assert next_orders(_winding(new, stuck)) == (StopProject(),)
    at_work = RunView(7, AgentKind.CODER, RunStatus.WAITING, 3, 1, True, False)
    assert next_orders(_winding(new, stuck, runs=(at_work,))) == ()
