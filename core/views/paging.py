"""Collections a part at a time, so that a large project costs no more than a small one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import Session

from core.store.tables import Table

T = TypeVar("T")
R = TypeVar("R", bound=Table)


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a collection, oldest first; `next` is what the rest begins after."""

    items: Sequence[T]
    next: int | None


def cut(
    tx: Session, query: Select[R], position: Callable[[R], int], limit: int
) -> tuple[Sequence[R], int | None]:
    """The rows of a query up to `limit`, and where the rest begins."""
    rows = tx.scalars(query.limit(limit + 1)).all()
    kept = rows[:limit]
    return kept, position(kept[-1]) if len(rows) > limit else None


def each(tx: Session, part: Callable[[int], Page[T]]) -> Iterator[T]:
    """All of a collection, of a session that only reads; `part(after)` reads some of it."""
    after: int | None = 0
    while after is not None:
        page = part(after)
        yield from page.items
        after = page.next
        tx.expunge_all()  # else every row would be kept
