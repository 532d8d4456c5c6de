"""The service's chat in a terminal: what is posted is printed, lines are said, buttons pressed."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from bot.client import Client
from bot.commands.parsing import is_number
from core.domain import light
from core.domain.redaction import Redaction, clean
from core.errors import AutocoderError, StateError

_SHOWN = 15  # messages at the beginning
_IN_THREAD = 60  # of them, where a project's waiting cards stand
_WAIT_S = 25.0
_BAR = 24  # cells
HELP = (
    "A line is said; a plain one answers an open question. `:1` or `:approve` presses a button,"
    " `:reject WORDS` fills in its form, `:answer 1,3` chooses options; Ctrl-D ends."
)
_COLOURS = {"✓": "green", "▲": "yellow", "■": "red", "◐": "blue", "○": "dim"}
_LOOKS = {light.Look.BOLD: "bold", light.Look.CODE: "cyan", light.Look.COMMAND: "cyan"}
_TONES = {"success": "green", "warning": "yellow", "danger": "red"}
_LIVE = ("progress", "interview")  # cards that are edited all the time


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
        self._cards: dict[int, Mapping[str, Any]] = {}  # messages that can be acted upon
        self._threads: dict[int, int | None] = {}  # open questions: a plain line is their answer
        self._told: dict[int, int] = {}  # message → revision

    def run(self) -> None:
        """Until the input ends."""
        self._console.print(Text(HELP, style="dim"))
        newest = self._client.newest(self._channel, _SHOWN)
        for message in newest["items"]:
            self.show(message)
            if message["card"] and message["card"]["kind"] == "interview":
                self._open(message["id"])
        reader = threading.Thread(target=self._listen, args=(newest["changed"],), daemon=True)
        reader.start()
        for line in self._lines():
            try:
                self._act(line)
            except AutocoderError as error:
                self._console.print(Text(_clean(f"■ {error} {error.hint}").rstrip(), style="red"))

    def _open(self, root: int) -> None:
        """Of a project's thread what waits for somebody; the rest was said before."""
        for message in self._client.thread(self._channel, root, _IN_THREAD)["items"]:
            card = message["card"]
            if card and card["buttons"] and card["kind"] != "report":
                self.show(message)
            self._told[message["id"]] = message["revision"]

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
                self.show(message)
            self._console.print(Text("■ The service ended the stream.", style="red"))
        except StateError as error:
            self._console.print(Text(f"■ {error}", style="red"))

    def _act(self, line: str) -> None:
        if not line.startswith(":"):
            command = line.split()[0].lower() in ("/autocoder", "@autocoder")
            thread = next(reversed(self._threads.values()), None)
            self._client.say(self._channel, line, thread=None if command else thread)
            return
        message, button, words = chosen(self._cards, line[1:].strip())
        answer = self._client.press(message, button["action_id"], filled(button, words))
        style = "dim" if answer["ok"] else "red"
        told = f"{'✓' if answer['ok'] else '■'} {answer['text']}"
        if answer.get("form"):
            told += f" Say it behind the button: `:{button['label'].lower()} WORDS`."
        self._console.print(Text(_clean(told), style=style))

    def show(self, message: Mapping[str, Any]) -> None:
        """A message once; of an edited one what became of it."""
        number, card = message["id"], message["card"]
        if self._told.get(number, -1) >= message["revision"] or message["deleted"]:
            return
        first = number not in self._told
        self._told[number] = message["revision"]
        if card is None:
            self._console.print(Text(f"{message['author']}: {_clean(message['text'])}"))
            return
        self._cards.pop(number, None)
        self._threads.pop(number, None)
        if card["buttons"]:
            # The live card stands behind what waits for an answer.
            found = {number: _with_inputs(card)}
            live = card["kind"] in _LIVE
            self._cards = found | self._cards if live else self._cards | found
            if card["kind"] == "question":
                self._threads[number] = message["thread"] or number
        if not first and (card["kind"] in _LIVE or not card["buttons"]):
            self._console.print(Text(f"  {_clean(message['text'])}", style="dim"))
            return
        newest = next(reversed(self._cards), None)
        self._console.print(drawn(card, numbered=number == newest))


def chosen(cards: Mapping[int, Mapping[str, Any]], said: str) -> tuple[int, Mapping[str, Any], str]:
    """The message, its button and the words after it, of `1`, `approve` or `reject WORDS`.

    A number is a button of the newest card, a word one of any card, the newest first.
    """
    word, _, rest = said.partition(" ")
    for number, card in reversed(list(cards.items())):
        buttons: Sequence[Mapping[str, Any]] = card["buttons"]
        if is_number(word):
            if not 1 <= int(word) <= len(buttons):
                raise StateError(f"There is no button {word}.", hint=_named(buttons))
            return number, buttons[int(word) - 1], rest.strip()
        # The longest label first: `retry with opus` is not `retry` with words.
        for button in sorted(buttons, key=lambda each: -len(each["label"])):
            label = button["label"].lower()
            if said.lower() == label or said.lower().startswith(f"{label} "):
                return number, button, said[len(label) :].strip()
    every = [button for card in cards.values() for button in card["buttons"]]
    raise StateError(f"There is no button {word!r}.", hint=_named(every))


def _named(buttons: Sequence[Mapping[str, Any]]) -> str:
    labels = list(dict.fromkeys(f"`:{button['label'].lower()}`" for button in buttons))
    return f"There are {', '.join(labels[:8])}." if labels else "No card waits for you."


def _with_inputs(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """The card, its `Answer` with the choices that stand in the card itself."""
    if not card["inputs"]:
        return card
    form = {"title": "", "inputs": card["inputs"]}
    buttons = [
        {**button, "form": form} if button["label"] == "Answer" else button
        for button in card["buttons"]
    ]
    return {**card, "buttons": buttons}


def filled(button: Mapping[str, Any], words: str) -> dict[str, list[str]]:
    """What a form is given: options by number or label, with commas; else the words."""
    form = button["form"]
    if not form or not form["inputs"] or not words:
        return {}
    first = form["inputs"][0]
    labels = {option["label"].lower(): option["value"] for option in first["options"]}
    labels |= {str(n): option["value"] for n, option in enumerate(first["options"], 1)}
    parts = [part.strip().lower() for part in words.split(",")]
    if labels and all(part in labels for part in parts):
        return {first["name"]: [labels[part] for part in parts]}
    own = next((each["name"] for each in form["inputs"] if not each["options"]), "answer")
    return {own: [words]}


def drawn(card: Mapping[str, Any], *, numbered: bool = True) -> RenderableType:
    """A card for a terminal of any width: bar, words, facts, choices, buttons."""
    parts: list[RenderableType] = []
    progress = card["progress"]
    if progress and progress["total"]:
        done = round(_BAR * progress["done"] / progress["total"])
        sums = f" {progress['done']} of {progress['total']}"
        parts.append(Text.assemble(("█" * done, "green"), ("░" * (_BAR - done), "dim"), sums))
    parts += [_line(line) for line in light.parse(card["body"])]
    if card["fields"]:
        parts.append(Text())
    for field in card["fields"]:
        parts.append(Text.assemble((f"{_clean(field['name'])}  ", "dim"), _clean(field["value"])))
    for each in card["inputs"]:
        for number, option in enumerate(each["options"], 1):
            parts.append(Text(f"  {number}  {_clean(option['label'])}"))
    if card["buttons"]:
        labels = [
            f"[:{n}] {button['label']}" if numbered else f"[:{button['label'].lower()}]"
            for n, button in enumerate(card["buttons"], 1)
        ]
        parts += [Text(), Text("   ".join(_clean(label) for label in labels), style="bold")]
    style = _TONES.get(card["tone"], "dim")
    title = Text(_clean(card["title"]), style="bold")
    return Panel(Group(*parts), title=title, title_align="left", border_style=style)


def _line(line: light.Line) -> Text:
    found = Text("- " if line.item else "")
    for span in line.spans:
        found.append(_clean(span.text), style=_LOOKS.get(span.look))
    if found.plain[:1] in _COLOURS:
        found.stylize(_COLOURS[found.plain[0]], 0, 1)
    return found


def _clean(text: str) -> str:
    """Without what a terminal would obey."""
    return Redaction()(clean(str(text)))
