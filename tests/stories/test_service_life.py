"""The life of the service: health, signals, one per home, restarts, logs, upgrades."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from core.domain.people import LOCAL
from tests.scripted.process import ROOT
from tests.stories.service import House, Listener, Running, wait_until
from tests.stories.test_service_journey import Person, cards
from tests.stories.world import marked_processes


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "home")


def _events(home: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{home / 'autocoder.db'}?mode=ro", uri=True)) as rows:
        return [row[0] for row in rows.execute("SELECT event FROM journal ORDER BY id")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_time_and_leaves_nothing(house: House, number: signal.Signals) -> None:
    with house.running() as service:
        assert service.where["pid"] == service.pid
        tab = Listener(service.admin)
        took = service.stop(number)
        assert service.process.returncode == 0, service.out.read_text()
    assert took < 5
    assert tab.ended.wait(5)
    assert not (house.home / "service.json").exists()
    assert _events(house.home) == ["service_started", "service_stopped"]
    assert list(marked_processes(b"AUTOCODER_PROCESS=" + _marker(house.home))) == []


def _marker(home: Path) -> bytes:
    from bot.data.home import home_hash

    return home_hash(home).encode()


def test_a_second_one_refuses_with_the_pid_of_the_first(house: House) -> None:
    with house.running() as service:
        begun = time.monotonic()
        second = subprocess.run(
            [sys.executable, "-m", "bot", "serve", "--home", str(house.home)],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert time.monotonic() - begun < 5
        assert second.returncode == 1
        assert second.stdout == ""
        assert str(service.pid) in second.stderr
        assert len(second.stderr.splitlines()) == 1
        assert service.stranger.get("/healthz").status == 200


def _run(house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments, "--home", str(house.home)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_copy_of_the_database_is_made_by_the_one_that_writes_it(
    house: House, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    with house.running() as service:
        service.admin.say("hello")
        ada = service.member("ada", "admin")
        done = _run(house, "db", "backup", str(copy))
        assert done.returncode == 0, done.stderr
        again = service.admin.post("/api/database/backup", {"path": str(copy)})
        elsewhere = ada.post("/api/database/backup", {"path": str(tmp_path / "ada.db")})
        relative = service.admin.post("/api/database/backup", {"path": "ada.db"})
    assert (again.status, elsewhere.status, relative.status) == (422, 403, 422)
    assert not (tmp_path / "ada.db").exists()
    with closing(sqlite3.connect(copy)) as rows:
        assert rows.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        said = rows.execute("SELECT text FROM web_messages WHERE author = 'web:local'").fetchall()
    assert said == [("hello",)]


def test_a_killed_one_is_followed_by_another_that_knows_it_all(house: House) -> None:
    with house.running() as service:
        first = service.admin.say("hello", client_id="kept").body
        tab = Listener(service.admin, last=0)
        wait_until(lambda: bool(tab.events))
        last = tab.events[0].id
        token = service.admin.token
        service.process.kill()
        service.process.wait()
    with house.running() as service:
        assert service.admin.token == token
        assert service.admin.say("hello", client_id="kept").body == first
        service.admin.say("after")
        tab = Listener(service.admin, last=last)
        wait_until(lambda: any(event.data["text"] == "after" for event in tab.events))
        assert all(event.id > last for event in tab.events)
        assert service.stop() < 5


def test_a_port_that_is_taken_is_said(house: House, tmp_path: Path) -> None:
    other = House(tmp_path / "other")
    with house.running() as service:
        second = other.start(AUTOCODER_PORT=str(service.where["port"]))
        assert second.process.wait(120) == 1  # a start takes long on a busy host
        assert "AUTOCODER_PORT" in second.out.read_text()


def test_it_says_what_is_on_and_off_and_why(house: House) -> None:
    with house.running(SLACK_BOT_TOKEN="xoxb-1234567890") as service:
        text = service.out.read_text()
    assert "practice" in text
    assert "SLACK_APP_TOKEN not set" in text
    assert "DISCORD_TOKEN not set" in text
    assert "xoxb" not in text


def test_the_log_is_json_without_secrets(house: House) -> None:
    with house.running() as service:
        token = service.admin.token
        service.admin.get("/nothing")
        service.stop()
    lines = (house.home / "logs" / "service.log").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert {"started", "stopped"} <= {entry["event"] for entry in entries}
    assert token is not None
    assert token not in "\n".join(lines)


@pytest.mark.slow
def test_what_is_new_is_said_once_after_an_upgrade(house: House) -> None:
    with house.running() as service:
        service.admin.say("hello")
        service.stop()
    with closing(sqlite3.connect(house.home / "autocoder.db")) as rows:
        rows.execute("""UPDATE journal SET data = '{"version": "0.0.1"}'""")
        rows.commit()
    with house.running() as service:
        assert "0.0.1 was before" in service.out.read_text()
        service.stop()
    with house.running() as service:
        assert "was before" not in service.out.read_text()


@pytest.mark.slow
def test_a_home_that_moved_goes_on(house: House, tmp_path: Path) -> None:
    with house.running() as service:
        service.admin.say("before")
        token = service.admin.token
        service.stop()
    moved = tmp_path / "moved" / "here"
    moved.parent.mkdir()
    house.home.rename(moved)
    with House(moved).running() as service:
        assert service.admin.token == token
        assert [m["text"] for m in service.admin.messages() if m["author"] != "autocoder"] == [
            "before"
        ]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_home_that_moves_goes_on_where_it_was_killed(house: House, tmp_path: Path) -> None:
    """Sessions, worktrees and their links, the repository: none knows where the home was."""
    with house.running() as service:
        service.admin.say("/autocoder new todo-api")
        wait_until(lambda: any(key.startswith("question:") for key in cards(service)), 300)
        service.process.kill()
        service.process.wait()
    at_work = _moved(house, tmp_path / "once")
    with at_work.running() as service:
        person = Person(service)
        wait_until(lambda: person.look() == "running" and _passing(service) >= 1, 400)
        service.process.kill()
        service.process.wait()
    last = _moved(at_work, tmp_path / "deeper" / "twice")
    with last.running() as service:
        person = Person(service)
        wait_until(lambda: person.look() == "completed", 600)
        assert service.stop() < 5
    with closing(sqlite3.connect(last.home / "autocoder.db")) as rows:
        resumed = rows.execute(
            "SELECT now.session_id = before.session_id FROM runs now JOIN runs before"
            " ON now.resumes_id = before.id"
            " WHERE now.life != before.life AND now.kind = 'interviewer'"
        ).fetchall()
        missed = rows.execute("SELECT number FROM tasks WHERE status != 'passing'").fetchall()
    assert resumed == [(1,)], "the interviewer's session went on"
    assert missed == []
    assert list(marked_processes(b"AUTOCODER_PROCESS=" + _marker(last.home))) == []


def _moved(house: House, place: Path) -> House:
    place.parent.mkdir(exist_ok=True)
    house.home.rename(place)
    return House(place)


def _passing(service: Running) -> int:
    items = service.admin.get("/api/projects").json["items"]
    return int(items[0]["tasks"]["passing"]) if items else 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_older_database_is_migrated_after_a_copy(house: House, tmp_path: Path) -> None:
    """The next version, with a revision more, is started in place of this one."""
    with house.running() as service:
        service.admin.say("hello")
        service.stop()
    tree = tmp_path / "next"
    for package in ("adapters", "bot", "core", "mcp_server"):
        shutil.copytree(ROOT / package, tree / package)
    migrations = tree / "core" / "store" / "migrations"
    module = migrations / "__init__.py"
    text = module.read_text()
    (head,) = re.findall(r'^HEAD = "(\w+)"$', text, re.MULTILINE)
    module.write_text(text.replace(f'HEAD = "{head}"', 'HEAD = "9999"'))
    (migrations / "versions" / "9999_more.py").write_text(
        "from alembic import op\nimport sqlalchemy as sa\n"
        f'revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None\n'
        "def upgrade():\n"
        '    op.add_column("channels", sa.Column("more", sa.Integer(), server_default="7"))\n'
    )
    with house.running(tree=tree) as service:
        mine = [m["text"] for m in service.admin.messages() if m["author"] == LOCAL]
        assert mine == ["hello"]
        said = service.out.read_text()
        service.stop()
    copy = house.home / f"autocoder.db.{head}.backup"
    assert f"brought from {head} to 9999, as it was: {copy}" in said
    with closing(sqlite3.connect(house.home / "autocoder.db")) as rows:
        assert rows.execute("SELECT more FROM channels").fetchall() == [(7,)]
    with closing(sqlite3.connect(copy)) as rows:
        mine = rows.execute("SELECT text FROM web_messages WHERE author = ?", (LOCAL,)).fetchall()
        assert mine == [("hello",)]
        assert rows.execute("SELECT version_num FROM alembic_version").fetchall() == [(head,)]
    behind = house.start()
    assert behind.process.wait(200) == 1
    assert "made by a newer autocoder" in behind.out.read_text()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")
def test_a_disk_that_fills_up_is_said_and_loses_nothing(tmp_path: Path) -> None:
    """Status 1 and words; after room was made the same command goes on."""
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-m", "tests.stories.full_disk", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=800, check=False,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip("nothing can be mounted here")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_another_model_does_not_go_on_with_a_project(house: House) -> None:
    with house.running() as service:
        service.admin.say("/autocoder new todo-api")
        wait_until(lambda: any(key.startswith("question:") for key in cards(service)), timeout=60)
        (question,) = (
            button["action_id"]
            for message in service.admin.messages()
            if message["card"] and message["card"]["kind"] == "question"
            for button in message["card"]["buttons"][:1]
        )
        service.stop(signal.SIGTERM)
    with house.running(
        AUTOCODER_MODEL="claude",
        ANTHROPIC_API_KEY="none",
        ANTHROPIC_BASE_URL="http://127.0.0.1:9",
    ) as service:
        message = service.admin.messages()[-1]
        press = {"message_id": message["id"], "action_id": question}
        assert service.admin.post("/api/chat/presses", press).status == 200
        wait_until(lambda: _project(service)["status"] == "blocked")
        assert _events(house.home)[-1] == "project_blocked", "no agent of the other model began"
        words = "was begun with the practice model"
        wait_until(lambda: words in json.dumps(service.admin.messages(), ensure_ascii=False))


def _project(service: Running) -> dict[str, object]:
    (project,) = service.admin.get("/api/projects").json["items"]
    return dict(project)
