"""`python -m tests.browser.pictures`: the pictures of docs/pictures/, from the running product."""

import tempfile
import time
from pathlib import Path
from typing import Any, Literal

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.scripted.process import ROOT
from tests.stories.service import Client, House

FOLDER = ROOT / "docs" / "pictures"
NAME = "todo-api"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def _open(client: Client, kind: str) -> dict[str, Any] | None:
    """The newest card of this kind that can be acted upon."""
    found = [m for m in client.messages() if m["card"] and m["card"]["kind"] == kind]
    return next((m for m in reversed(found) if m["card"]["buttons"]), None)


def _press(client: Client, message: dict[str, Any], word: str) -> None:
    button = next(b for b in message["card"]["buttons"] if b["action_id"].startswith(word))
    client.post(
        "/api/chat/presses",
        {"message_id": message["id"], "action_id": button["action_id"], "values": {}},
    )


def _until(client: Client, kind: str, then: str = "") -> dict[str, Any]:
    """Wait for a card of this kind to be open; the interview decides by itself meanwhile."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        found = _open(client, kind)
        if found:
            if then:
                _press(client, found, then)
            return found
        asked = _open(client, "question") if kind == "plan" else None
        if asked:
            _press(client, asked, "just_decide")
        time.sleep(0.2)
    raise TimeoutError(kind)


def main() -> None:
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        House(Path(folder) / "home").running() as service,
        sync_playwright() as driver,
    ):
        client = service.admin
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        client.say(f"/autocoder new {NAME}")

        def shoot(
            name: str, path: str, scheme: Literal["light", "dark"], size: dict[str, int]
        ) -> None:
            context = browser.new_context(
                viewport={"width": size["width"], "height": size["height"]},
                color_scheme=scheme,
                device_scale_factor=1 if size is WIDE else 1.5,
            )
            page = context.new_page()
            page.goto(f"{client.url}/?token={client.token}")
            page.goto(f"{client.url}{path}")
            page.locator("#connection", has_text="Live").wait_for()
            page.screenshot(path=FOLDER / f"{name}.png")
            context.close()

        _until(client, "plan", "approve")
        gate = _until(client, "gate")
        thread = gate["thread"]
        shoot("web-phone-gate", f"/c/main?thread={thread}", "light", PHONE)
        _press(client, gate, "approve")
        _until(client, "question")
        shoot("web-chat", f"/c/main?thread={thread}", "light", WIDE)
        shoot("web-chat-dark", f"/c/main?thread={thread}", "dark", WIDE)
        shoot("web-phone-dark", "/c/main", "dark", PHONE)
        browser.close()


if __name__ == "__main__":
    main()
