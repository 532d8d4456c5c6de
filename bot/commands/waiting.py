"""What waits for a person, over all projects."""

from typing import assert_never

from bot.cards import words
from bot.cards.frame import Scene, bold, said
from core.domain.cards import Link
from core.views.waiting import Waiting, WaitKind


def line(wait: Waiting, scene: Scene) -> str:
    """`▲ Plan 2 of todo-api, since 11:29`."""
    if wait.kind is WaitKind.BLOCKED:
        return f"{words.STOPPED} {_about(wait)}"
    return f"{words.WAITS} {_about(wait)}, since {scene.clock(wait.since)}"


def way(wait: Waiting) -> Link:
    """To where it is decided, among those of other projects."""
    link = words.way_to(wait)
    return Link(f"{link.label}, {wait.project.name}", link.to)


def _about(wait: Waiting) -> str:
    project = bold(wait.project.name)
    match wait.kind:
        case WaitKind.PLAN:
            return f"Plan {wait.number} of {project}"
        case WaitKind.GATE:
            return f"The gate of phase {wait.number} {said(wait.text, 60)} of {project}"
        case WaitKind.QUESTION:
            return f"A question of {project}: {said(wait.text, 100)}"
        case WaitKind.STUCK:
            return f"Task {wait.number} of {project} is stuck: {said(wait.text, 90)}"
        case WaitKind.BLOCKED:
            return f"{project} is blocked: {said(wait.text, 120)}"
        case _:
            assert_never(wait.kind)
