"""Cards: words and figures of the database, written once for every platform."""

from typing import assert_never

from sqlalchemy.orm import Session

from bot.cards import (
    answers,
    ending,
    gate,
    interview,
    landed,
    money,
    plan,
    progress,
    questions,
    stuck,
)
from bot.cards.frame import Drawn, Scene
from core.domain.cards import CardKind
from core.errors import StateError
from core.operations.outbox import Due


def draw(tx: Session, due: Due, scene: Scene) -> Drawn:
    """The card that `due` asks for, as it is now; a read."""
    if due.fixed is not None:
        return Drawn(due.fixed)
    if due.project_id is None:
        raise StateError(f"The card {due.key} belongs to no project.")
    subject = due.subject_id or 0
    match due.kind:
        case CardKind.INTERVIEW:
            return interview.draw(tx, due.key, due.project_id, scene)
        case CardKind.QUESTION:
            return questions.draw(tx, due.key, subject, scene)
        case CardKind.SPEC:
            return interview.draw_spec(tx, due.key, due.project_id, subject, scene)
        case CardKind.PLAN:
            return plan.draw(tx, due.key, subject, scene)
        case CardKind.PROGRESS:
            return progress.draw(tx, due.key, due.project_id, scene)
        case CardKind.LANDED:
            return landed.draw(tx, due.key, subject, scene)
        case CardKind.STUCK:
            return stuck.draw(tx, due.key, subject, scene)
        case CardKind.GATE:
            return gate.draw(tx, due.key, subject, scene)
        case CardKind.BUDGET:
            return money.draw_budget(tx, due.key, due.project_id, subject, scene)
        case CardKind.LIMIT:
            return money.draw_limit(tx, due.key, due.project_id, subject, scene)
        case CardKind.REPORT:
            return ending.draw_report(tx, due.key, subject, scene)
        case CardKind.ERROR:
            return ending.draw_blocked(tx, due.key, subject, scene)
        case CardKind.ANSWER:
            if due.subject_id is None:
                return answers.draw_known(tx, due, due.project_id)
            return answers.draw(tx, due.key, subject, scene)
        case CardKind.DIGEST | CardKind.NOTICE | CardKind.HELP:
            raise StateError(f"The words of {due.key} are fixed when they are said.")
        case _:
            assert_never(due.kind)
