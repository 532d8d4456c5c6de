"""`autocoder check`: what it sees, and that it says how to mend it."""

import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from bot.app import host_probes
from bot.checks import home as check_home
from bot.checks import host as host_check
from bot.checks.finding import Finding, Level
from bot.checks.host import Probes, check, is_fit, show
from bot.data.home import held
from core.ports.host import BoxLevel
from core.store import migrations


@dataclass(frozen=True)
class Fact:
    level: BoxLevel
    reason: str = ""
    hint: str = ""


def _probes(level: BoxLevel = BoxLevel.FULL, unseen: Sequence[Path] = ()) -> Probes:
    fact = Fact(level, "bubblewrap is not installed", "apt-get install bubblewrap socat")
    return Probes(sandbox=lambda: fact, unseen_toolchains=lambda path, read: unseen)


def _look(home: Path, probes: Probes | None = None, **environ: str) -> dict[str, Finding]:
    values = {"HOME": str(home), "PATH": os.environ["PATH"], **environ}
    findings = check(values, home / "data", probes or _probes())
    return {finding.name: finding for finding in findings}


def test_a_fit_host_is_fit(tmp_path: Path) -> None:
    found = _look(tmp_path)
    assert [each for each in found.values() if each.level is Level.ERROR] == []
    assert "practice" in found["model"].what
    assert not (tmp_path / "data").exists(), "looking makes nothing"


@pytest.mark.parametrize(
    ("environ", "level"),
    [
        ({}, Level.WARNING),
        ({"ANTHROPIC_API_KEY": "x"}, Level.ERROR),
        ({"ANTHROPIC_API_KEY": "x", "AUTOCODER_SANDBOX__REQUIRED": "false"}, Level.WARNING),
    ],
)
@pytest.mark.parametrize("box", [BoxLevel.NONE, BoxLevel.REDUCED])
def test_no_full_sandbox(
    tmp_path: Path, box: BoxLevel, environ: dict[str, str], level: Level
) -> None:
    finding = _look(tmp_path, _probes(box), **environ)["sandbox"]
    assert finding.level is level
    assert finding.what.startswith(box.value)
    assert "apt-get" in finding.mend


def test_a_toolchain_in_a_home_is_proposed(tmp_path: Path) -> None:
    finding = _look(tmp_path, _probes(unseen=[Path("/home/x/.nvm/node")]))["toolchain"]
    assert 'read = ["/home/x/.nvm/node"]' in finding.mend
    missing = _look(tmp_path, AUTOCODER_SANDBOX__READ="/not/there")["toolchain"]
    assert "does not exist" in missing.what


def test_a_login_of_the_cli_is_no_credential(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / ".credentials.json").write_text("{}")
    found = _look(tmp_path)["model"]
    assert found.level is Level.WARNING
    assert "claude setup-token" in found.mend
    wanted = _look(tmp_path, AUTOCODER_MODEL="claude")["model"]
    assert wanted.level is Level.ERROR
    assert "claude setup-token" in wanted.mend


def test_secrets_are_not_told(tmp_path: Path) -> None:
    findings = check(
        {
            "HOME": str(tmp_path),
            "ANTHROPIC_API_KEY": "very-secret",
            "ANTHROPIC_BASE_URL": "http://user:very-secret@model.example/",
        },
        tmp_path,
        _probes(),
    )
    assert "model.example" in host_check.as_json(findings)
    assert "very-secret" not in host_check.as_json(findings)


def test_every_wrong_setting_is_found(tmp_path: Path) -> None:
    values = {"HOME": str(tmp_path), "AUTOCODER_AGENTS__NOPE": "1", "AUTOCODER_PORT": "x"}
    findings = check(values, tmp_path, _probes())
    wrong = [finding for finding in findings if finding.name == "settings"]
    assert len(wrong) == 2
    assert not is_fit(findings)


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert _look(tmp_path)["home"].level is Level.ERROR


def test_little_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_home, "DISK_WANTED", 1 << 62)
    assert _look(tmp_path)["home"].level is Level.WARNING
    monkeypatch.setattr(check_home, "DISK_NEEDED", 1 << 62)
    assert _look(tmp_path)["home"].level is Level.ERROR


def test_a_broken_database(tmp_path: Path) -> None:
    home = tmp_path / "data"
    home.mkdir()
    path = home / "autocoder.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (x)")
        database.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 100)
    database.close()
    assert _look(tmp_path)["database"].level is Level.OK
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    assert _look(tmp_path)["database"].level is Level.ERROR
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    assert _look(tmp_path)["database"].level is Level.ERROR


@pytest.mark.parametrize(
    ("script", "level"),
    [
        ("echo git version 2.39.5", Level.OK),
        ("echo git version 2.50.1 '(Apple Git-155)'", Level.OK),
        ("echo git version 3.0.rc1", Level.OK),
        ("echo git version 2.9.0", Level.ERROR),
        ("echo git version 1.99", Level.ERROR),
        ("echo what", Level.ERROR),
        ("exit 1", Level.ERROR),
        (None, Level.ERROR),
    ],
)
def test_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, level: Level
) -> None:
    if script is not None:
        program = tmp_path / "git"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = _look(tmp_path)["git"]
    assert finding.level is level
    assert bool(finding.mend) is (level is Level.ERROR)


def test_another_system_is_told_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    finding = _look(tmp_path)["system"]
    assert finding.level is Level.ERROR
    assert "Darwin is not supported" in finding.what


def test_a_misspelt_variable_is_noticed(tmp_path: Path) -> None:
    assert "AUTOCODER_HOEM" in _look(tmp_path, AUTOCODER_HOEM="x")["variable"].what
    assert "variable" not in _look(tmp_path, AUTOCODER_PROCESS="ab-1")


def test_this_host_for_real(tmp_path: Path) -> None:
    fact = host_probes().sandbox()
    values = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    findings = {each.name: each for each in check(values, tmp_path, host_probes())}
    assert findings["sandbox"].what.startswith(str(fact.level))
    assert findings["claude cli"].level is Level.OK


def test_a_person_sees_mark_and_word() -> None:
    out = io.StringIO()
    findings = [
        Finding("git", Level.OK, "2.39.5"),
        Finding("sandbox", Level.WARNING, "reduced", "do this"),
        Finding("home", Level.ERROR, "full disk", "free some"),
    ]
    show(findings, Console(file=out, width=80))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[:2] == ["✓  git      2.39.5", "▲  sandbox  reduced"]
    assert lines[-1] == "■ Not fit: 1 to mend first, 1 warning."


@pytest.mark.parametrize(("extra", "status"), [({}, 0), ({"AUTOCODER_AGENTS__NOPE": "1"}, 3)])
def test_the_command_tells_by_its_status(
    tmp_path: Path, extra: dict[str, str], status: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot", "check", "--json", "--home", str(tmp_path)],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], **extra},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    answer = json.loads(done.stdout)
    assert answer["fit"] is (status == 0)
    assert all(set(each) == {"name", "level", "what", "mend"} for each in answer["findings"])


def test_a_database_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "data" / "autocoder.db"
    path.parent.mkdir()
    migrations.upgrade(path)
    assert "whole" in _look(tmp_path)["database"].what
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
    found = _look(tmp_path)["database"]
    assert found.level is Level.ERROR
    assert "newer autocoder" in found.what


def test_a_token_that_others_may_read(tmp_path: Path) -> None:
    token = tmp_path / "data" / "web-token"
    token.parent.mkdir()
    token.write_text("x" * 40)
    token.chmod(0o644)
    found = _look(tmp_path)["token"]
    assert found.level is Level.WARNING
    assert "chmod 600" in found.mend
    token.chmod(0o600)
    assert "token" not in _look(tmp_path)


def test_who_works_in_the_home(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        taken = _look(tmp_path, AUTOCODER_PORT=port)["service"]
        assert taken.level is Level.WARNING
        assert "AUTOCODER_PORT" in taken.mend
    assert "is free" in _look(tmp_path, AUTOCODER_PORT="0")["service"].what
    with held(tmp_path / "data"):
        assert str(os.getpid()) in _look(tmp_path)["service"].what


def test_half_a_chat_is_none(tmp_path: Path) -> None:
    assert _look(tmp_path)["slack"].level is Level.OK
    half = _look(tmp_path, SLACK_BOT_TOKEN="xoxb")["slack"]
    assert half.level is Level.WARNING
    assert half.mend == "Set SLACK_APP_TOKEN too."
