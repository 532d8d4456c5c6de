"""What each command does, and what it says."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.orm import Session

from bot.commands import COMMANDS, FAMILIES
from core.domain import markup
from core.domain.agents import AgentKind
from core.domain.cards import BODY_LIMIT, Tone
from core.domain.events import CardKind, Event
from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
)
from core.domain.money import Dimension
from core.domain.people import Role
from core.operations import features, guidance, journal, members
from core.ports.chat import Place
from core.store.chat_tables import Channel, Guidance, Member, OutboxItem
from core.store.tables import (
    Approval,
    Evidence,
    Feature,
    Project,
    Task,
    TaskDependency,
    UsageEntry,
    UsageTotal,
)
from tests.unit.bot.commands import stage as world
from tests.unit.bot.commands.stage import NOW, stage

# Others rely on these names.
WANTED = [
    "new",
    "list",
    "use",
    "status",
    "inbox",
    "board",
    "tasks",
    "task",
    "graph",
    "start",
    "pause",
    "resume",
    "stop",
    "plan",
    "spec",
    "diff",
    "approve",
    "reject",
    "agents",
    "logs",
    "why",
    "retry",
    "skip",
    "pass",
    "guide",
    "ask",
    "job",
    "preview",
    "cost",
    "budget",
    "settings",
    "help",
    "check",
    "claim",
    "members",
    "role",
    "archive",
]
# Who may, where the contract says so.
ROLES = {
    Role.NONE: "help claim",
    Role.VIEWER: "list status inbox board tasks task graph plan spec diff agents logs why cost",
    Role.OPERATOR: "new ask job start pause resume stop retry skip guide",
    Role.APPROVER: "approve reject pass",
    Role.ADMIN: "role archive",
}


def _building(*statuses: TaskStatus) -> Any:
    def make(tx: Session) -> None:
        world.tasks(tx, world.project(tx), *statuses)

    return make


def test_the_vocabulary_is_whole() -> None:
    assert {*WANTED, "feature add", "phase add", "task add"} <= set(COMMANDS)
    assert sorted(name for family in FAMILIES.values() for name in family) == sorted(COMMANDS)
    for role, names in ROLES.items():
        assert {COMMANDS[name].role for name in names.split()} == {role}
    for name, spec in COMMANDS.items():
        assert spec.usage.startswith(name)
        assert (spec.execute is None) != (spec.prepare is None)
        assert spec.about.endswith(".")
        assert all(example.startswith(name) for example in spec.examples)


async def test_help_for_everybody_and_on_everything(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        whole = await it.ask("help", by="slack:U1")
        assert whole.kind is CardKind.HELP
        assert len(whole.body) <= BODY_LIMIT
        for name, spec in COMMANDS.items():
            assert f"`{spec.usage}`" in whole.body
            card = await it.ask(f"help {name}", by="slack:U1")
            assert spec.usage in card.title
        wrong = await it.ask("help statsu", by="slack:U1")
        assert "Did you mean `/autocoder help status`?" in wrong.body
        assert "Did you mean `/autocoder status`?" in (await it.ask("statsu")).body


async def test_new_begins_an_interview_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        _received, outcome = await it.command('new "todo-api"')
        assert outcome.ok
        assert it.begun == [1]
        assert (await it.row(Project, 1)).status is ProjectStatus.INTERVIEWING
        again = await it.ask("new todo-api")
        assert (again.title, again.body) == ("todo-api exists already", "▲ interviewing")
        await it.change(lambda tx: world.posted(tx, "interview:todo-api", "17"))
        again = await it.ask("new TODO-API")
        assert "Its thread is message 17 of this channel." in again.body
        assert len(await it.rows(Project)) == 1
        assert len(await it.rows(OutboxItem, OutboxItem.key == "interview:todo-api")) == 1
        elsewhere = await it.ask("new todo-api", place=Place("web", "other"))
        assert elsewhere.kind is CardKind.ERROR


@pytest.mark.parametrize(
    ("name", "mended"),
    [
        ("../etc", "etc"),
        ("-rf", "rf"),
        ("a\nb", "a b"),
        ("caf\u00e9 \U0001f600", "cafe"),
        ("x" * 65, "x" * 64),
        ('"todo', "todo"),
        ("todo'", "todo"),
    ],
)
async def test_a_name_that_is_none_is_mended_and_nothing_is_made(
    tmp_path: Path, name: str, mended: str
) -> None:
    async with stage(tmp_path) as it:
        card = await it.ask(f"new {name}")
        assert card.kind is CardKind.ERROR
        assert f"`/autocoder new {mended}`" in card.body
        assert not await it.rows(Project)


async def test_a_channel_knows_its_project(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        world.project(tx, "one")
        world.project(tx, "two")

    other = Place("web", "other")
    async with stage(tmp_path) as it:
        await it.change(prepare)
        assert (await it.ask("status")).title.startswith("two")
        assert (await it.ask("status", place=world.thread(1))).title.startswith("one")
        assert (await it.ask("status one")).title.startswith("one")
        assert (await it.ask("board", place=other)).kind is CardKind.ERROR
        await it.ask("use one", place=other)
        assert (await it.ask("status", place=other)).title.startswith("one")
        assert (await it.row(Channel, ("web", "other"))).project_id == 1
        missing = await it.ask("status thre")
        assert "Did you mean `/autocoder status " in missing.body
        assert "Did you mean 'one'?" in (await it.ask("stop project:oen")).title
        assert "Did you mean" not in (await it.ask("stop project:unheard")).title
        assert "2 projects" in (await it.ask("list")).title


async def test_every_reading_command_reads_an_empty_and_a_full_project(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        world.project(tx, "empty", status=ProjectStatus.INTERVIEWING)
        full = world.project(tx, "full")
        world.plan(tx, full)
        full.status = ProjectStatus.RUNNING
        made = world.tasks(tx, full, *TaskStatus)
        world.run(tx, full, made[0])
        world.question(tx, full, "Which `one`?", "a", "b")

    lines = (
        "list", "status", "inbox", "board", "graph", "tasks", "tasks stuck", "task 4", "plan",
        "agents", "logs", "logs 1 warning", "why 1", "why 4", "why 3", "cost", "cost today", "cost week",
        "budget", "settings", "settings max_parallel", "members", "check", "preview",
    )  # fmt: skip
    async with stage(tmp_path) as it:
        await it.change(prepare)
        for line in lines:
            card = await it.ask(line, place=world.thread(2))
            assert card.kind is CardKind.ANSWER, (line, card)
            assert card.title
            assert card.fallback
            assert len(card.body) <= BODY_LIMIT
            received, _outcome = await it.command(line, place=world.thread(1))
            assert await it.card(received.item_id) is not None


async def test_one_of_something_is_said_as_one(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        world.plan(tx, row)
        row.status = ProjectStatus.RUNNING
        [task] = world.tasks(tx, row, TaskStatus.STUCK)
        task.attempts, task.last_error = 1, "boom"
        _spend_on(tx, row.id, world.run(tx, row).id)
        member = Member(person="web:ann", role=Role.VIEWER, added_by="web:local", added_at=NOW)
        tx.add(member)

    lines = (
        "list", "status", "inbox", "board", "graph", "tasks", "tasks stuck", "task 1", "plan",
        "agents", "logs", "why 1", "cost", "cost by model", "budget", "members", "archive",
    )  # fmt: skip
    async with stage(tmp_path) as it:
        await it.change(prepare)
        for line in lines:
            card = await it.ask(line)
            whole = card.whole.text if card.whole else ""
            said = f"{card.title}\n{card.fallback}\n{whole}"
            several = re.findall(r"(?<![.\d])1 (?:[a-z]+ )?([a-z]+s)\b", said)
            assert [noun for noun in several if noun not in {"waits", "is", "builds"}] == [], line


@pytest.mark.parametrize("line", ["budget project 5", "budget day 5", "settings max_parallel 2"])
async def test_nothing_of_what_is_archived_is_set(tmp_path: Path, line: str) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx, status=ProjectStatus.ARCHIVED))
        card = await it.ask(f"{line} project:todo-api")
        assert card.title == "todo-api is archived; nothing was changed."
        row = await it.row(Project, 1)
        assert (row.budget_micro_usd, row.settings) == (20_000_000, {})


async def test_cost_shows_its_days_unless_it_is_asked_for_one(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        assert (await it.ask("cost", place=world.MAIN)).pictures == ()
        await it.change(_spend)
        urls = {
            line: [picture.url for picture in (await it.ask(f"{line} todo-api")).pictures]
            for line in ("cost", "cost week", "cost today")
        }
        until = f"until={NOW.date()}"
        assert urls == {
            "cost": [f"/api/pictures/month/1.svg?{until}"],
            "cost week": [f"/api/pictures/week/1.svg?{until}"],
            "cost today": [],
        }


async def test_the_parts_of_a_cost_sum_up(tmp_path: Path) -> None:
    def spent(tx: Session) -> None:
        row = world.project(tx)
        for dimension, key, usd in (
            (Dimension.DAY, "2026-03-11", 7),
            (Dimension.MODEL, "claude-opus-5-5", 3),
            (Dimension.MODEL, "claude-sonnet-5-5", 4),
            (Dimension.FEATURE, "1", 5),
        ):
            tx.add(
                UsageTotal(
                    project_id=row.id, dimension=dimension, key=key, messages=1,
                    micro_usd=usd * 1_000_000,
                )
            )  # fmt: skip

    async with stage(tmp_path) as it:
        await it.change(spent)
        card = await it.ask("cost")
        assert card.title == "In all: $7.00 on todo-api"
        assert "claude-sonnet-5-5 $4.00, claude-opus-5-5 $3.00" in card.body
        assert card.table is not None
        assert card.table.head == ("Feature", "Messages", "Tokens", "Cost")
        assert [(row[0], row[-1]) for row in card.table.rows] == [
            ("1", "$5.00"), ("Interview and plans", "$2.00"),
        ]  # fmt: skip


def _spend(tx: Session) -> None:
    """Two days of two models, agents, features; of one message nobody knows the price."""
    row = world.project(tx)
    made = world.tasks(tx, row, TaskStatus.PASSING, TaskStatus.PENDING)
    first, second = world.run(tx, row, made[0]), world.run(tx, row)
    second.slot = 2
    world.project(tx, "other")
    _spend_on(tx, row.id, first.id, model="opus", task=1, feature=1, micro=3_000_000)
    _spend_on(tx, row.id, second.id)
    _spend_on(tx, row.id, first.id, task=1, feature=1, micro=None)
    _spend_on(tx, row.id, first.id, task=2, feature=1, micro=500_000, at=NOW - timedelta(days=2))


def _spend_on(
    tx: Session,
    project: int,
    run: int,
    *,
    model: str = "sonnet",
    task: int | None = None,
    feature: int | None = None,
    micro: int | None = 1_000_000,
    at: datetime = NOW,
) -> None:
    """One message, and the sums that are kept of it."""
    tx.add(
        UsageEntry(
            process_id="p", message_id=str(uuid4()), project_id=project, run_id=run, task_id=task,
            feature_id=feature, kind=AgentKind.CODER, model=model, input=10, output=5,
            cache_read=0, cache_write_5m=0, cache_write_1h=0, micro_usd=micro,
            assumed_micro_usd=micro or 0, at=at,
        )
    )  # fmt: skip
    keys = {
        Dimension.DAY: at.date().isoformat(), Dimension.MODEL: model, Dimension.RUN: run,
        Dimension.TASK: task, Dimension.FEATURE: feature,
    }  # fmt: skip
    for dimension, key in keys.items():
        if key is None:
            continue
        total = tx.get(UsageTotal, (project, dimension, str(key)))
        if total is None:
            total = UsageTotal(
                project_id=project, dimension=dimension, key=str(key), messages=0, micro_usd=0,
                input=0, output=0, unpriced_messages=0, cache_read=0, cache_write_5m=0,
                cache_write_1h=0,
            )  # fmt: skip
            tx.add(total)
        total.messages += 1
        total.unpriced_messages += micro is None
        total.input += 10
        total.output += 5
        total.micro_usd += micro or 0
        tx.flush()


@pytest.mark.parametrize(
    ("line", "title", "rows"),
    [
        ("cost by model", "In all: $4.50", ["opus 1 $3.00", "sonnet 3 $1.50"]),
        ("cost today by model", "Today: $4.00", ["opus 1 $3.00", "sonnet 2 $1.00"]),
        ("cost by agent", "In all: $4.50", ["coder-1 3 $3.50", "coder-2 1 $1.00"]),
        ("cost today by agent", "Today: $4.00", ["coder-1 2 $3.00", "coder-2 1 $1.00"]),
        (
            "cost by task", "In all: $4.50",
            ["1 Task 1 2 $3.00", "2 Task 2 1 $0.50", "No single task 1 $1.00"],
        ),
        ("cost today by task", "Today: $4.00", ["1 Task 1 2 $3.00", "No single task 1 $1.00"]),
        (
            "cost week by feature", "Last 7 days: $4.50",
            ["Storage 3 $3.50", "Interview and plans 1 $1.00"],
        ),
        ("cost week", "Last 7 days: $4.50", ["Mon 9 March 1 $0.50", "Wed 11 March 3 $4.00"]),
    ],
)  # fmt: skip
async def test_what_was_spent_on_what_and_when(
    tmp_path: Path, line: str, title: str, rows: list[str]
) -> None:
    async with stage(tmp_path) as it:
        await it.change(_spend)
        card = await it.ask(f"{line} todo-api")
        assert card.title == f"{title} on todo-api"
        assert card.table is not None
        assert [f"{name} {count} {usd}" for name, count, _, usd in card.table.rows] == rows
        assert "▲ 1 message without a known price" in card.body
        assert all(row[-1] in card.fallback for row in card.table.rows)


async def test_of_all_projects_a_part_names_its_own(tmp_path: Path) -> None:
    elsewhere = Place("web", "elsewhere")
    async with stage(tmp_path) as it:
        await it.change(_spend)
        for line, name in (("cost", "todo-api"), ("cost today by task", "todo-api: 1 Task 1")):
            card = await it.ask(line, place=elsewhere)
            assert card.table is not None
            assert card.table.rows[0][0] == name
        await it.ask("cost by feature", place=elsewhere)


async def test_a_breakdown_that_there_is_not_is_said_with_what_fits(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_spend)
        for wrong, meant in (
            ("cost today by modle", "cost today by model"),
            ("cost today model", "cost today by model"),
            ("cost bi task", "cost by task"),
        ):
            assert f"Did you mean `/autocoder {meant}`?" in (await it.ask(wrong)).body
        assert "wants what it is broken down by" in (await it.ask("cost by")).title


async def test_a_diff_without_a_change_says_so(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        begin = await it.worktrees.create("todo-api", {"a.txt": b"a"}, "Begin\n")

        def prepare(tx: Session) -> None:
            world.project(tx).first_commit = begin

        await it.change(prepare)
        assert (await it.ask("diff")).body == "Nothing has changed."


async def test_a_status_is_said_in_words(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        refused = await it.ask("task add another")
        assert refused.kind is CardKind.ERROR
        assert "awaiting approval" in refused.title


async def test_start_pause_resume_stop(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        running = await it.ask("start")
        assert (running.kind, running.title) == (
            CardKind.ANSWER, "todo-api is running; nothing was changed",
        )  # fmt: skip
        for line, status in (
            ("pause", ProjectStatus.PAUSED),
            ("pause", ProjectStatus.PAUSED),
            ("resume", ProjectStatus.RUNNING),
            ("stop", ProjectStatus.STOPPED),
            ("start", ProjectStatus.RUNNING),
        ):
            await it.ask(line)
            assert (await it.row(Project, 1)).status is status
        assert len(await it.happened(Event.PROJECT_PAUSED)) == 1
        again = await it.ask("start", by=await it.member("web:ann", Role.OPERATOR))
        assert "last moved by" in again.title
        assert again.tone is not Tone.DANGER


async def test_an_archived_name_is_said_to_be_archived_and_how_to_see_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: [world.project(tx, name) for name in ("one", "two")])
        done = await it.ask("archive one")
        assert "`/autocoder status one` shows it" in done.body
        listed = await it.ask("list")
        assert listed.title == "1 project"
        assert listed.table is not None
        assert [row[0] for row in listed.table.rows] == ["two"]
        assert "1 archived: one; `/autocoder status NAME` shows one" in listed.body
        await it.ask("archive two")
        empty = await it.ask("list")
        assert empty.title == "No projects but archived ones"
        assert "2 archived: two, one" in empty.body
        refused = await it.ask("new One")
        assert refused.kind is CardKind.ERROR
        assert refused.title == "one is archived, and its name stays taken."
        assert "`/autocoder status one` shows it" in refused.body
        assert (await it.ask("status one")).title.startswith("one")
        assert len(await it.rows(Project)) == 2


async def test_what_waits_is_said_in_whole_sentences(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        world.question(tx, row, "Which one shall I take for it.")
        [task] = world.tasks(tx, row, TaskStatus.STUCK)
        task.name, task.stuck_at = "Sign in.", NOW

    async with stage(tmp_path) as it:
        await it.change(prepare)
        words = markup.plain((await it.ask("inbox")).body)
        assert "A question of todo-api, since" in words
        assert ": Which one shall I take for it.\n" in f"{words}\n"
        assert "Task 1 of todo-api is stuck, since" in words
        assert ".," not in words


async def test_people_are_called_by_their_names_and_ids_stand_in_members(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        ann = await it.member("slack:U1", Role.APPROVER)
        await it.change(lambda tx: setattr(tx.get_one(Member, ann), "name", "Ann Lee"))
        await it.change(_building(TaskStatus.STUCK))
        await it.ask("skip 1", by=ann)
        again = await it.ask("skip 1")
        assert again.title == "Task 1 is skipped, decided by Ann Lee; nothing was changed."
        assert again.body == "That was at [10:48](time:2026-03-11T10:48:00Z)."
        members_ = await it.ask("members")
        assert members_.table is not None
        assert ("slack:U1", "Ann Lee", "approver", "web:local") in members_.table.rows
        assert (await it.ask("role slack:U1 viewer")).title == "Ann Lee is viewer now"
        await it.ask("pause", by=await it.member("slack:U1", Role.OPERATOR))
        assert "last moved by Ann Lee" in (await it.ask("pause")).title


async def test_a_plan_is_shown_in_part_and_kept_whole(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        card = await it.ask("plan")
        assert card.whole is not None
        assert card.whole.name == "plan.md"
        assert card.whole.text.startswith("# Plan 1 for todo-api\n")
        for text in ("## 1 Foundation", "### Storage", "3. **Task 3** (2 of 5)", "test -f 3.txt"):
            assert text in card.whole.text
        assert "1 phase, 1 feature, 3 tasks" in card.body


async def test_stopping_before_approval_goes_back_there(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        await it.ask("stop")
        refused = await it.press("approve:plan:1")
        assert not refused.ok
        assert (await it.row(Approval, 1)).status is ApprovalStatus.OPEN
        await it.ask("start")
        assert (await it.row(Project, 1)).status is ProjectStatus.AWAITING_APPROVAL


async def test_a_typed_approve_binds_to_what_was_posted_last(tmp_path: Path) -> None:
    def second(tx: Session) -> None:
        row = tx.get_one(Project, 1)
        tx.get_one(Approval, 1).status = ApprovalStatus.WITHDRAWN
        world.plan(tx, row, version=2, posted=False)

    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        elsewhere = await it.ask("approve todo-api", place=Place("web", "other"))
        assert "not shown in this channel" in elsewhere.title
        await it.change(second)
        early = await it.ask("approve")
        assert "newer plan" in early.title
        assert (await it.row(Approval, 2)).status is ApprovalStatus.OPEN
        await it.change(
            lambda tx: setattr(
                tx.query(OutboxItem).filter_by(key="plan:todo-api:2").one(), "message", "102"
            )
        )
        card = await it.ask("approve")
        assert card.title == "✓ Plan 2 of todo-api was approved"
        assert (await it.row(Approval, 2)).decided_by == "web:local"
        late = await it.ask("reject too late")
        assert "approved by local; nothing was changed" in late.title
        assert "[10:48](time:" in late.body


@pytest.mark.parametrize(
    ("person", "age", "decided"),
    [("web:local", 0, True), ("web:ann", 30, True), ("web:ann", 2, False)],
)
async def test_a_typed_approve_finds_the_decision_that_was_shown_before_and_still_waits(
    tmp_path: Path, person: str, age: int, decided: bool
) -> None:
    """Not for whoever may have meant the one that another decided at that moment."""

    def second(tx: Session) -> None:
        row = world.project(tx)
        world.plan(tx, row)
        gate = Approval(
            project_id=row.id, kind=ApprovalKind.GATE, subject_id=1, version="4f2c9e1",
            status=ApprovalStatus.APPROVED, opened_at=NOW, decided_by=person,
            decided_at=NOW - timedelta(seconds=age),
        )  # fmt: skip
        tx.add(gate)
        tx.flush()
        world.post(
            tx, f"gate:todo-api:{gate.id}", CardKind.GATE, row.id, subject_id=gate.id, message="200"
        )

    async with stage(tmp_path) as it:
        await it.change(second)
        card = await it.ask("approve")
        if decided:
            assert card.title == "✓ Plan 1 of todo-api was approved"
        else:
            assert "approved by ann" in card.title
            assert "A plan of todo-api waits too" in card.body
            assert (await it.row(Approval, 1)).status is ApprovalStatus.OPEN


async def test_a_rejection_wants_a_reason_and_goes_back_to_the_planner(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        assert (await it.ask("reject")).kind is CardKind.ERROR
        assert (await it.row(Approval, 1)).status is ApprovalStatus.OPEN
        await it.ask("reject sign-in <b>first</b>")
        assert (await it.row(Project, 1)).replan_reason == "sign-in <b>first</b>"


async def test_stuck_tasks_by_command(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_building(*[TaskStatus.STUCK] * 4, TaskStatus.PASSING))
        assert "is tried again with Opus" in (await it.ask("retry 1 opus")).title
        assert "is tried again" in (await it.ask("guide 2 look at `this`")).title
        assert "are skipped" in (await it.ask("skip 3 4")).title
        statuses = [(await it.row(Task, n)).status for n in (1, 2, 3, 4)]
        pending, skipped = TaskStatus.PENDING, TaskStatus.SKIPPED
        assert statuses == [pending, pending, skipped, skipped]
        assert "passing" in (await it.ask("retry 5")).title
        assert "go from 1 to 5" in (await it.ask("task 99")).title


async def test_of_several_tasks_all_are_skipped_or_none(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_building(TaskStatus.STUCK, TaskStatus.PASSING))
        assert (await it.ask("skip 1 2")).kind is CardKind.ERROR
        assert (await it.row(Task, 1)).status is TaskStatus.STUCK


@pytest.mark.parametrize(
    ("statuses", "body"),
    [
        ((), "Nothing proves it."),
        (
            (TaskStatus.PENDING,),
            "Nothing proves it.\nTask 2 builds on it and is stuck until you decide.",
        ),
        (
            (TaskStatus.PENDING, TaskStatus.PASSING, TaskStatus.PENDING),
            "Nothing proves it.\nTasks 2 and 4 build on it and are stuck until you decide.",
        ),
    ],
)
async def test_a_skipped_task_leaves_stuck_what_builds_on_it(
    tmp_path: Path, statuses: tuple[TaskStatus, ...], body: str
) -> None:
    def prepare(tx: Session) -> None:
        _building(TaskStatus.STUCK, *statuses)(tx)
        tx.add_all(TaskDependency(task_id=n, depends_on_id=1) for n in range(2, 2 + len(statuses)))

    async with stage(tmp_path) as it:
        await it.change(prepare)
        card = await it.ask("skip 1")
        assert (card.title, card.body) == ("Task 1 is skipped", body)


async def test_no_stuck_card_comes_of_a_task_that_is_skipped_with_what_it_builds_on(
    tmp_path: Path,
) -> None:
    def prepare(tx: Session) -> None:
        _building(TaskStatus.STUCK, TaskStatus.PENDING)(tx)
        tx.add(TaskDependency(task_id=2, depends_on_id=1))

    async with stage(tmp_path) as it:
        await it.change(prepare)
        card = await it.ask("skip 1 2")
        assert card.title == "Tasks 1 and 2 are skipped"
        assert card.body == "Nothing proves them."
        assert [row.status for row in await it.rows(Task)] == [TaskStatus.SKIPPED] * 2
        assert await it.happened(Event.TASK_STUCK) == []


async def test_many_tasks_are_shown_in_part_and_kept_whole(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_building(*[TaskStatus.PENDING] * 60, TaskStatus.PASSING))
        card = await it.ask("tasks")
        assert card.title == "todo-api: 61 tasks"
        assert "○ 60 pending · ✓ 1 passing" in card.body
        assert card.table is not None
        assert card.whole is not None
        assert len(card.table.rows) == 40
        assert card.whole.name == "tasks.md"
        assert "| 61 | Task 61 | Storage | ✓ passing |" in card.whole.text
        few = await it.ask("tasks passing")
        assert few.title == "todo-api: 1 passing task"
        assert few.whole is None


async def test_a_log_shows_its_end_and_keeps_the_rest(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        for number in range(40):
            journal.record(
                tx, Event.GUIDANCE_GIVEN, f"word {number}.", now=NOW, actor="web:ann", project=row
            )

    async with stage(tmp_path) as it:
        await it.change(prepare)
        card = await it.ask("logs")
        assert "word 39." in card.body
        assert "word 0." not in card.body
        assert card.whole is not None
        assert card.whole.text.startswith(
            "2026-03-11 10:48:00 UTC info guidance_given: word 0. · ann\n"
        )


async def test_a_log_calls_an_agent_by_its_name(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        made = world.run(tx, row)
        for number in range(40):
            journal.record(
                tx, Event.TASK_PASSED, f"word {number}.", now=NOW, actor=f"run:{made.id}",
                project=row,
            )  # fmt: skip

    async with stage(tmp_path) as it:
        await it.change(prepare)
        card = await it.ask("logs")
        assert card.whole is not None
        assert "word 39. · coder-1" in card.body
        assert card.whole.text.endswith("word 39. · coder-1\n")
        assert "run:" not in card.body + card.whole.text


async def test_who_works_on_what_is_a_table(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        [task] = world.tasks(tx, row, TaskStatus.PENDING)
        world.run(tx, row, task).started_at = NOW - timedelta(minutes=12)

    async with stage(tmp_path) as it:
        await it.change(prepare)
        here = await it.ask("agents")
        assert here.table is not None
        assert here.table.rows == (
            ("coder-1", "Sonnet", "1 Task 1", "◐ thinking", "12 min", "–"),
        )  # fmt: skip
        everywhere = await it.ask("agents", place=Place("web", "elsewhere"))
        assert everywhere.table is not None
        assert everywhere.table.rows[0][2] == "todo-api"


async def test_a_person_vouches(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:

        def prepare(tx: Session) -> None:
            _building(TaskStatus.STUCK, TaskStatus.PENDING)(tx)
            tx.get_one(Task, 1).checks = ["test -f never.txt"]
            tx.get_one(Task, 2).checks = ["test -f 2.txt"]

        await it.change(prepare)
        begin = await it.worktrees.create("todo-api", {"a.txt": b"a"}, "Begin\n")
        approver = await it.member("web:ann", Role.APPROVER)
        assert (await it.ask("pass 1", by=approver)).kind is CardKind.ERROR
        card = await it.ask("pass 1 it reads well", by=approver)
        assert card.title == "✓ Task 1 passes: ann vouches for it"
        task, feature = await it.row(Task, 1), await it.row(Feature, 1)
        assert task.status is TaskStatus.PASSING
        [proof] = await it.rows(Evidence)
        assert (proof.accepted, proof.verdict.value) == (True, "vouched")
        history = await it.worktrees.history("todo-api", begin, "refs/heads/feature/storage")
        assert [(entry.id, entry.task, entry.feature) for entry in history] == [
            (feature.last_green_commit, 1, "storage")
        ]
        again = await it.ask("pass 1 twice", by=approver)
        assert "by ann;" in again.title
        [passed] = await it.happened(Event.TASK_PASSED)
        assert passed.actor == "web:ann"

        def land(tx: Session) -> features.Landing | None:
            tx.get_one(Project, 1).first_commit = begin
            tx.get_one(Task, 2).status = TaskStatus.PASSING
            return features.begin_landing(tx, 1)

        landing = await it.change(land)
        assert landing is not None
        assert landing.checks == ("test -f 2.txt",), "what a person vouches for no check holds up"


@pytest.mark.parametrize(
    ("status", "why", "hint"),
    [
        (RunStatus.WORKING, "works on Storage", "or pause the project first"),
        (RunStatus.WAITING, "waits for an answer about Storage", "Answer its question first"),
    ],
)
async def test_nobody_vouches_beneath_an_agent(
    tmp_path: Path, status: RunStatus, why: str, hint: str
) -> None:
    async with stage(tmp_path) as it:

        def prepare(tx: Session) -> None:
            _building(TaskStatus.STUCK, TaskStatus.PENDING)(tx)
            world.run(tx, tx.get_one(Project, 1), tx.get_one(Task, 2)).status = status

        await it.change(prepare)
        card = await it.ask("pass 1 it reads well")
        assert card.kind is CardKind.ERROR
        assert why in card.title
        assert hint in card.body
        assert (await it.row(Task, 1)).status is TaskStatus.STUCK


async def test_guidance_is_taken_up_by_one_agent(tmp_path: Path) -> None:
    def take(tx: Session) -> None:
        row = tx.get_one(Project, 1)
        run = world.run(tx, row, tx.get_one(Task, 2))
        assert [hint.text for hint in guidance.take(tx, run.id, now=NOW)] == ["use port 8080"]
        other = world.run(tx, row, tx.get_one(Task, 1))
        assert guidance.take(tx, other.id, now=NOW) == ()

    async with stage(tmp_path) as it:
        await it.change(_building(TaskStatus.PENDING, TaskStatus.PENDING))
        item, _outcome = await it.say("use port 8080", place=world.thread())
        await it.change(take)
        card = await it.card(item)
        assert card is not None
        assert card.title == "✓ taken up in task 2"
        assert "use port 8080" in (await it.row(Task, 2)).recovery_notes
        [taken] = await it.happened(Event.GUIDANCE_TAKEN)
        assert taken.task_id == 2
        assert (await it.rows(Guidance))[0].taken_by is not None


async def test_settings_of_a_project(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        assert "is 2 for todo-api" in (await it.ask("settings max_parallel 2")).title
        assert (await it.row(Project, 1)).settings == {"max_parallel": 2}
        for line in ("settings max_parallel 0", "settings on_stuck maybe", "settings strict 7"):
            assert (await it.ask(line)).kind is CardKind.ERROR
        near = await it.ask("settings max_paralel 3")
        assert "Did you mean `/autocoder settings max_parallel 3`?" in near.body
        far = await it.ask("settings foo 3")
        assert "Did you mean `/autocoder settings`?" in far.body
        assert "Did you mean `/autocoder settings " in (await it.ask("settings foo")).body
        viewer = await it.member("web:vi", Role.VIEWER)
        every = (await it.ask("settings", by=viewer)).body
        assert "**max_parallel** `2` (its own)" in every
        assert "From small to large: after the same error three times the next one tries." in every
        refused = await it.ask("settings max_parallel 9", by=viewer)
        assert refused.kind is CardKind.ERROR
        await it.ask("settings max_parallel default")
        assert (await it.row(Project, 1)).settings == {}


async def test_fewer_attempts_hold_for_tasks_that_wait_already(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        _building(TaskStatus.PENDING, TaskStatus.PENDING, TaskStatus.PASSING)(tx)
        for task, attempts in zip(tx.query(Task).order_by(Task.number), (0, 3, 0), strict=True):
            task.attempts, task.allowed_attempts = attempts, 5

    async with stage(tmp_path) as it:
        await it.change(prepare)
        await it.ask("settings max_attempts 2")
        assert [task.allowed_attempts for task in await it.rows(Task)] == [2, 4, 5]
        await it.ask("settings max_attempts default")
        assert [task.allowed_attempts for task in await it.rows(Task)] == [5, 7, 5]


async def test_budgets(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        await it.ask("budget project 12.50")
        await it.ask("budget run 2")
        row = await it.row(Project, 1)
        assert row.budget_micro_usd == 12_500_000
        assert row.settings == {"run_usd": "2"}
        card = await it.ask("budget")
        assert "$12.50" in card.title
        assert card.table is not None
        assert ("One run", "–", "$2.00", "–") in card.table.rows
        assert "One run · – · $2.00" in card.fallback
        operator = await it.member("web:op", Role.OPERATOR)
        assert (await it.ask("budget project 99", by=operator)).kind is CardKind.ERROR


async def test_whoever_guesses_codes_waits(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        code = await it.change(lambda tx: members.issue_claim(tx, now=NOW))
        for guess in range(10):
            card = await it.ask(f"claim {guess}", by="slack:U1")
            assert "not valid" in card.title
        card = await it.ask(f"claim {code}", by="slack:U1")
        assert "10 wrong codes: the next one is looked at after 11:03" in card.title
        assert await it.rows(Member) == []
        assert "admin now" in (await it.ask(f"claim {code}", by="slack:U2")).title


async def test_people_and_the_one_time_code(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        code = await it.change(lambda tx: members.issue_claim(tx, now=NOW))
        later = await it.change(lambda tx: members.issue_claim(tx, now=NOW))
        for wrong in (code, "x", later[:-1]):
            assert (await it.ask(f"claim {wrong}", by="slack:U1")).kind is CardKind.ERROR
        assert "admin now" in (await it.ask(f"claim {later}", by="slack:U1")).title
        assert (await it.row(Member, "slack:U1")).role is Role.ADMIN
        assert (await it.ask(f"claim {later}", by="slack:U2")).kind is CardKind.ERROR
        await it.ask("role slack:U2 approver", by="slack:U1")
        assert (await it.row(Member, "slack:U2")).role is Role.APPROVER
        assert (await it.ask("role Ada admin")).kind is CardKind.ERROR
        assert (await it.ask("role web:local viewer")).kind is CardKind.ERROR
        listed = await it.ask("members", by="slack:U2")
        assert listed.table is not None
        assert "slack:U1" in [row[0] for row in listed.table.rows]
        assert not any(code in str(row) for row in await it.rows(OutboxItem))


async def test_words_from_outside_are_words(tmp_path: Path) -> None:
    evil = "**bold** `code` [x](/evil) <script>alert(1)</script>\x1b[31m"

    def prepare(tx: Session) -> None:
        for task in world.tasks(tx, world.project(tx), TaskStatus.STUCK):
            task.name = evil
            task.last_error = evil
            task.description = evil

    async with stage(tmp_path) as it:
        await it.change(prepare)
        for line in ("task 1", "board", "tasks", "why 1", "inbox"):
            card = await it.ask(line)
            assert "\x1b" not in card.body + card.title + card.fallback
            spans = [span for line_ in markup.parse(card.body) for span in line_.spans]
            cells = [cell for row in card.table.rows for cell in row] if card.table else []
            assert not any("\x1b" in cell for cell in cells)
            assert any("<script>" in text for text in [*cells, *(span.text for span in spans)])
            assert all(span.look is markup.Look.PLAIN for span in spans if "bold" in span.text)
            assert not [span for span in spans if span.look is markup.Look.LINK]
