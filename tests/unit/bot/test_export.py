"""A project's journal and usage as text."""

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from bot.export import export
from bot.export_format import Format
from core.domain.events import Event
from core.domain.money import MessageUsage, Price, Tokens
from core.domain.redaction import HIDDEN, Redaction
from core.errors import NotFound
from core.operations import journal, spending
from core.store.tables import AgentProcess, JournalEntry, Project, UsageEntry
from tests.unit.operations.build import NOW, Site, task

SECRET = "xoxb-" + "1234567890-abc"
WORDS = f'=1+1 "quoted", <b>new\nline</b> {SECRET} known-token'


def _half_a_dollar(_usage: MessageUsage) -> Price:
    return Price(Decimal("0.5"), Decimal("0.5"))


@pytest.fixture
def told(site: Site) -> Site:
    """A project with more than one part of journal entries, and two messages."""
    site.build({"a": (task("1"),)})
    run = site.begin(number=1)
    process = site.db.ask(
        lambda tx: tx.scalars(select(AgentProcess.id).where(AgentProcess.run_id == run.id)).one()
    )
    for name in ("m1", "m2"):
        usage = MessageUsage(name, "claude-sonnet-5", "sonnet", Tokens(1, 2, 3, 4, 5))
        site.db.do(spending.book, process, "h-1", usage, _half_a_dollar, now=NOW)

    def write(tx: Any) -> None:
        project = tx.get_one(Project, site.project)
        for _ in range(1500):
            journal.record(tx, Event.TASK_STARTED, "again", now=NOW, project=project)
        journal.record(
            tx, Event.CHECK_FAILED, WORDS, now=NOW, project=project, data={"deep": [SECRET]}
        )

    site.db.do(write)
    return site


def _lines(site: Site, wanted: Format) -> str:
    redact = Redaction(["known-token"])
    return site.db.ask(lambda tx: "".join(export(tx, "todo", wanted, redact)))


def test_every_row_stands_there_once_and_no_secret(told: Site) -> None:
    text = _lines(told, Format.JSONL)
    records = [json.loads(line) for line in text.splitlines()]
    entries = [record for record in records if record["type"] == "journal"]
    messages = [record for record in records if record["type"] == "usage"]
    ids = told.db.ask(
        lambda tx: tx.scalars(
            select(JournalEntry.id)
            .where(JournalEntry.project_id == told.project)
            .order_by(JournalEntry.id)
        ).all()
    )
    assert len(ids) > 1500
    assert [entry["id"] for entry in entries] == ids
    assert [message["message_id"] for message in messages] == ["m1", "m2"]
    assert len(messages) == told.db.ask(lambda tx: len(tx.scalars(select(UsageEntry)).all()))
    assert messages[0]["cost_usd"] == "0.5"
    assert entries[-1]["text"] == WORDS.replace(SECRET, HIDDEN).replace("known-token", HIDDEN)
    assert entries[-1]["data"] == {"deep": [HIDDEN]}
    assert SECRET not in text


def test_a_spreadsheet_reads_it_and_reckons_with_nothing(told: Site) -> None:
    rows = list(csv.DictReader(io.StringIO(_lines(told, Format.CSV), newline="")))
    last = [row for row in rows if row["type"] == "journal"][-1]
    assert last["text"].startswith('\'=1+1 "quoted"')
    assert "\n" in last["text"]
    assert rows[-1]["message_id"] == "m2"
    assert (rows[-1]["input"], rows[-1]["cache_write_1h"]) == ("1", "5")
    assert not any(
        (value or "").startswith(("=", "+", "-", "@")) for row in rows for value in row.values()
    )


def test_for_reading_it_is_markdown_that_says_only_ours(told: Site) -> None:
    text = _lines(told, Format.MD)
    assert text.startswith("# Todo: journal and usage\n")
    assert "| claude-sonnet-5 | 2 | 2 | 4 | 6 | 18 | 1 |" in text
    assert "<b>" not in text
    assert SECRET not in text
    assert text.count("**task_started**") == 1501


def test_a_project_that_is_not_there(told: Site) -> None:
    with pytest.raises(NotFound, match="nobody"):
        told.db.ask(lambda tx: list(export(tx, "nobody", Format.JSONL, Redaction())))
