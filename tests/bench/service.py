"""The service as people feel it: acknowledged, shown, at rest, back after a restart."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from tests.bench.client import Arrival, Line, Stream, quantile, reader, routes
from tests.bench.figures import Figure, at_most, reported
from tests.bench.filling import fill, settle
from tests.bench.floor import floor
from tests.bench.model import model
from tests.bench.product import plan
from tests.bench.product import pss as pss_of
from tests.bench.running import Running, service

AGENTS = 5
LATENCY = 1.0  # seconds the scripted model takes for each of its answers
POSTS = 200  # presses and commands a round
PAUSE_S = 0.05
PROJECTS = ("North", "South", "West", "East")
HALTED = "East"  # paused and resumed all the time; the others keep the agents at work
READ = "Large"  # a project of the past, whose report is read
READ_TASKS = 10_000
RESTART_TASKS = 100_000
RESTART_JOURNAL = 1_000_000
IDLE_SECONDS = 60.0
_COMMANDS = ("status", "board North", "tasks North", "help", "cost")


def acknowledged(folder: Path, rounds: int) -> Iterable[Figure]:
    """Presses and commands while five agents work and a report is read; event to card."""
    taken = [_round(folder / f"service-{number}") for number in range(rounds)]
    acks = [quantile(each.acks, 0.99) for each in taken]
    floors = [quantile(each.floor, 0.99) for each in taken]
    ack, bare = 1000 * median(acks), 1000 * median(floors)
    yield at_most("press or command acknowledged, p99", ack, 100, "ms", _spread(acks))
    yield reported("  half of them", 1000 * median(median(each.acks) for each in taken), "ms")
    yield reported("  the slowest", 1000 * median(max(each.acks) for each in taken), "ms")
    yield reported("  presses with their effect, p99", 1000 * median(
        quantile(each.presses, 0.99) for each in taken), "ms")  # fmt: skip
    yield reported("  one bare durable insert beside them, p99", bare, "ms", _spread(floors))
    yield reported("  against that floor, p99", ack / bare, "×")
    delays = [quantile(each.delays, 0.99) for each in taken]
    yield at_most("event to its card, p99", median(delays), 1.2, "s",
                  f"{min(len(each.delays) for each in taken)} events a round")  # fmt: skip
    yield reported("  half of them", median(median(each.delays) for each in taken), "s")
    yield reported("  agents at work meanwhile", median(each.agents for each in taken), "")
    yield reported("  PSS of the service beside them", median(each.pss for each in taken), "MB")


def _spread(seconds: list[float]) -> str:
    return f"{1000 * min(seconds):.0f}–{1000 * max(seconds):.0f}"


class _Taken:
    """What one round saw; all in seconds."""

    def __init__(self) -> None:
        self.acks: list[float] = []
        self.presses: list[float] = []
        self.floor: list[float] = []
        self.delays: list[float] = []
        self.agents = 0.0
        self.pss = 0.0


def _round(folder: Path) -> _Taken:
    folder.mkdir(parents=True)
    home, taken = folder / "home", _Taken()
    home.mkdir()
    fill(home / "autocoder.db", open_tasks=1, done_tasks=READ_TASKS)
    settle(home / "autocoder.db")
    with ExitStack() as stack:
        served = stack.enter_context(model(plan(2, 60), folder, latency=LATENCY))
        bare = Line(stack.enter_context(floor(folder)))
        running = stack.enter_context(service(home, _claude(served.url)))
        streams = [stack.enter_context(_listening(running, name.lower())) for name in PROJECTS]
        line = running.line()
        _set_to_work(line)
        stack.enter_context(reader(running.url, running.token, READ))
        time.sleep(2)
        taken.pss = pss_of(running.process.pid) / 1e6
        since = time.time()
        _post(line, bare, taken)
        taken.agents = _agents(line)
        until = time.time()
        time.sleep(1.5)  # what was told last shall reach its card
        events = _passed(home / "autocoder.db", since, until)
        for name, stream in zip(PROJECTS, streams, strict=True):
            taken.delays += _delays(events.get(name.lower(), {}), stream.arrivals())
    return taken


def _claude(url: str) -> Mapping[str, str]:
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "none",
        "AUTOCODER_MODEL": "claude",
        "AUTOCODER_AGENTS__MAX_PARALLEL": "2",
        "AUTOCODER_AGENTS__HOST_PARALLEL": str(AGENTS),
        "AUTOCODER_BUDGET__PROJECT_USD": "1000",
    }


@contextmanager
def _listening(running: Running, channel: str) -> Iterator[Stream]:
    stream = Stream(running.url, running.token, channel)
    try:
        yield stream
    finally:
        stream.close()


def _set_to_work(line: Line) -> None:
    """The projects from their first word to five agents at work."""
    for name in PROJECTS:
        _need(line, f"/api/chat/{name.lower()}/messages", {"text": f"/autocoder new {name}"})
    waiting = set(PROJECTS)
    deadline = time.monotonic() + 120
    while waiting or _agents(line) < AGENTS:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{waiting or 'agents'} did not begin")
        known = {item["name"] for item in line.get("/api/projects")["items"]}
        for name in waiting & known:
            for approval in line.get(f"/api/projects/{name}/approvals")["items"]:
                if approval["status"] == "open":
                    press = {"message_id": None, "action_id": f"approve:plan:{approval['id']}"}
                    _need(line, "/api/chat/presses", press)
                    waiting.discard(name)
        time.sleep(0.25)


def _need(line: Line, path: str, body: object) -> None:
    status, answer = line.ask("POST", path, body)
    if status not in (200, 201):
        raise RuntimeError(f"{path} answered {status}: {answer[:500]!r}")


def _agents(line: Line) -> int:
    return sum(item["agents"] for item in line.get("/api/projects")["items"])


def _post(line: Line, bare: Line, taken: _Taken) -> None:
    """A press or a command, then the floor, in turn: what disturbs one disturbs the other."""
    projects = {item["name"]: item["id"] for item in line.get("/api/projects")["items"]}
    ids = list(projects.values())
    for number in range(POSTS):
        if number % 2:
            text = f"/autocoder {_COMMANDS[number // 2 % len(_COMMANDS)]}"
            seconds, status = line.timed("/api/chat/main/messages", {"text": text})
        else:
            press = f"details:project:{ids[number // 2 % len(ids)]}"
            if number % 4 == 0:
                press = f"{'resume' if number % 8 else 'pause'}:project:{projects[HALTED]}"
            seconds, status = line.timed("/api/chat/presses", {"message_id": 1, "action_id": press})
            taken.presses.append(seconds)
        if status not in (200, 201):
            raise RuntimeError(f"a post was answered with {status}")
        taken.acks.append(seconds)
        time.sleep(PAUSE_S)
        taken.floor.append(bare.timed("/", {"text": "word"})[0])
        time.sleep(PAUSE_S)


def _passed(database: Path, since: float, until: float) -> dict[str, dict[int, float]]:
    """By project, when its tasks passed: how many had by then, and the time of it."""
    found: dict[str, dict[int, float]] = {}
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as rows:
        for slug, at in rows.execute(
            "SELECT slug, journal.at FROM journal JOIN projects ON projects.id = project_id"
            " WHERE event = 'task_passed' AND slug != 'large' ORDER BY journal.id"
        ):
            passed = found.setdefault(slug, {})
            passed[len(passed) + 1] = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
    return {
        slug: {n: at for n, at in passed.items() if since < at < until}
        for slug, passed in found.items()
    }


def _delays(events: Mapping[int, float], arrivals: Iterable[Arrival]) -> list[float]:
    """How long after each event the progress card said so."""
    left, delays = dict(events), []
    for arrival in arrivals:
        card = arrival.data["card"]
        if card is None or card["kind"] != "progress" or card["progress"] is None:
            continue
        shown = [count for count in left if count <= card["progress"]["done"]]
        delays += [arrival.at - left.pop(count) for count in shown]
    if left:
        raise RuntimeError(f"{len(left)} of {len(events)} events never reached their card")
    return delays


def idle(folder: Path, _rounds: int) -> Iterable[Figure]:
    """A service at rest with one tab open: with the Claude setting, and with the practice model."""
    claude = {"ANTHROPIC_API_KEY": "none", "AUTOCODER_MODEL": "claude"}
    for name, env in (("Claude setting", claude), ("practice", {"AUTOCODER_MODEL": "practice"})):
        with (
            service(folder / f"idle-{name.split()[0]}", env) as running,
            _listening(running, "main"),
        ):
            line = running.line()
            _need(line, "/api/chat/main/messages", {"text": "/autocoder list"})
            line.get("/api/projects")
            line.close()
            time.sleep(5)
            before = running.cpu()
            time.sleep(IDLE_SECONDS)
            used = 100 * (running.cpu() - before) / IDLE_SECONDS
            weight = running.pss() / 1e6
            alone = pss_of(running.process.pid) / 1e6
        yield at_most(f"idle service, {name}: processor", used, 0.5, "%")
        note = f"the service's own process {alone:.0f}"
        yield at_most(f"idle service, {name}: PSS with children", weight, 220, "MB", note)
        yield reported("  from start to ready", running.ready_seconds, "s")


def restart(folder: Path, rounds: int) -> Iterable[Figure]:
    """Back with 100,000 tasks and 1,000,000 journal rows; then the first page of each route."""
    home = folder / "restart"
    home.mkdir()
    fill(home / "autocoder.db", open_tasks=1_000, done_tasks=RESTART_TASKS - 1_000)
    settle(home / "autocoder.db", journal=RESTART_JOURNAL, upstream="https://api.anthropic.com")
    env = {"ANTHROPIC_API_KEY": "none", "AUTOCODER_MODEL": "claude"}
    ready: list[float] = []
    pages: dict[str, list[float]] = {}
    weight = 0.0
    for _ in range(rounds):
        with service(home, env) as running:
            ready.append(running.ready_seconds)
            line = running.line()
            for path in routes(READ):
                begun = time.perf_counter()
                status, body = line.ask("GET", path)
                if status != 200:
                    raise RuntimeError(f"{path} answered {status}: {body[:500]!r}")
                pages.setdefault(path, []).append(time.perf_counter() - begun)
            pages.setdefault("/autocoder board", []).append(_answered(line, "board Large"))
            weight = running.pss() / 1e6
            line.close()
    yield at_most("restart to ready, 100,000 tasks, 1,000,000 rows", median(ready), 5, "s")
    for path, seconds in pages.items():
        yield reported(f"  {path}", 1000 * median(seconds), "ms")
    yield reported("  PSS after these", weight, "MB")


def _answered(line: Line, command: str) -> float:
    """Seconds from a command to its answer."""
    begun = time.perf_counter()
    status, body = line.ask("POST", "/api/chat/main/messages", {"text": f"/autocoder {command}"})
    if status != 201:
        raise RuntimeError(f"a command was answered with {status}: {body[:500]!r}")
    while time.perf_counter() - begun < 60:
        items = line.get("/api/chat/main/messages?newest=true&limit=3")["items"]
        if items[-1]["author"] == "autocoder":
            return time.perf_counter() - begun
        time.sleep(0.01)
    raise RuntimeError("a command was not answered")
