"""A Messages API request as the scripted agents see it.

Shapes follow https://docs.claude.com/en/api/messages. Of a request only what decides an answer
is kept; everything else (thinking, metadata, cache marks) is ignored.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

_KIND = re.compile(r"^You are the ([a-z_-]+) of autocoder\.", re.MULTILINE)
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)


class MalformedRequest(ValueError):
    """The body is not a Messages API request."""


@dataclass(frozen=True)
class Tool:
    """A tool offered with the request."""

    name: str
    parameters: frozenset[str]


@dataclass(frozen=True)
class Exchange:
    """A tool call of ours and what came back; `result` is None if nothing did (a kill)."""

    tool: str  # without the MCP server's prefix
    arguments: Mapping[str, object]
    result: str | None
    failed: bool
    after: int = 0  # prompts before the call

    @property
    def path(self) -> str:
        """The file the call was about; the CLI may have made it absolute."""
        value = self.arguments.get("file_path")
        return value if isinstance(value, str) else ""

    def concerns(self, path: str) -> bool:
        return self.path == path or self.path.endswith(f"/{path}")

    def answer(self) -> Mapping[str, object]:
        """The result as a JSON object; empty if it is none."""
        try:
            value = json.loads(self.result or "")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Conversation:
    """One request: who is asked, with which tools, after what."""

    model: str
    kind: str | None  # None: not an agent of ours (the CLI asks for itself)
    tools: tuple[Tool, ...]
    prompts: tuple[str, ...]  # what people or the service wrote, oldest first
    exchanges: tuple[Exchange, ...]  # all of them
    recent: tuple[Exchange, ...]  # since the last prompt

    def tool(self, name: str) -> Tool | None:
        """The offered tool of this short name."""
        return next((t for t in self.tools if _short(t.name) == name), None)


@dataclass(frozen=True)
class Call:
    """A tool call to be made, by short name."""

    tool: str
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What the model says: words, then calls; without calls its turn ends."""

    text: str
    calls: tuple[Call, ...] = ()


def parse(body: object) -> Conversation:
    """Read the decoded JSON of a request. Raises MalformedRequest."""
    if not isinstance(body, dict):
        raise MalformedRequest("body: Input should be an object")
    model = body.get("model")
    messages = body.get("messages")
    if not isinstance(model, str) or not model:
        raise MalformedRequest("model: Field required")
    if not isinstance(messages, list) or not messages:
        raise MalformedRequest("messages: at least one message is required")
    prompts: list[str] = []
    calls: dict[str, Exchange] = {}  # by id, oldest first
    since = 0
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("user", "assistant", "system"):
            raise MalformedRequest('messages: role should be "user", "assistant" or "system"')
        blocks = _blocks(message.get("content"))
        if role == "system":
            continue  # reminders that the CLI puts between messages; nobody's prompt
        if role == "assistant":
            calls.update(_calls(blocks, len(prompts)))
            continue
        _give_results(calls, blocks)
        said = _REMINDER.sub("", "\n".join(_texts(blocks))).strip()
        if said:
            prompts.append(said)
            since = len(calls)
    exchanges = tuple(calls.values())
    return Conversation(
        model=model,
        kind=_kind(body.get("system")),
        tools=_tools(body.get("tools")),
        prompts=tuple(prompts),
        exchanges=exchanges,
        recent=exchanges[since:],
    )


def _short(name: str) -> str:
    return name.rsplit("__", 1)[-1]


def _blocks(content: object) -> list[Mapping[str, object]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise MalformedRequest("messages: content should be a string or a list of blocks")
    return [block for block in content if isinstance(block, dict)]


def _texts(blocks: list[Mapping[str, object]]) -> list[str]:
    return [str(block.get("text", "")) for block in blocks if block.get("type") == "text"]


def _kind(system: object) -> str | None:
    if system is None:
        return None
    match = _KIND.search("\n".join(_texts(_blocks(system))))
    return match[1] if match else None


def _tools(offered: object) -> tuple[Tool, ...]:
    if not isinstance(offered, list):
        return ()
    tools = []
    for tool in offered:
        if isinstance(tool, dict) and isinstance(tool.get("name"), str):
            schema = tool.get("input_schema")
            properties = schema.get("properties") if isinstance(schema, dict) else None
            names = frozenset(properties) if isinstance(properties, dict) else frozenset[str]()
            tools.append(Tool(tool["name"], names))
    return tuple(tools)


def _calls(blocks: list[Mapping[str, object]], after: int) -> Iterator[tuple[str, Exchange]]:
    for block in blocks:
        if block.get("type") == "tool_use":
            given = block.get("input")
            arguments = given if isinstance(given, dict) else {}
            tool = _short(str(block.get("name", "")))
            yield str(block.get("id", "")), Exchange(tool, arguments, None, False, after)


def _give_results(calls: dict[str, Exchange], blocks: list[Mapping[str, object]]) -> None:
    for block in blocks:
        call = calls.get(str(block.get("tool_use_id", "")))
        if block.get("type") == "tool_result" and call is not None:
            content = block.get("content")
            text = "" if content is None else "\n".join(_texts(_blocks(content)))
            calls[str(block["tool_use_id"])] = replace(
                call, result=_REMINDER.sub("", text), failed=block.get("is_error") is True
            )
