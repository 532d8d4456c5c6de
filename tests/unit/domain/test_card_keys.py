"""Keys of cards as they stand in people's homes: none may ever read otherwise."""

import pytest

from core.domain import card_keys
from core.domain.events import CardKind


def test_keys_are_what_they_always_were() -> None:
    assert [
        card_keys.interview("todo"),
        card_keys.interview("todo", 2),
        card_keys.spec("todo"),
        card_keys.spec("todo", 2),
        card_keys.question("todo", 7),
        card_keys.plan("todo", 1),
        card_keys.progress("todo"),
        card_keys.landed("todo", "sign-in"),
        card_keys.stuck("todo", 11),
        card_keys.stuck("todo", 11, 2),
        card_keys.gate("todo", 3),
        card_keys.counted(CardKind.BUDGET, "todo", 1),
        card_keys.counted(CardKind.LIMIT, "todo", 1),
        card_keys.counted(CardKind.REPORT, "todo", 1),
        card_keys.counted(CardKind.ERROR, "todo", 1),
        card_keys.reply(CardKind.ANSWER, 5),
        card_keys.reply(CardKind.ERROR, 5),
        card_keys.reminder("gate:todo:3", 1),
    ] == [
        "interview:todo",
        "interview:todo:2",
        "spec:todo",
        "spec:todo:2",
        "question:todo:7",
        "plan:todo:1",
        "progress:todo",
        "landed:todo:sign-in",
        "stuck:todo:11",
        "stuck:todo:11:2",
        "gate:todo:3",
        "budget:todo:1",
        "limit:todo:1",
        "report:todo:1",
        "blocked:todo:1",
        "answer:5",
        "error:5",
        "gate:todo:3:reminder-1",
    ]


@pytest.mark.parametrize("slug", ["todo", "reminder-1", "12", "a-2"])
def test_keys_are_read_again(slug: str) -> None:
    assert card_keys.times_stuck(card_keys.stuck(slug, 11)) == 1
    assert card_keys.times_stuck(card_keys.stuck(slug, 11, 4)) == 4
    decision = card_keys.plan(slug, 2)
    assert card_keys.reminded(card_keys.reminder(decision, 3)) == decision
    assert card_keys.reminded(decision) is None
    assert card_keys.reminded(card_keys.progress(slug)) is None
