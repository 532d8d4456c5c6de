"""What it cost, and what it may cost."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from decimal import Decimal, InvalidOperation

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import daily, forms, words
from bot.cards.frame import bold, said
from bot.commands.replies import lines
from bot.commands.spec import Call, MissingValues, Reply
from core.domain.cards import Field, Picture
from core.domain.lifecycle import ProjectStatus
from core.domain.money import Dimension, to_micro, to_usd
from core.domain.people import Role
from core.errors import InputError, NotAllowed, StalePress
from core.operations import own_settings
from core.store.tables import Feature, Project, UsageTotal
from core.views import budgets
from core.views.projects import ProjectRef

_LISTED = 8
_MOST = Decimal(1_000_000)
SCOPES = ("project", "run", "day", "month")
SPANS = {"today": 1, **daily.SPANS}


def cost(tx: Session, call: Call) -> Reply:
    """What was spent: in all, or on the last days; by model, feature and project."""
    span = call.values.get("span")
    since = (call.now.date() - timedelta(days=SPANS[span] - 1)) if span else None
    heading = {"today": "Today", "week": "Last 7 days", "month": "Last 30 days"}.get(
        span or "", "In all"
    )
    project = call.project
    days = select(UsageTotal).where(UsageTotal.dimension == Dimension.DAY)
    if project is not None:
        days = days.where(UsageTotal.project_id == project.id)
    if since is not None:
        days = days.where(UsageTotal.key >= since.isoformat())
    rows = tx.scalars(days).all()
    micro = sum(row.micro_usd for row in rows)
    messages = sum(row.messages for row in rows)
    unpriced = sum(row.unpriced_messages for row in rows)
    tokens = sum(
        row.input + row.output + row.cache_read + row.cache_write_5m + row.cache_write_1h
        for row in rows
    )
    where = f" on {project.name}" if project else ""
    note = (
        ", at list price; the practice model costs nothing"
        if call.desk.practice
        else ", at list price"
    )
    return Reply(
        title=f"{heading}: {wording.usd(to_usd(micro))}{where}",
        body=lines(
            f"{wording.count(messages, 'message')}, {wording.tokens(tokens)} tokens{note}",
            f"{words.WAITS} {wording.count(unpriced, 'message')} without a known price"
            if unpriced
            else "",
            *_by(tx, rows, project, whole=since is None),
        ),
        fields=_budget_fields(tx, project),
        pictures=_chart(tx, call, span),
        project=project,
    )


def _chart(tx: Session, call: Call, span: str | None) -> tuple[Picture, ...]:
    """The days; today alone is one figure."""
    if span == "today":
        return ()
    number = call.project.id if call.project else daily.ALL
    today = call.now.astimezone(UTC).date()
    found = daily.shown(tx, "week" if span == "week" else "month", number, today)
    return (found,) if found else ()


def _by(
    tx: Session, rows: Sequence[UsageTotal], project: ProjectRef | None, *, whole: bool
) -> list[str]:
    if project is None:
        sums: dict[int, int] = {}
        for row in rows:
            sums[row.project_id] = sums.get(row.project_id, 0) + row.micro_usd
        top = sorted(sums.items(), key=lambda pair: -pair[1])[:_LISTED]
        found = [(tx.get_one(Project, key).name, micro) for key, micro in top]
        return [f"- {said(name, 64)} {wording.usd(to_usd(micro))}" for name, micro in found]
    if not whole:
        ordered = sorted(rows, key=lambda row: row.key)
        return [f"- {_day(row.key)} {wording.usd(to_usd(row.micro_usd))}" for row in ordered]
    models = _sums(tx, project.id, Dimension.MODEL)
    features = _sums(tx, project.id, Dimension.FEATURE)
    spent = sum(row.micro_usd for row in models)
    body = [bold("By model")] if models else []
    body += [_sum(row.key, row.micro_usd) for row in models[:_LISTED]]
    body += [bold("By feature")] if features else []
    for row in features[:_LISTED]:
        feature = tx.get(Feature, int(row.key))
        body.append(_sum(feature.name if feature else row.key, row.micro_usd))
    if more := features[_LISTED:]:
        left = sum(row.micro_usd for row in more)
        body.append(_sum(wording.count(len(more), "more feature"), left))
    rest = spent - sum(row.micro_usd for row in features)
    if features and rest > 0:
        body.append(_sum("Interview and plans", rest))
    return body


def _sums(tx: Session, project_id: int, dimension: Dimension) -> Sequence[UsageTotal]:
    """What a project cost by one measure, the dearest first."""
    return tx.scalars(
        select(UsageTotal)
        .where(UsageTotal.project_id == project_id, UsageTotal.dimension == dimension)
        .order_by(UsageTotal.micro_usd.desc())
    ).all()


def _sum(name: str, micro_usd: int) -> str:
    return f"- {said(name, 80)} {wording.usd(to_usd(micro_usd))}"


def _day(key: str) -> str:
    day = date.fromisoformat(key)
    return f"{day:%a} {day.day} {day:%B}"


def _budget_fields(tx: Session, project: ProjectRef | None) -> tuple[Field, ...]:
    if project is None:
        return ()
    row = tx.get_one(Project, project.id)
    spent = budgets.total(tx, project.id, Dimension.PROJECT, str(project.id))
    budget = to_usd(row.budget_micro_usd)
    share = wording.percent(to_usd(spent), budget)
    return (Field("Budget", f"{wording.usd(to_usd(spent))} of {wording.usd(budget)}, {share}"),)


def budget(tx: Session, call: Call) -> Reply:
    """Show the budgets, or set one."""
    project = tx.get_one(Project, call.here.id)
    scope = call.values.get("scope")
    if scope is None:
        return _budgets(tx, call, project)
    if not call.role.covers(Role.ADMIN):
        raise NotAllowed(f"Setting a budget wants the role admin; yours is {call.role!s}.")
    given = call.values.get("amount")
    if given is None:
        raise InputError("An amount is missing.", hint=f"`/autocoder budget {scope} 20`")
    if scope == "project":
        amount = dollars(given)
        own_settings.set_budget(tx, project.id, amount, by=call.person, now=call.now)
        words_ = f"The budget of {project.name} is {wording.usd(amount)} now"
    else:
        if given.lower() in ("none", "off", "default"):
            if scope == "run":
                raise InputError(
                    "A run has always a budget.", hint="For example `/autocoder budget run 5`"
                )
            value = None
        else:
            value = str(dollars(given))
        own_settings.set_one(tx, project.id, f"{scope}_usd", value, by=call.person, now=call.now)
        shown = wording.usd(Decimal(value)) if value else "the service's again"
        words_ = f"The {scope}'s budget of {project.name} is {shown} now"
    return Reply(title=words_, project=call.here, begun=project.id)


def _budgets(tx: Session, call: Call, project: Project) -> Reply:
    rules = call.desk.rules(tx, project.id)
    spent = to_usd(budgets.total(tx, project.id, Dimension.PROJECT, str(project.id)))
    whole = to_usd(project.budget_micro_usd)
    return Reply(
        title=f"Budget of {project.name}: {wording.usd(spent)} of {wording.usd(whole)} spent",
        body=lines(
            f"- Project {wording.usd(whole)}, {wording.percent(spent, whole)} spent",
            f"- One run {wording.usd(rules.caps.run_usd)}",
            *(_span_line(tx, call, project, name) for name in ("day", "month")),
            "Set one: `/autocoder budget project 20`",
        ),
        project=call.here,
    )


def _span_line(tx: Session, call: Call, project: Project, name: str) -> str:
    caps = call.desk.rules(tx, project.id).caps
    found = next(
        (s for s in budgets.spans(tx, project.id, caps, now=call.now) if s.name == name), None
    )
    heading = {"day": "Today", "month": "This month"}[name]
    if found is None:
        today = call.now.astimezone(UTC)
        since = today.replace(day=1) if name == "month" else today
        spent = to_usd(budgets.spent_in(tx, since, today + timedelta(days=1)))
        return f"- {heading}, all projects: {wording.usd(spent)}, no limit"
    whose = "this project alone" if found.own else "all projects"
    spent, cap = to_usd(found.spent), to_usd(found.cap)
    return (
        f"- {heading}, {whose}: {wording.usd(spent)} of {wording.usd(cap)},"
        f" {wording.percent(spent, cap)} spent"
    )


def raise_it(tx: Session, call: Call, project: Project, given: str) -> Reply:
    """`Raise budget`: more than it is now, and the project goes on."""
    try:
        amount = dollars(given)
    except InputError as problem:
        raise MissingValues(str(problem), forms.AMOUNT) from None
    now_ = to_usd(project.budget_micro_usd)
    if project.status is ProjectStatus.ARCHIVED:
        raise StalePress(f"{project.name} is archived; nothing was changed.")
    if amount <= now_:
        raise MissingValues(
            f"The budget of {project.name} is {wording.usd(now_)} already; give more.", forms.AMOUNT
        )
    own_settings.set_budget(tx, project.id, amount, by=call.person, now=call.now)
    return Reply(
        said=f"The budget of {project.name} is {wording.usd(amount)} now.", begun=project.id
    )


def dollars(text: str) -> Decimal:
    """`12`, `$12.50`; above nothing, at most a million."""
    plain = text.strip().removeprefix("$").removesuffix("USD").strip().replace(",", "")
    try:
        amount = Decimal(plain) if plain.isascii() else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 < amount <= _MOST:
        raise InputError(
            f"{text[:40]!r} is no amount of USD.",
            hint="For example 12 or 12.50, at most 1,000,000.",
        )
    cents = amount.quantize(Decimal("0.000001"))
    if to_micro(cents) <= 0:
        raise InputError(f"{text[:40]!r} is less than can be counted.")
    return Decimal(f"{cents.normalize():f}")
