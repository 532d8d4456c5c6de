"""`python -m tests.scripted SCENARIO BOOKS`: serve until killed; prints the port."""

import asyncio
import sys
from pathlib import Path

from aiohttp import web

from tests.scripted.server import ScriptedServer


async def serve(script: Path, books: Path) -> None:
    runner = web.AppRunner(
        ScriptedServer(script, books).app(), access_log=None, handler_cancellation=True
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
