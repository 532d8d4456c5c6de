"""A secret that is planted everywhere, and what of it is found again."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

TOKEN = "vT3k_Qz9-LmX2wPbR7sNcYh4JdGfKu8oEiA1tVrZqWs"  # of the web token's shape
PIECE = 8  # characters that nobody may read
STEP = 32  # below 35: each cut within 43 characters leaves a piece at one of these places


def _bare(text: str) -> str:
    """As it is left by lower case, slugs, markup and separators alike."""
    return re.sub(r"[^a-z0-9]+", "", text.lower())


_BARE = _bare(TOKEN)
_PIECES = [_BARE[at : at + PIECE] for at in range(len(_BARE) - PIECE + 1)]


def found(text: str) -> list[str]:
    """The pieces of the token in a text."""
    bare = _bare(text)
    return [piece for piece in _PIECES if piece in bare]


def texts(most: int) -> Iterator[str]:
    """Texts that hold the token further and further from their beginning."""
    for at in range(0, most, STEP):
        yield f"{'y' * at}{TOKEN} and more words"
        yield f"{'y ' * (at // 2)}{TOKEN} and more words"


def kept(database: Path) -> str:
    """All that a database holds."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return "\n".join(connection.iterdump())
