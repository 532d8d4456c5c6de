"""Questions of agents: answered at once, after parking, after a restart, by nobody."""

import pytest

from tests.scripted.scenario import ANSWER, Case, call, passing, write
from tests.stories import proofs
from tests.stories.conftest import MakeWorld
from tests.stories.person import Asked, approving
from tests.stories.works import Work, alone, play

ASK = call("ask_person", question="Which colour?", options=["red", "green"])
PAINT = (write("colour.txt", ANSWER), passing())
WORK = Work(
    "paint",
    (),
    ("test -s colour.txt",),
    # A run that was parked goes on with the answer as its prompt.
    (Case((ASK, *PAINT), prompt="Begin: "), Case(PAINT)),
)


def saying(line: str | None) -> "Asker":
    return Asker(line)


class Asker:
    """Approves, and answers questions with one line."""

    def __init__(self, line: str | None) -> None:
        self.line = line
        self.texts: list[str] = []

    def __call__(self, asked: Asked) -> str | None:
        if asked.what == "question":
            self.texts.append(asked.text)
            return self.line
        return approving(asked)


@pytest.mark.slow
def test_answered_while_it_waits(world: MakeWorld) -> None:
    story = world(play(alone(WORK)))
    asker = saying("2")
    ending = story.build(answer=asker)
    assert ending.code == 0, ending.words
    assert asker.texts == ["Which colour?"]
    assert story.git("show", "main:colour.txt") == "green"
    assert "run_parked" not in story.events()
    proofs.hold(story)


@pytest.mark.slow
def test_parked_until_answered(world: MakeWorld) -> None:
    own_words = "neither: «blue», 'said' $HOME"
    story = world(play(alone(WORK)))
    ending = story.build(answer=saying(own_words), AGENTS__ASK_WAIT_S="0")
    assert ending.code == 0, ending.words
    assert story.git("show", "main:colour.txt") == own_words
    assert {"run_parked", "run_resumed"} <= set(story.events())
    assert len(set(story.column("SELECT session_id FROM runs WHERE kind = 'coder'"))) == 1
    assert story.column("SELECT attempts FROM tasks") == [0]
    proofs.hold(story)


def test_answered_after_a_restart(world: MakeWorld) -> None:
    story = world(play(alone(WORK)))
    first = story.build(answer=saying(None), AGENTS__ASK_WAIT_S="0")
    assert first.code == 1, first.words
    second = story.build(answer=saying("red"), AGENTS__ASK_WAIT_S="0")
    assert second.code == 0, second.words
    assert story.git("show", "main:colour.txt") == "red"
    assert story.column("SELECT count(*) FROM questions") == [1]
    assert story.column("SELECT attempts FROM tasks") == [0]
    proofs.hold(story)


@pytest.mark.slow
def test_nobody_is_here(world: MakeWorld) -> None:
    story = world(play(alone(WORK)))
    ending = story.build("--yes")
    assert ending.code == 0, ending.words
    assert "decide" in story.git("show", "main:colour.txt")
    proofs.hold(story)


@pytest.mark.slow
def test_asking_for_ever(world: MakeWorld) -> None:
    """Each question is one question; turns bound them."""
    work = Work("paint", (call("ask_person", question="Why?"),) * 30, ("test -s colour.txt",))
    story = world(play(alone(work)))
    ending = story.build("--yes", AGENTS__MAX_TURNS="10", AGENTS__MAX_ATTEMPTS="2")
    assert ending.code == 1, ending.words
    assert story.runs() == 2
