"""The drawings behind the pictures of cards: `/api/pictures/SORT/NUMBER.svg`, or as PNG."""

from datetime import date
from pathlib import Path

import resvg_py
from sqlalchemy.orm import Session

from bot.cards import completed, daily, gate, plan
from bot.cards.plan_picture import GROUNDS, themed
from core.ports.chat import Theme

_FONTS = [str(path) for path in (Path(__file__).parents[1] / "fonts").glob("*.otf")]
_SCALE = 2  # screens have two pixels where a picture has one
_SORTS = {
    "plan": plan.picture,
    "graph": plan.graph,
    "gate": gate.picture,
    "cost": completed.picture,
}


def draw(
    tx: Session, sort: str, number: int, *, until: date | None = None, wide: bool = False
) -> str | None:
    """The SVG; None when there is no such thing. Only days have an end and come in two widths."""
    if sort in daily.SPANS and until is not None:
        return daily.picture(tx, sort, number, until, wide=wide)
    found = _SORTS.get(sort)
    return found(tx, number) if found else None


def png(drawn: str, theme: Theme) -> bytes:
    """A picture of ours as PNG, for a light or a dark ground: some 30 ms, so call it in a thread."""
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=themed(drawn, theme),
            background=GROUNDS[theme],
            zoom=_SCALE,
            skip_system_fonts=True,  # so that it is the same everywhere
            font_files=_FONTS,
            font_family="Inter",  # what it lacks is drawn as boxes
        )
    )
