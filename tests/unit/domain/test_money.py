"""Money is counted exactly and never too low."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.domain.money import Tokens, to_micro, to_usd

USD = st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 10**12)
TOKENS = st.builds(Tokens, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)


@given(USD)
def test_micro_dollars_are_rounded_up_by_less_than_one(usd: Decimal) -> None:
    micro = to_micro(usd)
    assert to_usd(micro) >= usd
    assert micro == 0 or to_usd(micro - 1) < usd


@given(st.integers(0, 10**15))
def test_micro_dollars_survive_the_way_there_and_back(micro: int) -> None:
    assert to_micro(to_usd(micro)) == micro


@given(USD, USD)
def test_a_dearer_price_never_becomes_cheaper(one: Decimal, other: Decimal) -> None:
    assert (one <= other) <= (to_micro(one) <= to_micro(other))


@given(TOKENS, TOKENS)
def test_tokens_add_up_kind_by_kind(one: Tokens, other: Tokens) -> None:
    both = one + other
    assert both == other + one
    assert both.total == one.total + other.total
    assert both.cache_read == one.cache_read + other.cache_read
    assert one + Tokens() == one
