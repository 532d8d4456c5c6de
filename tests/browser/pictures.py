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


def _press(client: Client, message: dict[str, Any], word: str, **values: str) -> None:
    button = next(b for b in message["card"]["buttons"] if b["action_id"].startswith(word))
    client.post(
        "/api/chat/presses",
        {
            "message_id": message["id"],
            "action_id": button["action_id"],
            "values": {name: [words] for name, words in values.items()},
        },
    )


def _until(client: Client, kind: str, *, title: str = "") -> dict[str, Any]:
    """Wait for a card of this kind to be open; the interview decides by itself meanwhile."""
    deadline = time.monotonic() + 1_200
    answered: set[int] = set()
    while time.monotonic() < deadline:
        found = _open(client, kind)
        if found and title in found["card"]["title"]:
            return found
        asked = _open(client, "question")
        wanted = kind == "question" and asked and title in asked["card"]["title"]
        interview = asked and "Question" in asked["card"]["title"]
        if asked and interview and not wanted and asked["id"] not in answered:
            answered.add(asked["id"])
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
            name: str,
            path: str,
            scheme: Literal["light", "dark"],
            size: dict[str, int],
            card: str = "",
        ) -> None:
            """The window, or a card in it; a tall window, so that the card is whole."""
            high = 2400 if card else size["height"]
            context = browser.new_context(
                viewport={"width": size["width"], "height": high},
                color_scheme=scheme,
                device_scale_factor=1 if size is WIDE and not card else 1.5,
            )
            page = context.new_page()
            page.goto(f"{client.url}/?token={client.token}")
            page.goto(f"{client.url}{path}")
            page.locator("#connection", has_text="Live").wait_for()
            page.wait_for_function("() => [...document.images].every((each) => each.complete)")
            shown = page.locator(card).last if card else page
            shown.screenshot(path=FOLDER / f"{name}.png")
            context.close()

        question = _until(client, "question", title="features")
        thread = f"/c/main?thread={question['thread']}"
        shoot("web-question", thread, "light", PHONE)
        _press(client, question, "just_decide")
        plan = _until(client, "plan")
        shoot("web-plan", thread, "light", WIDE, "#thread .kind-plan")
        _press(client, plan, "approve")
        gate = _until(client, "gate")
        shoot("web-phone-gate", thread, "light", PHONE)
        shoot("web-gate", thread, "dark", WIDE, "#thread .kind-gate")
        _press(client, gate, "approve")
        asked = _until(client, "question", title="asks")
        shoot("web-chat", thread, "light", WIDE)
        shoot("web-chat-dark", thread, "dark", WIDE)
        shoot("web-phone-dark", "/c/main", "dark", PHONE)
        stuck = _until(client, "stuck")
        shoot("web-stuck", thread, "light", WIDE, "#thread .kind-stuck")
        shoot("web-progress", "/c/main", "light", WIDE, "#log .kind-progress")
        _press(client, asked, "answer:question")
        _press(client, stuck, "guide", hint="Keep the day on which the series began.")
        _press(client, _until(client, "gate", title="phase 2"), "approve")
        _until(client, "report")
        shoot("web-report", thread, "light", WIDE, "#thread .kind-report")
        browser.close()


if __name__ == "__main__":
    main()
