"""What a terminal shows: edited in place where it can be, else plain lines."""

import os
from collections.abc import Callable
from typing import Protocol, TextIO

from rich.text import Text

from adapters.terminal.reader import LineReader
from adapters.terminal.typed import may_type
from core.domain.cards import Card

Lines = Callable[[int | None], list[Text]]  # of a width; None: of any
Area = Callable[[int, int], list[Text]]  # of a width and a height
MARGIN = "  "


class Screen(Protocol):
    """Used from one event loop."""

    @property
    def in_place(self) -> bool:
        """Whether there is an area, and lines are typed at any time."""
        ...

    def show(self, lines: Lines) -> None:
        """What stays."""
        ...

    def live(self, area: Area) -> None:
        """What is edited in place."""
        ...

    def prompt(self, card: Card | None) -> None:
        """What waits for the person."""
        ...

    async def line(self) -> str | None:
        """The next line that is typed; None at the end of input. May be cancelled."""
        ...

    async def close(self) -> None:
        """Give the terminal back as it was."""
        ...


class PlainScreen:
    """Writes a line at a time, without control characters, and flushes it."""

    in_place = False

    def __init__(self, out: TextIO, reader: LineReader) -> None:
        self._out = out
        self._reader = reader
        self._gone = False

    def show(self, lines: Lines) -> None:
        for line in lines(None):
            self._write(line.plain.rstrip())

    def live(self, area: Area) -> None:
        """There is none."""

    def prompt(self, card: Card | None) -> None:
        if card is not None:
            self._write(f"{MARGIN}{may_type(card)} ›")

    async def line(self) -> str | None:
        return await self._reader.line()

    async def close(self) -> None:
        """Nothing was changed on the terminal."""

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
