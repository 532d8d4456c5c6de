"""The service's chat in a terminal: what is posted is printed, lines are said, buttons pressed."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from bot.client import Client
from bot.wording import clean
from core.domain import light
from core.domain.redaction import Redaction
from core.errors import AutocoderError, StateError

_SHOWN = 15  # messages at the beginning
_WAIT_S = 25.0
HELP = (
    "A line is said; `:1` presses button 1 of the last card, `:2 TEXT` fills its form; Ctrl-D ends."
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
    return bool(found["ok"]), _clean("\n".join(words))


class Terminal:
    """One channel."""

    def __init__(self, client: Client, channel: str, console: Console) -> None:
        self._client, self._channel, self._console = client, channel, console
        self._buttons: list[tuple[int, Mapping[str, Any]]] = []
        self._thread: int | None = None  # of the last question: a plain line there is its answer
        self._told: dict[int, int] = {}  # message → revision

    def run(self) -> None:
        """Until the input ends."""
        self._console.print(Text(HELP, style="dim"))
        newest = self._client.newest(self._channel, _SHOWN)
        for message in newest["items"]:
            self._show(message)
        reader = threading.Thread(target=self._listen, args=(newest["changed"],), daemon=True)
        reader.start()
        for line in self._lines():
            try:
                self._act(line)
            except AutocoderError as error:
                self._console.print(Text(_clean(f"■ {error} {error.hint}").rstrip(), style="red"))

    def _lines(self) -> Iterator[str]:
        while True:
            try:
                line = input()
            except (EOFError, KeyboardInterrupt):
                return
            if line.strip():
                yield line.strip()

    def _listen(self, since: int) -> None:
        try:
            for message in self._client.stream(self._channel, since):
                self._show(message)
            self._console.print(Text("■ The service ended the stream.", style="red"))
        except StateError as error:
            self._console.print(Text(f"■ {error}", style="red"))

    def _act(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if not word.startswith(":") or not word[1:].isdigit():
            command = word.lower() in ("/autocoder", "@autocoder")
            self._client.say(self._channel, line, thread=None if command else self._thread)
            return
        number = int(word[1:])
        if not 1 <= number <= len(self._buttons):
            raise StateError(f"There is no button {number}.")
        message, button = self._buttons[number - 1]
        form = button["form"]
        values = {form["inputs"][0]["name"]: rest} if form and rest else {}
        answer = self._client.press(message, button["action_id"], values)
        if not answer["ok"]:
            self._console.print(Text(f"■ {_clean(answer['text'])}", style="red"))

    def _show(self, message: Mapping[str, Any]) -> None:
        """A message once, an edited one when its words changed what a person may do."""
        if self._told.get(message["id"], -1) >= message["revision"] or message["deleted"]:
            return
        first = message["id"] not in self._told
        self._told[message["id"]] = message["revision"]
        card = message["card"]
        if card is None:
            if message["author"] != "web:local" or first:
                self._console.print(Text(f"{message['author']}: {_clean(message['text'])}"))
            return
        if not first and card["kind"] in ("progress", "interview"):
            self._console.print(Text(f"  {_clean(message['text'])}", style="dim"))
            return
        self._buttons = [(message["id"], button) for button in card["buttons"]] or self._buttons
        if card["kind"] == "question" and card["buttons"]:
            self._thread = message["thread"]
        lines = [_clean(light.plain(card["body"]))]
        lines += [f"{_clean(field['name'])}: {_clean(field['value'])}" for field in card["fields"]]
        if card["buttons"]:
            labels = [f"[:{n}] {_clean(b['label'])}" for n, b in enumerate(card["buttons"], 1)]
            lines.append("  ".join(labels))
        title = Text(_clean(card["title"]))
        self._console.print(Panel(Text("\n".join(filter(None, lines))), title=title))


def _clean(text: str) -> str:
    """Without what a terminal would obey."""
    return Redaction()(clean(str(text)))
