"""The practice model's interviewer, as a pure function of what was asked and said."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from adapters.practice import programs
from adapters.practice.agents import answer
from adapters.practice.conversation import Reply, parse
from adapters.practice.meaning import Question, meaning
from core.orchestrator.briefing import INTERVIEWER_GO_ON
from tests.contract.practice_parts import OWN_WORDS

SPEC = ".autocoder/prompts/app_spec.txt"
FIRST = "Interview a person about a new project. Its name is: Books"
ASKED = json.dumps({"asked": True, "note": "end your turn"})
TOOLS = {"mcp__autocoder__ask_person": ("topic", "expected"), "Write": (), "Read": ()}


class Talk:
    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.questions: list[str] = []
        self.topics: list[str] = []
        self.messages: list[dict[str, Any]] = []

    def hear(self, words: str) -> Reply:
        """A turn, up to its end."""
        self.messages.append({"role": "user", "content": words})
        while True:
            reply = answer(parse(self._body()))
            uses = [
                {"type": "tool_use", "id": f"t{len(self.messages)}", "name": call.tool,
                 "input": dict(call.arguments)}
                for call in reply.calls
            ]  # fmt: skip
            words_block = {"type": "text", "text": reply.text}
            self.messages.append({"role": "assistant", "content": [words_block, *uses]})
            if not reply.calls:
                return reply
            results = [
                {"type": "tool_result", "tool_use_id": use["id"], "content": self._do(use)}
                for use in uses
            ]
            self.messages.append({"role": "user", "content": results})

    def _body(self) -> dict[str, Any]:
        tools = [
            {"name": name, "input_schema": {"properties": {key: {} for key in names}}}
            for name, names in TOOLS.items()
        ]
        system = "You are the interviewer of autocoder.\n"
        return {"model": "m", "system": system, "tools": tools, "messages": self.messages}

    def _do(self, use: dict[str, Any]) -> str:
        given = use["input"]
        match use["name"]:
            case "ask_person":
                self.questions.append(given["question"])
                self.topics.append(given["topic"])
                return ASKED
            case "Write":
                self.files[given["file_path"]] = given["content"]
                return "done"
            case _:
                lines = self.files[given["file_path"]].splitlines()
                return "\n".join(f"{n}\t{line}" for n, line in enumerate(lines, start=1))


def test_deciding_everything_makes_the_story() -> None:
    talk = Talk()
    talk.hear(FIRST)
    for _ in range(5):
        talk.hear("just decide")
    assert talk.topics == [
        "overview", "involvement", "technology", "features", "success criteria",
    ]  # fmt: skip
    assert programs.is_todobook(talk.files[SPEC])
    assert talk.files[SPEC].count("Decided for you") == 5
    assert set(talk.files) == {SPEC, ".autocoder/prompts/initializer_prompt.md"}


@pytest.mark.parametrize("said", OWN_WORDS)
def test_an_interview_in_own_words_makes_the_story(said: Mapping[str, str]) -> None:
    talk = Talk()
    talk.hear(FIRST)
    for words in said.values():
        talk.hear(words)
    assert talk.topics == list(said)
    assert programs.is_todobook(talk.files[SPEC])


def test_the_spec_says_how_own_words_were_taken_and_what_is_not_built() -> None:
    talk = Talk()
    talk.hear(FIRST)
    for words in OWN_WORDS[4].values():
        talk.hear(words)
    decided = talk.files[SPEC].partition(programs.INTERVIEWED)[2]
    assert "Python, the standard library only (in your words: no packages please)" in decided
    assert "Not built by the practice model: share it with friends\n" in decided
    assert (
        "Built as well, because the practice model's story is one whole: Find by words and tags,"
        " Repeating entries, A command line\n"
    ) in decided


ABOUT = Question("", "", "A", ("A", "B", "C", "D"), multiple=True)


@pytest.mark.parametrize(
    ("said", "labels"),
    [
        ("the first two", "AB"), ("first three please", "ABC"), ("the last two", "CD"),
        ("all of them", "ABCD"), ("everything", "ABCD"), ("all but the second", "ACD"),
        ("1, 3", "AC"), ("2-4", "BCD"), ("second and last", "BD"), ("D, A", "AD"), ("b.", "B"),
        ("the first aid kit", ""), ("9", ""), ("2 lists of 3", ""),
    ],
)  # fmt: skip
def test_options_by_number(said: str, labels: str) -> None:
    answer = meaning(said, ABOUT)
    assert "".join(answer.options) == labels
    assert bool(answer.own) is not bool(labels)


@pytest.mark.parametrize(
    ("said", "decides"),
    [
        ("just decide", True), ("You choose, please.", True), ("I don't mind", True),
        ("whatever you think is best", True), ("up to you", True), ("No idea!", True),
        ("Let people choose, and you decide what they are shown", False),
        ("up to you, but B", False), ("decided", False),
    ],
)  # fmt: skip
def test_who_shall_decide(said: str, decides: bool) -> None:
    answer = meaning(said, replace(ABOUT, signs=((r"\bb\b", "B"),)))
    assert (answer.decided == "A") is decides
    assert (answer.line == "A") is decides


@pytest.mark.parametrize(
    ("about", "data"), [("A chess clock", "One JSON file"), ("A todo list", "in memory please")]
)
def test_other_answers_make_an_honest_spec(about: str, data: str) -> None:
    talk = Talk()
    talk.hear(FIRST)
    said = [about, "Detailed", "just decide", "own words; [two]", data, "It works"]
    for words in said:
        talk.hear(words)
    assert talk.topics[4:] == ["technical details", "success criteria"]
    assert not programs.is_todobook(talk.files[SPEC])
    assert all(words in talk.files[SPEC] for words in said if words != "just decide")


def test_a_changed_answer_counts_and_the_open_question_is_asked_again() -> None:
    talk = Talk()
    talk.hear(FIRST)
    for words in ("A chess clock", "Quick"):
        talk.hear(words)
    talk.hear(
        f"I change an earlier answer.\n\nYou asked: {talk.questions[0]}\nAnswer: An egg timer\n\n"
        "Ask your last question again if it still matters."
    )
    assert talk.questions[-1] == talk.questions[-2]
    for _ in range(3):
        talk.hear("just decide")
    assert "An egg timer" in talk.files[SPEC]
    assert "chess" not in talk.files[SPEC]


def test_an_interrupted_session_takes_what_it_is_told() -> None:
    """Its transcript lost the question; the words after the kill bring both."""
    before = Talk()
    before.hear(FIRST)
    talk = Talk()
    talk.messages.append({"role": "user", "content": FIRST})
    talk.hear(
        "You were interrupted. Go on where you were.\n\n"
        f"You asked: {before.questions[0]}\nAnswer: Two\nlines"
    )
    assert talk.topics == ["involvement"]
    talk.hear("You were interrupted. Go on where you were.")
    assert talk.topics == ["involvement", "involvement"]


def test_a_question_whose_call_was_cut_short_takes_the_answer_that_is_told_later() -> None:
    talk = Talk()
    talk.hear(FIRST)
    said = ("A chess clock", "Quick", "just decide", "own words; [two]")
    for words in said[:3]:
        talk.hear(words)
    cut = talk.messages[-2]["content"][0]
    cut["content"] = "The call was interrupted."
    del talk.messages[-1]  # killed before it ended its turn
    told = "\n\n".join(
        f"You asked: {question}\nAnswer: {words}"
        for question, words in zip(talk.questions, said, strict=True)
    )
    talk.hear(f"{INTERVIEWER_GO_ON}\n\n{told}")
    talk.hear("It works")
    assert "[two]" in talk.files[SPEC]


def test_an_addition_keeps_the_spec_and_says_what_is_new() -> None:
    talk = Talk()
    talk.files[SPEC] = "# Books\n\nA list.\n"
    talk.hear(
        "The project Books gets something new: a feature. Its spec is in there.\n\n"
        "In the person's words:\n\nexport to CSV"
    )
    talk.hear("One file per shelf")
    talk.hear("just decide")
    assert len(talk.questions) == 2
    assert talk.files[SPEC].startswith("# Books\n\nA list.\n\n## Export to CSV\n")
    assert "One file per shelf" in talk.files[SPEC]
