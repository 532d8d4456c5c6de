"""A long interview by a client that is a stranger: every way to answer, files, words between."""

import base64
import itertools
import threading
from pathlib import Path

import pytest

from tests.stories.foreign.cast import APP_SPEC, INITIALIZER
from tests.stories.foreign.guest import Guest, Json
from tests.stories.foreign.model import Heard, Model, Playing, both, says, use
from tests.stories.service import House

NAME = "Detailed"
QUESTIONS = 30
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
SEVERAL = ["one", "two, and more", "three"]
MANY = [f"choice {n}" for n in range(9)]


class Curious:
    """Waits to be spoken to, asks twice at once, then thirty times, each time otherwise."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.heard: list[str] = []
        self.material: list[str] = []

    def __call__(self, heard: Heard) -> Playing:
        self.may.wait(60)
        heard = yield both(
            use("ask_person", question="Quick or detailed?", options=["Quick", "Detailed"]),
            use("ask_person", question="In a sentence?"),
        )
        assert [result.json["asked"] for result in heard.results] == [True, True]
        heard = yield says("I wait for both.")
        self.heard.append(heard.words)
        for number in range(1, QUESTIONS + 1):
            options = ((), ("yes", "no"), tuple(SEVERAL), tuple(MANY))[number % 4]
            heard = yield use(
                "ask_person", question=f"Detail {number}?", options=list(options),
                multiple=options == tuple(SEVERAL), expected=32,
            )  # fmt: skip
            assert heard.result.json["asked"] is True
            heard = yield says("I wait.")
            self.heard.append(heard.words)
            if "material/" in heard.words:
                for name in ("1-note.md", "2-shot.png"):
                    heard = yield use("Read", file_path=f"material/{name}")
                    self.material.append(heard.result.text)
        yield both(
            use("Write", file_path=APP_SPEC, content="# Detailed\n\nAll of it.\n"),
            use("Write", file_path=INITIALIZER, content="Begin.\n"),
        )
        yield says("It is written.")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_interview_of_thirty_questions(tmp_path: Path) -> None:
    with Model() as model:
        house = House(
            tmp_path / "home",
            {
                "AUTOCODER_MODEL": "claude",
                "ANTHROPIC_API_KEY": "any",
                "ANTHROPIC_BASE_URL": model.url,
            },
        )
        curious = Curious()
        model.cast = {"interviewer": curious}
        with house.running() as service:
            guest = Guest(service, service.admin)
            _begun_twice(guest)
            _spoken_to_at_work(guest, curious)
            _two_at_once(guest, curious)
            _thirty(guest, curious)
            _dropped(guest, curious)
            assert model.faults == []


def _begun_twice(guest: Guest) -> None:
    """The second comes before the card of the first stands."""
    lines = [guest.say(f"/autocoder new {NAME}"), guest.say(f"/autocoder new {NAME.lower()}")]
    answer = guest.answered(lines[1])
    [root] = guest.cards("interview")
    assert f"message {root['id']} " in answer["card"]["body"]
    assert len(guest.get("/api/projects")["items"]) == 1


def _spoken_to_at_work(guest: Guest, curious: Curious) -> None:
    [root] = guest.cards("interview")
    guest.wait(lambda: guest.all(f"/api/projects/{NAME}/runs"))
    guest.say("It is for my *aunt*.", root["id"])  # nobody asked: it is kept, and has no effect
    curious.may.set()


def _open(guest: Guest) -> list[Json]:
    return [message for message in guest.cards("question") if message["card"]["buttons"]]


def _two_at_once(guest: Guest, curious: Curious) -> None:
    first, second = guest.wait(lambda: len(_open(guest)) == 2 and _open(guest))
    assert guest.press(first, "Detailed").json["ok"] is True
    guest.wait(lambda: _open(guest) == [second])
    for blank in ("", " ", "\n\t", "\u200b"):
        said = guest.client.say(blank, guest.channel, thread=first["thread"])
        assert (said.status, said.json["error"]) == (422, "wrong_value"), blank
        name = guest.button(second, "Answer")["form"]["inputs"][0]["name"]
        pressed = guest.press(second, "Answer", {name: blank})
        assert (pressed.status, pressed.json["reason"]) == (422, "missing_values"), blank
    assert _open(guest) == [second]
    guest.say("A list, for her", first["thread"])
    heard = guest.wait(lambda: curious.heard)[0]
    assert heard.count("Answer: Detailed") == heard.count("Answer: A list, for her") == 1
    assert "aunt" not in heard


def _thirty(guest: Guest, curious: Curious) -> None:
    last = guest.cards("question")[-1]
    said = []
    for number in range(1, QUESTIONS):
        last = guest.open_question(NAME, after=last["id"])
        assert f"Detail {number}?" in last["card"]["body"]
        assert f"Question {number + 2} of 32" in last["card"]["title"]
        said.append(_answer(guest, last, number))
    guest.wait(lambda: len(curious.heard) == QUESTIONS)
    assert curious.heard[1:] == said


def _answer(guest: Guest, question: Json, number: int) -> str:
    """Each kind of question, one time by its buttons, the next in own words."""
    own = f"own  words {number}, _really_"
    match number % 8:
        case 0:
            guest.say(own, question["thread"])
        case 1:
            assert guest.press(question, "no").status == 200
            return "no"
        case 2:
            action = guest.button(question, "Answer")["action_id"]
            assert guest.act(question, action, {action: SEVERAL[1:]}).status == 200
            return "two, and more, three"
        case 3:
            [choice] = question["card"]["inputs"]
            value = choice["options"][7]["value"]
            assert guest.act(question, choice["name"], {choice["name"]: value}).status == 200
            return "choice 7"
        case 4:
            button = guest.button(question, "Answer")
            name = button["form"]["inputs"][0]["name"]
            assert guest.act(question, button["action_id"], {name: own}).status == 200
        case 5:
            button = guest.button(question, "Answer")
            [words] = [i["name"] for i in button["form"]["inputs"] if i["kind"] == "text"]
            assert guest.act(question, button["action_id"], {words: own}).status == 200
        case 6:
            guest.say(own, question["thread"])
        case _:
            guest.say("choice 3", question["thread"])
            return "choice 3"
    return own


def _dropped(guest: Guest, curious: Curious) -> None:
    """Files without words answer nothing; both are read with the next turn."""
    last = guest.open_question(NAME)
    assert f"Detail {QUESTIONS}?" in last["card"]["body"]
    note = guest.client.upload("note.md", b"The word is plum.\n").json
    shot = guest.client.upload("shot.png", PNG, "image/png").json
    dropped = guest.say("note.md, shot.png", last["thread"], files=[note["id"], shot["id"]])
    assert "Taken as material" in guest.answered(dropped)["card"]["title"]
    assert _open(guest) == [guest.again(last)]
    picture = guest.client.get(f"/api/files/{shot['id']}/picture")
    assert (picture.status, picture.headers["content-type"]) == (200, "image/png")
    guest.act(last, guest.button(last, "Answer")["action_id"], {"answer": SEVERAL[0]})
    guest.wait(lambda: guest.cards("spec"))
    assert curious.heard[-1].startswith("one\n\n")
    assert "plum" in curious.material[0]
    assert "<image>" in curious.material[1]
    keys = [message["card"]["key"] for message in guest.messages() if message["card"]]
    assert len(keys) == len(set(keys))
    for before, after in itertools.pairwise(guest.cards("question")):
        assert before["id"] < after["id"]
