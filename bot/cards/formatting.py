"""How numbers, times and other people's words are written, everywhere the same."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from core.domain import counting
from core.domain.redaction import clean

UNKNOWN = "–"


def is_blank(text: str) -> bool:
    """Whether there is nothing in it to be read."""
    return not any(char.isprintable() and not char.isspace() for char in text)


def one_line(text: str, limit: int = 200) -> str:
    """The same on one line of at most `limit` characters."""
    return cut(" ".join(clean(text).split()), limit)


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def usd(amount: Decimal) -> str:
    """`$5.70`; above nothing and below a cent `<$0.01`."""
    if 0 < amount < Decimal("0.01"):
        return "<$0.01"
    return f"${amount:,.2f}"


def usd_range(low: Decimal, high: Decimal) -> str:
    """`$6.10–9.40`, `$6.10` where both are the same."""
    return usd(high) if f"{low:.2f}" == f"{high:.2f}" else f"${low:,.2f}–{high:,.2f}"


def percent(part: Decimal | int, whole: Decimal | int) -> str:
    """`64 %`, or unknown without a whole; 100 only when it is all."""
    if whole <= 0:
        return UNKNOWN
    value = round(100 * part / whole)
    return f"{min(value, 99) if part < whole else value} %"


def count(number: int, noun: str = "") -> str:
    """`1,284`, or `1 task` and `3 tasks`."""
    return counting.count(number, noun) if noun else f"{number:,}"


def numbered(noun: str, numbers: Sequence[int], most: int = 6) -> str:
    """`task 3`, `tasks 3 and 4`, `tasks 3, 4 and 2 more`."""
    listed = [str(number) for number in numbers[:most]]
    if more := len(numbers) - len(listed):
        listed.append(f"{more} more")
    *first, last = listed
    ends = f"{', '.join(first)} and {last}" if first else last
    return f"{noun if len(numbers) == 1 else f'{noun}s'} {ends}"


def tokens(number: int) -> str:
    """`812`, `212 k`, `28.4 M`."""
    if number < 1_000:
        return str(number)
    if number < 999_500:
        return f"{number / 1_000:.0f} k"
    return f"{number / 1_000_000:.1f} M"


def duration(seconds: float) -> str:
    """`3.1 s`, `41 s`, `12 min`, `1 h 52 min`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def forecast(time: timedelta) -> str:
    """The same in whole units, for what is only foretold."""
    seconds = time.total_seconds()
    return f"{max(round(seconds), 1)} s" if seconds < 9.95 else duration(seconds)


def minutes_range(low: int, high: int) -> str:
    """`20–70 min`, `3–5 h`, `1 min` where both are the same."""
    unit = "min"
    if high >= 120:
        low, high, unit = max(round(low / 60), 1), round(high / 60), "h"
    return f"{high} {unit}" if low == high else f"{low}–{high} {unit}"


def clock(moment: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """`12:30` today, `Thu 10:48` within a week, else `Wed 11 March`; zone None is the host's."""
    there, here = moment.astimezone(zone), now.astimezone(zone)
    days = abs((there.date() - here.date()).days)
    if days == 0:
        return f"{there:%H:%M}"
    if days < 7:
        return f"{there:%a %H:%M}"
    return f"{there:%a} {there.day} {there:%B}"


def commit(name: str) -> str:
    return name[:7]


FAMILIES = ("opus", "sonnet", "haiku")  # of Claude's models, the largest first


def model(name: str) -> str:
    """`Opus` for `opus` and `claude-opus-4-1`; another name as it is."""
    for family in FAMILIES:
        if family in name.lower():
            return family.capitalize()
    return one_line(name, 30)
