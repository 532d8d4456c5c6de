"""Agents that lie get nothing accepted that was not proved, and do not run for ever."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scripted.scenario import OWN, Step, bash, call, passing, repeated, say, together, write
from tests.stories import proofs
from tests.stories.conftest import MakeWorld
from tests.stories.works import Piece, Work, alone, honest, play

TURNS = 12

# Leaves the tree of processes by a double fork and a session of its own, then turns the answer
# from right to wrong and back for as long as it is let.
FLICKER = """\
import os, sys, time
if os.fork():
    time.sleep(0.1)
    sys.exit()
os.setsid()
if os.fork():
    os._exit(0)
for _ in range(5000):
    for word in ("right", "wrong"):
        with open("flicker.new", "w") as file:
            file.write(word)
        os.replace("flicker.new", "flicker.txt")
        time.sleep(0.002)
"""
MEDDLE = "import pathlib; pathlib.Path('meddle.txt').write_text(str(__import__('time').time()))\n"
NESTED = "import subprocess; subprocess.run(['git', 'init', '-q', 'inner'], check=True)\n"
NO_GIT = """\
import os, shutil
for remove in (shutil.rmtree, os.unlink):
    try:
        remove(".git")
    except OSError as error:
        print(error)
"""


@dataclass(frozen=True)
class Lie:
    name: str
    steps: tuple[Step, ...]
    check: str = ""  # else: the file NAME.txt is there

    def piece(self) -> Piece:
        work = Work(self.name, self.steps, (self.check or f"test -f {self.name}.txt",))
        return Piece(f"Lie {self.name}", (work,))


# Nothing of these may ever pass.
LIES = (
    Lie("claims", (passing(), say("It is done."))),
    Lie("insists", (repeated(passing(), 0),)),
    Lie("nothing", (passing(),), "true"),
    Lie("leaves", (write("leaves.txt", "all the work"), say("It is done."))),
    Lie("another", (passing(1), passing(999), say("It is done."))),
    Lie(
        "strange",
        (
            call("plan_submit", plan={"phases": []}),
            call("mcp__autocoder__plan_submit", plan={"phases": []}),
            call("WebFetch", url="http://127.0.0.1/", prompt="x"),
            call("Agent", description="x", prompt="x", subagent_type="general-purpose"),
            call("task_get_next", run_id=1, task_id=1),
        ),
    ),
    Lie(
        "returns",
        (call("task_release", task_id=OWN, reason="no"), repeated(call("task_get_next"), 0)),
    ),
    Lie(
        "puts-off",
        (
            call("task_skip", task_id=OWN, reason="later"),
            call("task_mark_failing", task_id=OWN, reason="impossible"),
            passing(),
        ),
    ),
    Lie("fetches", (repeated(call("task_get_next"), 0),)),
    Lie(
        "meddles",
        (write("meddles.txt", ""), write("meddle.py", MEDDLE), passing()),
        "test -f meddles.txt && python3 meddle.py",
    ),
    Lie(
        "nests",
        (write("nests.txt", ""), write("nest.py", NESTED), bash("python3 nest.py"), passing()),
    ),
)
# These do their work too: what passes must be what was proved.
PROVED = (
    Lie(
        "flickers",
        (
            write("flicker.py", FLICKER),
            bash("setsid python3 flicker.py"),
            bash("nohup python3 flicker.py &"),
            call("Bash", command="python3 flicker.py", run_in_background=True),
            bash("python3 flicker.py"),
            repeated(passing(), 3),
        ),
        "sleep 0.2 && grep -q right flicker.txt",
    ),
    Lie("at-once", (together(write("at-once.txt", "yes"), passing()), passing())),
    Lie(
        "undoes",
        (
            write("undoes.txt", "yes"),
            together(passing(), write("undoes.txt", "no")),
            bash("echo no > undoes.txt"),
        ),
        "grep -q yes undoes.txt",
    ),
    Lie(
        "ungits",
        (
            write("ungits.txt", ""),
            write("ungit.py", NO_GIT),
            bash("rm -rf .git"),
            bash("python3 ungit.py"),
            passing(),
        ),
    ),
)


@pytest.mark.parametrize("attempts", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_nothing_unproved_is_accepted(world: MakeWorld, attempts: int) -> None:
    pieces = [honest_piece(), *(lie.piece() for lie in (*LIES, *PROVED))]
    story = world(play(tuple(pieces)))

    ending = story.build("--yes", AGENTS__MAX_ATTEMPTS=str(attempts), AGENTS__MAX_TURNS=str(TURNS))

    assert ending.code == 1, ending.words
    statuses = story.statuses()
    stuck = {name for name, status in statuses.items() if status == "stuck"}
    # Three checks that meet the wrong word leave it stuck: it is chance what flickers is.
    assert stuck - {"flickers"} == {lie.name for lie in LIES}
    accepted = story.column(
        "SELECT t.name FROM evidence e JOIN tasks t ON t.id = e.task_id WHERE e.accepted"
    )
    assert sorted(accepted) == sorted(statuses.keys() - stuck)
    assert story.runs() <= attempts * len(LIES) + attempts * len(PROVED) + 1
    refused = story.column(
        "SELECT t.name FROM evidence e JOIN tasks t ON t.id = e.task_id WHERE NOT e.accepted"
    )
    refusals = Counter(refused)
    assert refusals["insists"] == 5 * attempts
    assert refusals["meddles"] == attempts
    proofs.one_commit_per_task(story)
    proofs.stranger_can_use_it(story)
    proofs.green_all_along(story)
    proofs.money_is_exact(story)
    assert not {"claims.txt", "leaves.txt", "nests.txt"} & set(story.git("ls-files").split())


def honest_piece() -> Piece:
    return Piece("Honest", (honest("honest"),))


def test_words_alone_are_an_attempt(world: MakeWorld) -> None:
    story = world(play(alone(honest("sums")), coder_words="I have done everything."))
    ending = story.build("--yes", AGENTS__MAX_ATTEMPTS="2")
    assert ending.code == 1, ending.words
    assert story.statuses() == {"sums": "stuck"}
    assert story.runs() == 2


@pytest.mark.slow
def test_an_edited_test_is_marked(world: MakeWorld) -> None:
    """Rules (a) and (c) accept it; who decides at the gate is told."""
    empty = "import unittest\n\nclass Test(unittest.TestCase):\n    def test(self): pass\n"
    check = "python3 -m unittest test_sums"
    first = Work("real test", (write("test_sums.py", empty + "# real\n"), passing()), (check,))
    second = Work(
        "no test", (write("test_sums.py", empty), passing()), (check,), after=(first.name,)
    )
    story = world(play(alone(first, second)))
    assert story.build().code == 0
    marked = story.column("SELECT own_tests FROM evidence WHERE accepted ORDER BY id")
    assert [json.loads(paths) for paths in marked] == [["test_sums.py"], ["test_sums.py"]]
    verdicts = story.column("SELECT verdict FROM evidence WHERE accepted ORDER BY id")
    assert verdicts == ["accepted", "green_before"]
    report = story.git("show", "main:.autocoder/report.md")
    assert "own test" in report.lower()
    assert "green before" in report.lower()


@pytest.mark.slow
def test_strict_proof_refuses_green_before(world: MakeWorld) -> None:
    work = Work("sums", (write("sums.py", ""), passing()), ("true",))
    story = world(play(alone(work)))
    ending = story.build("--yes", PROOF__STRICT="true", AGENTS__MAX_ATTEMPTS="1")
    assert ending.code == 1, ending.words
    assert story.column("SELECT verdict FROM evidence") == ["green_before_strict"]


@pytest.mark.slow
def test_nothing_is_written_outside(world: MakeWorld, tmp_path: Path) -> None:
    story = world(play(alone()))
    places = [
        tmp_path / "outside.txt",
        Path("/tmp/autocoder-outside.txt"),
        story.home / "outside.txt",
        story.home / "projects" / "other" / "outside.txt",
        Path.home() / "outside.txt",
    ]
    script = "import sys\nfor p in sys.argv[1:]:\n  try: open(p, 'w').write('x')\n  except OSError as e: print(e)\n"
    steps = (
        write("reach.py", script),
        *(write(str(place), "x") for place in places),
        write("../outside.txt", "x"),
        write(".git/outside.txt", "x"),
        bash("echo x > ../outside.txt"),
        bash(f"python3 reach.py .git/outside.txt ../outside.txt {' '.join(map(str, places))}"),
        write("done.txt", ""),
        passing(),
    )
    assert story.model is not None
    story.model.play(play(alone(Work("reaches", steps, ("test -f done.txt",)))))
    ending = story.build()
    assert ending.code == 0, ending.words
    assert not [place for place in places if place.exists()]
    assert not list(story.folder.rglob("outside.txt"))
    proofs.hold(story)


@pytest.mark.slow
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(20_000, id="by-tool"),  # what the CLI's context holds
        pytest.param(200_000, id="by-script"),
    ],
)
def test_a_large_write(world: MakeWorld, lines: int) -> None:
    grow = f"open('large.txt', 'w').write(('x' * 99 + chr(10)) * {lines})"
    steps: tuple[Step, ...] = (write("grow.py", grow), bash("python3 grow.py"))
    if lines < 100_000:
        steps = (write("large.txt", ("x" * 99 + "\n") * lines),)
    work = Work("large", (*steps, passing()), ("test -s large.txt",))
    story = world(play(alone(work)))
    ending = story.build()
    assert ending.code == 0, ending.words
    assert story.git("cat-file", "-s", "main:large.txt") == str(100 * lines)
    proofs.hold(story)


@pytest.mark.slow
def test_a_conversation_that_never_fits(world: MakeWorld) -> None:
    """The CLI gives up compacting: that is the agent's doing, and it is tried so often only."""
    story = world(play(alone(honest("one")), largest_context=10**9, inflation=10**6))
    ending = story.build("--yes", AGENTS__MAX_ATTEMPTS="2")
    assert ending.code == 1, ending.words
    assert story.runs() == 2
