"""Output of any length, held in a fixed amount of memory."""

import asyncio
import fcntl
import os
from collections import deque
from types import TracebackType
from typing import Self

_HEAD_BYTES = 64 << 10
_TAIL_BYTES = 64 << 10
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # Linux fcntl.h


class Excerpt:
    """The beginning and the end of a stream of bytes."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._held = 0
        self._total = 0

    def add(self, chunk: bytes) -> None:
        self._total += len(chunk)
        room = _HEAD_BYTES - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        if not chunk:
            return
        self._tail.append(chunk[-_TAIL_BYTES:])
        self._held += len(self._tail[-1])
        while self._held - len(self._tail[0]) >= _TAIL_BYTES:
            self._held -= len(self._tail.popleft())

    def text(self) -> str:
        tail = b"".join(self._tail)[-_TAIL_BYTES:]
        cut = self._total - len(self._head) - len(tail)
        head_text = self._head.decode("utf-8", "replace")
        tail_text = tail.decode("utf-8", "replace")
        if cut:
            return f"{head_text}\n[… {cut:,} bytes cut out …]\n{tail_text}"
        return bytes(self._head + tail).decode("utf-8", "replace")


class OutputPipe:
    """A pipe that is emptied into an excerpt by the running event loop."""

    def __init__(self, excerpt: Excerpt) -> None:
        self._excerpt = excerpt
        self._read, self.end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read, False)
        try:
            fcntl.fcntl(self._read, _F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            pass  # a user's allowance of pipe memory is spent; 64 KB will do

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._read, self._take)
        return self

    def started(self) -> None:
        """The process holds its end; ours is not needed any more."""
        os.close(self.end)
        self.end = -1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._read)
        # Everything in the box is dead by now: what is left in the pipe is all there is.
        for _ in range(4 * _PIPE_BYTES // 4096):
            if not self._take():
                break
        os.close(self._read)
        if self.end >= 0:
            os.close(self.end)

    def _take(self) -> bool:
        try:
            chunk = os.read(self._read, _PIPE_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._read)
            return False
        self._excerpt.add(chunk)
        return True
