"""The rules a project follows: the service's, less what it has of its own."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from core.orchestrator.rules import Parts, Rules
from core.store.tables import Project, Run

_LIMITS = {
    "max_parallel": "max_parallel",
    "batch": "batch",
    "coder": "coder_model",
    "planner": "planner_model",
    "interviewer": "interviewer_model",
    "assistant": "assistant_model",
}
_SECONDS = {"silence_s": "silence", "check_timeout_s": "check_timeout", "ask_wait_s": "ask_wait"}
_PLAIN = ("max_attempts", "max_turns", "strict")


def own_rules(rules: Rules, own: Mapping[str, Any]) -> Rules:
    """`own` holds settings by the last part of their names, as they were checked and stored."""
    if not own:
        return rules
    limits = {field: own[key] for key, field in _LIMITS.items() if key in own}
    if "on_stuck" in own:
        limits["skip_stuck"] = own["on_stuck"] == "skip"
    policy: dict[str, Any] = {}
    if "chain" in own:
        policy["chain"] = tuple(own["chain"])
    if "backoff_max_s" in own:
        policy["backoff_max"] = timedelta(seconds=float(own["backoff_max_s"]))
    plain: dict[str, Any] = {key: own[key] for key in _PLAIN if key in own}
    for key, field in _SECONDS.items():
        if key in own:
            plain[field] = timedelta(seconds=float(own[key]))
    if "max_minutes" in own:
        plain["max_time"] = timedelta(minutes=float(own["max_minutes"]))
    return replace(
        rules,
        limits=replace(rules.limits, **limits),
        caps=rules.caps.less(own),
        policy=replace(rules.policy, **policy),
        **plain,
    )


async def rules_of(parts: Parts, run_id: int) -> Rules:
    """The rules of the project a run works for."""
    return own_rules(parts.rules, await parts.store.read(_own, run_id))


def _own(tx: Session, run_id: int) -> dict[str, Any]:
    return tx.get_one(Project, tx.get_one(Run, run_id).project_id).settings
