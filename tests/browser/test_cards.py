"""What a card leads to, by keyboard: its links, commands, times, forms and tables."""

from pathlib import Path

import pytest

from tests.browser.conftest import Open
from tests.browser.test_pages import fits, tab_to, violations
from tests.contract.card_parts import house_of_cards
from tests.stories.service import House

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return house_of_cards(tmp_path_factory.mktemp("cards") / "home")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark"), (320, "light")])
def test_a_card_is_walked_by_keyboard(visit: Open, width: int, scheme: str) -> None:
    page = visit(width=width, scheme=scheme)
    page.locator("#connection", has_text="Live").wait_for()
    assert violations(page) == []
    assert fits(page)
    tab_to(page, '[data-card="plan:todo-api:1"]')
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.key") == "plan:todo-api:1"
    assert page.url.endswith("/c/main")
    tab_to(page, "[data-fill='/autocoder cost month']")
    page.keyboard.press("Enter")
    assert page.locator("#say-main").input_value() == "/autocoder cost month"
    assert page.evaluate("document.activeElement.id") == "say-main"
    row = page.locator(".table").get_by_role("row").nth(1)
    assert row.get_by_role("rowheader").inner_text() == "Mon 9 March"
    assert row.get_by_role("cell").last.inner_text() == "$5.70"


def test_times_are_the_readers(visit: Open) -> None:
    page = visit()
    moment = page.locator("#log time[data-clock]").first
    assert moment.get_attribute("datetime") == "2027-03-10T23:30:00+00:00"
    for zone, day in (("Asia/Tokyo", "Thu 11 March"), ("America/New_York", "Wed 10 March")):
        there = page.context.browser.new_context(
            timezone_id=zone, storage_state=page.context.storage_state()
        )
        other = there.new_page()
        other.goto(page.url)
        other.locator("#log time[data-clock]", has_text=day).wait_for()
        assert day.split()[1] in other.locator("#log .day").first.inner_text()
        there.close()


def test_a_question_is_asked_before_a_press_and_nothing_is_sent_without_it(visit: Open) -> None:
    page = visit()
    sent: list[str] = []
    page.on("request", lambda r: sent.append(r.post_data) if "presses" in r.url else None)
    tab_to(page, '[data-press="stop:project:1"]')
    page.keyboard.press("Enter")
    page.locator("#form[open]", has_text="Stop todo-api?").wait_for()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("#form[open]").wait_for(state="detached")
    assert sent == []
    page.keyboard.press("Enter")
    tab_to(page, "#form-send", most=3)
    page.keyboard.press("Enter")
    page.locator("#log .outcome:not(:empty)").wait_for()
    assert len(sent) == 1


def test_a_form_proposes_a_name(visit: Open) -> None:
    page = visit()
    tab_to(page, '[data-press="start_project:words:1"]')
    page.keyboard.press("Enter")
    assert page.get_by_label("Its name").input_value() == "todo"
    assert page.evaluate("document.activeElement.name") == "name"


def test_all_of_a_text_is_saved(visit: Open, tmp_path: Path) -> None:
    page = visit()
    tab_to(page, 'a[download="plan.md"]')
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    download.value.save_as(tmp_path / "plan.md")
    assert (tmp_path / "plan.md").read_text().startswith("# The plan")
