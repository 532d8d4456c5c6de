"""The daily copy of the database, for a home whose file is lost or damaged."""

import asyncio
import logging
import re
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session

from bot.settings import Settings
from core.domain import card_keys, markup
from core.domain.cards import Card, Tone
from core.domain.events import CardKind
from core.errors import AutocoderError
from core.operations import outbox
from core.orchestrator.parts import Parts
from core.views import journal

KEPT = 7
_NAME = re.compile(r"autocoder-\d{4}-\d{2}-\d{2}\.db")

log = logging.getLogger(__name__)


async def back_up_daily(parts: Parts, settings: Settings) -> None:
    """One copy a day (UTC), from the home's second day on; the newest `KEPT` stay.

    A copy that fails is told to the admins once a day, and tried again at the next look.
    """
    now = parts.clock()
    folder = settings.home / "backups"
    target = folder / f"autocoder-{now.astimezone(UTC):%Y-%m-%d}.db"
    if target.exists() or not await parts.store.read(_begun_before, now):
        return
    try:
        await asyncio.to_thread(folder.mkdir, mode=0o700, exist_ok=True)
        size = await parts.store.backup(target)
        await asyncio.to_thread(_forget_older, folder)
    except (AutocoderError, OSError) as error:
        log.warning("the daily backup failed: %s", error)
        notice = _notice(target, parts.redact(str(error)), now)
        await parts.store.run(outbox.tell_admins, notice, now=now)
    else:
        log.info("backed up the database: %s, %.1f MB", target.name, size / 2**20)


def backups(folder: Path) -> list[Path]:
    """Whole copies, the oldest first; one that is being made has another name."""
    return sorted(path for path in folder.glob("*.db") if _NAME.fullmatch(path.name))


def _forget_older(folder: Path) -> None:
    for path in backups(folder)[:-KEPT]:
        path.unlink(missing_ok=True)


def _begun_before(tx: Session, now: datetime) -> bool:
    """Whether there is work of an earlier day: a new home has nothing to lose yet."""
    first = journal.first_at(tx)
    return first is not None and first.astimezone(UTC).date() < now.astimezone(UTC).date()


def _notice(target: Path, words: str, now: datetime) -> Card:
    title = "The daily backup failed"
    again = "Work goes on, and it is tried again every quarter of an hour."
    return Card(
        key=card_keys.backup_failed(now.date()),
        kind=CardKind.NOTICE,
        title=title,
        body=f"{markup.escape(words)}\nIt was to be `{markup.escape(target.name)}`. {again}",
        fallback=f"{title}: {words} {again}",
        tone=Tone.WARNING,
    )
