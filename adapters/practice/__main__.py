"""`python -m adapters.practice`: serve the practice model until the parent dies.

Prints one line of JSON, {"port": N}, once it listens.
"""

import argparse
import asyncio
import ctypes
import json
import os
import signal
import sys

from aiohttp import web

from adapters.practice.server import PracticeServer

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _die_with_parent(parent: int) -> None:
    """Have the kernel kill us when the parent goes; exit if it is gone already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m adapters.practice", description="A scripted Messages API server."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--latency", type=float, default=0, help="seconds before each answer to a coder"
    )
    parser.add_argument("--parent", type=int, default=os.getppid(), help=argparse.SUPPRESS)
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    server = PracticeServer(latency=arguments.latency)
    runner = web.AppRunner(server.app(), access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, arguments.host, arguments.port)
    await site.start()
    # Announced last: whoever reads the line may connect at once.
    port = runner.addresses[0][1]
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    arguments = _arguments()
    _die_with_parent(arguments.parent)
    try:
        asyncio.run(_serve(arguments))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
