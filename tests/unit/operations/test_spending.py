"""Money: counted once, summed right, refused at the door."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from core.domain.money import Dimension, MessageUsage, Price, Tokens, to_micro
from core.domain.rules import Budget, Rules
from core.operations import projects, spending
from core.operations.runs import RunRef
from core.ports.agents import LimitReport, RefusalReason
from core.store.tables import AgentProcess, JournalEntry, Project, Run, UsageEntry, UsageTotal
from core.views import budgets
from tests.unit.operations.build import GIVEN_UP, NOW, RULES, UPSTREAM, Site, task

CENT = Price(Decimal("0.01"), Decimal("0.01"))


def process_of(site: Site, run: RunRef) -> int:
    query = select(AgentProcess.id).order_by(AgentProcess.id.desc()).limit(1)
    number = site.db.ask(lambda tx: tx.scalars(query).one())
    site.db.do(lambda tx: setattr(tx.get_one(AgentProcess, number), "pid", 1000 + run.id))
    return number


def message(name: str, output: int = 20, model: str = "claude-sonnet") -> MessageUsage:
    return MessageUsage(name, model, model, Tokens(10, output, 5, 3, 1))


def book(
    site: Site, process: int, usage: MessageUsage, usd: str | None = "0.01", assumed: str = "0.01"
) -> bool:
    price = Price(Decimal(usd) if usd else None, Decimal(assumed))
    return site.db.do(
        spending.book, process, f"h-{process}", usage, lambda _: price, RULES, now=NOW
    )


def total(site: Site, dimension: Dimension, key: object) -> UsageTotal | None:
    return site.db.ask(lambda tx: tx.get(UsageTotal, (site.project, dimension, str(key))))


def test_a_message_counts_once_per_process(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = site.begin(number=1)
    process = process_of(site, run)
    assert [book(site, process, message("m1")) for _ in range(3)] == [True, False, False]
    assert book(site, process, message("m2"))
    whole = total(site, Dimension.PROJECT, site.project)
    assert whole is not None
    assert (whole.messages, whole.micro_usd) == (2, 20_000)


COLUMNS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")


def _sums(tx: Session, column: Any) -> Sequence[Row[*tuple[Any, ...]]]:
    """The rows summed by the database itself."""
    return tx.execute(
        select(
            column,
            func.count(),
            func.sum(UsageEntry.assumed_micro_usd),
            func.coalesce(func.sum(UsageEntry.micro_usd), 0),
            func.count() - func.count(UsageEntry.micro_usd),
            *(func.sum(getattr(UsageEntry, name)) for name in COLUMNS),
        ).group_by(column)
    ).all()


def test_the_sums_are_the_sums_of_the_rows(site: Site) -> None:
    dice = Random(5)
    site.build({"a": (task("1"), task("2")), "b": (task("3"),)})
    for _round in range(3):
        for number in (1, 3):
            run = site.begin(number=number, slot=number)
            process = process_of(site, run)
            for n in range(dice.randint(1, 5)):
                usd = dice.choice(["0.0000013", "0.01", None])
                book(site, process, message(f"m{n}", dice.randint(0, 99), dice.choice("ab")), usd)
            site.end(run, GIVEN_UP)
    for dimension, column in (
        (Dimension.PROJECT, UsageEntry.project_id), (Dimension.RUN, UsageEntry.run_id),
        (Dimension.TASK, UsageEntry.task_id), (Dimension.FEATURE, UsageEntry.feature_id),
        (Dimension.PHASE, UsageEntry.phase_id), (Dimension.MODEL, UsageEntry.model),
        (Dimension.KIND, UsageEntry.kind), (Dimension.DAY, func.date(UsageEntry.at)),
    ):  # fmt: skip
        sums = site.db.do(_sums, column)
        assert sums
        for key, *wanted in sums:
            row = total(site, dimension, key)
            assert row is not None, (dimension, key)
            assert [row.messages, row.assumed_micro_usd, row.micro_usd, row.unpriced_messages,
                    *(getattr(row, name) for name in COLUMNS)] == wanted  # fmt: skip
        counting = select(func.count()).where(UsageTotal.dimension == dimension)
        rows = site.db.do(Session.scalar, counting)
        assert rows == len(sums)


def test_a_model_without_a_price_counts_as_the_dearest(site: Site) -> None:
    site.build({"a": (task("1"),)})
    process = process_of(site, site.begin(number=1))
    book(site, process, message("m"), None, "20")
    whole = total(site, Dimension.PROJECT, site.project)
    assert whole is not None
    assert (whole.micro_usd, whole.assumed_micro_usd, whole.unpriced_messages) == (0, 20_000_000, 1)
    refusal = site.db.do(
        spending.admit, process, UPSTREAM, Rules(budget=Budget(run_usd=Decimal(99))), now=NOW
    )
    assert refusal is not None
    assert refusal.reason is RefusalReason.BUDGET


def test_a_message_that_was_under_way_when_its_run_ended_is_that_runs(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = site.begin(number=1)
    process = process_of(site, run)
    site.db.do(lambda tx: setattr(tx.get_one(Run, run.id), "pid", 1000 + run.id))
    site.end(run, GIVEN_UP)
    assert book(site, process, message("late"))
    assert total(site, Dimension.RUN, run.id) is not None


def admit(site: Site, process: int, rules: Rules = RULES, minutes: int = 0) -> RefusalReason | None:
    now = NOW + timedelta(minutes=minutes)
    refusal = site.db.do(spending.admit, process, UPSTREAM, rules, now=now)
    return refusal.reason if refusal else None


def test_the_door_is_open_to_a_run_at_work_with_money_left(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = site.begin(number=1)
    process = process_of(site, run)
    assert admit(site, process) is None
    assert admit(site, 999) is RefusalReason.NO_RUN
    site.end(run, GIVEN_UP)
    assert admit(site, process) is RefusalReason.NO_RUN


@pytest.mark.parametrize(
    ("rules", "budget"),
    [
        (RULES, Decimal("0.03")),
        (Rules(budget=Budget(run_usd=Decimal("0.03"))), Decimal(9)),
        (Rules(budget=Budget(day_usd=Decimal("0.03"))), Decimal(9)),
        (Rules(budget=Budget(month_usd=Decimal("0.03"))), Decimal(9)),
    ],
)
def test_each_budget_closes_the_door_at_the_cent(site: Site, rules: Rules, budget: Decimal) -> None:
    site.build({"a": (task("1"),)})
    site.db.do(projects.set_budget, site.project, budget)
    run = site.begin(number=1)
    process = process_of(site, run)
    for n in range(3):
        assert admit(site, process, rules) is None
        book(site, process, message(f"m{n}"))
    assert admit(site, process, rules) is RefusalReason.BUDGET
    own = rules.budget.run_usd == Decimal("0.03")
    assert site.db.do(spending.run_spent_out, run.id, rules) == own
    site.db.do(projects.set_budget, site.project, Decimal(99))
    assert (admit(site, process, RULES)) is None


def test_the_day_begins_anew_at_midnight(site: Site) -> None:
    site.build({"a": (task("1"),)})
    rules = Rules(budget=Budget(day_usd=Decimal("0.01")))
    process = process_of(site, site.begin(number=1))
    book(site, process, message("m"))
    assert admit(site, process, rules) is RefusalReason.BUDGET
    assert admit(site, process, rules, minutes=12 * 60) is None


def test_a_month_holds_across_its_days_and_begins_anew(site: Site) -> None:
    site.build({"a": (task("1"),)})
    rules = Rules(budget=Budget(month_usd=Decimal("0.02")))
    process = process_of(site, site.begin(number=1))
    book(site, process, message("m1"))
    tomorrow = 24 * 60
    assert admit(site, process, rules, minutes=tomorrow) is None
    site.db.do(spending.book, process, f"p{process}", message("m2"), lambda _: CENT,
               RULES, now=NOW + timedelta(days=1))  # fmt: skip
    assert admit(site, process, rules, minutes=20 * tomorrow) is RefusalReason.BUDGET
    assert admit(site, process, rules, minutes=22 * tomorrow) is None, "it is April"
    project = site.db.ask(lambda tx: tx.get_one(Project, site.project))
    spent = site.db.do(budgets.exhausted, project, rules, now=NOW)
    assert spent is not None
    assert spent.until == datetime(2027, 4, 1, tzinfo=UTC)


def test_a_budget_of_a_projects_own_counts_what_it_spends_alone(site: Site) -> None:
    site.build({"a": (task("1"),)})
    process = process_of(site, site.begin(number=1))
    today = NOW.date().isoformat()
    other = site.db.do(
        projects.create, name="other", spec_digest="", practice=True, budget=Decimal(9),
        actor="x", now=NOW,
    )  # fmt: skip
    site.db.do(
        lambda tx: tx.add(
            UsageTotal(project_id=other.id, dimension=Dimension.DAY, key=today,
                       assumed_micro_usd=5_000_000)
        )
    )  # fmt: skip
    rules = Rules(budget=Budget(day_usd=Decimal(1)))
    assert admit(site, process, rules) is RefusalReason.BUDGET
    assert admit(site, process, replace(rules, own=frozenset({"day_usd"}))) is None


def test_a_days_budget_warns_once_at_each_mark(site: Site) -> None:
    site.build({"a": (task("1"),)})
    process = process_of(site, site.begin(number=1))
    rules = Rules(budget=Budget(day_usd=Decimal("0.10")))
    for n in range(12):
        site.db.do(spending.book, process, f"p{process}", message(f"m{n}"), lambda _: CENT,
                   rules=rules, now=NOW)  # fmt: skip
    rows = site.db.ask(
        lambda tx: tx.scalars(
            select(JournalEntry).where(JournalEntry.category == "budget").order_by(JournalEntry.id)
        ).all()
    )
    assert [row.text for row in rows] == [
        "This service has spent 50 % of today's budget.",
        "This service has spent 80 % of today's budget.",
        "This service has spent today's budget.",
    ]
    assert {row.data["scope"] for row in rows} == {"day"}


def limited(site: Site, process: int, minutes: int = 0, **headers: str) -> timedelta:
    now = NOW + timedelta(minutes=minutes)
    report = LimitReport(429, {k.replace("_", "-"): v for k, v in headers.items()}, "slow down")
    return site.db.do(spending.limited, UPSTREAM, process, report, now=now) - now


def test_one_limit_closes_the_door_for_all_until_its_end(site: Site) -> None:
    site.build({"a": (task("1"),), "b": (task("2"),)})
    one = process_of(site, site.begin(number=1))
    other = process_of(site, site.begin(number=2, slot=2))
    assert limited(site, one, retry_after="120") == timedelta(minutes=2)
    assert limited(site, other, retry_after="999", minutes=1) == timedelta(minutes=1)
    assert admit(site, other) is RefusalReason.WINDOW
    assert admit(site, other, minutes=2) is None
    assert site.db.do(spending.consecutive_limits, UPSTREAM) == 1
    assert site.look().window_until == NOW + timedelta(minutes=2)


def test_limits_in_a_row_wait_longer_until_an_answer(site: Site) -> None:
    site.build({"a": (task("1"),)})
    process = process_of(site, site.begin(number=1))
    waits = [limited(site, process, minutes=n * 100).total_seconds() for n in range(4)]
    assert waits == [15, 30, 60, 120]
    site.db.do(spending.unlimited, UPSTREAM, now=NOW)
    assert limited(site, process, minutes=900).total_seconds() == 15
    for _ in range(2):
        site.db.do(spending.unlimited, "elsewhere", now=NOW)


def test_warnings_come_once_each_and_the_end_of_the_budget_too(site: Site) -> None:
    site.build({"a": (task("1"),)})
    site.db.do(projects.set_budget, site.project, Decimal("0.20"))
    process = process_of(site, site.begin(number=1))
    for n in range(25):
        book(site, process, message(f"m{n}"))
    told = site.db.ask(
        lambda tx: [e.text for e in tx.scalars(select(JournalEntry)) if e.category == "budget"]
    )
    assert told == [
        "Todo has spent 50 % of its budget.", "Todo has spent 80 % of its budget.",
        "Todo has spent 95 % of its budget.", "Todo has spent its budget.",
    ]  # fmt: skip


def test_what_runs_at_work_will_cost_is_reserved_before_another_begins(site: Site) -> None:
    site.build({"a": (task("1"), task("2")), "b": (task("3"),)})
    first = site.begin(number=1)
    book(site, process_of(site, first), message("m"), "1", "1")
    site.end(first, GIVEN_UP)
    site.db.do(projects.set_budget, site.project, Decimal("1.9"))
    assert site.look().budget_left, "nothing is reserved yet"
    second = site.begin(number=2)
    assert not site.look().budget_left, "the median of a run, 1 $, is more than is left"
    site.end(second, GIVEN_UP)
    assert site.look().budget_left
    site.db.do(projects.set_budget, site.project, Decimal(1))
    assert not site.look().budget_left
    assert to_micro(Decimal(1)) == 1_000_000
