"""The gateway against model servers that behave, and such that do not."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from adapters.claude.answers import EventSplitter, UsageReader
from adapters.claude.gateway import Credential, CredentialKind, Door, Gateway, _proxy
from core.domain.money import MessageUsage, Tokens
from core.errors import StorageFailed
from core.ports.agents import LimitReport, Refusal, RefusalReason
from tests.contract.agent_parts import MemoryLedger
from tests.contract.scripted_model import Say, events

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MESSAGE = {"model": "claude-sonnet-5", "stream": True, "messages": []}


def sse(parts: Iterable[dict[str, Any]], end: str = "\n") -> bytes:
    lines = (f"event: {part['type']}{end}data: {json.dumps(part)}{end}{end}" for part in parts)
    return "".join(lines).encode()


@dataclass
class Setting:
    """A gateway with one door, an upstream, and a client at the door."""

    gateway: Gateway
    ledger: MemoryLedger
    door: Door
    client: aiohttp.ClientSession
    seen: list[web.Request] = field(default_factory=list)

    def post(
        self, path: str = "/v1/messages?beta=true", body: object = None, **headers: str
    ) -> Any:
        return self.client.post(
            f"http://door{path}",
            json=MESSAGE if body is None else body,
            headers={"x-api-key": self.door.placeholder, **headers},
        )


Open = Callable[..., Awaitable[Setting]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def serve(handler: Handler) -> str:
            app = web.Application(client_max_size=100 * 1024**2)
            app.router.add_route("*", "/{tail:.*}", handler)
            runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return f"http://127.0.0.1:{runner.addresses[0][1]}"

        async def build(
            handler: Handler,
            credential: Credential | None = None,
            ledger: MemoryLedger | None = None,
            **limits: float,
        ) -> Setting:
            seen: list[web.Request] = []

            async def watched(request: web.Request) -> web.StreamResponse:
                seen.append(request)
                return await handler(request)

            ledger = ledger or MemoryLedger()
            gateway = Gateway(ledger, tmp_path / "run", await serve(watched), credential, **limits)
            stack.push_async_callback(gateway.close)
            door = await gateway.open("home-1")
            assert door.socket is not None
            connector = aiohttp.UnixConnector(str(door.socket))
            client = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            return Setting(gateway, ledger, door, client, seen)

        yield build


def answering(parts: list[bytes], pause: float = 0.0) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
            await asyncio.sleep(pause)
        return response

    return handle


def json_body(value: object, status: int = 200, **headers: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response(value, status=status, headers=headers)

    return handle


GOOD = events(
    Say(
        "hello",
        usage={
            "input_tokens": 100,
            "output_tokens": 1,
            "cache_read_input_tokens": 50,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        },
        final_usage={"output_tokens": 20},
    ),
    "msg_1",
    "claude-sonnet-5-20260101",
)
BOOKED = MessageUsage(
    "msg_1",
    "claude-sonnet-5-20260101",
    "claude-sonnet-5",
    Tokens(input=100, output=20, cache_read=50, cache_write_5m=10, cache_write_1h=20),
)


async def test_a_streamed_message_is_booked_once_with_its_final_usage(opened: Open) -> None:
    setting = await opened(answering([sse(GOOD)]))
    async with setting.post() as answer:
        assert answer.status == 200
        assert await answer.read() == sse(GOOD)
    assert setting.ledger.booked == [("home-1", BOOKED)]
    assert setting.ledger.answers == 1


async def test_the_end_of_a_message_waits_for_its_row_and_nothing_else_waits(opened: Open) -> None:
    released, waiting = asyncio.Event(), asyncio.Event()

    class Slow(MemoryLedger):
        async def book(self, process_id: str, usage: MessageUsage) -> None:
            waiting.set()
            await released.wait()
            await super().book(process_id, usage)

    # One chunk holds the delta and what comes before and after it.
    setting = await opened(answering([sse(GOOD[:2]), sse(GOOD[2:])], 0.05), ledger=Slow())
    async with setting.post() as answer:
        got = b""
        while b"content_block_stop" not in got:
            got += await answer.content.readany()
        await waiting.wait()
        assert b"message_delta" not in got
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer.content.readany(), 0.1)
        assert setting.ledger.booked == []
        released.set()
        got += await answer.content.read()
    assert got == sse(GOOD)
    assert len(setting.ledger.booked) == 1


@pytest.mark.parametrize("size", [1, 2, 5, 64])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_events_may_be_split_anywhere(opened: Open, size: int, end: str) -> None:
    whole = sse(GOOD, end)
    cut = [whole[at : at + size] for at in range(0, len(whole), size)]
    setting = await opened(answering(cut))
    async with setting.post() as answer:
        assert await answer.read() == whole
    assert setting.ledger.booked == [("home-1", BOOKED)]


@given(st.binary(max_size=200), st.integers(1, 20))
def test_no_byte_is_lost_or_made_up(data: bytes, size: int) -> None:
    splitter = EventSplitter()
    out = [
        event for at in range(0, len(data), size) for event in splitter.feed(data[at : at + size])
    ]
    assert b"".join(out) + splitter.rest() == data


async def test_a_whole_body_is_booked_too(opened: Open) -> None:
    body = {"type": "message", "id": "msg_9", "model": "m", "usage": {"input_tokens": 5}}
    setting = await opened(json_body(body))
    async with setting.post(body={"model": "asked"}) as answer:
        assert await answer.json() == body
    [(_, usage)] = setting.ledger.booked
    assert usage == MessageUsage("msg_9", "m", "asked", Tokens(input=5))


async def test_a_stream_cut_before_its_end_counts_nothing_and_is_cut_for_the_cli(
    opened: Open,
) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(sse(GOOD[:-2]))
        await asyncio.sleep(0.02)
        assert request.transport is not None
        request.transport.abort()
        return response

    setting = await opened(cut)
    with pytest.raises(aiohttp.ClientError):
        async with setting.post() as answer:
            await answer.read()
    assert setting.ledger.booked == []
    assert setting.ledger.answers == 0


async def test_counting_tokens_passes_and_counts_nothing(opened: Open) -> None:
    setting = await opened(json_body({"input_tokens": 17, "usage": {"input_tokens": 1}}))
    async with setting.post("/v1/messages/count_tokens") as answer:
        assert (await answer.json())["input_tokens"] == 17
    assert setting.ledger.booked == []
    assert setting.ledger.admitted == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/files"),
        ("POST", "/v1/complete"),
        ("POST", "/v1/messages/"),
        ("POST", "//v1/messages"),
        ("POST", "/v1/%6dessages/batches"),
        ("GET", "/v1/models"),
        ("GET", "/v1/messages"),
        ("DELETE", "/v1/messages"),
    ],
)
async def test_nothing_else_reaches_the_model_server(opened: Open, method: str, path: str) -> None:
    setting = await opened(json_body({}))
    headers = {"x-api-key": setting.door.placeholder}
    async with setting.client.request(method, f"http://door{path}", headers=headers) as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["type"] == "not_found_error"
    assert setting.seen == []


@pytest.mark.parametrize(
    ("kind", "header", "value"),
    [
        (CredentialKind.API_KEY, "x-api-key", "secret"),
        (CredentialKind.AUTH_TOKEN, "Authorization", "Bearer secret"),
        (CredentialKind.OAUTH_TOKEN, "Authorization", "Bearer secret"),
    ],
)
async def test_the_credential_replaces_the_placeholder(
    opened: Open, kind: CredentialKind, header: str, value: str
) -> None:
    credential = Credential(kind, "secret")
    assert "secret" not in repr(credential)
    setting = await opened(json_body({}), credential)
    bearer = f"Bearer {setting.door.placeholder}"
    async with setting.post(Authorization=bearer, **{"anthropic-beta": "a,b"}) as answer:
        assert answer.status == 200
    [request] = setting.seen
    assert request.headers[header] == value
    assert request.headers["anthropic-beta"] == "a,b"
    assert len({"x-api-key", "authorization"} & {name.lower() for name in request.headers}) == 1
    assert setting.door.placeholder not in str(request.headers)


async def test_another_agents_placeholder_opens_no_door(opened: Open) -> None:
    setting = await opened(json_body({}))
    other = await setting.gateway.open("home-2")
    async with setting.post(**{"x-api-key": other.placeholder}) as answer:
        assert answer.status == 401
    assert setting.seen == []


async def test_a_refusal_asks_nobody_and_is_known_at_the_door(opened: Open) -> None:
    refusal = Refusal(RefusalReason.BUDGET, "The budget is spent.")
    setting = await opened(json_body({}), ledger=MemoryLedger(refusal=refusal))
    async with setting.post() as answer:
        assert answer.status == 403
        assert answer.headers["x-should-retry"] == "false"
        error = (await answer.json())["error"]
    assert error == {"type": "permission_error", "message": "autocoder: The budget is spent."}
    assert setting.seen == []
    assert setting.door.refusal == refusal


@pytest.mark.parametrize("status", [429, 529])
async def test_limits_are_reported_with_their_headers(opened: Open, status: int) -> None:
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "resets 3pm"}}
    unified = {"retry-after": "30", "anthropic-ratelimit-unified-reset": "1790000000"}
    setting = await opened(json_body(error, status, **unified))
    async with setting.post() as answer:
        assert answer.status == status
        assert await answer.json() == error
        assert answer.headers["retry-after"] == "30"
        assert answer.headers["x-should-retry"] == "false"
    [report] = setting.ledger.limits
    assert report == replace(report, status=status, message="resets 3pm")
    assert report.headers.items() >= unified.items()


async def test_an_overload_inside_a_stream_is_a_limit_too(opened: Open) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    setting = await opened(answering([sse([*GOOD[:3], error])]))
    async with setting.post() as answer:
        assert await answer.read() == sse([*GOOD[:3], error])
    assert setting.ledger.limits == [LimitReport(529, {}, "Overloaded")]
    assert setting.ledger.booked == []


async def test_other_errors_are_passed_on_as_they_are(opened: Open) -> None:
    setting = await opened(json_body({"error": {"message": "boom"}}, 500, **{"request-id": "r"}))
    async with setting.post() as answer:
        assert answer.status == 500
        assert answer.headers["request-id"] == "r"
        assert "x-should-retry" not in answer.headers


async def test_an_unreachable_model_server_is_said(opened: Open) -> None:
    setting = await opened(json_body({}))
    setting.gateway.upstream = "http://127.0.0.1:9"
    async with setting.post() as answer:
        assert answer.status == 502
        assert "not reached" in (await answer.json())["error"]["message"]


async def test_a_silent_model_server_is_given_up(opened: Open) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        raise AssertionError

    setting = await opened(hang, idle_s=0.1)
    async with setting.post() as answer:
        assert answer.status == 502


async def test_redirects_are_not_followed(opened: Open) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    setting = await opened(redirect, Credential(CredentialKind.API_KEY, "secret"))
    async with setting.post() as answer:
        assert answer.status == 502
    assert [request.path for request in setting.seen] == ["/v1/messages"]


async def test_a_client_that_hangs_up_ends_the_request_upstream(opened: Open) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    setting = await opened(slow)
    asking = asyncio.ensure_future(
        setting.client.post(
            "http://door/v1/messages", json=MESSAGE, headers={"x-api-key": setting.door.placeholder}
        )
    )
    await begun.wait()
    asking.cancel()
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_a_client_that_hangs_up_while_its_row_is_written_does_not_stop_that(
    opened: Open,
) -> None:
    setting = await opened(answering([sse(GOOD)]), ledger=MemoryLedger(book_delay=0.2))
    async with setting.post() as answer:
        await answer.content.readany()
        answer.close()
    await setting.gateway.shut(setting.door)
    assert len(setting.ledger.booked) == 1


async def test_what_cannot_be_booked_is_not_passed_on(opened: Open) -> None:
    class Full(MemoryLedger):
        async def book(self, process_id: str, usage: MessageUsage) -> None:
            raise StorageFailed("disk full")

    setting = await opened(answering([sse(GOOD)]), ledger=Full())
    got = b""
    async with setting.post() as answer:
        with suppress(aiohttp.ClientError):
            while chunk := await answer.content.readany():
                got += chunk
        assert answer.content.exception() is not None
    assert b"message_start" in got
    assert b"message_delta" not in got
    assert setting.door.trouble == "disk full"


async def test_large_requests_and_answers_pass(opened: Open) -> None:
    size = 32 * 1024**2

    async def echo(request: web.Request) -> web.StreamResponse:
        found = {"size": len(await request.read()), "text": "x" * size}
        return web.Response(body=io.BytesIO(json.dumps(found).encode()))

    setting = await opened(echo)
    body = io.BytesIO(json.dumps({"text": "x" * size}).encode())
    headers = {"x-api-key": setting.door.placeholder}
    async with setting.client.post("http://door/v1/messages", data=body, headers=headers) as answer:
        value = json.loads(await answer.read())
    assert value["size"] > size
    assert len(value["text"]) == size


async def test_bytes_are_a_sign_of_life(opened: Open) -> None:
    setting = await opened(answering([sse(GOOD[:1])] * 3, 0.05))
    before = setting.door.last_activity
    async with setting.post() as answer:
        await answer.read()
    assert setting.door.last_activity > before + 0.08


async def test_a_door_on_loopback_serves_where_there_is_no_socket(opened: Open) -> None:
    setting = await opened(json_body({}))
    door = await setting.gateway.open("home-2", tcp=True)
    url = f"http://127.0.0.1:{door.port}/v1/messages"
    async with aiohttp.ClientSession() as client:
        async with client.post(url, json=MESSAGE) as answer:
            assert answer.status == 401
        headers = {"Authorization": f"Bearer {door.placeholder}"}
        async with client.post(url, json=MESSAGE, headers=headers) as answer:
            assert answer.status == 200


def test_proxies_are_for_other_hosts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "inner.example")
    assert _proxy("https://api.anthropic.com") == "http://proxy:3128"
    assert _proxy("https://inner.example/x") is None
    for url in ("http://127.0.0.1:8", "http://localhost:8", "http://[::1]:8", "http://127.9.9.9"):
        assert _proxy(url) is None


LIES: list[tuple[object, Tokens]] = [
    (None, Tokens()),
    ({}, Tokens()),
    ("many", Tokens()),
    ([1, 2], Tokens()),
    ({"input_tokens": -5, "output_tokens": "20"}, Tokens()),
    ({"input_tokens": True, "output_tokens": None}, Tokens()),
    ({"input_tokens": 1.5, "output_tokens": 20.0}, Tokens(output=20)),
    ({"input_tokens": float("nan"), "output_tokens": float("inf")}, Tokens()),
    ({"input_tokens": 10**30}, Tokens(input=10_000_000)),
    ({"cache_creation_input_tokens": 7}, Tokens(cache_write_5m=7)),
    ({"cache_creation_input_tokens": 7, "cache_creation": None}, Tokens(cache_write_5m=7)),
    (
        {"cache_creation_input_tokens": 7, "cache_creation": {"ephemeral_1h_input_tokens": 4}},
        Tokens(cache_write_5m=3, cache_write_1h=4),
    ),
    ({"cache_creation": {"ephemeral_1h_input_tokens": 4}}, Tokens(cache_write_1h=4)),
]


@pytest.mark.parametrize(("usage", "tokens"), LIES)
async def test_lies_about_usage_are_not_believed(
    opened: Open, usage: object, tokens: Tokens
) -> None:
    lying = [dict(part) for part in GOOD]
    lying[0] = {"type": "message_start", "message": {"id": 5, "model": ["x"], "usage": usage}}
    lying[-2] = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    setting = await opened(answering([sse(lying)]))
    for _ in range(2):
        async with setting.post() as answer:
            await answer.read()
    ids = [booked.message_id for _, booked in setting.ledger.booked]
    assert ids == ["local-home-1-1", "local-home-1-2"]
    assert {booked.tokens for _, booked in setting.ledger.booked} == {tokens}
    assert {booked.model for _, booked in setting.ledger.booked} == {"claude-sonnet-5"}


@pytest.mark.parametrize(
    "body",
    [
        b"data: {not json\n\n",
        b"data: []\n\ndata: 7\n\n",
        b"\x00\xff\xfe garbage without end",
        b"event: message_delta\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
        b'data: {"type": ["message_delta"]}\n\n',
        b'data: {"type": "error", "error": {"type": ["x"]}}\n\n',
        b"",
    ],
)
async def test_nonsense_is_passed_on_and_counts_nothing(opened: Open, body: bytes) -> None:
    setting = await opened(answering([body]))
    async with setting.post() as answer:
        assert await answer.read() == body
    assert setting.ledger.booked == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"usage"', b'{"a": 1}', b"\xff"])
async def test_nonsense_bodies_are_passed_on_and_count_nothing(opened: Open, body: bytes) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    setting = await opened(handle)
    async with setting.post() as answer:
        assert await answer.read() == body
    assert setting.ledger.booked == []


async def test_an_endless_event_is_cut(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.claude.answers._LONGEST_EVENT", 10_000)
    setting = await opened(answering([b"data: " + b"x" * 4096] * 4, 0.01))
    with pytest.raises(aiohttp.ClientError):
        async with setting.post() as answer:
            await answer.read()


async def test_a_delta_without_a_reason_is_booked_at_the_end_of_the_message(opened: Open) -> None:
    first = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 3}}
    second = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9}}
    setting = await opened(answering([sse([*GOOD[:-2], first, second, GOOD[-1]])]))
    async with setting.post() as answer:
        await answer.read()
    [(_, usage)] = setting.ledger.booked
    assert usage.tokens.output == 9


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.sampled_from(
    [
        "input_tokens",
        "output_tokens",
        "cache_creation",
        "cache_creation_input_tokens",
        "server_tool_use",
    ]
)


@given(st.dictionaries(names, json_values), st.dictionaries(names, json_values))
def test_usage_is_always_something_that_can_be_stored(
    start: dict[str, Any], delta: dict[str, Any]
) -> None:
    reader = UsageReader("m", "local-1")
    reader.message({"id": "x\n\0y", "usage": start}, final=False)
    reader.delta({"usage": delta})
    usage = reader.usage()
    tokens = usage.tokens
    counts = (tokens.input, tokens.output, tokens.cache_read, tokens.cache_write_5m)
    assert all(0 <= count <= 10_000_000 for count in (*counts, tokens.cache_write_1h))
    assert usage.message_id == "xy"
