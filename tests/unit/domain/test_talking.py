"""Decisions about interviews and additions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.domain.agents import AgentKind
from core.domain.lifecycle import InterviewKind, InterviewStatus, ProjectStatus, RunStatus
from core.domain.order import ResumeRun, StartRun, StopRun, WriteSpec
from core.domain.orders import next_due, next_orders
from core.domain.rules import Agents, Rules
from core.domain.snapshot import InterviewView, RunView, Snapshot

NOW = datetime(2026, 3, 12, tzinfo=UTC)
OWN = InterviewView(1, InterviewKind.PROJECT, InterviewStatus.ASKING, None, None)
FEATURE = InterviewView(2, InterviewKind.FEATURE, InterviewStatus.ASKING, None, None)
JOB = InterviewView(3, InterviewKind.JOB, InterviewStatus.PLANNING, None, None)


def snapshot(status: ProjectStatus, *interviews: InterviewView, **more: object) -> Snapshot:
    empty = Snapshot(NOW, 1, status, Rules(), None, interviews=interviews)
    return replace(empty, **more)  # type: ignore[arg-type]  # each test names what differs


def run(
    interview: int | None, status: RunStatus, kind: AgentKind = AgentKind.INTERVIEWER,
    *, answered: bool = False, number: int = 7,
) -> RunView:  # fmt: skip
    return RunView(number, kind, status, None, 1, True, answered, interview)


def kinds(snapshot: Snapshot) -> list[tuple[AgentKind, int | None]]:
    return [
        (order.kind, order.interview_id)
        for order in next_orders(snapshot)
        if isinstance(order, StartRun)
    ]


def test_an_interview_begins_by_itself_and_goes_on_in_its_session() -> None:
    begins = next_orders(snapshot(ProjectStatus.INTERVIEWING, OWN))
    assert [(o.kind, o.resumes) for o in begins if isinstance(o, StartRun)] == [
        (AgentKind.INTERVIEWER, None)
    ]
    goes_on = next_orders(snapshot(ProjectStatus.INTERVIEWING, replace(OWN, last_run_id=5)))
    assert [o.resumes for o in goes_on if isinstance(o, StartRun)] == [5]


@pytest.mark.parametrize("status", [RunStatus.STARTING, RunStatus.WORKING, RunStatus.WAITING])
def test_nothing_is_begun_beside_its_run(status: RunStatus) -> None:
    asked = snapshot(ProjectStatus.INTERVIEWING, OWN, runs=(run(1, status),))
    assert next_orders(asked) == ()


def test_an_answer_takes_the_run_up_also_where_all_slots_are_taken() -> None:
    waiting = run(1, RunStatus.WAITING, answered=True)
    full = snapshot(
        ProjectStatus.INTERVIEWING, OWN, runs=(waiting,), agents_elsewhere=100,
        rules=Rules(agents=Agents(max_parallel=1, host_parallel=1)),
    )  # fmt: skip
    assert next_orders(full) == (ResumeRun(7, AgentKind.INTERVIEWER, None, 1),)


def test_no_model_is_asked_without_money() -> None:
    waiting = run(1, RunStatus.WAITING, answered=True)
    spent = snapshot(ProjectStatus.INTERVIEWING, OWN, runs=(waiting,), budget_left=False)
    assert next_orders(spent) == ()


def test_what_was_left_is_looked_at_once_the_run_is_over() -> None:
    left = replace(OWN, status=InterviewStatus.CHECKING)
    assert next_orders(snapshot(ProjectStatus.INTERVIEWING, left)) == (WriteSpec(1),)
    busy = snapshot(ProjectStatus.INTERVIEWING, left, runs=(run(1, RunStatus.WORKING),))
    assert next_orders(busy) == ()


@pytest.mark.parametrize(
    "status", [ProjectStatus.RUNNING, ProjectStatus.PAUSED, ProjectStatus.COMPLETED]
)
def test_additions_go_on_while_a_project_runs_rests_or_is_complete(status: ProjectStatus) -> None:
    started = kinds(snapshot(status, FEATURE, JOB))
    assert started == [(AgentKind.INTERVIEWER, 2), (AgentKind.PLANNER, 3)]


@pytest.mark.parametrize(
    "status", [ProjectStatus.STOPPED, ProjectStatus.BLOCKED, ProjectStatus.ARCHIVED]
)
def test_nothing_goes_on_in_a_project_that_is_stopped(status: ProjectStatus) -> None:
    stopped = snapshot(status, OWN, FEATURE, JOB, runs=(run(2, RunStatus.WORKING),))
    assert [type(order) for order in next_orders(stopped)] == [StopRun]


def test_a_pause_stops_what_builds_and_not_who_talks() -> None:
    coder = run(None, RunStatus.WORKING, AgentKind.CODER, number=9)
    paused = snapshot(ProjectStatus.PAUSED, FEATURE, runs=(run(2, RunStatus.WORKING), coder))
    assert [order.run_id for order in next_orders(paused) if isinstance(order, StopRun)] == [9]


def test_one_plan_at_a_time_waits_for_a_decision() -> None:
    decided = replace(FEATURE, status=InterviewStatus.AWAITING_APPROVAL)
    next_one = replace(FEATURE, id=4, status=InterviewStatus.PLANNING)
    assert kinds(snapshot(ProjectStatus.RUNNING, decided, next_one)) == []
    assert kinds(snapshot(ProjectStatus.COMPLETED, decided, JOB)) == [(AgentKind.PLANNER, 3)]


def test_one_planner_at_a_time() -> None:
    other = replace(JOB, id=4)
    assert kinds(snapshot(ProjectStatus.COMPLETED, JOB, other)) == [(AgentKind.PLANNER, 3)]
    planner = run(3, RunStatus.WORKING, AgentKind.PLANNER)
    assert kinds(snapshot(ProjectStatus.COMPLETED, JOB, other, runs=(planner,))) == []


def test_a_wait_ends_by_the_clock() -> None:
    later = NOW + timedelta(seconds=30)
    waits = snapshot(ProjectStatus.INTERVIEWING, replace(OWN, not_before=later))
    assert next_orders(waits) == ()
    assert next_due(waits) == later
    assert kinds(replace(waits, now=later)) == [(AgentKind.INTERVIEWER, 1)]


def test_a_plan_waits_while_its_spec_is_changed() -> None:
    change = InterviewView(4, InterviewKind.SPEC, InterviewStatus.ASKING, None, None)
    planner = RunView(9, AgentKind.PLANNER, RunStatus.WORKING, None, 1, True, False)
    orders = next_orders(snapshot(ProjectStatus.PLANNING, change, runs=(planner,)))
    assert [type(order) for order in orders] == [StopRun, StartRun]
    assert kinds(snapshot(ProjectStatus.PLANNING, change)) == [(AgentKind.INTERVIEWER, 4)]
    assert kinds(snapshot(ProjectStatus.PLANNING)) == [(AgentKind.PLANNER, None)]


def test_an_interviewer_whose_matter_was_given_up_is_stopped() -> None:
    orders = next_orders(snapshot(ProjectStatus.RUNNING, runs=(run(2, RunStatus.WORKING),)))
    assert [order.run_id for order in orders if isinstance(order, StopRun)] == [7]
    waits = next_orders(snapshot(ProjectStatus.RUNNING, FEATURE, runs=(run(2, RunStatus.WORKING),)))
    assert not any(isinstance(order, StopRun) for order in waits)
