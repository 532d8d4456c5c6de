"""Projects: made once per name and spec, blocked, resumed, completed; features to `main`."""

from decimal import Decimal

import pytest
from sqlalchemy import select

from core.domain.lifecycle import FeatureStatus, ProjectStatus
from core.domain.order import Block, StartRun
from core.domain.orders import next_orders
from core.errors import InputError, StalePress
from core.operations import features, projects, spending
from core.ports.agents import LimitReport
from core.store.tables import AccountWindow, Phase, Project
from core.views.projects import ProjectRef
from tests.unit.operations.build import GIVEN_UP, NOW, UPSTREAM, Site, task


def create(site: Site, name: str, digest: str = "d", *, practice: bool = True) -> ProjectRef:
    return site.db.do(
        projects.create, name=name, spec_digest=digest, practice=practice, budget=Decimal(1),
        actor="web:local", now=NOW,
    )  # fmt: skip


def row(site: Site) -> Project:
    return site.db.ask(lambda tx: tx.get_one(Project, site.project))


def test_the_same_name_and_spec_is_the_same_project(site: Site) -> None:
    assert create(site, "Todo").id == create(site, "tODO").id == site.project
    assert row(site).budget_micro_usd == 20_000_000


def test_another_spec_or_model_under_the_name_is_refused(site: Site) -> None:
    with pytest.raises(InputError, match="with another spec"):
        create(site, "todo", "other")
    with pytest.raises(InputError, match="begun with the practice model"):
        create(site, "Todo", practice=False)


def test_names_that_slug_alike_get_slugs_of_their_own(site: Site) -> None:
    assert [create(site, name).slug for name in ("Todo.", "to do", "To_do")] == [
        "todo-2", "to-do", "to-do-2",
    ]  # fmt: skip


def test_the_first_commit_stays(site: Site) -> None:
    site.db.do(projects.spec_written, site.project, "c9", now=NOW)
    assert row(site).first_commit == "c0"


@pytest.mark.parametrize("planned", [False, True])
def test_a_block_holds_until_a_person_goes_on_where_it_was(site: Site, planned: bool) -> None:
    if planned:
        site.build({"a": (task("1"),)})
    before = row(site).status
    for reason in ("first", "second"):
        site.db.do(projects.block, site.project, reason, now=NOW)
    assert (row(site).status, row(site).blocked_reason) == (ProjectStatus.BLOCKED, "first")
    assert next_orders(site.look()) == ()
    site.db.do(projects.resume, site.project, actor="p", now=NOW)
    assert (row(site).status, row(site).blocked_reason) == (before, None)
    assert next_orders(site.look())


def test_going_on_counts_anew_what_led_to_the_block(site: Site) -> None:
    site.build({"a": (task("1"),)})
    for _ in range(24):
        report = LimitReport(429, {"retry-after": "0"}, "")
        site.db.do(spending.limited, UPSTREAM, 0, report, now=NOW)
        site.db.do(lambda tx: setattr(tx.get_one(AccountWindow, UPSTREAM), "until", None))
    site.db.do(lambda tx: setattr(tx.scalars(select(Phase)).one(), "gate_failures", 2))
    site.db.do(projects.block, site.project, "limited", now=NOW)
    site.db.do(projects.resume, site.project, actor="p", now=NOW)
    assert site.db.do(spending.consecutive_limits, UPSTREAM) == 0
    assert site.db.ask(lambda tx: tx.scalars(select(Phase.gate_failures)).one()) == 0


def test_three_runs_without_a_plan_block_and_three_more_after_going_on(site: Site) -> None:
    for _round in range(2):
        for _ in range(3):
            (order,) = next_orders(site.look())
            assert isinstance(order, StartRun)
            site.end(site.begin(order.kind), GIVEN_UP)
        (order,) = next_orders(site.look())
        assert isinstance(order, Block)
        site.db.do(projects.block, site.project, order.reason, now=NOW)
        site.db.do(projects.resume, site.project, actor="p", now=NOW)


def test_only_what_runs_can_be_paused(site: Site) -> None:
    site.db.do(projects.pause, site.project, actor="p", now=NOW)
    with pytest.raises(StalePress, match="Todo is paused, last moved by p at 12:00 UTC"):
        site.db.do(projects.pause, site.project, actor="p", now=NOW)
    site.db.do(projects.resume, site.project, actor="p", now=NOW)
    assert row(site).status is ProjectStatus.PLANNING


def test_a_project_is_complete_when_every_gate_was_approved(site: Site) -> None:
    site.build({"a": (task("1"),)})
    site.db.do(projects.complete, site.project, "r", now=NOW)
    assert row(site).status is ProjectStatus.RUNNING


def test_a_feature_lands_once_with_the_checks_of_all_that_landed(site: Site) -> None:
    site.build({"a": (task("1"),), "b": (task("2", "1"),)})
    site.done(1)
    landing = site.db.do(features.begin_landing, site.feature("a").id)
    assert landing is not None
    assert (landing.head, landing.checks, landing.tasks) == (
        site.feature("a").last_green_commit, ("true",), ("1 1",),
    )  # fmt: skip
    assert site.look().features[1].waits_for == 1
    for commit in ("m1", "m2"):
        site.db.do(features.landed, site.feature("a").id, commit, 1, now=NOW)
    assert site.feature("a").landed_commit == "m1"
    assert site.look().features[0].waits_for == 0
    assert site.db.do(features.begin_landing, site.feature("a").id) is None


def test_a_feature_with_open_or_proved_work_is_not_completed_empty(site: Site) -> None:
    site.build({"a": (task("1"), task("2"))})
    site.done(1)
    site.db.do(features.complete_empty, site.feature("a").id)
    assert site.feature("a").status is FeatureStatus.IN_PROGRESS
    site.begin(number=2)
    assert site.db.do(features.begin_landing, site.feature("a").id) is None
