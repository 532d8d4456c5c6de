"""A person at the terminal: sees in the database what is asked and shown, types a line.

Looking there and not at the screen keeps the stories free of the screen's words.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_LOOK_S = 0.1


@dataclass(frozen=True)
class Asked:
    """What stands before the person."""

    what: str  # plan, gate, question, stuck
    id: int  # of the approval or question; a stuck task's number
    text: str  # the question, or the stuck task's name
    attempts: int = 0


Answer = Callable[[Asked], str | None]  # None: the end of input


def approving(asked: Asked) -> str | None:
    """Approve what can be approved; anything else is a surprise, and ends the input."""
    return "approve" if asked.what in ("plan", "gate") else None


class Person(threading.Thread):
    """Answers each thing once, in the order in which the program asks."""

    def __init__(self, database: Path, typed: IO[bytes], answer: Answer) -> None:
        super().__init__(daemon=True)
        self.asked: list[Asked] = []
        self._database = database
        self._typed = typed
        self._answer = answer
        self._gone = threading.Event()

    def run(self) -> None:
        while not self._gone.wait(_LOOK_S):
            asked = open_prompt(self._database)
            if asked is None or asked in self.asked:
                continue
            self.asked.append(asked)
            line = self._answer(asked)
            try:
                if line is None:
                    self._typed.close()
                    return
                self._typed.write(line.encode() + b"\n")
                self._typed.flush()
            except (BrokenPipeError, ValueError):
                return  # the program ended meanwhile

    def leave(self) -> None:
        self._gone.set()


def open_prompt(database: Path) -> Asked | None:
    """What the program asks first."""
    if not database.exists():
        return None
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as rows:
        try:
            for query in _QUERIES:
                found = rows.execute(query).fetchone()
                if found is not None:
                    return Asked(*found)
        except sqlite3.OperationalError:
            pass  # the schema is being made
    return None


# Its newest card stands on the screen.
_SHOWN = """
    EXISTS (SELECT 1 FROM outbox WHERE kind = {kind} AND subject_id = {subject})
    AND NOT EXISTS (
        SELECT 1 FROM outbox WHERE kind = {kind} AND subject_id = {subject}
        AND (message IS NULL OR built < wanted)
    )
"""
_DECISION = _SHOWN.format(
    kind="approvals.kind",
    subject="CASE approvals.kind WHEN 'plan' THEN approvals.subject_id ELSE approvals.id END",
)
_QUESTION = _SHOWN.format(kind="'question'", subject="questions.id")
_STUCK = _SHOWN.format(kind="'stuck'", subject="tasks.id")
_QUERIES = (
    f"""SELECT kind, id, '', 0 FROM approvals
        WHERE status = 'open' AND {_DECISION} ORDER BY id LIMIT 1""",
    f"""SELECT 'question', id, text, 0 FROM questions
        WHERE answer IS NULL AND {_QUESTION} ORDER BY id LIMIT 1""",
    f"""SELECT 'stuck', number, name, attempts FROM tasks
        WHERE status = 'stuck' AND {_STUCK} ORDER BY id LIMIT 1""",
)
