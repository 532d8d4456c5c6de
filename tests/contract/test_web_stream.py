"""A stream says what is new and what was edited, wherever its reader was cut."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy
from typing import cast

import pytest

from adapters.web.stream import Hub
from core.domain.cards import Card
from core.domain.events import CardKind
from core.operations import web
from core.ports.chat import Door, Place
from core.store.session import Store

NOW = datetime(2026, 11, 20, tzinfo=UTC)
PLACE = Place("web", "main")


class Room:
    """A channel, and a hub that is told of what changes there."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        self.hub = Hub(cast(Door, self.store), str)  # of which it reads alone

    async def post(self, key: str, words: str, *, private_to: str | None = None) -> None:
        """Post a card, or edit the one that stands."""
        card = Card(key, CardKind.ANSWER, words, "", words)
        await self.store.run(web.post, PLACE, card, private_to=private_to, now=NOW)
        self.hub.changed("main")

    async def heard(self, count: int, since: int | None, reader: str = "web:a") -> list[str]:
        """The next events, as `kind text`."""
        found: list[str] = []
        async with asyncio.timeout(10), aclosing(self.listen(since, reader)) as events:
            async for line in events:
                found.append(line)
                if len(found) == count:
                    return found
        return found

    async def listen(self, since: int | None, reader: str) -> AsyncGenerator[str, None]:
        events = cast(AsyncGenerator[object, None], self.hub.listen("main", reader, since))
        async with aclosing(events):
            async for event in events:
                if isinstance(event, bytes):
                    lines = dict(
                        line.split(": ", 1) for line in event.decode().splitlines() if line
                    )
                    yield f"{lines['id']} {lines['event']} {json.loads(lines['data'])['text']}"


@pytest.fixture
async def room(tmp_path: Path, empty: Path) -> AsyncIterator[Room]:
    made = Room(Path(copy(empty, tmp_path / "autocoder.db")))
    yield made
    await made.store.close()


async def test_what_was_posted_and_edited_meanwhile_is_new_once(room: Room) -> None:
    await room.post("a", "A")
    await room.post("b", "B")
    await room.post("a", "A2")  # the newest edit of the oldest message
    assert await room.heard(2, 0) == ["2 message B", "3 message A2"]
    assert await room.heard(1, 1) == ["2 message B"]
    assert await room.heard(1, 2) == ["3 edit A2"]


async def test_a_reader_hears_each_post_once_and_then_its_edits(room: Room) -> None:
    await room.post("old", "old")
    reading = asyncio.create_task(room.heard(5, 1))
    await asyncio.sleep(0.05)
    for key, words in (("a", "A"), ("a", "A2"), ("b", "B"), ("old", "older"), ("a", "A3")):
        await room.post(key, words)
        await asyncio.sleep(0.02)
    assert await reading == [
        "2 message A",
        "3 edit A2",
        "4 message B",
        "5 edit older",
        "6 edit A3",
    ]


async def test_edits_at_once_are_told_in_their_newest_state(room: Room) -> None:
    reading = asyncio.create_task(room.heard(2, 0))
    await asyncio.sleep(0.05)
    for words in ("A", "A2", "A3"):
        card = Card("a", CardKind.ANSWER, words, "", words)
        await room.store.run(web.post, PLACE, card, private_to=None, now=NOW)
    await room.post("b", "B")
    assert await reading == ["3 message A3", "4 message B"]


async def test_a_private_message_is_told_to_its_reader_alone(room: Room) -> None:
    await room.post("mine", "mine", private_to="web:a")
    await room.post("all", "all")
    assert await room.heard(1, 0, "web:b") == ["2 message all"]
    assert await room.heard(2, 0, "web:a") == ["1 message mine", "2 message all"]
