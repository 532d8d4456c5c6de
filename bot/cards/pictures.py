"""The drawings behind the pictures of cards: `/api/pictures/SORT/NUMBER.svg`, or as PNG."""

import subprocess
import sys
from datetime import date
from pathlib import Path

from sqlalchemy.orm import Session

from bot.cards import daily, ending, gate, plan
from bot.cards.drawing import GROUNDS, themed
from core.errors import HostUnfit
from core.ports.chat import Theme

_ROOT = Path(__file__).parents[2]
_WITHIN_S = 30.0  # it takes a tenth of one
_SORTS = {"plan": plan.picture, "gate": gate.picture, "cost": ending.picture}


def draw(
    tx: Session, sort: str, number: int, *, until: date | None = None, wide: bool = False
) -> str | None:
    """The SVG; None when there is no such thing. Only days have an end and come in two widths."""
    if sort in daily.SPANS and until is not None:
        return daily.picture(tx, sort, number, until, wide=wide)
    found = _SORTS.get(sort)
    return found(tx, number) if found else None


def png(drawn: str, theme: Theme) -> bytes:
    """A picture of ours as PNG, for a light or a dark ground; call it in a thread.

    A child draws it: whatever draws holds the interpreter until it is done.
    """
    try:
        done = subprocess.run(
            (sys.executable, "-m", "bot.png", GROUNDS[theme]),
            input=themed(drawn, theme).encode("utf-8", "replace"),
            capture_output=True,
            check=True,
            cwd=_ROOT,
            timeout=_WITHIN_S,
        )
    except subprocess.SubprocessError as error:
        raise HostUnfit(f"A picture could not be drawn as PNG: {error}") from error
    return done.stdout
