"""Plans: shown, revised, approved into rows, extended."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from sqlalchemy import select

from core.domain import plan as domain
from core.domain.agents import AgentKind
from core.domain.lifecycle import ApprovalStatus, PhaseStatus, ProjectStatus, TaskStatus
from core.domain.order import StartRun
from core.domain.orders import PLANNER_ATTEMPTS, next_orders
from core.domain.plan import Plan, PlannedFeature, PlannedPhase
from core.errors import StateError
from core.operations import plans, projects
from core.store.tables import (
    Approval,
    Feature,
    FeatureDependency,
    Phase,
    Project,
    Task,
    TaskDependency,
)
from core.store.tables import Plan as PlanRow
from tests.unit.domain.random_plans import sound_plans
from tests.unit.operations.build import DIED, GIVEN_UP, NOW, Site, plan, task
from tests.unit.operations.test_approvals import to_the_gate

SMALL = plan({"a": (task("1"),), "b": (task("2", "1"),)})


def status(site: Site) -> ProjectStatus:
    return site.db.ask(lambda tx: tx.get_one(Project, site.project).status)


def test_a_sound_plan_is_shown_and_waits_for_a_person(site: Site) -> None:
    approval = site.plan(SMALL)
    row = site.db.ask(lambda tx: tx.get_one(Approval, approval))
    assert (row.version, row.status) == ("1", ApprovalStatus.OPEN)
    assert status(site) is ProjectStatus.AWAITING_APPROVAL
    assert site.db.ask(lambda tx: tx.scalars(select(Task)).all()) == []


def test_the_priorities_of_a_plan_say_what_is_begun_first(site: Site) -> None:
    """Lower goes first; what names none is as usual."""

    made = Plan(
        (
            PlannedPhase(
                "1",
                (
                    PlannedFeature("late", (task("1"),), priority=5),
                    PlannedFeature("usual", (task("2", complexity=5),)),
                    PlannedFeature("urgent", (task("3"), task("4", priority=1))),
                ),
            ),
        )
    )
    site.approve(site.plan(made))
    assert [site.feature(f).priority for f in ("late", "usual", "urgent")] == [5, 0, 0]
    assert [site.task(n).priority for n in (1, 4)] == [999, 1]
    found = [(o.task_id, o.reason) for o in next_orders(site.look()) if isinstance(o, StartRun)]
    assert found == [
        (site.task(4).id, "priority 1"),
        (site.task(2).id, "5 points of work wait behind it"),
        (site.task(1).id, "priority 5 of late"),
    ]


def test_a_priority_is_a_number_from_nought(site: Site) -> None:
    made = plan({"a": (task("1", priority=-1),)})
    [problem] = site.submit(made, site.begin(AgentKind.PLANNER))
    assert problem == "Task '1' has priority -1; use 0 to 9999."


def test_a_wrong_plan_changes_nothing(site: Site) -> None:
    run = site.begin(AgentKind.PLANNER)
    assert site.submit(Plan(()), run)
    assert site.submit(SMALL, run, {"true": "not today"})
    assert site.open() == []
    assert status(site) is ProjectStatus.PLANNING


def test_a_planner_may_think_again_before_anybody_decided(site: Site) -> None:
    run = site.begin(AgentKind.PLANNER)
    site.submit(SMALL, run)
    first = site.open()[0]
    site.submit(replace(SMALL, summary="better"), run)
    assert len(site.open()) == 1
    assert site.db.ask(lambda tx: tx.get_one(Approval, first).status) is ApprovalStatus.WITHDRAWN
    with pytest.raises(StateError, match="withdrawn"):
        site.approve(first)


def test_a_revised_plan_says_what_changed(site: Site) -> None:
    site.reject(site.plan(SMALL), "too small")
    assert status(site) is ProjectStatus.PLANNING
    site.plan(plan({"a": (task("1"),), "c": (task("3"),)}))
    rows = site.db.ask(lambda tx: tx.scalars(select(PlanRow).order_by(PlanRow.version)).all())
    assert [row.version for row in rows] == [1, 2]
    assert set(rows[1].changes) == {"+ feature c", "− feature b", "+ task 3", "− task 2"}


@settings(max_examples=25)
@given(sound_plans())
def test_an_approved_plan_is_rows_with_every_word_and_edge(made: Plan) -> None:
    site = Site()
    site.approve(site.plan(made))
    tasks = site.db.ask(lambda tx: tx.scalars(select(Task).order_by(Task.number)).all())
    assert [t.name for t in tasks] == [t.name for t in made.tasks()]
    assert [t.description for t in tasks] == [t.description for t in made.tasks()]
    assert [tuple(t.steps) for t in tasks] == [t.steps for t in made.tasks()]
    assert [t.number for t in tasks] == list(range(1, len(tasks) + 1))
    names = {t.id: t.name for t in tasks}
    edges = site.db.ask(lambda tx: tx.scalars(select(TaskDependency)).all())
    assert {(names[e.task_id], names[e.depends_on_id]) for e in edges} == {
        (t.name, d) for t in made.tasks() for d in t.depends_on
    }
    called = {f.id: f.name for f in site.db.ask(lambda tx: tx.scalars(select(Feature)).all())}
    lifted = site.db.ask(lambda tx: tx.scalars(select(FeatureDependency)).all())
    assert {(called[e.feature_id], called[e.depends_on_id]) for e in lifted} == {
        (f, d) for f, waits in domain.lifted_dependencies(made).items() for d in waits
    }
    phases = site.db.ask(lambda tx: tx.scalars(select(Phase).order_by(Phase.position)).all())
    assert [p.status for p in phases] == [PhaseStatus.IN_PROGRESS] + [PhaseStatus.PENDING] * (
        len(phases) - 1
    )
    site.db.close()


def test_blockers_count_within_a_feature_and_ranks_go_to_the_end(site: Site) -> None:
    site.build(
        {
            "a": (task("1", complexity=1), task("2", "1", complexity=3)),
            "b": (task("3", "2", complexity=5), task("4", complexity=2)),
        }
    )
    assert [site.task(n).blockers for n in (1, 2, 3, 4)] == [0, 1, 0, 0]
    assert [site.task(n).rank for n in (1, 2, 3, 4)] == [9, 8, 5, 2]


def test_a_plan_becomes_rows_once(site: Site) -> None:
    site.build({"a": (task("1"),)})
    row = site.db.ask(lambda tx: tx.scalars(select(PlanRow)).one())
    with pytest.raises(StateError, match="approved plan already"):
        site.db.do(
            lambda tx: plans.instantiate(
                tx, tx.get_one(Project, site.project), tx.merge(row), max_attempts=5
            )
        )


def rejected_gate(site: Site, *phases: dict[str, tuple[domain.PlannedTask, ...]]) -> Site:
    site.build(*phases)
    site.reject(to_the_gate(site), "the list is not sorted")
    return site


def test_rework_is_added_to_the_rejected_phase(site: Site) -> None:
    rejected_gate(site, {"a": (task("1"),)}, {"z": (task("9"),)})
    phase = site.feature("a").phase_id
    run = site.begin(AgentKind.PLANNER, phase_id=phase)
    assert site.submit(plan({"r": (task("3", "1"), task("4", "3"))}), run) == ()
    assert site.feature("r").phase_id == phase
    assert [site.task(n).name for n in (3, 4)] == ["3", "4"]
    assert (site.task(3).blockers, site.task(4).blockers) == (0, 1)
    assert (site.task(3).rank, site.task(4).rank) == (4, 2)
    assert site.submit(plan({"more": (task("5"),)}), run) == (
        "Nothing new is wanted of this project now; end your turn.",
    )


def test_rework_cannot_wait_for_a_later_phase(site: Site) -> None:
    rejected_gate(site, {"a": (task("1"),)}, {"z": (task("9"),)})
    run = site.begin(AgentKind.PLANNER, phase_id=site.feature("a").phase_id)
    assert site.submit(plan({"r": (task("3", "9"),)}), run) == (
        "Task '3' depends on '9' of a later phase.",
    )
    assert "exists already" in site.submit(plan({"a": (task("3"),)}), run)[0]


def test_a_planner_that_makes_no_rework_is_replaced_by_one_task(site: Site) -> None:
    rejected_gate(site, {"a": (task("1"),)})
    phase = site.feature("a").phase_id
    for _ in range(PLANNER_ATTEMPTS):
        site.end(site.begin(AgentKind.PLANNER, phase_id=phase), GIVEN_UP)
    made = site.task(2)
    assert (made.category, made.description) == ("rework", "the list is not sorted")
    assert made.checks == ["true"]
    assert (made.status, made.rank) == (TaskStatus.PENDING, made.complexity)


def test_a_planner_that_dies_is_not_to_blame_five_times(site: Site) -> None:
    failures = []
    for _ in range(7):
        site.end(site.begin(AgentKind.PLANNER), DIED)
        row = site.db.ask(lambda tx: tx.get_one(Project, site.project))
        failures.append((row.planner_failures, row.planner_restarts))
    assert failures == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (1, 0), (1, 1)]


def test_a_plan_for_a_paused_project_is_not_shown(site: Site) -> None:
    run = site.begin(AgentKind.PLANNER)
    site.db.do(projects.pause, site.project, actor="web:local", now=NOW)
    assert site.submit(SMALL, run) == ("The project is paused; end your turn.",)
    assert site.open() == []
