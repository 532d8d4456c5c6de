"""The pages of the web chat: HTML made here, once for the first look and for every change."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
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

from adapters.web import presenter
from adapters.web.dependencies import Inside, Viewer, Within
from adapters.web.shapes import CHANNEL, TEXT_LIMIT
from core.domain.lifecycle import ProjectStatus
from core.domain.people import Role
from core.errors import NotFound
from core.ports.host import BoxLevel
from core.views import members, messages
from core.views import usage as usages
from core.views.messages import MAIN, MessageView, Standing
from core.views.project_lines import ProjectLine
from core.views.sidebar import Sidebar

SHOWN = 60  # messages at once
FOUND = 50
_DAYS = 14
_IN_THREAD = 500  # messages of a thread
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


def _usd(amount: Decimal) -> str:
    return "<$0.01" if 0 < amount < Decimal("0.01") else f"${amount:,.2f}"


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
        "day": presenter.day,
        "groups": presenter.groups,
        "days": presenter.since_days,
        "marks": presenter.marks,
    }
    found.tests["picture"] = _is_picture
    found.globals |= {"digest": _digest(), "MARKS": presenter.MARKS, "text_limit": TEXT_LIMIT}
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


async def _frame(inside: Within, person: str, theme: str | None) -> dict[str, Any]:
    """What every page shows around its own."""
    backend = inside.backend
    role = await inside.door.read(members.role_of, person)
    name = await inside.door.read(members.name_of, person)
    around = await inside.rails.of(role)
    last_messages = {line.name: line.last_message for line in around.channels}
    return {
        "theme": theme if theme in ("light", "dark") else "",
        "around": around,
        "day_budget_usd": backend.usage_settings.budget.day_usd,
        "channels": sorted({MAIN, *last_messages}),
        "last_messages": last_messages,
        "projects": [_rail_project(line, around) for line in around.projects],
        "me": name,
        "initials": presenter.initials(name),
        "role": role.value,
        "may_say": role.covers(Role.VIEWER),
        "practice": backend.practice,
        "box": backend.box.value,
        "weak_box": backend.box is not BoxLevel.FULL,
        "version": backend.version,
        "channel": "",
        "here": "",
    }


def _url(found: Standing | MessageView) -> str:
    """Where a message is shown."""
    if found.thread:
        return f"/c/{quote(found.channel)}?thread={found.thread}#t{found.id}"
    return f"/c/{quote(found.channel)}?around={found.id}#m{found.id}"


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


def _rail_project(line: ProjectLine, around: Sidebar) -> RailProject:
    mark, tone, state = _STATES[line.status]
    if line.at_gate:
        state = "gate"
    if line.waits and line.status is not ProjectStatus.BLOCKED:
        mark, tone = "▲", "waits"
    root = around.roots.get(line.project.id)
    url = f"/c/{quote(root.channel)}?thread={root.thread or root.id}" if root else None
    counts = line.counts
    return RailProject(
        line.project.name, mark, tone, state or f"{counts.passing}/{counts.total}", url
    )


async def _shown(
    inside: Within, found: Sequence[MessageView], person: str
) -> list[presenter.Shown]:
    roots = [message.id for message in found if message.thread is None]
    replies = await inside.door.read(messages.replies, roots, person) if roots else {}
    return [
        presenter.shown(message, person, replies.get(message.id))
        for message in found
        if not message.deleted
    ]


@routes.get("/")
async def index(_person: Viewer) -> Response:
    return RedirectResponse(f"/c/{MAIN}", 303)


@routes.get("/c/{channel}")
async def channel_page(
    channel: ChannelName,
    inside: Inside,
    person: Viewer,
    theme: Theme = None,
    thread: Annotated[int | None, Query(ge=1, lt=2**62)] = None,
    before: Annotated[int | None, Query(ge=1, lt=2**62)] = None,
    around: Annotated[int | None, Query(ge=1, lt=2**62)] = None,
) -> Response:
    """A channel and, with `thread`, one of its threads; `before` scrolls up."""
    read = inside.door.read
    changed = await read(messages.last_change)
    newest = await read(
        messages.before,
        channel,
        person,
        before_id=before if around is None else None,
        thread=None,
        limit=SHOWN + 1,
    )
    earlier = len(newest) > SHOWN
    if around is not None and newest and around < newest[0].id:
        newest = await read(
            messages.before, channel, person, before_id=around + 1, thread=None, limit=SHOWN + 1
        )
        before = around + 1
    newest = newest[-SHOWN:]
    replies: Sequence[MessageView] = ()
    if thread is not None:
        replies = await read(
            messages.before, channel, person, before_id=None, thread=thread, limit=_IN_THREAD
        )
        if not replies:
            raise HTTPException(404)
    frame = await _frame(inside, person, theme)
    return _draw(
        "channel.html",
        **{
            **frame,
            "channel": channel,
            "channels": sorted({channel, *frame["channels"]}),
            "here": f"c/{channel}",
            "messages": await _shown(inside, newest, person),
            "earlier": newest[0].id if earlier else None,
            "live": before is None,
            "changed": changed,
            "thread": thread,
            "thread_messages": await _shown(inside, replies, person),
            "thread_title": _title(replies[0]) if replies else "",
        },
    )


def _title(root: MessageView) -> str:
    if root.card is not None:
        return root.card.project or root.card.title
    return root.text.split("\n")[0][:60]


@routes.get("/ui/messages/{message_id}")
async def one_message(message_id: MessageId, inside: Inside, person: Viewer) -> Response:
    """One message as it is now, to be put where it stands in a page."""
    found = await inside.door.read(messages.message, message_id, person)
    if found is None or found.deleted:
        raise HTTPException(404)
    [shown] = await _shown(inside, [found], person)
    return _draw("one_message.html", shown=shown)


@routes.get("/ui/rail")
async def rail(
    inside: Inside,
    person: Viewer,
    channel: Annotated[str, Query(pattern=CHANNEL)] = MAIN,
    here: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    frame = await _frame(inside, person, None)
    frame |= {"channel": channel, "here": here}
    frame["channels"] = sorted({channel, *frame["channels"]})
    return _draw("rail.html", **frame)


@routes.get("/ui/commands")
async def commands(inside: Inside, person: Viewer) -> JSONResponse:
    """What may be completed after a `/`."""
    role = await inside.door.read(members.role_of, person)
    return JSONResponse(
        [
            {"name": line.name, "usage": line.usage, "about": line.about}
            for line in inside.backend.commands
            if role.covers(line.role)
        ],
        headers={"Cache-Control": "private, max-age=300"},
    )


@routes.get("/card")
async def card(
    inside: Inside,
    person: Viewer,
    key: Annotated[str, Query(max_length=200)],
    channel: Annotated[str, Query(pattern=CHANNEL)] = MAIN,
) -> Response:
    """To where a card stands: in this channel, else in another one."""
    found = await inside.door.read(messages.standing, key, person, near=channel)
    if found is None:
        raise NotFound("This card does not stand in the web chat.", hint="It may be in another.")
    return RedirectResponse(_url(found), 303)


@routes.get("/waiting")
async def waiting(inside: Inside, person: Viewer, theme: Theme = None) -> Response:
    """A person's own page: what waits for them, and their projects."""
    found = await inside.door.home(person)
    frame = await _frame(inside, person, theme)
    shown = [presenter.card(messages.card_view(each)) for each in found]
    return _draw("waiting.html", **{**frame, "here": "waiting", "cards": shown})


@routes.get("/search")
async def search(
    inside: Inside,
    person: Viewer,
    theme: Theme = None,
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    words = q.strip()
    found: Sequence[MessageView] = ()
    if words:
        found = await inside.door.read(messages.search, words, person, limit=FOUND)
    hits = [
        {
            "shown": presenter.shown(message, person),
            "url": _url(message),
            "text": message.text if len(message.text) < 300 else f"{message.text[:299]}…",
            "when": presenter.clock(message.created_at, inside.backend.clock()),
        }
        for message in found
    ]
    frame = await _frame(inside, person, theme)
    return _draw("search.html", **{**frame, "here": "search", "q": q, "hits": hits, "most": FOUND})


@routes.get("/usage")
async def usage(inside: Inside, person: Viewer, theme: Theme = None) -> Response:
    """What was spent today (UTC, as budgets count) and before."""
    read, today = inside.door.read, inside.backend.clock().astimezone(UTC).date()
    found = await read(usages.usage, None, fine=False)
    frame = await _frame(inside, person, theme)
    days = sorted(found.by_day.items(), reverse=True)[:_DAYS]
    tables = (
        ("By day (UTC)", "Day", days),
        ("By model", "Model", sorted(found.by_model.items())),
        ("By kind of agent", "Kind", sorted(found.by_kind.items())),
    )
    return _draw(
        "usage.html",
        **{**frame, "here": "usage", "total": found.cost_usd, "messages": found.messages,
           "tables": tables, "chart": await read(inside.backend.spent, until=today)},
    )  # fmt: skip


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
