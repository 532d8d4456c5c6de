"""Why a project waits, and why a task stands where it does, in a few words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from core.domain.lifecycle import PhaseStatus, ProjectStatus, TaskStatus, WaitingFor
from core.domain.money import Exhausted

ENDED = frozenset({ProjectStatus.COMPLETED, ProjectStatus.ARCHIVED})
HALTED = frozenset({ProjectStatus.PAUSED, ProjectStatus.STOPPED})  # no new day lets them go on
DONE_PHASES = frozenset({PhaseStatus.COMPLETED})


@dataclass(frozen=True)
class Wait:
    """What a project that moves waits for; `until` None: for a person."""

    reason: WaitingFor
    until: datetime | None
    text: str


def waiting(
    status: ProjectStatus,
    blocked_reason: str | None,
    *,
    blocked_on: WaitingFor | None,
    exhausted: Exhausted | None,
    window_until: datetime | None,
) -> Wait | None:
    """What a project that moves waits for; `window_until` is still to come."""
    if status in ENDED:
        return None
    if blocked_reason:
        if blocked_on is None:  # its status says it: only a person can go on with it
            return None
        return Wait(blocked_on, None, blocked_reason)
    if exhausted is not None and (exhausted.until is None or status not in HALTED):
        return Wait(WaitingFor.BUDGET, exhausted.until, exhausted.words)
    if window_until:
        return Wait(WaitingFor.RATE_LIMIT, window_until, "The account's limit is reached.")
    return None


def task_reason(
    status: TaskStatus,
    *,
    attempts: int,
    agent: str | None,
    feature: str,
    closed_phase: int | None,
    unlanded: Sequence[str],
    unproved: Sequence[int],
) -> str:
    """Why a task is next, waits, or stands where it does; a few words without a full stop.

    `agent` is at work in its feature, `closed_phase` the position of its phase where that has
    not begun, `unlanded` are features it waits for, `unproved` numbers of tasks.
    """
    match status:
        case TaskStatus.PASSING:
            return "proved"
        case TaskStatus.SKIPPED:
            return "skipped, nothing proves it"
        case TaskStatus.STUCK:
            return "stuck, a person decides"
        case TaskStatus.IN_PROGRESS:
            return f"{agent} works on it" if agent else "begun"
        case TaskStatus.PENDING:
            pass
        case _:
            assert_never(status)
    if closed_phase is not None:
        first = closed_phase == 1
        return "not begun" if first else f"begins after the gate of phase {closed_phase - 1}"
    if unlanded:
        return f"waits for {', '.join(unlanded)} to land"
    if unproved:
        return f"waits for task {', '.join(map(str, unproved))}"
    if agent:
        return f"waits for {agent}, which is at work in {feature}"
    return f"try {attempts + 1}" if attempts else "ready, waits for a free agent"
