"""Decisions: unique, attributed, timed, reasoned, bound to what was shown."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    PhaseStatus,
    ProjectStatus,
    TaskStatus,
)
from core.domain.order import AskApproval, FinishProject, StartRun
from core.domain.orders import next_orders
from core.domain.plan import Plan
from core.errors import InputError, StalePress
from core.operations import approvals, projects
from core.store.tables import Approval, JournalEntry, Phase, Project
from tests.unit.operations.build import GREEN, NOW, RED, Site, plan, task


def to_the_gate(site: Site) -> int:
    """Do and land all of the open phase; the gate's approval."""
    phase = site.look().phase
    assert phase is not None
    for view in site.look().tasks:
        site.done(view.number)
    for feature in site.look().features:
        site.land(feature.name)
    assert next_orders(site.look()) == (AskApproval(phase.id),)
    site.db.do(approvals.open_gate, phase.id, "main", [GREEN], now=NOW)
    return site.open()[0]


def phases(site: Site) -> list[PhaseStatus]:
    query = select(Phase.status).order_by(Phase.position)
    return site.db.ask(lambda tx: list(tx.scalars(query)))


def test_approving_the_plan_starts_the_first_phase_only(site: Site) -> None:
    site.build({"a": (task("1"),)}, {"b": (task("2"),)})
    assert phases(site) == [PhaseStatus.IN_PROGRESS, PhaseStatus.PENDING]
    started = [o for o in next_orders(site.look()) if isinstance(o, StartRun)]
    assert [o.task_id for o in started] == [site.task(1).id]


def test_a_gate_opens_the_next_phase_and_the_last_one_ends_the_project(site: Site) -> None:
    site.build({"a": (task("1"),)}, {"b": (task("2"),)})
    gate = to_the_gate(site)
    assert next_orders(site.look()) == ()
    site.approve(gate)
    assert phases(site) == [PhaseStatus.COMPLETED, PhaseStatus.IN_PROGRESS]
    site.approve(to_the_gate(site))
    assert next_orders(site.look()) == (FinishProject(),)
    site.db.do(projects.complete, site.project, "report", now=NOW)
    assert next_orders(site.look()) == ()
    row = site.db.ask(lambda tx: tx.get_one(Project, site.project))
    assert (row.status, row.report_commit) == (ProjectStatus.COMPLETED, "report")


def test_a_decision_is_who_when_and_why(site: Site) -> None:
    approval = site.plan(build_plan())
    site.db.do(approvals.reject, approval, "  too large ", by="slack:U1", now=NOW)
    row = site.db.ask(lambda tx: tx.get_one(Approval, approval))
    assert (row.status, row.decided_by, row.decided_at, row.reason) == (
        ApprovalStatus.REJECTED, "slack:U1", NOW, "too large",
    )  # fmt: skip
    entry = site.db.ask(
        lambda tx: tx.scalars(select(JournalEntry).order_by(JournalEntry.id.desc())).first()
    )
    assert entry is not None
    assert (entry.event, entry.actor, entry.text) == ("plan_rejected", "slack:U1", "too large")


def build_plan() -> Plan:
    return plan({"a": (task("1"),)})


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_a_rejection_has_a_reason(site: Site, reason: str) -> None:
    approval = site.plan(build_plan())
    with pytest.raises(InputError, match="needs a reason"):
        site.reject(approval, reason)
    assert site.open() == [approval]


def test_what_was_decided_stays_decided(site: Site) -> None:
    approval = site.plan(build_plan())
    site.approve(approval, by="slack:U1")
    for press in (site.approve, site.reject):
        with pytest.raises(StalePress, match="approved by slack:U1 at 12:00"):
            press(approval)
    with pytest.raises(StalePress, match="no such decision"):
        site.approve(999)
    row = site.db.ask(lambda tx: tx.get_one(Approval, approval))
    assert (row.status, row.decided_by) == (ApprovalStatus.APPROVED, "slack:U1")
    assert len(site.look().tasks) == 1


def test_the_press_of_an_older_plan_does_not_take_the_newer(site: Site) -> None:
    old = site.plan(build_plan())
    site.reject(old)
    new = site.plan(build_plan())
    with pytest.raises(StalePress):
        site.approve(old)
    assert site.open() == [new]


def test_two_open_decisions_of_one_kind_cannot_be_written(site: Site) -> None:
    site.plan(build_plan())
    with pytest.raises(IntegrityError):
        site.db.do(
            lambda tx: tx.add(
                Approval(
                    project_id=site.project,
                    kind=ApprovalKind.PLAN,
                    subject_id=1,
                    version="1",
                    status=ApprovalStatus.OPEN,
                    opened_at=NOW,
                )
            )
        )


def test_a_gate_opens_once_and_only_over_a_built_phase(site: Site) -> None:
    site.build({"a": (task("1"),)})
    phase = site.feature("a").phase_id
    site.db.do(approvals.open_gate, phase, "main", [GREEN], now=NOW)
    assert site.open() == []  # its feature has not landed
    gate = to_the_gate(site)
    site.db.do(approvals.open_gate, phase, "main", [GREEN], now=NOW)
    site.db.do(approvals.fail_gate, phase, [RED], max_attempts=5, now=NOW)
    assert site.open() == [gate]
    assert phases(site) == [PhaseStatus.AWAITING_APPROVAL]


def test_what_breaks_on_main_becomes_a_task_of_the_phase(site: Site) -> None:
    site.build({"a": (task("1"),)})
    site.done(1)
    site.land("a")
    phase = site.feature("a").phase_id
    site.db.do(approvals.fail_gate, phase, [GREEN, RED], max_attempts=5, now=NOW)
    made = site.task(2)
    assert (made.status, made.checks, made.rank) == (TaskStatus.PENDING, ["true"], 3)
    assert "boom" in made.description
    # a second proof that was under way changes nothing over the open rework
    site.db.do(approvals.fail_gate, phase, [RED], max_attempts=5, now=NOW)
    site.db.do(approvals.open_gate, phase, "main", [GREEN], now=NOW)
    assert [t.number for t in site.look().tasks] == [2]
    assert phases(site) == [PhaseStatus.IN_PROGRESS]
    site.done(2)
    site.land("rework-1-of-phase-1")
    assert next_orders(site.look()) == (AskApproval(phase),)


def test_a_rejected_gate_is_rework_before_anything_else(site: Site) -> None:
    site.build({"a": (task("1"),)}, {"b": (task("2"),)})
    site.reject(to_the_gate(site), "not sorted")
    (order,) = next_orders(site.look())
    assert isinstance(order, StartRun)
    assert order.kind == "planner"
    assert order.phase_id == site.feature("a").phase_id
    assert phases(site) == [PhaseStatus.IN_PROGRESS, PhaseStatus.PENDING]
