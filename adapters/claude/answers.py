"""What the model server's answers say: server-sent events, usage, errors.

Nothing in an answer is trusted. Facts (Messages API): `message_start` carries id, model and the
input's usage; `message_delta` carries cumulative usage, its output the final one; a whole body
carries all of it at once. Decisions about answers that are not so:

- A count that is missing, negative, a boolean, a string or a fraction counts as not given: the
  value of `message_start` stands, else 0. A count above 10,000,000 (ten times any context window)
  is taken as 10,000,000.
- Cache writes: the breakdown by lifetime where given; what `cache_creation_input_tokens` exceeds
  it by is taken as the five-minute kind.
- A message without a usable id gets one made of process and counter (`local-…`). One id that
  comes twice is passed on as it is: it is the same message, and the ledger counts it once.
- Events that are not JSON, or not an object, are passed on and otherwise ignored.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.domain.money import MessageUsage, Tokens

_MOST_TOKENS = 10_000_000
_LONGEST_EVENT = 32 * 1024**2
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_OVERLOADS = {"rate_limit_error": 429, "overloaded_error": 529}


class UnendingEventError(ValueError):
    """An event of the stream does not end."""


class EventSplitter:
    """Cuts a stream of bytes into whole server-sent events, however they arrive."""

    def __init__(self) -> None:
        self._pending = b""
        self._searched = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that this chunk completed, each with its end. Raises UnendingEventError."""
        self._pending += chunk
        events: list[bytes] = []
        begin = 0
        while found := _EVENT_END.search(self._pending, max(begin, self._searched)):
            events.append(self._pending[begin : found.end()])
            begin = self._searched = found.end()
        self._pending = self._pending[begin:]
        self._searched = max(0, len(self._pending) - 3)
        if len(self._pending) > _LONGEST_EVENT:
            raise UnendingEventError("an event of the answer does not end")
        return events

    def rest(self) -> bytes:
        """What came after the last whole event."""
        rest, self._pending, self._searched = self._pending, b"", 0
        return rest


def parse_object(text: bytes) -> dict[str, Any] | None:
    """A JSON object, or None for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def event_data(event: bytes) -> dict[str, Any] | None:
    """The JSON object in an event's data lines, or None."""
    lines = (line for line in event.splitlines() if line.startswith(b"data:"))
    return parse_object(b"\n".join(line[5:] for line in lines))


def error_message(body: bytes) -> str:
    """The words of an error answer, at most 500 characters."""
    value = parse_object(body) or {}
    error = value.get("error")
    words = error.get("message") if isinstance(error, dict) else None
    if not isinstance(words, str) or not words:
        words = body[:2000].decode("utf-8", "replace")
    return words[:500]


def overload_status(event: Mapping[str, Any]) -> int | None:
    """429 or 529 if this is an error event that stands for it, else None."""
    error = event.get("error")
    kind = error.get("type") if isinstance(error, dict) else None
    return _OVERLOADS.get(kind) if isinstance(kind, str) else None


def _count(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return min(value, _MOST_TOKENS)


@dataclass
class UsageReader:
    """Collects the usage of one answer."""

    requested_model: str
    local_id: str
    seen: bool = False  # a final usage has come
    _id: str = ""
    _model: str = ""
    _counts: dict[str, int] = field(default_factory=dict)

    def message(self, message: object, *, final: bool) -> None:
        """Take a message object: that of `message_start`, or (`final`) a whole body."""
        if not isinstance(message, dict):
            return
        if isinstance(message.get("id"), str):
            self._id = message["id"]
        if isinstance(message.get("model"), str):
            self._model = message["model"]
        self._take(message.get("usage"))
        self.seen = self.seen or final

    def delta(self, event: Mapping[str, Any]) -> None:
        """Take a `message_delta`."""
        self._take(event.get("usage"))
        self.seen = True

    def _take(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        lifetimes, tools = usage.get("cache_creation"), usage.get("server_tool_use")
        found = {
            "input": usage.get("input_tokens"),
            "output": usage.get("output_tokens"),
            "read": usage.get("cache_read_input_tokens"),
            "written": usage.get("cache_creation_input_tokens"),
        }
        if isinstance(lifetimes, dict):
            found["5m"] = lifetimes.get("ephemeral_5m_input_tokens")
            found["1h"] = lifetimes.get("ephemeral_1h_input_tokens")
        if isinstance(tools, dict):
            found["searches"] = tools.get("web_search_requests")
        for name, value in found.items():
            count = _count(value)
            if count is not None:
                self._counts[name] = count

    def usage(self) -> MessageUsage:
        count = self._counts.get
        five, hour = count("5m", 0), count("1h", 0)
        tokens = Tokens(
            input=count("input", 0),
            output=count("output", 0),
            cache_read=count("read", 0),
            cache_write_5m=five + max(0, count("written", 0) - five - hour),
            cache_write_1h=hour,
        )
        return MessageUsage(
            message_id=_name(self._id) or self.local_id,
            model=_name(self._model) or self.requested_model,
            requested_model=self.requested_model,
            tokens=tokens,
            web_searches=count("searches", 0),
        )


def _name(text: str) -> str:
    """An id or a model name as we keep it: printable, at most 200 characters."""
    return "".join(letter for letter in text[:200] if letter.isprintable()).strip()
