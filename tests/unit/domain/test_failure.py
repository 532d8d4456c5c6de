"""What a run's end means: signatures, models, settlements, the account's window."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.domain.failure import (
    RESTART_LIMIT,
    EndedHow,
    after_attempt,
    next_model,
    settle,
    signature,
    window_end,
)
from core.domain.rules import Agents

CHAIN = ("haiku", "sonnet", "opus")
NOW = datetime(2027, 3, 10, 12, 0, tzinfo=UTC)
MOMENTS = st.integers(-7 * 10**7, 7 * 10**7).map(lambda n: NOW + timedelta(seconds=n * 3.7))

TRACE = """Traceback (most recent call last):
  File "{place}/app/store.py", line {line}, in save
    raise KeyError(key)
KeyError: 'title' at {address}
Ran 3 tests in {seconds}s
FAILED (errors=1) on {day} commit {commit}
"""


@given(
    st.integers(1, 9999),
    st.floats(0, 100, allow_nan=False),
    st.integers(0, 2**48),
    st.dates(),
    st.integers(16**6, 16**40 - 1),
    st.lists(st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True), min_size=1, max_size=4),
)
def test_the_same_error_elsewhere_has_the_same_signature(
    line: int, seconds: float, address: int, day: object, commit: int, folders: list[str]
) -> None:
    first = TRACE.format(
        place="/srv/home/w", line=3, seconds="0.01", address="0x7f00", day="2027-01-01",
        commit="0123abcdef0",
    )  # fmt: skip
    again = TRACE.format(
        place="/" + "/".join(folders), line=line, seconds=f"{seconds:.3f}", address=hex(address),
        day=day, commit=f"{commit:x}",
    )  # fmt: skip
    assert signature(first) == signature(again)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("KeyError: 'title'", "KeyError: 'name'"),
        ("AssertionError: expected red", "AssertionError: expected blue"),
        ("exit 1\nsh: foo: not found", "exit 1\nsh: bar: not found"),
        ("it was given back: too hard", "it was given back: no network"),
    ],
)
def test_another_error_has_another_signature(one: str, other: str) -> None:
    assert signature(one) != signature(other)


@given(st.text())
def test_every_text_has_a_short_signature(text: str) -> None:
    assert len(signature(text)) == 16
    assert signature(text) == signature(text)


def test_a_megabyte_of_output_has_its_signature_at_once() -> None:
    assert signature("/a" * 200_000 + "error") == signature("/a" * 200_000 + "error")
    assert signature("9" * 400_000 + "e")
    assert signature("f" * 400_000)


@given(
    st.lists(st.sampled_from(["KeyError: a", "KeyError: b", ""]), max_size=20),
    st.integers(1, 6),
    st.sampled_from([*CHAIN, "other"]),
)
def test_attempts_count_up_to_stuck_and_the_same_error_thrice_takes_the_next_model(
    errors: list[str], max_attempts: int, model: str
) -> None:
    attempts, repeats, last, current = 0, 0, None, model
    for n, error in enumerate(errors, start=1):
        found = after_attempt(
            attempts=attempts,
            last_signature=last,
            repeats=repeats,
            model=current,
            error=error,
            max_attempts=max_attempts,
            chain=CHAIN,
        )
        assert found.attempts == n
        assert found.stuck == (n >= max_attempts)
        row = 0
        for before in reversed(errors[:n]):
            if before != error:
                break
            row += 1
        assert found.repeats == row
        assert found.model == (next_model(current, CHAIN) if row % 3 == 0 else current)
        attempts, repeats, last = found.attempts, found.repeats, found.signature
        current = found.model or current


@given(st.sampled_from([*CHAIN, "claude-x"]), st.lists(st.sampled_from(CHAIN), unique=True))
def test_the_next_model_is_one_step_up_the_chain(model: str, chain: Sequence[str]) -> None:
    found = next_model(model, chain)
    if model not in chain or model == chain[-1]:
        assert found == model
    else:
        assert chain.index(found) == chain.index(model) + 1


@given(st.sampled_from(EndedHow), st.integers(0, 20), st.floats(0, 7 * 86_400))
def test_only_the_agents_own_doing_and_the_sixth_accident_count(
    how: EndedHow, restarts: int, longest: float
) -> None:
    found = settle(how, Agents(backoff_max_s=longest), restarts=restarts)
    worn_out = how is EndedHow.ACCIDENT and restarts >= RESTART_LIMIT
    assert found.attempt == (how is EndedHow.AGENT or worn_out)
    assert found.resume != found.attempt
    assert timedelta(0) <= found.wait <= timedelta(seconds=longest)


def test_accidents_back_off_by_steps_and_end_in_an_attempt() -> None:
    restarts, waits = 0, []
    for _ in range(RESTART_LIMIT):
        found = settle(EndedHow.ACCIDENT, Agents(backoff_max_s=50), restarts=restarts)
        assert not found.attempt
        restarts = found.restarts
        waits.append(found.wait.total_seconds())
    assert waits == [0, 15, 30, 45, 50]
    last = settle(EndedHow.ACCIDENT, Agents(backoff_max_s=50), restarts=restarts)
    assert last.attempt
    assert last.restarts == 0


def window(
    headers: dict[str, str] | None = None, message: str = "", *, consecutive_limits: int = 0,
    now: datetime = NOW,
) -> timedelta:  # fmt: skip
    return window_end(headers or {}, message, consecutive_limits=consecutive_limits, now=now) - now


RESET = "anthropic-ratelimit-unified-reset"
HOSTILE_HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "retry-after",
            RESET,
            "anthropic-ratelimit-unified-remaining",
            "anthropic-ratelimit-tokens-reset",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-reset",
        ]
    ),
    st.one_of(
        st.text(max_size=30),
        st.integers().map(str),
        st.floats().map(str),
        st.datetimes().map(datetime.isoformat),
        MOMENTS.map(format_datetime),
    ),
)
HOSTILE_MESSAGES = st.one_of(
    st.text(max_size=60),
    st.from_regex(r"resets? (at )?\d{1,2}(:\d\d)?\s?(am|pm)?( \([\w/+-]{1,20}\))?", fullmatch=True),
)


@given(HOSTILE_HEADERS, HOSTILE_MESSAGES, st.integers(0, 10**6), MOMENTS)
@example({"retry-after": "9" * 5000}, "", 0, NOW)
@example({RESET: "9" * 5000}, "", 0, NOW)
@example({RESET: "²"}, "", 0, NOW)
@example({"retry-after": "0001-01-01T00:00:00+23:59"}, "", 0, NOW)
@example({"retry-after": "9999-12-31T23:59:59-23:59"}, "", 0, NOW)
@example({"retry-after": "Fri, 31 Dec 9999 23:59:59 -2359"}, "", 0, NOW)
@example({}, "resets 3pm (America)", 0, NOW)
@example({}, "resets 3pm (Europe/)", 0, NOW)
@example({}, "resets 3pm (/etc/passwd)", 0, NOW)
@example({}, f"resets 3pm ({'x' * 5000})", 0, NOW)
def test_a_window_ends_within_a_day_whatever_the_server_says(
    headers: dict[str, str], message: str, consecutive_limits: int, now: datetime
) -> None:
    found = window_end(headers, message, consecutive_limits=consecutive_limits, now=now)
    assert timedelta(seconds=1) <= found - now <= timedelta(hours=24)


@given(st.integers(1, 86_400))
def test_retry_after_in_seconds(seconds: int) -> None:
    assert window({"retry-after": str(seconds)}) == timedelta(seconds=seconds)


@given(st.integers(1, 86_400))
def test_retry_after_as_a_date(seconds: int) -> None:
    end = NOW + timedelta(seconds=seconds)
    assert window({"retry-after": format_datetime(end, usegmt=True)}) == timedelta(seconds=seconds)


def test_retry_after_zero_is_a_second_and_a_week_is_a_day() -> None:
    assert window({"retry-after": "0"}) == timedelta(seconds=1)
    assert window({"retry-after": str(7 * 86_400)}) == timedelta(hours=24)
    assert window({"retry-after": "-5"}) == timedelta(seconds=15)


@pytest.mark.parametrize("stamp", [str(int((NOW + timedelta(hours=2)).timestamp())),
                                   (NOW + timedelta(hours=2)).isoformat(),
                                   "2027-03-10T14:00:00Z"])  # fmt: skip
def test_the_reset_of_an_exhausted_allowance(stamp: str) -> None:
    assert window({RESET: stamp}) == timedelta(hours=2)
    assert window({RESET: stamp, RESET.replace("reset", "remaining"): "0"}) == timedelta(hours=2)
    left = {RESET: stamp, RESET.replace("reset", "remaining"): "12"}
    assert window(left) == timedelta(seconds=15)


def test_the_latest_of_several_exhausted_allowances_counts() -> None:
    headers = {
        "anthropic-ratelimit-tokens-reset": "2027-03-10T12:05:00Z",
        "anthropic-ratelimit-requests-reset": "2027-03-10T12:30:00Z",
    }
    assert window(headers) == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("message", "hours"),
    [
        ("You've hit your limit · resets 3pm (Europe/Paris)", 2),  # 14:00 UTC in March
        ("limit reached, resets at 3:30pm (UTC)", 3.5),
        ("resets 11am (UTC)", 23),
        ("resets 12am (UTC)", 12),
        ("resets 12pm (UTC)", 24),
        ("resets 15:00", 3),
        ("Resets 1pm (America/New_York)", 6),
    ],
)
def test_the_reset_in_words(message: str, hours: float) -> None:
    assert window(message=message) == timedelta(hours=hours)


@given(st.integers(0, 23), st.integers(0, 59), MOMENTS)
def test_a_spoken_hour_is_the_next_time_a_clock_shows_it(
    hour: int, minute: int, now: datetime
) -> None:
    end = window_end({}, f"resets {hour}:{minute:02} (UTC)", consecutive_limits=0, now=now)
    if end - now > timedelta(seconds=1):
        assert (end.hour, end.minute) == (hour, minute)


@pytest.mark.parametrize("message", ["resets 13pm", "resets 0am", "resets 25:00", "resets 3:75pm",
                                     "resets 3pm (Europe/Atlantis)", "resets soon"])  # fmt: skip
def test_words_that_name_no_time_are_unknown(message: str) -> None:
    assert window(message=message) == timedelta(seconds=15)


def test_an_unknown_window_doubles_up_to_an_hour() -> None:
    waits = [window(consecutive_limits=n).total_seconds() for n in range(10)]
    assert waits == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_retry_after_stands_before_headers_and_headers_before_words() -> None:
    words = "resets 3pm (UTC)"
    assert window({"retry-after": "7", RESET: "2027-03-10T14:00:00Z"}, words).seconds == 7
    assert window({RESET: "2027-03-10T14:00:00Z"}, words) == timedelta(hours=2)
    assert window({"retry-after": "soon"}, words) == timedelta(hours=3)
