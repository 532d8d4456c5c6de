"""Numbers, times and other people's words, as `WORDS` says they are written."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards import formatting
from core.domain.redaction import clean


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("5.7", "$5.70"), ("0.04", "$0.04"), ("0.004", "<$0.01"), ("0", "$0.00"),
     ("1284.5", "$1,284.50")],
)  # fmt: skip
def test_money(amount: str, shown: str) -> None:
    assert formatting.usd(Decimal(amount)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(3.1, "3.1 s"), (41, "41 s"), (59.7, "1 min"), (720, "12 min"), (6720, "1 h 52 min"),
     (3599, "1 h"), (0, "0.0 s")],
)  # fmt: skip
def test_durations(seconds: float, shown: str) -> None:
    assert formatting.duration(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(812, "812"), (212_000, "212 k"), (28_400_000, "28.4 M"), (999_900, "1.0 M")]
)  # fmt: skip
def test_tokens(number: int, shown: str) -> None:
    assert formatting.tokens(number) == shown


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [((3,), "task 3"), ((3, 4), "tasks 3 and 4"), ((3, 4, 9), "tasks 3, 4 and 9"),
     ((3, 4, 9, 10, 11), "tasks 3, 4, 9 and 2 more")],
)  # fmt: skip
def test_numbers_of_things(numbers: tuple[int, ...], shown: str) -> None:
    assert formatting.numbered("task", numbers, 3) == shown


def test_shares() -> None:
    assert formatting.percent(9, 14) == "64 %"
    assert formatting.percent(1, 0) == "–"
    assert formatting.percent(999, 1000) == "99 %"  # not all
    assert formatting.percent(3, 3) == "100 %"


def test_times() -> None:
    now = datetime(2026, 3, 12, 10, 48, tzinfo=UTC)
    assert formatting.clock(now + timedelta(hours=1), now, UTC) == "11:48"
    assert formatting.clock(now - timedelta(days=1), now, UTC) == "Wed 10:48"
    assert formatting.clock(now - timedelta(days=8), now, UTC) == "Wed 4 March"
    assert formatting.minutes_range(180, 300) == "3–5 h"
    assert formatting.minutes_range(10, 24) == "10–24 min"


def test_nothing_steers_the_screen() -> None:
    words = "a\x1b[31mred\x1b[0m\x1b]0;title\x07b\x9b2Jc\x08\r\nd\u202ee\u2028f\x1b(0"
    assert clean(words) == "aredb2Jc\nde\nf"


@given(st.text())
def test_clean_text_has_no_control_characters(words: str) -> None:
    cleaned = clean(words)
    assert all(c == "\n" or (ord(c) >= 32 and not 127 <= ord(c) <= 159) for c in cleaned)
    assert clean(cleaned) == cleaned
    cleaned.encode()
