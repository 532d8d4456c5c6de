"""What a run's end means: whose fault it was, when again, with which model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from hashlib import sha256
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.domain.agents import FailureKind, RunOutcome
from core.domain.rules import Agents

SAME_ERROR_LIMIT = 3  # the same signature so often in a row: the next model of the chain
RESTART_LIMIT = 5  # ends in a row that are nobody's fault; after that each is an attempt
REFUSAL_LIMIT = 5  # refusals of one task in one run
WINDOW_LIMIT = 24  # runs in a row that the account's limit ended: a person is asked
WINDOW_STEP = timedelta(seconds=15)
WINDOW_UNKNOWN_MAX = timedelta(hours=1)
WINDOW_MAX = timedelta(hours=24)
BACKOFF_STEP = timedelta(seconds=15)

_VOLATILE = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{7,64}\b|\d+(\.\d+)?|(/[\w.+@-]+)+/")
_FAILURE_LINE = re.compile(r"error|fail|exception|assert|expected|!=|not found|no such", re.I)


def signature(text: str) -> str:
    """A short name for an error that is alike for the same error at another time or place."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _FAILURE_LINE.search(line)] or lines[-3:]
    plain = "\n".join(_VOLATILE.sub("#", line.lower()) for line in telling[-8:])
    return sha256(plain.encode()).hexdigest()[:16]


def next_model(model: str, chain: Sequence[str]) -> str:
    """The next stronger model, or the same at the end of the chain or outside it."""
    if model in chain and chain.index(model) + 1 < len(chain):
        return chain[chain.index(model) + 1]
    return model


def is_step_up(model: str, last: str, chain: Sequence[str]) -> bool:
    """Whether a model of the chain is stronger than the one that worked `last`."""
    if model not in chain:
        return False
    if last in chain:
        return chain.index(model) > chain.index(last)
    return model not in last  # a full name holds its alias: claude-opus-4-1


@dataclass(frozen=True)
class Failures:
    """What a task has behind it after one more failed attempt."""

    attempts: int
    signature: str
    repeats: int  # how often in a row this signature came
    model: str | None  # the model for the next attempt; None: the kind's own
    stuck: bool


def after_attempt(
    *,
    attempts: int,
    last_signature: str | None,
    repeats: int,
    model: str,
    error: str,
    max_attempts: int,
    chain: Sequence[str],
) -> Failures:
    """What one more failed attempt makes of a task; arguments are from before it."""
    now = signature(error)
    repeats = repeats + 1 if now == last_signature else 1
    escalate = repeats and repeats % SAME_ERROR_LIMIT == 0
    return Failures(
        attempts=attempts + 1,
        signature=now,
        repeats=repeats,
        model=next_model(model, chain) if escalate else model,
        stuck=attempts + 1 >= max_attempts,
    )


class EndedHow(StrEnum):
    """The one question a settlement asks of a run's end."""

    AGENT = "agent"  # the agent's own doing: counts as an attempt
    SERVICE = "service"  # the service stopped or died: free, always
    ACCIDENT = "accident"  # process death, 5xx, silence: free for RESTART_LIMIT in a row
    WINDOW = "window"  # the account's limit: free, waits for the window
    BUDGET = "budget"  # free, waits for a person
    CREDENTIALS = "credentials"  # free, blocks the project


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, as the runner or recovery found it."""

    outcome: RunOutcome
    how: EndedHow
    words: str
    failure: FailureKind | None = None
    session_id: str | None = None


@dataclass(frozen=True)
class Settlement:
    """What becomes of the tasks a run leaves behind."""

    attempt: bool
    resume: bool  # keep worktree and session for the next run
    restarts: int
    wait: timedelta


def settle(how: EndedHow, agents: Agents, *, restarts: int) -> Settlement:
    """`restarts` counts accidents in a row before this one."""
    match how:
        case EndedHow.AGENT:
            return Settlement(attempt=True, resume=False, restarts=0, wait=timedelta(0))
        case EndedHow.ACCIDENT:
            if restarts >= RESTART_LIMIT:
                return Settlement(attempt=True, resume=False, restarts=0, wait=timedelta(0))
            wait = min(BACKOFF_STEP * restarts, timedelta(seconds=agents.backoff_max_s))
            return Settlement(attempt=False, resume=True, restarts=restarts + 1, wait=wait)
        case EndedHow.SERVICE | EndedHow.WINDOW | EndedHow.BUDGET | EndedHow.CREDENTIALS:
            return Settlement(attempt=False, resume=True, restarts=restarts, wait=timedelta(0))


_RESETS_AT = re.compile(
    r"resets?\s+(?:at\s+)?(\d{1,2})(?::(\d{2}))?\s*(am|pm)?\s*(?:\(([\w/+-]+)\))?", re.I
)


def window_end(
    headers: Mapping[str, str], message: str, *, consecutive_limits: int, now: datetime
) -> datetime:
    """When the account's window opens again.

    Sources in this order: `retry-after` (seconds or a date), `anthropic-ratelimit-*-reset` of
    an exhausted allowance, "resets 3pm (Europe/Paris)" in the message, else 15·2ⁿ s up to an
    hour, n being the `strikes` in a row. At most 24 h ahead, at least 1 s.
    """
    found = (
        _retry_after(headers.get("retry-after", ""), now)
        or _exhausted_reset(headers, now)
        or _spoken_reset(message, now)
        or now + min(WINDOW_STEP * 2 ** min(consecutive_limits, 12), WINDOW_UNKNOWN_MAX)
    )
    return min(max(found, now + timedelta(seconds=1)), now + WINDOW_MAX)


def _retry_after(value: str, now: datetime) -> datetime | None:
    try:
        seconds = float(value)
    except ValueError:
        return _date(value)
    if not 0 <= seconds < 10**9:
        return None
    return now + min(timedelta(seconds=seconds), WINDOW_MAX)


def _date(value: str) -> datetime | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            when = parse(value)
        except (ValueError, TypeError, IndexError):
            continue
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return None


def _exhausted_reset(headers: Mapping[str, str], now: datetime) -> datetime | None:
    ends = []
    for name, value in headers.items():
        if name.startswith("anthropic-ratelimit-") and name.endswith("-reset"):
            remaining = headers.get(name.removesuffix("reset") + "remaining", "0")
            if remaining.strip() not in ("", "0"):
                continue
            stamp = value.strip()
            end = (
                datetime.fromtimestamp(min(float(stamp), 2**33), UTC)
                if stamp.isdecimal()
                else _date(stamp)
            )
            if end is not None and end > now:
                ends.append(end)
    return max(ends, default=None)


def _spoken_reset(message: str, now: datetime) -> datetime | None:
    match = _RESETS_AT.search(message)
    if not match:
        return None
    hour, minute = int(match[1]), int(match[2] or 0)
    if match[3]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[3].lower() == "pm" else 0)
    if hour > 23 or minute > 59:
        return None
    try:
        zone = ZoneInfo(match[4]) if match[4] else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    local = now.astimezone(zone).replace(hour=hour, minute=minute, second=0, microsecond=0)
    end = local if local > now else local + timedelta(days=1)
    return end.astimezone(UTC)
