"""The pages of the web chat: HTML made here, once for the first look and for every change."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Annotated, Any
from urllib.parse import quote

import jinja2
from fastapi import APIRouter, Cookie, Path, Query
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from adapters.web import drawing
from adapters.web.asking import Inside, Viewer
from adapters.web.shapes import CHANNEL, TEXT_LIMIT
from core.domain.lifecycle import ProjectStatus
from core.domain.messages import Message
from core.domain.people import Role
from core.ports.host import BoxLevel
from core.ports.pages import ProjectLine, Surroundings
from core.ports.web import Service
from core.views import usage as usages

MAIN = "main"
SHOWN = 60  # messages at once
FOUND = 50
_DAYS = 14
_HERE = FilePath(__file__).parent
_STATIC = _HERE / "static"

routes = APIRouter(include_in_schema=False)
static = StaticFiles(directory=_STATIC)

ChannelName = Annotated[str, Path(pattern=CHANNEL)]
MessageId = Annotated[int, Path(ge=1, lt=2**62)]
Theme = Annotated[str | None, Cookie(max_length=20)]


def _digest() -> str:
    """Changes with the style and the script, so that no browser shows an old one."""
    return hashlib.sha256(
        b"".join(path.read_bytes() for path in sorted(_STATIC.iterdir()) if path.is_file())
    ).hexdigest()[:12]


def _usd(amount: Decimal | str) -> str:
    value = Decimal(amount)
    return "<$0.01" if 0 < value < Decimal("0.01") else f"${value:,.2f}"


def _size(size: int) -> str:
    if size < 1_000:
        return f"{size} bytes"
    return f"{size / 1_000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def _is_picture(name: str) -> bool:
    """Whether a file may be a picture that is shown; its bytes say it."""
    return name.lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".webp"))


def _tokens(number: int) -> str:
    if number < 1_000:
        return str(number)
    return f"{number / 1_000:.0f} k" if number < 999_500 else f"{number / 1_000_000:.1f} M"


def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,  # a service draws as it was begun, whatever is installed meanwhile
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "usd": _usd,
        "size": _size,
        "tokens": _tokens,
        "day": drawing.day,
        "groups": drawing.groups,
        "days": drawing.since_days,
        "marks": drawing.marks,
    }
    found.tests["picture"] = _is_picture
    found.globals |= {"digest": _digest(), "MARKS": drawing.MARKS, "text_limit": TEXT_LIMIT}
    return found


_TEMPLATES = _environment()


@dataclass(frozen=True)
class RailProject:
    name: str
    mark: str
    tone: str
    state: str  # at the right: 9/14, gate, interview, paused, done
    url: str | None


def _draw(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    page = _TEMPLATES.get_template(template).render(**values)
    return HTMLResponse(page, status, headers={"Cache-Control": "no-store"})


async def _frame(service: Service, person: str, theme: str | None) -> dict[str, Any]:
    """What every page shows around its own."""
    around = await service.pages.surroundings(person)
    role = await service.people.role(person)
    last_messages = {line.name: line.last_message for line in around.channels}
    return {
        "theme": theme if theme in ("light", "dark") else "",
        "around": around,
        "channels": sorted({MAIN, *last_messages}),
        "last_messages": last_messages,
        "projects": [_rail_project(line) for line in around.projects],
        "waiting": _waiting(around),
        "me": person.partition(":")[2] or person,
        "initials": drawing.initials(person.partition(":")[2] or person),
        "role": role.value,
        "may_say": role.covers(Role.VIEWER),
        "practice": service.practice,
        "box": service.pages.box.value,
        "weak_box": service.pages.box is not BoxLevel.FULL,
        "version": service.version,
        "channel": "",
        "here": "",
    }


def _waiting(around: Surroundings) -> list[dict[str, Any]]:
    return [
        {
            "groups": drawing.groups(line.words),
            "url": _card_url(line.channel, line.thread, line.message_id),
        }
        for line in around.waiting
    ]


def _card_url(channel: str | None, thread: int | None, message_id: int | None) -> str | None:
    if channel is None or message_id is None:
        return f"/c/{quote(channel)}" if channel else None
    if thread:
        return f"/c/{quote(channel)}?thread={thread}#t{message_id}"
    return f"/c/{quote(channel)}?around={message_id}#m{message_id}"


_STATES: Mapping[ProjectStatus, tuple[str, str, str]] = {
    ProjectStatus.INTERVIEWING: ("◐", "progress", "interview"),
    ProjectStatus.PLANNING: ("◐", "progress", "planning"),
    ProjectStatus.AWAITING_APPROVAL: ("▲", "waits", "plan"),
    ProjectStatus.RUNNING: ("◐", "progress", ""),
    ProjectStatus.PAUSED: ("■", "pending", "paused"),
    ProjectStatus.BLOCKED: ("■", "stuck", "blocked"),
    ProjectStatus.COMPLETED: ("✓", "passing", "done"),
    ProjectStatus.STOPPED: ("■", "pending", "stopped"),
    ProjectStatus.ARCHIVED: ("■", "pending", "archived"),
}


def _rail_project(line: ProjectLine) -> RailProject:
    mark, tone, state = _STATES[line.status]
    if line.at_gate:
        state = "gate"
    if line.waits and line.status is not ProjectStatus.BLOCKED:
        mark, tone = "▲", "waits"
    url = None
    if line.channel is not None:
        tail = f"?thread={line.root}" if line.root else ""
        url = f"/c/{quote(line.channel)}{tail}"
    return RailProject(line.name, mark, tone, state or f"{line.passing}/{line.total}", url)


async def _shown(service: Service, messages: Sequence[Message], person: str) -> list[drawing.Shown]:
    roots = [message.id for message in messages if message.thread is None]
    replies = await service.pages.replies(roots, person) if roots else {}
    return [
        drawing.shown(message, person, replies.get(message.id))
        for message in messages
        if not message.deleted
    ]


@routes.get("/")
async def index(_person: Viewer) -> Response:
    return RedirectResponse(f"/c/{MAIN}", 303)


@routes.get("/c/{channel}")
async def channel_page(
    channel: ChannelName,
    service: Inside,
    person: Viewer,
    theme: Theme = None,
    thread: Annotated[int | None, Query(ge=1, lt=2**62)] = None,
    before: Annotated[int | None, Query(ge=1, lt=2**62)] = None,
    around: Annotated[int | None, Query(ge=1, lt=2**62)] = None,
) -> Response:
    """A channel and, with `thread`, one of its threads; `before` scrolls up."""
    changed = await service.chat.last_change()
    newest = await service.chat.before(
        channel,
        person,
        before_id=before if around is None else None,
        thread=None,
        limit=SHOWN + 1,
    )
    earlier = len(newest) > SHOWN
    if around is not None and newest and around < newest[0].id:
        newest = await service.chat.before(
            channel, person, before_id=around + 1, thread=None, limit=SHOWN + 1
        )
        before = around + 1
    messages = newest[-SHOWN:]
    replies: Sequence[Message] = ()
    if thread is not None:
        replies = await service.chat.before(
            channel, person, before_id=None, thread=thread, limit=500
        )
        if not replies:
            raise HTTPException(404)
    frame = await _frame(service, person, theme)
    return _draw(
        "channel.html",
        **{
            **frame,
            "channel": channel,
            "channels": sorted({channel, *frame["channels"]}),
            "here": f"c/{channel}",
            "messages": await _shown(service, messages, person),
            "earlier": messages[0].id if earlier and messages else None,
            "live": before is None,
            "changed": changed,
            "thread": thread,
            "thread_messages": await _shown(service, replies, person),
            "thread_title": _title(replies[0]) if replies else "",
        },
    )


def _title(root: Message) -> str:
    if root.card is not None:
        return root.card.project or root.card.title
    return root.text.split("\n")[0][:60]


@routes.get("/ui/messages/{message_id}")
async def one_message(message_id: MessageId, service: Inside, person: Viewer) -> Response:
    """One message as it is now, to be put where it stands in a page."""
    found = await service.pages.message(message_id, person)
    if found is None or found.deleted:
        raise HTTPException(404)
    [shown] = await _shown(service, [found], person)
    return _draw("one_message.html", shown=shown)


@routes.get("/ui/rail")
async def rail(
    service: Inside,
    person: Viewer,
    channel: Annotated[str, Query(pattern=CHANNEL)] = MAIN,
    here: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    frame = await _frame(service, person, None)
    frame |= {"channel": channel, "here": here}
    frame["channels"] = sorted({channel, *frame["channels"]})
    return _draw("rail.html", **frame)


@routes.get("/ui/commands")
async def commands(service: Inside, person: Viewer) -> JSONResponse:
    """What may be completed after a `/`."""
    role = await service.people.role(person)
    return JSONResponse(
        [
            {"name": line.name, "usage": line.usage, "about": line.about}
            for line in service.pages.commands(role)
        ],
        headers={"Cache-Control": "private, max-age=300"},
    )


@routes.get("/waiting")
async def waiting(service: Inside, person: Viewer, theme: Theme = None) -> Response:
    frame = await _frame(service, person, theme)
    return _draw("waiting.html", **{**frame, "here": "waiting"})


@routes.get("/search")
async def search(
    service: Inside,
    person: Viewer,
    theme: Theme = None,
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    words = q.strip()
    found = await service.pages.search(words, person, limit=FOUND) if words else ()
    hits = [
        {
            "shown": drawing.shown(message, person),
            "url": _card_url(message.channel, message.thread, message.id),
            "text": message.text if len(message.text) < 300 else f"{message.text[:299]}…",
            "when": drawing.clock(message.created_at, _now()),
        }
        for message in found
    ]
    frame = await _frame(service, person, theme)
    return _draw("search.html", **{**frame, "here": "search", "q": q, "hits": hits, "most": FOUND})


@routes.get("/usage")
async def usage(service: Inside, person: Viewer, theme: Theme = None) -> Response:
    """What was spent today (UTC, as budgets count) and before."""
    found = await service.door.read(usages.usage, None, fine=False)
    frame = await _frame(service, person, theme)
    days = sorted(found.by_day.items(), reverse=True)[:_DAYS]
    tables = (
        ("By day (UTC)", "Day", days),
        ("By model", "Model", sorted(found.by_model.items())),
        ("By kind of agent", "Kind", sorted(found.by_kind.items())),
    )
    return _draw(
        "usage.html",
        **{**frame, "here": "usage", "total": found.cost_usd, "messages": found.messages,
           "tables": tables, "today": f"{_now():%Y-%m-%d}", "chart": await service.pages.spent()},
    )  # fmt: skip


def _now() -> datetime:
    return datetime.now(UTC)


def wants_page(headers: Headers, path: str) -> bool:
    """Whether a browser asks for something to show."""
    accepts = "text/html" in headers.get("accept", "")
    return accepts and not path.startswith(("/api/", "/ui/", "/static/"))


def trouble_page(answer: Response) -> Response:
    """An error's JSON as a page; where a token is missing, a page to sign in."""
    words = json.loads(bytes(answer.body))
    template = "sign_in.html" if answer.status_code == 401 else "trouble.html"
    return _draw(
        template, answer.status_code, theme="", message=words["message"], hint=words["hint"]
    )
