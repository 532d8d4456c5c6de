"""The machine's own floor: what answers a POST with one durable insert and nothing else.

FastAPI, uvicorn and SQLite as the service has them, in a process of its own; nothing of ours.
"""

import argparse
import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

_ROOT = Path(__file__).parents[2]


class Words(BaseModel):
    text: str


def _application(rows: sqlite3.Connection) -> FastAPI:
    app, writer = FastAPI(), ThreadPoolExecutor(1)

    def insert(text: str) -> int:
        rows.execute("BEGIN IMMEDIATE")
        number = rows.execute("INSERT INTO words (text) VALUES (?)", (text,)).lastrowid
        rows.execute("COMMIT")
        return number or 0

    @app.post("/", status_code=201)
    async def say(words: Words) -> dict[str, int]:
        return {"id": await asyncio.get_running_loop().run_in_executor(writer, insert, words.text)}

    return app


class _Server(uvicorn.Server):
    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)


async def _serve(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as rows:
        rows.execute("PRAGMA journal_mode=WAL")
        rows.execute("PRAGMA synchronous=FULL")
        rows.execute("CREATE TABLE words (id INTEGER PRIMARY KEY, text)")
        config = uvicorn.Config(_application(rows), port=0, log_config=None, access_log=False)
        server = _Server(config)
        serving = asyncio.create_task(server.serve())
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving


@contextmanager
def floor(folder: Path) -> Iterator[str]:
    """Its URL, for as long as the block lasts; the database lies in `folder`."""
    argv = [sys.executable, "-m", "tests.bench.floor", str(folder / "floor.db")]
    with Popen(argv, cwd=_ROOT, stdin=PIPE, stdout=PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.stdin.close()  # its end of file tells it to leave, also when we are killed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.bench.floor")
    parser.add_argument("database", type=Path)
    asyncio.run(_serve(parser.parse_args().database))
