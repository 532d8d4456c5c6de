"""The door: forms without effects, files once each, pictures, suggestions, a person's own page."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from bot.door import FILES
from core.domain.cards import parse_press
from core.domain.events import Event
from core.domain.lifecycle import (
    AT_REST,
    InterviewKind,
    InterviewStatus,
    ProjectStatus,
    TaskStatus,
)
from core.domain.people import LOCAL, Role
from core.domain.redaction import HIDDEN
from core.errors import NotFound
from core.operations import members
from core.ports.chat import Asked, Door, Inbound, Place, Pressed
from core.store.chat_tables import InboxItem, Interview, Member, OutboxItem
from core.store.tables import JournalEntry, Project, Question
from tests.unit.bot.commands import stage as world
from tests.unit.bot.commands.stage import MAIN, NOW, stage, told


def _decisions(tx: Session) -> None:
    row = world.project(tx)
    world.tasks(tx, row, TaskStatus.STUCK, TaskStatus.PENDING)
    world.plan(tx, row)
    world.question(tx, row, "Which?", "a", "b", multiple=True)
    world.question(tx, row, "Why?")


@pytest.mark.parametrize(
    ("action", "inputs"),
    [
        ("reject:plan:1", ["reason"]),
        ("guide:task:1:1", ["hint"]),
        ("guide:task:2:1", None),  # it is not stuck
        ("raise_budget:budget:1", ["amount"]),
        ("stop:project:1", []),
        ("answer:question:1", ["answer:question:1:chosen", "answer"]),
        ("answer:question:2", ["answer"]),
        ("answer:question:1:0", None),
        ("pass:task:1:1", ["reason"]),
        ("archive:project:1", []),
        ("approve:plan:1", None),
        ("pause:project:1", None),
        ("reject:plan:9", None),
        ("stop:plan:1", None),
        ("stop:project:1:never", None),
        ("raise_budget:project:1", None),
    ],
)
async def test_a_form_is_asked_for_without_an_effect(
    tmp_path: Path, action: str, inputs: list[str] | None
) -> None:
    async with stage(tmp_path) as it:
        await it.change(_decisions)
        before = len(await it.rows(JournalEntry))
        form = await it.door.form(parse_press(action), LOCAL)
        assert (None if form is None else [each.name for each in form.inputs]) == inputs
        if inputs:  # whoever presses without values is given the same form
            pressed = await it.press(action)
            assert (pressed.reason, pressed.form) == ("missing_values", form)
            await it.change(lambda tx: tx.execute(delete(InboxItem)))
        viewer = await it.member("web:vi", Role.VIEWER)
        assert await it.door.form(parse_press(action), viewer) is None  # it would be refused
        happened = await it.rows(JournalEntry, JournalEntry.event != Event.MEMBER_CHANGED)
        assert len(happened) == before
        assert not await it.rows(InboxItem)


FILLED = {
    "reject:plan:1": {"reason": "no"},
    "guide:task:1:1": {"hint": "port 8080"},
    "raise_budget:budget:1": {"amount": "100"},
    "stop:project:1": {},
    "stop:project:1:after_feature": {},
    "archive:project:1": {},
    "answer:question:2": {"answer": "so"},
    "change_answer:question:3": {"answer": "else"},
}


def _interview(tx: Session, over: InterviewStatus) -> None:
    """With one question that is answered."""
    row = tx.get_one(Project, 1)
    interview = Interview(
        project_id=row.id, number=0, kind=InterviewKind.PROJECT, status=over, by=LOCAL,
        begun_at=NOW,
    )  # fmt: skip
    tx.add(interview)
    tx.flush()
    asked = world.question(tx, row, "How many?")
    asked.interview_id, asked.number, asked.answer = interview.id, 1, "two"


@pytest.mark.parametrize("action", FILLED)
@pytest.mark.parametrize("over", [InterviewStatus.ASKING, InterviewStatus.DONE])
async def test_no_form_is_opened_for_what_will_be_refused(
    tmp_path: Path, action: str, over: InterviewStatus
) -> None:
    """Whatever the state: with a form a press is taken once it is filled in."""

    def prepare(tx: Session, status: ProjectStatus) -> None:
        _decisions(tx)
        _interview(tx, over)
        tx.get_one(Project, 1).status = status

    opened = []
    planned = (ProjectStatus.AWAITING_APPROVAL, *AT_REST)  # where a first plan may be open
    for status in planned if action == "reject:plan:1" else ProjectStatus:
        async with stage(tmp_path / status) as it:
            await it.change(lambda tx, now=status: prepare(tx, now))  # type: ignore[misc]  # a loop's lambda
            form = await it.door.form(parse_press(action), LOCAL)
            empty = await it.press(action) if FILLED[action] else None
            assert empty is None or (empty.form is None) == (form is None), (status, empty)
            outcome = await it.press(action, **FILLED[action])
            assert outcome.ok == (form is not None), (status, outcome)
            opened += [status] if form is not None else []
    assert (not opened) == (action.startswith("change_answer") and over is InterviewStatus.DONE)


async def test_a_press_that_is_confirmed_acts_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx))
        assert (await it.press("stop:project:1")).ok


async def test_what_is_heard_may_be_made_in_the_transaction_that_keeps_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        door: Door = it.door

        def heard(tx: Session) -> Inbound:
            members.set_role(tx, "web:ada", Role.VIEWER, by=LOCAL, now=world.NOW)
            return Inbound("d1", "web:ada", MAIN, Asked("list"), message="77", name="Ada Adams")

        ticket = await door.deliver(heard)
        assert ticket.message == "77"
        assert (await told(ticket)).ok
        assert (await it.row(Member, "web:ada")).name == "Ada Adams"
        assert await door.heard_until(MAIN) == "77"
        assert await door.heard_until(Place("web", "main", "5")) is None


async def test_how_somebody_is_called_is_shown_and_steers_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        person = await it.member("slack:U1", Role.VIEWER)
        hostile = "\x1b[31mEve\u202e\n`rm` <@U2> " + "x" * 300
        for number, name in enumerate((hostile, None, " \n")):
            heard = Inbound(f"n{number}", person, MAIN, Asked("list"), name=name, reply="handle")
            assert (await told(await it.door.deliver(heard))).ok
        shown = (await it.row(Member, person)).name
        assert shown.startswith("Eve rm @U2 x")
        assert len(shown) == 128
        stranger = Inbound("n9", "slack:U9", MAIN, Asked("help"), name="Sue")
        await told(await it.door.deliver(stranger))
        assert not await it.rows(Member, Member.person == "slack:U9")
        items = await it.rows(InboxItem)
        assert [item.reply for item in items] == ["handle", "handle", "handle", None]
        assert items[-1].person_name == "Sue"


async def _bytes(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_file_is_kept_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        kept = [
            await it.door.keep(
                _bytes(b"ab", b"cd"), "../no\u202ete.md", by=LOCAL, place=MAIN, key=key
            )
            for key in ("k", "k", "other", "")
        ]
        assert kept[0] == kept[1]
        assert len({file.id for file in kept}) == 3
        assert {(file.name, file.size) for file in kept} == {("note.md", 4)}
        folder = tmp_path / FILES
        assert sorted(path.name for path in folder.iterdir()) == sorted({f.id for f in kept})
        assert (folder / kept[0].id).read_bytes() == b"abcd"


async def test_a_picture_is_found_by_its_address(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_decisions)
        assert (await it.door.svg("/api/pictures/plan/1.svg")).startswith("<svg")
        for url in ("/api/pictures/plan/9.svg", "/api/pictures/../1.svg", "/api/files/1", ""):
            with pytest.raises(NotFound):
                await it.door.svg(url)


async def test_what_fits_where_somebody_types(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_decisions)

        async def values(command: str, option: str, typed: str, by: str = LOCAL) -> list[str]:
            found = await it.door.suggest(command, option, typed, MAIN, by)
            return [each.value for each in found]

        assert await values("retry", "n", "") == ["1", "2"]
        assert await values("skip", "n", "1 2") == ["1 2"]
        assert await values("retry", "model", "op") == ["opus"]
        assert await values("status", "project", "TODO") == ["todo-api"]
        assert await values("use", "name", "x") == []
        assert await values("retry", "nonsense", "") == []
        assert await values("nonsense", "n", "") == []
        assert {"stop", "stop after feature"} < set(await values("more", "command", "st"))
        viewer = await it.member("web:vi", Role.VIEWER)
        assert await values("retry", "n", "", viewer) == []
        assert "stop" not in await values("more", "command", "st", viewer)
        assert await values("status", "project", "", "slack:U9") == []
        assert await values("help", "sub", "", "slack:U9") == ["help", "claim"]


async def test_a_persons_own_page_has_what_waits_for_them(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(_decisions)
        waiting, projects = await it.door.home(LOCAL)
        assert "4 things waiting" in waiting.title
        assert projects.table is not None
        assert [row[0] for row in projects.table.rows] == ["todo-api"]
        viewer = await it.member("web:vi", Role.VIEWER)
        ways = {link.label: link.to for link in waiting.links}
        assert ways["Review the plan, todo-api"] == "plan:todo-api:1"
        assert ways["Open task 1, todo-api"] == "stuck:todo-api:1"
        assert (await it.door.home(viewer))[0].title == "Nothing waits for you"
        assert await it.door.home("slack:U9") == ()


async def test_a_question_is_answered_by_the_places_of_its_options(tmp_path: Path) -> None:
    def asked(tx: Session) -> None:
        row = world.project(tx)
        for _ in range(2):
            world.question(tx, row, "How many?", *"543210")

    async with stage(tmp_path) as it:
        await it.change(asked)
        for number, name, answer in (
            (1, "answer:question:1:chosen", "4"),
            (2, "answer:question:2", "1"),  # of a card of an earlier version: the label
        ):
            press = parse_press(f"answer:question:{number}")
            assert (await it.deliver(Pressed(press, {name: ("1",)}))).ok
            assert (await it.row(Question, number)).answer == answer


async def test_no_secret_leaves_by_the_door(tmp_path: Path) -> None:
    secret = "a-web-token-that-nobody-may-see"

    def leaks(tx: Session) -> None:
        row = world.project(tx)
        world.plan(tx, row)
        world.question(tx, row, "Which?", secret, "b", multiple=True)

    async with stage(tmp_path, secrets=[secret, "Foundation"]) as it:
        await it.change(leaks)
        door = it.door
        form = await door.form(parse_press("answer:question:1"), LOCAL)
        assert form is not None
        assert (form.inputs[0].options[0].label, form.inputs[0].options[1].label) == (HIDDEN, "b")
        assert secret not in repr(form)
        assert secret not in repr(await door.home(LOCAL))
        drawn = await door.svg("/api/pictures/plan/1.svg")
        assert "Foundation" not in drawn
        assert HIDDEN in drawn
        inbound = it.inbound(Asked(f"status {secret}"), by=LOCAL, place=MAIN)
        for _ in range(2):  # the second is told what the first was
            outcome = await told(await door.deliver(inbound))
            assert HIDDEN in outcome.text
            assert secret not in outcome.text


async def test_a_private_answer_keeps_the_handle_it_goes_by(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        asked = Inbound("r1", "slack:U1", Place("slack", "C1"), Asked("status x"), reply="handle")
        ticket = await it.door.deliver(asked)
        await told(ticket)
        (item,) = await it.rows(OutboxItem)
        assert (item.private_to, item.reply) == ("slack:U1", "handle")
