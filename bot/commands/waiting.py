"""What waits for a person, over all projects."""

from typing import assert_never

from bot.cards import labels
from bot.cards.rendering import RenderContext, bold, said
from core.domain.cards import Link
from core.views.waiting import Waiting, WaitKind


def line(wait: Waiting, scene: RenderContext) -> str:
    """`▲ Task 11 of todo-api is stuck, since 11:29: Sign-in`."""
    mark = labels.STOPPED if wait.kind is WaitKind.BLOCKED else labels.WAITS
    project, since = bold(wait.project.name), f"since {scene.when(wait.since)}"
    match wait.kind:
        case WaitKind.PLAN:
            return f"{mark} Plan {wait.number} of {project}, {since}"
        case WaitKind.GATE:
            phase = f"{wait.number} {said(wait.text, 60)}"
            return f"{mark} The gate of phase {phase} of {project}, {since}"
        case WaitKind.QUESTION:
            return f"{mark} A question of {project}, {since}: {said(wait.text, 100)}"
        case WaitKind.STUCK:
            task = f"Task {wait.number} of {project}"
            return f"{mark} {task} is stuck, {since}: {said(wait.text, 90)}"
        case WaitKind.BLOCKED:
            return f"{mark} {project} is blocked, {since}: {said(wait.text, 120)}"
        case _:
            assert_never(wait.kind)


def way(wait: Waiting) -> Link:
    """To where it is decided, among those of other projects."""
    link = labels.way_to(wait)
    return Link(f"{link.label}, {wait.project.name}", link.to)
