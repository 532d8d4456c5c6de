"""The HTTP interface, field by field: name → what its value may be."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

Check = Callable[[Any], bool]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_MONEY = re.compile(r"\d+(\.\d+)?")
_USER = re.compile(r"(web|slack|discord):[^\s]+")


def whole(value: Any) -> bool:
    return type(value) is int


def number(value: Any) -> bool:
    return type(value) in (int, float)


def text(value: Any) -> bool:
    return isinstance(value, str)


def words(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def moment(value: Any) -> bool:
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def money(value: Any) -> bool:
    return isinstance(value, str) and _MONEY.fullmatch(value) is not None and Decimal(value) >= 0


def user(value: Any) -> bool:
    return isinstance(value, str) and _USER.fullmatch(value) is not None


def actor(value: Any) -> bool:
    return user(value) or value == "service" or re.fullmatch(r"run:\d+", str(value)) is not None


def thing(value: Any) -> bool:
    return isinstance(value, dict)


def maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


def many(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(check(each) for each in value)


def pair(check: Check) -> Check:
    return lambda value: many(check)(value) and len(value) == 2 and value[0] <= value[1]


def by(check: Check) -> Check:
    return lambda value: (
        isinstance(value, dict)
        and all(isinstance(key, str) and check(each) for key, each in value.items())
    )


def one_of(*known: str) -> Check:
    return lambda value: value in known


def shape(fields: Mapping[str, Check]) -> Check:
    """All of these; more may exist."""

    def check(value: Any) -> bool:
        assert isinstance(value, dict), value
        for name, fits in fields.items():
            assert name in value, (name, value)
            assert fits(value[name]), (name, value[name])
        return True

    return check


TOKENS = shape(
    {
        "input": whole,
        "output": whole,
        "cache_read": whole,
        "cache_write_5m": whole,
        "cache_write_1h": whole,
    }
)
SPENT = shape({"messages": whole, "tokens": TOKENS, "cost_usd": money})
OPTION = shape({"label": words, "value": words})
INPUT = shape(
    {
        "name": words,
        "label": words,
        "kind": one_of("text", "select", "multi_select"),
        "required": flag,
        "max_length": whole,
        "options": many(OPTION),
    }
)
FORM = shape({"title": words, "inputs": many(INPUT)})
BUTTON = shape(
    {
        "label": words,
        "action_id": words,
        "style": one_of("primary", "danger", "default"),
        "form": maybe(FORM),
    }
)
CARD = shape(
    {
        "key": words,
        "kind": one_of(
            "interview", "question", "spec", "plan", "progress", "landed", "stuck", "gate",
            "budget", "limit", "digest", "report", "answer", "error", "help",
        ),
        "project": maybe(words),
        "title": words,
        "body": text,
        "fields": many(shape({"name": words, "value": words})),
        "progress": maybe(shape({"done": whole, "total": whole})),
        "pictures": many(shape({"url": words, "alt": words})),
        "tone": one_of("info", "success", "warning", "danger"),
        "buttons": many(BUTTON),
        "inputs": many(INPUT),
    }
)  # fmt: skip
MESSAGE = shape(
    {
        "id": whole,
        "channel": words,
        "thread": maybe(whole),
        "author": lambda value: value == "autocoder" or user(value),
        "text": words,
        "private_to": maybe(user),
        "revision": whole,
        "created_at": moment,
        "edited_at": maybe(moment),
        "deleted": flag,
        "card": maybe(CARD),
    }
)
PROJECT = shape(
    {
        "id": whole,
        "name": words,
        "slug": words,
        "status": one_of(
            "interviewing", "planning", "awaiting_approval", "running", "paused", "blocked",
            "completed", "stopped", "archived",
        ),
        "channels": many(lambda value: re.fullmatch(r"\w+:[\w-]+", value) is not None),
        "path": words,
        "phase_id": maybe(whole),
        "mode": one_of("standard", "yolo"),
        "tasks": shape(
            dict.fromkeys(
                ("total", "pending", "in_progress", "passing", "stuck", "skipped"), whole
            )
        ),
        "agents": whole,
        "cost_usd": money,
        "budget": money,
        "estimate": maybe(shape({"cost_usd": pair(money), "minutes": pair(number)})),
        "waiting": maybe(
            shape(
                {
                    "reason": one_of("rate_limit", "usage", "hours", "budget", "credentials"),
                    "until": maybe(moment),
                    "text": words,
                }
            )
        ),
        "settings": thing,
        "created_at": moment,
        "completed_at": maybe(moment),
    }
)  # fmt: skip
PHASE = shape({"id": whole, "position": whole, "name": words, "description": text, "status": words})
FEATURE = shape(
    {
        "id": whole,
        "phase_id": whole,
        "name": words,
        "slug": words,
        "description": text,
        "spec": text,
        "status": words,
        "priority": whole,
        "branch": lambda value: value.startswith("feature/"),
        "agent": maybe(words),
        "depends_on": many(whole),
        "landed_commit": maybe(words),
    }
)
EVIDENCE = shape(
    {
        "id": whole,
        "accepted": flag,
        "run_id": maybe(whole),
        "commit": words,
        "at": moment,
        "checks": many(
            shape({"command": words, "exit_code": whole, "output": text, "seconds": number})
        ),
    }
)
TASK = shape(
    {
        "id": whole,
        "feature_id": whole,
        "name": words,
        "category": text,
        "description": text,
        "steps": many(words),
        "complexity": whole,
        "checks": many(words),
        "depends_on": many(whole),
        "files": many(words),
        "priority": whole,
        "status": one_of("pending", "in_progress", "passing", "stuck", "skipped"),
        "attempts": whole,
        "last_error": maybe(text),
        "recovery_notes": maybe(text),
        "reason": text,
        "evidence": many(EVIDENCE),
    }
)
RUN = shape(
    {
        "id": whole,
        "kind": words,
        "status": words,
        "outcome": maybe(words),
        "task_ids": many(whole),
        "feature_id": maybe(whole),
        "phase_id": maybe(whole),
        "model": words,
        "session_id": words,
        "host": words,
        "pid": maybe(whole),
        "attempt": whole,
        "started_at": moment,
        "ended_at": maybe(moment),
        "messages": whole,
        "tokens": TOKENS,
        "cost_usd": money,
    }
)
APPROVAL = shape(
    {
        "id": whole,
        "kind": words,
        "subject_id": whole,
        "status": words,
        "opened_at": moment,
        "decided_at": maybe(moment),
        "decided_by": maybe(actor),
        "reason": maybe(text),
    }
)
JOURNAL = shape(
    {
        "id": whole,
        "at": moment,
        "level": words,
        "category": words,
        "event": words,
        "text": text,
        "actor": actor,
        "run_id": maybe(whole),
        "task_id": maybe(whole),
        "feature_id": maybe(whole),
        "phase_id": maybe(whole),
        "data": thing,
        "hash": words,
        "previous_hash": text,
    }
)
USAGE = shape(
    {
        "project": maybe(words),
        "messages": whole,
        "tokens": TOKENS,
        "cost_usd": money,
        "unpriced_messages": whole,
        "by_model": by(SPENT),
        "by_kind": by(SPENT),
        "by_phase": by(SPENT),
        "by_feature": by(SPENT),
        "by_task": by(SPENT),
        "by_day": by(SPENT),
    }
)
HISTORY = shape(
    {
        "message_id": words,
        "at": moment,
        "model": words,
        "kind": words,
        "run_id": whole,
        "task_id": maybe(whole),
        "feature_id": maybe(whole),
        "phase_id": maybe(whole),
        "project": words,
        "tokens": TOKENS,
        "cost_usd": maybe(money),
    }
)
COLLECTIONS: Mapping[str, Check] = {
    "phases": PHASE,
    "features": FEATURE,
    "tasks": TASK,
    "journal": JOURNAL,
    "runs": RUN,
    "approvals": APPROVAL,
}
