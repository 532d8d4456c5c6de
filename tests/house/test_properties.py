"""Properties are held to by what they say, never by how fast the host was while they were tried."""

import ast
import time

from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from tests.house.sources import ROOT

_OURS = frozenset({"deadline", "suppress_health_check"})


def test_the_profile_of_this_project_is_in_force() -> None:
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check


def test_a_slow_example_is_no_failure() -> None:
    """More than the fifth of a second that is allowed without the profile."""

    tried: list[int] = []

    @settings(max_examples=1)
    @given(st.just(1))
    def slow(value: int) -> None:
        time.sleep(0.5)
        tried.append(value)

    slow()
    assert tried


def test_a_property_that_does_not_hold_still_fails() -> None:
    assert find(st.integers(), lambda value: value > 9) == 10


def test_no_test_has_a_deadline_of_its_own() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "settings"
        and any(word.arg in _OURS for word in node.keywords)
    ]
    assert found == []
