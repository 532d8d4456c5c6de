"""A project's journal and usage as text."""

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from bot.data.export import export
from bot.data.export_format import Format
from core.domain.events import Event
from core.domain.money import MessageUsage, Price, Tokens
from core.domain.redaction import HIDDEN, Redaction
from core.domain.rules import Rules
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
        site.db.do(spending.book, process, "h-1", usage, _half_a_dollar, Rules(), now=NOW)

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


@pytest.mark.parametrize(
    "words",
    [
        "=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1",
        "＝1+1", "＠x", '=HYPERLINK("http://evil.example";"x")',
    ],
)  # fmt: skip
def test_no_cell_is_a_formula(site: Site, words: str) -> None:
    def write(tx: Any) -> None:
        project = tx.get_one(Project, site.project)
        journal.record(tx, Event.TASK_STARTED, words, now=NOW, project=project, actor=words)

    site.db.do(write)
    row = list(csv.DictReader(io.StringIO(_lines(site, Format.CSV), newline="")))[-1]
    assert (row["text"], row["actor"]) == (f"'{words}", f"'{words}")


def test_a_cell_ends_where_it_ends(site: Site) -> None:
    words = 'a","b\r\njournal,1,"\x00;x\u2028y'

    def write(tx: Any) -> None:
        project = tx.get_one(Project, site.project)
        data = {'k","': words, "n": [{"deep": words}]}
        journal.record(tx, Event.TASK_STARTED, words, now=NOW, project=project, data=data)

    site.db.do(write)
    text = _lines(site, Format.CSV)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert {len(row) for row in rows} == {len(rows[0])}
    cells = dict(zip(rows[0], rows[-1], strict=True))
    assert cells["text"] == words
    assert json.loads(cells["data"])['k","'] == words
    last = _lines(site, Format.JSONL).splitlines()[-1]
    assert json.loads(last)["text"] == words


def test_no_secret_leaves_wherever_it_stands(site: Site) -> None:
    def write(tx: Any) -> None:
        project = tx.get_one(Project, site.project)
        for words in (SECRET, f"={SECRET}", f"| {SECRET} |", f'"{SECRET}"', "known-token"):
            journal.record(
                tx, Event.TASK_STARTED, words, now=NOW, project=project, actor=f"web:{words}",
                data={"a": {"b": [words, {"c": words}]}},
            )  # fmt: skip
        project.name = f"Todo {SECRET} known-token"

    site.db.do(write)
    for wanted in Format:
        text = _lines(site, wanted)
        assert SECRET not in text, wanted
        assert "known-token" not in text, wanted
        assert text.count("redacted") >= 10, wanted


@pytest.mark.parametrize(
    "name", ["../../etc", "a/b", "to\ndo", "-x", "", "'; DROP TABLE", "x" * 9_999]
)
def test_a_name_is_a_name_and_never_a_path(site: Site, name: str) -> None:
    with pytest.raises(NotFound) as caught:
        site.db.ask(lambda tx: list(export(tx, name, Format.MD, Redaction())))
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


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
