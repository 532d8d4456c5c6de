"""A stranger's shell: the real program with an environment of its own, on a host of any shape."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.scripted.process import ROOT
from tests.stories.world import marked_processes

SYSTEM = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def words(self) -> str:
        return (
            f"exit {self.code} after {self.seconds:.1f} s\n{self.out[-4000:]}\n{self.err[-4000:]}"
        )


@dataclass(frozen=True)
class Begun:
    process: subprocess.Popen[bytes]
    at: float
    out: Path
    err: Path

    def until_it_says(self, words: str, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while words not in self.out.read_text():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, self.out.read_text()
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def end(self, timeout: float = 300) -> Outcome:
        """Wait for it; what was written is read afterwards, so that no pipe is in the way."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"It does not end.\n{self.out.read_text()}") from None
        finally:
            if self.process.stdin is not None:
                self.process.stdin.close()
        out, err = self.out.read_text(errors="replace"), self.err.read_text(errors="replace")
        return Outcome(code, out, err, time.monotonic() - self.at)


@dataclass
class Stranger:
    folder: Path
    python: str = sys.executable
    begun: list[Begun] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def spec(self, text: str | bytes = "# Notes\n\nKeep notes.\n", name: str = "spec.md") -> Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def begin(
        self,
        *arguments: str | Path,
        wrapper: Sequence[str] = (),
        listening: bool = False,
        prepare: Callable[[], Any] | None = None,
        **environment: str | None,
    ) -> Begun:
        """Start `autocoder ARGUMENTS`, in a group of its own; None takes a variable away.

        Its standard input is empty unless it is `listening`: then it stays open and silent.
        """
        person = self.folder / "person"
        person.mkdir(exist_ok=True)
        out, err = (self.folder / f"{name}-{len(self.begun)}.txt" for name in ("out", "err"))
        chosen = {
            "PATH": os.environ["PATH"],
            "HOME": str(person),
            "AUTOCODER_HOME": str(self.home),
            "AUTOCODER_MODEL": "practice",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [*wrapper, self.python, "-m", "bot", *map(str, arguments)],
                cwd=self.folder,
                stdin=subprocess.PIPE if listening else subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={name: value for name, value in chosen.items() if value is not None},
                process_group=0,
                preexec_fn=prepare,
            )
        self.begun.append(Begun(process, time.monotonic(), out, err))
        return self.begun[-1]

    def leave(self) -> None:
        """End what a failed test left running."""
        for each in self.begun:
            if each.process.poll() is None:
                each.process.kill()
            each.process.wait()

    def run(self, *arguments: str | Path, timeout: float = 300, **more: Any) -> Outcome:
        return self.begin(*arguments, **more).end(timeout)


def programs(folder: Path, *, without: Sequence[str] = (), **own: str) -> str:
    """A PATH like the system's but without some programs, or with scripts in their place."""
    folder.mkdir()
    for name, script in own.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    for place in SYSTEM:
        for program in Path(place).glob("*"):
            link = folder / program.name
            if program.name not in without and not link.exists() and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def left_processes(home: Path) -> list[str]:
    """Command lines of living processes that carry this home's marker."""
    digest = sha256(str(home.resolve()).encode()).hexdigest()[:8]
    return [line for _, line in marked_processes(f"AUTOCODER_PROCESS={digest}-".encode())]


def expect_words(outcome: Outcome, code: int, *parts: str) -> None:
    """It ended with this status, in words: what happened, what to do, no traceback."""
    assert outcome.code == code, outcome.words
    assert "Traceback" not in outcome.err + outcome.out, outcome.words
    for part in parts:
        assert part in outcome.err + outcome.out, outcome.words
