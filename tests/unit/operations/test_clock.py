"""A wall clock that was set back an hour, or ahead a day: nothing waits for it, nothing is lost."""

from datetime import datetime, timedelta

from sqlalchemy import select

from core.domain.cards import Card
from core.domain.events import CardKind
from core.domain.order import StartRun
from core.domain.orders import next_orders
from core.domain.rules import Rules
from core.operations import outbox, spending
from core.ports.agents import LimitReport
from core.ports.chat import Place
from core.store.tables import AgentProcess
from tests.unit.operations.build import DIED, NOW, UPSTREAM, Site, task

BACK = NOW - timedelta(hours=1)
RULES = Rules()


def _starts(site: Site, now: datetime) -> bool:
    return any(isinstance(order, StartRun) for order in next_orders(site.look(now=now)))


def test_a_task_that_waits_after_accidents_is_not_held_up(site: Site) -> None:
    site.build({"a": (task("1"),)})
    for _ in range(3):
        site.end(site.begin(number=1), DIED)
    waits = site.task(1).not_before
    assert waits is not None
    assert not _starts(site, waits - timedelta(seconds=1))
    assert _starts(site, waits)
    assert _starts(site, BACK)
    assert _starts(site, NOW + timedelta(days=1))


def test_a_limit_of_a_clock_that_was_set_back_is_asked_about_again(site: Site) -> None:
    site.build({"a": (task("1"),)})
    site.begin(number=1)
    process = site.db.ask(lambda tx: tx.scalars(select(AgentProcess.id)).all()[-1])
    report = LimitReport(429, {"retry-after": "60"}, "slow down")
    site.db.do(spending.limited, UPSTREAM, process, report, now=NOW)

    def refused(now: datetime) -> bool:
        return site.db.do(spending.admit, process, UPSTREAM, RULES, now=now) is not None

    assert refused(NOW + timedelta(seconds=59))
    assert not refused(NOW + timedelta(seconds=61))
    assert not refused(BACK)
    assert site.db.do(spending.limited, UPSTREAM, process, report, now=BACK) == BACK + timedelta(
        minutes=1
    )
    assert refused(BACK + timedelta(seconds=1))


def test_a_card_is_edited_though_its_last_edit_lies_ahead(site: Site) -> None:
    place, second = Place("web", "main"), timedelta(seconds=1)
    card = Card(key="k", kind=CardKind.ANSWER, title="T", body="B", fallback="T")
    site.db.do(outbox.say, place, card, now=NOW)

    def due(now: datetime) -> int:
        return len(site.db.do(outbox.due, "web", now=now))

    assert due(NOW) == 1
    site.db.do(outbox.delivered, 1, 1, "7", not_before=NOW + second, now=NOW)
    site.db.do(outbox.resay, place, card, now=NOW)
    assert (due(NOW), due(NOW + second), due(BACK)) == (0, 1, 1)
    site.db.do(outbox.failed, 1, "away", retry_at=NOW + 60 * second, now=NOW)
    assert (due(NOW), due(NOW + 60 * second), due(BACK)) == (0, 1, 1)
