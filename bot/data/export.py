"""A project's journal and usage as text: for programs, for spreadsheets, for reading."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from bot.cards.markdown import text
from bot.data.export_format import Format
from core.domain.redaction import Redaction
from core.views import journal, projects, usage
from core.views.journal import JournalLine
from core.views.json import plain, usd, utc
from core.views.paging import each
from core.views.projects import ProjectSummary
from core.views.usage import HistoryLine, Spent, Usage

T = TypeVar("T")

_PART = 1000  # rows read at a time
# A spreadsheet would reckon with it; some take blanks off first, some know the wide signs too.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_ENDS = str.maketrans({"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"})
_COLUMNS = (
    *("type", "id", "at", "level", "category", "event", "actor", "text"),
    *("run_id", "task_id", "feature_id", "phase_id", "data", "hash", "previous_hash"),
    *("message_id", "model", "kind", "cost_usd"),
    *("input", "output", "cache_read", "cache_write_5m", "cache_write_1h"),
)


def export(tx: Session, name: str, wanted: Format, redact: Redaction) -> Iterator[str]:
    """The lines, each with its end; read as they are taken. Raises NotFound.

    Journal entries and API messages have the fields they have over REST. What is
    redacted no longer has the content its hash was made of.
    """
    project = projects.find(tx, name)
    match wanted:
        case Format.JSONL:
            for record in _records(tx, project, redact):
                # What some readers take for the end of a line stands within strings alone.
                yield json.dumps(record, ensure_ascii=False).translate(_ENDS) + "\n"
        case Format.CSV:
            yield from _table(_records(tx, project, redact))
        case Format.MD:
            yield from _document(tx, project, redact)


def _records(tx: Session, project: ProjectSummary, redact: Redaction) -> Iterator[dict[str, Any]]:
    for entry in _journal(tx, project):
        yield {"type": "journal", **_clean(plain(JournalLine, entry), redact)}
    for message in _messages(tx, project):
        yield {"type": "usage", **_clean(plain(HistoryLine, message), redact)}


def _journal(tx: Session, project: ProjectSummary) -> Iterator[JournalLine]:
    return each(tx, lambda after: journal.journal(tx, project.id, after=after, limit=_PART))


def _messages(tx: Session, project: ProjectSummary) -> Iterator[HistoryLine]:
    return each(tx, lambda after: usage.history(tx, project.id, after=after, limit=_PART))


def _clean(value: Any, redact: Redaction) -> Any:
    match value:
        case str():
            return redact(value)
        case Mapping():
            return {key: _clean(inner, redact) for key, inner in value.items()}
        case list() | tuple():
            return [_clean(inner, redact) for inner in value]
        case _:
            return value


def _table(records: Iterator[dict[str, Any]]) -> Iterator[str]:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, _COLUMNS, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    for record in records:
        flat = {**record, **record.get("tokens", {})}
        writer.writerow({key: _cell(value) for key, value in flat.items()})
        yield sink.getvalue()
        sink.seek(0)
        sink.truncate()
    yield sink.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False) if value else ""
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return value


def _document(tx: Session, project: ProjectSummary, redact: Redaction) -> Iterator[str]:
    name = redact(project.name)
    found = usage.usage(tx, project.id)
    yield f"# {text(name)}: journal and usage\n\n## Usage\n\n"
    yield "| by | messages | input | output | cache read | cache written | USD |\n"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    yield _spent("all", found)
    for group in (found.by_model, found.by_kind, found.by_day):
        for key, spent in group.items():
            yield _spent(redact(key), spent)
    yield "\nList prices.\n\n## Journal\n"
    day = ""
    for entry in _journal(tx, project):
        today, _, time = utc(entry.at).partition("T")
        if today != day:
            day = today
            yield f"\n### {day}\n\n"
        words = text(redact(entry.text))
        about = f" (task {entry.task_id})" if entry.task_id is not None else ""
        who = text(redact(entry.actor))
        yield f"- {time[:8]} **{entry.event}** {words}{about} · {who}\n"


def _spent(name: str, spent: Spent | Usage) -> str:
    tokens = spent.tokens
    written = tokens.cache_write_5m + tokens.cache_write_1h
    cells = (spent.messages, tokens.input, tokens.output, tokens.cache_read, written)
    numbers = " | ".join(f"{cell:,}" for cell in cells)
    return f"| {text(name)} | {numbers} | {usd(spent.cost_usd)} |\n"
