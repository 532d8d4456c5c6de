"""Failures on demand: the one piece of state the practice model has."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class FaultKind(StrEnum):
    RATE_LIMIT = "429"
    OVERLOADED = "529"
    API_ERROR = "500"
    AUTHENTICATION = "401"
    HANG = "hang"  # the request is taken and never answered
    CUT = "cut"  # the answer begins and the connection breaks


class BadFault(ValueError):
    """A fault that cannot be read; the message says why."""


@dataclass
class Fault:
    """`times` failures (None: for ever) after `after` requests that are not touched by it."""

    kind: FaultKind
    times: int | None = 1
    after: int = 0
    retry_after: float | None = None  # seconds

    @classmethod
    def read(cls, given: object) -> "Fault":
        """From JSON: {"kind", "times"?, "after"?, "retry_after"?}. Raises BadFault."""
        if not isinstance(given, Mapping):
            raise BadFault(f"a fault is an object, not {given!r}")
        unknown = sorted(set(given) - {"kind", "times", "after", "retry_after"})
        if unknown:
            raise BadFault(f"unknown field {unknown[0]!r}")
        try:
            kind = FaultKind(str(given.get("kind")))
        except ValueError:
            raise BadFault(f"kind is one of {', '.join(FaultKind)}") from None
        times, after = given.get("times", 1), given.get("after", 0)
        retry_after = given.get("retry_after")
        if times is not None and (not isinstance(times, int) or times < 0):
            raise BadFault("times is a whole number, or null for ever")
        if not isinstance(after, int) or after < 0:
            raise BadFault("after is a whole number")
        if retry_after is not None and not isinstance(retry_after, int | float):
            raise BadFault("retry_after is a number of seconds")
        return cls(kind, times, after, retry_after)

    @classmethod
    def parse(cls, spec: str) -> "Fault":
        """From a command line: KIND[:times=N][,after=K][,retry_after=S]. Raises BadFault."""
        kind, _, rest = spec.partition(":")
        given: dict[str, object] = {"kind": kind}
        for part in filter(None, rest.split(",")):
            name, _, value = part.partition("=")
            try:
                given[name] = float(value) if name == "retry_after" else int(value)
            except ValueError:
                raise BadFault(f"{part!r} is not NAME=NUMBER") from None
        return cls.read(given)

    def as_json(self) -> dict[str, object]:
        return {
            "kind": self.kind.value,
            "times": self.times,
            "after": self.after,
            "retry_after": self.retry_after,
        }


class FaultPlan:
    """The faults that are still to come, first come first served."""

    def __init__(self, faults: list[Fault]) -> None:
        self.pending = list(faults)

    def take(self) -> Fault | None:
        """The fault of this request, if any; counts the request for all others that wait."""
        chosen: Fault | None = None
        for fault in self.pending:
            if fault.after > 0:
                fault.after -= 1
            elif chosen is None and fault.times != 0:
                chosen = fault
        if chosen is not None and chosen.times is not None:
            chosen.times -= 1
        self.pending = [fault for fault in self.pending if fault.times != 0]
        return chosen


@dataclass(frozen=True)
class ErrorAnswer:
    """An error as Anthropic's API gives it."""

    status: int
    type: str
    message: str
    headers: Mapping[str, str]


def error_of(fault: Fault, *, now: datetime) -> ErrorAnswer | None:
    """The error answer of a fault; None for those that break the connection instead."""
    match fault.kind:
        case FaultKind.RATE_LIMIT:
            return ErrorAnswer(
                429,
                "rate_limit_error",
                "[practice] This request would exceed your account's rate limit. "
                "Please try again later.",
                _limit_headers(fault.retry_after, now),
            )
        case FaultKind.OVERLOADED:
            return ErrorAnswer(
                529, "overloaded_error", "[practice] Overloaded", _retry_after(fault.retry_after)
            )
        case FaultKind.API_ERROR:
            return ErrorAnswer(
                500,
                "api_error",
                "[practice] Internal server error",
                _retry_after(fault.retry_after),
            )
        case FaultKind.AUTHENTICATION:
            return ErrorAnswer(401, "authentication_error", "[practice] invalid x-api-key", {})
        case FaultKind.HANG | FaultKind.CUT:
            return None


async def hang() -> None:
    """Wait until the client gives up."""
    await asyncio.Event().wait()


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"retry-after": f"{seconds:g}"}


def _limit_headers(seconds: float | None, now: datetime) -> dict[str, str]:
    reset = (now + timedelta(seconds=60 if seconds is None else seconds)).astimezone(UTC)
    until = reset.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        **_retry_after(seconds),
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": until,
        "anthropic-ratelimit-input-tokens-limit": "50000",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": until,
    }
