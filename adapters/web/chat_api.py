"""The chat over HTTP: messages, streams, presses, files (CONTRACT.md §3)."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path as FilePath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Cookie, Form, Header, Path, Query, Request, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response
from sse_starlette import EventSourceResponse

from adapters.web.asking import (
    Inside,
    Person,
    Viewer,
    WantedPart,
    cursor_of,
)
from adapters.web.security import FILE_LIMIT, TooLarge, encoded, trouble
from adapters.web.shapes import (
    CHANNEL,
    TEXT_LIMIT,
    Collection,
    MessageOutcome,
    MessagePage,
    NewMessage,
    NewPress,
    PressDone,
    PressRefused,
)
from adapters.web.stream import PING_S, SEND_TIMEOUT_S, Hub
from core.domain import shapes
from core.domain.messages import Message
from core.domain.shapes import ChannelData, FileData, MessageData
from core.errors import InputError
from core.ports.chat import Outcome

routes = APIRouter(prefix="/api", tags=["chat"])

ChannelName = Annotated[str, Path(pattern=CHANNEL)]
_EVENTS: dict[str, Any] = {"text/event-stream": {"schema": {"type": "string"}}}
_SVG: dict[str, Any] = {"image/svg+xml": {"schema": {"type": "string"}}}
_BYTES: dict[str, Any] = {
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
}
_PICTURES = {  # by their first bytes; SVG is none of them: it may hold a script
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"WEBP": "image/webp",
}
_CHUNK = 256 * 1024  # bytes
_SCHEME = "@media(prefers-color-scheme:dark)"  # as a picture of ours says it
_STATUS = {
    "stale": 409,
    "not_allowed": 403,
    "unknown": 404,
    "missing_values": 422,
    "wrong_value": 422,
    "failed": 500,
}
_HINTS = {
    "stale": "The newest card shows how it stands.",
    "not_allowed": "An admin gives roles: `/autocoder role USER ROLE`.",
    "unknown": "Look at the newest card.",
    "missing_values": "Fill in the form and press again.",
}


def _hub(request: Request) -> Hub:
    hub = request.app.state.hub
    assert isinstance(hub, Hub)
    return hub


@routes.get("/chat")
async def channels(service: Inside, _person: Viewer) -> Collection[ChannelData]:
    """The channels there are, each with its last message and its projects."""
    found = await service.chat.channels()
    lines: list[ChannelData] = [
        {"name": line.name, "last_message": line.last_message, "projects": line.projects}
        for line in found
    ]
    return {"items": lines, "next": None}


@routes.post("/chat/presses", responses={409: {"model": PressRefused}}, response_model=PressDone)
async def press(body: NewPress, service: Inside, person: Person) -> JSONResponse:
    """Press a button; its action_id alone says what is meant."""
    begun = time.perf_counter()
    values = {name: tuple(chosen) for name, chosen in (body.values or {}).items()}
    outcome = await service.chat.press(
        person, body.action_id, values, message_id=body.message_id, client_id=body.client_id
    )
    service.health.acknowledged(time.perf_counter() - begun)
    return press_answer(outcome)


def press_answer(outcome: Outcome) -> JSONResponse:
    """200, or what forbids it: a refused press is an error like every other one, and says more."""
    if outcome.ok:
        return JSONResponse({"ok": True, "text": outcome.text})
    refused: dict[str, Any] = {
        "ok": False,
        "reason": outcome.reason,
        "text": outcome.text,
        "error": outcome.reason,
        "message": outcome.text,
        "hint": _HINTS.get(outcome.reason, ""),
    }
    if outcome.reason == "missing_values":
        refused["form"] = shapes.form(outcome.form) if outcome.form else None
    return JSONResponse(refused, _STATUS.get(outcome.reason, 409))


@routes.post("/chat/{channel}/messages", status_code=201)
async def say(
    channel: ChannelName, body: NewMessage, service: Inside, person: Person, request: Request
) -> MessageData:
    """Say something; it is durable when this answers, effects follow as messages."""
    begun = time.perf_counter()
    if len(body.text) > TEXT_LIMIT:
        raise TooLarge(TEXT_LIMIT, "characters")
    if not any(char.isprintable() and not char.isspace() for char in body.text):
        raise InputError("The message is blank.", hint="Write something.")
    message = await service.chat.say(
        channel,
        person,
        body.text,
        thread=body.thread,
        files=body.files,
        client_id=body.client_id,
    )
    service.health.acknowledged(time.perf_counter() - begun)
    _hub(request).changed(channel)
    return shapes.message(message)


@routes.get(
    "/chat/{channel}/messages", response_model=None, responses={200: {"model": MessagePage}}
)
async def messages(
    channel: ChannelName,
    service: Inside,
    part: WantedPart,
    person: Viewer,
    after: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
    before: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
    thread: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
    newest: bool = False,
) -> Response:
    """Messages with a greater id than `after`, in their current state, oldest first.

    With `newest`, `before` or `thread` the newest ones there, for a page that scrolls up;
    `changed` is where a stream goes on: `stream?since=`.
    """
    changed = await service.chat.last_change()
    if newest or before is not None or thread is not None:
        found = await service.chat.before(
            channel, person, before_id=before, thread=thread, limit=part.limit
        )
        return _page(found, None, changed)
    found = await service.chat.after(
        channel, person, after_id=max(after or 0, part.after), limit=part.limit + 1
    )
    more = len(found) > part.limit
    kept = found[: part.limit]
    return _page(kept, cursor_of(kept[-1].id) if more else None, changed)


def _page(messages: Sequence[Message], rest: str | None, changed: int) -> Response:
    """Encoded once: a thousand cards would else be looked through twice."""
    items = [shapes.message(message) for message in messages]
    page: MessagePage = {"items": items, "next": rest, "changed": changed}
    return Response(encoded(page).encode("utf-8", "replace"), media_type="application/json")


@routes.get("/chat/{channel}/messages/{message_id}/outcome")
async def outcome(
    channel: ChannelName,
    message_id: Annotated[int, Path(ge=0, lt=2**62)],
    service: Inside,
    person: Person,
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
) -> MessageOutcome:
    """What came of one's own message: `done` once it was acted upon and its answers stand.

    Whatever one's role: who may nothing else may ask for help, and hears the answer here.
    """
    found = await service.chat.echo(channel, message_id, person, wait=wait)
    told = found.outcome
    return {
        "done": found.complete,
        "ok": told.ok if told else None,
        "reason": told.reason if told else "",
        "text": told.text if told else "",
        "answers": [shapes.message(message) for message in found.answers],
    }


@routes.get(
    "/chat/{channel}/stream",
    response_class=EventSourceResponse,
    responses={200: {"description": "`data` is a Message.", "content": _EVENTS}},
)
async def stream(
    channel: ChannelName,
    person: Viewer,
    request: Request,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
    since: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
) -> EventSourceResponse:
    """Posts and edits as server-sent events, from `Last-Event-ID`, from `since`, or from now."""
    begin = since
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        begin = min(int(last_event_id), 2**62)
    return EventSourceResponse(
        _hub(request).listen(channel, person, begin),
        ping=PING_S,
        send_timeout=SEND_TIMEOUT_S,
    )


@routes.post("/chat/{channel}/files", status_code=201)
async def add_file(
    channel: ChannelName,
    file: UploadFile,
    service: Inside,
    person: Viewer,
    client_id: Annotated[str | None, Form(max_length=100)] = None,
) -> FileData:
    """Keep a file; its bytes are looked at by nobody here, and its type is not believed.

    The same `client_id` again, a field beside the file, is the file that came first.
    """
    if (file.size or 0) > FILE_LIMIT:
        raise TooLarge(FILE_LIMIT)
    line = await service.chat.add_file(
        channel,
        safe_name(file.filename or ""),
        (file.content_type or "application/octet-stream")[:128],
        _pieces(file),
        by=person,
        client_id=client_id,
    )
    return {"id": line.id, "name": line.name, "size": line.size}


@routes.get(
    "/pictures/{sort}/{number}.svg", response_class=Response, responses={200: {"content": _SVG}}
)
async def picture(
    sort: Annotated[str, Path(pattern="^(plan|gate|cost|week|month)$")],
    number: Annotated[int, Path(ge=0, lt=2**62)],
    service: Inside,
    _person: Viewer,
    until: Annotated[date | None, Query(ge=date(2000, 1, 1), le=date(9000, 1, 1))] = None,
    wide: bool = False,
    theme: Annotated[str | None, Cookie(max_length=20)] = None,
) -> Response:
    """What a card draws: a plan's features, a gate's board, a project's cost, its days.

    `week` and `month` are what a project, or with 0 all, spent by day and model `until` a day.
    Light or dark is the browser's to choose, unless a person chose for these pages.
    """
    drawn = await service.chat.picture(sort, number, until=until, wide=wide)
    chosen = {"dark": "@media all", "light": "@media not all"}.get(theme or "", _SCHEME)
    return Response(
        drawn.replace(_SCHEME, chosen, 1),
        media_type="image/svg+xml",
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
            "Cache-Control": "private, max-age=60",
            "Vary": "Cookie",
        },
    )


@routes.get("/files/{file_id}", response_class=FileResponse, responses={200: {"content": _BYTES}})
async def get_file(
    file_id: Annotated[str, Path(pattern=r"^[0-9a-f]{1,64}$")], service: Inside, _person: Viewer
) -> Response:
    """A file as it came, to be saved and never shown: whatever it is, it runs nothing here."""
    stored = await service.chat.file(file_id)
    if not stored.path.is_file():
        return trouble(404, "not_found", "The file's bytes are gone.", "Send it again.")
    name = quote(stored.line.name)
    return FileResponse(
        stored.path,
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f"attachment; filename*=utf-8''{name}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "private, no-store",
        },
    )


@routes.get(
    "/files/{file_id}/picture",
    response_class=FileResponse,
    responses={200: {"content": {kind: {} for kind in _PICTURES.values()}}},
)
async def get_picture(
    file_id: Annotated[str, Path(pattern=r"^[0-9a-f]{1,64}$")], service: Inside, _person: Viewer
) -> Response:
    """A dropped picture, to be shown; what it is its first bytes say, never its name."""
    stored = await service.chat.file(file_id)
    kind = await asyncio.to_thread(_picture_kind, stored.path)
    if kind is None:
        return trouble(404, "not_found", "This is no picture that can be shown.", "Save it.")
    return FileResponse(
        stored.path,
        media_type=kind,
        headers={
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "private, max-age=86400, immutable",
        },
    )


def _picture_kind(path: FilePath) -> str | None:
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError:
        return None
    if head[:4] == b"RIFF":
        head = head[8:]
    return next((kind for magic, kind in _PICTURES.items() if head.startswith(magic)), None)


def safe_name(given: str) -> str:
    """The last part of a name, without what a file system or a terminal takes amiss."""
    last = given.replace("\\", "/").rpartition("/")[2]
    plain = "".join(char for char in last if char.isprintable()).strip().lstrip(".")
    stem, dot, ending = plain.rpartition(".")
    if len(plain) > 120 and dot:
        plain = f"{stem[:100]}.{ending[:19]}"
    return plain[:120] or "file"


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(_CHUNK):
        yield piece
