"""The journey on a terminal: lines above, the state and the prompt below them edited in place."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from io import StringIO
from pathlib import Path
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

from bot.terminal import cards
from bot.terminal.area import area
from bot.terminal.layout import FAINT, STYLE, Item, Mark, drawn, wrapped
from bot.terminal.pace import Pace
from bot.terminal.story import Story
from bot.terminal.view import Happening, Header, Prompt
from bot.wording import one_line
from core.domain.lifecycle import ProjectStatus
from core.domain.report import Report

KEYS = "d details   q stop; the same command goes on"
STOPPING = "Stopping: agents are being ended, what they did stays."
NO_WIDER = 120  # columns; longer lines are hard to read
PROMPT_ROWS = 5  # kept free for the prompt and what may be typed


class LiveView:
    """One inline application for the whole journey; what stays is printed above it.

    The terminal is in raw mode meanwhile, so Ctrl-C comes as a key and is handed to
    `on_interrupt`.
    """

    def __init__(
        self,
        stdin: TextIO,
        stdout: TextIO,
        on_interrupt: Callable[[], None],
        now: Callable[[], datetime],
        *,
        color: bool,
        term: str,
    ) -> None:
        self._out = stdout
        self._interrupted = False
        self._on_interrupt = on_interrupt
        self._now = now
        self._color = color
        self._story = Story(now)
        self._pace = Pace()
        self._board: Report | None = None
        self._activity: Mapping[int, str] = {}
        self._whole = False
        self._over = False
        self._lines: list[Text] = []
        self._printing: asyncio.Future[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._prompt: Prompt | None = None
        self._answer: asyncio.Future[str | None] | None = None
        self._buffer = Buffer(multiline=False, accept_handler=self._accept)
        self._status = Window(
            FormattedTextControl(self._drawn_area, focusable=True, show_cursor=False),
            dont_extend_height=True,
            always_hide_cursor=True,
        )
        self._input = Window(
            BufferControl(self._buffer, [BeforeInput("  › ")]),
            dont_extend_height=True,
            wrap_lines=True,
        )
        output = Vt100_Output.from_pty(
            stdout, term=term, default_color_depth=None if color else ColorDepth.DEPTH_1_BIT
        )
        # The answer to a cursor position request could be taken for typed text.
        output.enable_cpr = False
        self._app: Application[None] = Application(
            Layout(
                HSplit(
                    [
                        self._status,
                        ConditionalContainer(self._input, Condition(lambda: self._asking)),
                    ]
                ),
                focused_element=self._status,
            ),
            key_bindings=self._keys(),
            erase_when_done=True,
            input=create_input(stdin),
            output=output,
        )

    @property
    def _asking(self) -> bool:
        return self._prompt is not None

    def begin(self, header: Header) -> None:
        self._print(self._story.begin(header))
        self._running = asyncio.create_task(self._run())

    def update(self, board: Report, activity: Mapping[int, str]) -> None:
        self._story.saw(board)
        now = self._now()
        limited = board.window_until is not None and board.window_until > now
        self._pace.saw(board, now, waiting=limited)
        self._board = board
        self._activity = self._story.doing(activity, board)
        self._app.invalidate()

    def happened(self, happening: Happening, board: Report) -> None:
        self._print(self._story.happened(happening, board))

    async def ask(self, prompt: Prompt, board: Report) -> str | None:
        self._print(self._story.asked(prompt, board))
        if self._over or self._running is None or self._running.done():
            return None
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._prompt, self._answer = prompt, answer
        self._app.layout.focus(self._input)
        self._app.invalidate()
        try:
            return await answer
        finally:
            self._prompt = self._answer = None
            self._app.layout.focus(self._status)
            self._app.invalidate()

    def decided(self, prompt: Prompt, text: str) -> None:
        self._print(self._story.decided(prompt, text))

    def details(self, prompt: Prompt, board: Report, diff: str) -> None:
        self._print(self._story.details(prompt, board, diff))

    def complain(self, words: str, hint: str = "") -> None:
        self._print(self._story.complain(words, hint))

    def finish(self, report: Report, *, repository: Path, report_file: Path) -> None:
        self._over = True
        self._print(self._story.finish(report, repository, report_file))

    def stop(self, why: str, report: Report | None, *, report_file: Path | None) -> None:
        self._over = True
        self._print(self._story.stop(why, report, report_file))

    async def close(self) -> None:
        """End the application, which puts the terminal back; everything is printed then."""
        self._over = True
        if self._printing is not None:
            await self._printing
        if self._running is not None:
            if self._app.is_running and not self._running.done():
                self._app.exit()
            await self._running
        self._flush()

    async def _run(self) -> None:
        try:
            await self._app.run_async(handle_sigint=False, set_exception_handler=False)
        except EOFError:  # the terminal hung up
            pass
        finally:
            self._reply(None)

    def _reply(self, line: str | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(line)

    def _accept(self, buffer: Buffer) -> bool:
        self._reply(buffer.text)
        return False  # the next prompt begins empty

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        asking = Condition(lambda: self._asking)
        empty = Condition(lambda: not self._buffer.text)

        @keys.add("c-c")
        @keys.add("q", filter=~asking)
        def _interrupt(_event: KeyPressEvent) -> None:
            self._interrupted = True
            self._app.invalidate()
            self._on_interrupt()

        @keys.add("d", filter=~asking)
        def _details(_event: KeyPressEvent) -> None:
            self._whole = not self._whole
            self._app.invalidate()

        @keys.add("c-d", filter=asking & empty)
        def _end(_event: KeyPressEvent) -> None:
            self._reply(None)

        @keys.add("c-z")
        def _stay(_event: KeyPressEvent) -> None:
            """A stopped service would leave its agents waiting."""

        return keys

    @property
    def _width(self) -> int:
        return max(min(self._app.output.get_size().columns - 1, NO_WIDER), 20)

    def _print(self, items: Iterable[Item]) -> None:
        width = self._width
        self._lines += [line for item in items for line in drawn(item, width)]
        if not self._lines:
            return
        if not self._app.is_running:
            self._flush()
        elif self._printing is None or self._printing.done():
            with set_app(self._app):
                self._printing = asyncio.ensure_future(run_in_terminal(self._flush))

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

    def _drawn_area(self) -> ANSI:
        return ANSI("\n".join(self._ansi(line) for line in self._area()))

    def _area(self) -> list[Text]:
        if self._over or self._board is None:
            return [Text()]
        width, rows = self._width, self._app.output.get_size().rows
        board = self._board
        lines = [Text()]
        if board.status is not ProjectStatus.COMPLETED:
            left = self._pace.left(board)
            height = max(rows - PROMPT_ROWS, 3)
            lines += area(
                board, self._activity, self._now(), left, width, height, whole=self._whole
            )
        if self._interrupted:
            lines += wrapped(Text(STOPPING, STYLE[Mark.WAITS]), width, 2)
            return lines
        if self._prompt is None:
            lines += wrapped(Text(KEYS, FAINT), width, 2)
            return lines
        mark = (f"{Mark.WAITS} ", STYLE[Mark.WAITS])
        waits = Text.assemble(mark, one_line(cards.waits_for(self._prompt)))
        lines += wrapped(waits, width, 2, 4)
        lines += wrapped(Text(cards.may_type(self._prompt), FAINT), width, 2)
        return lines
