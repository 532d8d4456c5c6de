"""Lines from an input that may be a pipe, a file, a terminal, closed or missing."""

import asyncio
import os
import threading
from queue import SimpleQueue

LINE_LIMIT = 1_000_000  # bytes; a longer line is taken in pieces


class LineReader:
    """Reads one line when asked for one, in a thread of its own, never ahead of a question.

    A question may be given up: the line that comes after all answers the next one. The thread
    reads the descriptor itself, so that no lock of `sys.stdin` is held when the program ends.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._wanted: SimpleQueue[None] = SimpleQueue()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._pending = False
        self._ended = descriptor is None
        self._thread: threading.Thread | None = None

    async def line(self) -> str | None:
        """The next line without its end; None at the end of input, then always."""
        if self._lines.empty():
            if self._ended:
                return None
            self._want()
        line = await self._lines.get()
        self._ended = self._ended or line is None
        return line

    def _want(self) -> None:
        if self._pending:
            return
        self._pending = True
        self._wanted.put(None)
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(
                target=self._read, args=(loop,), name="terminal-input", daemon=True
            )
            self._thread.start()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        left = b""
        line: str | None = ""
        while line is not None:
            self._wanted.get()
            line, left = self._next(left)
            try:
                loop.call_soon_threadsafe(self._came, line)
            except RuntimeError:  # the loop is closed: nobody asks any more
                return

    def _came(self, line: str | None) -> None:
        self._pending = False
        self._lines.put_nowait(line)

    def _next(self, left: bytes) -> tuple[str | None, bytes]:
        while b"\n" not in left and len(left) < LINE_LIMIT:
            piece = self._piece()
            if not piece:
                return (_decoded(left) if left else None), b""
            left += piece
        line, _end, rest = left.partition(b"\n")
        if len(line) > LINE_LIMIT:
            line, rest = left[:LINE_LIMIT], left[LINE_LIMIT:]
        return _decoded(line), rest

    def _piece(self) -> bytes:
        assert self._descriptor is not None
        try:
            return os.read(self._descriptor, 65_536)
        except OSError:  # closed, or a terminal that hung up
            return b""


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")
