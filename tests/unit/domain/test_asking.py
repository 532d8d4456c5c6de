"""Decisions about questions that people put to a project's assistant, and what they name."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.domain.agents import AgentKind
from core.domain.lifecycle import ProjectStatus, RunStatus
from core.domain.mention import task_numbers
from core.domain.order import GiveUp, Order, StartRun, StopRun
from core.domain.orders import next_due, next_orders
from core.domain.rules import Agents, Models, Rules
from core.domain.snapshot import InquiryView, RunView, Snapshot

NOW = datetime(2026, 3, 12, tzinfo=UTC)
FIRST, SECOND = InquiryView(1, None, None), InquiryView(2, None, None)
REST = [ProjectStatus.STOPPED, ProjectStatus.BLOCKED, ProjectStatus.ARCHIVED]


def snapshot(status: ProjectStatus = ProjectStatus.COMPLETED, **more: object) -> Snapshot:
    asked = Snapshot(NOW, 1, status, Rules(models=Models(assistant="haiku")), None)
    return replace(asked, inquiries=(FIRST, SECOND), **more)  # type: ignore[arg-type]  # each test names what differs


def at_work(status: RunStatus = RunStatus.WORKING) -> RunView:
    return RunView(7, AgentKind.ASSISTANT, status, None, 1, True, False, inquiry_id=1)


def about(given: Snapshot) -> list[Order]:
    return [o for o in next_orders(given) if getattr(o, "inquiry_id", None) is not None]


@pytest.mark.parametrize("status", sorted(set(ProjectStatus) - {*REST, ProjectStatus.RUNNING}))
def test_one_assistant_begins_with_the_oldest_question(status: ProjectStatus) -> None:
    orders = about(snapshot(status))
    assert [(o.kind, o.model, o.inquiry_id) for o in orders if isinstance(o, StartRun)] == [
        (AgentKind.ASSISTANT, "haiku", 1)
    ]
    assert about(snapshot(status, runs=(at_work(),))) == []


def test_it_takes_no_place_and_a_pause_does_not_end_it() -> None:
    tight = Rules(agents=Agents(max_parallel=1, host_parallel=1))
    planning = snapshot(ProjectStatus.PLANNING, rules=tight, runs=(at_work(),))
    assert [o.kind for o in next_orders(planning) if isinstance(o, StartRun)] == [AgentKind.PLANNER]
    paused = snapshot(ProjectStatus.PAUSED, runs=(at_work(),))
    assert not any(isinstance(o, StopRun) for o in next_orders(paused))


@pytest.mark.parametrize("status", REST)
def test_nobody_answers_for_a_project_at_rest(status: ProjectStatus) -> None:
    assert {o.inquiry_id for o in about(snapshot(status)) if isinstance(o, GiveUp)} == {1, 2}
    orders = next_orders(snapshot(status, runs=(at_work(),)))
    assert StopRun(7, f"the project is {status!s}") in orders
    assert [o.inquiry_id for o in orders if isinstance(o, GiveUp)] == [2]


def test_a_spent_budget_is_said_and_a_limit_is_waited_for() -> None:
    spent = snapshot(budget_left=False, spent="It is spent.")
    assert about(spent) == [GiveUp(1, "It is spent."), GiveUp(2, "It is spent.")]
    until = NOW + timedelta(minutes=5)
    limited = snapshot(window_until=until)
    assert about(limited) == []
    assert next_due(limited) == until
    later = snapshot()
    later = replace(later, inquiries=(replace(FIRST, not_before=until),))
    assert about(later) == []
    assert next_due(later) == until


def test_a_budget_of_the_day_is_looked_at_again_when_it_begins_anew() -> None:
    midnight = NOW + timedelta(days=1)
    spent = snapshot(ProjectStatus.RUNNING, budget_left=False, spent="x", spent_until=midnight)
    assert next_due(spent) == midnight


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("why did task 12 take three tries?", (12,)),
        ("compare tasks 3, 4 and #7", (3, 4, 7)),
        ("what of #5?", (5,)),
        ("Task #9 or task number 11", (9, 11)),
        ("why 3 tries, and what is a multitask 8?", ()),
        ("", ()),
    ],
)
def test_tasks_that_a_text_names(text: str, numbers: tuple[int, ...]) -> None:
    assert task_numbers(text) == numbers
