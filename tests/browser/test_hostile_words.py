"""Words of agents, models and strangers in a real browser: shown as words, wherever they stand."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain import card_keys
from core.domain.plan import Plan, PlannedFeature, PlannedPhase, PlannedTask
from core.domain.proof import CheckResult, Verdict
from core.operations import evidence, projects, questions
from core.operations.evidence import Proof
from core.store.chat_tables import ProjectPlace
from core.store.session import Store
from core.store.tables import Approval, Run
from tests.browser.conftest import Open
from tests.stories.service import House, Running
from tests.unit.bot.cards.stage import COMMIT, NOW, approve, claim, fail, submit, task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EVIL = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "<a href='javascript:document.title=1'>a</a> [b](//evil.example) [c](javascript:alert(1))"
    " ![d](http://evil.example/d.png) **e** `f` {{ 7*7 }} {% raw %} @channel <!channel> @everyone"
    " \x1b[31mg\x1b]0;h\x07 \u202ei\u200b&lt;script&gt; '\"><svg onload=\"document.title='owned'\">"
)
LONG = "w" * 180


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A home in which all that can be named is named by an enemy."""
    home = tmp_path_factory.mktemp("hostile") / "home"
    home.mkdir(mode=0o700)

    async def fill() -> None:
        store = Store(home / "autocoder.db")
        await store.run(hostile_project)
        await store.close()

    with ThreadPoolExecutor(1) as pool:  # in this thread the driver's loop runs
        pool.submit(lambda: asyncio.run(fill())).result()
    return House(home)


def hostile_project(tx: Session) -> None:
    made = projects.create(
        tx, name="hostile", spec_digest="x", practice=True, budget=Decimal(12),
        actor="web:local", now=NOW,
    )  # fmt: skip
    key = card_keys.interview(made.slug)
    tx.add(ProjectPlace(project_id=made.id, platform="web", channel="main", root_key=key))
    tx.flush()
    projects.spec_written(tx, made.id, COMMIT, now=NOW)

    def named(what: str, *waits: str) -> PlannedTask:
        name = f"{what} {EVIL}"[:120]
        return PlannedTask(
            name, checks=(f"echo {EVIL}",), depends_on=waits, description=EVIL, steps=(EVIL, LONG)
        )

    plan = Plan(
        summary=f"{EVIL} {LONG}",
        setup=(f"pip install {EVIL}",),
        checks=(f"test {EVIL}",),
        phases=(
            PlannedPhase(
                f"P {EVIL}"[:100],
                (PlannedFeature(f"F {EVIL}"[:100], (named("One"), named("Two"), named("Three"))),),
                description=EVIL,
            ),
        ),
    )
    approve(tx, submit(tx, made.id, plan))
    fail(tx, made.id, 1)
    coder = claim(tx, made.id, 2)
    output = CheckResult(f"test {EVIL}", 1, f"{EVIL}\n{LONG}", 1.0)
    evidence.record_proof(
        tx, task(tx, made.id, 2).id, coder.id, Proof(Verdict.RED, COMMIT, (output,)), now=NOW
    )
    questions.ask(tx, coder.id, f"{EVIL}\n{LONG}", (EVIL[:150], LONG, "plain"), False, now=NOW)
    questions.ask(tx, coder.id, f"Several {EVIL}", (EVIL[:150], LONG), True, now=NOW)
    assert tx.scalars(select(Approval)).all()
    assert tx.scalars(select(Run)).all()
    projects.pause(tx, made.id, actor="web:local", now=NOW)


def watched(page: Any, url: str) -> list[str]:
    """What the page asks of other hosts, and every dialog it opens."""
    found: list[str] = []
    page.on("request", lambda r: found.append(r.url) if not r.url.startswith(url) else None)

    def opened(dialog: Any) -> None:
        found.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", opened)
    return found


def own_elements(page: Any) -> list[str]:
    """Elements that no template of ours makes, and links that lead away."""
    found = page.evaluate(
        """() => [...document.querySelectorAll("body script, body iframe, body object, body embed,"
          + " body base, body meta, body link, body style, body [onload], body [onerror],"
          + " body [style], body img:not([src^='/api/pictures/'])")].map((e) => e.outerHTML)
          .concat([...document.links].filter((a) => a.origin !== location.origin
            && !(/^https?:$/.test(a.protocol) && /noopener/.test(a.rel))).map((a) => a.outerHTML))"""
    )
    return [str(each) for each in found]


def test_words_of_agents_are_words(visit: Open, service: Running) -> None:
    page = visit("/c/main")
    asked = watched(page, service.admin.url)
    kinds = {"plan", "question", "stuck", "progress"}

    def kinds_there() -> set[str]:
        return {m["card"]["kind"] for m in service.admin.messages() if m["card"]}

    deadline = time.monotonic() + 60
    while not kinds <= kinds_there():
        assert time.monotonic() < deadline, kinds_there()
        time.sleep(0.2)
    roots = {m["thread"] for m in service.admin.messages() if m["thread"]}
    for path in ("/c/main", *(f"/c/main?thread={root}" for root in roots), "/waiting",
                 "/search?q=owned", f"/search?q={'%3Cscript%3E' * 9}"):  # fmt: skip
        page.goto(f"{service.admin.url}{path}")
        page.locator("#content").wait_for()
        assert "owned" not in page.title()
        assert own_elements(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    for line in ("/autocoder tasks hostile", "/autocoder task 1 hostile", "/autocoder plan hostile",
                 "/autocoder logs 2 hostile", "/autocoder board hostile", f"/autocoder {EVIL}"):  # fmt: skip
        service.admin.say(line, "answers")
    page.goto(f"{service.admin.url}/c/answers")
    page.locator("#log .card").nth(5).wait_for()
    assert own_elements(page) == []
    assert "owned" not in page.title()
    assert asked == []
    drawn = service.admin.get("/api/pictures/plan/1.svg")
    assert drawn.status == 200
    tags = {each.tag.rpartition("}")[2] for each in ElementTree.fromstring(drawn.body).iter()}
    assert not tags & {"script", "foreignObject", "image", "a", "use"}, tags
    for message in service.admin.messages():
        text = message["text"]
        assert text
        assert not [char for char in text if not char.isprintable() and char != "\n"], text


@pytest.mark.parametrize("width", [390, 1440])
def test_a_long_word_stays_in_its_button(visit: Open, service: Running, width: int) -> None:
    page = visit("/c/main", width=width)
    roots = {m["thread"] for m in service.admin.messages() if m["thread"]}
    assert roots
    for root in roots:
        page.goto(f"{service.admin.url}/c/main?thread={root}")
        page.locator(f'.choice:has-text("{LONG}")').first.wait_for()
        page.locator(f'.options .button:has-text("{LONG}")').first.wait_for()
        spilled = page.evaluate(
            "() => [...document.querySelectorAll('.button, .choice')]"
            ".filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML)"
        )
        assert spilled == []


def test_names_of_files_and_people_are_words(visit: Open, service: Running) -> None:
    page = visit("/c/main")
    asked = watched(page, service.admin.url)
    stored = service.admin.upload("<img src=x onerror=alert(1)>.svg", b"<svg onload='alert(1)'/>")
    assert service.admin.say(EVIL, files=[stored.json["id"]]).status == 201
    page.locator("#log .files a").first.wait_for()
    assert own_elements(page) == []
    link = page.locator("#log .files a").first
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename.endswith(".svg")
    assert page.url.endswith("/c/main")
    assert asked == []


def test_the_policy_of_the_page_stops_what_slips_through(chromium: Any, service: Running) -> None:
    """Were a word ever to become an element, it would run nothing and load nothing."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{service.admin.url}/c/main?token={service.admin.token}")
    page.evaluate(
        """() => { const there = document.querySelector("#content");
          there.insertAdjacentHTML("beforeend", "<img src=x onerror=\\"document.title='owned'\\">");
          const made = document.createElement("script");
          made.textContent = "document.title = 'owned'"; there.append(made);
          const away = document.createElement("img"); away.src = "http://evil.example/x.png";
          window.blocked = [];
          document.addEventListener("securitypolicyviolation",
            (event) => window.blocked.push(event.violatedDirective));
          there.append(away); }"""
    )
    page.wait_for_function("window.blocked.some((each) => each.startsWith('img-src'))")
    assert "owned" not in page.title()
    context.close()


class CuttingProxy:
    """Passes bytes on, and cuts each connection after a while."""

    def __init__(self, port: int, after: float) -> None:
        self._to, self._after = port, after
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                taken, _ = self._listening.accept()
                onward = socket.create_connection(("127.0.0.1", self._to))
                for source, sink in ((taken, onward), (onward, taken)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()
                threading.Timer(self._after, self._cut, (taken, onward)).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def _cut(self, *both: socket.socket) -> None:
        for each in both:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def proxy(service: Running) -> Iterator[CuttingProxy]:
    made = CuttingProxy(int(service.where["port"]), 1.5)
    yield made
    made.close()


def test_a_proxy_that_cuts_the_stream_hides_nothing(
    chromium: Any, service: Running, proxy: CuttingProxy
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{proxy.port}/c/cut?token={service.admin.token}")
    page.locator("#connection", has_text="Live").wait_for()
    said = []
    shown = set()
    for number in range(12):
        text = f"number {number} of those that were said while it was cut"
        assert service.admin.say(text, "cut").status == 201
        said.append(text)
        for _ in range(8):
            shown.add(page.locator("#connection").inner_text().split()[0])
            time.sleep(0.1)
    page.locator("#log .text", has_text=said[-1]).wait_for()
    assert page.locator("#log .text").all_inner_texts() == said
    assert "Reconnecting" in shown
    context.close()
