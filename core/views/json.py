"""How values are written as JSON, everywhere the same.

A view's dataclass is its JSON: field by field, in the names of the reference. What only we need
is `Hidden`. Money is a decimal string in USD, a moment ISO 8601 in UTC that ends in `Z`.
"""

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import Field, PlainSerializer, TypeAdapter

T = TypeVar("T")


def usd(amount: Decimal) -> str:
    return f"{amount:f}"  # never an exponent


def utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


Usd = Annotated[Decimal, PlainSerializer(usd, return_type=str)]
Utc = Annotated[datetime, PlainSerializer(utc, return_type=str)]
Hidden = Annotated[T, Field(exclude=True)]


def encode(kind: Any, value: object) -> bytes:
    """The JSON of a value of this type, which may be generic."""
    return _adapter(kind).dump_json(value, by_alias=True)


def plain(kind: Any, value: object) -> Any:
    """The same as lists, dicts and texts."""
    return _adapter(kind).dump_python(value, mode="json", by_alias=True)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
