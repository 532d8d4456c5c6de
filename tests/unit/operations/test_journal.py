"""The journal: a chain of hashes that shows when a row was touched."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.domain.events import Event
from core.operations import journal
from core.store.tables import JournalEntry, Project, Task
from tests.unit.operations.build import NOW, Site, task


def broken(site: Site) -> list[int]:
    """Entries whose hash does not follow from what they say and the one before."""
    entries = site.db.ask(
        lambda tx: tx.scalars(select(JournalEntry).order_by(JournalEntry.id)).all()
    )
    found, previous = [], ""
    for entry in entries:
        if entry.previous_hash != previous or entry.hash != journal.entry_hash(entry):
            found.append(entry.id)
        previous = entry.hash
    return found


@pytest.fixture
def told(site: Site) -> Site:
    site.build({"a": (task("1"), task("2"))})
    site.done(1)
    for n, words in enumerate(["plain", "“quotes” 🙂", "a\nb\0c", ""]):
        site.db.do(
            journal.record,
            Event.CHECK_FAILED,
            words,
            now=NOW + timedelta(microseconds=n),
            project=site.db.ask(lambda tx: tx.get_one(Project, site.project)),
            data={"n": n, "deep": {"ü": [1, None]}},
        )
    return site


def test_the_chain_holds_as_it_was_written(told: Site) -> None:
    assert broken(told) == []
    count = told.db.ask(lambda tx: len(tx.scalars(select(JournalEntry)).all()))
    assert told.db.ask(journal.first_break) == (count, None)


@pytest.mark.parametrize(
    "change",
    [
        "text = text || '!'",
        "actor = 'web:eve'",
        "event = 'task_passed'",
        "at = '2027-03-10 11:00:00.000000'",
        "level = 'error'",
        "project_id = NULL",
        "task_id = NULL, run_id = NULL",
        "data = '{}'",
        "data = '{\"n\": 7}'",
        "hash = '0'",
        "previous_hash = '0'",
    ],
)
def test_a_row_that_was_altered_breaks_the_chain(told: Site, change: str) -> None:
    entry = told.db.ask(
        lambda tx: tx.scalars(
            select(JournalEntry.id).where(
                JournalEntry.task_id.is_not(None), JournalEntry.data != {}
            )
        ).first()
    )
    assert entry is not None
    told.db.do(lambda tx: tx.execute(text(f"UPDATE journal SET {change} WHERE id = {entry}")))
    assert entry in broken(told)
    assert told.db.ask(journal.first_break)[1] == broken(told)[0]


def test_a_row_that_was_taken_out_breaks_the_chain(told: Site) -> None:
    told.db.do(lambda tx: tx.execute(text("DELETE FROM journal WHERE id = 3")))
    assert broken(told) == [4]
    assert told.db.ask(journal.first_break) == (2, 4)


def test_ids_of_what_encloses_a_task_are_filled_in(told: Site) -> None:
    entry = told.db.ask(
        lambda tx: tx.scalars(select(JournalEntry).where(JournalEntry.event == "task_passed")).one()
    )
    row = told.db.ask(lambda tx: tx.scalars(select(Task).where(Task.number == 1)).one())
    assert (entry.project_id, entry.task_id, entry.feature_id, entry.phase_id) == (
        row.project_id, row.id, row.feature_id, row.phase_id,
    )  # fmt: skip
    assert entry.category == "task"


def test_what_a_transaction_undoes_is_not_told(site: Site) -> None:
    before = site.db.ask(lambda tx: len(tx.scalars(select(JournalEntry)).all()))

    def fails(tx: Session) -> None:
        journal.record(tx, Event.SERVICE_STARTED, "x", now=NOW)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        site.db.do(fails)
    assert site.db.ask(lambda tx: len(tx.scalars(select(JournalEntry)).all())) == before
    assert broken(site) == []


@pytest.mark.parametrize(
    ("late", "written"),
    [
        (timedelta(milliseconds=-300), timedelta(0)),  # waited for the writer
        (timedelta(hours=-1), timedelta(hours=-1)),  # the clock was set back
        (timedelta(seconds=1), timedelta(seconds=1)),
    ],
)
def test_entries_stand_in_the_order_of_their_times(
    site: Site, late: timedelta, written: timedelta
) -> None:
    for moment in (NOW, NOW + late):
        site.db.do(journal.record, Event.CHECK_FAILED, "x", now=moment)
    times = site.db.ask(lambda tx: tx.scalars(select(JournalEntry.at)).all())
    assert times[-1] == NOW + written
