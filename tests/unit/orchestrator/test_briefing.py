"""First words: constants for coders, the reasons of people for planners."""

from typing import Any

import pytest

from core.operations.guidance import Hint
from core.orchestrator import briefing


def test_a_coder_hears_constants_only() -> None:
    assert briefing.for_coder(takes_over=False) == briefing.CODER_BEGIN
    assert briefing.for_coder(takes_over=True) == briefing.CODER_GO_ON


@pytest.mark.parametrize("takes_over", [True, False])
def test_answers_reach_a_coder_word_by_word(takes_over: bool) -> None:
    words = briefing.for_coder(takes_over=takes_over, answers=[("red?", "/clear @x"), ("2?", "b")])
    assert "You asked: red?\nAnswer: /clear @x" in words
    assert words.index("red?") < words.index("2?")
    assert "task_get_next" in words


def test_the_answer_a_session_waits_for_is_all_it_hears() -> None:
    asked = [("red?", "no"), ("blue?", "/clear @x")]
    assert briefing.for_coder(takes_over=True, answers=asked, answer="/clear @x") == "/clear @x"
    hint = Hint(1, "web:ann", "the port is 8080")
    words = briefing.for_coder(takes_over=True, answer="no", hints=[hint])
    assert words == "no\n\nweb:ann says: the port is 8080"


def planner(*, resumed: bool = False, **given: Any) -> str:
    return briefing.for_planner(briefing.Planning(**given), resumed=resumed)


def test_a_planner_hears_what_is_wanted() -> None:
    assert planner() == briefing.PLANNER_BEGIN
    assert planner(resumed=True) == briefing.PLANNER_GO_ON
    revised = planner(replan_reason="too {large}", plan={"summary": "älter"})
    assert "too {large}" in revised
    assert '{"summary": "älter"}' in revised
    rework = planner(rework_reason="unsorted", phase="One", replan_reason="old", plan={"s": 1})
    assert "rejected phase 'One'" in rework
    assert "unsorted" in rework
    assert "only what is new" in rework
    assert "old" not in rework.split("unsorted")[0]
