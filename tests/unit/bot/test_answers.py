"""What somebody's words mean as an answer."""

import pytest

from bot.answers import chosen

OPTIONS = ("One", "Two", "Three")


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("two", "Two"),
        ("two , ONE, two", "Two, One"),
        ("one, maybe", "one, maybe"),
        ("2", "2"),  # in a thread nobody saw numbers
        (" as I say ", " as I say "),
    ],
)
def test_labels_pick_options_and_all_else_is_own_words(line: str, meant: str) -> None:
    assert chosen(OPTIONS, True, line) == meant


def test_one_answer_holds_its_commas() -> None:
    assert chosen(OPTIONS, False, "one, two") == "one, two"
    assert chosen(("One, two", "Three"), False, "one, TWO") == "One, two"
