"""The server's own account of what it answered, to compare usage rows with.

A line is written just before the end of a message goes out, so that a kill between the two
leaves a line too many, never one missing. If the end then could not be sent, a second line with
the same id says so: the last line of an id counts.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class BookEntry:
    """One message: what it cost, and whether its end was sent."""

    message_id: str
    model: str
    kind: str | None  # the agent's kind; None where the CLI asked for itself
    stream: bool
    input_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    output_tokens: int
    end_sent: bool


class Books:
    """Entries by message id, and in a file if one is given."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._entries: dict[str, BookEntry] = {}

    def write(self, entry: BookEntry) -> None:
        self._entries[entry.message_id] = entry
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(entry)) + "\n")

    def entries(self) -> tuple[BookEntry, ...]:
        return tuple(self._entries.values())


def read_books(path: Path) -> tuple[BookEntry, ...]:
    """The entries of a file, one for each message."""
    entries: dict[str, BookEntry] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = BookEntry(**json.loads(line))
        entries[entry.message_id] = entry
    return tuple(entries.values())
