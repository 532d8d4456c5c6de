"""Prices against the published list, computed by hand (USD per million tokens)."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.prices import assumed_price, price
from core.domain.money import MessageUsage, Tokens


def usage(model: str, tokens: Tokens, web_searches: int = 0) -> MessageUsage:
    return MessageUsage("msg_1", model, model, tokens, web_searches)


EVERY_KIND = Tokens(
    input=1_000, output=200, cache_read=5_000, cache_write_5m=300, cache_write_1h=400
)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # 1000 × 2 + 200 × 10 + 5000 × 0.20 + 300 × 2.50 + 400 × 4
        ("claude-sonnet-5", "0.00735"),
        # 1000 × 5 + 200 × 25 + 5000 × 0.50 + 300 × 6.25 + 400 × 10
        ("claude-opus-5", "0.018375"),
        # 1000 × 1 + 200 × 5 + 5000 × 0.10 + 300 × 1.25 + 400 × 2
        ("claude-haiku-4-5-20251001", "0.003675"),
    ],
)
def test_every_kind_of_token_has_its_price(model: str, expected: str) -> None:
    assert price(usage(model, EVERY_KIND)) == Decimal(expected)


def test_long_context_has_its_own_tier() -> None:
    # above 200,000 input tokens: 6 instead of 3 for all of them, 0.60 instead of 0.30
    long = Tokens(input=1_000, cache_read=250_000)
    assert price(usage("claude-sonnet-4-5", long)) == Decimal("0.156")


def test_web_searches_cost_ten_dollars_a_thousand() -> None:
    assert price(usage("claude-sonnet-5", Tokens(), web_searches=3)) == Decimal("0.03")


@pytest.mark.parametrize("model", ["", "practice", "gpt-5", "claude-sonnet-99", "x" * 200])
def test_an_unknown_model_has_no_price_but_the_dearest_is_held_against_the_budget(
    model: str,
) -> None:
    asked = usage(model, EVERY_KIND)
    assert price(asked) is None
    # Opus 4: 1000 × 15 + 200 × 75 + 5000 × 1.50 + 300 × 18.75 + 400 × 30
    assert assumed_price(asked) == Decimal("0.055125")


counts = st.integers(min_value=0, max_value=10_000_000)


@given(counts, counts, counts, counts, counts)
def test_a_price_is_never_negative_and_what_is_assumed_never_less(
    a: int, b: int, c: int, d: int, e: int
) -> None:
    asked = usage("claude-sonnet-5", Tokens(a, b, c, d, e))
    known = price(asked)
    assert known is not None
    assert known >= 0
    assert assumed_price(usage("unknown", asked.tokens)) >= known
