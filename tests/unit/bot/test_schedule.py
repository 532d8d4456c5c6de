"""Timed jobs: reminders and the daily backup, done when they are due, over restarts too."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from bot.data.backups import KEPT, back_up_daily, backups
from bot.schedule import Schedule
from core.domain.events import Event
from core.operations import journal
from core.store.chat_tables import OutboxItem
from tests.unit.bot.cards import stage as work
from tests.unit.bot.commands.stage import Stage, stage

NOW = work.NOW
DAY = timedelta(days=1)


@asynccontextmanager
async def scheduled(it: Stage) -> AsyncIterator[None]:
    loop = asyncio.create_task(Schedule(it.services.parts, it.services.settings).run())
    try:
        yield
    finally:
        loop.cancel()
        await asyncio.wait([loop])


async def until(true: Any) -> None:
    async with asyncio.timeout(30):
        while not await true():
            await asyncio.sleep(0.02)


def gated(tx: Session) -> datetime:
    return work.to_gate(tx, work.build(tx)).opened_at


def _reminders(tx: Session) -> list[str]:
    return list(tx.scalars(select(OutboxItem.key).where(OutboxItem.key.contains(":reminder-"))))


def _notices(tx: Session) -> list[str]:
    beginning = OutboxItem.key.startswith("backup-failed:")
    return list(tx.scalars(select(OutboxItem.key).where(beginning)))


async def test_a_gate_that_waits_is_called_to_mind_once_whoever_starts_how_often(
    tmp_path: Path,
) -> None:
    now = NOW
    async with stage(tmp_path / "home", clock=lambda: now) as it:
        opened = await it.store.run(gated)
        now = opened + DAY - timedelta(seconds=1)
        async with scheduled(it):
            await asyncio.sleep(0.3)
            assert await it.store.read(_reminders) == []
        now = opened + DAY
        for _start in range(3):
            async with scheduled(it):
                await until(lambda: it.store.read(_reminders))
                await asyncio.sleep(0.1)
        assert len(await it.store.read(_reminders)) == 1
        now = opened + 5 * DAY
        async with scheduled(it):
            await until(lambda: _more(it, 1))
        assert len(await it.store.read(_reminders)) == 2


async def _more(it: Stage, than: int) -> bool:
    return len(await it.store.read(_reminders)) > than


async def test_a_copy_a_day_and_seven_stay(tmp_path: Path) -> None:
    now = NOW
    async with stage(tmp_path / "home", clock=lambda: now) as it:
        folder = it.home / "backups"
        await back_up_daily(it.services.parts, it.services.settings)
        await it.store.run(gated)
        await back_up_daily(it.services.parts, it.services.settings)
        assert not folder.exists(), "a new home has nothing to lose"
        for day in range(1, KEPT + 4):
            now = NOW + day * DAY
            (folder / "autocoder-2020-01-01.db.part").write_text("half") if day > 1 else None
            for _look in range(2):
                await back_up_daily(it.services.parts, it.services.settings)
            made = backups(folder)[-1]
            assert made.name == f"autocoder-{now:%Y-%m-%d}.db"
            assert stat.S_IMODE(made.stat().st_mode) == 0o600
        kept = backups(folder)
        assert len(kept) == KEPT
        assert kept[0].name == f"autocoder-{NOW + 4 * DAY:%Y-%m-%d}.db"
        with closing(sqlite3.connect(kept[-1])) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert database.execute("SELECT count(*) FROM approvals").fetchone() == (2,)


async def test_one_that_was_missed_is_made_at_the_start(tmp_path: Path) -> None:
    now = NOW
    async with stage(tmp_path / "home", clock=lambda: now) as it:
        await it.store.run(gated)
        now = NOW + 3 * DAY
        async with scheduled(it):
            await until(lambda: asyncio.to_thread(lambda: backups(it.home / "backups")))
        assert len(backups(it.home / "backups")) == 1, "one for three days"


async def test_one_that_fails_is_told_once_a_day_and_tried_again(tmp_path: Path) -> None:
    now = NOW
    async with stage(tmp_path / "home", clock=lambda: now) as it:
        await it.store.run(gated)
        folder = it.home / "backups"
        folder.write_text("in the way")
        for hour in (24, 25, 30, 49):
            now = NOW + timedelta(hours=hour)
            await back_up_daily(it.services.parts, it.services.settings)
        days = [f"backup-failed:{NOW + days * DAY:%Y-%m-%d}" for days in (1, 2)]
        assert await it.store.read(_notices) == days
        folder.unlink()
        await back_up_daily(it.services.parts, it.services.settings)
        assert len(backups(folder)) == 1


async def test_a_job_that_fails_stops_nothing(tmp_path: Path) -> None:
    now = NOW
    async with stage(tmp_path / "home", clock=lambda: now) as it:
        opened = await it.store.run(gated)
        now = opened + DAY

        def broken(tx: Session) -> None:
            journal.record(tx, Event.SERVICE_STARTED, "", now=now)
            tx.execute(text("ALTER TABLE outbox RENAME TO elsewhere"))

        await it.store.run(broken)
        async with scheduled(it):
            await until(lambda: asyncio.to_thread(lambda: backups(it.home / "backups")))
            await it.store.run(
                lambda tx: tx.execute(text("ALTER TABLE elsewhere RENAME TO outbox"))
            )
            await until(lambda: it.store.read(_reminders))
        assert len(await it.store.read(_reminders)) == 1
