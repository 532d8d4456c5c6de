"""What was spent, day by day, as a picture: of a project, or of all."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import charts
from core.domain.cards import Picture
from core.domain.money import Dimension, to_usd
from core.store.tables import Project, UsageEntry, UsageTotal

ALL = 0  # in the place of a project's number: every project
SPANS = {"week": 7, "month": 30}
_LEAST = 7  # days that are drawn
_FORETELLS = 3  # days on which something was spent, before anything is foretold

Days = Mapping[date, Mapping[str, Decimal]]


def shown(tx: Session, sort: str, number: int, until: date) -> Picture | None:
    """The picture and its words: title, last value, highest, what a month will cost."""
    sums = _sums(tx, number, SPANS[sort], until)
    if not sums:
        return None
    highest = max(sums, key=lambda day: (sums[day], day))
    whole = sum(sums.values(), Decimal(0))
    begin = max(min(sums), until - timedelta(days=SPANS[sort] - 1))
    facts = [
        f"Cost by day, {_day(begin)} to {_day(until)}",
        f"last {wording.usd(sums.get(until, Decimal(0)))}",
        f"highest {wording.usd(sums[highest])} on {_day(highest)}",
        f"{wording.usd(whole)} in all",
    ]
    if len(sums) >= _FORETELLS:
        rate = whole / ((until - begin).days + 1)
        facts.append(f"at this rate about {wording.usd(30 * rate)} in 30 days")
    return Picture(f"/api/pictures/{sort}/{number}.svg?until={until}", ", ".join(facts))


def picture(tx: Session, sort: str, number: int, until: date, *, wide: bool) -> str | None:
    """The chart; None when there is no such project."""
    project = tx.get(Project, number) if number != ALL else None
    if project is None and number != ALL:
        return None
    days = _spent(tx, number, SPANS[sort], until)
    first = min([*days, until - timedelta(days=_LEAST - 1)])
    columns = [
        charts.Column(_day(day), days.get(day, {}))
        for day in (first + timedelta(days=n) for n in range((until - first).days + 1))
    ]
    whose = project.name if project else "all projects"
    return charts.days_svg(f"Cost of {whose} by day (UTC)", columns, wide=wide)


def _sums(tx: Session, number: int, days: int, until: date) -> dict[date, Decimal]:
    """What each day cost at list price, from what is summed up already: cards are drawn often."""
    rows = (
        select(UsageTotal.key, func.sum(UsageTotal.micro_usd))
        .where(
            UsageTotal.dimension == Dimension.DAY,
            UsageTotal.key >= (until - timedelta(days=days - 1)).isoformat(),
            UsageTotal.key <= until.isoformat(),
        )
        .group_by(UsageTotal.key)
    )
    if number != ALL:
        rows = rows.where(UsageTotal.project_id == number)
    return {date.fromisoformat(day): to_usd(micro) for day, micro in tx.execute(rows) if micro}


def _spent(tx: Session, number: int, days: int, until: date) -> Days:
    """List prices by day and model's family, of the days on which something was spent."""
    begin, end = until - timedelta(days=days - 1), until + timedelta(days=1)
    whose = (number,) if number != ALL else select(Project.id)
    day = func.date(UsageEntry.at)
    rows = tx.execute(
        select(day, UsageEntry.model, func.sum(UsageEntry.micro_usd))
        .where(
            UsageEntry.project_id.in_(whose),
            UsageEntry.at >= datetime.combine(begin, time(), UTC),
            UsageEntry.at < datetime.combine(end, time(), UTC),
        )
        .group_by(day, UsageEntry.model)
        .order_by(day, UsageEntry.model)
    )
    found: dict[date, dict[str, Decimal]] = {}
    for at, model, micro in rows:
        if micro:
            family = wording.model(model)
            spent = found.setdefault(date.fromisoformat(str(at)), {})
            spent[family] = spent.get(family, Decimal(0)) + to_usd(micro)
    return found


def _day(day: date) -> str:
    """`12 March`."""
    return f"{day.day} {day:%B}"
