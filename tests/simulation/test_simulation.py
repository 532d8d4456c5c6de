"""Months of chaos over `next_orders` and the operations; each seed is a world."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from core.domain.failure import RESTART_LIMIT
from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    FeatureStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
)
from core.domain.orders import ACTIVE
from core.operations import plans
from core.store.tables import Approval, Feature, Phase, Run, Task, TaskDependency
from tests.simulation.actors import Agents, Person, pass_time
from tests.simulation.world import MAX_ATTEMPTS, World

Rows = Sequence[Row[*tuple[Any, ...]]]
TASKS = select(
    Task.id, Task.status, Task.attempts, Task.allowed_attempts, Task.run_id, Task.feature_id,
    Task.blockers, Task.merging,
)  # fmt: skip
RUNS = select(Run.id, Run.status, Run.feature_id, Run.phase_id)
FEATURES = select(Feature.id, Feature.status, Feature.phase_id, Feature.landed_commit)
PHASES = select(Phase.id, Phase.status, Phase.position)
APPROVALS = select(
    Approval.id, Approval.kind, Approval.status, Approval.decided_by, Approval.decided_at,
    Approval.reason,
)  # fmt: skip
EDGES = select(TaskDependency.task_id, TaskDependency.depends_on_id)
HELD = tuple(status for status in RunStatus if status is not RunStatus.ENDED)


class Watch:
    """What must hold after every step, whatever happened."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.passing: set[int] = set()
        self.completed: set[tuple[str, int]] = set()
        self.decided: dict[int, tuple[object, ...]] = {}

    def look(self) -> None:
        self.world.db.ask(self._look)

    def _look(self, tx: Session) -> None:
        tasks = tx.execute(TASKS).all()
        runs = tx.execute(RUNS).all()
        features = tx.execute(FEATURES).all()
        phases = {p.id: p for p in tx.execute(PHASES)}
        held = [run for run in runs if run.status in HELD]
        self._one_run_per_task(tasks, held)
        self._gates_hold(held, phases)
        active = sum(run.status in ACTIVE for run in held)
        assert active <= self.world.rules.agents.max_parallel
        assert active <= (self.world.rules.agents.host_parallel or 0)
        assert all(t.attempts <= t.allowed_attempts for t in tasks)
        assert not any(t.attempts == t.allowed_attempts and t.status in _OPEN for t in tasks)
        self._nothing_is_lost(tasks, features, phases)
        self._decisions_stay(tx)
        self._blockers_are_right(tx, tasks)
        self._runs_are_bounded(tasks, runs)

    def _one_run_per_task(self, tasks: Rows, held: Rows) -> None:
        coders = {run.id: run for run in held if run.feature_id}
        features = Counter(run.feature_id for run in coders.values())
        assert all(n == 1 for n in features.values()), "two agents in one feature"
        assert sum(run.feature_id is None for run in held) <= 1, "two planners"
        at_work = [t for t in tasks if t.status is TaskStatus.IN_PROGRESS]
        by_run = Counter(t.run_id for t in at_work)
        assert all(n == 1 for n in by_run.values()), "a run with two tasks"
        for task in at_work:
            assert task.run_id in coders, "a task that is with nobody"
            assert coders[task.run_id].feature_id == task.feature_id

    def _gates_hold(self, held: Rows, phases: dict[int, Row[*tuple[Any, ...]]]) -> None:
        for run in held:
            if run.phase_id is not None:
                phase = phases[run.phase_id]
                assert phase.status is not PhaseStatus.PENDING
                if run.feature_id:
                    assert phase.status is PhaseStatus.IN_PROGRESS
        order = sorted(phases.values(), key=lambda p: p.position)
        for before, after in pairwise(order):
            if after.status is not PhaseStatus.PENDING:
                assert before.status is PhaseStatus.COMPLETED

    def _nothing_is_lost(
        self, tasks: Rows, features: Rows, phases: dict[int, Row[*tuple[Any, ...]]]
    ) -> None:
        passing = {t.id for t in tasks if t.status is TaskStatus.PASSING}
        assert self.passing <= passing, "a proved task does not pass any more"
        self.passing = passing
        completed = {("phase", p.id) for p in phases.values() if p.status is PhaseStatus.COMPLETED}
        completed |= {("feature", f.id) for f in features if f.status is FeatureStatus.COMPLETED}
        assert self.completed <= completed
        self.completed = completed
        for feature in features:
            if feature.status is FeatureStatus.COMPLETED:
                own = [t for t in tasks if t.feature_id == feature.id]
                assert all(t.status in _OVER for t in own), "open work in a completed feature"
                left_out = any(t.merging and t.status is TaskStatus.SKIPPED for t in own)
                if not left_out and any(t.status is TaskStatus.PASSING for t in own):
                    assert feature.landed_commit, "proved work that never landed"
        for phase in phases.values():
            if phase.status in (PhaseStatus.COMPLETED, PhaseStatus.AWAITING_APPROVAL):
                own_features = [f for f in features if f.phase_id == phase.id]
                assert all(f.status is FeatureStatus.COMPLETED for f in own_features)

    def _decisions_stay(self, tx: Session) -> None:
        approvals = tx.execute(APPROVALS).all()
        opened = Counter(a.kind for a in approvals if a.status is ApprovalStatus.OPEN)
        assert opened[ApprovalKind.PLAN] <= 1
        assert opened[ApprovalKind.GATE] <= 1
        for approval in approvals:
            said = (approval.status, approval.decided_by, approval.decided_at, approval.reason)
            assert self.decided.get(approval.id, said) == said, "a decision changed"
            if approval.status is not ApprovalStatus.OPEN:
                self.decided[approval.id] = said

    def _blockers_are_right(self, tx: Session, tasks: Rows) -> None:
        by_id = {t.id: t for t in tasks}
        waits: Counter[int] = Counter()
        for edge in tx.execute(EDGES):
            task, other = by_id[edge.task_id], by_id[edge.depends_on_id]
            same = task.feature_id == other.feature_id
            waits[task.id] += same and other.status is not TaskStatus.PASSING
        assert all(t.blockers == waits[t.id] for t in tasks)

    def _runs_are_bounded(self, tasks: Rows, runs: Rows) -> None:
        """No combination of failures starts runs for ever.

        Each coder's run ends in an attempt, a pass, an accident, a question, or free of charge;
        a task has `MAX_ATTEMPTS` attempts and as many more per retry of a person, and at most
        RESTART_LIMIT accidents between two of those.
        """
        counts = self.world.counts
        chances = MAX_ATTEMPTS * (len(tasks) + counts["retried"])
        assert sum(t.attempts for t in tasks) <= chances
        ends = chances + len(tasks)
        accidents = RESTART_LIMIT * (ends + counts["retried"])
        coders = sum(run.feature_id is not None for run in runs)
        active = sum(run.feature_id is not None and run.status in HELD for run in runs)
        assert coders <= ends + accidents + counts["free"] + counts["taken up"] + active


_OPEN = (TaskStatus.PENDING, TaskStatus.IN_PROGRESS)
_OVER = (TaskStatus.PASSING, TaskStatus.SKIPPED)


def chaos(world: World, watch: Watch, steps: int) -> None:
    dice, agents, person = world.dice, Agents(world), Person(world)

    def happen() -> None:
        roll = dice.random()
        if roll < 0.01:
            world.crash()
        elif roll < 0.15:
            pass_time(world)
        elif roll < 0.3 or not (world.agents or world.jobs):
            person.step()
        elif world.agents and (roll < 0.8 or not world.jobs):
            agents.step(world.agents[dice.choice([*world.agents])])
        else:
            world.jobs.pop(dice.choice([*world.jobs]))()

    def now_and_then() -> None:
        if dice.random() < 0.15:
            happen()

    for _ in range(steps):
        if dice.random() < 0.3:
            world.tick(now_and_then)
        else:
            happen()
        if dice.random() < 0.5:
            watch.look()


def peace(world: World, watch: Watch, steps: int) -> None:
    """Everybody behaves well from now on: the project completes."""
    world.calm = True
    agents, person = Agents(world), Person(world)
    for _ in range(steps):
        if world.status() is ProjectStatus.COMPLETED:
            return
        world.tick()
        watch.look()
        for agent in list(world.agents.values()):
            agents.step(agent)
        for key in list(world.jobs):
            world.jobs.pop(key)()
        if not world.agents and not world.jobs:
            world.tick()
            world.check_alive()
            person.step()
            pass_time(world)
    raise AssertionError(f"not complete after {steps} peaceful steps: {world.look()}")


def live(seed: int, steps: int) -> World:
    world = World(Random(seed))
    watch = Watch(world)
    chaos(world, watch, steps)
    peace(world, watch, 1000)
    world.db.ask(lambda tx: _ranks_are_right(tx, world.project))
    return world


def _ranks_are_right(tx: Session, project: int) -> None:
    stored = {t.id: (t.rank, t.blockers) for t in tx.scalars(select(Task))}
    plans.refresh_order(tx, project)
    assert {t.id: (t.rank, t.blockers) for t in tx.scalars(select(Task))} == stored


@pytest.mark.parametrize("first", range(0, 10, 2))
def test_small_worlds(first: int) -> None:
    for seed in range(first, first + 2):
        world = live(seed, 50)
        assert world.status() is ProjectStatus.COMPLETED
        world.db.close()


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1400, 20))
def test_larger_worlds(first: int) -> None:
    for seed in range(first, first + 20):
        world = live(seed, 150)
        assert world.status() is ProjectStatus.COMPLETED
        world.db.close()
