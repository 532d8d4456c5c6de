"""What waits for a person, over all projects."""

from typing import assert_never

from sqlalchemy.orm import Session

from bot.cards import words
from bot.cards.frame import Scene, bold, said
from core.domain.people import Role
from core.views.waiting import Waiting, WaitKind, waiting


def of(tx: Session, role: Role, scene: Scene) -> tuple[str, ...]:
    """A line each, the oldest first; what the role may not act upon is left out."""
    return tuple(
        f"{words.STOPPED} {_about(wait)}"
        if wait.kind is WaitKind.BLOCKED
        else f"{words.WAITS} {_about(wait)}, since {scene.clock(wait.since)}"
        for wait in waiting(tx, role=role)
    )


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
