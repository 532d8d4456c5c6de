"""A plain story: what is planned is built, proved and landed."""

from tests.stories import proofs
from tests.stories.conftest import MakeWorld
from tests.stories.works import Piece, honest, play


def test_diamond_over_two_phases(world: MakeWorld) -> None:
    base = Piece("Base", (honest("base"), honest("basics", needs=("base",), after=("base",))))
    left = Piece("Left", (honest("left", needs=("base",)),), after=("Base",))
    right = Piece("Right", (honest("right", needs=("basics",), after=("basics",)),))
    top = Piece("Top", (honest("top", needs=("left", "right")),), after=("Left", "Right"))
    last = Piece("Last", (honest("last", needs=("top",)),))
    story = world(play((base, left, right, top), (last,), checks=("test -f base.py",)))

    ending = story.build()

    assert ending.code == 0, ending.words
    assert set(story.statuses().values()) == {"passing"}
    assert ending.person is not None
    assert [asked.what for asked in ending.person.asked] == ["plan", "gate", "gate"]
    assert story.runs() == 5
    proofs.hold(story)
    seen = story.git("log", "--first-parent", "--format=%s", "main").splitlines()
    assert seen[-1].startswith("Begin ")
    assert seen.index("Land Top") < min(seen.index("Land Left"), seen.index("Land Right"))

    again = story.build()
    assert again.code == 0, again.words
    assert story.runs() == 5
