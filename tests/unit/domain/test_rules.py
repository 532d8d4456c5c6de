"""A project's own settings win, each in its place; the service's stay as they are."""

from dataclasses import fields
from decimal import Decimal

import pytest

from bot.commands.admin import checked
from core.domain.rules import OWN, OnStuck, Rules

GIVEN: dict[str, tuple[str, object]] = {
    "max_parallel": ("2", 2),
    "batch": ("1", 1),
    "max_attempts": ("7", 7),
    "max_turns": ("9", 9),
    "max_minutes": ("1.5", 1.5),
    "silence_s": ("60", 60),
    "check_timeout_s": ("5", 5),
    "backoff_max_s": ("30", 30),
    "ask_wait_s": ("0", 0),
    "on_stuck": ("skip", OnStuck.SKIP),
    "chain": ("haiku, opus", ("haiku", "opus")),
    "planner": ("sonnet", "sonnet"),
    "coder": ("opus", "opus"),
    "assistant": ("opus", "opus"),
    "interviewer": ("opus", "opus"),
    "project_usd": ("7", Decimal(7)),
    "run_usd": ("1.25", Decimal("1.25")),
    "day_usd": ("9", Decimal(9)),
    "month_usd": ("8", Decimal(8)),
    "strict": ("true", True),
}


def test_every_setting_of_a_project_is_tried_here() -> None:
    assert set(OWN) == set(GIVEN)


@pytest.mark.parametrize("key", GIVEN)
def test_it_wins(key: str) -> None:
    given, wanted = GIVEN[key]
    rules = Rules()
    own = rules.of_project({key: checked(key, given)})
    section = OWN[key]
    value = getattr(getattr(own, section), key)
    assert value == wanted != getattr(getattr(rules, section), key)
    assert type(value) is type(wanted) or isinstance(value, float)
    assert own.own == {key}
    changed = [f.name for f in fields(own) if getattr(own, f.name) != getattr(rules, f.name)]
    assert changed == [section, "own"]
    before, after = getattr(rules, section), getattr(own, section)
    assert sum(getattr(after, f.name) != getattr(before, f.name) for f in fields(after)) == 1


def test_nothing_of_its_own_is_the_services() -> None:
    rules = Rules()
    assert rules.of_project({}) is rules
