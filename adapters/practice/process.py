"""The practice model as a child process."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import AutocoderError

_ROOT = Path(__file__).parents[2]
_START_TIMEOUT = 60.0  # seconds; 15 were too few on two cores at a load of 50


class PracticeModelFailed(AutocoderError):
    """The practice model did not start."""

    hint = "Run the same command again when this host is less busy."


class PracticeModel:
    """Starts the server on entering and ends it on leaving; it dies with us in any case.

    `env` is added to a minimal environment (the caller's marker, AUTOCODER_PROCESS). The server
    has a session of its own, so that Ctrl-C in a terminal does not reach it. `latency` is the
    seconds that it takes for each answer to a coder.
    """

    def __init__(self, *, env: Mapping[str, str] | None = None, latency: float = 0) -> None:
        self._env = dict(env or {})
        self._arguments = ["--latency", str(latency), "--parent", str(os.getpid())]
        self._process: asyncio.subprocess.Process | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """Base URL for ANTHROPIC_BASE_URL. Another one after `restart`."""
        return self._url

    @property
    def pid(self) -> int:
        return self._running().pid

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stop()

    async def wait(self) -> int:
        """Returns when the server has ended, with its exit status (negative: a signal)."""
        return await self._running().wait()

    async def restart(self) -> str:
        """End the server if it runs, start another one; its URL."""
        await self._stop()
        await self._start()
        return self._url

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "adapters.practice",
            *self._arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # a terminal view is not to be written over
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "PYTHONPATH": str(_ROOT),
                "PYTHONDONTWRITEBYTECODE": "1",
                **self._env,
            },
            start_new_session=True,
        )
        stdout = self._process.stdout
        assert stdout is not None
        try:
            line = await asyncio.wait_for(stdout.readline(), _START_TIMEOUT)
            self._url = f"http://127.0.0.1:{json.loads(line)['port']}"
        except (TimeoutError, ValueError) as error:
            await self._stop()
            raise PracticeModelFailed from error

    async def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            try:
                process.send_signal(signal.SIGKILL)  # it has nothing to save
            except ProcessLookupError:
                pass
        await process.wait()

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("The practice model was not started.")
        return self._process
