"""A seat in front of each platform: the web over HTTP and SSE, the terminal over a pty, memory."""

import asyncio
import contextlib
import os
import pty
import re
import threading
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from adapters.terminal.platform import TerminalPlatform
from adapters.terminal.reader import LineReader
from adapters.terminal.screen import PlainScreen
from bot.app import App, open_web
from bot.data.service_info import listen
from bot.metrics import Metrics
from core.domain.cards import Card
from core.domain.people import LOCAL
from core.ports.chat import ChatPlatform, Inbound, Place, Pressed, content_of
from core.ports.host import BoxLevel
from core.views import projects
from tests.chat.memory import MemoryChat, Posted
from tests.platforms.house import words_of
from tests.stories.service import Client, Listener
from tests.unit.bot.commands.stage import Stage, told

InterviewSession = Callable[[Stage], AbstractAsyncContextManager[Any]]


class WebSeat:
    """A client of the web chat that knows HTTP alone."""

    finds = True
    roles = True

    def __init__(self, platform: ChatPlatform, url: str) -> None:
        self.place = Place("web", "main")
        self.platform = platform
        self.me = Client(url, "the-web-token")
        self.listener: Listener | None = None  # what a page hears meanwhile
        self._said = 0

    def messages(self) -> list[dict[str, Any]]:
        return [each for each in self.me.messages() if not each["deleted"]]

    def shown(self) -> list[str]:
        return [_words(message) for message in self.messages()]

    def standing(self) -> set[str]:
        return {each["card"]["key"] for each in self.messages() if each["card"]}

    def message(self, key: str) -> dict[str, Any]:
        return {m["card"]["key"]: m for m in self.messages() if m["card"]}[key]

    async def say(self, words: str, *, root: str = "", times: int = 1) -> None:
        self._said += 1
        more: dict[str, Any] = {"client_id": f"said-{self._said}"}
        if root:
            more["thread"] = (await asyncio.to_thread(self.message, root))["id"]
        for _ in range(times):
            answer = await asyncio.to_thread(self.me.say, words, **more)
            assert answer.status == 201, answer.json

    async def press(self, key: str, label: str, words: str = "") -> str:
        message = await asyncio.to_thread(self.message, key)
        buttons = {each["label"]: each for each in message["card"]["buttons"]}
        button = buttons[label]
        inputs = (button["form"] or {"inputs": []})["inputs"]
        body: dict[str, Any] = {"message_id": message["id"], "action_id": button["action_id"]}
        if words:
            body["values"] = {
                (inputs[0] if inputs else message["card"]["inputs"][0])["name"]: words
            }
        answer = await asyncio.to_thread(self.me.post, "/api/chat/presses", body)
        return str(answer.json["text"])


def _words(message: dict[str, Any]) -> str:
    card = message["card"]
    if card is None:
        return f"{message['author_name']}: {message['text']}"
    parts = [card["title"], card["body"], message["text"]]
    parts += [f"{each['name']} {each['value']}" for each in card["fields"]]
    parts += [each["label"] for each in card["buttons"] + card["links"]]
    parts += [option["label"] for each in card["inputs"] for option in each["options"]]
    if card["table"]:
        parts += [" ".join(row) for row in [card["table"]["head"], *card["table"]["rows"]]]
    return "\n".join(parts)


@asynccontextmanager
async def web(at: Stage) -> AsyncIterator[WebSeat]:
    parts, settings = at.services.parts, at.services.settings
    service = projects.Service(settings.projects, "practice", parts.rules, parts.clock())
    app = SimpleNamespace(
        settings=settings, parts=parts, box=BoxLevel.FULL, practice=True, about=lambda: service
    )
    with contextlib.closing(listen("127.0.0.1", 0)) as listening:
        platform = open_web(
            cast(App, app),
            listening,
            token="the-web-token",
            metrics=Metrics(),
            svg=at.door.svg,
            ready=lambda: True,
            states=lambda: {"database": "ok"},
        )
        yield WebSeat(platform, f"http://127.0.0.1:{listening.getsockname()[1]}")


class TerminalSeat:
    """Somebody who reads a screen and types."""

    finds = False
    roles = False

    def __init__(self, platform: ChatPlatform, master: int) -> None:
        self.place = Place("terminal", "main")
        self.platform = platform
        self._master = master
        self._screen = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the terminal hung up
            while piece := os.read(self._master, 65_536):
                self._screen += piece

    def standing(self) -> set[str]:
        return set()

    def shown(self) -> list[str]:
        plain = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", self._screen.decode("utf-8", "replace"))
        return [" ".join(plain.replace("\r", "").split())]

    async def say(self, words: str, *, root: str = "", times: int = 1) -> None:
        assert times == 1, "a line is typed once"
        await self._type(words)

    async def press(self, key: str, label: str, words: str = "") -> str:
        before = self.shown()[0]
        await self._type(f"{label.lower().replace(' with ', ' ')} {words}".strip())
        return self.shown()[0].removeprefix(before)

    async def _type(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())
        await asyncio.sleep(0.3)  # it is read, and what comes of it is said


@asynccontextmanager
async def terminal(at: Stage) -> AsyncIterator[TerminalSeat]:
    master, slave = pty.openpty()
    tty.setraw(slave)  # nothing is echoed: what stands there was shown
    with open(slave, "w", encoding="utf-8") as out:
        screen = PlainScreen(out, LineReader(slave))
        place = Place("terminal", "main")
        yield TerminalSeat(TerminalPlatform(screen, place, LOCAL, chats=True), master)
    os.close(master)


class MemorySeat:
    """Somebody in a chat that is kept in memory."""

    finds = True
    roles = True

    def __init__(self, chat: MemoryChat, at: Stage) -> None:
        self.place = Place("memory", "main")
        self.platform = chat
        self._chat = chat
        self._at = at
        self._said = 0

    def shown(self) -> list[str]:
        return [words_of(posted.card) for posted in self._chat.messages.values()]

    def standing(self) -> set[str]:
        return {posted.card.key for posted in self._chat.messages.values()}

    def posted(self, key: str) -> Posted:
        return self._chat.standing(key)

    async def say(self, words: str, *, root: str = "", times: int = 1) -> None:
        self._said += 1
        thread = str(self._chat.standing(root).id) if root else None
        place = Place("memory", "main", thread)
        for _ in range(times):
            content = content_of(words)
            await self._at.door.deliver(Inbound(f"s{self._said}", LOCAL, place, content))

    async def press(self, key: str, label: str, words: str = "") -> str:
        card: Card = self._chat.standing(key).card
        button = {each.label: each for each in card.buttons}[label]
        inputs = button.form.inputs if button.form else card.inputs
        values = {inputs[0].name: (words,)} if words else {}
        self._said += 1
        inbound = Inbound(f"p{self._said}", LOCAL, self.place, Pressed(button.press, values))
        return (await told(await self._at.door.deliver(inbound))).text


@asynccontextmanager
async def memory(at: Stage) -> AsyncIterator[MemorySeat]:
    yield MemorySeat(MemoryChat(), at)


SEATS: dict[str, InterviewSession] = {"web": web, "terminal": terminal, "memory": memory}
