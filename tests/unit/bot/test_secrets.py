"""A secret of the service: no piece of it is kept, shown or answered, wherever somebody puts it."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.commands import COMMANDS
from core.domain.lifecycle import ProjectStatus, TaskStatus
from core.domain.people import LOCAL
from core.ports.chat import Asked, Inbound, Place, Said
from core.store.chat_tables import OutboxItem
from tests.chat.planted import TOKEN, found, kept, texts
from tests.unit.bot.commands import stage as world
from tests.unit.bot.commands.stage import MAIN, Stage, stage, told

LINES = (
    "guide 1 {}", "pass 2 {}", "retry 1 {}", "reject {}", "budget project {}", "settings {} 3",
    "settings max_parallel {}", "role {} admin", "role web:ada {}", "status project:{}", "{}", "/{}",
    "spec edit {}", "feature add {}", "task add {}", "phase add {}", "stop after {}", "logs 1 {}",
    "cost by {}", "why {}", "skip 1 {}",
)  # fmt: skip
MOST = 640  # beyond the longest text that a card shows on a line
PRESSES = {
    "reject:plan:1": "reason",
    "guide:task:1:1": "hint",
    "raise_budget:budget:1": "amount",
    "answer:question:1": "answer",
    "start_project:words:1": "name",
}


def _ready(tx: Session, status: ProjectStatus) -> None:
    row = world.project(tx)
    world.tasks(tx, row, TaskStatus.STUCK, TaskStatus.PENDING)
    world.plan(tx, row)
    world.question(tx, row, "Why?")
    row.status = status


async def _nothing_of_it(it: Stage) -> None:
    """Neither in a card as it is drawn, before any door, nor in what is kept."""

    def cards(tx: Session) -> list[str]:
        return [repr(it.built(tx, row)) for row in tx.scalars(select(OutboxItem))]

    for card in await it.store.read(cards):
        assert not found(card), card
    assert not found(kept(it.store.path))


async def _bytes() -> AsyncIterator[bytes]:
    yield b"x"


def _made(inbound: Inbound, _tx: Session) -> Inbound:
    return inbound


@pytest.mark.parametrize("line", [*(f"{name} {{}}" for name in COMMANDS), *LINES])
async def test_no_command_keeps_or_shows_a_piece(tmp_path: Path, line: str) -> None:
    async with stage(tmp_path, secrets=[TOKEN]) as it:
        await it.change(lambda tx: _ready(tx, ProjectStatus.RUNNING))
        for text in texts(MOST):
            _, outcome = await it.command(line.format(text))
            assert not found(outcome.text), outcome
        await _nothing_of_it(it)


@pytest.mark.parametrize("status", [ProjectStatus.RUNNING, ProjectStatus.COMPLETED])
async def test_no_message_keeps_or_shows_a_piece(tmp_path: Path, status: ProjectStatus) -> None:
    async with stage(tmp_path, secrets=[TOKEN]) as it:
        await it.change(lambda tx: _ready(tx, status))
        for text in texts(MOST):
            file = await it.door.keep(_bytes(), f"{text}.png", by=LOCAL, place=MAIN)
            for place in (MAIN, world.thread(), Place("slack", "D1")):
                for said in (Said(text), Said(text, mention=True), Said(text, (file,))):
                    outcome = await it.deliver(said, place=place)
                    assert not found(f"{outcome.text} {outcome.form}"), outcome
        await _nothing_of_it(it)


@pytest.mark.parametrize("action", PRESSES)
async def test_no_press_keeps_or_shows_a_piece(tmp_path: Path, action: str) -> None:
    async with stage(tmp_path, secrets=[TOKEN]) as it:
        await it.say("a shop")
        await it.change(lambda tx: _ready(tx, ProjectStatus.AWAITING_APPROVAL))
        for text in texts(MOST):
            outcome = await it.press(action, **{PRESSES[action]: text})
            assert not found(f"{outcome.text} {outcome.form}"), outcome
        await _nothing_of_it(it)


async def test_typed_values_names_and_made_deliveries_are_looked_through_too(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, secrets=[TOKEN]) as it:
        await it.change(lambda tx: _ready(tx, ProjectStatus.RUNNING))
        for number, text in enumerate(texts(MOST)):
            typed = Asked("guide", {"n": "1", "text": text})
            inbound = Inbound(f"t{number}", "slack:U1", MAIN, typed, name=text)
            outcome = await told(await it.router.deliver(partial(_made, inbound)))
            assert not found(outcome.text)
            assert (await it.deliver(typed, by=LOCAL)).text
        await _nothing_of_it(it)
