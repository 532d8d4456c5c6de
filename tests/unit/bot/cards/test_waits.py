"""What waits for a person, the cards it stands on, and the ways there."""

import re
from datetime import timedelta
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.cards import CARDS, pictures
from core.domain import card_keys
from core.domain.agents import AgentKind
from core.domain.cards import Link
from core.domain.events import CardKind
from core.domain.lifecycle import Cause, ProjectStatus
from core.domain.people import Role
from core.operations import (
    approvals,
    moves,
    notices,
    places,
    plans,
    projects,
    questions,
    reminders,
    tasks,
)
from core.ports.chat import Place
from core.store.chat_tables import Member, OutboxItem
from core.store.tables import Phase
from core.views.figures import figures
from core.views.project_lines import project_lines
from core.views.waiting import waiting
from tests.unit.bot.cards import stage
from tests.unit.bot.cards.stage import NOW, PLACE

OTHER = Place("web", "second")
BY_WAIT = {row.waits: kind for kind, row in CARDS.items()}


def tell(tx: Session) -> None:
    tx.flush()
    while notices.tell(tx, CARDS, now=NOW):
        continue


def busy(tx: Session) -> int:
    """A project with a stuck task, a question and a gate, which began to wait in this order."""
    project = stage.build(tx)
    stage.fail(tx, project, 5)
    stage.to_gate(tx, project)
    asker = stage.run(tx, project, AgentKind.CODER, slot=2)
    questions.ask(tx, asker.id, "Which?", (), False, now=NOW + timedelta(minutes=1))
    return project


def test_what_waits_is_told_the_oldest_first_with_its_card(tx: Session) -> None:
    project = busy(tx)
    other = stage.begin(tx, "other")
    approval = stage.submit(tx, other)
    approval.opened_at = NOW + timedelta(days=1)
    tell(tx)
    found = waiting(tx)
    assert [(wait.kind.value, wait.project.name) for wait in found] == [
        ("stuck", "todo-api"),
        ("question", "todo-api"),
        ("gate", "todo-api"),
        ("plan", "other"),
    ]
    stuck, question, gate, plan = found
    assert (stuck.number, stuck.text, stuck.press_id) == (5, "README", 5)
    assert (question.text, question.agent) == ("Which?", "coder-2")
    assert (gate.number, gate.text) == (1, "Foundation")
    assert (plan.number, plan.press_id) == (1, approval.id)
    for wait in found:
        card = tx.scalars(select(OutboxItem).where(OutboxItem.key == wait.key)).one()
        assert (card.kind, card.subject_id) == (BY_WAIT[wait.kind], wait.subject_id)
        assert (card.project_id, wait.since) == (wait.project.id, wait.since)
    assert [wait.kind.value for wait in waiting(tx, project_id=project)] == [
        "stuck",
        "question",
        "gate",
    ]
    assert len(waiting(tx, limit=2)) == 2


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        (Role.NONE, []),
        (Role.VIEWER, []),
        (Role.OPERATOR, ["stuck", "question"]),
        (Role.APPROVER, ["stuck", "question", "gate"]),
    ],
)
def test_a_person_sees_what_their_role_may_act_upon(
    tx: Session, role: Role, seen: list[str]
) -> None:
    busy(tx)
    assert [wait.kind.value for wait in waiting(tx, role=role)] == seen
    [line] = project_lines(tx, role=role, limit=5)
    assert line.waits == bool(seen)


def test_a_blocked_project_waits_and_a_stopped_one_does_not(tx: Session) -> None:
    project = busy(tx)
    projects.block(tx, project, "No credentials.", now=NOW + timedelta(days=2))
    tell(tx)
    blocked = waiting(tx)[-1]
    assert (blocked.kind.value, blocked.text) == ("blocked", "No credentials.")
    assert blocked.key == "blocked:todo-api:1"
    projects.stop(tx, project, actor="web:ann", now=NOW + timedelta(days=3))
    assert waiting(tx) == []
    assert waiting(tx, project_id=project) == []
    [line] = project_lines(tx, limit=5)
    assert not line.waits


@pytest.mark.parametrize("archived", [False, True])
def test_nothing_of_a_project_at_rest_waits_on_any_card(tx: Session, archived: bool) -> None:
    project, other = busy(tx), stage.begin(tx, "other")
    stage.submit(tx, other)
    tell(tx)
    for row in tx.scalars(select(OutboxItem)):
        row.built = row.wanted
    kinds = [CardKind.PLAN, CardKind.GATE, CardKind.STUCK, CardKind.QUESTION]
    decided = {kind: stage.card(tx, kind).buttons for kind in kinds}
    assert all(decided.values())
    for number in (project, other):
        if archived:
            moves.archive(tx, number, by="web:ann", now=NOW)
        else:
            projects.stop(tx, number, actor="web:ann", now=NOW)
    tell(tx)
    how = "archived" if archived else "stopped"
    for kind in kinds:
        stale = tx.scalars(select(OutboxItem).where(OutboxItem.kind == kind)).all()
        assert all(row.wanted > row.built for row in stale), kind
        card = stage.card(tx, kind)
        assert (card.buttons, card.inputs) == ((), ()), kind
        assert not re.search("(?i)waits for an? ", card.body + card.fallback), kind
        if not archived or kind is not CardKind.QUESTION:  # which was withdrawn
            assert f"is {how}: nothing waits for anybody" in card.body, kind
    progress = stage.card(tx, CardKind.PROGRESS)
    assert "▲" not in progress.body + progress.fallback
    assert progress.links == ()
    assert not reminders.due(tx, timedelta(days=1), now=NOW + timedelta(days=9))
    if archived:
        return
    for number in (project, other):
        projects.resume(tx, number, actor="web:ann", now=NOW)
    tell(tx)
    assert {kind: stage.card(tx, kind).buttons for kind in kinds} == decided


def test_a_channel_that_a_stopped_project_came_to_shows_what_will_wait(tx: Session) -> None:
    project = stage.begin(tx)
    stage.submit(tx, project)
    tell(tx)
    projects.stop(tx, project, actor="web:ann", now=NOW)
    places.settle(tx, project, OTHER, CARDS, now=NOW)
    assert waits_in(tx, OTHER, CardKind.PLAN) == {"plan:todo-api:1"}


def test_the_progress_card_leads_to_what_waits(tx: Session) -> None:
    project = busy(tx)
    tell(tx)
    links = stage.card(tx, CardKind.PROGRESS).links
    gate = waiting(tx, project_id=project)[-1]
    assert links == (
        Link("Open task 5", "stuck:todo-api:5"),
        Link("Answer coder-2", "question:todo-api:1"),
        Link("Review the gate", f"gate:todo-api:{gate.press_id}"),
    )
    for link in links:
        assert link.to in stage.keys(tx)


def test_a_reminder_leads_to_the_decision_it_calls_to_mind(tx: Session) -> None:
    stage.submit(tx, stage.begin(tx, "other"))
    tell(tx)
    assert stage.card(tx, CardKind.PLAN).links == ()
    reminders.remind(tx, timedelta(days=1), now=NOW + timedelta(days=2))
    reminder = stage.card(tx, CardKind.PLAN)
    assert reminder.key == "plan:other:1:reminder-1"
    assert reminder.links == (Link("Review the plan", "plan:other:1"),)


def test_a_card_is_called_the_same_in_every_channel(tx: Session) -> None:
    """A place that came later does not begin to count anew."""
    project = stage.build(tx)
    for _ in range(2):
        stage.fail(tx, project, 1, times=stage.task(tx, project, 1).allowed_attempts)
        tell(tx)
        projects.block(tx, project, "No credentials.", now=NOW)
        tell(tx)
        projects.resume(tx, project, actor="web:ann", now=NOW)
        row = stage.task(tx, project, 1)
        tasks.retry(tx, row.id, model=None, by="web:ann", max_attempts=2, now=NOW)
        row.attempts = 0
    stage.fail(tx, project, 1, times=stage.task(tx, project, 1).allowed_attempts)
    projects.block(tx, project, "No credentials.", now=NOW)
    tell(tx)
    places.settle(tx, project, OTHER, CARDS, now=NOW)
    assert waits_in(tx, OTHER) == {"stuck:todo-api:1:3", "blocked:todo-api:3"}
    projects.resume(tx, project, actor="web:ann", now=NOW)
    projects.block(tx, project, "No credentials again.", now=NOW)
    tell(tx)
    for place in (PLACE, OTHER):
        assert "blocked:todo-api:4" in waits_in(tx, place)
    subjects = tx.scalars(
        select(OutboxItem.subject_id).where(OutboxItem.key == "blocked:todo-api:4")
    ).all()
    assert len(set(subjects)) == 1


def test_a_plan_that_was_decided_is_not_shown_to_a_channel_that_came_later(tx: Session) -> None:
    project = stage.build(tx)
    tell(tx)
    places.settle(tx, project, OTHER, CARDS, now=NOW)
    added = stage.add(tx, project)
    tell(tx)
    stage.approve(tx, added)
    tell(tx)
    assert waits_in(tx, OTHER, CardKind.PLAN) == {"plan:todo-api:2"}
    assert waits_in(tx, PLACE, CardKind.PLAN) == {"plan:todo-api:1", "plan:todo-api:2"}


def test_a_gate_that_was_decided_is_not_shown_to_a_channel_that_came_later(tx: Session) -> None:
    project = stage.build(tx)
    first = stage.to_gate(tx, project)
    approvals.reject(tx, first.id, "Colours, please.", by="web:ann", now=NOW)
    tell(tx)
    places.settle(tx, project, OTHER, CARDS, now=NOW)
    phase = tx.get_one(Phase, first.subject_id)
    plans.add_rework(tx, phase, "Colours", ["true"], max_attempts=5)
    phase.rework_reason = None
    stage.prove(tx, project, 6)
    stage.land(tx, project, "Rework 2 of Foundation")
    second = stage.open_gate(tx, project)
    tell(tx)
    names = [f"gate:todo-api:{gate.id}" for gate in (first, second)]
    assert waits_in(tx, OTHER, CardKind.GATE) == {names[1]}
    assert waits_in(tx, PLACE, CardKind.GATE) == set(names)


def test_only_what_a_platform_of_this_process_may_take_waits_for_it(tx: Session) -> None:
    project = stage.begin(tx)
    stage.submit(tx, project)
    tell(tx)
    assert figures(tx, ["practice"]).outbox_pending == 3, "its root, spec and plan"
    assert figures(tx, ["web"]).outbox_pending == 0


def waits_in(tx: Session, place: Place, *kinds: CardKind) -> set[str]:
    return set(
        tx.scalars(
            select(OutboxItem.key).where(
                OutboxItem.platform == place.platform,
                OutboxItem.kind.in_(kinds or (CardKind.STUCK, CardKind.ERROR)),
            )
        )
    )


def test_people_are_called_by_their_names(tx: Session) -> None:
    tx.add(
        Member(
            person="slack:U1", name="Ann Lee", role=Role.ADMIN, added_by="web:local", added_at=NOW
        )
    )
    project = stage.begin(tx)
    stage.approve(tx, stage.submit(tx, project), by="slack:U1")
    stage.approve(tx, stage.to_gate(tx, project), by="slack:U1")
    stage.fail(tx, project, 5)
    row = stage.task(tx, project, 5)
    tasks.skip(tx, row.id, cause=Cause.PERSON, by="slack:U1", now=NOW)
    tell(tx)
    for kind, words in (
        (CardKind.PLAN, "Approved by Ann Lee"),
        (CardKind.GATE, "Approved by Ann Lee"),
        (CardKind.PROGRESS, "approved by Ann Lee"),
        (CardKind.STUCK, "Skipped by Ann Lee"),
    ):
        body = stage.card(tx, kind).body
        assert words in body
        assert "slack:U1" not in body


def test_pictures_are_told_with_their_figures(tx: Session) -> None:
    project = stage.build(tx)
    coder = stage.run(tx, project, slot=3, feature=stage.feature(tx, project, "Storage"))
    stage.spend(tx, coder, "2.12")
    gate = stage.to_gate(tx, project)
    tell(tx)
    [dependencies] = stage.card(tx, CardKind.PLAN).pictures
    assert dependencies.alt == (
        "Dependencies of 2 phases, 3 features, 5 tasks. 1 Foundation: Storage 2 tasks,"
        " Endpoints 2 tasks after Storage; 2 Release: Docs 1 task"
    )
    [board] = stage.card(tx, CardKind.GATE).pictures
    assert board.alt == (
        "Board of phase 1 Foundation, 4 tasks: 4 passing; Storage 2/2 $2.12, Endpoints 2/2 $0.00;"
        " the highest cost Storage, $2.12 in all"
    )
    for picture in (dependencies, board):
        sort, number = picture.url.removesuffix(".svg").split("/")[-2:]
        drawn = ElementTree.fromstring(pictures.draw(tx, sort, int(number)) or "")
        written = [each.text or "" for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
        pending = {
            part for text in written for part in text.split(" · ") if part not in picture.alt
        }
        assert written
        assert not pending
    stage.approve(tx, gate)
    stage.prove(tx, project, 5)
    docs = stage.land(tx, project, "Docs")
    stage.spend(tx, stage.run(tx, project, slot=4, feature=docs), "0.30", message="m2")
    stage.approve(tx, stage.open_gate(tx, project, 2))
    projects.complete(tx, project, stage.COMMIT, now=NOW)
    tell(tx)
    [cost] = stage.card(tx, CardKind.REPORT).pictures
    assert cost.alt == (
        "Cost of todo-api, $2.42 in all. Cost by feature: Storage $2.12, Endpoints $0.00,"
        " Docs $0.30; Cost by model: Sonnet $2.42"
    )


def test_lines_of_projects_are_the_newest_first(tx: Session) -> None:
    project = stage.build(tx)
    coder = stage.claim(tx, project, 1)
    stage.spend(tx, coder, "0.40")
    archived = stage.begin(tx, "old")
    projects.stop(tx, archived, actor="web:ann", now=NOW)
    projects.archive(tx, archived, actor="web:ann", now=NOW)
    approval = stage.submit(tx, stage.begin(tx, "new"))
    new, todo = project_lines(tx, limit=5)
    assert [line.project.name for line in (new, todo)] == ["new", "todo-api"]
    assert (todo.counts.total, todo.counts.in_progress, todo.cost_usd) == (5, 1, Decimal("0.40"))
    assert (new.counts.total, new.cost_usd, new.waits, new.at_gate) == (0, None, True, False)
    assert new.places == [(PLACE, card_keys.interview("new"))]
    approvals.reject(tx, approval.id, "No.", by="web:ann", now=NOW)
    assert not project_lines(tx, limit=1)[0].waits
    kept = project_lines(tx, without=(), limit=5)
    assert ProjectStatus.ARCHIVED in [line.status for line in kept]
