"""A Messages API request as the scripted agents see it: prompts, and turns since the last one.

Written apart from the practice model's reading on purpose: two readings of the same requests
that come to different ends are a finding.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_KIND = re.compile(r"You are the ([a-z]+) of autocoder\.")
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)


@dataclass(frozen=True)
class Exchange:
    """A tool call and what came back; `result` is None where a kill came between."""

    tool: str  # without the server's prefix
    arguments: dict[str, Any]
    result: str | None
    failed: bool

    def data(self) -> dict[str, Any]:
        """The result as a JSON object; empty if it is none."""
        try:
            value = json.loads(self.result or "")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


Turn = tuple[Exchange, ...]  # what one answer of the model asked for


@dataclass(frozen=True)
class Part:
    """Words of the service or of a person, and the model's answers to them."""

    prompt: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Talk:
    """One request."""

    model: str
    kind: str | None  # None: the CLI asks for itself
    tools: tuple[str, ...]  # full names
    prompt: str  # the newest words of the service or of a person
    turns: tuple[Turn, ...]  # answers of the model since
    earlier: tuple[Part, ...] = ()  # what came before that, oldest first

    def full_name(self, tool: str) -> str:
        """The name under which a tool is offered; the short one if it is not offered."""
        return next((name for name in self.tools if name.rsplit("__", 1)[-1] == tool), tool)


def read(body: dict[str, Any]) -> Talk:
    prompt, turns, calls = "", list[list[dict[str, Any]]](), list[dict[str, Any]]()
    parts: list[tuple[str, list[list[dict[str, Any]]]]] = []
    results: dict[str, tuple[str, bool]] = {}
    for message in body["messages"]:
        blocks = _blocks(message["content"])
        if message["role"] == "assistant":
            calls += [block for block in blocks if block["type"] == "tool_use"]
            continue
        if message["role"] != "user":
            continue  # reminders that the CLI puts between messages
        if calls:
            turns.append(calls)
            calls = []
        for block in blocks:
            if block["type"] == "tool_result":
                text = _text(_blocks(block.get("content") or ""))
                results[block["tool_use_id"]] = text, block.get("is_error") is True
        said = _text(blocks)
        if said:
            parts.append((prompt, turns))
            prompt, turns = said, []
    return Talk(
        model=body["model"],
        kind=_kind(body.get("system") or ""),
        tools=tuple(tool["name"] for tool in body.get("tools") or ()),
        prompt=prompt,
        turns=_turns(turns, results),
        earlier=tuple(Part(words, _turns(done, results)) for words, done in parts if words),
    )


def _turns(
    turns: Iterable[Iterable[dict[str, Any]]], results: dict[str, tuple[str, bool]]
) -> tuple[Turn, ...]:
    return tuple(tuple(_exchanges(turn, results)) for turn in turns)


def _exchanges(
    calls: Iterable[dict[str, Any]], results: dict[str, tuple[str, bool]]
) -> Iterable[Exchange]:
    for call in calls:
        result, failed = results.get(call["id"], (None, False))
        yield Exchange(call["name"].rsplit("__", 1)[-1], call["input"], result, failed)


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(blocks: list[dict[str, Any]]) -> str:
    texts = (block["text"] for block in blocks if block["type"] == "text")
    return _REMINDER.sub("", "\n".join(texts)).strip()


def _kind(system: Any) -> str | None:
    found = _KIND.search(_text(_blocks(system)))
    return found[1] if found else None
