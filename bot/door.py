"""The door: what chat platforms hand in, ask for and look at."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.orm import Session

from bot.cards import pictures
from bot.commands import COMMANDS, presses, projects, replies, suggestions
from bot.commands.command import Call, Services
from bot.router import Router
from core.domain.cards import Card, Form, Picture, Press
from core.domain.names import file_name
from core.domain.people import Role
from core.domain.redaction import redacted
from core.errors import NotFound, StorageFailed
from core.operations import inbox, web
from core.ports.chat import Attachment, Place, Suggestion, Theme
from core.views import members, messages

FILES = "files"  # folder in the home
_PICTURE = re.compile(r"/api/pictures/([a-z]+)/([0-9]{1,15})\.svg")
_NOWHERE = Place("", "")  # a person's own page is no channel


class ServiceDoor:
    """The running service as its platforms see it."""

    def __init__(self, services: Services, router: Router) -> None:
        self._services = services
        self._store, self._clock = services.parts.store, services.parts.clock
        self._files = services.settings.home / FILES
        self._filing = asyncio.Lock()
        self.deliver = router.deliver
        self.read = self._store.read

    async def form(self, press: Press, person: str) -> Form | None:
        """What must be filled in or confirmed before a press counts; it acts on nothing."""
        form = await self._store.read_first(presses.form, press, person, now=self._clock())
        return redacted(form, self._services.parts.redact)

    async def suggest(
        self, command: str, option: str, typed: str, place: Place, person: str
    ) -> Sequence[Suggestion]:
        """At most 25 values of a command's option that this person may use here."""
        found = await self._store.read_first(
            suggestions.suggest, COMMANDS, command, option, typed, place, person
        )
        return redacted(tuple(found), self._services.parts.redact)

    async def keep(
        self, source: AsyncIterator[bytes], name: str, *, by: str, place: Place, key: str = ""
    ) -> Attachment:
        """Keep a dropped file; of one person the same `key` again is the file that came first."""
        name, file_id = file_name(self._services.parts.redact.hide(name)), secrets.token_hex(16)
        if key:
            file_id = sha256(f"{by}:{key}".encode()).hexdigest()[:32]
        part, size = await _write(self._files, source)
        try:
            async with self._filing:  # the same one may come twice at once
                with suppress(NotFound):
                    return await self._store.read(messages.file, file_id)
                await asyncio.to_thread(part.rename, self._files / file_id)
                return await self._store.run(
                    web.add_file, place.channel, name, size, by=by, file_id=file_id,
                    now=self._clock(),
                )  # fmt: skip
        except OSError as error:
            raise StorageFailed(f"The file cannot be kept: {error.strerror}.") from error
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)

    async def picture(self, picture: Picture, theme: Theme) -> bytes:
        """The PNG of a card's picture. Raises NotFound for one that no card ever had."""
        return await asyncio.to_thread(pictures.png, await self.svg(picture.url), theme)

    async def svg(self, url: str) -> str:
        """A card's picture by its address, for whoever can choose light or dark itself."""
        parts = urlsplit(url)
        found = _PICTURE.fullmatch(parts.path)
        if found is None:
            raise _no_picture()
        asked = parse_qs(parts.query)
        until = self._clock().astimezone(UTC).date()
        if "until" in asked:
            with suppress(ValueError):
                until = date.fromisoformat(asked["until"][0])
        drawn = await self._store.read(
            pictures.draw, found[1], int(found[2]), until=until, wide="wide" in asked
        )
        if drawn is None:
            raise _no_picture()
        return self._services.parts.redact(drawn)

    async def home(self, person: str) -> Sequence[Card]:
        """What waits for a person, and their projects."""
        found = await self._store.read(_home, person, self._services, self._clock())
        return redacted(tuple(found), self._services.parts.redact)

    async def heard_until(self, place: Place) -> str | None:
        """The last message that was heard there, to catch up after an outage."""
        return await self._store.read(inbox.heard_until, place)


def _no_picture() -> NotFound:
    return NotFound("There is no such picture.")


def _home(tx: Session, person: str, services: Services, now: datetime) -> Sequence[Card]:
    role = members.role_of(tx, person)
    if not role.covers(Role.VIEWER):
        return ()
    call = Call(item_id=0, person=person, role=role, place=_NOWHERE, services=services, now=now)
    shown = {"waiting": projects.inbox, "projects": projects.list_all}
    return [
        replace(replies.card_of(reply(tx, call), 0), key=f"home:{name}:{person}")
        for name, reply in shown.items()
    ]


async def _write(folder: Path, content: AsyncIterator[bytes]) -> tuple[Path, int]:
    """Write a file whole under a name of its own; its bytes. Nobody but us may read it."""
    part = folder / f"{secrets.token_hex(16)}.part"
    size = 0
    try:
        await asyncio.to_thread(folder.mkdir, 0o700, exist_ok=True)
        await asyncio.to_thread(part.touch, 0o600)
        with part.open("wb") as file:  # opening is quick, writing is not
            async for piece in content:
                size += await asyncio.to_thread(file.write, piece)
    except OSError as error:
        await asyncio.to_thread(part.unlink, missing_ok=True)
        raise StorageFailed(f"The file cannot be kept: {error.strerror}.") from error
    return part, size
