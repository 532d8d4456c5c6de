"""What was used, message by message and summed up; and what waits for what."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from core.domain.money import Price
from core.domain.rules import Rules
from core.operations import spending
from core.views import graph, usage
from core.views.json import plain
from core.views.usage import Days, Span
from tests.unit.operations.build import NOW, Site, task
from tests.unit.operations.test_spending import message, process_of

CENT = Price(Decimal("0.01"), Decimal("0.01"))
UNKNOWN = Price(None, Decimal("0.05"))


def spent(site: Site, *times: datetime, price: Price = CENT) -> None:
    process = process_of(site, site.begin(number=1))
    for number, at in enumerate(times):
        site.db.do(
            spending.book,
            process,
            f"h-{process}",
            message(f"m{number}"),
            lambda _: price,
            Rules(),
            now=at,
        )


def test_every_message_is_told_with_what_it_was_for(site: Site) -> None:
    site.build({"a": (task("1"),)})
    spent(site, NOW, price=UNKNOWN)
    (line,) = site.db.ask(lambda tx: usage.history(tx, site.project, limit=10)).items
    assert (line.message_id, line.project, line.task_id, line.cost_usd) == ("m0", "Todo", 1, None)
    found = site.db.ask(lambda tx: usage.usage(tx, None))
    assert (found.project, found.messages, found.unpriced_messages) == (None, 1, 1)
    assert set(found.by_task) == {"todo/1"}
    assert set(site.db.ask(lambda tx: usage.usage(tx, site.project)).by_task) == {"1"}
    assert site.db.ask(lambda tx: usage.usage(tx, site.project, fine=False)).by_task == {}


def test_days_are_whole_and_both_included(site: Site) -> None:
    site.build({"a": (task("1"),)})
    midnight = NOW.replace(hour=0)
    spent(
        site,
        midnight - timedelta(microseconds=1),
        midnight,
        midnight + timedelta(days=1, microseconds=-1),
        midnight + timedelta(days=1),
    )

    def told(since: date | None, until: date | None) -> list[str]:
        days = Days(since, until)
        page = site.db.ask(lambda tx: usage.history(tx, site.project, days, limit=10))
        return [line.message_id for line in page.items]

    today = NOW.date()
    assert told(today, today) == ["m1", "m2"]
    assert told(today, None) == ["m1", "m2", "m3"]
    assert told(None, today) == ["m0", "m1", "m2"]
    assert told(today + timedelta(days=2), None) == []


def test_hours_and_days_are_summed_up_in_parts(site: Site) -> None:
    site.build({"a": (task("1"),)})
    spent(site, NOW, NOW + timedelta(minutes=59), NOW + timedelta(hours=2), NOW + timedelta(days=1))
    first = site.db.ask(lambda tx: usage.history_by(tx, None, Span.HOUR, limit=2))
    assert [(line.at.isoformat(), line.messages, line.cost_usd) for line in first.items] == [
        ("2027-03-10T12:00:00+00:00", 2, Decimal("0.02")),
        ("2027-03-10T14:00:00+00:00", 1, Decimal("0.01")),
    ]
    assert first.next is not None
    after = first.next
    rest = site.db.ask(lambda tx: usage.history_by(tx, None, Span.HOUR, after=after, limit=2))
    assert ([line.messages for line in rest.items], rest.next) == ([1], None)
    days = site.db.ask(lambda tx: usage.history_by(tx, site.project, Span.DAY, limit=9)).items
    assert [line.messages for line in days] == [3, 1]
    assert days[0].at.isoformat() == "2027-03-10T00:00:00+00:00"
    assert days[0].tokens.output == 60


def test_an_edge_leads_from_what_comes_first(site: Site) -> None:
    site.build({"a": (task("1"), task("2", "1"))})
    found = plain(graph.Graph, site.db.ask(lambda tx: graph.graph(tx, site.project)))
    assert [node["id"].partition(":")[0] for node in found["nodes"]] == ["feature", "task", "task"]
    assert found["edges"] == [{"from": "task:1", "to": "task:2"}]
