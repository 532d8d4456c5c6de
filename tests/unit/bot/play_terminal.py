"""A journey without agents, to look at: `python -m tests.unit.bot.play_terminal [SECONDS]`.

SECONDS is how long each step stays.
"""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from bot.terminal import open_view
from bot.terminal.view import Prompt, View
from core.domain.events import Event
from core.domain.report import Report
from tests.unit.bot import boards

FILES = ("fixing app/sessions.py", "pytest tests/test_limits.py -q", "reading app/store.py")


async def insist(view: View, prompt: Prompt, board: Report) -> bool:
    """Ask until there is an answer; False at the end of input."""
    while True:
        line = await view.ask(prompt, board)
        if line is None:
            return False
        if line.strip() == "details":
            view.details(prompt, board, "diff --git a/x b/x\n+new\n-old")
        elif line.strip():
            view.decided(prompt, line)
            return True
        else:
            view.complain("'' is no answer here.", "Type `approve`, `reject REASON` or `details`.")


async def journey(view: View, pause: float) -> int:
    view.begin(boards.header())
    view.update(boards.board(0), {})
    board = boards.planned()
    view.update(board, {})
    if not await insist(view, boards.plan_prompt(), board):
        view.stop("The input ended.", board, report_file=Path("/tmp/demo/report.md"))
        return 1
    began = datetime.now(UTC)
    for passing in range(15):
        board = boards.board(passing, stuck=(11,) if passing == 10 else ())
        if passing == 5:
            later = datetime.now(UTC) + timedelta(minutes=4)
            board = replace(board, window_until=later)
        cost = Decimal(passing) * Decimal("0.035")
        board = replace(board, usage=replace(board.usage, cost_usd=cost))
        doing = {run.id: FILES[(run.id + passing) % 3] for run in board.runs}
        if passing < 14:
            view.update(board, doing)
        seconds = (datetime.now(UTC) - began).total_seconds()
        for feature in board.features:
            if feature.counts.passing and feature.counts.passing == feature.counts.total:
                last = sum(f.counts.total for f in board.features[: feature.id])
                if last == passing:
                    landed = boards.happening(
                        Event.FEATURE_LANDED, seconds=seconds, began=began, feature=feature.id
                    )
                    view.happened(landed, board)
        if passing == 5:
            view.happened(
                boards.happening(Event.RATE_LIMITED, "limit", seconds=seconds, began=began), board
            )
        if passing == 7 and not await insist(view, boards.gate_prompt(board), board):
            return 1
        if passing == 10:
            view.happened(
                boards.happening(Event.TASK_STUCK, seconds=seconds, began=began, task=111), board
            )
            if not await insist(view, boards.stuck_prompt(board), board):
                return 1
        if passing == 12:
            question = boards.question_prompt("FastAPI and SQLite", "FastAPI and PostgreSQL")
            if not await insist(view, question, board):
                return 1
        await asyncio.sleep(pause)
    project = Path("/tmp/demo/projects/todo-api")
    view.finish(boards.done(), repository=project, report_file=project / ".autocoder" / "report.md")
    return 0


async def main(pause: float) -> int:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, stopped.set)
    view = open_view(stopped.set, os.environ)
    played = asyncio.create_task(journey(view, pause))
    stop = asyncio.create_task(stopped.wait())
    await asyncio.wait((played, stop), return_when=asyncio.FIRST_COMPLETED)
    if not played.done():
        played.cancel()
        await asyncio.wait((played,))
        view.stop("Stopped.", boards.board(9), report_file=Path("/tmp/demo/report.md"))
        await view.close()
        return 130
    stop.cancel()
    await view.close()
    return played.result()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)))
