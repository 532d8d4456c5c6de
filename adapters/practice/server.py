"""The HTTP face of the practice model.

`POST /v1/messages`, `POST /v1/messages/count_tokens`; for tests `GET|POST|DELETE
/practice/faults` and `GET /practice/books`.
"""

import asyncio
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from uuid import uuid4

from aiohttp import web

from adapters.practice import wire
from adapters.practice.agents import answer
from adapters.practice.books import BookEntry, Books
from adapters.practice.conversation import Conversation, MalformedRequest, Reply, parse
from adapters.practice.faults import (
    BadFault,
    ErrorAnswer,
    Fault,
    FaultKind,
    FaultPlan,
    error_of,
    hang,
)
from adapters.practice.usage import Usage, input_tokens, measure

LARGEST_REQUEST = 64 * 2**20  # bytes; the real API takes 32 MB


class PracticeServer:
    """Answers requests; knows nothing from one to the next but its faults and books."""

    def __init__(self, *, latency: float = 0, faults: FaultPlan, books: Books) -> None:
        self._latency = latency  # seconds before each answer
        self._faults = faults
        self._books = books

    def app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_REQUEST)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/v1/messages/count_tokens", self._count_tokens)
        app.router.add_get("/practice/faults", self._get_faults)
        app.router.add_post("/practice/faults", self._post_faults)
        app.router.add_delete("/practice/faults", self._delete_faults)
        app.router.add_get("/practice/books", self._get_books)
        return app

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        fault = self._faults.take()
        if fault is not None and fault.kind is FaultKind.HANG:
            await hang()
        if fault is not None and (refusal := error_of(fault, now=datetime.now(UTC))):
            return _error(refusal)
        try:
            body = json.loads(await request.read())
            talk = parse(body)
        except (MalformedRequest, ValueError) as error:
            return _error(ErrorAnswer(400, "invalid_request_error", str(error), {}))
        reply = answer(talk)
        usage = measure(body, wire.answer_size(reply))
        if self._latency or reply.pause_s:
            await asyncio.sleep(self._latency + reply.pause_s)
        stream = body.get("stream") is True
        entry = _entry(wire.new_message_id(), talk, usage, stream=stream)
        if stream:
            return await self._stream(request, entry, talk, reply, usage, fault)
        return await self._send_whole(request, entry, talk, reply, usage, fault)

    async def _stream(
        self,
        request: web.Request,
        entry: BookEntry,
        talk: Conversation,
        reply: Reply,
        usage: Usage,
        fault: Fault | None,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=_headers("text/event-stream; charset=utf-8"))
        response.headers["cache-control"] = "no-cache"
        await response.prepare(request)
        events = list(wire.opening_events(entry.message_id, talk, reply, usage))
        if fault is not None:
            await response.write(b"".join(events[: max(2, len(events) // 2)]))
            return self._cut(request, response, entry)
        for event in events:
            await response.write(event)
        self._books.write(entry)
        try:
            await response.write(b"".join(wire.closing_events(reply, usage)))
            await response.write_eof()
        except ConnectionError:
            self._books.write(replace(entry, end_sent=False))
            raise
        return response

    async def _send_whole(
        self,
        request: web.Request,
        entry: BookEntry,
        talk: Conversation,
        reply: Reply,
        usage: Usage,
        fault: Fault | None,
    ) -> web.StreamResponse:
        message = wire.whole_message(entry.message_id, talk, reply, usage)
        data = json.dumps(message).encode()
        response = web.StreamResponse(headers=_headers("application/json"))
        response.content_length = len(data)
        await response.prepare(request)
        if fault is not None:
            await response.write(data[: len(data) // 2])
            return self._cut(request, response, entry)
        self._books.write(entry)
        try:
            await response.write(data)
            await response.write_eof()
        except ConnectionError:
            self._books.write(replace(entry, end_sent=False))
            raise
        return response

    def _cut(
        self, request: web.Request, response: web.StreamResponse, entry: BookEntry
    ) -> web.StreamResponse:
        self._books.write(replace(entry, end_sent=False))
        if request.transport is not None:
            # close, not abort: what was written is still delivered, then the stream just stops.
            request.transport.close()
        return response

    async def _count_tokens(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read())
            parse(body)
        except (MalformedRequest, ValueError) as error:
            return _error(ErrorAnswer(400, "invalid_request_error", str(error), {}))
        return web.json_response({"input_tokens": input_tokens(body)})

    async def _get_faults(self, request: web.Request) -> web.Response:
        return web.json_response([fault.as_json() for fault in self._faults.pending])

    async def _post_faults(self, request: web.Request) -> web.Response:
        try:
            given = json.loads(await request.read())
            if not isinstance(given, list):
                raise BadFault("the body is a list of faults")
            faults = [Fault.read(fault) for fault in given]
        except ValueError as error:
            return web.json_response({"error": "bad_fault", "message": str(error)}, status=400)
        self._faults.pending.extend(faults)
        return await self._get_faults(request)

    async def _delete_faults(self, request: web.Request) -> web.Response:
        self._faults.pending.clear()
        return await self._get_faults(request)

    async def _get_books(self, request: web.Request) -> web.Response:
        return web.json_response([asdict(entry) for entry in self._books.entries()])


def _entry(message_id: str, talk: Conversation, usage: Usage, *, stream: bool) -> BookEntry:
    return BookEntry(
        message_id=message_id,
        model=talk.model,
        kind=talk.kind,
        stream=stream,
        input_tokens=usage.input,
        cache_read_input_tokens=usage.cache_read,
        cache_creation_input_tokens=usage.cache_write_5m,
        output_tokens=usage.output,
        end_sent=True,
    )


def _headers(content_type: str) -> dict[str, str]:
    return {"content-type": content_type, "request-id": f"req_{uuid4().hex[:24]}"}


def _error(answer: ErrorAnswer) -> web.Response:
    headers = _headers("application/json")
    body = {
        "type": "error",
        "error": {"type": answer.type, "message": answer.message},
        "request_id": headers["request-id"],
    }
    return web.Response(
        status=answer.status, body=json.dumps(body).encode(), headers={**headers, **answer.headers}
    )
