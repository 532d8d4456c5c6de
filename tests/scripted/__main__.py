"""`python -m tests.scripted SCENARIO BOOKS [PARENT]`: serve until killed; prints the port.

With the pid of its parent it dies with it, however that ends.
"""

import asyncio
import ctypes
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from tests.scripted.server import ScriptedServer

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


async def serve(script: Path, books: Path) -> None:
    runner = web.AppRunner(
        ScriptedServer(script, books).app(), access_log=None, handler_cancellation=True
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that held
        sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        die_with(int(sys.argv[3]))
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
