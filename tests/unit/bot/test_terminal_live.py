"""The live view on a real terminal: typed at, resized, interrupted, given back."""

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from tests.house.sources import ROOT

ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>78]")


class Terminal:
    """A pseudo-terminal with the played build on it."""

    def __init__(self, pause: str, columns: int, **environ: str) -> None:
        self.ours, self.theirs = pty.openpty()
        self.resize(columns)
        self.before = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.bot.play_terminal", pause],
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            cwd=ROOT,
            env={**os.environ, "TERM": "xterm-256color", **environ},
            start_new_session=True,
        )
        self.raw = ""

    def resize(self, columns: int, rows: int = 40) -> None:
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def until(self, words: str, seconds: float = 20) -> None:
        """Read until these words are on the screen after what was read last."""
        begin = len(self.raw)
        end = time.monotonic() + seconds
        while words not in ESCAPES.sub("", self.raw[begin:]):
            assert time.monotonic() < end, f"{words!r} never came:\n{self.raw[-3000:]}"
            self._read()

    def _read(self) -> None:
        if select.select([self.ours], [], [], 0.1)[0]:
            self.raw += os.read(self.ours, 65_536).decode("utf-8", "replace")

    def end(self) -> int:
        end = time.monotonic() + 20
        while self.process.poll() is None:
            assert time.monotonic() < end, self.raw[-3000:]
            self._read()
        self._read()
        return self.process.returncode

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self.raw)

    def given_back(self) -> bool:
        return termios.tcgetattr(self.theirs)[:4] == self.before[:4]


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.process.wait()
        os.close(terminal.ours)
        os.close(terminal.theirs)


def start(
    terminals: list[Terminal], columns: int = 100, pause: str = "0.05", **environ: str
) -> Terminal:
    terminal = Terminal(pause, columns, **environ)
    terminals.append(terminal)
    return terminal


PLAN = "approve · reject REASON · details"


def test_a_whole_build(terminals: list[Terminal]) -> None:
    terminal = start(terminals)
    terminal.until(PLAN)
    terminal.type("xy\x7f\x7f\r")  # edited to nothing
    terminal.type("reject\r")
    terminal.until("takes words behind it")
    terminal.type("details\r")
    terminal.until("5 README")
    terminal.type("approve\r")
    terminal.until("Evidence on main")
    terminal.resize(50)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.until(PLAN)
    terminal.type("approve\r")
    terminal.until("guide HINT")
    terminal.type("guide use a fixed clock — ärger\r")
    terminal.until("your own words")
    terminal.type("2\r")
    terminal.until("Gate: phase 2")
    terminal.until(PLAN)
    terminal.type("approve\r")
    terminal.until("todo-api is complete")
    assert terminal.end() == 0
    assert terminal.given_back()
    said = " ".join(terminal.text.split())
    assert "use a fixed clock — ärger" in said
    assert "› PostgreSQL" in said
    assert "5 of 5 tasks passing" in said
    assert "\x1b[6n" not in terminal.raw  # an answer to it would be taken for typed text
    assert "\x1b[?1049h" not in terminal.raw  # what was shown stays in the scrollback


@pytest.mark.parametrize(
    ("keys", "status", "words"),
    [("\x03", 130, "Stopped."), ("appr\x03", 130, "Stopped."), ("\x04", 1, "The input ended.")],
)
def test_it_ends_and_gives_the_terminal_back(
    terminals: list[Terminal], keys: str, status: int, words: str
) -> None:
    terminal = start(terminals)
    terminal.until(PLAN)
    terminal.type(keys)
    assert terminal.end() == status
    assert words in terminal.text
    assert terminal.given_back()


def test_keys_do_something_only_where_nothing_is_typed(terminals: list[Terminal]) -> None:
    terminal = start(terminals, pause="1")
    terminal.until(PLAN)
    terminal.type("qd\x7f\x7fapprove\r")
    terminal.until("building phase")
    terminal.type("d")
    terminal.until("5 README")
    terminal.type("/autocoder agents\r")
    terminal.until("No agent works")
    terminal.type("q")
    assert terminal.end() == 130
    assert terminal.given_back()


def test_no_colour_where_none_is_wanted(terminals: list[Terminal]) -> None:
    terminal = start(terminals, NO_COLOR="1")
    terminal.until(PLAN)
    terminal.type("\x03")
    assert terminal.end() == 130
    colours = re.findall(r"\x1b\[(?:[\d;]*;)?(?:3[0-7]|9[0-7]|38|48)(?:;[\d;]*)?m", terminal.raw)
    assert colours == []


def test_a_terminal_that_hangs_up(terminals: list[Terminal]) -> None:
    terminal = start(terminals)
    terminal.until(PLAN)
    os.close(terminal.ours)
    terminal.ours = os.open(os.devnull, os.O_RDONLY)
    assert asyncio.run(_ends(terminal))


async def _ends(terminal: Terminal) -> bool:
    for _ in range(100):
        if terminal.process.poll() is not None:
            return True
        await asyncio.sleep(0.1)
    return False
