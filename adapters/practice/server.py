"""The HTTP face of the practice model: `POST /v1/messages`, `POST /v1/messages/count_tokens`."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from aiohttp import web

from adapters.practice import wire
from adapters.practice.agents import answer
from adapters.practice.conversation import parse
from adapters.practice.usage import input_tokens, measure

LARGEST_REQUEST = 64 * 2**20  # bytes; the real API takes 32 MB
WATCHED = "coder"  # the kind of agent whose steps one watches; nobody shall wait for the others


@asynccontextmanager
async def practice_model(*, latency: float = 0) -> AsyncIterator[str]:
    """Serves on a free port of the loopback address; its base URL (for ANTHROPIC_BASE_URL).

    `latency` is the seconds that it takes for each answer to a coder.
    """
    runner = web.AppRunner(
        PracticeServer(latency=latency).app(),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=0.1,  # 0 waits for the end of every request
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class PracticeServer:
    """Answers requests; knows nothing from one to the next."""

    def __init__(self, *, latency: float = 0) -> None:
        self._latency = latency  # seconds before each answer to a coder

    def app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_REQUEST)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/v1/messages/count_tokens", self._count_tokens)
        return app

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        try:
            body = json.loads(await request.read())
            talk = parse(body)
        except ValueError as error:
            return _refusal(error)
        reply = answer(talk)
        usage = measure(body, wire.answer_size(reply))
        if talk.kind == WATCHED:
            await asyncio.sleep(self._latency)
        if body.get("stream") is not True:
            return _whole(200, wire.whole_message(talk, reply, usage))
        headers = {**_headers("text/event-stream; charset=utf-8"), "cache-control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for event in wire.events(talk, reply, usage):
            await response.write(event)
        await response.write_eof()
        return response

    async def _count_tokens(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read())
            parse(body)
        except ValueError as error:
            return _refusal(error)
        return web.json_response({"input_tokens": input_tokens(body)})


def _refusal(error: ValueError) -> web.Response:
    wrong = {"type": "invalid_request_error", "message": str(error)}
    return _whole(400, {"type": "error", "error": wrong})


def _whole(status: int, body: dict[str, Any]) -> web.Response:
    headers = _headers("application/json")
    if status != 200:
        body = {**body, "request_id": headers["request-id"]}
    return web.Response(status=status, body=json.dumps(body).encode(), headers=headers)


def _headers(content_type: str) -> dict[str, str]:
    return {"content-type": content_type, "request-id": f"req_{uuid4().hex[:24]}"}
