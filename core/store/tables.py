"""The tables. A row is a plain mapped object; money is integer micro-dollars."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.domain.agents import AgentKind, FailureKind, RunOutcome
from core.domain.events import CardKind, Event, Level
from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    FeatureStatus,
    InquiryStatus,
    InterviewKind,
    InterviewStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
    WaitingFor,
)
from core.domain.money import Dimension
from core.domain.people import Role
from core.domain.proof import Verdict
from core.store.types import Moment, Word

_TYPES: dict[Any, Any] = {
    datetime: Moment,
    list[str]: JSON,
    list[dict[str, Any]]: JSON,
    dict[str, Any]: JSON,
    **{
        words: Word(words)
        for words in (
            AgentKind, ApprovalKind, ApprovalStatus, CardKind, Dimension, Event, FailureKind, FeatureStatus,
            InquiryStatus, InterviewKind, InterviewStatus, Level, PhaseStatus, ProjectStatus, Role, RunOutcome, RunStatus, TaskStatus, Verdict,
            WaitingFor,
        )
    },
}  # fmt: skip


class Table(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = _TYPES


class Project(Table):
    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    slug: Mapped[str] = mapped_column(String(64), unique=True)
    status: Mapped[ProjectStatus]
    before_pause: Mapped[ProjectStatus | None]  # where `resume` goes back to
    winding_down_by: Mapped[str | None] = mapped_column(String(128))  # `stop after feature`
    spec_digest: Mapped[str] = mapped_column(String(64))
    summary: Mapped[str] = mapped_column(Text, default="")
    setup: Mapped[list[str]] = mapped_column(default=list)
    run_command: Mapped[str | None] = mapped_column(Text)
    checks: Mapped[list[str]] = mapped_column(default=list)
    practice: Mapped[bool]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    budget_micro_usd: Mapped[int] = mapped_column(BigInteger)
    blocked_reason: Mapped[str | None] = mapped_column(Text)
    blocked_on: Mapped[WaitingFor | None]  # what else than a person's word it needs
    planner_failures: Mapped[int] = mapped_column(default=0)
    planner_restarts: Mapped[int] = mapped_column(default=0)
    planner_not_before: Mapped[datetime | None]
    replan_reason: Mapped[str | None] = mapped_column(Text)  # a rejected plan's or gate's
    first_commit: Mapped[str | None] = mapped_column(String(64))
    report_commit: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]


class Plan(Table):
    """A plan as it was submitted; approved ones become phases, features and tasks."""

    __tablename__ = "plans"
    __table_args__ = (UniqueConstraint("project_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    version: Mapped[int]
    interview_id: Mapped[int | None] = mapped_column(ForeignKey("interviews.id"))  # an addition's
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    payload: Mapped[dict[str, Any]]
    changes: Mapped[list[str]] = mapped_column(default=list)
    submitted_at: Mapped[datetime]


class Phase(Table):
    __tablename__ = "phases"
    __table_args__ = (UniqueConstraint("project_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, default="")
    status: Mapped[PhaseStatus]
    rework_reason: Mapped[str | None] = mapped_column(Text)  # rejected; a planner makes tasks of it
    gate_failures: Mapped[int] = mapped_column(default=0)
    base_commit: Mapped[str | None] = mapped_column(String(64))  # `main` when the phase began
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]


class Feature(Table):
    __tablename__ = "features"
    __table_args__ = (
        UniqueConstraint("project_id", "slug"),
        Index("ix_features_phase_status", "phase_id", "status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    phase_id: Mapped[int] = mapped_column(ForeignKey("phases.id"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    slug: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(Text, default="")
    spec: Mapped[str] = mapped_column(Text, default="")
    status: Mapped[FeatureStatus]
    priority: Mapped[int] = mapped_column(default=0)
    branch: Mapped[str] = mapped_column(String(128))
    last_green_commit: Mapped[str | None] = mapped_column(
        "good_commit", String(64)
    )  # the branch's last proved commit
    prepared: Mapped[bool] = mapped_column(default=False)  # `setup` ran in its worktree
    resume_run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", use_alter=True))
    landed_commit: Mapped[str | None] = mapped_column(String(64))
    landed_at: Mapped[datetime | None]


class FeatureDependency(Table):
    """Own and lifted: `feature_id` starts when `depends_on_id` has landed."""

    __tablename__ = "feature_dependencies"

    feature_id: Mapped[int] = mapped_column(ForeignKey("features.id"), primary_key=True)
    depends_on_id: Mapped[int] = mapped_column(
        ForeignKey("features.id"), primary_key=True, index=True
    )
    declared: Mapped[bool]  # false: lifted from tasks


class Task(Table):
    __tablename__ = "tasks"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        Index("ix_tasks_feature_status", "feature_id", "status"),
        Index("ix_tasks_phase_status", "phase_id", "status"),
        Index("ix_tasks_tally", "project_id", "status", "phase_id", "complexity"),  # boards count
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    phase_id: Mapped[int] = mapped_column(ForeignKey("phases.id"))
    feature_id: Mapped[int] = mapped_column(ForeignKey("features.id"))
    number: Mapped[int]  # the N people use, from 1 in each project
    position: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(Text, default="")
    description: Mapped[str] = mapped_column(Text, default="")
    steps: Mapped[list[str]] = mapped_column(default=list)
    complexity: Mapped[int] = mapped_column(default=2)
    checks: Mapped[list[str]] = mapped_column(default=list)
    files: Mapped[list[str]] = mapped_column(default=list)
    priority: Mapped[int] = mapped_column(default=999)
    status: Mapped[TaskStatus]
    blockers: Mapped[int] = mapped_column(default=0)  # tasks of its feature still to pass
    rank: Mapped[int] = mapped_column(default=0)  # critical path from here, in complexity
    attempts: Mapped[int] = mapped_column(default=0)
    allowed_attempts: Mapped[int]  # a person's retry raises it
    restarts: Mapped[int] = mapped_column(default=0)  # accidents in a row
    refusals: Mapped[int] = mapped_column(default=0)  # in the run that has it
    deferred: Mapped[bool] = mapped_column(default=False)  # skipped once by an agent
    model: Mapped[str | None] = mapped_column(String(64))  # chosen for the next attempt
    not_before: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(Text)
    error_signature: Mapped[str | None] = mapped_column(String(16))
    error_repeats: Mapped[int] = mapped_column(default=0)
    recovery_notes: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"), index=True)  # that has it
    before: Mapped[list[dict[str, Any]] | None]  # its checks before the first attempt
    merging: Mapped[str | None] = mapped_column(String(64))  # "Bring up": the commit of `main`
    stuck_at: Mapped[datetime | None]


class TaskDependency(Table):
    __tablename__ = "task_dependencies"

    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    depends_on_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), primary_key=True, index=True)


class Run(Table):
    __tablename__ = "runs"
    __table_args__ = (Index("ix_runs_status_project_kind", "status", "project_id", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[AgentKind]
    status: Mapped[RunStatus]
    outcome: Mapped[RunOutcome | None]
    failure: Mapped[FailureKind | None]
    feature_id: Mapped[int | None] = mapped_column(ForeignKey("features.id"), index=True)
    phase_id: Mapped[int | None] = mapped_column(ForeignKey("phases.id"))
    interview_id: Mapped[int | None] = mapped_column(ForeignKey("interviews.id"), index=True)
    inquiry_id: Mapped[int | None] = mapped_column(ForeignKey("inquiries.id"), index=True)
    slot: Mapped[int] = mapped_column("seat", default=1)  # the number in "coder-1"
    model: Mapped[str] = mapped_column(String(64))
    session_id: Mapped[str] = mapped_column(String(64))
    resumes_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    boot_id: Mapped[str] = mapped_column(
        "life", String(32)
    )  # of the start of the service that began it
    host: Mapped[str] = mapped_column(String(128))
    pid: Mapped[int | None]
    attempt: Mapped[int] = mapped_column(default=1)
    reserved_micro_usd: Mapped[int] = mapped_column(BigInteger, default=0)
    reason: Mapped[str] = mapped_column(Text, default="")
    settings: Mapped[dict[str, Any]] = mapped_column(  # its project's, as it began
        default=dict, server_default="{}"
    )
    words: Mapped[str] = mapped_column(Text, default="")  # the agent's last, or the failure's
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class RunTask(Table):
    """A task that a run had."""

    __tablename__ = "run_tasks"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), primary_key=True, index=True)
    claimed_at: Mapped[datetime]
    passed: Mapped[bool] = mapped_column(default=False)


class AgentProcess(Table):
    """A Claude CLI in its box; its marker is HOMEHASH-id, its current run is a column."""

    __tablename__ = "agent_processes"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[AgentKind]
    model: Mapped[str] = mapped_column(String(64))
    work: Mapped[str] = mapped_column(Text)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"), index=True)
    pid: Mapped[int | None]
    pid_created_at: Mapped[float | None]
    registered_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Evidence(Table):
    """One proof of one task, accepted or not."""

    __tablename__ = "evidence"

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), index=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    verdict: Mapped[Verdict]
    accepted: Mapped[bool]
    commit: Mapped[str] = mapped_column(String(64))
    own_tests: Mapped[list[str]] = mapped_column(default=list)
    checks: Mapped[list[dict[str, Any]]]  # command, exit_code, output, seconds
    at: Mapped[datetime]


class Question(Table):
    __tablename__ = "questions"
    __table_args__ = (Index("ix_questions_project_delivered", "project_id", "delivered"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    text: Mapped[str] = mapped_column(Text)
    options: Mapped[list[str]] = mapped_column(default=list)
    multiple: Mapped[bool] = mapped_column(default=False)
    interview_id: Mapped[int | None] = mapped_column(ForeignKey("interviews.id"), index=True)
    number: Mapped[int] = mapped_column(default=0)  # within its interview, from 1
    topic: Mapped[str] = mapped_column(String(80), default="")
    expected: Mapped[int | None]  # questions in all, as the interviewer sees it
    asked_at: Mapped[datetime]
    answer: Mapped[str | None] = mapped_column(Text)
    answered_by: Mapped[str | None] = mapped_column(String(128))  # nobody: it was withdrawn
    answered_at: Mapped[datetime | None]
    delivered: Mapped[bool] = mapped_column(default=False)  # the agent has it


class Approval(Table):
    __tablename__ = "approvals"
    __table_args__ = (
        Index(
            "uq_approvals_open",
            "project_id",
            "kind",
            unique=True,
            sqlite_where=text("status = 'open'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    kind: Mapped[ApprovalKind]
    subject_id: Mapped[int]  # the plan's or the phase's id
    version: Mapped[str] = mapped_column(String(64))  # plan version, or the commit of the gate
    status: Mapped[ApprovalStatus]
    checks: Mapped[list[dict[str, Any]]] = mapped_column(default=list)  # a gate's, on `main`
    diff_files: Mapped[int | None]  # a gate's, since the phase began
    diff_added: Mapped[int | None]
    diff_removed: Mapped[int | None]
    opened_at: Mapped[datetime]
    reminded_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(String(128))
    reason: Mapped[str | None] = mapped_column(Text)


class UsageEntry(Table):
    """One API message, written by the gateway before its end is passed on."""

    __tablename__ = "usage_entries"
    __table_args__ = (
        UniqueConstraint("process_id", "message_id"),
        Index("ix_usage_entries_project_at", "project_id", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    process_id: Mapped[str] = mapped_column(String(64))
    message_id: Mapped[str] = mapped_column(String(128))
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    task_id: Mapped[int | None] = mapped_column(ForeignKey("tasks.id"), index=True)
    feature_id: Mapped[int | None] = mapped_column(ForeignKey("features.id"))
    phase_id: Mapped[int | None] = mapped_column(ForeignKey("phases.id"))
    kind: Mapped[AgentKind]
    model: Mapped[str] = mapped_column(String(128))
    input: Mapped[int] = mapped_column(BigInteger)
    output: Mapped[int] = mapped_column(BigInteger)
    cache_read: Mapped[int] = mapped_column(BigInteger)
    cache_write_5m: Mapped[int] = mapped_column(BigInteger)
    cache_write_1h: Mapped[int] = mapped_column(BigInteger)
    micro_usd: Mapped[int | None] = mapped_column(BigInteger)  # None: no price known
    assumed_micro_usd: Mapped[int] = mapped_column(BigInteger)  # what the budget counts
    at: Mapped[datetime]


class UsageTotal(Table):
    """Sums of usage entries by one dimension, kept in the same transaction."""

    __tablename__ = "usage_totals"
    __table_args__ = (Index("ix_usage_totals_dimension_key", "dimension", "key"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    dimension: Mapped[Dimension] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    messages: Mapped[int] = mapped_column(default=0)
    unpriced_messages: Mapped[int] = mapped_column(default=0)
    input: Mapped[int] = mapped_column(BigInteger, default=0)
    output: Mapped[int] = mapped_column(BigInteger, default=0)
    cache_read: Mapped[int] = mapped_column(BigInteger, default=0)
    cache_write_5m: Mapped[int] = mapped_column(BigInteger, default=0)
    cache_write_1h: Mapped[int] = mapped_column(BigInteger, default=0)
    micro_usd: Mapped[int] = mapped_column(BigInteger, default=0)
    assumed_micro_usd: Mapped[int] = mapped_column(BigInteger, default=0)


class AccountWindow(Table):
    """The account's limit: all agents wait until `until`. One row per upstream."""

    __tablename__ = "account_windows"

    upstream: Mapped[str] = mapped_column(String(256), primary_key=True)
    until: Mapped[datetime | None]
    consecutive_limits: Mapped[int] = mapped_column(
        "strikes", default=0
    )  # limits in a row without an answer between
    reason: Mapped[str] = mapped_column(Text, default="")
    changed_at: Mapped[datetime]


class JournalEntry(Table):
    """What happened; each row carries the hash of the one before."""

    __tablename__ = "journal"
    __table_args__ = (Index("ix_journal_project_id_id", "project_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    level: Mapped[Level]
    category: Mapped[str] = mapped_column(String(32))
    event: Mapped[Event]
    text: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(128))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    task_id: Mapped[int | None] = mapped_column(ForeignKey("tasks.id"), index=True)
    feature_id: Mapped[int | None] = mapped_column(ForeignKey("features.id"))
    phase_id: Mapped[int | None] = mapped_column(ForeignKey("phases.id"))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    hash: Mapped[str] = mapped_column(String(64))
    previous_hash: Mapped[str] = mapped_column(String(64))
