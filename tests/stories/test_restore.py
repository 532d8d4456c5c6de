"""The daily copy of the database, put into a new home as docs/how-to/home.md says."""

import shutil
import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.data.backups import back_up_daily, backups
from tests.stories.service import House, Running, wait_until
from tests.stories.test_service_journey import Person, _until
from tests.unit.bot.commands.stage import stage

TASKS = "/api/projects/todo-api/tasks"


def _proofs(service: Running) -> dict[int, list[int]]:
    """What proves each task that passes."""
    items = service.admin.get(f"{TASKS}?limit=1000").json["items"]
    passing = [each["id"] for each in items if each["status"] == "passing"]
    found = {each: service.admin.get(f"{TASKS}/{each}").json["evidence"] for each in passing}
    return {task: [proof["id"] for proof in proofs] for task, proofs in found.items()}


def _shown(service: Running) -> str:
    return " ".join(str(message["card"]) for message in service.admin.messages())


async def _copy_of_tomorrow(home: Path) -> Path:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    async with stage(home, run=False, clock=lambda: tomorrow) as it:
        await back_up_daily(it.services.parts, it.services.settings)
    return backups(home / "backups")[-1]


@dataclass(frozen=True)
class Left:
    """What a service that was killed in the middle left."""

    home: Path
    copy: Path
    done: dict[int, list[int]]


@pytest.fixture
async def left(tmp_path: Path) -> Left:
    old = House(tmp_path / "old")
    with old.running() as service:
        person = Person(service)
        assert service.admin.say("/autocoder new todo-api").status == 201
        _until(person, lambda _status: len(_proofs(service)) >= 3)
        done = _proofs(service)
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
    return Left(old.home, await _copy_of_tomorrow(old.home), done)


@pytest.mark.slow
@pytest.mark.parametrize("since", [0, 4])
def test_a_copy_in_a_new_home_goes_on_where_it_stood(
    tmp_path: Path, left: Left, since: int
) -> None:
    """`since`: tasks done after the copy, so that the repository is ahead of the database."""
    if since:
        with House(left.home).running() as service:
            person = Person(service)
            _until(person, lambda _status: len(_proofs(service)) >= len(left.done) + since)
            service.process.send_signal(signal.SIGKILL)
    new = House(tmp_path / "new")
    new.home.mkdir()
    shutil.copy(left.copy, new.home / "autocoder.db")
    shutil.copytree(left.home / "projects", new.home / "projects", symlinks=True)
    with new.running() as service:
        person = Person(service)
        assert left.done.items() <= _proofs(service).items()
        _until(person, lambda status: status == "completed")
        assert left.done.items() <= _proofs(service).items(), "nothing was done twice"
        keys = [m["card"]["key"] for m in service.admin.messages() if m["card"]]
        assert len(keys) == len(set(keys))
        assert service.stop() < 5


@pytest.mark.slow
def test_a_copy_without_the_repositories_says_what_is_missing(tmp_path: Path, left: Left) -> None:
    new = House(tmp_path / "new")
    new.home.mkdir()
    shutil.copy(left.copy, new.home / "autocoder.db")
    with new.running() as service:
        wait_until(lambda: "projects/todo-api" in _shown(service))
        assert service.admin.get("/api/projects").json["items"][0]["status"] == "blocked"
        assert not (new.home / "projects" / "todo-api").exists(), "no empty one in its place"
        shutil.copytree(left.home / "projects", new.home / "projects", symlinks=True)
        assert service.admin.say("/autocoder resume todo-api").status == 201
        person = Person(service)
        _until(person, lambda status: status == "completed")
        assert left.done.items() <= _proofs(service).items()
        assert service.stop() < 5
