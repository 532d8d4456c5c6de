"""The router: once each, in order, nothing lost, everybody told."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from bot import router
from bot.commands import COMMANDS, presses
from bot.commands.command import Call, Reply
from core.domain.cards import parse_press
from core.domain.events import CardKind, Event
from core.domain.lifecycle import ProjectStatus, TaskStatus
from core.domain.people import Role
from core.operations import inbox
from core.ports.chat import Asked, Place, Pressed
from core.store import priority_lock
from core.store.chat_tables import Guidance, InboxItem, OutboxItem
from core.store.tables import Approval, Project, Question, Task
from tests.unit.bot.commands import stage as world
from tests.unit.bot.commands.stage import MAIN, stage, told


async def test_a_thousand_deliveries_of_one_press_have_one_effect(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        first = await it.press("pause:project:1", delivery="same")
        others = await asyncio.gather(
            *(it.press("pause:project:1", delivery="same") for _ in range(1_000))
        )
        assert first.ok
        assert set(others) == {first}
        assert len(await it.happened(Event.PROJECT_PAUSED)) == 1
        assert len(await it.rows(InboxItem)) == 1


async def test_the_same_press_delivered_at_once_many_times_has_one_effect(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        outcomes = await asyncio.gather(
            *(it.press("stop:project:1", delivery="same") for _ in range(50))
        )
        assert len(set(outcomes)) == 1
        assert outcomes[0].ok
        assert len(await it.happened(Event.PROJECT_STOPPED)) == 1


async def test_of_two_presses_at_once_one_counts_and_the_other_is_told_who_was_first(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        ada = await it.member("web:ada", Role.APPROVER)
        bob = await it.member("web:bob", Role.APPROVER)
        outcomes = await asyncio.gather(
            it.press("approve:plan:1", by=ada),
            it.press("reject:plan:1", by=bob, reason="no"),
        )
        won = [outcome for outcome in outcomes if outcome.ok]
        orphaned_runs = [outcome for outcome in outcomes if not outcome.ok]
        assert len(won) == len(orphaned_runs) == 1
        assert orphaned_runs[0].reason == "stale"
        winner = "web:ada" if outcomes[0].ok else "web:bob"
        assert f"by {winner.removeprefix('web:')} at " in orphaned_runs[0].text
        assert "10:48" in orphaned_runs[0].text
        approval = await it.row(Approval, 1)
        assert approval.decided_by == winner
        refused = await it.happened(Event.PRESS_REFUSED)
        assert [entry.actor for entry in refused] == [
            "web:bob" if winner == "web:ada" else "web:ada"
        ]


async def test_whoever_presses_an_old_card_is_shown_the_way_to_the_current_one(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        await it.press("reject:plan:1", reason="no")
        await it.change(lambda tx: world.plan(tx, tx.get_one(Project, 1), version=2))
        old = await it.press("approve:plan:1")
        assert old.reason == "stale"
        item = (await it.rows(InboxItem))[-1]
        card = await it.card(item.id)
        assert card is not None
        assert "Plan 2 of todo-api waits for a decision now" in card.body
        [way] = card.buttons
        assert (way.label, way.press.encode()) == ("Details", "details:plan:2")
        assert (await it.press("details:plan:2")).text == "Plan 2 for todo-api"


async def test_what_an_earlier_life_left_open_is_done_once(tmp_path: Path) -> None:
    async with stage(tmp_path, run=False) as it:
        await it.change(lambda tx: world.project(tx))
        press = it.inbound(Pressed(parse_press("pause:project:1"), {}), by="web:local", place=MAIN)
        line = it.inbound(Asked("list"), by="web:local", place=MAIN)
        await it.change(lambda tx: inbox.receive(tx, press, now=world.NOW))
        await it.router.deliver(line)
        assert not await it.happened(Event.PROJECT_PAUSED)
    for _life in range(2):
        async with stage(tmp_path) as it:
            await it.router.recovered.wait()
            assert (await it.hear(press))[1].ok
            assert (await it.hear(line))[1].ok
            assert len(await it.happened(Event.PROJECT_PAUSED)) == 1
            assert len(await it.rows(OutboxItem, OutboxItem.key == "answer:2")) == 1


async def test_a_crash_inside_an_effect_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_args: object, **_more: object) -> None:
        raise RuntimeError("pulled the plug")

    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        monkeypatch.setattr(inbox, "done", break_down)
        received = await it.router.deliver(it.inbound(Asked("pause"), by="web:local", place=MAIN))
        await asyncio.sleep(0.2)
        assert not await it.happened(Event.PROJECT_PAUSED)
        assert (await it.row(Project, 1)).status is ProjectStatus.RUNNING
        assert not await it.rows(OutboxItem, OutboxItem.key.startswith("answer:"))
        monkeypatch.undo()
    async with stage(tmp_path) as it:
        outcome = await it.router.outcome(received.item_id, 60)
        assert outcome is not None
        assert outcome.ok
        assert (await it.row(Project, 1)).status is ProjectStatus.PAUSED


async def test_an_unexpected_failure_is_a_private_card_and_the_next_one_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_tx: object, _call: Call) -> Reply:
        raise ZeroDivisionError("a defect")

    broken = replace(COMMANDS["list"], execute=fail)
    monkeypatch.setitem(COMMANDS, "list", broken)
    async with stage(tmp_path) as it:
        card = await it.ask("list")
        assert card.kind is CardKind.ERROR
        assert "went wrong" in card.title
        [item] = await it.rows(OutboxItem, OutboxItem.key == card.key)
        assert item.private_to == "web:local"
        assert (await it.ask("help")).kind is CardKind.HELP


async def test_a_slow_query_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()

    async def slow(_call: Call) -> Reply:
        await release.wait()
        return Reply(title="at last")

    held = replace(COMMANDS["check"], prepare=slow)
    monkeypatch.setitem(COMMANDS, "check", held)
    async with stage(tmp_path) as it:
        waiting = await it.router.deliver(it.inbound(Asked("check"), by="web:local", place=MAIN))
        assert (await it.ask("list")).title == "No projects yet"
        assert await it.card(waiting.item_id) is None
        release.set()
        assert (await told(waiting)).text == "at last"


async def test_one_channel_is_heard_in_order(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        lines = ["pause", "resume"] * 20
        received = [
            await it.router.deliver(it.inbound(Asked(line), by="web:local", place=MAIN))
            for line in lines
        ]
        outcomes = [await told(one) for one in received]
        paused, resumed = outcomes[0::2], outcomes[1::2]
        assert all("paused" in outcome.text for outcome in paused)
        assert all("goes on" in outcome.text for outcome in resumed)
        assert len(await it.happened(Event.PROJECT_PAUSED)) == 20


async def test_a_press_waits_for_what_was_said_before_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        for _ in range(20):
            await it.router.deliver(it.inbound(Asked("pause"), by="web:local", place=MAIN))
            assert (await it.press("resume:project:1")).ok
        assert (await it.row(Project, 1)).status is ProjectStatus.RUNNING
        assert len(await it.happened(Event.PROJECT_RESUMED)) == 20


async def test_nobody_in_a_hurry_waits_for_himself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(priority_lock, "URGENT_S", 3_600)
    async with stage(tmp_path) as it, asyncio.timeout(60):
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        assert (await it.press("details:plan:1")).ok
        assert (await it.press("approve:plan:1")).ok
        assert (await it.ask("status")).kind is CardKind.ANSWER


async def test_a_press_that_breaks_something_is_refused_and_the_next_one_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> Reply:
        raise ZeroDivisionError("a defect")

    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        monkeypatch.setattr(presses, "_move", fail)
        broken = await it.press("pause:project:1", delivery="first")
        assert (broken.ok, broken.reason) == (False, "failed")
        monkeypatch.undo()
        assert await it.press("pause:project:1", delivery="first") == broken
        assert (await it.press("pause:project:1")).ok
        assert all(item.done_at for item in await it.rows(InboxItem))


async def test_a_press_delivered_again_while_it_is_refused_is_told_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted, heard = asyncio.Event(), asyncio.Event()

    async with stage(tmp_path, run=False) as it:
        await it.change(lambda tx: world.project(tx))
        write, look = it.store.run_first, it.store.read_first

        async def refuse_late(operation: Any, *args: Any, **more: Any) -> Any:
            if operation is router._refused:
                noted.set()
                await heard.wait()
            return await write(operation, *args, **more)

        async def look_before(query: Any, *args: Any) -> Any:
            found = await look(query, *args)
            heard.set()
            return found

        monkeypatch.setattr(it.store, "run_first", refuse_late)
        monkeypatch.setattr(it.store, "read_first", look_before)
        first = asyncio.create_task(it.press("start:project:1", delivery="same"))
        await noted.wait()
        async with asyncio.timeout(5):
            again = await it.press("start:project:1", delivery="same")
        assert again == await first
        assert again.reason == "stale"


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("approve:plan:99", "unknown"),
        ("approve:gate:1", "unknown"),  # 1 is a plan's
        ("approve:project:1", "unknown"),
        ("pause:project:99", "unknown"),
        ("retry:task:99:1", "unknown"),
        ("retry:task:1:99", "unknown"),
        ("retry:task:1:x", "unknown"),
        ("answer:question:99:0", "unknown"),
        ("answer:question:1:7", "unknown"),
        ("answer:question:1:-1", "unknown"),
        ("answer:question:1:00", "unknown"),
        ("reject:plan:1", "missing_values"),
        ("guide:task:1:1", "missing_values"),
        ("answer:question:1", "missing_values"),
        ("raise_budget:budget:1", "missing_values"),
        ("start:project:1", "stale"),
        ("retry:task:2:1", "stale"),
    ],
)
async def test_forged_and_stale_presses_change_nothing(
    tmp_path: Path, action: str, reason: str
) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        world.tasks(tx, row, TaskStatus.STUCK, TaskStatus.PENDING)
        world.plan(tx, row)
        world.question(tx, row, "Which?", "a", "b")
        row.status = ProjectStatus.RUNNING

    async with stage(tmp_path) as it:
        await it.change(prepare)
        outcome = await it.press(action)
        assert not outcome.ok
        assert outcome.reason == reason
        assert (outcome.form is not None) == (reason == "missing_values")
        assert (await it.row(Task, 1)).status is TaskStatus.STUCK
        assert (await it.row(Question, 1)).answer is None
        assert (await it.row(Project, 1)).status is ProjectStatus.RUNNING
        refused = await it.happened(Event.PRESS_REFUSED)
        assert len(refused) == (reason != "missing_values")  # whoever fills in a form tried nothing


async def test_a_press_is_told_what_it_lacks_and_told_the_same_again(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        first = await it.press("reject:plan:1", delivery="once")
        again = await it.press("reject:plan:1", delivery="once")
        assert first == again
        assert first.form is not None
        assert first.form.inputs[0].name == "reason"
        assert not await it.rows(OutboxItem, OutboxItem.key.startswith("error:"))


async def test_a_role_that_does_not_reach_is_refused_privately_and_by_name(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        operator = await it.member("web:op", Role.OPERATOR)
        outcome = await it.press("approve:plan:1", by=operator)
        assert (outcome.ok, outcome.reason) == (False, "not_allowed")
        received, typed = await it.command("approve", by=operator)
        assert typed.reason == "not_allowed"
        [item] = await it.rows(OutboxItem, OutboxItem.key == f"error:{received.item_id}")
        assert item.private_to == operator
        refused = await it.happened(Event.PRESS_REFUSED)
        assert [entry.actor for entry in refused] == [operator, operator]
        assert (await it.row(Project, 1)).status is ProjectStatus.AWAITING_APPROVAL
        stranger = await it.ask("status", by="slack:U9")
        assert stranger.kind is CardKind.ERROR
        assert (await it.ask("help", by="slack:U9")).kind is CardKind.HELP


async def test_retry_with_opus_guide_and_skip_by_press(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        world.tasks(tx, row, TaskStatus.STUCK, TaskStatus.STUCK, TaskStatus.STUCK)

    async with stage(tmp_path) as it:
        await it.change(prepare)
        assert (await it.press("retry_with_opus:task:1:1")).ok
        assert (await it.press("guide:task:2:1", hint="try port 8080")).ok
        assert (await it.press("skip:task:3:1")).ok
        first, second, third = [await it.row(Task, n) for n in (1, 2, 3)]
        assert (first.status, first.model) == (TaskStatus.PENDING, "opus")
        assert second.status is TaskStatus.PENDING
        assert "8080" in second.recovery_notes
        assert third.status is TaskStatus.SKIPPED
        late = await it.press("retry:task:1:1", by="web:local")
        assert late.reason == "stale"
        assert "decided by local at 10:48 UTC; nothing was changed." in late.text


async def test_budget_is_raised_by_an_admin_only_and_upwards_only(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        approver = await it.member("web:ann", Role.APPROVER)
        assert (
            await it.press("raise_budget:budget:1", by=approver, amount="30")
        ).reason == "not_allowed"
        for amount in ("", "x", "-3", "20", "1e99", "NaN", "0.00000001"):
            outcome = await it.press("raise_budget:budget:1", amount=amount)
            assert (outcome.ok, outcome.reason) == (False, "missing_values"), amount
        assert (await it.press("raise_budget:budget:1", amount="$30.50")).ok
        assert (await it.row(Project, 1)).budget_micro_usd == 30_500_000


async def test_answers_by_press_word_for_word(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        world.question(tx, row, "One?", "Fast, API", "Other")
        world.question(tx, row, "Several?", "a", "b, c", "d", multiple=True)
        world.question(tx, row, "Free?")

    async with stage(tmp_path) as it:
        await it.change(prepare)
        for far_too_long in ("x" * 100_001, " ", ""):
            assert not (await it.press("answer:question:3", answer=far_too_long)).ok
        assert (await it.row(Question, 3)).answer is None
        assert (await it.press("answer:question:1:0")).ok
        pressed = Pressed(parse_press("answer:question:2"), {"choice": ("b, c", "d")})
        assert (await it.deliver(pressed)).ok
        assert (await it.press("answer:question:3", answer="<b>*own*</b>\nwords")).ok
        answers = [(await it.row(Question, n)).answer for n in (1, 2, 3)]
        assert answers == ["Fast, API", "b, c, d", "<b>*own*</b>\nwords"]
        again = await it.press("just_decide:question:3")
        assert again.reason == "stale"
        assert "answered by local at " in again.text


async def test_a_number_in_own_words_is_no_option(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        world.question(tx, row, "How many?", "5", "10", "20")
        world.question(tx, row, "How many?", "5", "10", "20")

    async with stage(tmp_path) as it:
        await it.change(prepare)
        assert (await it.press("answer:question:1", answer="2")).ok
        pressed = Pressed(parse_press("answer:question:2"), {"answer:question:2": ("2",)})
        assert (await it.deliver(pressed)).ok
        assert [(await it.row(Question, n)).answer for n in (1, 2)] == ["2", "20"]


async def test_a_number_in_a_message_is_no_option(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.question(tx, world.project(tx), "How many?", "5", "10"))
        await it.say("2", place=world.thread())
        assert (await it.row(Question, 1)).answer == "2"


async def test_a_select_takes_its_options_alone(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        world.question(tx, row, "Several?", "a", "b", multiple=True)
        world.question(tx, row, "One of six?", *"abcdef")

    async with stage(tmp_path) as it:
        await it.change(prepare)
        for number in (1, 2):
            name = f"answer:question:{number}"
            for forged in ("z", "9", "<b>"):
                pressed = Pressed(parse_press(name), {name: ("a", forged)})
                outcome = await it.deliver(pressed)
                assert outcome.reason == "missing_values"
                assert outcome.form is not None
            assert (await it.row(Question, number)).answer is None
            pressed = Pressed(parse_press(name), {name: ("b",), "answer": ("",)})
            assert (await it.deliver(pressed)).ok


async def test_messages_in_a_thread_answer_its_newest_question(tmp_path: Path) -> None:
    def prepare(tx: Session) -> None:
        row = world.project(tx)
        world.question(tx, row, "Old?", "x", "y")
        world.question(tx, row, "New?", "Alpha", "Beta")

    async with stage(tmp_path) as it:
        await it.change(prepare)
        for text in ("", "   ", "a" * 100_001):
            _item, outcome = await it.say(text, place=world.thread())
            assert not outcome.ok
        assert (await it.row(Question, 2)).answer is None
        await it.say("beta", place=world.thread())
        assert (await it.row(Question, 2)).answer == "Beta"
        await it.say("neither, because of *this*", place=world.thread())
        assert (await it.row(Question, 1)).answer == "neither, because of *this*"
        item, _outcome = await it.say("2", place=Place("web", "main", "99"))  # of somebody else
        assert await it.card(item) is None


async def test_a_viewer_may_not_answer(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.question(tx, world.project(tx)))
        viewer = await it.member("web:vi", Role.VIEWER)
        item, outcome = await it.say("yes", by=viewer, place=world.thread())
        assert outcome.reason == "not_allowed"
        card = await it.card(item)
        assert card is not None
        assert card.kind is CardKind.ERROR
        assert (await it.row(Question, 1)).answer is None


async def test_a_message_to_a_project_that_builds_waits_for_its_agents(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.tasks(tx, world.project(tx), TaskStatus.PENDING))
        item, outcome = await it.say("use port 8080", place=world.thread())
        assert outcome.ok
        card = await it.card(item)
        assert card is not None
        assert "next step" in card.title
        [given] = await it.rows(Guidance)
        assert (given.text, given.person, given.taken_by) == ("use port 8080", "web:local", None)


@pytest.mark.parametrize(
    "asked",
    [
        Asked("reject project: naming is wrong"),
        Asked("reject", {"reason": "project: naming is wrong"}),
        Asked("reject", {"reason": "project: naming is wrong"}, "TODO-API"),
    ],
)
async def test_a_reason_stays_what_was_said(tmp_path: Path, asked: Asked) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        assert (await it.deliver(asked)).ok
        assert (await it.row(Approval, 1)).reason == "project: naming is wrong"


async def test_a_project_that_was_chosen_apart_is_meant(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: [world.project(tx), world.project(tx, "other")])
        assert "other" in (await it.deliver(Asked("pause", {}, "other"))).text
        assert "todo-api" in (await it.deliver(Asked("stop", project="todo-api"))).text
        refused = await it.deliver(Asked("pause", {}, "nobody"))
        assert refused.reason == "unknown"
        assert "There is no project 'nobody'" in refused.text


async def test_typed_words_have_a_limit_too(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        refused = await it.deliver(Asked("reject", {"reason": "a" * 100_001}))
        assert refused.reason == "wrong_value"
        assert (await it.row(Approval, 1)).decided_at is None
