"""What was spent, day by day, as a picture: of a project, or of all."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from bot.cards import charts, formatting
from core.domain.cards import Picture
from core.views import daily_costs, projects

ALL = 0  # in the place of a project's number: every project
SPANS = {"week": 7, "month": 30}
_LEAST = 7  # days that are drawn
_FORETELLS = 3  # days on which something was spent, before anything is foretold


def shown(tx: Session, sort: str, number: int, until: date) -> Picture | None:
    """The picture and its words: title, last value, highest, by model, what a month will cost."""
    days = _spent(tx, sort, number, until)
    if not days:
        return None
    sums = {day: sum(models.values(), Decimal(0)) for day, models in days.items()}
    highest = max(sums, key=lambda day: (sums[day], day))
    whole = sum(sums.values(), Decimal(0))
    facts = [
        f"{charts.BY_DAY}, {_day(_first(days, until))} to {_day(until)}",
        f"last {formatting.usd(sums.get(until, Decimal(0)))}",
        f"highest {formatting.usd(sums[highest])} on {_day(highest)}",
        f"{formatting.usd(whole)} in all",
        *(f"{name} {formatting.usd(usd)}" for name, usd in charts.by_model(days.values()).items()),
    ]
    if len(sums) >= _FORETELLS:
        rate = whole / ((until - min(sums)).days + 1)
        facts.append(f"at this rate about {formatting.usd(30 * rate)} in 30 days")
    return Picture(f"/api/pictures/{sort}/{number}.svg?until={until}", ", ".join(facts))


def picture(tx: Session, sort: str, number: int, until: date, *, wide: bool) -> str | None:
    """The chart; None when there is no such project."""
    project = projects.by_id(tx, number) if number != ALL else None
    if project is None and number != ALL:
        return None
    days = _spent(tx, sort, number, until)
    first = _first(days, until)
    columns = [
        charts.Column(_day(day), days.get(day, {}))
        for day in (first + timedelta(days=n) for n in range((until - first).days + 1))
    ]
    whose = project.name if project else "all projects"
    return charts.days_svg(f"Cost of {whose} by day (UTC)", columns, wide=wide)


def _first(days: Collection[date], until: date) -> date:
    """The first day that is drawn."""
    return min([*days, until - timedelta(days=_LEAST - 1)])


def _spent(
    tx: Session, sort: str, number: int, until: date
) -> Mapping[date, Mapping[str, Decimal]]:
    """By day and family of models."""
    since = until - timedelta(days=SPANS[sort] - 1)
    found = daily_costs.daily_costs(tx, number or None, since, until)
    return {day: _families(models) for day, models in found.items()}


def _families(models: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    found: dict[str, Decimal] = {}
    for model, usd in models.items():
        family = formatting.model(model)
        found[family] = found.get(family, Decimal(0)) + usd
    return found


def _day(day: date) -> str:
    """`12 March`."""
    return f"{day.day} {day:%B}"
