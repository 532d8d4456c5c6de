"""Hosts, shells and disks as strangers have them: words where it cannot work, else it works."""

import json
import os
import shlex
import signal
import sqlite3
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.scripted.process import ROOT
from tests.stories.stranger import Begun, Stranger, expect_words, left_processes, programs
from tests.stories.world import until

WAITS = "approve · reject REASON · details ›"
OLD_GIT = "#!/bin/sh\necho git version 2.30.2\n"
CLAUDE: dict[str, Any] = {
    "AUTOCODER_MODEL": "claude",
    "ANTHROPIC_API_KEY": "test",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
}


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    made = Stranger(tmp_path)
    try:
        yield made
    finally:
        made.leave()
    assert left_processes(made.home) == []


def whole(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as opened:
        return opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.timeout(400)
def test_what_a_host_lacks_is_said(stranger: Stranger, tmp_path: Path) -> None:
    """All at once: each start of the program costs a second or two."""
    spec = stranger.spec()
    no_git = programs(tmp_path / "no-git", without=["git"])
    old_git = programs(tmp_path / "old-git", git=OLD_GIT)
    no_box = programs(tmp_path / "no-box", without=["bwrap"])
    file = tmp_path / "file"
    file.touch()
    long = tmp_path / ("l" * 200) / ("l" * 200) / ("l" * 200)
    homes = count()

    def begin(*arguments: str | Path, **environment: Any) -> Begun:
        """Each in a home of its own: the first to come holds it."""
        environment["AUTOCODER_HOME"] = str(tmp_path / f"home-{next(homes)}")
        return stranger.begin(*arguments, **environment)

    begun = [
        (begin("build", spec, PATH=no_git), 3, "git is not installed"),
        (begin("build", spec, PATH=old_git), 3, "git 2.30.2 is too old"),
        (begin("build", spec, PATH=no_box, **CLAUDE), 3, "apt-get install bubblewrap"),
        (begin("build", spec, AUTOCODER_MODEL="claude"), 3, "credential"),
        (begin("build", spec, "--home", file), 2, "cannot be used"),
        (begin("build", spec, "--home", long), 2, "Give a shorter one"),
        (begin("build", spec, AUTOCODER_AGENTS__BATHC="1"), 2, "agents.batch"),
        (begin("check", PATH=no_git), 3, "git is not installed"),
    ]
    as_json = begin("check", "--json", PATH=old_git)
    for program, code, words in begun:
        expect_words(program.end(), code, words)
    told = json.loads(as_json.end().out)
    assert told["fit"] is False
    assert [each["name"] for each in told["findings"] if each["level"] == "error"] == ["git"]


@pytest.mark.timeout(400)
def test_a_home_that_is_held(stranger: Stranger) -> None:
    spec = stranger.spec()
    first = stranger.begin("build", spec, listening=True)
    first.until_it_says("Nothing is built before approval", timeout=200)
    second = stranger.run("build", spec)
    expect_words(second, 1, f"pid {first.process.pid}", str(stranger.home))
    assert first.process.poll() is None
    first.signal(signal.SIGTERM)
    expect_words(first.end(), 130, "goes on from here")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGINT, WAITS),
        pytest.param(signal.SIGHUP, WAITS, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, "building phase 1", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, "building phase 1", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "landed", marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(400)
def test_an_interrupt_at_any_time(stranger: Stranger, number: signal.Signals, words: str) -> None:
    """It ends resumably, leaves nothing running, and going on completes it."""
    spec = stranger.spec()
    options = () if words == WAITS else ("--yes",)
    program = stranger.begin("build", spec, *options, listening=True)
    program.until_it_says(words, timeout=200)
    program.signal(number)
    outcome = program.end()
    # After the landing there is so little left to do that it may be done before the signal.
    expect_words(outcome, outcome.code if words == "landed" and outcome.code == 0 else 130)
    assert left_processes(stranger.home) == []
    if options:
        expect_words(stranger.run("build", spec, "--yes"), 0, "Repository")


@pytest.mark.timeout(400)
def test_an_impatient_interrupt_waits_for_no_teardown(stranger: Stranger, tmp_path: Path) -> None:
    """Three signals end it once, resumably; what Python would do at its exit takes no time."""
    slow = "import atexit, time\natexit.register(time.sleep, 60)\n"
    (tmp_path / "sitecustomize.py").write_text(slow)
    path = f"{ROOT}{os.pathsep}{tmp_path}"
    program = stranger.begin("build", stranger.spec(), listening=True, PYTHONPATH=path)
    program.until_it_says(WAITS, timeout=200)
    begun = time.monotonic()
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        program.signal(number)
        time.sleep(0.05)
    outcome = program.end()
    assert time.monotonic() - begun < 30, outcome.words
    expect_words(outcome, 130, "Stopped.", "Nothing done is lost")
    assert left_processes(stranger.home) == []


@pytest.mark.parametrize("library", ["_ssl", pytest.param("pydantic_core", marks=pytest.mark.slow)])
@pytest.mark.timeout(400)
def test_ctrl_c_before_anything_began(stranger: Stranger, library: str) -> None:
    """While Python still reads the program: no traceback, the status of Ctrl-C."""
    program = stranger.begin("build", stranger.spec())
    maps = Path(f"/proc/{program.process.pid}/maps")
    until(lambda: library in maps.read_text(), timeout=100)
    program.signal(signal.SIGINT)
    expect_words(program.end(), 130)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("lacking", ["bwrap", "socat"])
def test_practice_without_a_whole_sandbox_says_so(
    stranger: Stranger, tmp_path: Path, lacking: str
) -> None:
    path = programs(tmp_path / "programs", without=[lacking])
    outcome = stranger.run("build", stranger.spec(), "--yes", PATH=path)
    expect_words(outcome, 0, "Repository")
    assert "could reach more of this host" in "\n".join(outcome.out.splitlines()[:5])


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "name",
    ["a b'c\"d%20#e?mode=ro&f;$HOME", "über-\N{GRINNING FACE}", "new\nline", "l" * 190, "a:b"],
)
def test_a_home_of_any_name(stranger: Stranger, tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    outcome = stranger.run("build", stranger.spec(), "--yes", "--home", home)
    expect_words(outcome, 0, "Repository")
    assert outcome.err == ""
    assert whole(home / "autocoder.db")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_home_that_moves_while_it_is_stopped(stranger: Stranger, tmp_path: Path) -> None:
    spec = stranger.spec()
    program = stranger.begin("build", spec, "--yes")
    program.until_it_says("building phase 1", timeout=200)
    program.signal(signal.SIGKILL)
    program.end()
    moved = tmp_path / "moved"
    stranger.home.rename(moved)
    expect_words(stranger.run("build", spec, "--yes", "--home", moved), 0, str(moved))


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": None},
        {"PATH": None},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "40"},
        {"TZ": "Pacific/Chatham"},
        {"TZ": "nonsense/::"},
        {"TMPDIR": "/nonexistent"},
    ],
    ids=lambda environment: next(iter(environment)),
)
def test_an_odd_environment(stranger: Stranger, environment: dict[str, Any]) -> None:
    expect_words(stranger.run("build", stranger.spec(), "--yes", **environment), 0, "Repository")
    expect_words(stranger.run("check", **environment), 0, "This host is fit")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_shell_that_closes_what_it_likes(stranger: Stranger) -> None:
    """A closed stdout must not lend its descriptor to the database."""
    spec = stranger.spec()
    closed = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    assert stranger.run("build", spec, wrapper=closed).code == 1
    gone = ("sh", "-c", '"$@" | head -1; exit 0', "sh")
    outcome = stranger.run("build", spec, "--yes", wrapper=gone)
    assert outcome.err == ""
    expect_words(stranger.run("build", spec, "--yes", wrapper=closed), 0)
    assert whole(stranger.home / "autocoder.db")
    assert (stranger.home / "autocoder.db").read_bytes().startswith(b"SQLite format 3\0")


def python_for_others(folder: Path) -> str:
    """The system's Python with our packages: a tool's own may stand in a closed folder."""
    here = Path(sys.executable).parent
    system = Path("/usr/bin/python3")
    if not system.exists() or os.readlink(system) != f"python3.{sys.version_info.minor}":
        pytest.skip("the system has no Python like ours")
    subprocess.run([system, "-m", "venv", "--without-pip", folder], check=True)
    packages = folder / f"lib/python3.{sys.version_info.minor}/site-packages"
    packages.joinpath("ours.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    (folder / "bin" / "shfmt").symlink_to(here / "shfmt")
    return str(folder / "bin" / "python")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take another user's rights")
def test_an_ordinary_user() -> None:
    """Nobody's own folder, spec and home; what belongs to root cannot be read or written.

    Not in pytest's own folder, which it closes to others.
    """
    with TemporaryDirectory() as place:
        folder = Path(place)
        for needed in (folder, ROOT):
            if any(parent.stat().st_mode & stat.S_IXOTH == 0 for parent in needed.parents):
                pytest.skip(f"{needed} is closed to others")
        stranger = Stranger(folder, python_for_others(folder / "python"))
        _as_nobody(stranger)
        assert left_processes(stranger.home) == []


def _as_nobody(stranger: Stranger) -> None:
    spec, secret = stranger.spec(), stranger.spec(name="secret.md")
    secret.chmod(0o600)
    (stranger.folder / "person").mkdir()
    for folder in (stranger.folder, stranger.folder / "person"):
        os.chown(folder, 65534, 65534)
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    denied = stranger.run("build", secret, wrapper=nobody)
    expect_words(denied, 2, "cannot be read: Permission denied")
    expect_words(stranger.run("build", spec, "--home", "/root/x", wrapper=nobody), 2, "cannot be")
    expect_words(stranger.run("build", spec, "--yes", wrapper=nobody), 0, "Repository")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")
@pytest.mark.parametrize("when", ["", "Plan for", "building phase 1"])
def test_a_full_disk(stranger: Stranger, when: str) -> None:
    """Words and status 1; after room was made the same command completes it."""
    home, spec = stranger.home, stranger.spec()
    home.mkdir()
    script = (
        'mount -t tmpfs -o size=40m none "$0" || exit 77\n'
        "fill() { dd if=/dev/zero of=$HOME/filler bs=4096 2>/dev/null; }\n"
        'ln -s "$0/filler" "$HOME/filler"\n'
        + ('"$@" & program=$!\n' if when else 'fill; "$@" & program=$!\n')
        + (f'until grep -q "{when}" "$OUT"; do sleep 0.05; done; fill\n' if when else "")
        + 'wait $program; echo "first: $?"; rm "$0/filler"\n"$@"; echo "second: $?"\n'
    )
    outcome = stranger.run(
        "build",
        spec,
        "--yes",
        timeout=500,
        wrapper=("unshare", "-m", "bash", "-c", script, str(home)),
        OUT=str(stranger.folder / "out-1.txt"),
    )
    if outcome.code == 77:
        pytest.skip("nothing can be mounted here")
    expect_words(outcome, 0, "first: 1", "second: 0", "Free some space", "full")


@pytest.mark.timeout(400)
def test_an_export_that_cannot_be_written_says_so(stranger: Stranger) -> None:
    """A full disk and an unknown project are words; who reads no further is left alone."""
    assert stranger.run("build", stranger.spec("# To do\n\nKeep notes.\n")).code == 1
    export = [sys.executable, "-m", "bot", "export", "to do", "--home", str(stranger.home)]
    shell = " ".join(map(shlex.quote, export))
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}

    def told(line: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", line], env=env, cwd=stranger.folder, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    assert told(f"{shell} > /dev/full") == (
        1, "■ The output cannot be written: No space left on device.\n",
    )  # fmt: skip
    assert told(f"{shell} --format md > /dev/full")[0] == 1, "also what fits into a buffer"
    assert told(f"set -o pipefail; {shell} | true") == (1, "")
    unknown = stranger.run("export", "../to do\n")
    expect_words(unknown, 2, "There is no project '../to do\\n'.", "list")
    assert unknown.out == ""
