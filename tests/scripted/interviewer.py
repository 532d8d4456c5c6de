"""The interviewer: its questions in their order, then both spec files from the answers.

An answer is the prompt after a question, or stands in a prompt as `You asked: … Answer: …`.
"""

import re
from collections.abc import Callable, Sequence

from tests.scripted.conversation import Part, Talk, Turn
from tests.scripted.scenario import Ask, Call, Step, write

APP_SPEC = ".autocoder/prompts/app_spec.txt"
INITIALIZER = ".autocoder/prompts/initializer_prompt.md"
FIRST = "Begin with the base.\n"
_SAID = re.compile(r"You asked: (.+?)\nAnswer: (.*?)(?=\n\nYou asked: |\Z)", re.DOTALL)

Following = Callable[[Sequence[Turn], Sequence[Step]], Step | None]


def answer(talk: Talk, asks: Sequence[Ask], following: Following) -> Step:
    parts = (*talk.earlier, Part(talk.prompt, talk.turns))
    given = _answers(parts)
    if _waits(parts[-1]):
        return Step(words="I wait for the answer.")
    for ask in asks:
        if ask.question not in given:
            arguments = {
                "question": ask.question,
                "options": list(ask.options),
                "multiple": ask.multiple,
                "topic": "this",
                "expected": len(asks),
            }
            return Step((Call("ask_person", arguments),))
    text = spec({ask.question: given[ask.question] for ask in asks})
    steps = (write(APP_SPEC, text), write(INITIALIZER, FIRST))
    return following(talk.turns, steps) or Step(words="The spec is written.")


def spec(answers: dict[str, str]) -> str:
    """What it writes when it was answered so."""
    return "".join(("# A thing\n\n", *(f"- {asked} {said}\n" for asked, said in answers.items())))


def _answers(parts: Sequence[Part]) -> dict[str, str]:
    found: dict[str, str] = {}
    asked: str | None = None
    for part in parts:
        said = _SAID.findall(part.prompt)
        found.update(said)
        if asked is not None and not said and not part.prompt.startswith("You were interrupted"):
            found[asked] = part.prompt
        asked = _asked(part)
    return found


def _asked(part: Part) -> str | None:
    """The question that was open at the end of a part."""
    for turn in reversed(part.turns):
        for exchange in turn:
            if exchange.tool == "ask_person" and exchange.data().get("asked"):
                return str(exchange.arguments["question"])
    return None


def _waits(part: Part) -> bool:
    return _asked(part) is not None
