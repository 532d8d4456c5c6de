"""A build without agents, to look at: `python -m tests.unit.bot.play_terminal [SECONDS]`.

Router, delivery and terminal are the real ones; what agents would do is written into the database.
SECONDS is how long each step stays.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from bot.app import Terminal, open_terminal
from bot.build import PLACE
from bot.cards import CARDS, labels
from bot.delivery import Delivery, Notifier, Terms
from core.domain.cards import Card
from core.domain.events import CardKind
from core.domain.lifecycle import Cause, RunStatus, move
from core.domain.people import LOCAL
from core.operations import places, projects, questions
from core.views.waiting import waiting
from tests.unit.bot.cards import stage as work
from tests.unit.bot.commands.stage import Stage, stage

NAME = "todo-api"
QUESTION, OPTIONS = "Which database?", ("SQLite", "PostgreSQL")


class Player:
    """Does what agents would, and waits where a person decides."""

    def __init__(self, it: Stage, pause: float) -> None:
        self._it = it
        self._pause = pause
        self._project = 0

    async def play(self) -> None:
        await self._it.worktrees.create(NAME, {"app_spec.txt": b"# To do\n"}, "Begin\n")
        self._project = await self._it.change(_begin)
        await self._do(work.submit)
        for number in (1, 2, 3, 4):
            await self._do(work.prove, number)
            if number in (2, 4):
                await self._do(work.land, "Storage" if number == 2 else "Endpoints")
        await self._do(work.open_gate)
        await self._do(work.fail, 5)
        await self._do(_ask)
        await self._do(work.prove, 5)
        await self._do(work.land, "Docs")
        await self._do(work.open_gate, 2)
        await self._do(_complete)

    async def _do(self, change: Callable[..., object], *more: object) -> None:
        """One step; the next one when nobody is waited for."""
        await asyncio.sleep(self._pause)
        await self._it.change(lambda tx: change(tx, self._project, *more))
        while await self._it.store.read(waiting, project_id=self._project):
            await asyncio.sleep(0.02)


def _begin(tx: Session) -> int:
    made = projects.create(
        tx, name=NAME, spec_digest="x", practice=True, budget=Decimal(2), actor=LOCAL, now=work.NOW
    )
    places.show(tx, made.id, PLACE, CARDS, now=work.NOW)
    return made.id


def _ask(tx: Session, project_id: int) -> None:
    """An agent's question, as the tool asks it."""
    coder = work.run(tx, project_id)
    questions.ask(tx, coder.id, QUESTION, OPTIONS, False, now=work.NOW)
    move(coder, RunStatus.ENDED, by=Cause.SERVICE)


def _complete(tx: Session, project_id: int) -> None:
    projects.complete(tx, project_id, work.COMMIT, now=work.NOW)


async def main(pause: float) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    with tempfile.TemporaryDirectory() as folder:
        async with stage(Path(folder)) as it:
            terminal = open_terminal(PLACE, os.environ, stop.set)
            terminal.show(said("autocoder 0.1.0 play", labels.PRACTICE))
            loops = [asyncio.create_task(each) for each in _loops(it, terminal)]
            waits = {
                asyncio.create_task(Player(it, pause).play()): 0,
                asyncio.create_task(stop.wait()): 130,
                asyncio.create_task(terminal.ended.wait()): 1,
            }
            done, left = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.5)  # what came last is shown
            for task in (*left, *loops):
                task.cancel()
            await asyncio.wait((*left, *loops))
            status = max(waits[task] for task in done)
            terminal.show(said({0: "Done", 1: "The input ended."}.get(status, "Stopped.")))
            await terminal.close()
            for task in done:
                task.result()
            return status


def _loops(it: Stage, terminal: Terminal) -> Iterator[Coroutine[Any, Any, None]]:
    wake, begun = it.services.parts.wake, time.monotonic()

    def clock() -> datetime:
        return work.NOW + timedelta(seconds=time.monotonic() - begun)

    yield terminal.platform.run(it.door)
    yield Notifier(it.store, wake, clock).run()
    terms = Terms(edit_interval=timedelta(seconds=0.05))
    yield Delivery(
        it.store, wake, clock, terminal.platform, lambda: work.scene(now=clock()), terms
    ).run()


def said(title: str, body: str = "") -> Card:
    return Card(key="play", kind=CardKind.HELP, title=title, body=body, fallback=title)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)))
