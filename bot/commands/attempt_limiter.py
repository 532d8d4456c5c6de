"""How often a person tried a code in vain, so that nobody goes on guessing.

Kept in memory only: a service that starts again prints another code.
"""

from datetime import datetime, timedelta

LIMIT = 10  # wrong codes
WITHIN = timedelta(minutes=15)


class AttemptLimiter:
    """The wrong codes of each person, of late."""

    def __init__(self) -> None:
        self._wrong: dict[str, list[datetime]] = {}

    def next_at(self, person: str, now: datetime) -> datetime | None:
        """When somebody who tried too often may try again; None: now."""
        late = [at for at in self._wrong.get(person, ()) if at + WITHIN > now]
        return late[0] + WITHIN if len(late) >= LIMIT else None

    def wrong(self, person: str, now: datetime) -> None:
        """One more wrong code."""
        late = [at for at in self._wrong.get(person, ()) if at + WITHIN > now]
        self._wrong[person] = [*late, now]
