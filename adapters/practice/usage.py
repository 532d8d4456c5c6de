"""Token figures for a scripted answer, derived from sizes (about 4 characters a token).

As with the real API and a client that marks its prefix: what an earlier request of the same
conversation held is read from the cache, what is new is written to it for five minutes, and a
few tokens after the last mark are plain input.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

CHARACTERS_PER_TOKEN = 4
UNCACHED_TOKENS = 4
SMALLEST_CACHED_PREFIX = 1024


@dataclass(frozen=True)
class Usage:
    """Tokens of one message."""

    input: int
    cache_read: int
    cache_write_5m: int
    output: int

    def as_start(self) -> dict[str, object]:
        """The usage of `message_start`: one output token so far."""
        return {**self.as_whole(), "output_tokens": 1}

    def as_delta(self) -> dict[str, object]:
        """The usage of `message_delta`: cumulative, without the breakdown by cache lifetime."""
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.cache_write_5m,
            "cache_read_input_tokens": self.cache_read,
            "output_tokens": self.output,
        }

    def as_whole(self) -> dict[str, object]:
        """The usage of a message that is not streamed."""
        return {
            **self.as_delta(),
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_write_5m,
                "ephemeral_1h_input_tokens": 0,
            },
            "service_tier": "standard",
        }


def input_tokens(body: Mapping[str, object]) -> int:
    """Tokens of a whole request, as `count_tokens` answers."""
    return _tokens([body.get("system"), body.get("tools"), body.get("messages")])


def measure(body: Mapping[str, object], answer_characters: int) -> Usage:
    """The usage of an answer of so many characters to this request."""
    messages = body.get("messages")
    history = messages if isinstance(messages, list) else []
    total = input_tokens(body)
    last_answer = max(
        (i for i, m in enumerate(history) if isinstance(m, dict) and m.get("role") == "assistant"),
        default=None,
    )
    known = 0
    if last_answer is not None:
        earlier = {**body, "messages": history[:last_answer]}
        known = max(0, input_tokens(earlier) - UNCACHED_TOKENS)
    if known < SMALLEST_CACHED_PREFIX:
        known = 0
    rest = total - known
    written = rest - UNCACHED_TOKENS if total >= SMALLEST_CACHED_PREFIX else 0
    written = max(0, written)
    return Usage(
        input=rest - written,
        cache_read=known,
        cache_write_5m=written,
        output=max(1, -(-answer_characters // CHARACTERS_PER_TOKEN)),
    )


def _tokens(value: object) -> int:
    return max(1, len(json.dumps(value, ensure_ascii=False)) // CHARACTERS_PER_TOKEN)
