"""The drawings behind the pictures of cards: `/api/pictures/SORT/NUMBER.svg`."""

from datetime import date

from sqlalchemy.orm import Session

from bot.cards import daily, ending, gate, plan

_SORTS = {"plan": plan.picture, "gate": gate.picture, "cost": ending.picture}


def draw(
    tx: Session, sort: str, number: int, *, until: date | None = None, wide: bool = False
) -> str | None:
    """The SVG; None when there is no such thing. Only days have an end and come in two widths."""
    if sort in daily.SPANS and until is not None:
        return daily.picture(tx, sort, number, until, wide=wide)
    found = _SORTS.get(sort)
    return found(tx, number) if found else None
