"""A service with the practice model, and Debian's chromium before it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.stories.service import House, Running

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
Open = Callable[..., Any]
PATIENCE_S = 240  # a host may be busy; what hangs ends by the test's own limit


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Not for the session: playwright holds the thread's event loop, which later tests want."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("browser") / "home")


@pytest.fixture(scope="module")
def service(house: House) -> Iterator[Running]:
    running = house.start()
    try:
        running.wait_ready(PATIENCE_S)
        yield running
    finally:
        running.stop()


@pytest.fixture
def visit(chromium: Any, service: Running) -> Iterator[Open]:
    """Open a page as somebody; whatever it complains of in its console fails the test."""
    complaints: list[str] = []

    with ExitStack() as stack:

        def open_page(
            path: str = "/c/main",
            *,
            width: int = 1440,
            scheme: str = "light",
            token: str | None = None,
        ) -> Any:
            context = chromium.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme
            )
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(120_000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "console",
                lambda line: (
                    complaints.append(line.text) if "Content Security" in line.text else None
                ),
            )
            page.goto(f"{service.admin.url}{path}?token={token or service.admin.token}")
            return page

        yield open_page
    assert complaints == []
