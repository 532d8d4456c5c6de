"""A terminal that is edited in place: lines above, the live card and the prompt below them."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import StringIO
from typing import TextIO

from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.application.current import set_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import ConditionalContainer, HSplit, Layout, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from rich.console import Console
from rich.text import Text

from adapters.terminal.reader import LineReader
from adapters.terminal.render import FAINT, MARKS, one_line, wrapped
from adapters.terminal.screen import MARGIN, Area, Lines, PlainScreen, Screen
from adapters.terminal.typed import may_type
from core.domain.cards import Card

KEYS = "d details   / command   q stop; the same command goes on"
STOPPING = "Stopping: agents are being ended, what they did stays."
NO_WIDER = 120  # columns; longer lines are hard to read
PROMPT_ROWS = 5  # kept free for the prompt and what may be typed


def open_screen(
    on_interrupt: Callable[[], None],
    on_details: Callable[[], None] | None,
    environ: Mapping[str, str],
    *,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
) -> Screen:
    """One that is edited in place where input and output are a terminal, else plain lines.

    `on_interrupt` is called when Ctrl-C or `q` is pressed in the former, whose terminal makes no
    signal of it; on a plain one Ctrl-C is SIGINT as ever. NO_COLOR and TERM are read from
    `environ`; the streams are the program's own if none are given.
    """
    given, out = stdin or sys.stdin, stdout or sys.stdout
    descriptor = _descriptor(given)
    term = environ.get("TERM", "")
    able = term not in ("", "dumb", "unknown")
    if able and descriptor is not None and given.isatty() and out.isatty():
        color = not environ.get("NO_COLOR")
        return LiveScreen(given, out, on_interrupt, on_details, color=color, term=term)
    return PlainScreen(out, LineReader(descriptor))


def _descriptor(stream: TextIO | None) -> int | None:
    """None: there is no input (`sys.stdin` is None in a program started without one)."""
    if stream is None or stream.closed:
        return None
    try:
        return stream.fileno()
    except OSError:
        return None


class LiveScreen:
    """One inline application; what stays is printed above it.

    The terminal is in raw mode meanwhile, so Ctrl-C comes as a key. With `on_details` single keys
    do something while nothing waits; without it there is always a line to type.
    """

    in_place = True

    def __init__(
        self,
        stdin: TextIO,
        stdout: TextIO,
        on_interrupt: Callable[[], None],
        on_details: Callable[[], None] | None,
        *,
        color: bool,
        term: str,
    ) -> None:
        self._out = stdout
        self._on_interrupt = on_interrupt
        self._color = color
        self._area: Area | None = None
        self._waits: Card | None = None
        self._opened = self._always = on_details is None
        self._interrupted = self._over = False
        self._lines: list[Text] = []
        self._typed: asyncio.Queue[str | None] = asyncio.Queue()
        self._printing: asyncio.Future[None] | None = None
        self._buffer = Buffer(multiline=False, accept_handler=self._accept)
        self._status = Window(
            FormattedTextControl(self._drawn, focusable=True, show_cursor=False),
            dont_extend_height=True,
            always_hide_cursor=True,
        )
        self._input = Window(
            BufferControl(self._buffer, [BeforeInput(f"{MARGIN}› ")]),
            dont_extend_height=True,
            wrap_lines=True,
        )
        output = Vt100_Output.from_pty(
            stdout, term=term, default_color_depth=None if color else ColorDepth.DEPTH_1_BIT
        )
        # The answer to a cursor position request could be taken for typed text.
        output.enable_cpr = False
        asking = Condition(lambda: self._asking)
        self._app: Application[None] = Application(
            Layout(HSplit([self._status, ConditionalContainer(self._input, asking)])),
            key_bindings=self._keys(on_details),
            erase_when_done=True,
            input=create_input(stdin),
            output=output,
        )
        self._focus()
        self._running = asyncio.create_task(self._run())

    @property
    def _asking(self) -> bool:
        return self._waits is not None or self._opened

    def show(self, lines: Lines) -> None:
        self._lines += lines(self._width)
        if not self._lines:
            return
        if not self._app.is_running:
            self._flush()
        elif self._printing is None or self._printing.done():
            with set_app(self._app):
                self._printing = asyncio.ensure_future(run_in_terminal(self._flush))

    def live(self, area: Area) -> None:
        self._area = area
        self._app.invalidate()

    def prompt(self, card: Card | None) -> None:
        self._waits = card
        self._focus()

    async def line(self) -> str | None:
        return await self._typed.get()

    async def close(self) -> None:
        """End the application, which puts the terminal back; everything is printed then."""
        self._over = True
        if self._printing is not None:
            await self._printing
        if not self._app.is_running:
            self._running.cancel()  # it has not begun yet, or has ended
        elif not self._running.done():
            self._app.exit()
        with suppress(asyncio.CancelledError):
            await self._running
        self._flush()

    async def _run(self) -> None:
        try:
            await self._app.run_async(handle_sigint=False, set_exception_handler=False)
        except EOFError:  # the terminal hung up
            pass
        finally:
            self._typed.put_nowait(None)

    def _accept(self, buffer: Buffer) -> bool:
        self._opened = self._always
        self._typed.put_nowait(buffer.text)
        self._focus()
        return False  # the next line begins empty

    def _focus(self) -> None:
        self._app.layout.focus(self._input if self._asking else self._status)
        self._app.invalidate()

    def _open(self, event: KeyPressEvent) -> None:
        self._opened = True
        self._focus()
        if event.data.isprintable():
            self._buffer.insert_text(event.data)

    def _keys(self, on_details: Callable[[], None] | None) -> KeyBindings:
        keys = KeyBindings()
        asking = Condition(lambda: self._asking)
        empty = Condition(lambda: not self._buffer.text)
        for key in ("/", "@", "enter"):
            keys.add(key, filter=~asking)(self._open)

        @keys.add("c-c")
        @keys.add("q", filter=~asking)
        def _interrupt(_event: KeyPressEvent) -> None:
            self._interrupted = not self._always
            self._app.invalidate()
            self._on_interrupt()

        @keys.add("d", filter=~asking)
        def _details(_event: KeyPressEvent) -> None:
            if on_details is not None:
                on_details()

        @keys.add("c-d", filter=asking & empty)
        def _end(_event: KeyPressEvent) -> None:
            self._typed.put_nowait(None)

        @keys.add("c-z")
        def _stay(_event: KeyPressEvent) -> None:
            """A stopped service would leave its agents waiting."""

        return keys

    @property
    def _width(self) -> int:
        return max(min(self._app.output.get_size().columns - 1, NO_WIDER), 20)

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self._out.write("".join(f"{self._ansi(line)}\n" for line in lines))
            self._out.flush()

    def _ansi(self, line: Text) -> str:
        into = StringIO()
        console = Console(
            file=into,
            force_terminal=True,
            color_system="standard" if self._color else None,
            no_color=not self._color,
            width=max(line.cell_len, 1),
            legacy_windows=False,
        )
        console.print(line, end="", soft_wrap=True, highlight=False)
        return into.getvalue()

    def _drawn(self) -> ANSI:
        lines = [Text()] if self._over else self._below()
        return ANSI("\n".join(self._ansi(line) for line in lines))

    def _below(self) -> list[Text]:
        width, rows = self._width, self._app.output.get_size().rows
        lines = [Text()]
        if self._area is not None:
            lines += self._area(width, max(rows - PROMPT_ROWS, 3))
        if self._interrupted:
            return [*lines, *wrapped(Text(STOPPING, MARKS["▲"]), width)]
        if self._waits is None:
            return [*lines, *wrapped(Text("" if self._always else KEYS, FAINT), width)]
        waits = Text.assemble(("▲ ", MARKS["▲"]), one_line(self._waits.title))
        lines += wrapped(waits, width, hang=4)
        return [*lines, *wrapped(Text(may_type(self._waits), FAINT), width)]
