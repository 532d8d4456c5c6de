"""Choosing how to show a journey."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO

from bot.terminal.plain import PlainView
from bot.terminal.reader import LineReader
from bot.terminal.view import View


def _now() -> datetime:
    return datetime.now(UTC)


def open_view(
    stdin: TextIO | None,
    stdout: TextIO,
    environ: Mapping[str, str],
    on_interrupt: Callable[[], None],
    *,
    now: Callable[[], datetime] = _now,
) -> View:
    """A live view where input and output are a terminal, else plain lines.

    `on_interrupt` is called when Ctrl-C or `q` is pressed in a live view, whose terminal
    makes no signal of it; on a plain one Ctrl-C is SIGINT as ever.
    """
    descriptor = _descriptor(stdin)
    return PlainView(stdout, LineReader(descriptor), now)


def _descriptor(stream: TextIO | None) -> int | None:
    if stream is None or stream.closed:
        return None
    try:
        return stream.fileno()
    except OSError:
        return None
