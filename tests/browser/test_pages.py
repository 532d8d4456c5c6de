"""The web chat in a real browser: by keyboard alone, live, and clean to axe."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Open
from tests.stories.service import House, Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SIZES = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# The kind of the first card in the thread that can be acted upon, or of the report.
WAITING = """() => document.querySelector("#thread .kind-report") ? "report"
  : ["question", "plan", "gate", "stuck"].find((kind) =>
    document.querySelector(`#thread .kind-${kind} [data-press]:not([aria-disabled])`))"""
FOCUS_IN = """id => document.activeElement.closest(".message")?.dataset.id === id
  || document.querySelector("#form[open]") !== null"""


def violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, options={"runOnly": RULES}).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:150]}" for each in found]


def fits(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def tab_to(page: Any, what: str, most: int = 120) -> None:
    """Tab until the element with the focus is the one that is wanted."""
    for _ in range(most):
        if page.evaluate("what => document.activeElement.matches(what)", what):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {what}")


def comes(locator: Any) -> bool:
    """Whether it is there to be seen, before patience ends (which says what was awaited)."""
    locator.first.wait_for()
    return True


def say(page: Any, text: str) -> None:
    page.locator("#say-main").focus()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def leaves_reject(page: Any, button: str) -> None:
    """A rejection asks for its reason first; Esc leaves it, and nothing is rejected."""
    tab_to(page, button)
    page.keyboard.press("Enter")
    page.locator("#form[open] textarea[required]").wait_for()
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("#form[open]").wait_for(state="detached")
    assert page.evaluate("what => document.activeElement.matches(what)", button)


def test_a_stranger_is_asked_to_sign_in(chromium: Any, service: Running) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{service.admin.url}/")
    assert violations(page) == []
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_text("not valid").wait_for()
    page.get_by_label("Token").fill(service.admin.token)
    page.keyboard.press("Enter")
    page.locator("#say-main").wait_for()
    assert "token" not in page.url
    [cookie] = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    context.close()


def with_reason(page: Any, button: str, words: str) -> None:
    """A press that asks for words: they are typed, and sent by the form's own button."""
    tab_to(page, button)
    page.keyboard.press("Enter")
    page.locator("#form[open] textarea").wait_for()
    page.keyboard.type(words)
    tab_to(page, "#form-send", most=3)
    page.keyboard.press("Enter")
    page.locator("#form[open]").wait_for(state="detached")


def keeps_the_focus_while_it_changes(page: Any, card: str) -> None:
    """The live card is edited under the focused button, which is focused still."""
    page.locator(f'{card} [data-press^="details"]').focus()
    page.evaluate("document.activeElement.closest('.message').dataset.mine = 'old'")
    page.locator("[data-mine]").wait_for(state="detached")
    pressed = page.evaluate("document.activeElement.dataset.press || ''")
    assert pressed.startswith("details:project"), pressed


WORDS = {  # what is typed where a press asks for it
    "plan": "Say how the data is backed up.",
    "gate": "The list must say clearly when it is empty.",
    "stuck": "Keep the day on which the series began.",
}
ANSWERS = '[data-press^="just_decide"], [data-press^="answer:question"]'


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_the_journey_by_keyboard(visit: Open, width: int, scheme: str) -> None:
    """All of it, a plan and a gate sent back among it; no pointer is moved, axe finds nothing."""
    page = visit(width=width, scheme=scheme)
    page.locator("#content").wait_for()
    name = f"todo-{width}-{scheme}"
    say(page, f"/autocoder new {name}")
    page.locator("#log .kind-interview", has_text=name).wait_for()
    replies = page.locator(
        "#log .message", has=page.locator(".kind-interview", has_text=name)
    ).locator(".replies a")
    replies.wait_for()
    replies.focus()
    page.keyboard.press("Enter")
    page.locator("#thread").wait_for()
    assert page.title().endswith(f"{name} · # main · autocoder")
    seen: list[str] = []
    for _ in range(60):
        kind = page.wait_for_function(WAITING, timeout=120_000).json_value()
        if kind not in seen:
            assert violations(page) == []
            assert fits(page)
        seen.append(kind)
        if kind == "report":
            break
        card = f"#thread .kind-{kind}:has([data-press])"
        message = page.locator(f"#thread .message:has(.kind-{kind} [data-press])").first
        number = message.get_attribute("data-id")
        page.locator("#thread-title").focus()
        first = seen.count(kind) == 1
        if kind == "question":
            button = page.locator(f"{card} :is({ANSWERS})").first
            action = button.get_attribute("data-press")
            if re.fullmatch(r"answer:question:\d+", action):  # of a coder, with no choices
                tab_to(page, f"{card} :is(textarea, input, select)")
                page.keyboard.type("Decide what is simplest.")
            tab_to(page, f'{card} [data-press="{action}"]')
            page.keyboard.press("Enter")
        elif kind == "stuck":
            action = page.locator(f'{card} [data-press^="guide"]').get_attribute("data-press")
            with_reason(page, f'{card} [data-press="{action}"]', WORDS[kind])
        else:
            if first and kind == "plan":
                leaves_reject(page, f'{card} [data-press^="reject"]')
                page.locator("#thread-title").focus()
            chosen = "reject" if first else "approve"
            button = page.locator(f'{card} [data-press^="{chosen}"]').first
            action = button.get_attribute("data-press")
            if first:
                with_reason(page, f'{card} [data-press="{action}"]', WORDS[kind])
            else:
                tab_to(page, f'{card} [data-press="{action}"]')
                page.keyboard.press("Enter")
        page.locator(f'#thread [data-press="{action}"]').first.wait_for(state="detached")
        assert page.evaluate(FOCUS_IN, number), f"the focus is lost after {action}"
        if kind == "plan" and not first and width > 1100:
            live = page.locator("#log .message", has=page.locator(".kind-progress", has_text=name))
            live.wait_for()
            keeps_the_focus_while_it_changes(page, f"#log #{live.get_attribute('id')}")
    assert [kind for n, kind in enumerate(seen) if kind not in seen[:n]] == [
        "question",
        "plan",
        "gate",
        "stuck",
        "report",
    ]
    assert seen.count("plan") == 2
    assert seen.count("gate") == 3  # of two phases, the first of them sent back
    said = page.locator("#thread").inner_text()
    for words in ("Changed since plan 1", "Rejected by", "failed check", "Guided by"):
        assert words in said
    page.keyboard.press("Escape")
    page.locator("#thread").wait_for(state="detached")
    assert page.title().startswith("# main") or "# main" in page.title()
    assert page.locator("#log .kind-progress", has_text=name).count() == 1
    assert violations(page) == []
    for command in ("spec", "diff 1"):
        say(page, f"/autocoder {command} {name}")
    assert comes(page.locator("#log .card strong", has_text="Decided in the interview"))
    assert comes(page.locator("#log pre.verbatim .added"))
    assert violations(page) == []
    assert fits(page)


def test_what_is_new_below_is_marked(visit: Open, service: Running) -> None:
    """Whoever reads further up stays there, and is told."""
    talker = service.member("talker", "viewer")  # to whom alone it is said what became of it
    for number in range(40):
        talker.say(f"line {number}", channel="long")
    page = visit("/c/long")
    page.locator("#connection", has_text="Live").wait_for()
    page.evaluate("document.querySelector('main .scroll').scrollTop = 0")
    talker.say("something new", channel="long")
    button = page.locator("main .news [data-newest]")
    button.wait_for()
    assert page.evaluate("document.querySelector('main .scroll').scrollTop") == 0
    assert violations(page) == []
    page.locator("#say-main").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    button.wait_for(state="hidden")
    assert "something new" in page.evaluate("document.activeElement.innerText")


def test_an_error_is_for_whoever_made_it(visit: Open, service: Running) -> None:
    page = visit()
    say(page, "/autocoder nwe thing")
    page.locator("#log .private .kind-error").last.wait_for()
    assert "Only you see this" in page.locator("#log .private").last.inner_text()
    other = visit(token=service.member("ann", "viewer").token)
    other.locator("#content").wait_for()
    assert other.locator("#log .kind-error").count() == 0


def test_on_a_phone_the_menu_opens_and_closes(visit: Open) -> None:
    page = visit(width=390)
    tab_to(page, "#open-menu")
    page.keyboard.press("Enter")
    assert comes(page.locator("#rail.open"))
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("#rail.open").wait_for(state="detached")
    assert page.evaluate("document.activeElement.id") == "open-menu"


def test_commands_complete_and_the_palette_opens(visit: Open) -> None:
    page = visit()
    page.locator("#say-main").focus()
    page.keyboard.type("/stat")
    page.get_by_role("option", name="status").wait_for()
    assert violations(page) == []
    page.keyboard.press("Enter")
    assert page.locator("#say-main").input_value() == "/autocoder status"
    page.keyboard.press("Control+k")
    page.locator("#palette[open]").wait_for()
    page.keyboard.type("no such thing")
    page.get_by_role("option", name="Search").wait_for()
    assert violations(page) == []
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=no%20such%20thing")


def test_what_people_write_is_words(visit: Open) -> None:
    page = visit("/c/words")
    evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>**b** [a](/b)'
    say(page, evil)
    page.locator("#log .text").last.wait_for()
    assert page.locator("#log .text").last.inner_text() == evil
    assert page.locator("#log img, #log script").count() == 0


def test_what_is_typed_while_a_message_is_on_its_way_is_the_next_one(visit: Open) -> None:
    page = visit("/c/quick")
    page.locator("#content").wait_for()

    def late(route: Any) -> None:
        time.sleep(0.5)
        route.continue_()

    page.route("**/api/chat/quick/messages", late)
    for words in ("first words", "second words"):
        say(page, words)
    page.keyboard.type("third")
    page.locator("#log .text", has_text="second words").wait_for()
    assert page.locator("#log .text").all_inner_texts() == ["first words", "second words"]
    assert page.locator("#say-main").input_value() == "third"
    page.unroute("**/api/chat/quick/messages")
    held: list[Any] = []
    page.route("**/api/chat/quick/messages", lambda route: held.append(route))
    page.keyboard.press("Enter")
    say(page, "fourth")
    for route in held:
        route.abort()
    page.locator("main .problem").wait_for()
    assert page.locator("#say-main").input_value() == "third\nfourth"
    page.unroute("**/api/chat/quick/messages")
    page.keyboard.press("Enter")
    page.locator("#log .text", has_text="fourth").wait_for()
    assert page.locator("#log .text").count() == 3


def test_files_are_picked_and_sent(visit: Open, tmp_path: Path) -> None:
    page = visit("/c/words")
    note = tmp_path / "note.txt"
    note.write_text("x")
    page.locator("main input[type=file]").set_input_files(note)
    page.locator(".chips", has_text="note.txt").wait_for()
    say(page, "look at this")
    assert comes(page.locator("#log .files a", has_text="note.txt"))


GIVE = """([what, where]) => {
  const data = new DataTransfer();
  data.items.add(new File(["x"], `${what}.png`, { type: "image/png" }));
  const event = what === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
  document.querySelector(where).dispatchEvent(event);
}"""


@pytest.mark.parametrize(("what", "where"), [("paste", "#say-main"), ("drop", "main .scroll")])
def test_pictures_are_pasted_and_dropped(visit: Open, what: str, where: str) -> None:
    page = visit("/c/words")
    page.evaluate(GIVE, [what, where])
    page.locator(".chips", has_text=f"{what}.png").wait_for()
    tab_to(page, f".chips [aria-label='Remove {what}.png']")
    page.keyboard.press("Enter")
    page.locator(".chips li").wait_for(state="detached")
    assert page.evaluate("document.activeElement.id") == "say-main"


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_a_dropped_picture_is_seen(
    visit: Open, tmp_path: Path, service: Running, width: int, scheme: str
) -> None:
    page = visit(f"/c/seen-{width}", width=width, scheme=scheme)
    shot = tmp_path / "shot.png"
    page.screenshot(path=shot)
    page.locator("main input[type=file]").set_input_files(shot)
    page.locator(".chips", has_text="shot.png").wait_for()
    say(page, "this page")
    picture = page.locator("#log .files img[alt='shot.png']")
    assert comes(picture)
    page.wait_for_function("document.querySelector('#log .files img').naturalWidth > 300")
    assert violations(page) == []
    assert fits(page)


def test_two_tabs_share_one_stream(visit: Open, service: Running) -> None:
    page = visit("/c/tabs")
    other = page.context.new_page()
    other.goto(page.url)
    for each in (page, other):
        each.locator("#connection", has_text="Live").wait_for()
    service.admin.say("to both", channel="tabs")
    for each in (page, other):
        assert comes(each.locator("#log .text", has_text="to both"))
    page.close()
    service.admin.say("to the one that is left", channel="tabs")
    assert comes(other.locator("#log .text", has_text="to the one that is left"))


@pytest.mark.parametrize("path", ["/waiting", "/usage", "/search", "/c/empty", "/nothing-here"])
def test_other_pages_are_clean(visit: Open, path: str) -> None:
    for width, scheme in SIZES:
        page = visit(path, width=width, scheme=scheme)
        assert violations(page) == []
        assert fits(page)
    narrow = visit(path, width=320)
    assert fits(narrow)


def test_it_reconnects_by_itself_and_says_so(visit: Open, house: House, service: Running) -> None:
    """Last: the service is stopped and started again under the page."""
    page = visit("/c/again")
    page.locator("#connection", has_text="Live").wait_for()
    port = str(service.where["port"])
    service.stop()
    page.locator("#connection", has_text="Reconnecting since").wait_for()
    with house.running(AUTOCODER_PORT=port) as again:
        again.admin.say("said meanwhile", channel="again")
        assert comes(page.locator("#log .text", has_text="said meanwhile"))
        assert comes(page.locator("#connection", has_text="Live"))
