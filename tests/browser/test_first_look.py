"""The first minute in a real browser: small enough for every run of the tests."""

import pytest

from tests.browser.conftest import Open
from tests.browser.test_pages import fits, say, tab_to, violations

pytestmark = pytest.mark.timeout(120)


def test_a_newcomer_knows_what_to_do(visit: Open) -> None:
    """An empty channel says how to begin; a wrong command says what was meant."""
    page = visit()
    page.locator("#connection", has_text="Live").wait_for()
    assert "Practice model" in page.locator(".notice").inner_text()
    assert "claude setup-token" in page.locator(".notice").inner_text()
    assert violations(page) == []
    tab_to(page, "[data-fill]")
    page.keyboard.press("Enter")
    assert page.locator("#say-main").input_value() == "/autocoder new todo-api"
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    say(page, "/autocoder statsu")
    page.locator("#log .private .kind-error", has_text="/autocoder status").wait_for()
    assert page.evaluate("document.activeElement.id") == "say-main"
    assert violations(page) == []
    page.set_viewport_size({"width": 320, "height": 640})
    assert fits(page)
