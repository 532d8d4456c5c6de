"""A home, a scripted model and the real program, for one story."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.scripted.process import ROOT, ScriptedModel
from tests.stories.person import Answer, Person, approving

SPEC = "# Numbers\n\nSmall functions on numbers, each with its check.\n"
KEY = "test"


@dataclass(frozen=True)
class Ending:
    """How the program ended."""

    code: int
    out: str
    err: str
    person: Person | None

    @property
    def words(self) -> str:
        return f"exit {self.code}\n{self.out[-6000:]}\n{self.err[-6000:]}"


@dataclass
class Program:
    """The program at work, in a process group of its own as a shell starts it."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    person: Person | None

    def wait(self, timeout: float = 200) -> Ending:
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            ending = Ending(-1, self.out.read_text(), self.err.read_text(), self.person)
            raise AssertionError(f"The program does not end.\n{ending.words}") from None
        finally:
            self._part()
        return Ending(code, self.out.read_text(), self.err.read_text(), self.person)

    def kill(self) -> None:
        """kill -9 of the program alone, as the kernel does when memory is short."""
        self.process.kill()
        self.process.wait()
        self._part()

    def _part(self) -> None:
        """Only the person writes to the program, and only until the program ends."""
        if self.person is not None:
            self.person.leave()
            self.person.join()
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass  # something typed was never read

    def interrupt(self) -> None:
        """Ctrl-C: a terminal sends SIGINT to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)


@dataclass
class World:
    folder: Path
    model: ScriptedModel | None  # None: the practice model
    spec: str = SPEC
    env: dict[str, str] = field(default_factory=dict)
    name: str = "numbers"
    programs: list[Program] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def database(self) -> Path:
        return self.home / "autocoder.db"

    @property
    def repository(self) -> Path:
        return self.home / "projects" / self.name

    @property
    def marker(self) -> bytes:
        digest = sha256(str(self.home.resolve()).encode()).hexdigest()[:8]
        return f"AUTOCODER_PROCESS={digest}-".encode()

    def start(self, *options: str, answer: Answer = approving, **env: str) -> Program:
        """Start `autocoder build`; `env` adds settings, `AGENTS__BATCH="1"` and so on."""
        start = len(self.programs) + 1
        spec = self.folder / "spec.md"
        spec.write_text(self.spec)
        out, err = (self.folder / f"{name}-{start}.txt" for name in ("out", "err"))
        arguments = ["build", str(spec), "--home", str(self.home), *options]
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "bot", *arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                env=self._environment(env),
                process_group=0,
            )
        assert process.stdin is not None
        person = Person(self.database, process.stdin, answer)
        person.start()
        self.programs.append(Program(process, out, err, person))
        return self.programs[-1]

    def build(
        self, *options: str, answer: Answer = approving, timeout: float = 200, **env: str
    ) -> Ending:
        return self.start(*options, answer=answer, **env).wait(timeout)

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        chosen: dict[str, str] = {"AUTOCODER_MODEL": "practice"}
        if self.model is not None:
            chosen = {
                "AUTOCODER_MODEL": "claude",
                "ANTHROPIC_API_KEY": KEY,
                "ANTHROPIC_BASE_URL": self.model.url,
            }
        given = {f"AUTOCODER_{name}": value for name, value in {**self.env, **settings}.items()}
        return {**os.environ, **chosen, **given}

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return database.execute(query, values).fetchall()

    def column(self, query: str, *values: object) -> list[Any]:
        return [row[0] for row in self.rows(query, *values)]

    def statuses(self) -> dict[str, str]:
        """Task name → status."""
        return {row[0]: row[1] for row in self.rows("SELECT name, status FROM tasks")}

    def events(self) -> list[str]:
        return self.column("SELECT event FROM journal ORDER BY id")

    def journal_rows(self) -> int:
        """How long the journal is; 0 before there is one."""
        try:
            return int(self.column("SELECT count(*) FROM journal")[0])
        except sqlite3.OperationalError:
            return 0

    def runs(self, kind: str = "coder") -> int:
        return int(self.column("SELECT count(*) FROM runs WHERE kind = ?", kind)[0])

    def git(self, *arguments: str, folder: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder or self.repository,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def clone(self) -> Path:
        """As a stranger gets it."""
        place = self.folder / "clone"
        shutil.rmtree(place, ignore_errors=True)
        self.git("clone", "-q", str(self.repository), str(place), folder=self.folder)
        return place

    def close(self) -> None:
        """A story that failed half-way leaves nothing running either."""
        for program in self.programs:
            if program.process.poll() is None:
                program.kill()

    def left_processes(self) -> list[str]:
        """Command lines of living processes that carry this home's marker."""
        return [line for _, line in marked_processes(self.marker)]


def marked_processes(marker: bytes) -> Iterator[tuple[int, str]]:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            environ = Path(f"/proc/{name}/environ").read_bytes()
            line = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # ended meanwhile
        if any(entry.startswith(marker) for entry in environ.split(b"\0")):
            yield int(name), line


def below(pid: int) -> set[int]:
    """Every process below this one now."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = Path(f"/proc/{name}/stat").read_text(errors="replace")
            except OSError:
                continue
            parents[int(name)] = int(stat.rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def living(pids: set[int]) -> set[int]:
    """Those of these processes that have not ended (a zombie has)."""
    alive = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
        except OSError:
            continue
        if state.split()[0] not in "ZX":
            alive.add(pid)
    return alive


def until(true: Callable[[], bool], timeout: float = 120) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.05)
