"""One suite for all chat platforms: what is posted, what is heard, whatever goes wrong between.

A new platform adds its seat to `tests/platforms/seats.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.cards import CARDS
from core.domain.cards import (
    Button,
    Card,
    Field,
    Form,
    Input,
    InputKind,
    Label,
    Link,
    Option,
    Picture,
    Press,
    Progress,
    Subject,
    TableBlock,
    TextFile,
)
from core.domain.events import CardKind, Event
from core.domain.lifecycle import ApprovalStatus, ProjectStatus
from core.domain.people import LOCAL, Role
from core.errors import PlaceGone
from core.operations import approvals, inbox, members, notices, outbox, questions
from core.ports.chat import Asked, Inbound, Place, Pressed, Theme
from core.store.chat_tables import InboxItem, OutboxItem
from core.store.tables import Approval, JournalEntry, Project, Question
from tests.chat.stepping import deliver_due
from tests.platforms.house import SECRET, House, opened
from tests.platforms.seats import SEATS, MemorySeat, WebSeat
from tests.unit.bot.cards import stage as builder

ROOT, PLAN, PROGRESS = "interview:todo-api", "plan:todo-api:1", "progress:todo-api"
WAITS = "Waits for an approver"


@pytest.fixture(params=list(SEATS))
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path / "home", [SEATS[request.param]]) as made:
        yield made


@pytest.fixture(params=[name for name in SEATS if name != "terminal"])
async def many(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """Platforms where several people sit, and what stands can be read back."""
    async with opened(tmp_path / "home", [SEATS[request.param]]) as made:
        yield made


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path / "home", list(SEATS.values())[:2]) as made:
        yield made


def card(key: str, kind: CardKind = CardKind.LANDED, **more: object) -> Card:
    made = Card(key=key, kind=kind, title=f"About {key}", body=f"It is {key}.", fallback=key)
    return replace(made, **more)  # type: ignore[arg-type]  # each test names what differs


async def count(house: House, *where: object, table: type = JournalEntry) -> int:
    query = select(func.count()).select_from(table).where(*where)  # type: ignore[arg-type]  # they are columns
    found: int | None = await house.at.store.read(lambda tx: tx.scalar(query))
    return found or 0


async def approval(house: House) -> Approval:
    return await house.at.store.read(lambda tx: tx.scalars(select(Approval)).one())


async def say_cards(house: House, *cards: Card, **how: object) -> None:
    def said(tx: Session) -> None:
        for each in cards:
            outbox.say(tx, house.seat.place, each, now=house.clock(), **how)  # type: ignore[arg-type]  # as `say` takes them

    await house.at.store.run(said)


# --- posting ----------------------------------------------------------------------------------


async def test_a_thread_waits_for_its_root(house: House) -> None:
    await house.build()
    await house.sees("Plan for todo-api")
    assert house.faults.calls[0] == ("post", ROOT)
    assert ("post", PLAN) in house.faults.calls


async def test_the_same_key_is_said_once(house: House) -> None:
    await say_cards(house, card("landed:x:y"), card("landed:x:y"))
    await house.all_out()
    await say_cards(house, card("landed:x:y"))
    await house.all_out()
    await house.sees("It is landed:x:y")
    assert house.faults.calls == [("post", "landed:x:y")]


async def test_two_keys_keep_their_order(house: House) -> None:
    await say_cards(house, *(card(f"landed:x:{n}") for n in range(5)))
    await house.all_out()
    assert [key for _, key in house.faults.calls] == [f"landed:x:{n}" for n in range(5)]


async def test_a_lost_answer_doubles_nothing(many: House) -> None:
    many.faults.weather.lose = 1
    await say_cards(many, card("landed:x:y"))
    for _ in range(5):
        many.clock.now += timedelta(minutes=10)
        await many.all_out()
    assert many.faults.calls == [("post", "landed:x:y")] * 2
    assert sum("It is landed:x:y" in words for words in await many.shown()) == 1


async def test_a_kill_between_post_and_record_doubles_nothing(many: House) -> None:
    await say_cards(many, card("landed:x:y"))
    await many.seat.platform.post(many.seat.place, card("landed:x:y"))  # and the service dies
    many.deliver_anew()
    await many.all_out()
    assert sum("It is landed:x:y" in words for words in await many.shown()) == 1


async def test_a_decided_card_is_edited_in_its_thread(house: House) -> None:
    await house.build()
    await house.sees(WAITS)
    await house.press(PLAN, "Approve")
    await house.sees("Approved by")
    assert ("edit", PLAN) in house.faults.calls
    assert house.faults.calls.count(("post", PLAN)) == 1
    if house.seat.finds:
        assert await house.count(WAITS) == 0


async def test_an_edit_that_changes_nothing_is_no_call(house: House) -> None:
    await house.build()
    before = len(house.faults.calls)
    for _ in range(3):
        await house.do(outbox.refresh, 1, CardKind.PLAN, now=house.clock())
    assert house.faults.calls[before:] == []


async def test_the_newest_state_wins(house: House) -> None:
    await house.build()
    house.faults.weather.away = True
    await house.press(PLAN, "Approve")
    before = len(house.faults.calls)
    house.faults.weather.away = False
    for _ in range(5):
        house.clock.now += timedelta(minutes=10)
        await house.all_out()
    await house.sees("Approved by")
    assert house.faults.calls[before:].count(("edit", PLAN)) <= 2


async def test_the_platform_says_when_to_try_again(house: House) -> None:
    await say_cards(house, card("landed:x:y"))
    house.faults.weather.busy = [30.0]
    await deliver_due(house.deliveries[0])
    house.clock.now += timedelta(seconds=29)
    await deliver_due(house.deliveries[0])
    assert len(house.faults.calls) == 1, "it was told to wait"
    house.clock.now += timedelta(seconds=2)
    await deliver_due(house.deliveries[0])
    assert len(house.faults.calls) == 2
    await house.sees("It is landed:x:y")


async def test_an_outage_of_three_days_loses_nothing(house: House) -> None:
    await house.build()
    house.faults.weather.away = True
    for hour in range(72):
        await say_cards(house, card(f"landed:x:{hour}"))
        await deliver_due(house.deliveries[0])
        house.clock.now += timedelta(hours=1)
    assert await count(house, OutboxItem.attempts > 0, table=OutboxItem) == 0
    assert await count(house, OutboxItem.failed_at.is_not(None), table=OutboxItem) == 0
    house.faults.weather.away = False
    for _ in range(3):
        house.clock.now += timedelta(minutes=10)
        await house.all_out()
    for hour in (0, 35, 71):
        await house.sees(f"It is landed:x:{hour}")
    assert await count(house, OutboxItem.built != OutboxItem.wanted, table=OutboxItem) == 0


async def test_a_decision_overtakes_a_burst(house: House) -> None:
    await house.build()
    await say_cards(house, *(card(f"landed:x:{n}") for n in range(50)))
    before = len(house.faults.calls)
    project = await house.at.store.run(lambda tx: _rejected(tx, house))
    await house.all_out()
    calls = [key for _, key in house.faults.calls[before:]]
    assert calls.index(f"plan:todo-api:{project}") <= 2
    assert len([key for key in calls if key.startswith("landed:")]) == 50


def _rejected(tx: Session, house: House) -> int:
    """A second version of the plan waits."""
    first = tx.scalars(select(Approval)).one()
    approvals.reject(tx, first.id, "naming is wrong", by=LOCAL, now=house.clock())
    second = builder.submit(tx, 1)
    while notices.tell(tx, CARDS, now=house.clock()):
        continue
    return int(second.version)


async def test_a_place_that_refuses_is_said_once_and_drained_when_mended(house: House) -> None:
    await house.build()
    channel = house.seat.place.channel
    house.faults.weather.refused[channel] = PlaceGone("The channel was archived.")
    await say_cards(house, *(card(f"landed:x:{n}") for n in range(3)))
    for _ in range(5):
        await deliver_due(house.deliveries[0])
        house.clock.now += timedelta(minutes=6)
    notices = select(OutboxItem.key).where(OutboxItem.kind == CardKind.NOTICE)
    assert len(set(await house.at.store.read(lambda tx: tx.scalars(notices).all()))) <= 1
    house.faults.weather.refused.clear()
    for _ in range(4):
        house.clock.now += timedelta(minutes=10)
        await house.all_out()
    await house.sees("It is landed:x:2")


async def test_a_private_card_is_one_person_s(many: House) -> None:
    await many.do(members.set_role, "web:ada", Role.VIEWER, by=LOCAL, now=many.clock())
    await say_cards(many, card("answer:7", CardKind.ANSWER), private_to="web:ada")
    await many.all_out()
    if isinstance(many.seat, WebSeat):
        assert await many.count("It is answer:7") == 0
    else:
        assert isinstance(many.seat, MemorySeat)
        assert many.seat.posted("answer:7").private_to == "web:ada"


# --- every card, and limits -------------------------------------------------------------------

HOSTILE = "*b* _i_ `c` <b>&amp; @here [x](y) \u202eright\u202c 😀 ``` ~s~ |"


def everything() -> Card:
    return card(
        "plan:x:1",
        CardKind.PLAN,
        title=f"All of it {HOSTILE}"[:150],
        body="It says `/autocoder status` at [10:48](time:2026-03-12T10:48:00Z).\n- an item",
        fields=tuple(Field(f"Field {n}", HOSTILE) for n in range(4)),
        progress=Progress(2, 5, 1, 1),
        pictures=(Picture("/api/pictures/plan/1.svg", "Two phases, 3 features"),),
        links=(Link("Review the gate", "gate:x:1"),),
        table=TableBlock(("Model", "Cost"), (("Opus", "$1.00"), (HOSTILE, "$2.00"))),
        whole=TextFile("plan.md", "\n".join(f"line {n}" for n in range(300))),
        buttons=(
            Button("Approve", Press(Label.APPROVE, Subject.PLAN, 1)),
            Button(
                "Reject",
                Press(Label.REJECT, Subject.PLAN, 1),
                form=Form("Reject", (Input("reason", "Why", value="because"),)),
            ),
        ),
        inputs=(
            Input(
                "answer:question:1:chosen",
                "Choose",
                InputKind.MULTI_SELECT,
                options=(Option("One " + "x" * 180, "0"), Option("Two", "1")),
            ),
        ),
    )


async def test_a_card_with_everything_on_it_is_shown(house: House) -> None:
    await say_cards(house, everything())
    await house.all_out()
    await house.sees("All of it")
    # A screen names what may be typed; to lead elsewhere it has no way.
    buttons = ("Review the gate", "Reject") if house.seat.finds else ("reject REASON",)
    for words in ("Field 3", "Opus", "$2.00", *buttons):
        await house.sees(words)
    assert house.faults.calls == [("post", "plan:x:1")]


async def test_the_whole_of_a_long_text_can_be_reached(house: House) -> None:
    long = replace(everything(), key="answer:7", kind=CardKind.ANSWER, buttons=(), inputs=())
    await say_cards(house, long)
    await house.all_out()
    seat = house.seat
    if isinstance(seat, WebSeat):
        whole = (await asyncio.to_thread(seat.message, "answer:7"))["card"]["whole"]
        answer = await asyncio.to_thread(seat.me.get, whole["url"])
        assert (answer.status, whole["name"]) == (200, "plan.md")
        assert answer.body.decode().splitlines()[-1] == "line 299"
    elif isinstance(seat, MemorySeat):
        assert seat.posted("answer:7").card.whole is not None
    else:
        await house.sees("line 299")


async def test_a_picture_is_a_png_in_both_themes(house: House) -> None:
    await house.build()
    plan = await house.at.store.read(lambda tx: builder.card(tx, CardKind.PLAN))
    for theme in Theme:
        drawn = await house.at.door.picture(plan.pictures[0], theme)
        assert drawn.startswith(b"\x89PNG")
    if isinstance(house.seat, WebSeat):
        url = plan.pictures[0].url.replace(".svg", ".png?theme=dark")
        answer = await asyncio.to_thread(house.seat.me.get, url)
        assert (answer.status, answer.headers["content-type"]) == (200, "image/png")


async def test_no_secret_leaves_in_any_part_of_a_card(house: House) -> None:
    secret = everything()
    secret = replace(
        secret,
        title=SECRET,
        body=f"It is {SECRET}.",
        fallback=SECRET,
        fields=(Field(SECRET, SECRET),),
        links=(Link(SECRET, "gate:x:1"),),
        table=TableBlock((SECRET,), ((SECRET,),)),
        whole=TextFile(f"{SECRET}.md", SECRET),
        pictures=(Picture("/api/pictures/plan/1.svg", SECRET),),
        buttons=tuple(
            replace(each, label=SECRET, form=Form(SECRET, (Input("reason", SECRET, value=SECRET),)))
            for each in secret.buttons
        ),
        inputs=tuple(
            replace(each, label=SECRET, options=(Option(SECRET, "0"), Option("Two", "1")))
            for each in secret.inputs
        ),
    )
    await say_cards(house, secret, card("landed:x:after"))
    await house.all_out()
    await house.sees("It is landed:x:after")
    assert await house.count(SECRET) == 0
    if isinstance(house.seat, WebSeat):
        assert SECRET not in str(await asyncio.to_thread(house.seat.messages))
    if isinstance(house.seat, MemorySeat):
        assert SECRET not in repr(house.seat.posted("plan:x:1"))


async def test_an_outcome_holds_no_secret(house: House) -> None:
    await house.build()
    inbound = Inbound("d1", LOCAL, house.seat.place, Asked(f"task {SECRET}"))
    outcome = await (await house.at.door.deliver(inbound)).outcome(20)
    assert outcome is not None
    assert not outcome.ok
    assert SECRET not in repr(outcome)


# --- hearing ----------------------------------------------------------------------------------


async def test_a_command_is_answered_where_it_was_said(house: House) -> None:
    await house.say("/autocoder list")
    await house.sees("No projects yet")
    assert await count(house, table=InboxItem) == 1


async def test_a_delivery_that_comes_twice_has_one_effect(many: House) -> None:
    await many.say("/autocoder new todo-api", times=3)
    assert await count(many, JournalEntry.event == Event.PROJECT_CREATED) == 1
    assert await count(many, table=InboxItem) == 1


async def test_a_project_is_begun_here_and_its_thread_stands(house: House) -> None:
    await house.say("/autocoder new todo-api")
    await house.sees("todo-api")
    assert house.faults.calls[0] == ("post", ROOT)
    await house.say("/autocoder new todo-api")
    assert await count(house, table=Project) == 1


async def test_words_in_the_thread_answer_the_open_question(house: House) -> None:
    await house.build(_asked)
    await house.sees("Which database?")
    await house.say("SQLite, as ever", root=ROOT)
    answered = await house.at.store.read(lambda tx: tx.scalars(select(Question)).one())
    assert (answered.answer, answered.answered_by) == ("SQLite, as ever", LOCAL)
    await house.sees("SQLite, as ever")


def _asked(tx: Session, project: int) -> None:
    coder = builder.run(tx, project)
    questions.ask(tx, coder.id, "Which database?", ("SQLite", "PostgreSQL"), False, now=builder.NOW)


async def test_an_option_is_an_answer(house: House) -> None:
    await house.build(_asked)
    await house.sees("Which database?")
    if house.seat.finds:
        await house.press("question:todo-api:1", "PostgreSQL")
    else:
        await house.say("2")
    answered = await house.at.store.read(lambda tx: tx.scalars(select(Question)).one())
    assert answered.answer == "PostgreSQL"


async def test_a_form_is_asked_for_without_acting(house: House) -> None:
    await house.build()
    waiting = await approval(house)
    before = await count(house)
    form = await house.at.door.form(Press(Label.REJECT, Subject.PLAN, waiting.id), LOCAL)
    assert form is not None
    assert [each.name for each in form.inputs] == ["reason"]
    assert await house.at.door.form(Press(Label.APPROVE, Subject.PLAN, waiting.id), LOCAL) is None
    stop = await house.at.door.form(Press(Label.STOP, Subject.PROJECT, 1), LOCAL)
    assert stop is not None
    assert not stop.inputs, "a question that is confirmed by sending it"
    assert await count(house) == before, "nothing was journalled"
    assert (await approval(house)).status is ApprovalStatus.OPEN, "it may still be cancelled"


async def test_a_press_that_only_lacks_values_is_no_refused_one(house: House) -> None:
    await house.build()
    waiting = await approval(house)
    press = Pressed(Press(Label.REJECT, Subject.PLAN, waiting.id))
    shown = len(house.faults.calls)
    ticket = await house.at.door.deliver(Inbound("d1", LOCAL, house.seat.place, press))
    outcome = await ticket.outcome(20)
    assert outcome is not None
    assert (outcome.ok, outcome.reason) == (False, "missing_values")
    assert outcome.form is not None
    await house.all_out()
    assert await count(house, JournalEntry.event == Event.PRESS_REFUSED) == 0
    assert house.faults.calls[shown:] == [], "nothing is posted"
    assert (await approval(house)).status is ApprovalStatus.OPEN


async def test_a_form_that_is_sent_counts_once(house: House) -> None:
    await house.build()
    await house.press(PLAN, "Reject", "naming is wrong")
    rejected = await approval(house)
    assert (rejected.status, rejected.reason) == (ApprovalStatus.REJECTED, "naming is wrong")
    again = Pressed(Press(Label.REJECT, Subject.PLAN, rejected.id), {"reason": ("again",)})
    ticket = await house.at.door.deliver(Inbound("d2", LOCAL, house.seat.place, again))
    outcome = await ticket.outcome(20)
    assert outcome is not None
    assert (outcome.ok, outcome.reason) == (False, "stale")
    assert "naming is wrong" in str((await approval(house)).reason)


async def test_stop_is_a_question_that_the_client_asks(house: House) -> None:
    await house.build()
    await house.press(PLAN, "Approve")
    if house.seat.finds:
        told = await house.press(PROGRESS, "Stop")
        assert "stopped" in told
    else:
        await house.say("/autocoder stop")
    row = await house.at.store.read(lambda tx: tx.get_one(Project, 1))
    assert row.status is ProjectStatus.STOPPED


async def test_a_press_on_what_is_decided_says_who_decided(many: House) -> None:
    await many.build()
    seat = many.seat
    action = Press(Label.APPROVE, Subject.PLAN, (await approval(many)).id)
    await many.press(PLAN, "Approve")
    ticket = await many.at.door.deliver(Inbound("late", LOCAL, seat.place, Pressed(action)))
    outcome = await ticket.outcome(20)
    assert outcome is not None
    assert (outcome.ok, outcome.reason) == (False, "stale")
    assert "approved by" in outcome.text


async def test_a_forged_press_is_unknown(house: House) -> None:
    await house.build()
    for press in (Press(Label.APPROVE, Subject.PLAN, 999), Press(Label.SKIP, Subject.PLAN, 1)):
        inbound = Inbound(press.encode(), LOCAL, house.seat.place, Pressed(press))
        outcome = await (await house.at.door.deliver(inbound)).outcome(20)
        assert outcome is not None
        assert (outcome.ok, outcome.reason) == (False, "unknown")
    assert (await approval(house)).status is ApprovalStatus.OPEN


async def test_a_person_without_a_role_changes_nothing(house: House) -> None:
    await house.build()
    press = Pressed(Press(Label.APPROVE, Subject.PLAN, (await approval(house)).id))
    inbound = Inbound("d1", "web:stranger", house.seat.place, press)
    outcome = await (await house.at.door.deliver(inbound)).outcome(20)
    assert outcome is not None
    assert (outcome.ok, outcome.reason) == (False, "not_allowed")
    assert (await approval(house)).status is ApprovalStatus.OPEN


async def test_typed_values_are_taken_as_they_are(house: House) -> None:
    await house.build()
    asked = Asked("reject", {"reason": "project: naming is wrong"}, "todo-api")
    outcome = await (
        await house.at.door.deliver(Inbound("d1", LOCAL, house.seat.place, asked))
    ).outcome(20)
    assert outcome is not None
    assert outcome.ok, outcome
    assert (await approval(house)).reason == "project: naming is wrong"


async def test_a_line_keeps_its_reason_too(house: House) -> None:
    await house.build()
    await house.say(
        "/autocoder reject project: naming is wrong", root=ROOT if house.seat.finds else ""
    )
    assert (await approval(house)).reason == "project: naming is wrong"


async def test_people_are_called_by_their_names(house: House) -> None:
    person = "slack:U0ALICE"
    await house.do(members.set_role, person, Role.APPROVER, by=LOCAL, now=house.clock())
    await house.build()
    press = Pressed(Press(Label.APPROVE, Subject.PLAN, (await approval(house)).id))
    inbound = Inbound("d1", person, house.seat.place, press, name="Alice *Wonder*\nland")
    outcome = await (await house.at.door.deliver(inbound)).outcome(20)
    assert outcome is not None
    assert outcome.ok
    await house.all_out()
    await house.sees("Alice")
    assert await house.count("U0ALICE") == 0
    assert (await approval(house)).decided_by == person


async def test_words_that_begin_nothing_become_an_offer(house: House) -> None:
    await house.say("A tool that sorts my photos by place")
    await house.sees("Start a project from this?")
    assert await count(house, table=Project) == 0


async def test_a_command_without_its_word_is_asked_back(house: House) -> None:
    await house.say("/status")
    await house.sees("/autocoder status")
    assert await count(house, table=InboxItem) == 1


async def test_an_unknown_command_proposes_only_what_reads(house: House) -> None:
    await house.build()
    for typed, never in (
        ("adopt x", "stop"),
        ("assign Storage coder-2", "skip"),
        ("obliterate", "archive"),
    ):
        inbound = Inbound(typed, LOCAL, house.seat.place, Asked(typed))
        outcome = await (await house.at.door.deliver(inbound)).outcome(20)
        assert outcome is not None
        assert not outcome.ok
        assert f"/autocoder {never}" not in outcome.text, outcome.text


async def test_a_delivery_of_an_earlier_life_is_acted_upon(house: House, tmp_path: Path) -> None:
    """Killed after the delivery was kept: the next life finds it in the inbox."""
    kept = Inbound("kept", LOCAL, house.seat.place, Asked("new todo-api"))
    await house.at.store.run(inbox.receive, kept, now=house.clock())
    house.at.router.nudge()
    await house.all_out()
    await house.sees("todo-api")
    assert await count(house, JournalEntry.event == Event.PROJECT_CREATED) == 1


# --- two platforms at once --------------------------------------------------------------------


async def test_a_decision_on_one_shows_on_the_other(two: House) -> None:
    await two.build()
    for seat in (0, 1):
        await two.sees("Plan for todo-api", seat=seat)
    await two.press(PLAN, "Approve", seat=1)
    for seat in (0, 1):
        await two.sees("Approved by", seat=seat)
    assert await two.count(WAITS, seat=0) == 0


async def test_of_two_presses_at_once_one_wins_and_the_other_is_told_who(two: House) -> None:
    await two.do(members.set_role, "web:ada", Role.APPROVER, by=LOCAL, now=two.clock())
    await two.build()
    press = Press(Label.APPROVE, Subject.PLAN, (await approval(two)).id)
    inbounds = [
        Inbound("one", LOCAL, Place("web", "main"), Pressed(press)),
        Inbound("two", "web:ada", Place("terminal", "main"), Pressed(press)),
    ]
    tickets = await asyncio.gather(*(two.at.door.deliver(each) for each in inbounds))
    outcomes = await asyncio.gather(*(ticket.outcome(20) for ticket in tickets))
    won = [each for each in outcomes if each is not None and each.ok]
    orphaned_runs = [each for each in outcomes if each is not None and not each.ok]
    assert (len(won), len(orphaned_runs)) == (1, 1)
    decided = await approval(two)
    assert orphaned_runs[0].reason == "stale"
    assert {"web:ada": "ada", LOCAL: "local"}[str(decided.decided_by)] in orphaned_runs[0].text
    assert await count(two, JournalEntry.event == Event.PLAN_APPROVED) == 1
    with suppress(KeyError):
        await two.all_out()
