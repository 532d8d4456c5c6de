"""How long a build still takes, from how it went so far."""

from datetime import datetime, timedelta

from core.domain.report import Report

LEAST = 2  # tasks that must have passed before anything is foretold


class Pace:
    """Counts the time in which work could go on, and what passed in it."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._first: int | None = None
        self._worked = timedelta()
        self._since_pass = timedelta()
        self._passing = 0

    def saw(self, board: Report, now: datetime, *, waiting: bool) -> None:
        """`waiting`: nothing could be done since the last look, so the time does not count."""
        if self._first is None:
            self._first = board.counts.passing
        if self._at is not None and not waiting and board.runs:
            self._worked += now - self._at
            self._since_pass += now - self._at
        if board.counts.passing != self._passing:
            self._since_pass = timedelta()
        self._passing = board.counts.passing
        self._at = now

    def left(self, board: Report) -> timedelta | None:
        """Time until every task that can pass has passed; None while it cannot be told."""
        counts = board.counts
        passed = counts.passing - (self._first or 0)
        waits = counts.pending + counts.in_progress
        if passed < LEAST or not waits:
            return None
        rest = (self._worked - self._since_pass) / passed * waits - self._since_pass
        return rest if rest > timedelta() else None  # it takes longer than all before it
