"""No combination of failures starts runs for ever: without a person every world comes to rest."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import combinations
from random import Random

import pytest
from sqlalchemy import func, select

from core.domain.agents import AgentKind, FailureKind, RunOutcome
from core.domain.failure import REFUSAL_LIMIT, RESTART_LIMIT, WINDOW_LIMIT, EndedHow, RunEnd
from core.domain.lifecycle import ProjectStatus
from core.domain.money import MessageUsage, Price, Tokens
from core.domain.orders import PLANNER_ATTEMPTS
from core.domain.proof import CheckResult, Verdict
from core.operations import evidence, plans, runs, spending, tasks
from core.operations.evidence import Proof
from core.ports.agents import LimitReport
from core.store.tables import Project, Task
from tests.simulation.actors import Agents, Person, a_plan, pass_time
from tests.simulation.world import MAX_ATTEMPTS, RULES, UPSTREAM, Agent, World

Deed = Callable[[World, Agent, Sequence[int]], None]


def ends(outcome: RunOutcome, how: EndedHow, failure: FailureKind | None = None) -> Deed:
    """An agent whose run ends so, whatever it was given."""
    ended = RunEnd(outcome, how, f"it {outcome}", failure)
    return lambda world, agent, held: world.end(agent, ended)


def limited(world: World, agent: Agent, held: Sequence[int], *, answered: bool = False) -> None:
    """The account refuses; a nasty one answers once between."""
    process = agent.process or 0
    if world.db.do(spending.admit, process, UPSTREAM, world.rules, now=world.now) is None:
        if answered:
            world.serial += 1
            usage = MessageUsage(f"m{world.serial}", "s", "s", Tokens())
            free = Price(Decimal(0), Decimal(0))
            world.db.do(
                spending.book, process, "p", usage, lambda _: free, world.rules, now=world.now
            )
            world.db.do(spending.unlimited, UPSTREAM, now=world.now)
        report = LimitReport(429, {"retry-after": "0"}, "limited")
        world.db.do(spending.limited, UPSTREAM, process, report, now=world.now)
    world.end(agent, RunEnd(RunOutcome.RATE_LIMITED, EndedHow.WINDOW, "limited"))


def answered_then_limited(world: World, agent: Agent, held: Sequence[int]) -> None:
    limited(world, agent, held, answered=True)


def refused(world: World, agent: Agent, held: Sequence[int]) -> None:
    """Five proofs without work, or five plans without phases."""
    for task in held:
        red = CheckResult("true", 1, "boom", 0.1)
        for _ in range(REFUSAL_LIMIT):
            proof = Proof(Verdict.RED, world.commit(), [red])
            world.db.do(evidence.record_proof, task, agent.run.id, proof, now=world.now)
    world.end(agent, RunEnd(RunOutcome.STOPPED, EndedHow.AGENT, "five refusals"))


def released(world: World, agent: Agent, held: Sequence[int]) -> None:
    for task in held:
        world.allowed(partial(world.db.do, tasks.defer, task))
        world.db.do(runs.let_go, agent.run.id, task, "too hard", RULES, now=world.now)
    world.end(agent, RunEnd(RunOutcome.FINISHED, EndedHow.AGENT, "gave it back"))


def well(world: World, agent: Agent, held: Sequence[int]) -> None:
    """Does what is wanted; a planner makes rework."""
    for task in held:
        world.pass_task(task, agent.run.id)
    if agent.run.kind is AgentKind.PLANNER:
        world.serial += 1
        have = world.db.do(plans.known, world.project)
        plan = a_plan(world.dice, world.serial, replace(have, tasks={}), wild=False)
        world.db.do(plans.submit, agent.run.id, plan, {}, max_attempts=MAX_ATTEMPTS, now=world.now)
    world.end(agent, RunEnd(RunOutcome.FINISHED, EndedHow.AGENT, "done"))


DEEDS: dict[str, Deed] = {
    "finished": ends(RunOutcome.FINISHED, EndedHow.AGENT),
    "request": ends(RunOutcome.FAILED, EndedHow.AGENT, FailureKind.REQUEST),
    "transient": ends(RunOutcome.FAILED, EndedHow.ACCIDENT, FailureKind.TRANSIENT),
    "silence": ends(RunOutcome.INTERRUPTED, EndedHow.ACCIDENT),
    "credentials": ends(RunOutcome.FAILED, EndedHow.CREDENTIALS, FailureKind.CREDENTIALS),
    "limited": limited,
    "answered then limited": answered_then_limited,
    "refused": refused,
    "released": released,
    "well": well,
}
SMALL = 5  # a seed whose plan is small
FREE = {"limited", "answered then limited"}


def planned(seed: int) -> World:
    """A world whose plan was approved; nobody is there from now on but for the gates."""
    world = World(Random(seed))
    three = replace(world.rules.agents, host_parallel=3)
    world.rules = replace(world.rules, agents=three)
    world.calm = True
    agents, person = Agents(world), Person(world)
    while world.status() is not ProjectStatus.RUNNING:
        world.tick()
        for agent in list(world.agents.values()):
            agents.step(agent)
        person.step()
    world.calm = False
    world.counts.clear()
    return world


def rest(world: World, deeds: Sequence[Deed], limit: int) -> None:
    """Go on until nothing is ordered, at work, or due; at most `limit` runs may begin."""
    work = Agents(world)
    while True:
        world.tick()
        assert world.counts["begun"] <= limit, f"more than {limit} runs"
        if not (world.agents or world.jobs or world.decided):
            if world.due is None:
                break
            pass_time(world)
        for agent in list(world.agents.values()):
            if agent.process is None or agent.stopped:
                work.step(agent)
                continue
            held = [t.id for t in world.db.do(tasks.held_by, agent.run.id)]
            world.dice.choice(deeds)(world, agent, held)
        for key in list(world.jobs):
            world.jobs.pop(key)()
    assert world.waits_for() is not None, f"a dead end: {world.look()}"


def size(world: World) -> tuple[int, int]:
    """Tasks that were made so far, and features with a run of their own."""
    made = world.db.ask(lambda tx: tx.scalar(select(func.count()).select_from(Task)) or 0)
    seen = world.db.ask(lambda tx: len(set(tx.scalars(select(Task.feature_id)))))
    return made, seen


@pytest.mark.parametrize("name", sorted(set(DEEDS) - {"well"}))
def test_one_failure_for_ever(name: str) -> None:
    world = planned(SMALL)
    made, seen = size(world)
    attempts = MAX_ATTEMPTS * made
    bound = {
        "transient": attempts * (RESTART_LIMIT + 1),
        "silence": attempts * (RESTART_LIMIT + 1),
        "credentials": world.rules.agents.max_parallel,
        "limited": WINDOW_LIMIT * seen,
        "answered then limited": WINDOW_LIMIT * seen,
    }.get(name, attempts)
    rest(world, [DEEDS[name]], bound)
    assert world.counts["begun"] >= 1
    world.db.close()


@pytest.mark.parametrize("name", sorted(set(DEEDS) - {"well"}))
def test_a_planner_that_always_fails_asks_a_person(name: str) -> None:
    world = World(Random(2))
    rest(world, [DEEDS[name]], max(PLANNER_ATTEMPTS * (RESTART_LIMIT + 1), WINDOW_LIMIT))
    project = world.db.ask(lambda tx: tx.get_one(Project, world.project))
    assert project.status is ProjectStatus.BLOCKED
    assert project.blocked_reason
    world.db.close()


def mixed(seed: int, names: Sequence[str]) -> str:
    """What a world waits for at last in which agents do these things."""
    world = planned(seed)
    world.lands = world.dice.choice([0.0, 0.5, 1.0])
    made, _ = size(world)
    # bring-up and rework tasks are made by failing landings and gates: three of each at most
    made += 3 * made + 3
    ended = MAX_ATTEMPTS * made * (RESTART_LIMIT + 1) + made
    rest(world, [DEEDS[name] for name in names], ended * (WINDOW_LIMIT if FREE & {*names} else 1))
    found = world.waits_for() or ""
    world.db.close()
    return found


PAIRS = list(combinations(sorted(set(DEEDS) - {"credentials"}), 2))


@pytest.mark.slow
@pytest.mark.parametrize("names", PAIRS, ids=" and ".join)
def test_two_failures_by_turns(names: tuple[str, str]) -> None:
    for seed in range(3):
        assert mixed(seed, names)


@pytest.mark.slow
def test_all_failures_at_once() -> None:
    for seed in range(40):
        assert mixed(seed, sorted(DEEDS))
