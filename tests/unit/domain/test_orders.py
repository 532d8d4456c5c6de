"""Deciding: properties over random snapshots, and the rules one by one."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.agents import AgentKind
from core.domain.lifecycle import FeatureStatus, PhaseStatus, ProjectStatus, RunStatus, TaskStatus
from core.domain.order import (
    AskApproval,
    Block,
    CompleteFeature,
    FinishProject,
    Land,
    Requeue,
    ResumeRun,
    SkipStuck,
    StartRun,
    StopRun,
)
from core.domain.orders import (
    ACTIVE,
    PLANNER_ATTEMPTS,
    SMALL,
    SOLO_CATEGORY,
    batch_with,
    clashes,
    may_start,
    next_due,
    next_orders,
    ready_tasks,
)
from core.domain.rules import Agents, OnStuck, Rules
from core.domain.snapshot import Snapshot, TaskView
from tests.unit.domain.views import (
    NOW,
    PHASE,
    SOON,
    a_feature,
    a_run,
    a_snapshot,
    a_task,
    snapshots,
)

T = TypeVar("T")
RUNNING = snapshots(ProjectStatus.RUNNING)


@given(snapshots(), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_rows(
    snapshot: Snapshot, dice: random.Random
) -> None:
    def shuffled(rows: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(dice.sample(rows, len(rows)))

    other = replace(
        snapshot,
        features=shuffled(snapshot.features),
        tasks=shuffled(snapshot.tasks),
    )
    assert next_orders(snapshot) == next_orders(snapshot)
    starts = [o for o in next_orders(snapshot) if not isinstance(o, SkipStuck)]
    assert starts == [o for o in next_orders(other) if not isinstance(o, SkipStuck)]


@given(snapshots())
def test_agents_at_work_stay_within_the_caps(snapshot: Snapshot) -> None:
    begun = [o for o in next_orders(snapshot) if isinstance(o, StartRun | ResumeRun)]
    active = sum(run.status in ACTIVE for run in snapshot.runs)
    limits = snapshot.rules.agents
    if begun:
        assert active + len(begun) <= limits.max_parallel
        assert active + len(begun) + snapshot.agents_elsewhere <= (limits.host_parallel or 0)


@given(snapshots())
def test_a_feature_has_one_agent_and_an_agent_a_seat(snapshot: Snapshot) -> None:
    starts = [
        o for o in next_orders(snapshot) if isinstance(o, StartRun) and o.kind is AgentKind.CODER
    ]
    held = [run.feature_id for run in snapshot.runs if run.feature_id]
    features = held + [o.feature_id for o in starts]
    assert len(set(features)) == len(features)
    seats = [r.slot for r in snapshot.runs if r.kind is AgentKind.CODER] + [o.slot for o in starts]
    assert len(set(seats)) == len(seats)
    planners = [r for r in snapshot.runs if r.kind is AgentKind.PLANNER]
    planned = [
        o for o in next_orders(snapshot) if isinstance(o, StartRun) and o.kind is AgentKind.PLANNER
    ]
    assert len(planners) + len(planned) <= 1


@given(snapshots())
def test_only_what_is_ready_begins(snapshot: Snapshot) -> None:
    features = {f.id: f for f in snapshot.features}
    tasks = {t.id: t for t in snapshot.tasks}
    for order in next_orders(snapshot):
        if isinstance(order, StartRun) and order.kind is AgentKind.CODER:
            assert snapshot.status is ProjectStatus.RUNNING
            assert snapshot.phase is not None
            assert snapshot.phase.status is PhaseStatus.IN_PROGRESS
            assert not snapshot.phase.rework
            assert order.feature_id is not None
            assert order.task_id is not None
            feature, task = features[order.feature_id], tasks[order.task_id]
            assert feature.waits_for == 0
            assert feature.status is not FeatureStatus.LANDING
            assert task.feature_id == feature.id
            assert task.status is TaskStatus.PENDING
            assert task.blockers == 0
            assert task.not_before is None or task.not_before <= NOW
            assert order.model == (task.model or snapshot.rules.models.coder)
            assert order.resumes == feature.resume_run_id
            assert order.reason


@given(snapshots())
def test_nothing_begins_without_money_or_an_open_window(snapshot: Snapshot) -> None:
    closed = [replace(snapshot, budget_left=False), replace(snapshot, window_until=SOON)]
    for shut in closed:
        assert not may_start(shut)
        assert not any(isinstance(o, StartRun | ResumeRun) for o in next_orders(shut))


@given(RUNNING)
def test_work_on_the_same_files_is_kept_apart_and_solo_work_alone(snapshot: Snapshot) -> None:
    tasks = {t.id: t for t in snapshot.tasks}
    held = {run.feature_id for run in snapshot.runs}
    at_work = [
        t for t in snapshot.tasks if t.status is TaskStatus.IN_PROGRESS and t.feature_id in held
    ]
    for order in next_orders(snapshot):
        if isinstance(order, StartRun) and order.task_id:
            task = tasks[order.task_id]
            if at_work:
                assert task.category != SOLO_CATEGORY
            assert not any(other.category == SOLO_CATEGORY for other in at_work)
            assert not any(set(task.files) & set(other.files) for other in at_work)
            at_work.append(task)


@given(RUNNING)
def test_begun_goes_before_priority_before_the_critical_path(snapshot: Snapshot) -> None:
    features = {f.id: f for f in snapshot.features}
    tasks = {t.id: t for t in snapshot.tasks}
    keys = []
    for order in next_orders(snapshot):
        if isinstance(order, StartRun) and order.task_id and order.feature_id:
            feature, task = features[order.feature_id], tasks[order.task_id]
            begun = bool(feature.passing or task.attempts or feature.resume_run_id)
            keys.append(
                (not begun, min(feature.priority, task.priority), task.priority, -task.rank)
            )
    assert keys == sorted(keys)


@given(snapshots())
def test_runs_of_an_earlier_life_are_settled_before_anything_else(snapshot: Snapshot) -> None:
    orphaned_runs = [
        r.id for r in snapshot.runs if not r.ours and r.status is not RunStatus.WAITING
    ]
    orders = next_orders(snapshot)
    assert [o.run_id for o in orders if isinstance(o, Requeue)] == orphaned_runs
    if orphaned_runs:
        assert all(isinstance(o, Requeue) for o in orders)


@given(snapshots())
def test_who_does_not_run_begins_nothing(snapshot: Snapshot) -> None:
    if any(not r.ours for r in snapshot.runs):
        return
    orders = next_orders(snapshot)
    active = [r.id for r in snapshot.runs if r.status in ACTIVE]
    match snapshot.status:
        case ProjectStatus.COMPLETED | ProjectStatus.AWAITING_APPROVAL | ProjectStatus.INTERVIEWING:
            assert orders == ()
        case (
            ProjectStatus.PAUSED
            | ProjectStatus.STOPPED
            | ProjectStatus.BLOCKED
            | ProjectStatus.ARCHIVED
        ):
            assert all(isinstance(o, StopRun) for o in orders)
            assert [o.run_id for o in orders if isinstance(o, StopRun)] == active
        case _:
            assert not any(isinstance(o, StopRun) for o in orders)


@given(RUNNING)
def test_features_are_taken_to_main_when_their_work_is_over(snapshot: Snapshot) -> None:
    orders = next_orders(snapshot)
    lands = {o.feature_id for o in orders if isinstance(o, Land)}
    empties = {o.feature_id for o in orders if isinstance(o, CompleteFeature)}
    assert not lands & empties
    held = {run.feature_id for run in snapshot.runs}
    open_features = {t.feature_id for t in snapshot.tasks}
    for feature in snapshot.features:
        done = feature.id not in held and feature.id not in open_features
        if feature.id in lands:
            assert done
            assert feature.passing
        if feature.id in empties:
            assert done
            assert not feature.passing


def _why_idle(snapshot: Snapshot) -> bool:
    """Whether somebody or something else is named by the state: the words of the design."""
    phase = snapshot.phase
    if snapshot.status not in (ProjectStatus.RUNNING, ProjectStatus.PLANNING):
        return True  # a person decides, or it is over
    if not may_start(snapshot):
        return True  # the account's reset, or a person with money
    if any(r.status in ACTIVE for r in snapshot.runs):
        return True  # an agent is at work
    if any(r.status is RunStatus.WAITING and not r.answered for r in snapshot.runs):
        return True  # a person is asked
    full = (snapshot.rules.agents.host_parallel or 0) <= snapshot.agents_elsewhere
    if full:
        return True  # agents of another project are at work
    if snapshot.status is ProjectStatus.PLANNING or (phase and phase.rework):
        wait = snapshot.planner_not_before
        return (wait is not None and wait > NOW) or snapshot.planner_failures >= PLANNER_ATTEMPTS
    if phase is None or phase.status is PhaseStatus.AWAITING_APPROVAL:
        return phase is not None  # the gate
    for feature in snapshot.features:
        mine = [t for t in snapshot.tasks if t.feature_id == feature.id]
        if not mine:
            return False
        if feature.waits_for or feature.status is FeatureStatus.LANDING:
            continue
        ready = [
            t for t in mine
            if t.status is TaskStatus.PENDING
            and not t.blockers
            and (t.not_before is None or t.not_before <= NOW)
        ]  # fmt: skip
        if ready:
            return False
    return bool(snapshot.features)


@given(snapshots())
def test_idle_only_when_nothing_can_be_done(snapshot: Snapshot) -> None:
    if not next_orders(snapshot):
        assert _why_idle(snapshot)


@given(snapshots())
def test_the_next_due_moment_is_ahead_and_given_only_where_time_helps(snapshot: Snapshot) -> None:
    due = next_due(snapshot)
    if due is not None:
        assert due > NOW
        assert snapshot.status in (ProjectStatus.RUNNING, ProjectStatus.PLANNING)
        assert snapshot.budget_left
    if snapshot.status is ProjectStatus.RUNNING and snapshot.budget_left:
        waits = [t.not_before for t in snapshot.tasks if t.not_before and t.not_before > NOW]
        if waits:
            assert due is not None
            assert due <= min(waits)


@given(RUNNING)
def test_after_the_due_moment_the_answer_may_differ_and_before_it_does_not(
    snapshot: Snapshot,
) -> None:
    due = next_due(snapshot)
    if due is not None:
        just_before = replace(snapshot, now=due - timedelta(microseconds=1))
        assert next_orders(just_before) == next_orders(snapshot)


def test_the_same_task_is_not_put_off_twice_before_others() -> None:
    late = a_task(1, deferred=True, attempts=3, priority=1)
    tried = a_task(2, attempts=1)
    fresh = a_task(3, priority=1)
    heavy = a_task(4, rank=9)
    assert [t.id for t in ready_tasks([heavy, late, fresh, tried], NOW)] == [2, 3, 4, 1]


@given(
    st.lists(st.builds(a_task, st.integers(1, 99), complexity=st.integers(1, 5),
                       model=st.sampled_from([None, "sonnet", "opus"])), max_size=5),
    st.integers(1, 5),
    st.integers(1, 5),
)  # fmt: skip
def test_small_tasks_of_one_model_share_a_run(
    others: list[TaskView], taken: int, complexity: int
) -> None:
    found = batch_with(
        a_task(100, complexity=complexity), others, taken=taken, batch=3, model="sonnet",
        coder_model="sonnet",
    )  # fmt: skip
    fitting = [t for t in others if t.complexity <= SMALL and t.model in (None, "sonnet")]
    if taken >= 3 or complexity > SMALL or not fitting:
        assert found is None
    else:
        assert found is fitting[0]


def test_nothing_clashes_with_nothing() -> None:
    assert not clashes(a_task(1, category=SOLO_CATEGORY), [])
    assert clashes(a_task(1, category=SOLO_CATEGORY), [a_task(2)])
    assert clashes(a_task(1), [a_task(2, category=SOLO_CATEGORY)])
    assert clashes(a_task(1, files=("a", "b")), [a_task(2, files=("b",))])
    assert not clashes(a_task(1, files=("a",)), [a_task(2, files=("b",))])


def test_a_parked_run_keeps_its_feature_and_leaves_its_slot() -> None:
    parked = a_run(1, 1, status=RunStatus.WAITING)
    tasks = (a_task(1, 1, status=TaskStatus.IN_PROGRESS), a_task(2, 1), a_task(3, 2))
    snapshot = a_snapshot(
        rules=Rules(agents=Agents(max_parallel=1)), runs=(parked,), tasks=tasks,
        features=(a_feature(1), a_feature(2)),
    )  # fmt: skip
    (order,) = next_orders(snapshot)
    assert isinstance(order, StartRun)
    assert (order.feature_id, order.task_id, order.slot) == (2, 3, 2)
    answered = replace(snapshot, runs=(replace(parked, answered=True),))
    assert next_orders(answered) == (ResumeRun(1, AgentKind.CODER, 1),)
    busy = replace(answered, runs=(*answered.runs, a_run(2, 2)))
    assert next_orders(busy) == ()


def test_a_resumed_run_comes_before_a_new_one_in_the_last_slot() -> None:
    parked = a_run(1, 1, status=RunStatus.WAITING, answered=True)
    snapshot = a_snapshot(
        rules=Rules(agents=Agents(max_parallel=2)),
        runs=(parked, a_run(2, 2)),
        tasks=(a_task(3, 3),),
        features=tuple(a_feature(n) for n in (1, 2, 3)),
    )
    assert [type(o) for o in next_orders(snapshot) if not isinstance(o, CompleteFeature)] == [
        ResumeRun
    ]


@pytest.mark.parametrize(
    ("snapshot", "wanted"),
    [
        (a_snapshot(phase=None), FinishProject),
        (a_snapshot(), AskApproval),
        (a_snapshot(features=(a_feature(1, passing=1),)), Land),
        (a_snapshot(features=(a_feature(1, passing=1, status=FeatureStatus.LANDING),)), Land),
        (a_snapshot(features=(a_feature(1),)), CompleteFeature),
        (a_snapshot(phase=replace(PHASE, rework=True)), StartRun),
        (a_snapshot(status=ProjectStatus.PLANNING, phase=None), StartRun),
        (a_snapshot(status=ProjectStatus.PLANNING, phase=None, planner_failures=3), Block),
    ],
)
def test_what_each_state_asks_for(snapshot: Snapshot, wanted: type[object]) -> None:
    assert [type(order) for order in next_orders(snapshot)] == [wanted]


def test_stuck_tasks_are_skipped_only_where_a_person_said_so() -> None:
    stuck = a_task(1, status=TaskStatus.STUCK)
    snapshot = a_snapshot(features=(a_feature(1),), tasks=(stuck,))
    assert next_orders(snapshot) == ()
    assert next_orders(replace(snapshot, rules=Rules(agents=Agents(on_stuck=OnStuck.SKIP)))) == (
        SkipStuck(1),
    )


def test_a_gate_that_is_open_holds_everything() -> None:
    gate = replace(PHASE, status=PhaseStatus.AWAITING_APPROVAL)
    snapshot = a_snapshot(phase=gate, features=(a_feature(1),), tasks=(a_task(1),))
    assert next_orders(snapshot) == ()
