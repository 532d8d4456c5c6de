"""A Messages API server for stories: streams, keeps books, fails as the scenario says.

Its books are lines of JSON: one for each request as it comes (`request`), one for each message
(`message_id`, usage) just before its end goes out, one more with `end_sent` false where that
failed. The last line of a message id counts.
"""

import asyncio
import json
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import web

from tests.scripted import agents, conversation, scenario
from tests.scripted.conversation import Talk
from tests.scripted.scenario import Fault, Scenario, Step


class ScriptedServer:
    def __init__(self, script: Path, books: Path) -> None:
        self._script = script
        self._books = books.open("a", buffering=1)
        self._seen: Counter[str | None] = Counter()
        self._news = asyncio.Condition()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_get("/_seen", self._await_seen)
        return app

    async def _await_seen(self, request: web.Request) -> web.Response:
        """Answer when so many requests have come, of any kind or of one."""
        count, kind = int(request.query["count"]), request.query.get("kind")
        async with self._news:
            await self._news.wait_for(lambda: self._count(kind) >= count)
        return web.json_response({"seen": self._count(kind)})

    def _count(self, kind: str | None) -> int:
        return self._seen.total() if kind is None else self._seen[kind]

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw)
        talk = conversation.read(body)
        script = scenario.load(self._script)
        async with self._news:
            self._seen[talk.kind] += 1
            self._news.notify_all()
        fault = self._fault(script, talk.kind)
        self._write(
            {
                "request": self._seen.total(),
                "at": time.time(),
                "kind": talk.kind,
                "model": talk.model,
                "bytes": len(raw),
                "key": request.headers.get("x-api-key"),
                "fault": fault.mode if fault else None,
            }
        )
        if fault is not None and fault.mode == "hang":
            await asyncio.Event().wait()
        if fault is not None and fault.mode == "status":
            error = {"type": "api_error", "message": fault.message}
            return web.json_response(
                {"type": "error", "error": error}, status=fault.status, headers=fault.headers
            )
        await asyncio.sleep(script.latency)
        step = agents.answer(talk, script)
        message_id = f"msg_{uuid4().hex}"
        usage = _usage(raw, script)
        entry = {"message_id": message_id, "model": talk.model, "kind": talk.kind, **usage}
        if not body.get("stream"):
            self._write({**entry, "end_sent": True})
            return web.json_response(_message(message_id, talk, step, usage))
        return await self._stream(request, entry, talk, step, usage, cut=fault is not None)

    async def _stream(
        self,
        request: web.Request,
        entry: dict[str, Any],
        talk: Talk,
        step: Step,
        usage: dict[str, int],
        *,
        cut: bool,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for event in _opening(entry["message_id"], talk, step, usage):
            await response.write(_line(event))
        if cut:
            assert request.transport is not None
            request.transport.close()
            return response
        self._write({**entry, "end_sent": True})
        stop = {"stop_reason": _stop_reason(step), "stop_sequence": None}
        try:
            await response.write(
                _line({"type": "message_delta", "delta": stop, "usage": usage})
                + _line({"type": "message_stop"})
            )
        except ConnectionError:
            self._write({**entry, "end_sent": False})
            raise
        return response

    def _fault(self, script: Scenario, kind: str | None) -> Fault | None:
        for fault in script.faults:
            if fault.kind in (None, kind) and fault.first <= self._count(fault.kind) <= fault.last:
                return fault
        return None

    def _write(self, line: dict[str, Any]) -> None:
        self._books.write(json.dumps(line) + "\n")


def _usage(raw: bytes, script: Scenario) -> dict[str, int]:
    """Figures that differ from request to request, so that a mixed-up row shows."""
    digest = zlib.crc32(raw)
    return {
        "input_tokens": 3 + digest % 97,
        "cache_read_input_tokens": min(len(raw) // 4, script.largest_context) + script.inflation,
        "cache_creation_input_tokens": digest % 389,
        "output_tokens": script.output_tokens + digest % 7,
    }


def _message(message_id: str, talk: Talk, step: Step, usage: dict[str, int]) -> dict[str, Any]:
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": talk.model,
        "content": _content(message_id, talk, step),
        "stop_reason": _stop_reason(step),
        "stop_sequence": None,
        "usage": usage,
    }


def _content(message_id: str, talk: Talk, step: Step) -> list[dict[str, Any]]:
    return [
        {"type": "text", "text": step.words},
        *(
            {
                "type": "tool_use",
                "id": f"toolu_{message_id[-20:]}_{number}",
                "name": talk.full_name(call.tool),
                "input": call.arguments,
            }
            for number, call in enumerate(step.calls)
        ),
    ]


def _stop_reason(step: Step) -> str:
    return "tool_use" if step.calls else "end_turn"


def _opening(
    message_id: str, talk: Talk, step: Step, usage: dict[str, int]
) -> Iterator[dict[str, Any]]:
    message = _message(message_id, talk, step, {**usage, "output_tokens": 1})
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}
    for index, block in enumerate(_content(message_id, talk, step)):
        if block["type"] == "text":
            begun: dict[str, Any] = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            begun = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}


def _line(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
