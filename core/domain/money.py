"""Tokens, prices, budgets. Money is a Decimal in USD here, an integer of micro-dollars in the store."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

MICRO = Decimal(1_000_000)


@dataclass(frozen=True)
class Tokens:
    """Tokens of one or many messages; `input` is Anthropic's `input_tokens`, without cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write_5m + other.cache_write_5m,
            self.cache_write_1h + other.cache_write_1h,
        )

    @property
    def total(self) -> int:
        return (
            self.input + self.output + self.cache_read + self.cache_write_5m + self.cache_write_1h
        )


@dataclass(frozen=True)
class MessageUsage:
    """The final usage of one API message, as its `message_delta` (or whole body) gave it."""

    message_id: str
    model: str  # as the API named it in the answer
    requested_model: str
    tokens: Tokens
    web_searches: int = 0


def to_micro(usd: Decimal) -> int:
    """Micro-dollars, rounded up: a budget is never undercounted."""
    micro = usd * MICRO
    return int(micro.to_integral_value(rounding="ROUND_CEILING"))


def to_usd(micro: int) -> Decimal:
    return Decimal(micro) / MICRO


class Dimension(StrEnum):
    """What usage is summed by; the key is an id, a model's name, a kind or a UTC date."""

    PROJECT = "project"
    RUN = "run"
    TASK = "task"
    FEATURE = "feature"
    PHASE = "phase"
    MODEL = "model"
    KIND = "kind"
    DAY = "day"


@dataclass(frozen=True)
class Exhausted:
    """A budget that is spent."""

    words: str
    until: datetime | None  # when it begins anew; None: a person must raise it


@dataclass(frozen=True)
class Price:
    """What a message costs at list price, and what the budget counts for it."""

    usd: Decimal | None  # None: the model has no known price
    assumed_usd: Decimal  # the price, or the dearest known one
