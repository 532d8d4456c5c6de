"""One journey on a service that dies at moments chosen from outside, and what it left."""

import http.client
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.data.home import home_hash
from tests.scripted.process import ScriptedModel
from tests.stories.kills_journeys import NAME, Journey
from tests.stories.kills_person import Person
from tests.stories.service import House, Running
from tests.stories.world import KEY, marked_processes

GONE_S = 0.5
AGENTS = {"coder": 3}  # at once; one of the other kinds
STARTS_S = 300  # on a machine that does much else meanwhile; the figure itself is printed
_UNTOLD = """SELECT (SELECT count(*) FROM outbox WHERE wanted != built)
 + (SELECT max(id) FROM journal) - (SELECT max(entry_id) FROM told)"""


@dataclass(frozen=True)
class Moment:
    """When it dies: `part` (0–1) of the way as `measure` counts it, and `delay` seconds later."""

    measure: str
    part: float
    delay: float = 0.0
    number: signal.Signals = signal.SIGKILL
    again: float | None = None  # the next one dies so many seconds after its start
    victim: str = ""  # part of a command line: these processes die instead of the service


class Killer(threading.Thread):
    """Watches from outside, and kills at its moment."""

    def __init__(self, story: "Story", moment: Moment) -> None:
        super().__init__(daemon=True)
        self._story = story
        self._moment = moment
        self._over = threading.Event()

    def run(self) -> None:
        process = self._story.service.process
        while not self._over.is_set() and process.poll() is None:
            if self._story.reached(self._moment):
                self._over.wait(self._moment.delay)
                if not self._moment.victim:
                    self._story.kill(self._moment.number)
                elif not self._story.kill_below(self._moment.victim):
                    continue  # none is at work just now
                return
            self._over.wait(0.004)

    def leave(self) -> None:
        self._over.set()
        self.join()


@dataclass
class Story:
    folder: Path
    journey: Journey
    model: ScriptedModel
    begun: float = field(default_factory=time.monotonic)
    ready: list[float] = field(default_factory=list)  # seconds from start to ready
    kills: list[str] = field(default_factory=list)  # what was done, and when
    posts: int = 0
    answers: int = 0
    heads: list[str] = field(default_factory=list)  # of `main`, each once
    died: float = 0.0
    moment: Moment | None = None

    def __post_init__(self) -> None:
        self.house = House(
            self.folder / "home",
            {
                "AUTOCODER_MODEL": "claude",
                "ANTHROPIC_API_KEY": KEY,
                "ANTHROPIC_BASE_URL": self.model.url,
                "AUTOCODER_AGENTS__MAX_ATTEMPTS": "1",
                "AUTOCODER_AGENTS__ASK_WAIT_S": "1",
                "AUTOCODER_CHAT__EDIT_INTERVAL_S": "0.2",
            },
        )
        self._booked = 0, 0
        self._counted: dict[str, tuple[int, int]] = {}
        self.person = Person(self.journey.habits, NAME, self._sent, self._heard)
        self.service: Running

    # What is seen from outside

    def reached(self, moment: Moment) -> bool:
        return self.measured(moment.measure) >= moment.part * self.journey.measures[moment.measure]

    def measured(self, measure: str) -> float:
        match measure:
            case "seconds":
                return time.monotonic() - self.begun
            case "requests":
                return self._requests()
            case "journal":
                return self._count("SELECT count(*) FROM journal")
            case "cards":
                return self._count("SELECT count(*) FROM web_messages WHERE key IS NOT NULL")
            case "edits":
                return self._count("SELECT max(changed) FROM web_messages")
            case "proved":
                return self._count("SELECT count(*) FROM journal WHERE event = 'task_passed'")
            case "asked":
                return self._count("SELECT count(*) FROM questions")
            case "main":
                return self._moves()
            case "sent":
                return self.posts
            case "heard":
                return self.answers
            case _:
                raise AssertionError(measure)

    def _requests(self) -> int:
        """Looked at again only where the books grew: a killer looks often."""
        size = self.model.books.stat().st_size
        if size != self._booked[0]:
            self._booked = size, len(self.model.requests())
        return self._booked[1]

    def _count(self, query: str) -> int:
        """Looked at again only where something was committed."""
        wal = self.house.home / "autocoder.db-wal"
        try:
            stamp = wal.stat().st_mtime_ns
            if self._counted.get(query, (0, 0))[0] != stamp:
                self._counted[query] = stamp, int(self.rows(query)[0][0] or 0)
        except (sqlite3.OperationalError, OSError):
            return 0  # the schema is being made
        return self._counted[query][1]

    def _moves(self) -> int:
        try:
            head = (self.repository / ".git" / "refs" / "heads" / "main").read_text()
        except OSError:
            head = ""
        if head and head not in self.heads:
            self.heads.append(head)
        return len(self.heads)

    @property
    def repository(self) -> Path:
        return self.house.home / "projects" / NAME

    def rows(self, query: str) -> list[Any]:
        database = f"file:{self.house.home / 'autocoder.db'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as rows:
            return rows.execute(query).fetchall()

    # Dying

    def _sent(self) -> None:
        self.posts += 1
        self._die_here("sent")

    def _heard(self) -> None:
        self.answers += 1
        self._die_here("heard")

    def _die_here(self, measure: str) -> None:
        moment = self.moment
        if moment is not None and moment.measure == measure and self.reached(moment):
            self.moment = None
            time.sleep(moment.delay)
            self.kill(moment.number)

    def kill(self, number: signal.Signals) -> None:
        self.died = time.monotonic()
        os.kill(self.service.pid, number)
        self.kills.append(f"{number.name} at {self.died - self.begun:.1f} s")

    def kill_below(self, part: str) -> bool:
        """kill -9 of every process of the service whose command line holds this."""
        for pid, line in self._marked().items():
            # The box's own processes carry the command in their arguments too.
            if part in line and not line.startswith(("bwrap", "/usr/bin/bwrap")):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.kills.append(f"{part} at {time.monotonic() - self.begun:.1f} s")
        return bool(self.kills)

    def _marked(self) -> dict[int, str]:
        marker = f"AUTOCODER_PROCESS={home_hash(self.house.home.resolve())}-"
        return dict(marked_processes(marker.encode()))

    def _start(self) -> None:
        begun = time.monotonic()
        self.service = self.house.start()
        self.service.wait_ready(STARTS_S)
        self.ready.append(time.monotonic() - begun)

    def _bury(self) -> None:
        """Half a second later nothing of ours is left; SIGTERM may take its five seconds."""
        code = self.service.process.wait(5)
        if code == 0:
            assert time.monotonic() - self.died < 5
            self.died = time.monotonic()
        else:
            assert code == -signal.SIGKILL, self.service.out.read_text()
        time.sleep(max(self.died + GONE_S - time.monotonic(), 0))
        assert self.left() == []

    def left(self) -> list[str]:
        """Living processes that carry the home's marker, work in the home or name it."""
        home = self.house.home.resolve()
        found = self._marked()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                where = (entry / "cwd").resolve()
            except OSError:
                continue
            if f"{home}/" in line or where.is_relative_to(home):
                found[int(entry.name)] = line
        return list(found.values())

    # The journey

    def travel(
        self,
        moments: list[Moment],
        timeout: float = 1500,
        at_end: Callable[["Story"], None] = lambda _story: None,
    ) -> None:
        """To the end, through these moments; `at_end` while the service still runs."""
        left = list(moments)
        try:
            self._start()
            while True:
                self.moment = left.pop(0) if left else None
                killer = self._watch()
                over = self._until_it_dies(timeout)
                if killer is not None:
                    killer.leave()
                if over:
                    break
                died = self.died
                self._bury()
                self._recover(moments, died)
            self._settle()
            at_end(self)
        finally:
            if self.service.process.poll() is None:
                self.service.process.kill()
            self.service.process.wait()

    def _watch(self) -> Killer | None:
        if self.moment is None or self.moment.measure in ("sent", "heard"):
            return None
        killer = Killer(self, self.moment)
        killer.start()
        return killer

    def _recover(self, moments: list[Moment], died: float) -> None:
        again = moments[len(self.kills) - 1].again if len(self.kills) <= len(moments) else None
        if again is not None:
            self.service = self.house.start()
            time.sleep(again)
            self.kill(signal.SIGKILL)
            self._bury()
        self._start()

    def _until_it_dies(self, timeout: float) -> bool:
        """True when the project is complete."""
        while True:
            assert time.monotonic() - self.begun < timeout, self.words()
            try:
                if self.person.look(self.service.admin) == "completed":
                    return True
            except (OSError, http.client.HTTPException, ValueError):
                if time.monotonic() - self.died > 10:  # nobody killed it
                    raise
                self.service.process.wait(10)
                return False
            if self.service.process.poll() is not None:
                return False
            time.sleep(0.1)

    def _settle(self) -> None:
        """Until every card that is wanted stands there."""
        deadline = time.monotonic() + 20
        while self.rows(_UNTOLD) != [(0,)]:
            assert time.monotonic() < deadline, self.words()
            time.sleep(0.05)
        self.seen = look(self)

    def words(self) -> str:
        recent = self.rows("SELECT id, event, text FROM journal ORDER BY id DESC LIMIT 25")
        lines = [f"{row[0]} {row[1]}: {row[2][:200]}" for row in reversed(recent)]
        return "\n".join((str(self.kills), self.service.out.read_text()[-2000:], *lines))


@dataclass(frozen=True)
class Seen:
    """What stands at the end, over HTTP and in git."""

    tasks: dict[str, tuple[str, int]]
    files: dict[str, str]
    cards: Counter[tuple[str, str]]
    decisions: list[tuple[str, str, str | None]]
    answers: list[str]
    events: Counter[str]
    buttons: dict[str, list[str]]  # key of a card → labels


def look(story: Story) -> Seen:
    admin = story.service.admin
    tasks = admin.get(f"/api/projects/{NAME}/tasks?limit=1000").json["items"]
    approvals = admin.get(f"/api/projects/{NAME}/approvals?limit=1000").json["items"]
    journal = admin.get(f"/api/projects/{NAME}/journal?limit=1000").json["items"]
    cards = [m["card"] for m in admin.messages() if m["card"] and not m["deleted"]]
    answered = sorted(
        (e["data"]["question"], e["text"]) for e in journal if e["event"] == "question_answered"
    )
    return Seen(
        tasks={task["name"]: (task["status"], task["attempts"]) for task in tasks},
        files=_files(story.repository),
        cards=Counter((_key(card["key"]), card["kind"]) for card in cards),
        decisions=[(a["kind"], a["status"], a["reason"]) for a in approvals],
        answers=[text for _, text in answered],
        events=Counter(entry["event"] for entry in journal),
        buttons={card["key"]: [b["label"] for b in card["buttons"]] for card in cards},
    )


def _key(key: str) -> str:
    """Numbers of deliveries differ with the order in which a person sees things."""
    kind, _, _number = key.partition(":")
    return kind if kind in ("answer", "error", "help") else key


def _files(repository: Path) -> dict[str, str]:
    paths = _git(repository, "ls-tree", "-r", "--name-only", "main").split()
    return {
        path: _git(repository, "show", f"main:{path}")
        for path in paths
        if path not in (".autocoder/report.md", ".autocoder/report.json")
    }


def _git(repository: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=repository, capture_output=True, text=True, check=True
    ).stdout


def usage(story: Story) -> tuple[int, int, dict[str, int]]:
    """Rows, messages in the books, and how many of these are missing by kind of agent.

    Every row must be in the books with its figures, once.
    """
    rows = story.rows(
        "SELECT message_id, model, input, cache_read, cache_write_5m, output FROM usage_entries"
    )
    found = {row[0]: tuple(row[1:]) for row in rows}
    assert len(found) == len(rows)
    books = story.model.messages()
    for message, figures in found.items():
        entry = books[message]
        assert figures == (
            entry.model, entry.input_tokens, entry.cache_read_input_tokens,
            entry.cache_creation_input_tokens, entry.output_tokens,
        )  # fmt: skip
    missing = Counter(str(entry.kind) for entry in books.values() if entry.message_id not in found)
    return len(rows), len(books), dict(missing)


def expect_the_same(story: Story) -> None:
    """As undisturbed: states, files, cards, decisions, answers, events; the money nearly."""
    journey, seen = story.journey, story.seen
    assert seen.cards == journey.cards, (seen.cards - journey.cards, journey.cards - seen.cards)
    assert seen.tasks == journey.tasks
    assert seen.files == journey.files
    assert seen.decisions == journey.decisions
    assert seen.answers == journey.answers
    assert {event: seen.events[event] for event in journey.once} == journey.once
    waiting = {"Approve", "Reject", "Answer", "Just decide", "Guide", "Retry"}
    assert not [key for key, labels in seen.buttons.items() if waiting & set(labels)]
    _one_commit_each(story)
    rows, books, missing = usage(story)
    for kind, count in missing.items():  # at most one per agent and kill
        assert count <= AGENTS.get(kind, 1) * len(story.kills), (missing, story.kills)
    assert books - rows == sum(missing.values())
    seconds = [round(took, 2) for took in story.ready]
    print(f"kills {story.kills}, ready after {seconds} s, {rows} rows, missing {missing}")


def _one_commit_each(story: Story) -> None:
    trailers = "%(trailers:key=Autocoder-Task,valueonly,separator=%x20)"
    found = _git(story.repository, "log", "main", f"--format={trailers}").split()
    assert sorted(map(int, found)) == list(range(1, len(story.journey.tasks) + 1))
    assert _git(story.repository, "status", "--porcelain") == ""
    assert _git(story.repository, "fsck", "--no-dangling") == ""


MEASURES = (
    "seconds",
    "sent",
    "main",
    "cards",
    "heard",
    "journal",
    "proved",
    "requests",
    "edits",
    "asked",
)


def moments(seed: int) -> list[Moment]:
    """One to three moments, in their order on the way; which kinds the seed says."""
    chance = random.Random(seed)
    found = []
    for number in range(chance.randint(1, 3)):
        measure = MEASURES[(seed + 4 * number) % len(MEASURES)]
        longest = {"sent": 0.03, "heard": 0.06, "proved": 1.0, "main": 0.1}.get(measure, 0.05)
        found.append(
            Moment(
                measure,
                chance.random() * 0.98,
                chance.choice([0, chance.random() * longest]),
                signal.SIGTERM if chance.random() < 0.12 else signal.SIGKILL,
                chance.random() * 2 if chance.random() < 0.2 else None,
            )
        )
    return sorted(found, key=lambda moment: moment.part)
