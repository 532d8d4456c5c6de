"""A project's own settings win, each in its place; the service's stay as they are."""

from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.commands.house import PROJECT_SETTINGS, checked
from core.orchestrator.own_rules import own_rules
from core.orchestrator.rules import Rules

GIVEN: dict[str, tuple[str, Callable[[Rules], object], object]] = {
    "max_parallel": ("2", lambda r: r.limits.max_parallel, 2),
    "batch": ("1", lambda r: r.limits.batch, 1),
    "max_attempts": ("7", lambda r: r.max_attempts, 7),
    "max_turns": ("9", lambda r: r.max_turns, 9),
    "max_minutes": ("1.5", lambda r: r.max_time, timedelta(seconds=90)),
    "silence_s": ("60", lambda r: r.silence, timedelta(minutes=1)),
    "check_timeout_s": ("5", lambda r: r.check_timeout, timedelta(seconds=5)),
    "backoff_max_s": ("30", lambda r: r.policy.backoff_max, timedelta(seconds=30)),
    "ask_wait_s": ("0", lambda r: r.ask_wait, timedelta(0)),
    "on_stuck": ("skip", lambda r: r.limits.skip_stuck, True),
    "chain": ("haiku, opus", lambda r: r.policy.chain, ("haiku", "opus")),
    "planner": ("sonnet", lambda r: r.limits.planner_model, "sonnet"),
    "coder": ("opus", lambda r: r.limits.coder_model, "opus"),
    "assistant": ("opus", lambda r: r.limits.assistant_model, "opus"),
    "interviewer": ("opus", lambda r: r.limits.interviewer_model, "opus"),
    "run_usd": ("1.25", lambda r: r.caps.run_usd, Decimal("1.25")),
    "day_usd": ("9", lambda r: (r.caps.day_usd, r.caps.own), (Decimal(9), {"day_usd"})),
    "month_usd": ("8", lambda r: (r.caps.month_usd, r.caps.own), (Decimal(8), {"month_usd"})),
    "strict": ("true", lambda r: r.strict, True),
}


def test_every_setting_of_a_project_is_tried_here() -> None:
    assert set(PROJECT_SETTINGS) == {*GIVEN, "project_usd"}  # which is the project's budget


@pytest.mark.parametrize("key", GIVEN)
def test_it_wins(key: str) -> None:
    given, look, wanted = GIVEN[key]
    rules = Rules()
    own = own_rules(rules, {key: checked(key, given)})
    assert look(own) == wanted != look(rules)
    groups = ("limits", "caps", "policy")
    changed = [f.name for f in fields(own) if getattr(own, f.name) != getattr(rules, f.name)]
    assert len(changed) == 1
    if changed[0] in groups:
        before, after = getattr(rules, changed[0]), getattr(own, changed[0])
        names = [f.name for f in fields(after) if f.name != "own"]
        assert sum(getattr(after, name) != getattr(before, name) for name in names) == 1


def test_nothing_of_its_own_is_the_services() -> None:
    rules = Rules()
    assert own_rules(rules, {}) is rules
