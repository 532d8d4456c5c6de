"""Stuck tasks and conflicts: what a person can do about them."""

import pytest

from tests.scripted.scenario import OWN, Case, call, passing, say, write
from tests.stories import proofs
from tests.stories.conftest import MakeWorld
from tests.stories.person import Answer, Asked, approving
from tests.stories.works import Piece, Work, alone, honest, play

CHECKS = ("grep -q right answer.txt",)
RIGHT = (write("answer.txt", "right"), passing())
LOST = (write("answer.txt", "wrong"), passing(), say("I am lost."))


def on_stuck(*lines: str) -> Answer:
    """Approves, and types these lines at stuck tasks, one after another."""
    left = iter(lines)

    def answer(asked: Asked) -> str | None:
        return next(left, None) if asked.what == "stuck" else approving(asked)

    return answer


def test_retry_with_another_model(world: MakeWorld) -> None:
    work = Work("answer", (), CHECKS, (Case(RIGHT, model="opus"), Case(LOST)))
    story = world(play(alone(work)))
    answer = on_stuck("dance\nretry gpt\nguide\nretry opus")
    ending = story.build(answer=answer, AGENTS__MAX_ATTEMPTS="2")
    assert ending.code == 0, ending.words
    assert story.column("SELECT model FROM runs WHERE kind = 'coder'") == [
        "sonnet",
        "sonnet",
        "opus",
    ]
    assert "task_retried" in story.events()
    proofs.hold(story)


@pytest.mark.slow
def test_guide(world: MakeWorld) -> None:
    hint = "The answer is: «right», not 'wrong'; $(echo) `it`"
    work = Work("answer", (), CHECKS, (Case(RIGHT, notes=hint), Case(LOST)))
    story = world(play(alone(work)))
    ending = story.build(answer=on_stuck(f"guide {hint}"), AGENTS__MAX_ATTEMPTS="1")
    assert ending.code == 0, ending.words
    assert story.column("SELECT recovery_notes FROM tasks") == [hint]
    assert story.runs() == 2
    proofs.hold(story)


@pytest.mark.slow
def test_skip_leaves_out_what_builds_on_it(world: MakeWorld) -> None:
    """A skipped task is met for its phase, not for its dependents: these are asked about too."""
    pieces = (
        Piece("Answers", (Work("answer", LOST, CHECKS), honest("more", after=("answer",)))),
        Piece("Rest", (honest("rest"),)),
    )
    story = world(play(pieces))
    ending = story.build(answer=on_stuck("skip", "skip"), AGENTS__MAX_ATTEMPTS="1")
    assert ending.code == 0, ending.words
    assert story.statuses() == {"answer": "skipped", "more": "skipped", "rest": "passing"}
    assert not [path for path in story.git("ls-files").split() if path.startswith("answer")]
    proofs.hold(story)


@pytest.mark.slow
def test_skipping_by_itself(world: MakeWorld) -> None:
    pieces = (Piece("Answers", (Work("answer", LOST, CHECKS), honest("other"))),)
    story = world(play(pieces))
    ending = story.build("--yes", AGENTS__MAX_ATTEMPTS="1", AGENTS__ON_STUCK="skip")
    assert ending.code == 0, ending.words
    assert story.statuses() == {"answer": "skipped", "other": "passing"}
    proofs.hold(story)


@pytest.mark.slow
def test_end_of_input_at_a_stuck_task(world: MakeWorld) -> None:
    work = Work("answer", (), CHECKS, (Case(RIGHT, attempts=1), Case(LOST)))
    story = world(play(alone(work)))
    first = story.build(answer=on_stuck(), AGENTS__MAX_ATTEMPTS="1")
    assert first.code == 1, first.words
    assert (story.home / "report.md").exists()
    second = story.build(answer=on_stuck("retry"), AGENTS__MAX_ATTEMPTS="1")
    assert second.code == 0, second.words
    assert list(story.home.glob("report.*")) == [], "they tell of an end that was none"
    proofs.hold(story)


@pytest.mark.slow
def test_the_next_model_after_the_same_error_three_times(world: MakeWorld) -> None:
    work = Work("answer", (), CHECKS, (Case(RIGHT, model="opus"), Case(LOST)))
    story = world(play(alone(work)))
    ending = story.build()
    assert ending.code == 0, ending.words
    models = story.column("SELECT model FROM runs WHERE kind = 'coder'")
    assert models == ["sonnet"] * 3 + ["opus"]
    refs = story.git("for-each-ref", "--format=%(refname)", "refs/autocoder/attempts").split()
    assert refs == [f"refs/autocoder/attempts/1/{n}" for n in range(1, 5)]
    proofs.hold(story)


def test_a_sibling_did_it(world: MakeWorld) -> None:
    """Red before, nothing changed, green now: accepted with an empty commit."""
    put_off = (passing(), call("task_skip", task_id=OWN, reason="later"), call("task_get_next"))
    second = Work(
        "second", (), ("test -f two.txt",), (Case(put_off, attempts=0), Case((passing(),)))
    )
    first = Work(
        "first",
        (write("one.txt", ""), write("two.txt", ""), passing()),
        ("test -f one.txt",),
    )
    story = world(play(alone(second, first)))
    ending = story.build()
    assert ending.code == 0, ending.words
    assert story.column("SELECT verdict FROM evidence ORDER BY id") == [
        "red",
        "accepted",
        "already_done",
    ]
    (empty,) = story.column("SELECT \"commit\" FROM evidence WHERE verdict = 'already_done'")
    assert story.git("diff", "--stat", f"{empty}^", empty) == ""
    proofs.hold(story)


CONFLICT = (
    Piece("Left", (Work("left", (write("shared.txt", "left\n"), passing()), ("grep -q left shared.txt",)),)),
    Piece("Right", (Work("right", (write("shared.txt", "right\n"), passing()), ("grep -q right shared.txt",)),)),
)  # fmt: skip
BOTH = Case((write("shared.txt", "left\nright\n"), passing()))


def bring_up(*steps: Case) -> dict[str, tuple[Case, ...]]:
    return {f"Bring {name} up to main": steps for name in ("Left", "Right")}


def test_a_conflict_is_resolved(world: MakeWorld) -> None:
    scenario = play(CONFLICT)
    scenario.tasks.update(bring_up(BOTH))
    story = world(scenario)
    ending = story.build(answer=on_stuck("retry"))
    assert ending.code == 0, ending.words
    assert story.events().count("landing_conflict") == 1
    assert sorted(story.git("show", "main:shared.txt").split()) == ["left", "right"]
    assert set(story.statuses().values()) == {"passing"}
    proofs.hold(story)


@pytest.mark.slow
def test_left_over_markers_are_refused(world: MakeWorld) -> None:
    scenario = play(CONFLICT)
    scenario.tasks.update(bring_up(Case((passing(), *BOTH.steps))))
    story = world(scenario)
    ending = story.build(answer=on_stuck("retry"))
    assert ending.code == 0, ending.words
    assert story.column("SELECT verdict FROM evidence ORDER BY id")[2:] == ["red", "accepted"]
    proofs.hold(story)


@pytest.mark.slow
def test_a_conflict_is_left_out(world: MakeWorld) -> None:
    """Skipping a landing leaves its feature off `main`, with all that builds on it."""
    tops = tuple(
        Piece(f"On {name}", (honest(f"on{name}"),), after=(name,)) for name in ("Left", "Right")
    )
    story = world(play((*CONFLICT, *tops)))
    ending = story.build(answer=on_stuck("skip", "skip"))
    assert ending.code == 0, ending.words
    assert story.events().count("landing_conflict") == 1
    assert story.events().count("feature_landed") == 2
    (landed,) = story.git("show", "main:shared.txt").split()
    out = {"left": "Right", "right": "Left"}[landed]
    statuses = story.statuses()
    assert statuses[f"Bring {out} up to main"] == statuses[f"on{out}"] == "skipped"
    proofs.report_is_last(story)
    proofs.green_all_along(story)


@pytest.mark.slow
def test_a_merge_that_breaks_a_check_does_not_land(world: MakeWorld) -> None:
    """No line collides, but one renames what the other one calls."""
    base = Piece(
        "Base", (Work("base", (write("base.py", "old = 1\n"), passing()), ("test -f base.py",)),)
    )
    rename = Work(
        "rename",
        (write("base.py", "new = 1\n"), passing()),
        ('python3 -c "import base; base.new"',),
    )
    use = Work("use", (write("use.py", "import base\nbase.old\n"), passing()), ("python3 use.py",))
    mended = (write("use.py", "import base\nbase.new\n"), passing())
    kept = (write("base.py", "new = old = 1\n"), passing())
    scenario = play(
        (
            base,
            Piece("Rename", (rename,), after=("Base",)),
            Piece("Use", (use,), after=("Base",)),
        )
    )
    scenario.tasks["Bring Use up to main"] = (Case(mended),)
    scenario.tasks["Bring Rename up to main"] = (Case(kept),)
    story = world(scenario)
    ending = story.build(answer=on_stuck("retry"))
    assert ending.code == 0, ending.words
    assert story.events().count("landing_conflict") == 1
    proofs.hold(story)
