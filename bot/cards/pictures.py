"""The drawings behind the pictures of cards: `/api/pictures/SORT/NUMBER.svg`."""

from sqlalchemy.orm import Session

from bot.cards import ending, gate, plan

_SORTS = {"plan": plan.picture, "gate": gate.picture, "cost": ending.picture}


def draw(tx: Session, sort: str, number: int) -> str | None:
    """The SVG; None when there is no such thing."""
    found = _SORTS.get(sort)
    return found(tx, number) if found else None
