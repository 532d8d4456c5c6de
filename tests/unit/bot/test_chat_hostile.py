"""The chat in a terminal: what strangers wrote steers nothing there."""

import io
from typing import Any, cast

from rich.console import Console

from bot.chat import Terminal, say
from bot.client import Client

STEERS = "\x1b[2J\x1b]0;owned\x07\x9b31m\x08\r\u202eevil\u200b"
SECRET = "sk-ant-" + "api03-0123456789abcdef"


def words(**changes: Any) -> dict[str, Any]:
    return {
        "id": 1, "thread": None, "author": "web:ann", "text": f"{STEERS} {SECRET}", "revision": 0,
        "deleted": False, "card": None, **changes,
    }  # fmt: skip


def card() -> dict[str, Any]:
    label = f"{STEERS} {SECRET}"
    return {
        "kind": "question",
        "title": label,
        "body": label,
        "fields": [{"name": label, "value": label}],
        "buttons": [{"label": label, "action_id": "answer:question:1:0", "form": None}],
        "inputs": [{"options": [{"label": label, "value": label}]}],
        "progress": None,
        "tone": "warning",
    }


class Answering:
    """A service whose every answer is an enemy's."""

    def say(self, _channel: str, _text: str) -> int:
        return 1

    def outcome(self, _channel: str, _message: int, *, wait: float) -> dict[str, Any]:
        assert wait
        return {"done": True, "ok": True, "text": "", "answers": [words()]}


def unsteered(text: str) -> bool:
    seen = all(char.isprintable() or char == "\n" for char in text)
    return seen and SECRET not in text and "evil" in text


def test_what_was_said_is_shown_without_what_a_terminal_obeys() -> None:
    out = io.StringIO()
    terminal = Terminal(cast(Client, None), "main", Console(file=out, width=100))
    terminal.show(words())
    terminal.show(words(id=2, author="autocoder", card=card()))
    assert unsteered(out.getvalue())
    assert "[:1]" in out.getvalue()


def test_an_answer_to_say_is_plain() -> None:
    done, text = say(cast(Client, Answering()), "main", "x", wait=True)
    assert done
    assert unsteered(text)
