"""Cards reach their platform once, in their newest state, whatever the platform and kills do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.commands import answers
from bot.delivery import GIVE_UP, Notifier
from core.domain.cards import Card, parse_press
from core.domain.events import CardKind, Event
from core.domain.redaction import HIDDEN
from core.operations import outbox, projects, questions, web
from core.ports.chat import MessageRef, Place
from core.store.chat_tables import OutboxItem, WebMessage
from core.store.session import Store
from core.store.tables import Approval, JournalEntry
from core.views import questions as question_views
from tests.chat.memory import MemoryChat
from tests.chat.stepping import deliver_due
from tests.contract.delivery_parts import INTERVAL, SECRET, House, opened, running, until
from tests.unit.bot.cards import stage
from tests.unit.bot.cards.stage import NOW, PLACE


@pytest.fixture
async def house(tmp_path: Path, empty: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, empty) as made:
        yield made


async def test_a_thread_waits_for_its_root_and_hangs_on_it(house: House) -> None:
    await house.do(stage.build)
    await house.all_out()
    assert house.shown()[0] == "interview:todo-api"
    assert sorted(house.shown()) == sorted(
        ["interview:todo-api", "spec:todo-api", "plan:todo-api:1", "progress:todo-api"]
    )
    assert house.chat.standing("interview:todo-api").place == PLACE
    assert house.chat.standing("plan:todo-api:1").place.thread == "1"
    assert house.chat.standing("progress:todo-api").place.thread is None


async def test_ten_wishes_are_one_edit_of_the_newest_state(house: House) -> None:
    await house.do(stage.build)
    await house.all_out()
    house.chat.calls.clear()
    for number in (1, 2, 3, 4):
        await house.do(lambda tx, n=number: stage.prove(tx, 1, n))  # type: ignore[misc]  # a loop's lambda
    await house.all_out()
    assert house.chat.calls == [("edit", "progress:todo-api")]
    progress = house.chat.standing("progress:todo-api").card
    assert progress.progress is not None
    assert progress.progress.done == 4


async def test_a_card_is_edited_once_per_interval(house: House) -> None:
    await house.do(stage.build)
    await house.all_out()
    house.chat.calls.clear()
    await house.do(lambda tx: stage.prove(tx, 1, 1))
    assert await deliver_due(house.delivery) == 1
    await house.do(lambda tx: stage.prove(tx, 1, 2))
    assert await deliver_due(house.delivery) == 0  # the clock stands
    due = await house.store.read(outbox.next_due, house.chat.name, now=house.now)
    assert due == house.now + INTERVAL
    house.now += INTERVAL
    assert await deliver_due(house.delivery) == 1
    assert len(house.chat.calls) == 2


async def test_a_decision_is_shown_before_what_follows_from_it(house: House) -> None:
    """Also where it is made as soon as it is asked for, and the project is complete with it."""
    gates: list[Approval] = []
    await house.do(stage.build)
    await house.do(lambda tx: gates.append(stage.to_gate(tx, 1)))
    await house.all_out()
    await house.do(lambda tx: stage.approve(tx, tx.get_one(Approval, gates[0].id)))
    await house.do(lambda tx: stage.prove(tx, 1, 5))
    await house.do(lambda tx: stage.land(tx, 1, "Docs"))
    await house.all_out()
    await house.do(lambda tx: gates.append(stage.open_gate(tx, 1, 2)))
    while ("post", "gate:todo-api:3") not in house.chat.calls:
        assert await deliver_due(house.delivery, 1)
    house.chat.calls.clear()

    def decide(tx: Session) -> None:
        stage.approve(tx, tx.get_one(Approval, gates[1].id))
        projects.complete(tx, 1, stage.COMMIT, now=house.now)

    await house.store.run(decide)  # nobody told it yet: a live card shows it all the same
    await deliver_due(house.delivery)
    await house.do(lambda _tx: None)
    await house.all_out()
    keys = [key for _, key in house.chat.calls]
    assert keys[0] == "gate:todo-api:3"
    assert {"progress:todo-api", "report:todo-api:1"} < set(keys)


async def test_what_changes_nothing_is_no_edit(house: House) -> None:
    await house.do(stage.build)
    await house.all_out()
    house.chat.calls.clear()
    await house.store.run(outbox.refresh, 1, CardKind.PLAN, now=house.now)
    await house.all_out()
    assert house.chat.calls == []
    assert await deliver_due(house.delivery) == 0


async def test_a_lost_answer_does_not_double_a_card(house: House) -> None:
    await house.do(stage.build)
    house.chat.weather.lose = 3
    for _ in range(10):
        await deliver_due(house.delivery)
        house.now += timedelta(seconds=10)
    assert len(house.shown()) == len(set(house.shown())) == 4


async def test_a_kill_between_post_and_record_does_not_double_a_card(house: House) -> None:
    await house.do(stage.build)
    posting = asyncio.Event()
    post = house.chat.post

    async def stuck(place: Place, card: Card, **_how: object) -> MessageRef:
        ref = await post(place, card)
        posting.set()
        await asyncio.sleep(3600)  # the answer is under way when the service dies
        return ref

    house.chat.post = stuck  # type: ignore[method-assign]  # the moment of the kill
    killed = asyncio.create_task(deliver_due(house.delivery))
    await posting.wait()
    killed.cancel()
    with suppress(asyncio.CancelledError):
        await killed
    house.chat.post = post  # type: ignore[method-assign]  # the next life
    house.delivery = house.start()
    await house.all_out()
    assert len(house.shown()) == len(set(house.shown())) == 4
    assert house.chat.calls.count(("post", "interview:todo-api")) == 2


async def test_one_failing_card_holds_up_no_other(house: House) -> None:
    house.chat.weather.keys.add("plan:todo-api:1")
    await house.do(stage.build)
    await house.all_out()
    assert sorted(house.shown()) == ["interview:todo-api", "progress:todo-api", "spec:todo-api"]
    house.chat.weather.keys.clear()
    house.now += timedelta(minutes=6)
    await house.all_out()
    assert "plan:todo-api:1" in house.shown()


async def test_a_card_that_cannot_be_built_holds_up_no_other(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.do(stage.build)

    def broken(tx: Session) -> None:
        tx.scalars(select(OutboxItem).where(OutboxItem.kind == CardKind.PLAN)).one().subject_id = 99

    await house.store.run(broken)
    await house.all_out()
    assert "progress:todo-api" in house.shown()
    assert "plan:todo-api:1" in caplog.text


async def test_what_fails_inside_backs_off_and_ends_after_a_day_with_a_warning(
    house: House,
) -> None:
    await house.do(stage.build)
    await house.all_out()

    def broken(tx: Session) -> None:
        outbox.want(tx, PLACE, "plan:todo-api:2", CardKind.PLAN, project_id=1, subject_id=99,
                    now=NOW)  # fmt: skip

    await house.store.run(broken)
    house.now = NOW
    waits = []
    for _ in range(11):
        await deliver_due(house.delivery)
        due = await house.store.read(outbox.next_due, house.chat.name, now=house.now)
        assert due is not None
        waits.append((due - house.now).total_seconds())
        house.now = due
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    house.now = NOW + GIVE_UP + timedelta(seconds=1)
    await deliver_due(house.delivery)
    assert await house.store.read(outbox.next_due, house.chat.name, now=house.now) is None

    def warnings(tx: Session) -> list[str]:
        return list(
            tx.scalars(select(JournalEntry.text).where(JournalEntry.event == Event.CARD_GIVEN_UP))
        )

    said = await house.store.read(warnings)
    assert len(said) == 1
    assert "plan:todo-api:2 could not be shown in practice:main" in said[0]


async def test_what_agents_do_reaches_the_card_without_a_commit(house: House) -> None:
    await house.do(stage.build)
    await house.do(lambda tx: stage.claim(tx, 1, 1))
    await house.all_out()
    run = 2  # the planner's was the first
    house.chat.calls.clear()
    house.activity = {run: "edits app.py"}
    assert await deliver_due(house.delivery) == 1
    assert "edits app.py" in house.chat.standing("progress:todo-api").card.body
    assert await deliver_due(house.delivery) == 0
    house.activity = {run: "runs pytest -q"}
    assert await deliver_due(house.delivery) == 0  # not within the interval
    house.now += INTERVAL
    assert await deliver_due(house.delivery) == 1
    assert house.chat.calls == [("edit", "progress:todo-api")] * 2


async def test_a_waiting_limit_is_edited_when_it_is_over(house: House) -> None:
    await house.do(stage.build)
    await house.do(lambda tx: stage.limit(tx, 1, seconds=120))
    await house.all_out()
    assert "resume by themselves" in house.chat.standing("limit:todo-api:1").card.body
    due = await house.store.read(outbox.next_due, house.chat.name, now=house.now)
    assert due is not None
    house.now = NOW + timedelta(seconds=121)
    await house.all_out()
    assert "✓ Over" in house.chat.standing("limit:todo-api:1").card.body
    assert await house.store.read(outbox.next_due, house.chat.name, now=house.now) is None


async def test_the_loops_tell_at_once_and_sleep_when_nothing_is_wanted(house: House) -> None:
    begun = asyncio.get_running_loop().time()
    teller = Notifier(house.store, house.wake, lambda: house.now)
    async with running(teller, house.delivery):
        await house.store.run(stage.build)
        await until(lambda: len(house.shown()) == 4)
        await house.store.run(ask)
        await until(lambda: "question:todo-api:1" in house.shown())
        assert asyncio.get_running_loop().time() - begun < 10
        await asyncio.sleep(0.3)
        quiet = house.wake.count
        await asyncio.sleep(0.5)
        assert house.wake.count == quiet  # nothing is written, so nobody is woken
    assert len(house.delays) >= 5


def ask(tx: Session) -> None:
    coder = stage.claim(tx, 1, 1)
    questions.ask(tx, coder.id, "Which?", ("a", "b"), False, now=NOW)


async def test_no_secret_leaves_and_what_is_hidden_can_be_chosen(house: House) -> None:
    options = (*"abcdef", SECRET)

    def leaks(tx: Session) -> int:
        project = stage.build(tx)
        coder = stage.claim(tx, project, 1)
        words = f"Is {SECRET} right, or sk-ant-api03-abcdefghij?"
        return questions.ask(tx, coder.id, words, options, True, now=NOW)

    await house.do(leaks)
    await house.all_out()
    shown = house.chat.standing("question:todo-api:1").card
    assert HIDDEN in shown.body
    for posted in house.chat.messages.values():
        assert SECRET not in repr(posted.card)
        assert "sk-ant-api03" not in repr(posted.card)
    (asked,) = shown.inputs
    assert asked.options[-1].label == HIDDEN

    def chosen(tx: Session) -> str:
        press = parse_press(asked.name)
        values = {asked.name: (asked.options[-1].value,)}
        question = question_views.by_id(tx, 1)
        assert question is not None
        return answers.pressed(press, question, values)

    assert await house.store.read(chosen) == SECRET


class OverTheWeb(MemoryChat):
    """The web chat's own messages as a platform whose answers get lost."""

    def __init__(self, store: Store) -> None:
        super().__init__(PLACE.platform)
        self._store = store

    async def post(
        self, place: Place, card: Card, *, private_to: str | None = None, **_how: object
    ) -> MessageRef:
        message = await self._store.run(web.post, place, card, private_to=private_to, now=NOW)
        self._after()
        return MessageRef(self.name, place.channel, message)

    async def edit(self, ref: MessageRef, card: Card, **_how: object) -> None:
        await self._store.run(web.edit, ref.message, card, now=NOW)
        self._after()


async def test_the_web_chat_holds_one_message_of_a_card_whatever_gets_lost(house: House) -> None:
    chat = OverTheWeb(house.store)
    house.delivery = house.start(chat)
    await house.do(stage.build)
    chat.weather.lose = 4
    for _ in range(8):
        await deliver_due(house.delivery)
        house.now += timedelta(seconds=30)
    await house.do(lambda tx: stage.prove(tx, 1, 1))
    chat.weather.lose = 1
    for _ in range(3):
        await deliver_due(house.delivery)
        house.now += timedelta(seconds=30)

    def standing(tx: Session) -> list[tuple[str | None, int | None, int]]:
        rows = tx.scalars(select(WebMessage).order_by(WebMessage.id))
        return [(row.key, row.thread, row.revision) for row in rows]

    found = await house.store.read(standing)
    assert found[0] == ("interview:todo-api", None, 0)
    assert sorted(found[1:], key=str) == [
        ("plan:todo-api:1", 1, 0),
        ("progress:todo-api", None, 1),
        ("spec:todo-api", 1, 0),
    ]
