"""The snapshot that decisions are made from: one project's open work, as plain values."""

from dataclasses import dataclass
from datetime import datetime

from core.domain.agents import AgentKind
from core.domain.lifecycle import (
    FeatureStatus,
    InterviewKind,
    InterviewStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
)
from core.domain.rules import Rules


@dataclass(frozen=True)
class TaskView:
    """An open task of the open phase."""

    id: int
    number: int
    feature_id: int
    status: TaskStatus
    priority: int
    complexity: int
    category: str
    files: tuple[str, ...]
    blockers: int  # tasks of its own feature that it still waits for
    rank: int
    position: int
    attempts: int
    restarts: int
    deferred: bool
    model: str | None
    not_before: datetime | None


@dataclass(frozen=True)
class FeatureView:
    """A feature of the open phase that is not completed."""

    id: int
    name: str
    status: FeatureStatus
    priority: int
    position: int
    waits_for: int  # features that have not landed yet
    passing: int  # above 0: tasks of it pass, and no person left its landing out
    resume_run_id: int | None


@dataclass(frozen=True)
class RunView:
    """A run that has not ended."""

    id: int
    kind: AgentKind
    status: RunStatus
    feature_id: int | None
    slot: int
    ours: bool  # started in this life of the service
    answered: bool  # parked, and every question of it has an answer
    interview_id: int | None = None
    inquiry_id: int | None = None


@dataclass(frozen=True)
class InquiryView:
    """A person's question about the project that has no answer yet."""

    id: int
    last_run_id: int | None  # the session that goes on
    not_before: datetime | None


@dataclass(frozen=True)
class InterviewView:
    """An interview, or an addition without one, that is not over."""

    id: int
    kind: InterviewKind
    status: InterviewStatus
    last_run_id: int | None  # its interviewer's: the session that goes on
    not_before: datetime | None


@dataclass(frozen=True)
class PhaseView:
    id: int
    position: int
    status: PhaseStatus
    rework: bool  # rejected, and not made into tasks yet


@dataclass(frozen=True)
class Snapshot:
    """One project, as far as a decision needs it: open work only."""

    now: datetime
    project_id: int
    status: ProjectStatus
    rules: Rules
    phase: PhaseView | None  # the open one; None: every phase is completed, or none exists yet
    features: tuple[FeatureView, ...] = ()
    tasks: tuple[TaskView, ...] = ()
    runs: tuple[RunView, ...] = ()
    interviews: tuple[InterviewView, ...] = ()  # oldest first
    inquiries: tuple[InquiryView, ...] = ()  # oldest first
    agents_elsewhere: int = 0  # at work for other projects of this host
    window_until: datetime | None = None
    budget_left: bool = True
    winding_down: bool = False  # nothing new is begun; then it stops
    spent: str | None = None  # which budget is spent, in words
    spent_until: datetime | None = None  # when it begins anew by itself
    planner_failures: int = 0
    planner_not_before: datetime | None = None
