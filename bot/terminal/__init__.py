"""The terminal as a place to talk: what is shown, what is asked."""

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO

from bot.terminal.live import LiveView
from bot.terminal.plain import PlainView
from bot.terminal.reader import LineReader
from bot.terminal.view import View


def _now() -> datetime:
    return datetime.now(UTC)


def open_view(
    on_interrupt: Callable[[], None],
    environ: Mapping[str, str],
    *,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
    now: Callable[[], datetime] = _now,
) -> View:
    """A live view where input and output are a terminal, else plain lines.

    `on_interrupt` is called when Ctrl-C or `q` is pressed in a live view, whose terminal
    makes no signal of it; on a plain one Ctrl-C is SIGINT as ever. NO_COLOR and TERM are
    read from `environ`; the streams are the program's own if none are given.
    """
    given, out = stdin or sys.stdin, stdout or sys.stdout
    descriptor = _descriptor(given)
    term = environ.get("TERM", "")
    able = term not in ("", "dumb", "unknown")
    if able and descriptor is not None and given.isatty() and out.isatty():
        color = not environ.get("NO_COLOR")
        return LiveView(given, out, on_interrupt, now, color=color, term=term)
    return PlainView(out, LineReader(descriptor), now)


def _descriptor(stream: TextIO | None) -> int | None:
    """None: there is no input (`sys.stdin` is None in a program started without one)."""
    if stream is None or stream.closed:
        return None
    try:
        return stream.fileno()
    except OSError:
        return None
