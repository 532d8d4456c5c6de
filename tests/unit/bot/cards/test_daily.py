"""What was spent by day, as a picture: its columns are its sums, whatever models are called."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.cards import charts, daily, pictures
from core.domain.agents import AgentKind
from core.domain.money import Dimension
from core.store.tables import UsageEntry, UsageTotal
from tests.unit.bot.cards import stage
from tests.unit.bot.cards.stage import NOW

SVG = "{http://www.w3.org/2000/svg}"
TODAY = NOW.date()


def spend(tx: Session, project: int, at: datetime, model: str, usd: str | None) -> None:
    number = (tx.scalar(select(func.max(UsageEntry.id))) or 0) + 1
    run = stage.run(tx, project, AgentKind.PLANNER)
    micro = None if usd is None else int(Decimal(usd) * 1_000_000)
    tx.add(
        UsageEntry(
            process_id="p", message_id=str(number), project_id=project, run_id=run.id,
            kind=AgentKind.PLANNER, model=model, input=1, output=1, cache_read=0,
            cache_write_5m=0, cache_write_1h=0, micro_usd=micro, assumed_micro_usd=micro or 9,
            at=at,
        )
    )  # fmt: skip
    day = (project, Dimension.DAY, at.date().isoformat())
    total = tx.get(UsageTotal, day) or UsageTotal(
        project_id=project, dimension=Dimension.DAY, key=day[2], micro_usd=0
    )
    total.micro_usd += micro or 0
    tx.add(total)
    tx.flush()


def days_before(days: float) -> datetime:
    return NOW - timedelta(days=days)


def drawn(tx: Session, sort: str, number: int, until: date = TODAY, *, wide: bool = False) -> str:
    svg = pictures.draw(tx, sort, number, until=until, wide=wide)
    assert svg is not None
    return svg


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def pieces(svg: str, look: str) -> list[tuple[float, float]]:
    """From the left: where each piece of this colour stands, and how high it is; no legend."""
    return [
        (float(each.get("x", "")), float(each.get("height", "")))
        for each in ElementTree.fromstring(svg).iter(f"{SVG}rect")
        if each.get("class") == look and each.get("rx") is None
    ]


def test_a_column_per_day_a_piece_per_model_and_their_sums(tx: Session) -> None:
    project = stage.begin(tx)
    spend(tx, project, days_before(2), "claude-opus-4-1", "2.00")
    spend(tx, project, days_before(2), "opus", "1.00")
    spend(tx, project, days_before(2), "sonnet", "1.50")
    spend(tx, project, NOW, "sonnet", "0.50")
    spend(tx, project, NOW, "unpriced", None)
    svg = drawn(tx, "month", project)
    assert {"Opus $3.00", "Sonnet $2.00", "$5.00", "$2.50"} <= set(texts(svg))
    assert texts(svg)[:2] == ["Cost by day (UTC)", "$5.00"]
    [(first, high)] = pieces(svg, "opus")
    (below, middle), (last, low) = pieces(svg, "sonnet")
    assert first == below < last
    assert [round(each + 1) for each in (high, middle, low)] == [67, 34, 11]  # of 112 for $5.00
    assert {"6 March", "12 March"} <= set(texts(svg)), "a week at least"


def test_a_week_and_a_month_end_where_they_are_asked_to(tx: Session) -> None:
    project = stage.begin(tx)
    for days in (0, 6, 7, 29, 30):
        spend(tx, project, days_before(days), "haiku", "1.00")
    assert len(pieces(drawn(tx, "week", project), "haiku")) == 2
    assert len(pieces(drawn(tx, "month", project), "haiku")) == 4
    assert len(pieces(drawn(tx, "month", project, TODAY - timedelta(days=1)), "haiku")) == 4
    assert len(pieces(drawn(tx, "month", project, TODAY - timedelta(days=200)), "haiku")) == 0


def test_all_projects_together_or_one_of_them(tx: Session) -> None:
    one, other = stage.begin(tx), stage.begin(tx, "other")
    spend(tx, one, NOW, "opus", "1.00")
    spend(tx, other, NOW, "opus", "2.00")
    assert "Opus $3.00" in texts(drawn(tx, "month", daily.ALL))
    assert "Opus $2.00" in texts(drawn(tx, "month", other))
    assert pictures.draw(tx, "month", 99, until=TODAY) is None


def test_its_words_are_its_last_value_its_highest_and_what_a_month_will_cost(tx: Session) -> None:
    project = stage.begin(tx)
    assert daily.shown(tx, "month", project, TODAY) is None, "nothing was spent"
    spend(tx, project, days_before(4), "opus", "3.00")
    spend(tx, project, days_before(1), "sonnet", "1.00")
    picture = daily.shown(tx, "week", project, TODAY)
    assert picture is not None
    assert picture.url == f"/api/pictures/week/{project}.svg?until=2026-03-12"
    assert picture.alt == (
        "Cost by day (UTC), 6 March to 12 March, last $0.00, highest $3.00 on 8 March, $4.00 in all,"
        " Opus $3.00, Sonnet $1.00"
    )
    assert {"Cost by day (UTC)", "6 March", "12 March"} <= set(texts(drawn(tx, "week", project)))
    spend(tx, project, NOW, "sonnet", "1.00")
    picture = daily.shown(tx, "month", daily.ALL, TODAY)
    assert picture is not None
    assert picture.alt.endswith("last $1.00, highest $3.00 on 8 March, $5.00 in all,"
                                " Opus $3.00, Sonnet $2.00, at this rate about $30.00 in 30 days")  # fmt: skip


def test_models_of_any_name_are_words(tx: Session) -> None:
    project = stage.begin(tx)
    spend(tx, project, NOW, '</text><script>"', "1.00")
    svg = drawn(tx, "month", project)
    assert "<script" not in svg
    assert '</text><script>" $1.00' in texts(svg)
    assert len(pieces(svg, "bar")) == 1


@pytest.mark.parametrize("usd", ["0.000001", "0.02", "0.03", "1", "999.99", "1234567.89"])
def test_no_column_stands_above_the_scale_nor_a_label_beside_the_picture(usd: str) -> None:
    columns = [charts.Column("1 March", {"Opus": Decimal(usd)})]
    for wide in (False, True):
        svg = charts.days_svg("Cost", columns, wide=wide)
        [(x, high)] = pieces(svg, "opus")
        assert 0 < high <= 112
        marks = [
            each for each in ElementTree.fromstring(svg).iter(f"{SVG}text")
            if "end" in each.get("class", "") and float(each.get("x", "")) < x
        ]  # fmt: skip
        assert len(marks) == 2
        assert all(float(m.get("x", "")) >= 6 * len(m.text or "") for m in marks)


def test_light_and_dark_and_wide(tx: Session) -> None:
    project = stage.begin(tx)
    svg = drawn(tx, "month", project)
    assert "prefers-color-scheme:dark" in svg
    assert ElementTree.fromstring(svg).get("width") == "336"
    assert ElementTree.fromstring(drawn(tx, "month", project, wide=True)).get("width") == "640"
