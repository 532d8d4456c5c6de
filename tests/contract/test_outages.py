"""What a platform answers is obeyed, and whatever it answers: in the end every card is out once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from bot.cards import CARDS
from core.domain.cards import Card
from core.domain.events import CardKind
from core.errors import ChatRefused, PlaceGone
from core.operations import outbox, places
from core.ports.chat import Pace, Place
from core.store.chat_tables import Channel, OutboxItem
from tests.chat.memory import MemoryChat
from tests.chat.stepping import deliver_due
from tests.contract.delivery_parts import SECRET, House, card, opened, running, until
from tests.unit.bot.cards import stage
from tests.unit.bot.cards.stage import NOW, PLACE

SECOND = Place(PLACE.platform, "second")
ROOT, PLAN, PROGRESS = "interview:todo-api", "plan:todo-api:1", "progress:todo-api"
SLOW = Pace(post_interval_s=1, edits_per_minute=60)


@pytest.fixture
async def house(tmp_path: Path, empty: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, empty) as made:
        yield made


@pytest.fixture
async def slow(tmp_path: Path, empty: Path) -> AsyncIterator[House]:
    """With a platform that takes a post a second in a channel, and an edit a second in all."""
    async with opened(tmp_path, empty, SLOW) as made:
        yield made


def many(number: int, kind: CardKind = CardKind.LANDED) -> list[Card]:
    return [card(f"{kind}:{each}", kind) for each in range(number)]


async def test_an_outage_of_three_days_loses_nothing_and_uses_up_no_tries(house: House) -> None:
    await house.do(stage.build)
    house.chat.weather.away = True
    lines = many(30)
    for hour in range(72):
        if hour % 24 == 9:
            await house.say(card(f"digest:{hour}", CardKind.DIGEST))
        await house.say(*lines[hour : hour + 1])
        assert await deliver_due(house.delivery) == 1, "one card at a time tries whether it is back"
        house.now += timedelta(hours=1)
    assert all(item.attempts == 0 and item.failed_at is None for item in await house.items())
    house.chat.weather.away = False
    await house.all_out()
    shown = Counter(house.shown())
    assert set(shown.values()) == {1}
    assert {ROOT, PLAN, PROGRESS, "spec:todo-api", *(each.key for each in lines)} < set(shown)
    assert [key for key in shown if key.startswith("digest")] == ["digest:57"], "the newest only"
    assert house.shown().index(PLAN) < house.shown().index(lines[0].key)
    assert await house.store.read(outbox.next_due, house.chat.name, now=house.now) is None


async def test_it_is_asked_less_and_less_often_whether_it_is_back(house: House) -> None:
    await house.say(*many(5))
    house.chat.weather.away = True
    tried = [at for at in range(600) if await house.second()]
    assert tried == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]
    assert len(house.chat.calls) == 10, "one card at a time"
    assert len(set(house.chat.calls)) > 1, "one of them may be at fault"
    house.chat.weather.away = False
    assert len(await house.seconds(300)) == 5


async def test_one_platform_s_outage_is_not_another_s(house: House) -> None:
    other = MemoryChat("other")
    await house.say(*many(3))
    await house.say(*many(3), place=Place("other", "main"))
    house.chat.weather.away = True
    await deliver_due(house.delivery)
    assert await deliver_due(house.start(other)) == 3
    assert len(other.messages) == 3


async def test_a_card_that_is_never_answered_holds_up_its_platform_for_moments_only(
    house: House,
) -> None:
    await house.say(*many(40))
    house.chat.weather.keys.add("landed:0")
    await house.seconds(20)
    assert len(house.chat.messages) == 39
    calls = Counter(key for _, key in await house.seconds(300))
    assert 2 <= calls["landed:0"] <= 8
    house.chat.weather.keys.clear()
    await house.seconds(300)
    assert len(house.chat.messages) == 40


async def test_in_a_burst_a_decision_goes_first(slow: House) -> None:
    await slow.say(*many(49))
    await slow.do(stage.build)
    assert await slow.seconds(2) == [("post", ROOT), ("post", PLAN)]
    await slow.seconds(10)
    await slow.say(card("question:todo-api:9", CardKind.QUESTION))
    await slow.say(card("gate:todo-api:9", CardKind.GATE), card("answer:9"))
    assert await slow.seconds(3) == [
        ("post", "gate:todo-api:9"),
        ("post", "answer:9"),
        ("post", "question:todo-api:9"),
    ]
    rest = await slow.seconds(60)
    assert [key for _, key in rest[:-1]] == [f"landed:{each}" for each in range(10, 49)] + [
        "spec:todo-api"
    ]
    assert rest[-1] == ("post", PROGRESS)


async def test_a_post_a_second_in_a_channel_and_others_beside_it(slow: House) -> None:
    await slow.say(*many(3))
    await slow.say(*many(3), place=SECOND)
    assert [len(await slow.second()) for _ in range(4)] == [2, 2, 2, 0]


async def test_edits_of_ten_cards_share_the_pace_and_a_decision_goes_first(slow: House) -> None:
    live = many(10, CardKind.PROGRESS)
    plan = card("plan:9", CardKind.PLAN)
    await slow.say(*live[:5], plan)
    await slow.say(*live[5:], place=SECOND)
    await slow.seconds(10)

    async def change(*cards: Card) -> None:
        def again(tx: Session) -> None:
            for each in cards:
                new = replace(each, body=str(slow.now))
                outbox.resay(tx, PLACE if each in (*live[:5], plan) else SECOND, new, now=slow.now)

        await slow.store.run(again)

    edited: Counter[str] = Counter()
    for _ in range(30):
        await change(*live)
        calls = await slow.second()
        assert len(calls) <= 1
        edited.update(key for _, key in calls)
    assert set(edited) == {each.key for each in live}
    assert set(edited.values()) == {3}, "in turns"
    await change(*live, plan)
    assert await slow.second() == [("edit", "plan:9")]
    await slow.seconds(10)
    for posted in slow.chat.messages.values():  # the newest state wins
        assert posted.card.body == str(NOW + timedelta(seconds=40))


async def test_retry_after_is_obeyed_by_posts_of_the_channel_and_by_all_edits(house: House) -> None:
    await house.say(card("progress:1", CardKind.PROGRESS))
    await house.say(card("progress:2", CardKind.PROGRESS), place=SECOND)
    await house.seconds(2)
    await house.say(card("landed:1", CardKind.LANDED))
    house.chat.weather.busy = [30]
    assert await house.second() == [("post", "landed:1")]
    await house.say(card("landed:2", CardKind.LANDED), place=SECOND)
    assert await house.second() == [("post", "landed:2")], "the other channel goes on"
    assert await house.seconds(28) == []
    assert await house.second() == [("post", "landed:1")]
    for place, key in ((PLACE, "progress:1"), (SECOND, "progress:2")):
        new = card(key, CardKind.PROGRESS, "new")
        await house.store.run(outbox.resay, place, new, now=house.now)
    house.chat.weather.busy = [30]
    assert await house.second() == [("edit", "progress:1")]
    await house.say(card("answer:2"))
    assert await house.seconds(29) == [("post", "answer:2")], "edits wait, posts do not"
    assert len(await house.second()) == 2
    assert all(item.attempts == 0 for item in await house.items())


@pytest.mark.parametrize("asked", [-1.0, float("inf"), float("nan"), 1e300])
async def test_what_is_asked_for_beyond_reason_stops_nothing(house: House, asked: float) -> None:
    house.chat.weather.busy = [asked]
    await house.say(card("answer:1"))
    await house.second()
    house.now += timedelta(days=1)
    await house.second()
    assert house.shown() == ["answer:1"]


async def test_a_deleted_decision_is_posted_anew_and_a_deleted_line_is_not(house: House) -> None:
    def landed(tx: Session) -> None:
        project = stage.build(tx)
        stage.prove(tx, project, 1)
        stage.prove(tx, project, 2)
        stage.land(tx, project, "Storage")

    await house.do(landed)
    await house.all_out()
    line = "landed:todo-api:storage"
    for key in (PLAN, line, PROGRESS):
        house.chat.delete(key)
    house.chat.calls.clear()

    def changed(tx: Session) -> None:
        stage.feature(tx, 1, "Storage").name = "Store"
        stage.prove(tx, 1, 3)
        for item in tx.query(OutboxItem):
            item.wanted += 1
            item.digest = None

    await house.do(changed)
    await house.all_out()
    assert house.chat.standing(PLAN).again == 1
    assert house.chat.standing(PLAN).place.thread == "1"
    assert house.chat.standing(PROGRESS).again == 1
    with pytest.raises(KeyError):
        house.chat.standing(line)
    assert house.chat.calls.count(("edit", line)) == 1, "it is let go"
    assert await deliver_due(house.delivery) == 0


async def test_a_thread_goes_on_below_a_new_root_where_the_old_one_was_deleted(
    house: House,
) -> None:
    await house.do(stage.build)
    await house.all_out()
    house.chat.delete(ROOT)
    await house.do(lambda tx: stage.fail(tx, 1, 1))
    for _ in range(5):
        await house.all_out()
        house.now += timedelta(seconds=5)
    root = house.chat.standing(ROOT)
    assert root.again == 1
    assert house.chat.standing("stuck:todo-api:1").place.thread == str(root.id)


async def test_a_root_that_was_given_up_holds_up_no_thread(house: House) -> None:
    await house.do(stage.build)

    def given_up(tx: Session) -> None:
        outbox.failed(tx, 1, "no", retry_at=None, now=house.now)

    await house.store.run(given_up)
    await house.all_out()
    assert sorted(house.shown()) == [PLAN, PROGRESS, "spec:todo-api"]
    assert house.chat.standing(PLAN).place.thread is None


async def test_a_place_that_takes_nothing_is_told_of_once_and_goes_on_once_mended(
    house: House,
) -> None:
    def twice(tx: Session) -> None:
        places.settle(tx, stage.build(tx), SECOND, CARDS, now=NOW)

    def channel(tx: Session) -> str | None:
        return tx.get_one(Channel, (PLACE.platform, PLACE.channel)).refused

    gone = PlaceGone(f"The channel was deleted by {SECRET}.")
    house.chat.weather.refused[PLACE.channel] = gone
    await house.do(twice)
    await house.seconds(2 * 3600)
    assert {posted.place.channel for posted in house.chat.messages.values()} == {"second"}
    assert {ROOT, PLAN, PROGRESS} <= set(house.shown()), "the other place goes on"
    tries = [call for call in house.chat.calls if call[0] == "post"]
    assert 24 <= len(tries) - len(house.chat.messages) <= 25, "every five minutes"
    assert await house.store.read(channel) == "The channel was deleted by [redacted]."
    notices = [item for item in await house.items() if item.kind is CardKind.NOTICE]
    (notice,) = notices
    assert (notice.platform, notice.channel) == ("web", "main"), "an admin looks there"
    assert notice.card is not None
    assert notice.card["title"] == "practice:main takes no cards"
    assert all(item.attempts == 0 and item.failed_at is None for item in await house.items())
    house.chat.weather.refused.clear()
    await house.seconds(600)
    assert Counter(house.shown()) == dict.fromkeys([ROOT, PLAN, PROGRESS, "spec:todo-api"], 2)
    assert await house.store.read(channel) is None


async def test_a_card_that_is_refused_alone_holds_up_no_other(house: House) -> None:
    await house.say(card("answer:0"), *many(3))
    refusal = ChatRefused("It has too many blocks.")
    house.chat.weather.refused["answer:0"] = refusal
    await house.seconds(900)
    assert sorted(house.shown()) == ["landed:0", "landed:1", "landed:2"]


@pytest.fixture
async def forgetful(tmp_path: Path, empty: Path) -> AsyncIterator[House]:
    """With a platform where private posts cannot be found again."""
    async with opened(tmp_path, empty, Pace(finds_private=False)) as made:
        yield made


async def test_a_private_answer_comes_at_most_once_where_it_cannot_be_found_again(
    forgetful: House,
) -> None:
    chat = forgetful.chat
    await forgetful.say(card("answer:1"), private_to="slack:U1", reply="handle")
    chat.weather.lose = 1
    await forgetful.seconds(60)
    (posted,) = chat.messages.values()
    assert (posted.private_to, posted.reply) == ("slack:U1", "handle")
    assert len(chat.calls) == 1
    await forgetful.say(card("answer:2"), private_to="slack:U1")
    chat.weather.busy = [5]
    await forgetful.seconds(10)
    assert chat.standing("answer:2").private_to == "slack:U1", "it was certainly not posted before"
    await forgetful.say(card("answer:3"))
    chat.weather.lose = 1
    await forgetful.seconds(10)
    assert forgetful.shown() == ["answer:1", "answer:2", "answer:3"]
    assert chat.calls.count(("post", "answer:3")) == 2


async def test_a_kill_loses_a_private_answer_rather_than_doubles_it(forgetful: House) -> None:
    await forgetful.say(card("answer:1"), private_to="slack:U1")
    seen: list[tuple[int, int]] = []
    post = forgetful.chat.post

    async def killed(*_args: object, **_how: object) -> object:
        seen.extend((item.wanted, item.built) for item in await forgetful.items())
        raise KeyboardInterrupt

    forgetful.chat.post = killed  # type: ignore[method-assign,assignment]  # the moment of the kill
    with pytest.raises(KeyboardInterrupt):
        await deliver_due(forgetful.delivery)
    forgetful.chat.post = post  # type: ignore[method-assign]  # the next life
    assert seen == [(1, 1)]
    assert await deliver_due(forgetful.start()) == 0


async def test_the_loop_keeps_the_pace_and_comes_back_from_an_outage_by_itself(
    tmp_path: Path, empty: Path
) -> None:
    async with opened(tmp_path, empty, Pace(post_interval_s=0.2)) as house, ticking(house):
        house.chat.weather.away = True
        async with running(house.delivery):
            await house.say(*many(5))
            await until(lambda: len(house.chat.calls) == 2)
            house.chat.weather.away = False
            await until(lambda: bool(house.shown()))
            begun = house.now
            await house.say(*many(4), place=SECOND)
            await until(lambda: len(house.shown()) == 9)
            assert timedelta(seconds=0.8) <= house.now - begun < timedelta(seconds=5)


@asynccontextmanager
async def ticking(house: House) -> AsyncIterator[None]:
    """The clock goes."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.01)
            house.now = NOW + timedelta(seconds=loop.time() - begun)

    loop = asyncio.get_running_loop()
    begun = loop.time()
    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()


async def test_a_platform_is_told_which_wish_it_shows(house: House) -> None:
    await house.do(stage.build)
    await house.all_out()
    await house.do(lambda tx: stage.prove(tx, 1, 1))
    await house.all_out()
    (item,) = [item for item in await house.items() if item.key == PROGRESS]
    assert house.chat.standing(PROGRESS).wish == item.wanted > 1
