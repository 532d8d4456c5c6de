"""The chat over HTTP: messages, streams, presses, files."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Cookie, Form, Header, Path, Query, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response
from sqlalchemy.orm import Session
from sse_starlette import EventSourceResponse

from adapters.web.dependencies import Inside, Person, Viewer, WantedPart, as_json, cursor_of
from adapters.web.presses import press_answer, pressed
from adapters.web.security import FILE_LIMIT, TooLarge, trouble
from adapters.web.shapes import (
    CHANNEL,
    TEXT_LIMIT,
    Collection,
    MessagePage,
    NewMessage,
    NewPress,
    PressDone,
    PressRefused,
)
from adapters.web.stream import PING_S, SEND_TIMEOUT_S
from core.domain.cards import Picture, parse_press
from core.errors import InputError
from core.operations import web
from core.ports.chat import Attachment, Outcome, Place, Theme
from core.views import messages as views
from core.views.json import encode
from core.views.messages import MAIN, PLATFORM, ChannelView, MessageView, PostResult

routes = APIRouter(prefix="/api", tags=["chat"])

ChannelName = Annotated[str, Path(pattern=CHANNEL)]
MessageId = Annotated[int, Path(ge=0, lt=2**62)]
_EVENTS: dict[str, Any] = {"text/event-stream": {"schema": {"type": "string"}}}
_SVG: dict[str, Any] = {"image/svg+xml": {"schema": {"type": "string"}}}
_PNG: dict[str, Any] = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
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


@routes.get("/chat")
async def channels(inside: Inside, _person: Viewer) -> Collection[ChannelView]:
    """The channels there are, each with its last message and its projects."""
    return {"items": await inside.door.read(views.channels), "next": None}


@routes.post("/chat/presses", responses={409: {"model": PressRefused}}, response_model=PressDone)
async def press(body: NewPress, inside: Inside, person: Person) -> JSONResponse:
    """Press a button; its action_id alone says what is meant.

    A form without inputs is a question that the client asks first: such a press acts at once.
    """
    begun = time.perf_counter()
    try:
        meant = parse_press(body.action_id)
    except InputError as error:
        return press_answer(Outcome(False, f"{error} {error.hint}", "unknown"))
    read_first = inside.backend.read_first
    place = await read_first(views.place_of, body.message_id) if body.message_id else None
    values = {name: tuple(chosen) for name, chosen in (body.values or {}).items()}
    outcome = await pressed(
        inside, person, meant, place or Place(PLATFORM, MAIN), values, body.client_id
    )
    inside.backend.acknowledged(time.perf_counter() - begun)
    return press_answer(outcome)


@routes.post(
    "/chat/{channel}/messages", status_code=201, response_model=None,
    responses={201: {"model": MessageView}},
)  # fmt: skip
async def say(channel: ChannelName, body: NewMessage, inside: Inside, person: Person) -> Response:
    """Say something; it is durable when this answers, effects follow as messages."""
    begun = time.perf_counter()
    if len(body.text) > TEXT_LIMIT:
        raise TooLarge(TEXT_LIMIT, "characters")
    if not any(char.isprintable() and not char.isspace() for char in body.text):
        raise InputError("The message is blank.", hint="Write something.")
    ticket = await inside.door.deliver(
        partial(
            web.say,
            channel=channel,
            person=person,
            text=inside.backend.redact.hide(body.text),
            thread=body.thread,
            files=body.files,
            client_id=body.client_id,
            now=inside.backend.clock(),
        )
    )
    inside.backend.acknowledged(time.perf_counter() - begun)
    inside.hub.changed(channel)
    said = await inside.backend.read_first(views.message, int(ticket.message or 0), person)
    return as_json(encode(MessageView, said), 201)


@routes.get(
    "/chat/{channel}/messages", response_model=None, responses={200: {"model": MessagePage}}
)
async def messages(
    channel: ChannelName,
    inside: Inside,
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
    limit = part.limit

    def look(tx: Session) -> bytes:
        rest, changed = None, views.last_change(tx)
        if newest or before is not None or thread is not None:
            found = views.before(tx, channel, person, before_id=before, thread=thread, limit=limit)
        else:
            begin = max(after or 0, part.after)
            found = views.after(tx, channel, person, after_id=begin, limit=limit + 1)
            if len(found) > limit:
                found = found[:limit]
                rest = cursor_of(found[-1].id)
        return encode(MessagePage, MessagePage(found, rest, changed))

    return as_json(await inside.door.read(look))


@routes.get("/chat/{channel}/messages/{message_id}/outcome")
async def outcome(
    channel: ChannelName,
    message_id: MessageId,
    inside: Inside,
    person: Person,
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
) -> PostResult:
    """What came of one's own message: `done` once it was acted upon and its answers stand.

    Whatever one's role: who may nothing else may ask for help, and hears the answer here.
    """
    commits = inside.backend.commits
    until = asyncio.get_running_loop().time() + wait
    while True:
        seen = commits.count
        found = await inside.door.read(views.echo, channel, message_id, person)
        left = until - asyncio.get_running_loop().time()
        if found.done or left <= 0:
            return found
        await commits.wait(seen, timedelta(seconds=left))


@routes.get(
    "/chat/{channel}/messages/{message_id}/whole",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def whole(
    channel: ChannelName, message_id: MessageId, inside: Inside, person: Viewer
) -> Response:
    """All of a text that a card shortens, as a file."""
    found = await inside.door.read(views.whole, channel, message_id, person)
    return Response(
        inside.backend.redact(found.text),
        media_type="text/plain",
        headers=_saved(found.name),
    )


@routes.get(
    "/chat/{channel}/stream",
    response_class=EventSourceResponse,
    responses={200: {"description": "`data` is a Message.", "content": _EVENTS}},
)
async def stream(
    channel: ChannelName,
    person: Viewer,
    inside: Inside,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
    since: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
) -> EventSourceResponse:
    """Posts and edits as server-sent events, from `Last-Event-ID`, from `since`, or from now."""
    begin = since
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        begin = min(int(last_event_id), 2**62)
    return EventSourceResponse(
        inside.hub.listen(channel, person, begin),
        ping=PING_S,
        send_timeout=SEND_TIMEOUT_S,
    )


@routes.post("/chat/{channel}/files", status_code=201)
async def add_file(
    channel: ChannelName,
    file: UploadFile,
    inside: Inside,
    person: Viewer,
    client_id: Annotated[str | None, Form(max_length=100)] = None,
) -> Attachment:
    """Keep a file; its bytes are looked at by nobody here, and its type is not believed.

    The same `client_id` again, a field beside the file, is the file that came first.
    """
    if (file.size or 0) > FILE_LIMIT:
        raise TooLarge(FILE_LIMIT)
    return await inside.door.keep(
        _pieces(file),
        file.filename or "",
        by=person,
        place=Place(PLATFORM, channel),
        key=client_id or "",
    )


Sort = Annotated[str, Path(pattern="^(plan|gate|cost|week|month)$")]
Number = Annotated[int, Path(ge=0, lt=2**62)]
Until = Annotated[date | None, Query(ge=date(2000, 1, 1), le=date(9000, 1, 1))]


@routes.get(
    "/pictures/{sort}/{number}.svg", response_class=Response, responses={200: {"content": _SVG}}
)
async def picture(
    sort: Sort,
    number: Number,
    inside: Inside,
    _person: Viewer,
    until: Until = None,
    wide: bool = False,
    theme: Annotated[str | None, Cookie(max_length=20)] = None,
) -> Response:
    """What a card draws: the features of a plan or of a project, a gate's board, what was spent.

    `week` and `month` are what a project, or with 0 all, spent by day and model `until` a day.
    Light or dark is the browser's to choose, unless a person chose for these pages.
    """
    query = urlencode({"until": until or "", **({"wide": "true"} if wide else {})})
    drawn = await inside.backend.svg(f"/api/pictures/{sort}/{number}.svg?{query}")
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


@routes.get(
    "/pictures/{sort}/{number}.png", response_class=Response, responses={200: {"content": _PNG}}
)
async def png(
    sort: Sort,
    number: Number,
    inside: Inside,
    _person: Viewer,
    until: Until = None,
    theme: Theme = Theme.LIGHT,
) -> Response:
    """The same as PNG, for a light or a dark ground."""
    address = f"/api/pictures/{sort}/{number}.svg?{urlencode({'until': until or ''})}"
    drawn = await inside.door.picture(Picture(address, ""), theme)
    headers = {"Cache-Control": "private, max-age=60"}
    return Response(drawn, media_type="image/png", headers=headers)


FileId = Annotated[str, Path(pattern=r"^[0-9a-f]{1,64}$")]


@routes.get("/files/{file_id}", response_class=FileResponse, responses={200: {"content": _BYTES}})
async def get_file(file_id: FileId, inside: Inside, _person: Viewer) -> Response:
    """A file as it came, to be saved and never shown: whatever it is, it runs nothing here."""
    found = await inside.door.read(views.file, file_id)
    path = inside.backend.files / found.id
    if not path.is_file():
        return trouble(404, "not_found", "The file's bytes are gone.", "Send it again.")
    return FileResponse(path, media_type="application/octet-stream", headers=_saved(found.name))


def _saved(name: str) -> dict[str, str]:
    """The headers of what is saved under this name, and never shown."""
    return {
        "Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, no-store",
    }


@routes.get(
    "/files/{file_id}/picture",
    response_class=FileResponse,
    responses={200: {"content": {kind: {} for kind in _PICTURES.values()}}},
)
async def get_picture(file_id: FileId, inside: Inside, _person: Viewer) -> Response:
    """A dropped picture, to be shown; what it is its first bytes say, never its name."""
    found = await inside.door.read(views.file, file_id)
    path = inside.backend.files / found.id
    kind = await asyncio.to_thread(_picture_kind, path)
    if kind is None:
        return trouble(404, "not_found", "This is no picture that can be shown.", "Save it.")
    return FileResponse(
        path,
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


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(_CHUNK):
        yield piece
