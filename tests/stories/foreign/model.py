"""A Messages API of a stranger: each agent's session is a generator that is told what came back.

It runs in a thread of the test, so that a story can look at what an agent was told. It keeps its
own books: what it said of each message's usage, in the order in which it said it.
"""

import json
import re
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
_KIND = re.compile(r"You are the (\w+) of autocoder\.")


@dataclass(frozen=True)
class Use:
    """One tool call."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """What the model says: words, then tool calls; without calls its turn ends."""

    words: str
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True)
class Result:
    text: str
    failed: bool

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Heard:
    """What came since the last turn: results of its calls, or words of a user."""

    results: tuple[Result, ...]
    words: str
    body: dict[str, Any]  # the request

    @property
    def result(self) -> Result:
        assert len(self.results) == 1, self.results
        return self.results[0]


Playing = Generator[Turn, Heard, None]
Part = Callable[[Heard], Playing]


def use(tool: str, words: str = "", **arguments: Any) -> Turn:
    return Turn(words, (Use(tool, arguments),))


def says(words: str) -> Turn:
    return Turn(words)


def both(*turns: Turn) -> Turn:
    """Several calls in one message."""
    return Turn(" ".join(turn.words for turn in turns), tuple(u for t in turns for u in t.uses))


@dataclass(frozen=True)
class Entry:
    """One line of the books."""

    message_id: str
    model: str
    kind: str | None
    tokens: tuple[int, int, int, int, int]  # as TOKENS of the contract


class Model:
    """The server; `cast` says who plays each kind of agent, and may be changed at any time."""

    def __init__(self) -> None:
        self.cast: dict[str, Part] = {}
        self.books: list[Entry] = []
        self.told: list[tuple[str, str]] = []  # kind, words of a user
        self.faults: list[str] = []  # what went wrong in a player, for the story to see
        self._playing: dict[str, tuple[Playing, int]] = {}
        self._given = 0
        self._lock = threading.Lock()
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path.partition("?")[0] != "/v1/messages":
                    self._whole(200, {"input_tokens": 7})
                    return
                entry, turn = model.answer(body)
                self._tell(body, entry, turn)

            def _tell(self, body: dict[str, Any], entry: Entry, turn: Turn) -> None:
                if not body.get("stream"):
                    model.books.append(entry)
                    self._whole(200, _message(body, entry, turn))
                    return
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                *before, delta, stop = _stream(body, entry, turn, tuple(body.get("tools") or ()))
                for event in before:
                    self._event(event)
                model.books.append(entry)
                self._event(delta)
                self._event(stop)
                self.close_connection = True

            def _event(self, event: dict[str, Any]) -> None:
                text = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                self.wfile.write(text.encode())

            def _whole(self, status: int, value: Any) -> None:
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, body: dict[str, Any]) -> tuple[Entry, Turn]:
        with self._lock:
            self._given += 1
            number = self._given
        kind = _kind(body)
        turn = self._turn(kind, body) if kind else says("Title")
        tokens = (7 + number % 5, 11 + number % 13, number * 17 % 1009, number % 7 * 3, number % 3)
        return Entry(f"msg_f{number:06d}", body["model"], kind, tokens), turn

    def _turn(self, kind: str, body: dict[str, Any]) -> Turn:
        heard = _heard(body)
        session = f"{kind} {_session(body)}"
        if heard.words:
            self.told.append((kind, heard.words))
        with self._lock:
            playing, seen = self._playing.get(session, (None, 0))
        try:
            if playing is None or not _has_assistant(body):
                if kind not in self.cast:
                    return says("I have no part.")
                playing = self.cast[kind](heard)
                turn = next(playing)
            else:
                turn = playing.send(heard)
        except StopIteration:
            turn = says("That is all.")
        except (AssertionError, LookupError, TypeError, ValueError) as problem:
            self.faults.append(f"{kind}: {type(problem).__name__}: {problem}")
            turn = says("I broke.")
        with self._lock:
            if playing is not None:
                self._playing[session] = playing, seen + 1
        return turn


def _session(body: dict[str, Any]) -> str:
    user = str((body.get("metadata") or {}).get("user_id", ""))
    found = re.search(r"session_?(?:id)?\W*([0-9a-f-]{36})", user)
    return found[1] if found else user


def _kind(body: dict[str, Any]) -> str | None:
    system = body.get("system") or ""
    texts = [system] if isinstance(system, str) else [block.get("text", "") for block in system]
    found = _KIND.search("\n".join(texts))
    return found[1] if found else None


def _has_assistant(body: dict[str, Any]) -> bool:
    return any(message["role"] == "assistant" for message in body["messages"])


def _heard(body: dict[str, Any]) -> Heard:
    results: list[Result] = []
    words: list[str] = []
    for message in reversed(body["messages"]):
        if message["role"] == "assistant":
            break
        if message["role"] != "user":
            continue
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        here: list[Result] = []
        for block in blocks:
            if block["type"] == "tool_result":
                here.append(Result(_text(block.get("content")), block.get("is_error") is True))
            elif block["type"] == "text":
                plain = _REMINDER.sub("", block["text"]).strip()
                if plain:
                    words.insert(0, plain)
        results = here + results
    return Heard(tuple(results), "\n".join(words), body)


def _text(content: Any) -> str:
    if isinstance(content, str) or content is None:
        return content or ""
    return "\n".join(block.get("text", f"<{block['type']}>") for block in content)


def _content(entry: Entry, turn: Turn, tools: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    names = {tool["name"].rsplit("__", 1)[-1]: tool["name"] for tool in tools}
    found: list[dict[str, Any]] = [{"type": "text", "text": turn.words}] if turn.words else []
    for place, one in enumerate(turn.uses):
        found.append(
            {
                "type": "tool_use",
                "id": f"toolu_{entry.message_id}_{place}",
                "name": names.get(one.tool, one.tool),
                "input": one.arguments,
            }
        )
    return found


def _usage(entry: Entry) -> dict[str, Any]:
    given, said, read, short, long = entry.tokens
    return {
        "input_tokens": given,
        "output_tokens": said,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": short + long,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
    }


def _message(body: dict[str, Any], entry: Entry, turn: Turn) -> dict[str, Any]:
    return {
        "id": entry.message_id,
        "type": "message",
        "role": "assistant",
        "model": entry.model,
        "content": _content(entry, turn, tuple(body.get("tools") or ())),
        "stop_reason": "tool_use" if turn.uses else "end_turn",
        "stop_sequence": None,
        "usage": _usage(entry),
    }


def _stream(
    body: dict[str, Any], entry: Entry, turn: Turn, tools: tuple[dict[str, Any], ...]
) -> list[dict[str, Any]]:
    """Text and arguments come in pieces, with a ping between; the last two are the end."""
    message = _message(body, entry, turn)
    begun = {**message, "content": [], "stop_reason": None}
    begun["usage"] = {**_usage(entry), "output_tokens": 1}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(_content(entry, turn, tools)):
        if block["type"] == "text":
            start: dict[str, Any] = {"type": "text", "text": ""}
            name, key, whole = "text_delta", "text", block["text"]
        else:
            start = {**block, "input": {}}
            name, key, whole = "input_json_delta", "partial_json", json.dumps(block["input"])
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        for at in range(0, len(whole), 900):
            delta = {"type": name, key: whole[at : at + 900]}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": stop, "usage": _usage(entry)})
    events.append({"type": "message_stop"})
    return events
