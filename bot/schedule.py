"""Timed jobs, a row each. APScheduler only wakes them: the database and the home say what is due.

So a job is neither lost nor done twice over a restart, and one that was missed is made up for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.data import backups
from bot.settings import Settings
from core.operations import reminders
from core.orchestrator.parts import Parts


@dataclass(frozen=True)
class TimedJob:
    """`carry_out` looks whether it is due, and does it; it is called every `interval`."""

    name: str
    interval: timedelta
    carry_out: Callable[[Parts, Settings], Awaitable[None]]


async def _remind(parts: Parts, settings: Settings) -> None:
    after, now = timedelta(seconds=settings.rules.gates.remind_after_s), parts.clock()
    if await parts.store.read(reminders.due, after, now=now):
        await parts.store.run(reminders.remind, after, now=now)


JOBS = (
    TimedJob("reminders", timedelta(seconds=5), _remind),
    TimedJob("backup", timedelta(minutes=15), backups.back_up_daily),
)


class Schedule:
    """Wakes the timed jobs. One that fails is logged, and tried again at its next look."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings

    async def run(self) -> None:
        """Until cancelled; each job looks at the beginning too."""
        scheduler = AsyncIOScheduler(timezone=UTC)
        for job in JOBS:
            scheduler.add_job(
                job.carry_out,
                IntervalTrigger(seconds=job.interval.total_seconds(), timezone=UTC),
                args=(self._parts, self._settings),
                id=job.name,
                next_run_time=datetime.now(UTC),
                misfire_grace_time=None,  # a host that slept is late, not excused
                coalesce=True,
            )
        scheduler.start()
        try:
            await asyncio.Event().wait()
        finally:
            scheduler.shutdown(wait=False)
