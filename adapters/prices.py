"""List prices of the model server's messages, known offline (genai-prices).

Fact (genai-prices 0.2): its `input_tokens` holds cache reads and writes too, its
`cache_write_tokens` those of both lifetimes; long-context tiers are its own business.
"""

from decimal import Decimal
from functools import cache

from genai_prices import Usage, calc_price
from genai_prices.data import providers
from genai_prices.types import ModelPrice

from core.domain.money import MessageUsage

_PROVIDER = "anthropic"
# Nobody asks for the prices of the others, which weigh some megabytes.
providers[:] = [provider for provider in providers if provider.id == _PROVIDER]


def price(usage: MessageUsage) -> Decimal | None:
    """USD at the list price of the model that the answer named; None for an unknown model."""
    return _price(usage, usage.model)


def assumed_price(usage: MessageUsage) -> Decimal:
    """USD to hold against a budget: the list price, for an unknown model the dearest Claude's."""
    known = price(usage)
    if known is not None:
        return known
    return max((_price(usage, model) or Decimal(0) for model in _models()), default=Decimal(0))


def _price(usage: MessageUsage, model: str) -> Decimal | None:
    tokens = usage.tokens
    written = tokens.cache_write_5m + tokens.cache_write_1h
    counted = Usage(
        input_tokens=tokens.input + tokens.cache_read + written,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=written,
        cache_write_5m_tokens=tokens.cache_write_5m,
        cache_write_1h_tokens=tokens.cache_write_1h,
        web_searches=usage.web_searches,
    )
    try:
        return calc_price(counted, model, provider_id=_PROVIDER).total_price
    except LookupError:
        return None


@cache
def _models() -> tuple[str, ...]:
    """Claude models that cache; older ones would be charged for reads as for input."""
    return tuple(
        model.id
        for provider in providers
        for model in provider.models
        if not isinstance(model.prices, ModelPrice) or model.prices.cache_read_mtok is not None
    )
