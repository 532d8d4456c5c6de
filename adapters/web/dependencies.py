"""Who asks, what they may, and which part of a collection they want."""

import asyncio
import base64
import binascii
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from sqlalchemy.orm import Session

from adapters.web.backend import Backend
from adapters.web.stream import Hub
from core.domain.people import LOCAL, Role
from core.errors import InputError, NotAllowed
from core.ports.chat import Door
from core.views import members
from core.views.json import encode
from core.views.paging import Page
from core.views.projects import find
from core.views.sidebar import Sidebar, rail

T = TypeVar("T")
KEPT_S = 0.9  # less than a page waits after a change before it looks again


class Rails:
    """The rail, a moment old at most: with many tabs open, one look serves all of a role."""

    def __init__(self, door: Door, clock: Callable[[], datetime]) -> None:
        self._door, self._clock = door, clock
        self._looks: dict[Role, tuple[float, asyncio.Future[Sidebar]]] = {}

    async def of(self, role: Role) -> Sidebar:
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
        held = await inside.backend.read_first(members.role_of, person)
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
        raise InputError(
            f"{cursor!r} is no cursor.", hint="Take `next` of the part before."
        ) from error


class Reader:
    """Sends what views find; its JSON is made where it is read, off the loop."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def one(self, kind: type[T], look: Callable[[Session], T]) -> Response:
        return as_json(await self._door.read(lambda tx: encode(kind, look(tx))))

    async def page(self, kind: type[T], look: Callable[[Session], Page[T]]) -> Response:
        """A collection."""

        def content(tx: Session) -> bytes:
            found = look(tx)
            rest = "null" if found.next is None else f'"{cursor_of(found.next)}"'
            items = encode(Sequence[kind], found.items)  # type: ignore[valid-type]  # a value here
            return b'{"items":%b,"next":%b}' % (items, rest.encode())

        return as_json(await self._door.read(content))

    async def listed(
        self, kind: type[T], view: Callable[..., Page[T]], name: str, part: Part, **picked: object
    ) -> Response:
        """Some of what a project has."""
        return await self.page(
            kind,
            lambda tx: view(tx, find(tx, name).id, after=part.after, limit=part.limit, **picked),
        )


async def _reader(inside: Inside) -> Reader:
    return Reader(inside.door)


Reading = Annotated[Reader, Depends(_reader)]


def as_json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")


async def known_only(request: Request) -> None:
    """No query parameter is passed over: one that the path does not know is refused."""
    route = request.scope["route"]
    known = [
        field.alias
        for field in get_flat_params(route.dependant)
        if isinstance(field.field_info, params.Query)
    ]
    for name in request.query_params:
        if name not in known:
            hint = f"There are {', '.join(known)}." if known else "There are none."
            raise InputError(f"{name!r} is no parameter of this path.", hint=hint)
