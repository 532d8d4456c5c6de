"""The service's chat in a terminal: what is posted is shown, what is typed is handed in."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from bot.app import Terminal
from bot.client import Client
from core.domain.cards import Card, Field
from core.domain.events import CardKind
from core.domain.markup import COMMAND
from core.domain.people import LOCAL
from core.domain.redaction import clean
from core.errors import AutocoderError, StateError
from core.ports.chat import (
    MENTION,
    Asked,
    Heard,
    Inbound,
    MessageRef,
    Outcome,
    Place,
    Pressed,
    Said,
    Ticket,
)
from core.views.messages import card_of

_SHOWN = 15  # messages at the beginning
_IN_THREAD = 60  # of them, where a project's waiting cards stand
_WAIT_S = 25.0
_HELP = (
    "A line is said in the channel. At a card that waits, the words that are shown press its"
    " buttons. Ctrl-D ends."
)


def say(client: Client, channel: str, text: str, *, wait: bool) -> tuple[bool, str]:
    """Say one line; whether it was done, and the answer. `wait`: however long it takes."""
    message = client.say(channel, text)
    while True:
        found = client.outcome(channel, message, wait=_WAIT_S)
        if found["done"] or not wait:
            break
    words = [str(answer["text"]) for answer in found["answers"]] or [str(found["text"])]
    if found["ok"] is None:
        return True, "Said; nothing came of it yet."
    return bool(found["ok"]), clean("\n".join(words))


@dataclass
class _Ticket:
    """Of a line that was said, or of a press, whose outcome is known at once."""

    door: "ChatDoor"
    item_id: int
    message: str | None
    known: Outcome | None = None

    async def outcome(self, within: float | None = None) -> Outcome | None:
        if self.known is not None:
            return self.known
        return await self.door.outcome(self.item_id, _WAIT_S if within is None else within)


class ChatDoor:
    """The running service, reached over HTTP."""

    def __init__(self, client: Client, channel: str) -> None:
        self._client = client
        self._channel = channel
        self.stands: dict[str, int] = {}  # action → the message its button stands in

    async def deliver(self, heard: Heard) -> Ticket:
        assert isinstance(heard, Inbound)
        match heard.content:
            case Pressed(press, values):
                action = press.encode()
                given = {name: list(several) for name, several in values.items()}
                answer = await asyncio.to_thread(
                    self._client.press, self.stands.get(action), action, given
                )
                outcome = Outcome(answer["ok"], answer["text"], answer.get("reason", ""))
                return _Ticket(self, 0, None, outcome)
            case Asked(line):
                text = f"{COMMAND} {line}"
            case Said(words, mention=mention):
                text = f"{MENTION} {words}" if mention else words
            case _:
                assert_never(heard.content)
        message = await asyncio.to_thread(self._client.say, self._channel, text)
        return _Ticket(self, message, str(message))

    async def outcome(self, message: int, within: float) -> Outcome | None:
        found = await asyncio.to_thread(
            self._client.outcome, self._channel, message, wait=min(within, _WAIT_S)
        )
        if found["ok"] is None:
            return None
        return Outcome(found["ok"], found["text"], found["reason"])


class Chat:
    """One channel on a terminal."""

    def __init__(self, client: Client, channel: str, terminal: Terminal) -> None:
        self._client = client
        self._channel = channel
        self._terminal = terminal
        self._door = ChatDoor(client, channel)
        self._told: dict[int, int] = {}  # message → revision
        self._refs: dict[int, MessageRef] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until the input ends."""
        self._terminal.show(_words(f"Channel {self._channel}", _HELP))
        newest = await asyncio.to_thread(self._client.newest, self._channel, _SHOWN)
        for message in newest["items"]:
            await self.show(message)
            card = message["card"]
            if card and card["kind"] == CardKind.INTERVIEW:
                await self._open(message["id"])
        tasks = [
            asyncio.create_task(self._listen(newest["changed"])),
            asyncio.create_task(self._terminal.hear(self._door)),
        ]
        ends = [asyncio.create_task(each.wait()) for each in (stop, self._terminal.ended)]
        await asyncio.wait([*tasks, *ends], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, *ends):
            task.cancel()
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(found, AutocoderError):
                raise found

    async def _open(self, root: int) -> None:
        """Of a project's thread what waits for somebody; the rest was said before."""
        thread = await asyncio.to_thread(self._client.thread, self._channel, root, _IN_THREAD)
        for message in thread["items"]:
            card = message["card"]
            if card and card["buttons"] and card["kind"] != CardKind.REPORT:
                await self.show(message)
            self._told[message["id"]] = message["revision"]

    async def _listen(self, since: int) -> None:
        """What is posted and edited; the stream is read in a thread that ends with the program."""
        loop, came = asyncio.get_running_loop(), asyncio.Queue[Mapping[str, Any] | StateError]()

        def read() -> None:
            try:
                for message in self._client.stream(self._channel, since):
                    loop.call_soon_threadsafe(came.put_nowait, message)
                gone = StateError("The service ended the stream.")
            except StateError as error:
                gone = error
            loop.call_soon_threadsafe(came.put_nowait, gone)

        threading.Thread(target=read, daemon=True).start()
        while True:
            message = await came.get()
            if isinstance(message, StateError):
                raise message
            await self.show(message)

    async def show(self, message: Mapping[str, Any]) -> None:
        """A message once; of an edited one what became of it."""
        number, data = message["id"], message["card"]
        if self._told.get(number, -1) >= message["revision"] or message["deleted"]:
            return
        self._told[number] = message["revision"]
        if data is None:
            mine = message["author"] == LOCAL
            said = Field("›" if mine else message["author_name"], message["text"])
            self._terminal.show(_words("", fields=(said,)))
            return
        card = card_of(data, message["text"])
        for button in card.buttons:
            self._door.stands[button.press.encode()] = number
        platform, known = self._terminal.platform, self._refs.get(number)
        if known is not None:
            await platform.edit(known, card)
            return
        thread = str(message["thread"]) if message["thread"] else None
        place = Place(platform.name, self._channel, thread)
        self._refs[number] = await platform.post(place, card)


def _words(title: str, body: str = "", fields: tuple[Field, ...] = ()) -> Card:
    return Card(
        key="chat", kind=CardKind.HELP, title=title, body=body, fallback=title, fields=fields
    )
