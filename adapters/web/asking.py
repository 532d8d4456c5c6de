"""Who asks, what they may, and which part of a collection they want."""

import asyncio
import base64
import binascii
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request, Response
from starlette.exceptions import HTTPException

from adapters.web.backend import Backend
from adapters.web.clean import Clean
from adapters.web.shapes import Collection
from adapters.web.stream import Hub
from core.domain.people import LOCAL, Role
from core.errors import NotAllowed
from core.ports.chat import Door
from core.ports.web import Encoded, Projects
from core.views import members
from core.views.paging import Page
from core.views.rail import Rail, rail

T = TypeVar("T")
KEPT_S = 0.9  # less than a page waits after a change before it looks again


class Rails:
    """The rail, a moment old at most: with many tabs open, one look serves all of a role."""

    def __init__(self, door: Door, clock: Callable[[], datetime]) -> None:
        self._door, self._clock = door, clock
        self._looks: dict[Role, tuple[float, asyncio.Future[Rail]]] = {}

    async def of(self, role: Role) -> Rail:
        now = asyncio.get_running_loop().time()
        begun, look = self._looks.get(role, (now, None))
        if look is None or now - begun >= KEPT_S:
            look = asyncio.ensure_future(self._door.read(rail, role, now=self._clock()))
            self._looks[role] = (now, look)
        return await asyncio.shield(look)


@dataclass(frozen=True)
class Within:
    """What a route works with."""

    door: Door
    backend: Backend
    hub: Hub
    rails: Rails

    @property
    def projects(self) -> Projects:
        return self.backend.projects


# Each is a coroutine, though it awaits nothing: others are run in a thread of their own.
async def _within(request: Request) -> Within:
    within = request.app.state.within
    assert isinstance(within, Within)
    return within


async def _person(request: Request) -> str:
    return str(request.scope["person"])


Inside = Annotated[Within, Depends(_within)]
Person = Annotated[str, Depends(_person)]


def _needs(role: Role) -> Callable[..., Coroutine[Any, Any, str]]:
    async def check(inside: Inside, person: Person) -> str:
        held = await inside.door.read(members.role_of, person)
        if not held.covers(role):
            raise NotAllowed(f"This needs the role {role}; {person} has {held}.")
        return person

    return check


Viewer = Annotated[str, Depends(_needs(Role.VIEWER))]
Operator = Annotated[str, Depends(_needs(Role.OPERATOR))]
Approver = Annotated[str, Depends(_needs(Role.APPROVER))]


async def _local(person: Person) -> str:
    if person != LOCAL:
        raise NotAllowed(
            f"Only {LOCAL} may, who holds the web token: it reaches the files of this host.",
            hint="Use `autocoder` on the host itself.",
        )
    return person


Local = Annotated[str, Depends(_local)]
Admin = Annotated[str, Depends(_needs(Role.ADMIN))]


@dataclass(frozen=True)
class Part:
    """Which part of a collection."""

    after: int
    limit: int


async def _part(
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Part:
    return Part(parse_cursor(cursor) if cursor else 0, limit)


WantedPart = Annotated[Part, Depends(_part)]


def cursor_of(position: int) -> str:
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode().rstrip("=")


def parse_cursor(cursor: str) -> int:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
        word, _, position = text.partition(":")
        if word != "after" or not position.isascii() or not position.isdigit():
            raise ValueError(text)
        return min(int(position), 2**62)
    except (binascii.Error, ValueError) as error:
        raise HTTPException(400) from error


def sent(found: Encoded) -> Response:
    """One long thing, as it was encoded where it was read."""
    return _json(found.content, found)


def sent_collection(found: Encoded) -> Response:
    rest = b"null" if found.next is None else f'"{cursor_of(found.next)}"'.encode()
    content = b'{"items":' + found.content + b',"next":' + rest + b"}"
    return _json(content, found)


def _json(content: bytes, found: Encoded) -> Response:
    return Clean(content) if found.clean else Response(content, media_type="application/json")


def collection(page: Page[T]) -> Collection[T]:
    return {"items": page.items, "next": None if page.next is None else cursor_of(page.next)}
