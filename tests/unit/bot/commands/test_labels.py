"""Words: those that are a command, those that decide something, those that begin nothing."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from bot.commands.offers import proposed_name
from core.domain.cards import Card, Label, parse_press
from core.domain.events import CardKind, Event
from core.domain.lifecycle import ProjectStatus, TaskStatus
from core.domain.names import is_name
from core.domain.people import LOCAL, Role
from core.operations import inbox
from core.ports.chat import Asked, Attachment, Place, Pressed, Said, content_of
from core.store.chat_tables import Guidance, InboxItem, Inquiry, Interview, OutboxItem
from core.store.tables import Approval, Project, Question, Task
from tests.unit.bot.commands import stage as world
from tests.unit.bot.commands.stage import MAIN, NOW, Stage, stage

DM = Place("slack", "D1")


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("/autocoder status", Asked("status")),
        ("  /AUTOCODER\nstatus  ", Asked("status")),
        ("/autocoder", Asked("")),
        ("@autocoder why 12", Said("why 12", (), mention=True)),
        ("@Autocoder: why?", Said("why?", (), mention=True)),
        ("@autocoder", Said("", (), mention=True)),
        ("/autocoders", Said("/autocoders", ())),
        (" hello ", Said(" hello ", ())),
        ("", Said("", ())),
    ],
)
def test_what_is_typed_is_a_command_a_mention_or_a_message(text: str, content: object) -> None:
    assert content_of(text) == content


def test_files_come_with_words() -> None:
    file = Attachment("f", "a.png", 1)
    assert content_of("@autocoder look", (file,)) == Said("look", (file,), mention=True)


async def _mention(
    it: Stage, text: str, *, by: str = LOCAL, place: Place = MAIN
) -> tuple[Card, OutboxItem]:
    """The card that answers words that are for us, and its row."""
    ticket, _ = await it.hear(it.inbound(Said(text, mention=True), by=by, place=place))
    keys = [f"{kind}:{ticket.item_id}" for kind in ("answer", "error", "help")]
    [row] = await it.rows(OutboxItem, OutboxItem.key.in_(keys))
    card = await it.store.read(lambda tx: it.built(tx, row))
    return card, row


@pytest.mark.parametrize(
    "text", ["status", "Status todo-api", "task 1", "help tasks", "  why 1 ", "/status"]
)
async def test_words_that_are_a_command_are_that_command(tmp_path: Path, text: str) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.tasks(tx, world.project(tx), TaskStatus.PENDING))
        card, _ = await _mention(it, text)
        assert card.kind in (CardKind.ANSWER, CardKind.HELP)
        assert not await it.rows(Inquiry)


@pytest.mark.parametrize(
    "text",
    [
        "why did task 1 take three tries?",
        "status of the build?",
        "list what is left",
        "help me",
        "tasks that fail",
        "approve it when it is green",
        "stop it!",
        "skip the second one",
        "new features?! which",
        "adopt",
        "what now",
    ],
)
async def test_other_words_are_a_question_to_the_assistant(tmp_path: Path, text: str) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.tasks(tx, world.project(tx), TaskStatus.PENDING))
        await it.deliver(Said(text, mention=True))
        [asked] = await it.rows(Inquiry)
        assert asked.text == text


@pytest.mark.parametrize("text", ["project:todo-api why?", "todo-api why?"])
async def test_a_question_may_name_its_project_where_none_lives(tmp_path: Path, text: str) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        await it.deliver(Said(text, mention=True), place=Place("web", "other"))
        [asked] = await it.rows(Inquiry)
        assert asked.text == "why?"


def _decisions(tx: Session) -> None:
    row = world.project(tx)
    world.tasks(tx, row, TaskStatus.STUCK, TaskStatus.PENDING)
    world.plan(tx, row)


@pytest.mark.parametrize(
    ("text", "actions", "given"),
    [
        ("approve", ["approve:plan:1"], {}),
        ("reject naming is wrong", ["reject:plan:1"], {"reason": "naming is wrong"}),
        ("stop", ["stop:project:1"], {}),
        ("stop after feature", ["stop:project:1:after_feature"], {}),
        ("archive", ["archive:project:1"], {}),
        ("skip 1", ["skip:task:1:1"], {}),
        ("skip 1, 2", ["skip:task:1:1", "skip:task:2:1"], {}),
        ("pass 1 looked at it", ["pass:task:1:1"], {"reason": "looked at it"}),
    ],
)
async def test_what_decides_or_ends_something_is_asked_back_first(
    tmp_path: Path, text: str, actions: list[str], given: dict[str, str]
) -> None:
    async with stage(tmp_path) as it:
        await it.change(_decisions)
        card, row = await _mention(it, text)
        assert (card.kind, row.private_to) == (CardKind.ANSWER, LOCAL)
        assert card.title.endswith("?")
        assert [each.press.encode() for each in card.buttons] == actions
        form = card.buttons[0].form
        assert {each.name: each.value for each in (form.inputs if form else ())} == given
        assert (await it.row(Approval, 1)).decided_at is None
        assert (await it.row(Project, 1)).status is ProjectStatus.AWAITING_APPROVAL
        assert (await it.row(Task, 1)).status is TaskStatus.STUCK


async def test_what_was_asked_back_counts_once_it_is_pressed(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_decisions)
        card, _ = await _mention(it, "reject naming is wrong")
        [press] = card.buttons
        assert press.form is not None
        values = {each.name: (each.value,) for each in press.form.inputs}
        assert (await it.deliver(Pressed(press.press, values))).ok
        assert (await it.row(Approval, 1)).reason == "naming is wrong"


async def test_a_role_that_does_not_reach_is_not_even_asked_back(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_decisions)
        operator = await it.member("web:op", Role.OPERATOR)
        card, _ = await _mention(it, "approve", by=operator)
        assert card.kind is CardKind.ERROR


async def test_archive_and_stop_after_a_feature_are_presses_too(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.tasks(tx, world.project(tx), TaskStatus.PENDING))
        assert (await it.press("stop:project:1:now")).reason == "unknown"
        assert (await it.press("stop:project:1:after_feature")).ok
        assert (await it.row(Project, 1)).winding_down_by == LOCAL
        operator = await it.member("web:op", Role.OPERATOR)
        assert (await it.press("archive:project:1", by=operator)).reason == "not_allowed"
        form = await it.door.form(parse_press("archive:project:1"), LOCAL)
        assert form is not None
        assert form.inputs == ()
        assert (await it.press("archive:project:1")).ok
        assert (await it.row(Project, 1)).status is ProjectStatus.ARCHIVED
        assert (await it.press("archive:project:1")).reason == "stale"


async def test_a_press_vouches_with_a_reason(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_decisions)
        lacking = await it.press("pass:task:1:1")
        assert lacking.reason == "missing_values"
        assert lacking.form is not None
        operator = await it.member("web:op", Role.OPERATOR)
        refused = await it.press("pass:task:1:1", by=operator, reason="trust me")
        assert refused.reason == "not_allowed"


@pytest.mark.parametrize(
    ("said", "place"),
    [
        (Said("a todo list with accounts, please"), MAIN),
        (Said("a todo list with accounts, please", mention=True), DM),
        (Said("a todo list with accounts, please", mention=True), Place("slack", "C1", "17.2")),
    ],
)
async def test_words_that_begin_nothing_may_begin_a_project(
    tmp_path: Path, said: Said, place: Place
) -> None:
    async with stage(tmp_path) as it:
        ticket, outcome = await it.hear(it.inbound(said, by=LOCAL, place=place))
        assert outcome.ok
        assert not await it.rows(Project)
        [row] = await it.rows(OutboxItem)
        assert row.private_to == LOCAL
        card = await it.store.read(lambda tx: it.built(tx, row))
        assert card.title == "Start a project from this?"
        [press] = card.buttons
        assert press.press.encode() == f"start_project:words:{ticket.item_id}"
        assert press.form is not None
        assert press.form.inputs[0].value == "todo-list-accounts"
        assert await it.door.form(press.press, LOCAL) == press.form

        ada = await it.member("web:ada", Role.OPERATOR)
        name = {"name": ("My List",)}
        begun = await it.hear(it.inbound(Pressed(press.press, name), by=ada, place=MAIN))
        assert begun[1].ok
        [interview] = await it.rows(Interview)
        assert (interview.request, interview.by) == (said.text, ada)
        [live] = await it.rows(OutboxItem, OutboxItem.kind == CardKind.INTERVIEW)
        assert (live.platform, live.channel) == (place.platform, place.channel)
        assert it.begun == [1]

        late = await it.hear(it.inbound(Pressed(press.press, name), by=LOCAL, place=MAIN))
        assert late[1].reason == "stale"
        assert "My List was begun from this by ada" in late[1].text
        told = await it.store.read(lambda tx: it.built(tx, tx.get_one(OutboxItem, row.id)))
        assert told.buttons == ()
        assert "My List was begun from this by ada" in told.title
        assert await it.door.form(press.press, LOCAL) is None


async def test_files_that_came_with_the_words_are_material(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        said = Said("a shop", (Attachment("f1", "shop.png", 9),))
        ticket, _ = await it.hear(it.inbound(said, by=LOCAL, place=MAIN))
        assert (await it.press(f"start_project:words:{ticket.item_id}", name="shop")).ok
        [interview] = await it.rows(Interview)
        assert [each["file"] for each in interview.material] == ["f1"]


async def test_an_offer_wants_a_role_a_name_and_a_month(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        viewer = await it.member("web:vi", Role.VIEWER)
        item, _ = await it.say("a shop for my bread", by=viewer)
        action = f"start_project:words:{item}"
        refused = await it.press(action, by=viewer, name="shop")
        assert refused.reason == "not_allowed"
        assert "operator" in refused.text
        for name, proposed in (
            ("", "shop-bread"),
            ("todo-api", "shop-bread"),
            ("../etc", "etc"),
        ):
            lacking = await it.press(action, name=name)
            assert lacking.reason == "missing_values"
            assert lacking.form is not None
            assert lacking.form.inputs[0].value == proposed
        for forged in ("start_project:words:99", "add_as_feature:words:99"):
            assert (await it.press(forged, name="shop")).reason == "unknown"
        command, _ = await it.command("list")
        assert (await it.press(f"start_project:words:{command.item_id}", name="x")).reason == (
            "unknown"
        )

        def age(tx: Session) -> None:
            tx.get_one(InboxItem, item).received_at = NOW - inbox.KEPT - timedelta(seconds=1)

        await it.change(age)
        late = await it.press(action, name="shop")
        assert late.reason == "stale"
        assert "30 days" in late.text
        assert len(await it.rows(Project)) == 1


async def test_two_who_begin_the_same_at_once_begin_one_project(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        item, _ = await it.say("a shop")
        ada = await it.member("web:ada", Role.OPERATOR)
        bob = await it.member("web:bob", Role.OPERATOR)
        action = f"start_project:words:{item}"
        outcomes = [await it.press(action, by=by, name=f"{by[4:]}s") for by in (ada, bob)]
        assert [outcome.ok for outcome in outcomes] == [True, False]
        assert "adas was begun from this by ada" in outcomes[1].text
        assert len(await it.rows(Project)) == 1


@pytest.mark.parametrize("text", ["/new todo-api", "/status", " /skip 12"])
async def test_our_command_without_its_first_word_is_known(tmp_path: Path, text: str) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.tasks(tx, world.project(tx), TaskStatus.PENDING))
        for place in (MAIN, world.thread()):
            item, outcome = await it.say(text, place=place)
            assert not outcome.ok
            assert f"Did you mean `/autocoder {text.strip()[1:]}`?" in outcome.text
            card = await it.card(item)
            assert card is not None
            assert card.kind is CardKind.ERROR
        assert not await it.rows(Guidance)


@pytest.mark.parametrize("text", ["/health must answer", "/skip the header", "/etc/passwd"])
async def test_other_words_with_a_stroke_are_words(tmp_path: Path, text: str) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.tasks(tx, world.project(tx), TaskStatus.PENDING))
        await it.say(text, place=world.thread())
        assert [row.text for row in await it.rows(Guidance)] == [text]


@pytest.mark.parametrize("text", ["stop", "pause", "approve", "status", "/stop"])
async def test_in_a_thread_of_ours_words_without_a_mention_are_never_a_command(
    tmp_path: Path, text: str
) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.question(tx, world.project(tx)))
        await it.say(text, place=world.thread())
        assert (await it.row(Question, 1)).answer == text
        assert (await it.row(Project, 1)).status is ProjectStatus.RUNNING
        await it.deliver(Said("pause", mention=True), place=world.thread())
        assert (await it.row(Project, 1)).status is ProjectStatus.PAUSED


async def test_a_finished_project_is_offered_a_feature(tmp_path: Path) -> None:
    def finished(tx: Session) -> None:
        row = world.project(tx, status=ProjectStatus.COMPLETED)
        world.tasks(tx, row, TaskStatus.PASSING)

    async with stage(tmp_path) as it:
        await it.change(finished)
        item, _ = await it.say("and export as CSV", place=world.thread())
        card = await it.card(item)
        assert card is not None
        [press] = card.buttons
        assert press.press.label is Label.ADD_AS_FEATURE
        assert (await it.press(f"add_as_feature:words:{item}")).ok
        [interview] = await it.rows(Interview)
        assert interview.request == "and export as CSV"
        again = await it.press(f"add_as_feature:words:{item}")
        assert (again.reason, "by local" in again.text) == ("stale", True)
        assert len(await it.happened(Event.INTERVIEW_BEGUN)) == 1


async def test_what_changes_nothing_is_said_to_change_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx, status=ProjectStatus.STOPPED))
        item, outcome = await it.say("hello?", place=world.thread())
        card = await it.card(item)
        assert card is not None
        assert "changed nothing" in card.title
        assert "@autocoder" in card.body
        [row] = await it.rows(OutboxItem, OutboxItem.key == card.key)
        assert row.private_to == LOCAL
        assert outcome.text == card.title


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("I want a todo list API with accounts", "todo-list-api-accounts"),
        ("Please build me an app", "app"),
        ("", "project"),
        ("Ein Büchermarkt für Schüler", "ein-buchermarkt-fur-schuler"),
        ("заметки", "project"),
        ("the todo api", "todo-api-2"),
        ("x" * 5_000, "x" * 48),
    ],
)
def test_a_name_is_made_from_words(text: str, name: str) -> None:
    found = proposed_name(text, ("todo-api",))
    assert found == name
    assert is_name(found)
