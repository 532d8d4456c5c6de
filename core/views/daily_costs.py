"""What each day (UTC) cost at list price, by model; of one project or of all."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.money import to_usd
from core.store.tables import Project, UsageEntry


def daily_costs(
    tx: Session, project_id: int | None, since: date, until: date
) -> Mapping[date, Mapping[str, Decimal]]:
    """Of the days on which something was spent."""
    whose = select(Project.id) if project_id is None else (project_id,)
    day = func.date(UsageEntry.at)
    rows = tx.execute(
        select(day, UsageEntry.model, func.sum(UsageEntry.micro_usd))
        .where(
            UsageEntry.project_id.in_(whose),
            UsageEntry.at >= datetime.combine(since, time(), UTC),
            UsageEntry.at < datetime.combine(until, time(), UTC) + timedelta(days=1),
        )
        .group_by(day, UsageEntry.model)
        .order_by(day, UsageEntry.model)
    )
    found: dict[date, dict[str, Decimal]] = {}
    for at, model, micro in rows:
        if micro:
            found.setdefault(date.fromisoformat(str(at)), {})[model] = to_usd(micro)
    return found
