"""A home whose web chat holds a card of each kind of part."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session

from core.domain import markup
from core.domain.cards import (
    Button,
    Card,
    Form,
    Input,
    Label,
    Link,
    Press,
    Progress,
    Style,
    Subject,
    TableBlock,
    TextFile,
)
from core.domain.events import CardKind
from core.operations import inbox, web
from core.ports.chat import Outcome, Place
from core.store.session import Store
from tests.stories.service import House

NOW = datetime(2027, 3, 10, 23, 30, tzinfo=UTC)
WHOLE = "# The plan\nall of it\n"

PLAN = Card(
    "plan:todo-api:1",
    CardKind.PLAN,
    "Plan for todo-api",
    f"A REST API.\n\n▲ Waits since {markup.time('Wed 10 March', NOW)}",
    "Plan for todo-api",
    project="todo-api",
    buttons=(
        Button("Approve", Press(Label.APPROVE, Subject.PLAN, 1), Style.PRIMARY),
        Button("Stop", Press(Label.STOP, Subject.PROJECT, 1), form=Form("Stop todo-api?", ())),
    ),
    whole=TextFile("plan.md", WHOLE),
)
COST = Card(
    "answer:9",
    CardKind.ANSWER,
    "Cost of todo-api",
    "More: `/autocoder cost month`",
    "Cost of todo-api",
    progress=Progress(1, 2),
    table=TableBlock(("Day", "Model", "Cost"), (("Mon 9 March", "Sonnet", "$5.70"),)),
    links=(
        Link("Review the plan", PLAN.key),
        Link("All costs", "/usage"),
        Link("Prices", "https://example.org/prices"),
        Link("Lost", "gate:todo-api:7"),
    ),
)
OFFER = Card(
    "answer:12",
    CardKind.ANSWER,
    "Start a project from this?",
    "",
    "Start a project from this?",
    buttons=(
        Button(
            "Start a project",
            Press(Label.START_PROJECT, Subject.WORDS, 1),
            form=Form("Start a project", (Input("name", "Its name", max_length=64, value="todo"),)),
        ),
    ),
    whole=TextFile("secret.md", "for web:local alone"),
)


def fill(tx: Session) -> None:
    """In `main` what all see, and one card for `web:local` alone."""
    said = web.say(tx, "main", "web:local", "hello", thread=None, now=NOW)
    inbox.done(tx, inbox.receive(tx, said, now=NOW).item_id, Outcome(True, ""), now=NOW)
    place = Place("web", "main")
    for card, private_to in ((PLAN, None), (COST, None), (OFFER, "web:local")):
        web.post(tx, place, card, private_to=private_to, now=NOW)


def house_of_cards(home: Path) -> House:
    home.mkdir(mode=0o700)

    async def made() -> None:
        store = Store(home / "autocoder.db")
        await store.run(fill)
        await store.close()

    with ThreadPoolExecutor(1) as pool:  # in a browser's test this thread has a loop already
        pool.submit(lambda: asyncio.run(made())).result()
    return House(home)
