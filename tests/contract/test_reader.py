"""Long questions are answered by a child beside the service, as the service would answer them."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.reader import Reader
from bot import reading, reads
from bot.reads import Question
from core.errors import NotFound, StorageFailed
from core.store.session import Store
from tests.bench.filling import fill

USAGE = Question("usage", {"name": "Large"})
LONG_PAGE = Question(
    "tasks", {"name": "Large", "feature_id": None, "status": None, "after": 3, "limit": 500}
)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "autocoder.db"
    fill(path, open_tasks=10, done_tasks=600)
    return path


@pytest.fixture
async def store(large: Path) -> AsyncIterator[Store]:
    made = Store(large)
    yield made
    await made.close()


def _reader(path: Path, rest: float = 60) -> Reader:
    return Reader(("-m", "bot.reading", str(path)), marker="test-0", rest=rest)


@pytest.fixture
async def reader(large: Path) -> AsyncIterator[Reader]:
    made = _reader(large)
    yield made
    await made.close()


@pytest.mark.parametrize(
    "question", [USAGE, LONG_PAGE, Question("graph", {"name": "large"})], ids=lambda q: q.what
)
async def test_it_answers_as_the_service_would(
    store: Store, reader: Reader, question: Question
) -> None:
    found = await reading.ask(store, reader, question, ())
    assert reader.pid is not None
    assert found == replace(await store.read(reads.answer, question), clean=True)
    assert len(found.content) > 10_000


async def test_what_is_read_beside_comes_redacted(store: Store, reader: Reader) -> None:
    plain = await store.read(reads.answer, LONG_PAGE)
    commit = str(json.loads(plain.content)[-1]["evidence"][0]["commit"])
    found = await reading.ask(store, reader, LONG_PAGE, (commit,))
    assert commit.encode() in plain.content
    assert commit.encode() not in found.content
    assert found.clean


async def test_what_is_short_starts_no_process(
    store: Store, reader: Reader, tmp_path: Path
) -> None:
    page = Question("runs", {"name": "Large", "after": 0, "limit": 100})
    assert (await reading.ask(store, reader, page, ())).next == 100
    small = tmp_path / "small.db"
    fill(small, open_tasks=3, done_tasks=0)
    other = Store(small)
    await reading.ask(other, reader, USAGE, ())
    await other.close()
    assert reader.pid is None


async def test_a_refusal_is_the_same_refusal(store: Store, reader: Reader) -> None:
    with pytest.raises(NotFound, match="Nobody") as refused:
        await reading.ask(store, reader, Question("usage", {"name": "Nobody"}), ())
    assert refused.value.hint
    await reading.ask(store, reader, USAGE, ())  # and it goes on


async def test_a_cancelled_question_leaves_the_next_its_own_answer(
    store: Store, reader: Reader
) -> None:
    asked = asyncio.create_task(reading.ask(store, reader, USAGE, ()))
    while reader.pid is None:
        await asyncio.sleep(0.01)
    asked.cancel()
    found = await reading.ask(store, reader, LONG_PAGE, ())
    assert found.content == (await store.read(reads.answer, LONG_PAGE)).content


async def test_a_dead_child_is_said_and_followed_by_another(store: Store, reader: Reader) -> None:
    await reading.ask(store, reader, USAGE, ())
    first = reader.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)  # in the middle of the next answer
    asked = asyncio.create_task(reading.ask(store, reader, USAGE, ()))
    await asyncio.sleep(0.1)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(StorageFailed):
        await asked
    await reading.ask(store, reader, USAGE, ())
    assert reader.pid != first


async def test_it_leaves_after_a_rest(store: Store, large: Path) -> None:
    reader = _reader(large, rest=0.2)
    await reading.ask(store, reader, USAGE, ())
    pid = reader.pid
    for _ in range(500):
        if not Path(f"/proc/{pid}").exists():
            break
        await asyncio.sleep(0.02)
    else:
        pytest.fail("it stays")
    await reading.ask(store, reader, USAGE, ())
    await reader.close()
