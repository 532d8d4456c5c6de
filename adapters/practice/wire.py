"""A reply as the Messages API sends it, in one piece or as server-sent events.

Order and fields of the events: https://docs.claude.com/en/api/messages-streaming.
"""

import json
from collections.abc import Iterator
from uuid import uuid4

from adapters.practice.conversation import Call, Conversation, Reply
from adapters.practice.usage import Usage

TEXT_PIECE = 24  # characters in a text delta
JSON_PIECE = 1024  # characters in a delta of a tool's input


def answer_size(reply: Reply) -> int:
    """Characters of a reply, for the usage figures."""
    return len(reply.text) + sum(len(c.tool) + len(json.dumps(c.arguments)) for c in reply.calls)


def whole_message(talk: Conversation, reply: Reply, usage: Usage) -> dict[str, object]:
    """The body of an answer that is not streamed.

    Ids are no part of the answer: the same request asked again gets another one.
    """
    return {
        "id": f"msg_{uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": talk.model,
        "content": _content(talk, reply),
        "stop_reason": _stop_reason(reply),
        "stop_sequence": None,
        "usage": usage.as_whole(),
    }


def events(talk: Conversation, reply: Reply, usage: Usage) -> Iterator[bytes]:
    """The same answer as a stream."""
    message = whole_message(talk, Reply(""), usage)
    message |= {"content": [], "stop_reason": None, "usage": usage.as_start()}
    yield event("message_start", message=message)
    for index, block in enumerate(_content(talk, reply)):
        yield from _block_events(index, block)
        if index == 0:
            yield event("ping")
    yield event(
        "message_delta",
        delta={"stop_reason": _stop_reason(reply), "stop_sequence": None},
        usage=usage.as_delta(),
    )
    yield event("message_stop")


def event(kind: str, **fields: object) -> bytes:
    data = json.dumps({"type": kind, **fields}, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _stop_reason(reply: Reply) -> str:
    return "tool_use" if reply.calls else "end_turn"


def _content(talk: Conversation, reply: Reply) -> list[dict[str, object]]:
    blocks: list[dict[str, object]] = []
    if reply.text:
        blocks.append({"type": "text", "text": reply.text})
    blocks.extend(_tool_use(talk, call) for call in reply.calls)
    return blocks


def _tool_use(talk: Conversation, call: Call) -> dict[str, object]:
    tool = talk.tool(call.tool)
    return {
        "type": "tool_use",
        "id": f"toolu_{uuid4().hex[:24]}",
        "name": tool.name if tool else call.tool,
        "input": dict(call.arguments),
    }


def _block_events(index: int, block: dict[str, object]) -> Iterator[bytes]:
    if block["type"] == "text":
        opened: dict[str, object] = {"type": "text", "text": ""}
        deltas = [
            {"type": "text_delta", "text": piece}
            for piece in _pieces(str(block["text"]), TEXT_PIECE)
        ]
    else:
        opened = {**block, "input": {}}
        deltas = [
            {"type": "input_json_delta", "partial_json": piece}
            for piece in ["", *_pieces(json.dumps(block["input"]), JSON_PIECE)]
        ]
    yield event("content_block_start", index=index, content_block=opened)
    for delta in deltas:
        yield event("content_block_delta", index=index, delta=delta)
    yield event("content_block_stop", index=index)


def _pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]
