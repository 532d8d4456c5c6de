"""Plans: what is wrong with one, what waits for what, how two differ."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain import plan as plans
from core.domain.plan import (
    Known,
    Plan,
    PlannedFeature,
    PlannedPhase,
    PlannedTask,
    changes,
    estimate,
    find_cycle,
    lifted_dependencies,
    problems,
    ranks,
)
from tests.unit.domain.random_plans import sound_plans

CHECK = ("test -f a",)
SOME = settings(max_examples=40)  # plans are costly to draw


def task(name: str, *waits: str, checks: tuple[str, ...] = CHECK) -> PlannedTask:
    return PlannedTask(name, checks=checks, depends_on=waits)


def feature(name: str, *tasks: PlannedTask, waits: tuple[str, ...] = ()) -> PlannedFeature:
    return PlannedFeature(name, tasks, depends_on=waits)


def plan(*phases: tuple[PlannedFeature, ...]) -> Plan:
    return Plan(tuple(PlannedPhase(f"phase {n}", fs) for n, fs in enumerate(phases)))


SOUND = plan((feature("a", task("1")), feature("b", task("2", "1"))))


def with_task(made: Plan, old: str, /, **changed: Any) -> Plan:
    """The plan with one task changed."""
    return replace(
        made,
        phases=tuple(
            replace(
                phase,
                features=tuple(
                    replace(
                        f,
                        tasks=tuple(replace(t, **changed) if t.name == old else t for t in f.tasks),
                    )
                    for f in phase.features
                ),
            )
            for phase in made.phases
        ),
    )


@SOME
@given(sound_plans())
def test_a_sound_plan_has_no_problem(made: Plan) -> None:
    assert problems(made) == ()


@SOME
@given(sound_plans(), st.data())
def test_one_more_dependency_backwards_is_a_circle(made: Plan, data: st.DataObject) -> None:
    """Whatever depends on X: X depending on it is a cycle of tasks."""
    chained = [(t.name, d) for t in made.tasks() for d in t.depends_on]
    if not chained:
        return
    later, earlier = data.draw(st.sampled_from(chained))
    wrong = with_task(made, earlier, depends_on=(later,))
    assert any("circle" in p or "later phase" in p for p in problems(wrong))


@SOME
@given(sound_plans(), st.data())
def test_a_dependency_on_nothing_is_named(made: Plan, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([t.name for t in made.tasks()]))
    wrong = with_task(made, name, depends_on=("nowhere",))
    assert f"Task {name!r} depends on unknown task 'nowhere'." in problems(wrong)


@SOME
@given(sound_plans(), st.data())
def test_a_name_used_twice_is_named(made: Plan, data: st.DataObject) -> None:
    names = [t.name for t in made.tasks()]
    if len(names) < 2:
        return
    one, other = data.draw(st.permutations(names))[:2]
    wrong = with_task(made, other, name=one)
    assert f"Task name {one!r} is used 2 times: names are unique." in problems(wrong)


@SOME
@given(sound_plans(), st.data(), st.text(max_size=130))
def test_a_name_is_printable_and_short_or_a_problem(
    made: Plan, data: st.DataObject, name: str
) -> None:
    old = data.draw(st.sampled_from([t.name for t in made.tasks()]))
    found = problems(with_task(made, old, name=name))
    good = bool(name) and len(name) <= 120 and name == name.strip() and name.isprintable()
    if not good:
        assert found
        assert all(len(p) < 400 for p in found)


WRONG: list[tuple[Plan, str]] = [
    (Plan(()), "no phases"),
    (plan(()), "Phase 'phase 0' has no features"),
    (plan((feature("a"),)), "Feature 'a' has no tasks"),
    (plan((feature("a", task("1", checks=())),)), "Task '1' has no check"),
    (plan((feature("a", task("1", checks=(" ", ""))),)), "Task '1' has no check"),
    (plan((feature("a", task("1", "1")),)), "Task '1' depends on itself"),
    (plan((feature("a", task("1"), waits=("a",)),)), "Feature 'a' depends on itself"),
    (plan((feature("a", task("1"), waits=("x",)),)), "unknown feature 'x'"),
    (plan((feature("a", task("1", "2"), task("2", "1")),)), "circle: "),
    (
        plan((feature("a", task("1"), waits=("b",)), feature("b", task("2"), waits=("a",)))),
        "Features depend on each other in a circle",
    ),
    (  # the tasks make no circle, the features they lift to do
        plan((feature("a", task("1"), task("4", "2")), feature("b", task("2"), task("3", "1")))),
        "Features depend on each other in a circle",
    ),
    (plan((feature("a", task("1", "2")),), (feature("b", task("2")),)), "'2' of a later phase"),
    (
        plan((feature("a", task("1"), waits=("b",)),), (feature("b", task("2")),)),
        "'b' of a later phase",
    ),
    (plan((feature("a", task("1")), feature("a", task("2")))), "Feature name 'a' is used 2 times"),
    (plan((feature("", task("1")),)), "A feature has no name"),
    (plan((feature("a\nb", task("1")),)), "control characters"),
    (plan((feature("a", task("x" * 121)),)), "over 120 characters"),
    (plan((feature("a", task(" 1")),)), "begins or ends with a space"),
    (plan((feature("a", PlannedTask("1", complexity=0, checks=CHECK)),)), "complexity 0"),
    (plan((feature("a", PlannedTask("1", complexity=6, checks=CHECK)),)), "complexity 6"),
    (plan((feature("a", task("1", checks=CHECK * 21)),)), "21 checks; at most 20"),
    (plan((feature("a", PlannedTask("1", steps=("s",) * 51, checks=CHECK)),)), "51 steps"),
    (plan((feature("a", PlannedTask("1", "d" * 20_001, checks=CHECK)),)), "over 20,000"),
    (plan((PlannedFeature("a", (task("1"),), spec="s" * 100_001),)), "over 100,000"),
    (plan((feature("a", *(task(str(n)) for n in range(2001))),)), "2001 tasks; at most 2000"),
    (replace(SOUND, setup=(" ",)), "setup command is blank"),
    (replace(SOUND, setup=("a\0b",)), "setup command is blank or holds control"),
    (replace(SOUND, setup=("a\nb",)), "setup command has several lines"),
    (replace(SOUND, setup=("a" * 1_201,)), "setup commands have over 1,200 characters"),
    (replace(SOUND, setup=("a" * 300,) * 5), "setup commands have over 1,200 characters"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_wrong_is_said(wrong: Plan, words: str) -> None:
    assert any(words in problem for problem in problems(wrong)), problems(wrong)


def test_refused_checks_are_named_with_the_reason() -> None:
    made = replace(SOUND, checks=("curl x",))
    found = problems(made, refused_checks={"curl x": "no network", "test -f a": "not today"})
    assert "Plan-wide check 'curl x' is refused: no network" in found
    assert "Check 'test -f a' of task '1' is refused: not today" in found
    assert made.check_commands() == ("curl x", "test -f a")


def test_an_addition_builds_on_what_is_there_and_names_only_new_things() -> None:
    known = Known(tasks={"1": "a"}, features={"a"})
    new = plan((feature("c", task("9", "1"), waits=("a",)),))
    assert problems(new, known=known) == ()
    assert lifted_dependencies(new, known) == {"c": {"a"}}
    assert "Task '1' exists already: state only what is new." in problems(SOUND, known=known)
    assert "Feature 'a' exists already: state only what is new." in problems(SOUND, known=known)


def test_an_addition_cannot_wait_for_a_later_phase() -> None:
    """It would wait for ever: that phase begins when this one is approved."""
    known = Known(tasks={"1": "a", "2": "b"}, features={"a", "b"}, later={"b", "2"})
    by_task = plan((feature("c", task("9", "2")),))
    by_feature = plan((feature("c", task("9"), waits=("b",)),))
    assert problems(by_task, known=known) == ("Task '9' depends on '2' of a later phase.",)
    assert problems(by_feature, known=known) == ("Feature 'c' depends on 'b' of a later phase.",)


@SOME
@given(sound_plans())
def test_lifting_covers_every_dependency_between_features(made: Plan) -> None:
    lifted = lifted_dependencies(made)
    home = {t.name: f.name for f in made.features() for t in f.tasks}
    for f in made.features():
        wanted = set(f.depends_on) | {home[d] for t in f.tasks for d in t.depends_on}
        assert lifted[f.name] == wanted - {f.name}
    assert not find_cycle(lifted)


GRAPHS = st.integers(1, 7).flatmap(
    lambda size: st.fixed_dictionaries(
        {n: st.sets(st.integers(0, size - 1), max_size=3) for n in range(size)}
    )
)


@given(GRAPHS)
def test_a_cycle_is_found_exactly_when_no_order_exists(graph: dict[int, set[int]]) -> None:
    named = {str(n): {str(w) for w in waits} for n, waits in graph.items()}
    cycle = find_cycle(named)
    if len(graph) <= 6:
        ordered = any(
            all(o.index(w) < o.index(n) for n, waits in graph.items() for w in waits)
            for o in permutations(graph)
        )
        assert bool(cycle) == (not ordered)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(b in named[a] or a in named[b] for a, b in pairwise(cycle))


@st.composite
def weighted_graphs(draw: st.DrawFn) -> tuple[dict[int, set[int]], dict[int, int]]:
    size = draw(st.integers(0, 8))
    graph = {
        n: draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set() for n in range(size)
    }
    return graph, {n: draw(st.integers(1, 5)) for n in range(size)}


@given(weighted_graphs())
def test_ranks_are_the_heaviest_chains(made: tuple[dict[int, set[int]], dict[int, int]]) -> None:
    graph, weight = made

    def heaviest(task: int) -> int:
        return weight[task] + max((heaviest(n) for n in graph if task in graph[n]), default=0)

    assert ranks(graph, weight) == {task: heaviest(task) for task in graph}


@SOME
@given(sound_plans())
def test_a_plan_does_not_differ_from_itself(made: Plan) -> None:
    assert changes(made, made) == ()


@SOME
@given(sound_plans(), sound_plans())
def test_changes_name_all_that_came_and_went(old: Plan, new: Plan) -> None:
    lines = changes(old, new)
    before, after = {t.name: t for t in old.tasks()}, {t.name: t for t in new.tasks()}
    assert {x[7:] for x in lines if x.startswith("+ task ")} == set(after) - set(before)
    assert {x[7:] for x in lines if x.startswith("− task ")} == set(before) - set(after)
    assert {x[7:] for x in lines if x.startswith("~ task ")} == {
        name for name in set(before) & set(after) if before[name] != after[name]
    }
    assert ("~ summary" in lines) == (old.summary != new.summary)


@given(st.lists(st.integers(1, 5), max_size=20), st.integers(1, 8))
def test_an_estimate_is_a_range_that_grows_with_work(levels: list[int], lanes: int) -> None:
    made = estimate(levels, parallel=lanes)
    assert Decimal(0) <= made.cost_usd[0] <= made.cost_usd[1]
    assert 0 <= made.minutes[0] <= made.minutes[1]
    assert estimate([*levels, 3], parallel=lanes).cost_usd > made.cost_usd
    assert estimate(levels, parallel=lanes + 1).minutes <= made.minutes


def test_a_plan_of_the_largest_size_is_judged_at_once() -> None:
    chain = tuple(task(f"t{n}", *([f"t{n - 1}"] if n else [])) for n in range(plans.MAX_TASKS))
    assert problems(plan((PlannedFeature("a", chain),))) == ()
