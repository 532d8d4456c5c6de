"""What a project waits for, as REST tells it: a spent day begins anew, a limit that is over is over."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.domain.rules import Budget, Rules
from core.operations import projects, spending
from core.ports.agents import LimitReport
from core.store.tables import Project
from core.views import projects as views
from core.views.json import plain
from core.views.projects import ProjectView, Service
from tests.unit.operations.build import NOW, RULES, UPSTREAM, Site, task
from tests.unit.operations.test_spending import book, message, process_of

CENT = Decimal("0.01")
MIDNIGHT, APRIL = "2027-03-11T00:00:00Z", "2027-04-01T00:00:00Z"


def told(site: Site, rules: Rules = RULES, now: datetime = NOW) -> Any:
    service = Service(Path("/p"), UPSTREAM, rules, now)
    return plain(ProjectView, site.db.ask(lambda tx: views.project(tx, "Todo", service)))


def waits(site: Site, rules: Rules = RULES, now: datetime = NOW) -> Any:
    return told(site, rules, now)["waiting"]


@pytest.fixture
def spender(site: Site) -> Site:
    """A cent spent by a coder at work."""
    site.build({"a": (task("1"),)})
    book(site, process_of(site, site.begin(number=1)), message("m"))
    return site


@pytest.mark.parametrize(
    ("rules", "until", "words"),
    [
        (
            Rules(budget=Budget(day_usd=CENT)), MIDNIGHT,
            "Today's budget (UTC), $0.01, is spent.",
        ),
        (
            Rules(budget=Budget(month_usd=CENT)), APRIL,
            "This month's budget (UTC), $0.01, is spent.",
        ),
        (
            Rules(budget=Budget(day_usd=CENT, month_usd=CENT)), APRIL,
            "This month's budget (UTC), $0.01, is spent.",
        ),
    ],
)  # fmt: skip
def test_a_spent_day_or_month_is_waited_for_until_it_ends(
    spender: Site, rules: Rules, until: str, words: str
) -> None:
    assert waits(spender, rules) == {"reason": "budget", "until": until, "text": words}
    assert waits(spender, rules, datetime.fromisoformat(until)) is None


def test_a_budget_of_its_own_is_told_as_the_projects(spender: Site) -> None:
    def own(tx: Any) -> None:
        tx.get_one(Project, spender.project).settings = {"day_usd": "0.01"}

    spender.db.do(own)
    assert waits(spender)["text"] == "Today's budget of Todo (UTC), $0.01, is spent."


def test_the_projects_budget_needs_a_person_and_a_stopped_one_waits_for_no_day(
    spender: Site,
) -> None:
    day = Rules(budget=Budget(day_usd=CENT))
    spender.db.do(projects.stop, spender.project, actor="web:ann", now=NOW)
    assert waits(spender, day) is None
    spender.db.do(projects.set_budget, spender.project, CENT)
    assert waits(spender, day) == {
        "reason": "budget", "until": None, "text": "The budget of Todo, $0.01, is spent.",
    }  # fmt: skip


def test_a_limit_of_the_account_is_told_until_it_ends(site: Site) -> None:
    site.build({"a": (task("1"),)})
    process = process_of(site, site.begin(number=1))
    report = LimitReport(429, {"retry-after": "60"}, "slow down")
    site.db.do(spending.limited, UPSTREAM, process, report, now=NOW)
    assert waits(site)["until"] == "2027-03-10T12:01:00Z"
    assert waits(site, now=NOW + timedelta(minutes=1)) is None


def test_what_is_counted_is_what_there_is(spender: Site) -> None:
    data = told(spender)
    assert (data["tasks"]["total"], data["tasks"]["in_progress"], data["agents"]) == (1, 1, 1)
    assert data["cost_usd"] == "0.01"
    assert data["estimate"] is not None
