"""A child process that answers long questions, so that they hold up nobody in the service.

Reading ten thousand rows takes the interpreter for long, and whoever presses a button meanwhile
waits for it. The child starts with the first question and leaves after a rest; its standard
input's end tells it to, also when the service was killed.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path

from core.errors import StorageFailed

REST_S = 60.0  # after its last answer it stays so long
_ROOT = Path(__file__).parents[1]
_LINE = 64 * 1024  # bytes of an answer's first line at most


class Reader:
    """`python ARGUMENTS`, which answers each line it reads by a line and so many bytes."""

    def __init__(self, arguments: Sequence[str], *, marker: str, rest: float = REST_S) -> None:
        """`marker` is the AUTOCODER_PROCESS of the child; `rest` in seconds."""
        self._arguments = arguments
        self._marker = marker
        self._rest = rest
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._retiring: asyncio.TimerHandle | None = None
        self._asked: set[asyncio.Task[tuple[bytes, bytes]]] = set()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def ask(self, question: bytes) -> tuple[bytes, bytes]:
        """Ask by one line; the answer's line, which begins with the size, and its bytes.

        Raises StorageFailed when the child dies of it. Whoever is cancelled leaves the answer to
        be read to its end, so that the next one gets its own.
        """
        task = asyncio.create_task(self._ask(question))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End it, in the middle of an answer too."""
        self._stay()
        for task in tuple(self._asked):
            task.cancel()
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _ask(self, question: bytes) -> tuple[bytes, bytes]:
        async with self._turn:
            self._stay()
            process = self._process
            if process is None or process.returncode is not None:
                process = self._process = await self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(question + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readuntil(b"\n")
                size = int(line.split(b" ", 1)[0])
                content = await process.stdout.readexactly(size)
            except (OSError, EOFError, ValueError) as error:
                self._process = None
                if process.returncode is None:
                    process.kill()
                await process.wait()
                raise StorageFailed(
                    "The process that reads for long died.", hint="Ask again."
                ) from error
            self._retiring = asyncio.get_running_loop().call_later(self._rest, self._retire)
            return line, content

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *self._arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            limit=_LINE,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "PYTHONPATH": str(_ROOT),
                "PYTHONDONTWRITEBYTECODE": "1",
                "AUTOCODER_PROCESS": self._marker,
            },
            start_new_session=True,  # Ctrl-C in the terminal is for the service
        )

    def _stay(self) -> None:
        if self._retiring is not None:
            self._retiring.cancel()
            self._retiring = None

    def _retire(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
