"""What a person, a plan, a model server or a check may give that is wrong: words, no harm."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.scripted.scenario import Step, passing, write
from tests.stories.conftest import MakeWorld
from tests.stories.stranger import Stranger, expect_words, left_processes
from tests.stories.works import Piece, Work, alone, honest, play

BAD_SPECS: dict[str, tuple[bytes | None, str]] = {
    "empty.md": (b"", "The spec is empty."),
    "binary.md": (bytes(range(256)) * 40, "is not UTF-8"),
    "large.md": (b"# Large\n" + b"a" * 5_000_000, "more than 1,000,000 bytes"),
    "pipe.md": (None, "The spec is empty."),
    "missing.md": (None, "cannot be read"),
}
BAD_NAMES = ("../out", "\N{GRINNING FACE}", "a\nb", "-dash", "a" * 65)
BAD_BUDGETS = ("much", "-5", "nan")


@pytest.mark.timeout(400)
def test_what_cannot_be_used_is_refused_in_words(tmp_path: Path) -> None:
    """All at once: each start of the program costs a second or two."""
    stranger = Stranger(tmp_path)
    os.mkfifo(tmp_path / "pipe.md")
    begun = {}
    for name, (content, words) in BAD_SPECS.items():
        if content is not None:
            stranger.spec(content, name)
        begun[name] = (stranger.begin("build", tmp_path / name), words)
    good = stranger.spec()
    for name in BAD_NAMES:
        begun[name] = (stranger.begin("build", good, "--name", name), "how about")
    for budget in BAD_BUDGETS:
        begun[budget] = (stranger.begin("build", good, "--budget", budget), "is no amount")
    for program, words in begun.values():
        expect_words(program.end(), 2, "■", words)
    assert not stranger.home.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"x", "spec"),
        ("\N{GRINNING FACE}" * 3, "spec"),
        (b"\xef\xbb\xbf# With a mark\r\n\r\ntext\r\n", "With a mark"),
        (b"# " + b"h" * 10_000, "h" * 64),
        (b"```\n" * 5000 + b"<!-- \x1b[31m" + "‮".encode(), "spec"),
    ],
)
def test_a_spec_of_any_shape_is_planned(tmp_path: Path, text: str | bytes, name: str) -> None:
    stranger = Stranger(tmp_path)
    given = stranger.spec(text)
    expect_words(stranger.run("build", given), 1, "Nothing is built before approval")
    with closing(sqlite3.connect(stranger.home / "autocoder.db")) as database:
        assert database.execute("SELECT name FROM projects").fetchall() == [(name,)]
    (copy,) = stranger.home.glob("projects/*/.autocoder/prompts/app_spec.txt")
    assert copy.read_bytes() == given.read_bytes()


@pytest.mark.slow
def test_the_same_name_again(tmp_path: Path) -> None:
    """Completed: its report. Another text: refused, whatever the case of the name."""
    stranger = Stranger(tmp_path)
    spec = stranger.spec()
    expect_words(stranger.run("build", spec, "--yes"), 0, "Repository")
    foreign = stranger.home / "report.json"
    foreign.write_text('{"project": {"id": 2}}')
    again = stranger.run("build", spec, "--name", '"NOTES"')
    expect_words(again, 0, "Repository")
    assert foreign.exists(), "it is another project's"
    other = stranger.spec("# Notes\n\nSomething else.\n", "other.md")
    expect_words(stranger.run("build", other), 2, "with another spec", "--name")


class _Nonsense(BaseHTTPRequestHandler):
    content_type: str
    body: bytes
    asked: int

    def do_POST(self) -> None:
        type(self).asked += 1
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-type", self.content_type)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing on stderr."""


@contextmanager
def nonsense(content_type: str, body: bytes) -> Iterator[tuple[str, type[_Nonsense]]]:
    class Handler(_Nonsense):
        pass

    Handler.content_type, Handler.body, Handler.asked = content_type, body, 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", Handler
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", b"<html>welcome to this network</html>"),
        ("text/event-stream", b""),
        ("application/json", b"{not json"),
        ("text/event-stream", b"event: zzz\ndata: {{{\n\n\x00\xff\n\ndata: [DONE]\n\n"),
    ],
)
def test_a_server_of_nonsense_is_not_asked_for_ever(
    tmp_path: Path, content_type: str, body: bytes
) -> None:
    stranger = Stranger(tmp_path)
    with nonsense(content_type, body) as (url, handler):
        outcome = stranger.run(
            "build",
            stranger.spec(),
            AUTOCODER_MODEL="claude",
            ANTHROPIC_API_KEY="test",
            ANTHROPIC_BASE_URL=url,
            AUTOCODER_AGENTS__BACKOFF_MAX_S="0.1",
        )
    expect_words(outcome, 1, "without a plan", "The last: ")
    assert handler.asked < 60
    assert left_processes(stranger.home) == []


HOSTILE = {
    "forever": "import time\nwhile True: time.sleep(1)\n",
    "stubborn": (
        "import os, signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n"
        "os.setsid() if os.fork() == 0 else None\ntime.sleep(1000)\n"
    ),
    "flood": "import sys\nfor _ in range(1100): sys.stdout.write('x' * 1_000_000)\nsys.exit(1)\n",
    "parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nraise SystemExit(1)\n",
    "reader": (
        "import os\nsecrets = [n for n in os.environ if 'ANTHROPIC' in n or 'CLAUDE' in n]\n"
        "raise SystemExit(f'found {secrets}' if not secrets else 'found some')\n"
    ),
    "bytes": "import sys\nsys.stdout.buffer.write(bytes(range(256)) * 9)\nsys.exit(1)\n",
}
DAEMON = (
    "import os, time\n"
    "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(1000)\n"
)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_checks_that_mean_harm(world: MakeWorld) -> None:
    """Each is a failed attempt of its own task; one that leaves a daemon passes without it.

    Nothing here is proved again outside the box, where the daemon would live on.
    """

    def checked(name: str, source: str) -> Work:
        steps: tuple[Step, ...] = (write(f"{name}.py", source), passing())
        return Work(name=name, steps=steps, checks=(f"python3 {name}.py",))

    phase = tuple(
        Piece(name.title(), (checked(name, source),))
        for name, source in {**HOSTILE, "daemon": DAEMON}.items()
    )
    story = world(play(phase))
    ending = story.build(
        "--yes",
        AGENTS__CHECK_TIMEOUT_S="3",
        AGENTS__MAX_ATTEMPTS="1",
        AGENTS__ON_STUCK="skip",
        AGENTS__BATCH="1",
        timeout=300,
    )
    assert ending.code == 0, ending.words
    assert "Traceback" not in ending.err, ending.words
    assert story.statuses() == {**dict.fromkeys(HOSTILE, "skipped"), "daemon": "passing"}
    assert story.runs() == len(HOSTILE) + 1
    (secrets,) = story.column("SELECT last_error FROM tasks WHERE name = 'reader'")
    assert "found []" in secrets
    assert story.database.stat().st_size < 5_000_000
    assert story.left_processes() == []


@pytest.mark.slow
@pytest.mark.parametrize("setup", ["python3 -c 'raise SystemExit(4)'", "sleep 1000"])
def test_a_setup_that_does_not_work(world: MakeWorld, setup: str) -> None:
    work = Work(name="one", steps=(write("one.py", ""), passing()), checks=("python3 one.py",))
    story = world(play((Piece("One", (work,)),), setup=(setup,)))
    ending = story.build("--yes", AGENTS__CHECK_TIMEOUT_S="2", AGENTS__MAX_ATTEMPTS="2")
    assert ending.code == 1, ending.words
    assert "Traceback" not in ending.err, ending.words
    assert story.statuses()["one"] != "passing"
    assert story.runs() <= 12


@pytest.mark.slow
def test_a_setup_that_fails_at_the_gate_waits_for_a_person(world: MakeWorld) -> None:
    answers = iter((200, 200, 500))  # a worktree, the landing, the gate; from then on well again

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(answers, 200))
            self.end_headers()

        def log_request(self, *args: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as registry:
        Thread(target=registry.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{registry.server_port}/"
        setup = f"python3 -c \"import urllib.request; urllib.request.urlopen('{url}')\""
        story = world(play(alone(honest("one")), setup=(setup,)))
        ending = story.build("--yes")
        assert ending.code == 1, ending.words
        assert "Setup fails on main" in ending.out, ending.words
        assert story.statuses() == {"one": "passing"}
        again = story.build("--yes")
        registry.shutdown()
    assert again.code == 0, again.words
    assert story.statuses() == {"one": "passing"}
