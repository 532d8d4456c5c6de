"""What it cost, and what it may cost."""

from datetime import UTC, date, timedelta
from decimal import Decimal, InvalidOperation

from sqlalchemy.orm import Session

from bot.cards import daily, formatting, forms, labels
from bot.cards.rendering import bold, said
from bot.commands.command import Call, MissingValues, Reply
from bot.commands.replies import lines
from core.domain.cards import Field, Picture, TableBlock
from core.domain.money import Dimension, to_micro, to_usd
from core.domain.people import Role
from core.domain.rules import Rules
from core.errors import InputError, NotAllowed
from core.operations import project_overrides
from core.views import budgets, costs, projects
from core.views.costs import By, Costs
from core.views.projects import ProjectRef

_LISTED = 12
_MOST = Decimal(1_000_000)
SCOPES = ("project", "run", "day", "month")
SPANS = {"today": 1, **daily.SPANS}
BREAKDOWNS = (By.MODEL, By.FEATURE, By.TASK, By.AGENT)
_HEADINGS = {None: "In all", "today": "Today", "week": "Last 7 days", "month": "Last 30 days"}


def cost(tx: Session, call: Call) -> Reply:
    """What was spent: in all, or on the last days; by model, feature and so on."""
    span, project = call.values.get("span"), call.project
    since = (call.now.date() - timedelta(days=SPANS[span] - 1)) if span else None
    by = By(call.values["by"]) if "by" in call.values else _usual(project, span)
    number = project.id if project else None
    found = costs.costs(tx, project_id=number, since=since, by=by, limit=_LISTED)
    where = f" on {project.name}" if project else ""
    free = "; the practice model costs nothing" if call.services.practice else ""
    unpriced = formatting.count(found.unpriced_messages, "message")
    return Reply(
        title=f"{_HEADINGS[span]}: {formatting.usd(found.cost_usd)}{where}",
        body=lines(
            f"{formatting.count(found.messages, 'message')}, {formatting.tokens(found.tokens)} tokens,"
            f" at list price{free}",
            f"{labels.WAITS} {unpriced} without a known price" if found.unpriced_messages else "",
            _models(tx, number) if by is By.FEATURE and span is None else "",
        ),
        fields=_budget_fields(tx, project),
        table=_table(found, by),
        pictures=_chart(tx, call, span),
        project=project,
    )


def _usual(project: ProjectRef | None, span: str | None) -> By:
    if project is None:
        return By.PROJECT
    return By.DAY if span else By.FEATURE


def _models(tx: Session, project_id: int | None) -> str:
    found = costs.costs(tx, project_id=project_id, since=None, by=By.MODEL, limit=_LISTED).shares
    listed = ", ".join(f"{said(each.name, 60)} {formatting.usd(each.cost_usd)}" for each in found)
    return f"{bold('By model')} {listed}" if listed else ""


_REST = {By.FEATURE: "Interview and plans", By.TASK: "No single task"}


def _table(found: Costs, by: By) -> TableBlock | None:
    rows = []
    for each in found.shares:
        name = _day(each.name) if by is By.DAY else each.name or _REST[by]
        figures = (formatting.count(each.messages), formatting.tokens(each.tokens))
        rows.append((formatting.one_line(name, 80), *figures, formatting.usd(each.cost_usd)))
    if found.more:
        left = found.cost_usd - sum((each.cost_usd for each in found.shares), Decimal(0))
        rows.append((formatting.count(found.more, f"more {by}"), "", "", formatting.usd(left)))
    if not rows:
        return None
    return TableBlock((by.capitalize(), "Messages", "Tokens", "Cost"), tuple(rows))


def _chart(tx: Session, call: Call, span: str | None) -> tuple[Picture, ...]:
    """The days; today alone is one figure."""
    if span == "today":
        return ()
    number = call.project.id if call.project else daily.ALL
    today = call.now.astimezone(UTC).date()
    found = daily.shown(tx, "week" if span == "week" else "month", number, today)
    return (found,) if found else ()


def _day(key: str) -> str:
    day = date.fromisoformat(key)
    return f"{day:%a} {day.day} {day:%B}"


def _budget_fields(tx: Session, project: ProjectRef | None) -> tuple[Field, ...]:
    if project is None:
        return ()
    spent, whole = _spent(tx, project.id)
    share = formatting.percent(spent, whole)
    return (Field("Budget", f"{formatting.usd(spent)} of {formatting.usd(whole)}, {share}"),)


def _spent(tx: Session, project_id: int) -> tuple[Decimal, Decimal]:
    """What a project's budget counts as spent, and the budget."""
    spent = budgets.total(tx, project_id, Dimension.PROJECT, str(project_id))
    return to_usd(spent), to_usd(projects.summary(tx, project_id).budget_micro_usd)


def budget(tx: Session, call: Call) -> Reply:
    """Show the budgets, or set one."""
    project = call.here
    scope = call.values.get("scope")
    if scope is None:
        return _budgets(tx, call)
    if not call.role.covers(Role.ADMIN):
        raise NotAllowed(f"Setting a budget wants the role admin; yours is {call.role!s}.")
    given = call.values.get("amount")
    if given is None:
        raise InputError("An amount is missing.", hint=f"`/autocoder budget {scope} 20`")
    if scope == "project":
        amount = dollars(given)
        project_overrides.set_budget(tx, project.id, amount, by=call.person, now=call.now)
        words_ = f"The budget of {project.name} is {formatting.usd(amount)} now"
    else:
        if given.lower() in ("none", "off", "default"):
            if scope == "run":
                raise InputError(
                    "A run has always a budget.", hint="For example `/autocoder budget run 5`"
                )
            value = None
        else:
            value = str(dollars(given))
        project_overrides.set_one(
            tx, project.id, f"{scope}_usd", value, by=call.person, now=call.now
        )
        shown = formatting.usd(Decimal(value)) if value else "the service's again"
        words_ = f"The {scope}'s budget of {project.name} is {shown} now"
    return Reply(title=words_, project=call.here, begun=project.id)


def _budgets(tx: Session, call: Call) -> Reply:
    rules = call.services.rules(tx, call.here.id)
    spent, whole = _spent(tx, call.here.id)
    return Reply(
        title=f"Budget of {call.here.name}: {formatting.usd(spent)} of {formatting.usd(whole)} spent",
        body="Set one: `/autocoder budget project 20`. A day and a month are counted in UTC.",
        table=TableBlock(
            ("Budget", "Spent", "Limit", "Share"),
            (
                (
                    "Project",
                    formatting.usd(spent),
                    formatting.usd(whole),
                    formatting.percent(spent, whole),
                ),
                (
                    "One run",
                    formatting.UNKNOWN,
                    formatting.usd(rules.budget.run_usd),
                    formatting.UNKNOWN,
                ),
                *(_span_row(tx, call, rules, name) for name in ("day", "month")),
            ),
        ),
        project=call.here,
    )


def _span_row(tx: Session, call: Call, rules: Rules, name: str) -> tuple[str, ...]:
    found = next(
        (s for s in budgets.spans(tx, call.here.id, rules, now=call.now) if s.name == name), None
    )
    heading = {"day": "Today", "month": "This month"}[name]
    if found is None:
        today = call.now.astimezone(UTC)
        since = today.replace(day=1) if name == "month" else today
        spent = to_usd(budgets.spent_in(tx, since, today + timedelta(days=1)))
        return f"{heading}, all projects", formatting.usd(spent), "none", formatting.UNKNOWN
    whose = "this project" if found.own else "all projects"
    spent, cap = to_usd(found.spent), to_usd(found.cap)
    return (
        f"{heading}, {whose}",
        formatting.usd(spent),
        formatting.usd(cap),
        formatting.percent(spent, cap),
    )


def raise_it(tx: Session, call: Call, project_id: int, given: str) -> Reply:
    """`Raise budget`: more than it is now, and the project goes on."""
    try:
        amount = dollars(given)
    except InputError as problem:
        raise MissingValues(str(problem), forms.AMOUNT) from None
    project = projects.summary(tx, project_id)
    now_ = to_usd(project.budget_micro_usd)
    if amount <= now_:
        raise MissingValues(
            f"The budget of {project.name} is {formatting.usd(now_)} already; give more.",
            forms.AMOUNT,
        )
    project_overrides.set_budget(tx, project.id, amount, by=call.person, now=call.now)
    return Reply(
        said=f"The budget of {project.name} is {formatting.usd(amount)} now.", begun=project.id
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
