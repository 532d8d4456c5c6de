"""A message of the local web chat (CONTRACT.md §3, Message)."""

from dataclasses import dataclass
from datetime import datetime

from core.domain.cards import Card


@dataclass(frozen=True)
class FileLine:
    id: str
    name: str
    size: int


@dataclass(frozen=True)
class Message:
    id: int
    channel: str
    thread: int | None
    author: str  # "autocoder", or a person
    text: str  # never empty
    private_to: str | None
    revision: int
    created_at: datetime
    edited_at: datetime | None
    deleted: bool
    card: Card | None
    files: tuple[FileLine, ...]
    changed: int  # its place in the stream of posts and edits
    posted: int  # its place when it was posted


@dataclass(frozen=True)
class ChannelLine:
    """A channel as the rail shows it."""

    name: str
    last_message: int
    projects: int
