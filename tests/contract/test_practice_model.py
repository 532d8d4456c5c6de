"""The practice model as a server: what the Messages API promises, its pace, its end."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from adapters.practice.server import practice_model

NEXT = {"name": "mcp__autocoder__task_get_next", "input_schema": {"type": "object"}}
REQUEST: dict[str, Any] = {
    "model": "claude-sonnet-5",
    "max_tokens": 1000,
    "system": "You are the coder of autocoder.",
    "tools": [NEXT],
    "messages": [{"role": "user", "content": "Begin."}],
}
STREAMED = {**REQUEST, "stream": True}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=20)
    async with practice_model() as url, aiohttp.ClientSession(url, timeout=timeout) as session:
        yield session


async def post(http: aiohttp.ClientSession, body: Any) -> tuple[int, Any]:
    async with http.post("/v1/messages", params={"beta": "true"}, json=body) as response:
        return response.status, await response.json()


async def stream(http: aiohttp.ClientSession, body: Any) -> list[dict[str, Any]]:
    async with http.post("/v1/messages?beta=true", json=body) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        assert response.headers["request-id"].startswith("req_")
        text = await response.text()
    events = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def assembled(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The content blocks a client puts together; the order of events is held to on the way."""
    assert events[0]["type"] == "message_start"
    assert [e["type"] for e in events[-2:]] == ["message_delta", "message_stop"]
    blocks: list[dict[str, Any]] = []
    arguments = ""
    is_open = False
    for event in events[1:-2]:
        match event["type"]:
            case "ping":
                pass
            case "content_block_start":
                assert not is_open
                assert event["index"] == len(blocks)
                blocks.append(dict(event["content_block"]))
                is_open, arguments = True, ""
            case "content_block_delta":
                assert is_open
                assert event["index"] == len(blocks) - 1
                if event["delta"]["type"] == "text_delta":
                    blocks[-1]["text"] += event["delta"]["text"]
                else:
                    arguments += event["delta"]["partial_json"]
            case "content_block_stop":
                assert is_open
                is_open = False
                if blocks[-1]["type"] == "tool_use":
                    blocks[-1]["input"] = json.loads(arguments)
            case other:
                pytest.fail(f"unexpected event {other}")
    assert not is_open
    return blocks


async def test_events_come_in_the_order_of_the_api(http: aiohttp.ClientSession) -> None:
    events = await stream(http, STREAMED)
    message = events[0]["message"]
    assert message["content"] == []
    assert message["stop_reason"] is None
    assert message["role"] == "assistant"
    assert message["model"] == "claude-sonnet-5"
    assert message["usage"]["output_tokens"] == 1
    assert "ping" in [event["type"] for event in events]
    text, call = assembled(events)
    assert text["text"].startswith("[practice] ")
    assert (call["name"], call["input"]) == ("mcp__autocoder__task_get_next", {})
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    assert events[-2]["usage"]["output_tokens"] > 1


async def test_whole_and_streamed_answers_are_the_same(http: aiohttp.ClientSession) -> None:
    status, whole = await post(http, REQUEST)
    events = await stream(http, STREAMED)
    assert status == 200
    blocks = assembled(events)
    for block in (*blocks, *whole["content"]):
        block.pop("id", None)
    assert whole["content"] == blocks
    assert whole["stop_reason"] == events[-2]["delta"]["stop_reason"]
    assert whole["usage"] == {
        **events[0]["message"]["usage"],
        "output_tokens": events[-2]["usage"]["output_tokens"],
    }


async def test_a_turn_without_tools_ends(http: aiohttp.ClientSession) -> None:
    _, message = await post(http, {**REQUEST, "system": "Be brief."})
    assert message["stop_reason"] == "end_turn"
    assert message["content"][0]["text"].startswith("[practice] ")


async def test_a_growing_prefix_is_read_from_the_cache(http: aiohttp.ClientSession) -> None:
    first = {**REQUEST, "system": REQUEST["system"] + "\n" + "rule " * 2000}
    _, one = await post(http, first)
    talk = [
        *first["messages"],
        {"role": "assistant", "content": one["content"]},
        {"role": "user", "content": "And now? " * 400},
    ]
    _, two = await post(http, {**first, "messages": talk})
    usage, later = one["usage"], two["usage"]
    assert usage["cache_read_input_tokens"] == 0
    assert usage["cache_creation_input_tokens"] > 2000
    assert later["cache_read_input_tokens"] == usage["cache_creation_input_tokens"]
    assert 500 < later["cache_creation_input_tokens"] < 2000
    for figures in (usage, later):
        written = figures["cache_creation"]
        assert written["ephemeral_5m_input_tokens"] == figures["cache_creation_input_tokens"]
        assert written["ephemeral_1h_input_tokens"] == 0
    async with http.post("/v1/messages/count_tokens", json=first) as response:
        total = usage["input_tokens"] + usage["cache_creation_input_tokens"]
        assert (await response.json())["input_tokens"] == total


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"model": "m"}', b'{"model": "m", "messages": []}'],
)
async def test_a_malformed_request_is_named(http: aiohttp.ClientSession, body: bytes) -> None:
    async with http.post("/v1/messages", data=body) as response:
        answer = await response.json()
        assert response.status == 400
        assert answer["type"] == "error"
        assert answer["request_id"] == response.headers["request-id"]
        assert answer["error"]["type"] == "invalid_request_error"
        assert answer["error"]["message"]


async def test_only_a_coder_takes_its_time() -> None:
    """One watches its steps; whoever talks with the others shall not wait."""
    async with practice_model(latency=0.5) as url, aiohttp.ClientSession(url) as http:
        for kind, waits in (("coder", True), ("interviewer", False)):
            began = time.monotonic()
            body = {**STREAMED, "system": f"You are the {kind} of autocoder."}
            assert assembled(await stream(http, body))
            assert (time.monotonic() - began >= 0.5) is waits


async def test_every_answer_has_an_id_of_its_own(http: aiohttp.ClientSession) -> None:
    whole = [(await post(http, REQUEST))[1]["id"] for _ in range(2)]
    streamed = [(await stream(http, STREAMED))[0]["message"]["id"] for _ in range(2)]
    assert len({*whole, *streamed}) == 4


async def test_its_end_waits_for_no_request() -> None:
    body = json.dumps({**REQUEST, "stream": True}).encode()
    async with practice_model(latency=60) as url:
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v1/messages HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await asyncio.sleep(0.3)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert await reader.read() == b""
    writer.close()
