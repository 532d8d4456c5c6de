"""The interviewer, the planner and the coder: what they say next, from the request and the scenario alone."""

import re
from collections.abc import Sequence
from typing import Any

from tests.scripted import interviewer
from tests.scripted.conversation import Exchange, Talk, Turn
from tests.scripted.scenario import ANSWER, OWN, Call, Case, Scenario, Step

_NEXT = Step((Call("task_get_next"),))
_MOST_READS = 3


def answer(talk: Talk, scenario: Scenario) -> Step:
    match talk.kind:
        case "interviewer":
            return interviewer.answer(talk, scenario.interview, _following)
        case "planner":
            return _planner(talk, scenario)
        case "coder":
            return _coder(talk, scenario)
        case _:
            return Step(words="ok")


def _planner(talk: Talk, scenario: Scenario) -> Step:
    steps = next((steps for part, steps in scenario.planner if part in talk.prompt), ())
    return _following(talk.turns, steps) or Step(words="That is all.")


def _coder(talk: Talk, scenario: Scenario) -> Step:
    if scenario.coder_words:
        return Step(words=scenario.coder_words)
    if _parked(talk.turns):
        return Step(words="I wait for the answer.")
    taken = [n for n, turn in enumerate(talk.turns) if any(e.tool == "task_get_next" for e in turn)]
    if not taken:
        return _NEXT
    given = next(e for e in talk.turns[taken[-1]] if e.tool == "task_get_next")
    if given.result is None:
        return _NEXT
    task = given.data().get("task")
    if not isinstance(task, dict):
        return Step(words="There is nothing for me.")
    since = talk.turns[taken[-1] + 1 :]
    step = _following(since, _steps(talk, scenario, task))
    if step is not None:
        return _filled(step, task, talk)
    if any(_accepted(exchange) for turn in since for exchange in turn):
        return _NEXT
    return Step(words="I end here.")


def _steps(talk: Talk, scenario: Scenario, task: dict[str, Any]) -> tuple[Step, ...]:
    for case in scenario.tasks.get(task["name"], ()):
        if _holds(case, talk, task):
            return case.steps
    return scenario.otherwise


def _holds(case: Case, talk: Talk, task: dict[str, Any]) -> bool:
    return (
        case.attempts in (None, task["attempts"])
        and case.model in talk.model
        and case.prompt in talk.prompt
        and case.notes in (task["recovery_notes"] or "")
    )


def _following(turns: Sequence[Turn], steps: Sequence[Step]) -> Step | None:
    """The step after what was done; a write refused for want of a reading is done again."""
    place = times = reads = 0
    unread = ""
    for turn in turns:
        if place == len(steps):
            return None
        if any(exchange.result is None for exchange in turn):
            continue
        if unread and all(exchange.tool == "Read" for exchange in turn):
            unread = ""
            continue
        refused = next((path for e in turn if (path := _wants_reading(e))), "")
        if refused and reads < _MOST_READS:
            unread, reads = refused, reads + 1
            continue
        times += 1
        if steps[place].times and times >= steps[place].times:
            place, times, reads, unread = place + 1, 0, 0, ""
    if unread:
        return Step((Call("Read", {"file_path": unread}),))
    return steps[place] if place < len(steps) else None


def _wants_reading(exchange: Exchange) -> str:
    written = exchange.tool in ("Write", "Edit") and exchange.failed
    if written and re.search(r"\bread it\b", exchange.result or "", re.IGNORECASE):
        return str(exchange.arguments["file_path"])
    return ""


def _accepted(exchange: Exchange) -> bool:
    return exchange.tool == "task_mark_passing" and exchange.data().get("accepted") is True


def _parked(turns: Sequence[Turn]) -> bool:
    return any(e.tool == "ask_person" and e.data().get("asked") for turn in turns for e in turn)


def _filled(step: Step, task: dict[str, Any], talk: Talk) -> Step:
    values = {OWN: task["id"], ANSWER: _answer(talk)}
    return Step(
        tuple(
            Call(call.tool, {name: _fill(value, values) for name, value in call.arguments.items()})
            for call in step.calls
        ),
        step.words,
    )


def _fill(value: Any, values: dict[str, Any]) -> Any:
    if not isinstance(value, str):
        return value
    if value in values:
        return values[value]
    return value.replace(OWN, str(values[OWN])).replace(ANSWER, values[ANSWER])


def _answer(talk: Talk) -> str:
    asked = [e.result for turn in talk.turns for e in turn if e.tool == "ask_person" and e.result]
    return asked[-1] if asked else talk.prompt.rpartition("Answer: ")[2]
