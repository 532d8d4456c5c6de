"""The journal: what happened, in a chain of hashes."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.events import Event, Level
from core.domain.redaction import Redaction
from core.store.tables import Feature, JournalEntry, Phase, Project, Run, Task

SERVICE = "service"
_WAITED = timedelta(seconds=10)
_REDACT = Redaction()


def record(
    tx: Session,
    event: Event,
    text: str,
    *,
    now: datetime,
    actor: str = SERVICE,
    level: Level = Level.INFO,
    project: Project | None = None,
    phase: Phase | None = None,
    feature: Feature | None = None,
    task: Task | None = None,
    run: Run | None = None,
    data: Mapping[str, object] | None = None,
) -> JournalEntry:
    """Write one entry; ids of what encloses the given thing are filled in."""
    tx.flush()
    about = task or feature or run or phase
    project_id = project.id if project else (about.project_id if about else None)
    previous = tx.execute(
        select(JournalEntry.hash, JournalEntry.at).order_by(JournalEntry.id.desc()).limit(1)
    ).first()
    entry = JournalEntry(
        at=_in_order(now, previous.at if previous else now),
        level=level,
        category=event.value.split("_")[0],
        event=event,
        text=_REDACT(text),
        actor=actor,
        project_id=project_id,
        run_id=run.id if run else (task.run_id if task else None),
        task_id=task.id if task else None,
        feature_id=feature.id if feature else (task or run or _NOTHING).feature_id,
        phase_id=phase.id if phase else (task or feature or run or _NOTHING).phase_id,
        data={key: _redacted(value) for key, value in (data or {}).items()},
        previous_hash=previous.hash if previous else "",
    )
    entry.hash = entry_hash(entry)
    tx.add(entry)
    return entry


def _in_order(now: datetime, previous: datetime) -> datetime:
    """Whoever waited for the writer read the clock before; a clock that was set back is believed."""
    return previous if timedelta(0) < previous - now < _WAITED else now


def _redacted(value: object) -> object:
    """What is written here is exported, and never changed."""
    if isinstance(value, str):
        return _REDACT(value)
    return [_redacted(each) for each in value] if isinstance(value, list) else value


class _Nothing:
    feature_id: int | None = None
    phase_id: int | None = None


_NOTHING = _Nothing()


def first_break(tx: Session) -> tuple[int, int | None]:
    """How many entries there are, and the first that is not as it was written or follows none."""
    count, previous = 0, ""
    for entry in tx.scalars(
        select(JournalEntry).order_by(JournalEntry.id).execution_options(yield_per=1000)
    ):
        if entry.previous_hash != previous or entry.hash != entry_hash(entry):
            return count, entry.id
        count, previous = count + 1, entry.hash
        tx.expunge(entry)
    return count, None


def entry_hash(entry: JournalEntry) -> str:
    """SHA-256 of the entry and the hash before it."""
    content = json.dumps(
        [
            entry.previous_hash,
            entry.at.isoformat(),
            entry.level,
            entry.event,
            entry.text,
            entry.actor,
            entry.project_id,
            entry.run_id,
            entry.task_id,
            entry.feature_id,
            entry.phase_id,
            entry.data,
        ],
        sort_keys=True,
        ensure_ascii=False,
    )
    return sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
