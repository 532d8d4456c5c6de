"""What somebody's words mean as an answer."""

import pytest

from bot.answers import chosen

OPTIONS = ("One", "Two", "Three")


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("2", "Two"),
        ("1, 03", "One, Three"),
        ("two,1", "Two, One"),
        ("4", "4"),
        ("0", "0"),
        ("000000001999", "000000001999"),  # longer than any number of an option
        ("1000000000", "1000000000"),
        ("1, maybe", "1, maybe"),
    ],
)
def test_numbers_and_labels_pick_options_and_all_else_is_own_words(line: str, meant: str) -> None:
    assert chosen(OPTIONS, True, line, numbered=True) == meant


def test_numbers_that_nobody_saw_pick_nothing() -> None:
    assert chosen(OPTIONS, False, "2", numbered=False) == "2"
