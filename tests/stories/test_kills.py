"""kill -9 at any moment, then again: the same end, nothing lost, nothing twice, nothing left."""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.scripted.scenario import Scenario, passing, write
from tests.stories import proofs
from tests.stories.conftest import MakeWorld
from tests.stories.works import Piece, Work, honest, play
from tests.stories.world import Program, World, below, living, marked_processes, until

QUICK_SEEDS = range(3)
SEEDS = range(3, 20)
AGENTS = 3
GONE_S = 0.5


def house() -> Scenario:
    """Two phases, a dependency across features, checks that take a while."""
    slow = Work(
        "slow", (write("slow.py", "NAMES = ()\n"), passing()), ("sleep 0.3 && test -f slow.py",)
    )
    base = Piece("Base", (honest("base"),))
    left = Piece("Left", (honest("left", needs=("base",)),), after=("Base",))
    right = Piece("Right", (honest("right"), slow))
    last = Piece("Last", (honest("last", needs=("left", "right")),))
    return play((base, left, right), (last,), checks=("ls",), latency=0.05)


REQUESTS = 22  # of an undisturbed build of the house, about
ROWS = 46  # of its journal
SECONDS = 8


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, str]:
    """Task states and files of the house as it should stand."""
    scenario = house()
    files = {
        step.calls[0].arguments["file_path"]: step.calls[0].arguments["content"]
        for cases in scenario.tasks.values()
        for step in cases[0].steps
        if step.calls[0].tool == "Write"
    }
    return {**dict.fromkeys(scenario.tasks, "passing"), **files}


def kill_at(story: World, moment: random.Random) -> Callable[[Program], None]:
    """Waits for a moment of a kind and a count that the seed chooses."""
    kind = moment.choice(["requests", "journal", "time"])
    part = moment.random()

    def at(program: Program) -> None:
        ended = program.process.poll
        if kind == "requests":
            until(lambda: ended() is not None or _requests(story) >= 1 + part * REQUESTS)
        elif kind == "journal":
            until(lambda: ended() is not None or story.journal_rows() >= 1 + part * ROWS)
        else:
            time.sleep(part * SECONDS)

    return at


def _requests(story: World) -> int:
    assert story.model is not None
    return len(story.model.requests())


def survive(story: World, seed: int, most: int) -> None:
    moment = random.Random(seed)
    kills = moment.randint(1, most)
    for _ in range(kills):
        program = story.start()
        kill_at(story, moment)(program)
        ours = below(program.process.pid) | {pid for pid, _ in marked_processes(story.marker)}
        program.kill()
        time.sleep(GONE_S)
        assert not living(ours - {program.process.pid})
        assert story.left_processes() == []
    ending = story.build()
    assert ending.code == 0, ending.words
    assert story.column("SELECT attempts FROM tasks WHERE attempts > 0") == []
    proofs.money_is_nearly_exact(story, missing=kills * AGENTS)


def expect_same_end(story: World, undisturbed: dict[str, str]) -> None:
    proofs.one_commit_per_task(story)
    proofs.report_is_last(story)
    proofs.stranger_can_use_it(story)
    files = [path for path in story.git("ls-files").split() if not path.startswith(".autocoder/")]
    found = {path: (story.repository / path).read_text() for path in files}
    assert {**story.statuses(), **found} == undisturbed
    assert story.git("status", "--porcelain") == ""
    assert story.git("fsck", "--no-dangling") == ""
    events = story.events()
    assert events.count("project_completed") == 1
    assert events.count("plan_approved") == 1
    assert events.count("phase_approved") == 2
    assert events.count("feature_landed") == 4
    assert events.count("task_passed") == len(story.statuses())


@pytest.mark.parametrize("seed", QUICK_SEEDS)
def test_killed_program(world: MakeWorld, seed: int, undisturbed: dict[str, str]) -> None:
    story = world(house())
    survive(story, seed, 1)
    expect_same_end(story, undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_program_again(world: MakeWorld, seed: int, undisturbed: dict[str, str]) -> None:
    story = world(house())
    survive(story, seed, 3)
    expect_same_end(story, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("requests", [3, 6, 9, 13, 18])
def test_killed_cli(world: MakeWorld, requests: int, undisturbed: dict[str, str]) -> None:
    """The program goes on by itself, in the same session, and no attempt is counted."""
    story = world(house())
    program = story.start()
    assert story.model is not None
    story.model.wait_for(requests)
    killed = _kill(story, "/claude")
    ending = program.wait()
    assert ending.code == 0, ending.words
    assert killed
    assert story.column("SELECT attempts FROM tasks WHERE attempts > 0") == []
    proofs.money_is_nearly_exact(story, missing=len(killed))
    expect_same_end(story, undisturbed)


@pytest.mark.slow
def test_killed_check(world: MakeWorld) -> None:
    """A check that is killed is red, no more: the agent may ask again."""
    work = Work(
        "slow",
        (write("slow.txt", ""), passing(), passing()),
        ("test -f slow.txt && sleep 1.234",),
    )
    story = world(play((Piece("Slow", (work,)),)))
    program = story.start()
    until(lambda: bool(_kill(story, "sleep 1.234")))
    ending = program.wait()
    assert ending.code == 0, ending.words
    assert story.column("SELECT verdict FROM evidence ORDER BY id") == ["red", "accepted"]
    proofs.hold(story)


@pytest.mark.slow
@pytest.mark.parametrize("after", [1.5, 4.0])
def test_killed_program_with_practice_model(practice_world: World, after: float) -> None:
    story = practice_world
    story.spec = "# Numbers\n\n## Sums\n- add two numbers\n"
    program = story.start(PRACTICE__LATENCY_S="0.5")
    time.sleep(after)
    ours = below(program.process.pid)
    program.kill()
    time.sleep(GONE_S)
    assert not living(ours)
    assert story.left_processes() == []
    assert story.build().code == 0
    proofs.stranger_can_use_it(story)


@pytest.mark.parametrize("requests", [pytest.param(2, marks=pytest.mark.slow), 8])
def test_ctrl_c(world: MakeWorld, requests: int, undisturbed: dict[str, str]) -> None:
    story = world(house())
    program = story.start()
    assert story.model is not None
    story.model.wait_for(requests)
    ours = below(program.process.pid)
    begun = time.monotonic()
    program.interrupt()
    ending = program.wait()
    assert ending.code == 130, ending.words
    assert time.monotonic() - begun < 10
    assert not living(ours)
    assert story.left_processes() == []
    assert story.build().code == 0
    assert story.column("SELECT attempts FROM tasks WHERE attempts > 0") == []
    expect_same_end(story, undisturbed)


@pytest.mark.slow
def test_two_programs_on_one_home(world: MakeWorld) -> None:
    story = world(house())
    program = story.start()
    assert story.model is not None
    story.model.wait_for(2)
    second = story.build()
    assert second.code == 1
    assert str(program.process.pid) in second.err
    assert program.wait().code == 0


def _kill(story: World, part: str) -> list[int]:
    """kill -9 of every process of this home whose command line holds this."""
    killed = []
    for pid, line in marked_processes(story.marker):
        # The box's own processes carry the command in their arguments too.
        if part in line and not line.startswith(("bwrap", "/usr/bin/bwrap")):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed.append(pid)
    return killed
