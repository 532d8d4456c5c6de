"""Snapshots: by hand, and at random."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from core.domain.agents import AgentKind
from core.domain.lifecycle import FeatureStatus, PhaseStatus, ProjectStatus, RunStatus, TaskStatus
from core.domain.orders import ACTIVE, PLANNER_ATTEMPTS, SOLO_CATEGORY
from core.domain.rules import Agents, OnStuck, Rules
from core.domain.snapshot import FeatureView, PhaseView, RunView, Snapshot, TaskView

NOW = datetime(2027, 3, 10, 12, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=30)
PAST = NOW - timedelta(seconds=30)
MOMENTS = st.sampled_from([None, None, None, PAST, NOW, SOON])
OPEN = (TaskStatus.PENDING, TaskStatus.IN_PROGRESS, TaskStatus.STUCK)


def a_task(number: int, feature: int = 1, **changed: Any) -> TaskView:
    plain = TaskView(
        id=number, number=number, feature_id=feature, status=TaskStatus.PENDING, priority=999,
        complexity=2, category="feature", files=(), blockers=0, rank=1, position=number,
        attempts=0, restarts=0, deferred=False, model=None, not_before=None,
    )  # fmt: skip
    return replace(plain, **changed)


def a_feature(number: int, **changed: Any) -> FeatureView:
    plain = FeatureView(
        id=number, name=f"f{number}", status=FeatureStatus.PENDING, priority=999, position=number,
        waits_for=0, passing=0, resume_run_id=None,
    )  # fmt: skip
    return replace(plain, **changed)


def a_run(number: int, feature: int | None = 1, **changed: Any) -> RunView:
    plain = RunView(
        id=number, kind=AgentKind.CODER, status=RunStatus.WORKING, feature_id=feature,
        slot=number, ours=True, answered=False,
    )  # fmt: skip
    return replace(plain, **changed)


PHASE = PhaseView(id=1, position=1, status=PhaseStatus.IN_PROGRESS, rework=False)


def a_snapshot(**changed: Any) -> Snapshot:
    plain = Snapshot(
        now=NOW, project_id=1, status=ProjectStatus.RUNNING, rules=Rules(), phase=PHASE
    )
    return replace(plain, **changed)


@st.composite
def snapshots(draw: st.DrawFn, status: ProjectStatus | None = None) -> Snapshot:
    """Any state a store could hold: one un-ended run per feature at most, as the store keeps it."""
    features = tuple(
        a_feature(
            n,
            status=draw(
                st.sampled_from(
                    [FeatureStatus.PENDING, FeatureStatus.IN_PROGRESS, FeatureStatus.LANDING]
                )
            ),
            priority=draw(st.sampled_from([1, 999, 999])),
            waits_for=draw(st.sampled_from([0, 0, 0, 1])),
            passing=draw(st.integers(0, 2)),
            resume_run_id=draw(st.sampled_from([None, None, 77])),
        )
        for n in range(1, draw(st.integers(0, 5)) + 1)
    )
    runs: list[RunView] = []
    tasks: list[TaskView] = []
    for feature in features:
        held = draw(st.sampled_from([None, None, *ACTIVE, RunStatus.WAITING]))
        if held is not None:
            runs.append(
                a_run(
                    feature.id,
                    feature.id,
                    status=held,
                    ours=draw(st.sampled_from([True, True, True, True, False])),
                    answered=draw(st.booleans()),
                )
            )
        for _ in range(draw(st.integers(0, 3))):
            working = held is not None and draw(st.booleans())
            tasks.append(
                a_task(
                    len(tasks) + 1,
                    feature.id,
                    status=TaskStatus.IN_PROGRESS
                    if working
                    else draw(st.sampled_from([TaskStatus.PENDING] * 3 + [TaskStatus.STUCK])),
                    priority=draw(st.sampled_from([5, 999, 999])),
                    complexity=draw(st.integers(1, 5)),
                    category=draw(st.sampled_from(["feature", "feature", SOLO_CATEGORY])),
                    files=tuple(draw(st.sets(st.sampled_from("abc"), max_size=2))),
                    blockers=draw(st.sampled_from([0, 0, 0, 1])),
                    rank=draw(st.integers(1, 9)),
                    attempts=draw(st.integers(0, 2)),
                    deferred=draw(st.booleans()),
                    model=draw(st.sampled_from([None, "opus"])),
                    not_before=draw(MOMENTS),
                )
            )
    if draw(st.sampled_from([False, False, True])):
        held = draw(st.sampled_from([*ACTIVE, RunStatus.WAITING]))
        answered = draw(st.booleans())
        runs.append(a_run(50, None, kind=AgentKind.PLANNER, status=held, answered=answered))
    phase = draw(
        st.one_of(
            st.none(),
            st.builds(
                PhaseView,
                id=st.just(1),
                position=st.just(1),
                status=st.sampled_from(
                    [PhaseStatus.IN_PROGRESS] * 3 + [PhaseStatus.AWAITING_APPROVAL]
                ),
                rework=st.sampled_from([False, False, True]),
            ),
        )
    )
    return Snapshot(
        now=NOW,
        project_id=1,
        status=status or draw(st.sampled_from(ProjectStatus)),
        rules=Rules(
            agents=Agents(
                max_parallel=draw(st.integers(1, 4)),
                host_parallel=draw(st.integers(1, 6)),
                on_stuck=draw(st.sampled_from(OnStuck)),
            )
        ),
        phase=phase,
        features=features,
        tasks=tuple(tasks),
        runs=tuple(runs),
        agents_elsewhere=draw(st.integers(0, 3)),
        window_until=draw(MOMENTS),
        budget_left=draw(st.sampled_from([True, True, True, False])),
        planner_failures=draw(st.integers(0, PLANNER_ATTEMPTS)),
        planner_not_before=draw(MOMENTS),
    )
