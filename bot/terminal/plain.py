"""The journey as plain lines, for a pipe, a file and a terminal that can do no more."""

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TextIO

from bot.terminal import cards
from bot.terminal.layout import Item, Mark, Row, plain
from bot.terminal.reader import LineReader
from bot.terminal.story import Story
from bot.terminal.view import Happening, Header, Prompt
from core.domain.report import Report


class PlainView:
    """Writes a line at a time, without control characters, and flushes it."""

    def __init__(self, out: TextIO, reader: LineReader, now: Callable[[], datetime]) -> None:
        self._out = out
        self._reader = reader
        self._story = Story(now)
        self._gone = False

    def begin(self, header: Header) -> None:
        self._show(self._story.begin(header))

    def update(self, board: Report, activity: Mapping[int, str]) -> None:
        self._story.saw(board)

    def happened(self, happening: Happening, board: Report) -> None:
        self._show(self._story.happened(happening, board))

    async def ask(self, prompt: Prompt, board: Report) -> str | None:
        self._show(self._story.asked(prompt, board))
        self._show((Row(cards.waits_for(prompt), mark=Mark.WAITS),))
        self._write(f"  {cards.may_type(prompt)} ›")
        return await self._reader.line()

    def decided(self, prompt: Prompt, text: str) -> None:
        self._show(self._story.decided(prompt, text))

    def details(self, prompt: Prompt, board: Report, diff: str) -> None:
        self._show(self._story.details(prompt, board, diff))

    def complain(self, words: str, hint: str = "") -> None:
        self._show(self._story.complain(words, hint))

    def finish(self, report: Report, *, repository: Path, report_file: Path) -> None:
        self._show(self._story.finish(report, repository, report_file))

    def stop(self, why: str, report: Report | None, *, report_file: Path | None) -> None:
        self._show(self._story.stop(why, report, report_file))

    async def close(self) -> None:
        """Nothing was changed on the terminal."""

    def _show(self, items: Iterable[Item]) -> None:
        for item in items:
            for line in plain(item):
                self._write(line)

    def _write(self, line: str) -> None:
        if self._gone:
            return
        encoding = self._out.encoding or "utf-8"
        try:
            self._out.write(line.encode(encoding, "replace").decode(encoding) + "\n")
            self._out.flush()
        except (OSError, ValueError):  # nobody reads any more: the work is not less worth
            self._gone = True
            _silence(self._out)


def _silence(out: TextIO) -> None:
    """So that what is left in the buffer does not fail once more when the program ends."""
    try:
        descriptor = out.fileno()
    except (OSError, ValueError):
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)
