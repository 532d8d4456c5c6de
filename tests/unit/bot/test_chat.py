"""The running service's chat in a terminal: what strangers wrote steers nothing there."""

import asyncio
import io
from typing import Any, cast

import pytest

from adapters.terminal.platform import TerminalPlatform
from adapters.terminal.reader import LineReader
from adapters.terminal.screen import PlainScreen
from bot.app import Terminal
from bot.chat import Chat, ChatDoor, say
from bot.client import Client
from core.domain.cards import parse_press
from core.domain.people import LOCAL
from core.ports.chat import Asked, Content, Inbound, Place, Pressed, Said
from core.views.json import plain
from core.views.messages import CardView, card_of, card_view
from tests.unit.bot.test_terminal import CARDS

STEERS = "\x1b[2J\x1b]0;owned\x07\x9b31m\x08\r\u202eevil\u200b"
SECRET = "sk-ant-" + "api03-0123456789abcdef"
HERE = Place("web", "main")


def words(**changes: Any) -> dict[str, Any]:
    return {
        "id": 1, "thread": None, "author": "web:ann", "author_name": STEERS, "revision": 0,
        "text": f"{STEERS} {SECRET}", "deleted": False, "card": None, **changes,
    }  # fmt: skip


def hostile() -> dict[str, Any]:
    label = f"{STEERS} {SECRET}"
    card = plain(CardView, card_view(CARDS["question"]))
    button = {**card["buttons"][0], "label": label}
    unknown = {**button, "action_id": "dance:question:1"}
    fields = [{"name": label, "value": label}]
    return {**card, "title": label, "body": label, "fields": fields, "buttons": [button, unknown]}


class Answering:
    """A service whose every answer is an enemy's; it keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def say(self, _channel: str, text: str) -> int:
        self.told.append((text,))
        return 1

    def press(self, message: int, action: str, values: object) -> dict[str, Any]:
        self.told.append((message, action, values))
        return {"ok": True, "text": "Answered."}

    def outcome(self, _channel: str, _message: int, *, wait: float) -> dict[str, Any]:
        assert wait
        return {"done": True, "ok": True, "reason": "", "text": "", "answers": [words()]}


def unsteered(text: str) -> bool:
    seen = all(char.isprintable() or char == "\n" for char in text)
    return seen and SECRET not in text and "evil" in text


async def test_what_was_said_is_shown_without_what_a_terminal_obeys() -> None:
    out = io.StringIO()
    platform = TerminalPlatform(PlainScreen(out, LineReader(None)), HERE, LOCAL, chats=True)
    terminal = Terminal(
        platform, platform.run, platform.show, platform.ended, platform.quiet, platform.close
    )
    chat = Chat(cast(Client, Answering()), "main", terminal)
    await chat.show(words())
    await chat.show(words(id=2, author="autocoder", card=hostile()))
    assert unsteered(out.getvalue())
    assert "    1  " in out.getvalue()
    await chat.show(words(id=2, revision=1, card=plain(CardView, card_view(CARDS["answered"]))))
    assert "✓ coder-1 asks   › Green" in out.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (Asked("status"), ("/autocoder status",)),
        (Said("why?", mention=True), ("@autocoder why?",)),
        (Said("hello"), ("hello",)),
        (
            Pressed(parse_press("reject:plan:1"), {"reason": ("no",)}),
            (7, "reject:plan:1", {"reason": ["no"]}),
        ),
    ],
)
async def test_what_is_typed_is_said_or_pressed(content: Content, told: tuple[object]) -> None:
    service = Answering()
    door = ChatDoor(cast(Client, service), "main")
    door.stands["reject:plan:1"] = 7
    ticket = await door.deliver(Inbound("1", LOCAL, HERE, content))
    outcome = await asyncio.wait_for(ticket.outcome(1), 5)
    assert outcome is not None
    assert outcome.ok
    assert service.told == [told]


def test_a_card_is_read_back_from_its_json() -> None:
    for card in CARDS.values():
        assert card_of(plain(CardView, card_view(card)), card.fallback) == card


def test_an_answer_to_say_is_plain() -> None:
    done, text = say(cast(Client, Answering()), "main", "x", wait=True)
    assert done
    assert unsteered(text)
