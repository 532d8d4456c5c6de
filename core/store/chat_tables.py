"""Tables of talking: deliveries in, cards out, the web chat's own messages, people."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.domain.events import CardKind
from core.domain.lifecycle import InquiryStatus, InterviewKind, InterviewStatus
from core.domain.people import Role
from core.store.tables import Table


class InboxItem(Table):
    """One delivery: inserted before it is acknowledged, acted upon once."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("platform", "delivery"),
        Index("ix_inbox_open", "id", sqlite_where=text("done_at IS NULL")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(String(16))
    delivery: Mapped[str] = mapped_column(String(200))
    person: Mapped[str] = mapped_column(String(128))
    person_name: Mapped[str | None] = mapped_column(String(128))  # how they are called there
    reply: Mapped[str | None] = mapped_column(Text)  # a handle for private answers; never logged
    channel: Mapped[str] = mapped_column(String(128))
    thread: Mapped[str | None] = mapped_column(String(128))
    message: Mapped[str | None] = mapped_column(String(128))
    content: Mapped[dict[str, Any]]  # core/operations/inbox.py writes and reads it
    received_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # what a repeated one is told


class OutboxItem(Table):
    """One card at one place, as it is wanted and as it was last posted.

    A live card is wanted again by raising `wanted`; the delivery loop builds it from the
    database, so ten wishes are one edit and the newest state wins.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("platform", "channel", "key"),
        Index("ix_outbox_open", "platform", "id",
              sqlite_where=text("wanted != built AND failed_at IS NULL")),
        Index("ix_outbox_again", "platform", "again_at",
              sqlite_where=text("again_at IS NOT NULL")),
        Index("ix_outbox_about", "project_id", "kind", "subject_id"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(String(16))
    channel: Mapped[str] = mapped_column(String(128))
    thread_key: Mapped[str | None] = mapped_column(String(200))  # card whose message is the root
    thread: Mapped[str | None] = mapped_column(String(128))  # root message, where it is known
    key: Mapped[str] = mapped_column(String(200))
    kind: Mapped[CardKind]
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    subject_id: Mapped[int | None]
    card: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # words fixed when they were said
    private_to: Mapped[str | None] = mapped_column(String(128))
    reply: Mapped[str | None] = mapped_column(Text)  # the delivery's handle for private answers
    again: Mapped[int] = mapped_column(
        default=0, server_default="0"
    )  # posts of this key that are gone
    wanted: Mapped[int] = mapped_column(default=1)
    built: Mapped[int] = mapped_column(default=0)
    message: Mapped[str | None] = mapped_column(String(128))  # where it stands, once posted
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None]
    again_at: Mapped[datetime | None]  # the clock alone makes it stale then: a wait ends
    digest: Mapped[str | None] = mapped_column(String(64))  # of the card as it stands
    wanted_at: Mapped[datetime]  # since when the newest state waits: the card's delay
    delivered_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)


class NotifierCursor(Table):
    """How far journal entries have been turned into cards; one row."""

    __tablename__ = "told"

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(default=0)


class Channel(Table):
    """A channel that was spoken in, with its current project."""

    __tablename__ = "channels"

    platform: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))  # `use NAME`
    created_at: Mapped[datetime]
    refused: Mapped[str | None] = mapped_column(Text)  # why the platform takes nothing here
    refused_at: Mapped[datetime | None]


class ProjectPlace(Table):
    """Where a project lives in chat: a channel, and its root card there.

    The first place is where it was made; `use` gives it others.
    """

    __tablename__ = "project_places"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    platform: Mapped[str] = mapped_column(String(16), primary_key=True)
    channel: Mapped[str] = mapped_column(String(128), primary_key=True, index=True)
    position: Mapped[int] = mapped_column(default=0)  # 0: where it was made
    root_key: Mapped[str] = mapped_column(String(200))  # the outbox item whose message is the root


class WebMessage(Table):
    """A message of the local web chat."""

    __tablename__ = "web_messages"
    __table_args__ = (
        Index("ix_web_messages_channel_id", "channel", "id"),
        Index("ix_web_messages_channel_changed", "channel", "changed"),
        Index("uq_web_messages_card", "channel", "key", unique=True,
              sqlite_where=text("key IS NOT NULL AND deleted = 0")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String(64))
    thread: Mapped[int | None] = mapped_column(ForeignKey("web_messages.id"), index=True)
    author: Mapped[str] = mapped_column(String(128))
    text: Mapped[str] = mapped_column(Text)
    private_to: Mapped[str | None] = mapped_column(String(128))
    revision: Mapped[int] = mapped_column(default=0)
    key: Mapped[str | None] = mapped_column(String(200))
    card: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    files: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    deleted: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    changed: Mapped[int] = mapped_column(index=True)  # rises with every post and edit of the chat
    posted: Mapped[int]  # what `changed` was when it was posted


class WebFile(Table):
    """A file that was dropped into the web chat; its bytes lie in the home under its id."""

    __tablename__ = "web_files"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    channel: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(Text)
    size: Mapped[int]
    media_type: Mapped[str] = mapped_column(String(128))
    by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime]


class Member(Table):
    """A person, by platform user id, and what they may do."""

    __tablename__ = "members"

    person: Mapped[str] = mapped_column(String(128), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(128))  # as their platform last called them
    role: Mapped[Role]
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)  # web people only
    added_by: Mapped[str] = mapped_column(String(128))
    added_at: Mapped[datetime]


class ClaimCode(Table):
    """A one-time code that makes whoever claims it an admin; only its hash is kept."""

    __tablename__ = "claim_codes"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    issued_at: Mapped[datetime]
    used_by: Mapped[str | None] = mapped_column(String(128))
    used_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]  # a later one was printed


class Interview(Table):
    """What a person wants, from their words to a spec and a plan: a project, or an addition."""

    __tablename__ = "interviews"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        Index("ix_interviews_open", "project_id",
              sqlite_where=text("status NOT IN ('done', 'withdrawn')")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]  # 0: the project's own; additions from 1
    kind: Mapped[InterviewKind]
    status: Mapped[InterviewStatus]
    request: Mapped[str] = mapped_column(Text, default="")
    by: Mapped[str] = mapped_column(String(128))
    base_commit: Mapped[str | None] = mapped_column(String(64))  # the `main` its files began from
    spec_commit: Mapped[str | None] = mapped_column(String(64))
    asked: Mapped[int] = mapped_column(default=0)  # questions so far
    notes: Mapped[list[dict[str, Any]]] = mapped_column(default=list)  # text, run that carries it
    material: Mapped[list[dict[str, Any]]] = mapped_column(default=list)  # file, name
    failures: Mapped[int] = mapped_column(default=0)  # in a row; three and a person is needed
    restarts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None]
    blocked_reason: Mapped[str | None] = mapped_column(Text)
    replan_reason: Mapped[str | None] = mapped_column(Text)  # why its plan was rejected
    begun_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Inquiry(Table):
    """A person's question about a project, for its assistant."""

    __tablename__ = "inquiries"
    __table_args__ = (
        Index("ix_inquiries_open", "project_id",
              sqlite_where=text("status = 'open'")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    inbox_id: Mapped[int] = mapped_column(ForeignKey("inbox.id"), unique=True)
    text: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(128))
    status: Mapped[InquiryStatus]
    answer: Mapped[str | None] = mapped_column(Text)
    trouble: Mapped[str | None] = mapped_column(Text)  # how its last run ended without one
    failures: Mapped[int] = mapped_column(default=0)
    restarts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None]
    asked_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class Guidance(Table):
    """A person's plain message to the agents at work on a project, until one takes it up."""

    __tablename__ = "guidance"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    task_id: Mapped[int | None] = mapped_column(ForeignKey("tasks.id"))  # for this one only
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"))  # whose line follows
    text: Mapped[str] = mapped_column(Text)
    person: Mapped[str] = mapped_column(String(128))
    said_at: Mapped[datetime]
    taken_by: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    taken_at: Mapped[datetime | None]
