"""A planner that gives up: a person is told what was wrong with its plan."""

from dataclasses import replace

from core.domain.agents import AgentKind
from core.operations import planners
from core.operations.runs import RunRef
from core.store.tables import Project
from tests.unit.operations.build import GIVEN_UP, NOW, Site, plan, task

REASON = "The planner ended 3 times without a plan."


def refuse(site: Site, run: RunRef, *problems: str) -> None:
    site.db.do(planners.plan_refused, run.id, problems, now=NOW)


def blocked(site: Site) -> str:
    site.db.do(planners.block, site.project, REASON, now=NOW)
    found = site.db.ask(lambda tx: tx.get_one(Project, site.project).blocked_reason)
    assert found is not None
    return found


def test_its_last_words_and_the_first_problems_are_told(site: Site) -> None:
    run = site.begin(AgentKind.PLANNER)
    refuse(site, run, "An old one.")
    refuse(site, run, "Task 'a' has\nno check.", *(f"Problem {n}." for n in range(2, 9)))
    site.end(run, replace(GIVEN_UP, words="five refused plans"))
    assert blocked(site) == "\n".join(
        (
            f"{REASON} The last: five refused plans",
            "The last plan was refused:",
            "- Task 'a' has no check.",
            "- Problem 2.",
            "- Problem 3.",
            "- Problem 4.",
            "- Problem 5.",
            "- and 3 more",
        )
    )


def test_a_planner_that_never_planned_is_told_by_its_words_alone(site: Site) -> None:
    site.end(site.begin(AgentKind.PLANNER), replace(GIVEN_UP, words="It cannot be planned."))
    assert blocked(site) == f"{REASON} The last: It cannot be planned."


def test_what_was_refused_before_a_good_plan_is_over(site: Site) -> None:
    run = site.begin(AgentKind.PLANNER)
    refuse(site, run, "Task 'a' has no check.")
    assert site.submit(plan({"a": (task("1"),)}), run) == ()
    site.end(run, GIVEN_UP)
    assert site.db.ask(lambda tx: planners.refusal(tx, site.project, None)) == ""


def test_long_problems_are_cut_and_few_are_told_whole(site: Site) -> None:
    run = site.begin(AgentKind.PLANNER)
    refuse(site, run, "x" * 5_000)
    site.end(run, replace(GIVEN_UP, words=""))
    lines = blocked(site).splitlines()
    assert lines[0] == REASON
    assert lines[2:] == [f"- {'x' * 199}…"]
