"""What is added, changed, parked and given up by commands; where a project's cards come."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from bot.cards import CARDS
from core.domain.agents import AgentKind
from core.domain.events import CardKind, Event
from core.domain.lifecycle import (
    ApprovalStatus,
    FeatureStatus,
    InterviewKind,
    InterviewStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
)
from core.domain.people import Role
from core.errors import StateError
from core.operations import notices, projects, questions, specs
from core.ports.chat import Place
from core.store.chat_tables import Interview, OutboxItem, ProjectPlace
from core.store.tables import Approval, Feature, Project, Question, Run, Task
from tests.unit.bot.commands import stage as world
from tests.unit.bot.commands.stage import NOW, stage

OTHER = Place("web", "other")


def _building(*statuses: TaskStatus) -> Any:
    def make(tx: Session) -> None:
        world.tasks(tx, world.project(tx), *statuses)

    return make


def _unplanned(tx: Session) -> None:
    world.plan(tx, world.project(tx, status=ProjectStatus.AWAITING_APPROVAL))


async def test_the_spec_is_changed_before_the_plan_is_approved(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_unplanned)
        card = await it.ask("spec edit it keeps its data in SQLite", place=world.thread())
        assert card.title == "The spec for todo-api: it keeps its data in SQLite"
        row = await it.row(Interview, 1)
        assert (row.kind, row.status) == (InterviewKind.SPEC, InterviewStatus.ASKING)
        assert it.begun == [1]

        def written(tx: Session) -> None:
            tx.get_one(Interview, 1).status = InterviewStatus.CHECKING
            specs.spec_written(tx, 1, "c" * 40, "d", now=NOW)

        await it.change(written)
        project = await it.row(Project, 1)
        assert project.status is ProjectStatus.PLANNING
        assert "SQLite" in project.replan_reason
        assert (await it.row(Approval, 1)).status is ApprovalStatus.WITHDRAWN
        assert (await it.row(Interview, 1)).status is InterviewStatus.DONE
        stale = await it.ask("approve", place=world.thread())
        assert stale.kind is CardKind.ERROR


async def test_the_spec_is_changed_later_by_an_addition(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_building(TaskStatus.PENDING))
        await it.ask("spec edit it keeps its data in SQLite", place=world.thread())

        def written(tx: Session) -> None:
            tx.get_one(Interview, 1).status = InterviewStatus.CHECKING
            specs.spec_written(tx, 1, "c" * 40, "d", now=NOW)

        await it.change(written)
        assert (await it.row(Project, 1)).status is ProjectStatus.RUNNING
        assert (await it.row(Interview, 1)).status is InterviewStatus.PLANNING


async def test_the_spec_of_an_interview_is_changed_in_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx, status=ProjectStatus.INTERVIEWING))
        card = await it.ask("spec edit other", place=world.thread())
        assert card.kind is CardKind.ERROR
        assert "interview" in card.body
        missing = await it.ask("spec edit", place=world.thread())
        assert "`/autocoder spec edit TEXT`" in missing.body


async def test_what_is_parked_goes_on_or_is_given_up(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_building(TaskStatus.PENDING))
        await it.ask("feature add export", place=world.thread())
        await it.ask("task add a version", place=world.thread())
        await it.change(lambda tx: specs.block(tx, 1, "Three times in vain.", now=NOW))
        refused = await it.ask("reject not this", place=world.thread())
        assert "`/autocoder withdraw 1`" in refused.body
        assert "export" in refused.title
        card = await it.ask("resume", place=world.thread())
        assert card.title == "1 addition of todo-api goes on"
        assert (await it.row(Interview, 1)).status is InterviewStatus.ASKING
        many = await it.ask("withdraw", place=world.thread())
        assert "1 export; 2 a version" in many.title
        none = await it.ask("withdraw 9", place=world.thread())
        assert none.kind is CardKind.ERROR
        stranger = await it.member("web:ann", Role.OPERATOR)
        assert (
            await it.ask("withdraw 1", place=world.thread(), by=stranger)
        ).kind is CardKind.ERROR
        done = await it.ask("withdraw 1", place=world.thread())
        assert done.title == "■ Given up: export"
        assert (await it.row(Interview, 1)).status is InterviewStatus.WITHDRAWN
        last = await it.ask("withdraw", place=world.thread())
        assert last.title == "■ Given up: a version"


async def test_nobody_waits_for_what_was_given_up(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_building(TaskStatus.PENDING))
        await it.ask("feature add export", place=world.thread())

        def parked(tx: Session) -> None:
            run = world.run(tx, tx.get_one(Project, 1), kind=AgentKind.INTERVIEWER)
            run.interview_id, run.status = 1, RunStatus.WAITING

        await it.change(parked)
        await it.ask("withdraw", place=world.thread())
        assert [run.status for run in await it.rows(Run)] == [RunStatus.ENDED]


async def test_stop_after_feature_is_said_taken_back_and_kept(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_building(TaskStatus.PENDING))
        card = await it.ask("stop after feature", place=world.thread())
        assert card.title == "todo-api stops after 1 feature"
        assert "Storage" in card.body
        assert (await it.row(Project, 1)).winding_down_by == "web:local"
        assert (await it.row(Project, 1)).status is ProjectStatus.RUNNING
        await it.ask("resume", place=world.thread())
        assert (await it.row(Project, 1)).winding_down_by is None
        await it.ask("stop after feature todo-api", place=OTHER)
        await it.change(lambda tx: projects.wound_down(tx, 1, now=NOW))
        assert (await it.row(Project, 1)).status is ProjectStatus.STOPPED
        (entry,) = await it.happened(Event.PROJECT_STOPPED)
        assert entry.actor == "web:local"
        again = await it.ask("stop after feature", place=world.thread())
        assert again.kind is CardKind.ERROR


async def test_without_a_feature_at_work_it_stops_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_building(TaskStatus.PENDING))

        def idle(tx: Session) -> None:
            tx.get_one(Feature, 1).status = FeatureStatus.READY

        await it.change(idle)
        await it.ask("stop after feature", place=world.thread())
        assert (await it.row(Project, 1)).status is ProjectStatus.STOPPED


@pytest.mark.parametrize("made_in", ["terminal", "main"])
async def test_use_brings_a_projects_cards_into_this_channel(tmp_path: Path, made_in: str) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        world.tasks(tx, row, TaskStatus.STUCK)
        world.question(tx, row, "Which?", "a", "b")
        if made_in == "terminal":
            tx.query(ProjectPlace).delete()
            tx.query(OutboxItem).delete()

    async with stage(tmp_path) as it:
        await it.change(prepare)
        card = await it.ask("use todo-api", place=OTHER)
        assert "thread here" in card.body
        keys = {item.key: item for item in await it.rows(OutboxItem, OutboxItem.channel == "other")}
        live = {key for key, item in keys.items() if item.card is None}
        assert live == {
            "interview:todo-api", "progress:todo-api", "question:todo-api:1", "stuck:todo-api:1",
        }  # fmt: skip
        assert keys["question:todo-api:1"].thread_key == "interview:todo-api"
        assert keys["progress:todo-api"].thread_key is None
        assert "thread here" not in (await it.ask("use todo-api", place=OTHER)).body

        await it.change(lambda tx: notices.tell(tx, CARDS, now=NOW))
        await it.change(lambda tx: projects.block(tx, 1, "No disk.", now=NOW))
        await it.change(lambda tx: notices.tell(tx, CARDS, now=NOW))
        blocked = await it.rows(OutboxItem, OutboxItem.key == "blocked:todo-api:1")
        assert {row.channel for row in blocked} == (
            {"other"} if made_in == "terminal" else {"main", "other"}
        )


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("stop aftre feature", "/autocoder stop after feature"),
        ("spec edti use SQLite", "/autocoder spec edit use SQLite"),
        ("graph todo-apy", "/autocoder graph todo-api"),
        ("budget mont 3", "/autocoder budget month 3"),
    ],
)
async def test_a_slip_in_a_longer_command_is_mended(tmp_path: Path, line: str, meant: str) -> None:
    async with stage(tmp_path) as it:
        await it.change(_building(TaskStatus.PENDING))
        card = await it.ask(line, place=world.thread())
        assert f"Did you mean `{meant}`?" in card.body


async def test_nobody_waits_for_a_project_that_is_archived(tmp_path: Path) -> None:
    def confirm(tx: Session) -> int:
        row = world.project(tx)
        asked = world.question(tx, row)
        tx.get_one(Run, asked.run_id).status = RunStatus.WAITING
        row.status = ProjectStatus.STOPPED
        return asked.id

    async with stage(tmp_path) as it:
        number = await it.change(confirm)
        assert "is archived" in (await it.ask("archive", place=world.thread())).title
        [run] = await it.rows(Run)
        assert run.status is RunStatus.ENDED
        pressed = await it.press(f"answer:question:{number}", answer="late")
        assert (pressed.ok, pressed.reason) == (False, "stale")
        assert "the project is archived" in pressed.text


async def test_an_agent_of_an_archived_project_asks_nobody(tmp_path: Path) -> None:
    def at_work(tx: Session) -> int:
        return world.run(tx, world.project(tx)).id

    def ask(tx: Session, run: int) -> int:
        return questions.ask(tx, run, "Which?", (), False, now=NOW)

    async with stage(tmp_path) as it:
        run = await it.change(at_work)
        await it.change(lambda tx: ask(tx, run))
        assert "is archived" in (await it.ask("archive", place=world.thread())).title
        with pytest.raises(StateError, match="archived"):
            await it.change(lambda tx: ask(tx, run))
        assert all(question.answer for question in await it.rows(Question))


@pytest.mark.parametrize("line", ["start", "skip 1", "guide 1 x", "feature add x", "approve"])
async def test_an_archived_project_is_only_looked_at(tmp_path: Path, line: str) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx, status=ProjectStatus.ARCHIVED))
        card = await it.ask(line, place=world.thread())
        assert card.kind is CardKind.ERROR
        assert "is archived" in card.title


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (ProjectStatus.STOPPED, "todo-api is stopped: nothing of it is decided now."),
        (ProjectStatus.ARCHIVED, "todo-api is archived; nothing was changed."),
    ],
)
async def test_nothing_of_a_project_at_rest_is_decided(
    tmp_path: Path, status: ProjectStatus, why: str
) -> None:
    def prepare(tx: Session) -> int:
        row = world.project(tx)
        number = world.plan(tx, row).id
        row.status = status
        return number

    async with stage(tmp_path) as it:
        number = await it.change(prepare)
        for action, values in (("approve", {}), ("reject", {"reason": "no"})):
            pressed = await it.press(f"{action}:plan:{number}", **values)
            assert not pressed.ok
            assert pressed.text.startswith(why)
            assert "waits for a decision" not in pressed.text
        assert (await it.row(Approval, number)).status is ApprovalStatus.OPEN
        details = await it.press(f"details:plan:{number}")
        assert details.ok
        shown = await it.ask("plan todo-api")
        assert shown.buttons == ()
        assert f"■ todo-api is {status.words}: nothing waits for anybody" in shown.body
        assert "▲" not in (await it.ask("status todo-api")).body
        assert (await it.ask("inbox")).title == "Nothing waits for you"


async def test_no_press_changes_what_is_archived(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        world.tasks(tx, row, TaskStatus.STUCK)
        row.status = ProjectStatus.ARCHIVED

    async with stage(tmp_path) as it:
        await it.change(prepare)
        for action, values in (
            ("skip:task:1:1", {}),
            ("retry:task:1:1", {}),
            ("guide:task:1:1", {"hint": "So."}),
            ("pass:task:1:1", {"reason": "I saw it."}),
            ("raise_budget:budget:1", {"amount": "90"}),
        ):
            pressed = await it.press(action, **values)
            assert pressed.text.startswith("todo-api is archived; nothing was changed."), action
        assert [task.status for task in await it.rows(Task)] == [TaskStatus.STUCK]
