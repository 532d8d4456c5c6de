"""What is spent, and what still may be: budgets, their days and months, the account's limit."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from core.domain.money import Dimension, Exhausted, to_micro, to_usd
from core.domain.rules import Rules, TokenLimit
from core.store.tables import AccountWindow, Project, UsageTotal
from core.views.json import Usd


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """The service's own, in USD; a project may have others."""

    project_usd: Usd
    run_usd: Usd
    day_usd: Usd | None  # None: no limit
    month_usd: Usd | None


@dataclass(frozen=True)
class UsageSettings:
    usage: TokenLimit
    budget: Budgets


@dataclass(frozen=True)
class Span:
    """A day or a month and its budget, in micro-dollars."""

    name: str  # day, month
    words: str  # today's
    cap: int
    spent: int
    until: datetime
    own: bool  # the project's alone


def exhausted(tx: Session, project: Project, rules: Rules, *, now: datetime) -> Exhausted | None:
    """The budget that lets nothing more of a project through, if one is spent. `rules`: its own."""
    if total(tx, project.id, Dimension.PROJECT, str(project.id)) >= project.budget_micro_usd:
        budget = to_usd(project.budget_micro_usd)
        return Exhausted(f"The budget of {project.name}, ${budget:.2f}, is spent.", None)
    spent = [span for span in spans(tx, project.id, rules, now=now) if span.spent >= span.cap]
    if not spent:
        return None
    span = max(spent, key=lambda span: span.until)
    whose = f" of {project.name}" if span.own else ""
    return Exhausted(
        f"{span.words} budget{whose} (UTC), ${to_usd(span.cap):.2f}, is spent.", span.until
    )


def spans(tx: Session, project_id: int, rules: Rules, *, now: datetime) -> tuple[Span, ...]:
    """The day and the month as far as they have a budget."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today.replace(day=1)
    found = []
    for name, words, usd, since, until in (
        ("day", "Today's", rules.budget.day_usd, today, today + timedelta(days=1)),
        (
            "month",
            "This month's",
            rules.budget.month_usd,
            first,
            (first + timedelta(days=32)).replace(day=1),
        ),
    ):
        if usd is not None:
            own = f"{name}_usd" in rules.own
            spent = spent_in(tx, since, until, project_id if own else None)
            found.append(Span(name, words, to_micro(usd), spent, until, own))
    return tuple(found)


def spent_in(tx: Session, since: datetime, until: datetime, project_id: int | None = None) -> int:
    """Micro-dollars from this UTC day to before that one, of one project or of all."""
    query = select(func.sum(UsageTotal.assumed_micro_usd)).where(
        UsageTotal.dimension == Dimension.DAY,
        UsageTotal.key >= since.date().isoformat(),
        UsageTotal.key < until.date().isoformat(),
    )
    if project_id is not None:
        query = query.where(UsageTotal.project_id == project_id)
    return tx.scalar(query) or 0


def total(tx: Session, project_id: int, dimension: Dimension, key: str) -> int:
    """Micro-dollars that budgets count."""
    given = {"project": project_id, "dimension": dimension, "key": key}
    return tx.scalar(_TOTAL, given) or 0


_TOTAL = select(UsageTotal.assumed_micro_usd).where(
    UsageTotal.project_id == bindparam("project"),
    UsageTotal.dimension == bindparam("dimension"),
    UsageTotal.key == bindparam("key"),
)


def day_total(tx: Session, now: datetime) -> int:
    """Micro-dollars of all projects on this UTC day."""
    today = now.astimezone(UTC)
    return spent_in(tx, today, today + timedelta(days=1))


def window_until(tx: Session, upstream: str, now: datetime) -> datetime | None:
    """When the account's limit ends, or ended; a clock that was set back since says nothing of it."""
    window = tx.get(AccountWindow, upstream)
    return window.until if window is not None and window.changed_at <= now else None


def limit_ahead(tx: Session, upstream: str, now: datetime) -> datetime | None:
    """When the account's limit ends, if it has not."""
    until = window_until(tx, upstream, now)
    return until if until is not None and until > now else None


def limit_reason(tx: Session, upstream: str) -> str:
    """What the model's server said of the account's limit."""
    window = tx.get(AccountWindow, upstream)
    return window.reason if window else ""


def cost_of(tx: Session, project_id: int, dimension: Dimension, key: int) -> Decimal:
    """What a project, or one task, feature, phase or run of it cost at list price, in USD."""
    row = tx.get(UsageTotal, (project_id, dimension, str(key)))
    return to_usd(row.micro_usd) if row else Decimal(0)


def costs_by(tx: Session, project_id: int, dimension: Dimension) -> dict[str, Decimal]:
    """What a project cost by model, day, feature …: the dearest first."""
    rows = tx.execute(
        select(UsageTotal.key, UsageTotal.micro_usd)
        .where(UsageTotal.project_id == project_id, UsageTotal.dimension == dimension)
        .order_by(UsageTotal.micro_usd.desc(), UsageTotal.key)
    )
    return {key: to_usd(micro_usd) for key, micro_usd in rows}


def cost_of_project(tx: Session, project_id: int) -> Decimal:
    """The same of all of it."""
    return cost_of(tx, project_id, Dimension.PROJECT, project_id)
