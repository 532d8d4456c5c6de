"""A Messages API server whose answers a test writes, request by request."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    size: int

    @property
    def last(self) -> str:
        """The text of the newest user message or tool result."""
        content = self.body["messages"][-1]["content"]
        if isinstance(content, str):
            return content
        parts = []
        for block in content:
            inner = block.get("content", block.get("text", ""))
            parts.append(
                inner if isinstance(inner, str) else "".join(part.get("text", "") for part in inner)
            )
        return "\n".join(parts)

    @property
    def turns(self) -> int:
        """How many answers of the model this conversation holds already."""
        return sum(1 for message in self.body["messages"] if message["role"] == "assistant")


@dataclass(frozen=True)
class Use:
    """A tool use in an answer."""

    name: str
    input: dict[str, Any]


@dataclass(frozen=True)
class Say:
    """One answer: words, then tool uses."""

    text: str = ""
    uses: tuple[Use, ...] = ()
    usage: dict[str, Any] = field(default_factory=lambda: {"input_tokens": 100})
    final_usage: dict[str, Any] = field(default_factory=lambda: {"output_tokens": 20})
    delay: float = 0.0
    cut: bool = False  # the connection breaks before the message_delta


@dataclass(frozen=True)
class Fail:
    status: int
    kind: str = "api_error"
    message: str = "no"
    headers: dict[str, str] = field(default_factory=dict)


Script = Callable[[Asked], Say | Fail]


def events(say: Say, message_id: str, model: str) -> list[dict[str, Any]]:
    start = {"output_tokens": 1, **say.usage}
    message: dict[str, Any] = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": start,
    }
    found: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    blocks: list[tuple[dict[str, Any], dict[str, Any]]] = []
    if say.text or not say.uses:
        blocks.append(
            ({"type": "text", "text": ""}, {"type": "text_delta", "text": say.text or "done"})
        )
    for number, use in enumerate(say.uses):
        blocks.append(
            (
                {
                    "type": "tool_use",
                    "id": f"toolu_{message_id[4:]}_{number}",
                    "name": use.name,
                    "input": {},
                },
                {"type": "input_json_delta", "partial_json": json.dumps(use.input)},
            )
        )
    for index, (block, delta) in enumerate(blocks):
        found += [
            {"type": "content_block_start", "index": index, "content_block": block},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    reason = "tool_use" if say.uses else "end_turn"
    found += [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": say.final_usage,
        },
        {"type": "message_stop"},
    ]
    return found


class ScriptedModel:
    """The server: `script` answers each request, `asked` keeps what came."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.url = ""
        self.cancelled = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else {}
        asked = Asked(request.path_qs, dict(request.headers), body, len(raw))
        self.asked.append(asked)
        answer = self.script(asked)
        if isinstance(answer, Fail):
            return web.json_response(
                {"type": "error", "error": {"type": answer.kind, "message": answer.message}},
                status=answer.status,
                headers=answer.headers,
            )
        if answer.delay:
            try:
                await asyncio.sleep(answer.delay)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        message_id = f"msg_{len(self.asked):06}"
        parts = events(answer, message_id, body.get("model", "claude-sonnet-5"))
        if not body.get("stream"):
            content: list[dict[str, Any]] = [{"type": "text", "text": answer.text or "done"}]
            content += [
                {"type": "tool_use", "id": f"toolu_{i}", "name": use.name, "input": use.input}
                for i, use in enumerate(answer.uses)
            ]
            message = dict(parts[0]["message"])
            message["content"] = content
            message["stop_reason"] = "tool_use" if answer.uses else "end_turn"
            message["usage"] = {**answer.usage, **answer.final_usage}
            return web.json_response(message)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            if answer.cut and part["type"] == "message_delta":
                assert request.transport is not None
                request.transport.close()
                return response
            line = f"event: {part['type']}\ndata: {json.dumps(part)}\n\n"
            await response.write(line.encode())
        return response


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[ScriptedModel]:
    model = ScriptedModel(script)
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_route("*", "/{tail:.*}", model.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    model.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield model
    finally:
        await runner.cleanup()
