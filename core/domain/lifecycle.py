"""Statuses and the moves between them; nothing else assigns a status."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from core.errors import ForbiddenTransition


class Status(StrEnum):
    """Where something stands."""

    @property
    def words(self) -> str:
        """As it is said to people."""
        return self.value.replace("_", " ")


class WaitingFor(StrEnum):
    """What a project waits for that no decision of a person about it brings."""

    RATE_LIMIT = "rate_limit"
    USAGE = "usage"
    HOURS = "hours"
    BUDGET = "budget"
    CREDENTIALS = "credentials"


class ProjectStatus(Status):
    INTERVIEWING = "interviewing"
    PLANNING = "planning"
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    PAUSED = "paused"
    BLOCKED = "blocked"
    COMPLETED = "completed"
    STOPPED = "stopped"
    ARCHIVED = "archived"


# Nothing of such a project waits for anybody.
AT_REST: Final = (ProjectStatus.STOPPED, ProjectStatus.ARCHIVED)


class PhaseStatus(Status):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    AWAITING_APPROVAL = "awaiting_approval"
    COMPLETED = "completed"


class FeatureStatus(Status):
    PENDING = "pending"
    SPECCING = "speccing"
    READY = "ready"
    IN_PROGRESS = "in_progress"
    LANDING = "landing"
    COMPLETED = "completed"


class TaskStatus(Status):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    PASSING = "passing"
    STUCK = "stuck"
    SKIPPED = "skipped"


class RunStatus(Status):
    QUEUED = "queued"
    STARTING = "starting"
    WORKING = "working"
    WAITING = "waiting"
    ENDED = "ended"


class ApprovalStatus(Status):
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class ApprovalKind(StrEnum):
    PLAN = "plan"
    GATE = "gate"


class InterviewKind(StrEnum):
    """What a person wants: a project, or something added to one."""

    PROJECT = "project"
    FEATURE = "feature"
    PHASE = "phase"
    TASK = "task"  # no interview: a planner and an approval
    SPEC = "spec"  # a change of the spec; before approval the plan is made anew
    JOB = "job"  # no interview and no approval: one small task


class InterviewStatus(Status):
    ASKING = "asking"  # its interviewer works, or a person's answer is awaited
    CHECKING = "checking"  # its interviewer ended: the spec files are looked at
    PLANNING = "planning"  # a planner works out what is new
    AWAITING_APPROVAL = "awaiting_approval"
    DONE = "done"
    BLOCKED = "blocked"
    WITHDRAWN = "withdrawn"


INTERVIEW_OVER = (InterviewStatus.DONE, InterviewStatus.WITHDRAWN)


class InquiryStatus(Status):
    """A person's question about a project, for an assistant."""

    OPEN = "open"
    ANSWERED = "answered"
    GIVEN_UP = "given_up"  # its card says why, and what the journal tells


class Cause(StrEnum):
    """Who makes a thing move."""

    SERVICE = "service"
    AGENT = "agent"
    PERSON = "person"


S = TypeVar("S", bound=StrEnum)


class Stateful(Protocol[S]):
    """Anything with a status: a row or a plain value."""

    @property
    def status(self) -> S: ...

    @status.setter
    def status(self, value: S) -> None: ...


_S, _A, _P = Cause.SERVICE, Cause.AGENT, Cause.PERSON
_Moves = Mapping[StrEnum, Mapping[StrEnum, frozenset[Cause]]]


def _by(*causes: Cause) -> frozenset[Cause]:
    return frozenset(causes)


_STOP: dict[StrEnum, frozenset[Cause]] = {
    ProjectStatus.STOPPED: _by(_P),
    ProjectStatus.ARCHIVED: _by(_P),
    ProjectStatus.BLOCKED: _by(_S),
}

_GIVE_UP: dict[StrEnum, frozenset[Cause]] = {
    InterviewStatus.BLOCKED: _by(_S),
    InterviewStatus.WITHDRAWN: _by(_P),
}

TRANSITIONS: dict[type[StrEnum], _Moves] = {
    ProjectStatus: {
        ProjectStatus.INTERVIEWING: {ProjectStatus.PLANNING: _by(_S), **_STOP},
        ProjectStatus.PLANNING: {
            ProjectStatus.AWAITING_APPROVAL: _by(_A),
            ProjectStatus.PAUSED: _by(_P),
            **_STOP,
        },
        ProjectStatus.AWAITING_APPROVAL: {
            ProjectStatus.RUNNING: _by(_P),
            ProjectStatus.PLANNING: _by(_P),
            **_STOP,
        },
        ProjectStatus.RUNNING: {
            ProjectStatus.PAUSED: _by(_P),
            ProjectStatus.COMPLETED: _by(_S),
            **_STOP,
        },
        ProjectStatus.PAUSED: {
            ProjectStatus.RUNNING: _by(_P),
            ProjectStatus.PLANNING: _by(_P),
            ProjectStatus.INTERVIEWING: _by(_P),
            **_STOP,
        },
        ProjectStatus.BLOCKED: {
            ProjectStatus.RUNNING: _by(_P),
            ProjectStatus.PLANNING: _by(_P),
            ProjectStatus.INTERVIEWING: _by(_P),
            ProjectStatus.STOPPED: _by(_P),
            ProjectStatus.ARCHIVED: _by(_P),
        },
        ProjectStatus.STOPPED: {
            ProjectStatus.RUNNING: _by(_P),
            ProjectStatus.PLANNING: _by(_P),
            ProjectStatus.INTERVIEWING: _by(_P),
            ProjectStatus.AWAITING_APPROVAL: _by(_P),
            ProjectStatus.ARCHIVED: _by(_P),
        },
        ProjectStatus.COMPLETED: {
            ProjectStatus.RUNNING: _by(_P),
            ProjectStatus.ARCHIVED: _by(_P),
        },
        ProjectStatus.ARCHIVED: {},
    },
    PhaseStatus: {
        PhaseStatus.PENDING: {PhaseStatus.IN_PROGRESS: _by(_S)},
        PhaseStatus.IN_PROGRESS: {PhaseStatus.AWAITING_APPROVAL: _by(_S)},
        PhaseStatus.AWAITING_APPROVAL: {
            PhaseStatus.COMPLETED: _by(_P),
            PhaseStatus.IN_PROGRESS: _by(_P, _S),
        },
        PhaseStatus.COMPLETED: {},
    },
    FeatureStatus: {
        FeatureStatus.PENDING: {
            FeatureStatus.SPECCING: _by(_S),
            FeatureStatus.READY: _by(_S),
            FeatureStatus.IN_PROGRESS: _by(_S),
            FeatureStatus.COMPLETED: _by(_S),
        },
        FeatureStatus.SPECCING: {FeatureStatus.READY: _by(_S)},
        FeatureStatus.READY: {
            FeatureStatus.IN_PROGRESS: _by(_S),
            FeatureStatus.COMPLETED: _by(_S),
        },
        FeatureStatus.IN_PROGRESS: {
            FeatureStatus.LANDING: _by(_S),
            FeatureStatus.COMPLETED: _by(_S),
        },
        FeatureStatus.LANDING: {
            FeatureStatus.COMPLETED: _by(_S),
            FeatureStatus.IN_PROGRESS: _by(_S),
        },
        FeatureStatus.COMPLETED: {},
    },
    TaskStatus: {
        TaskStatus.PENDING: {
            TaskStatus.IN_PROGRESS: _by(_S, _A),
            TaskStatus.STUCK: _by(_S),
            TaskStatus.SKIPPED: _by(_P),
            TaskStatus.PASSING: _by(_P),
        },
        TaskStatus.IN_PROGRESS: {
            TaskStatus.PASSING: _by(_S),
            TaskStatus.PENDING: _by(_S, _A),
            TaskStatus.STUCK: _by(_S),
        },
        TaskStatus.STUCK: {
            TaskStatus.PENDING: _by(_P),
            TaskStatus.SKIPPED: _by(_P, _S),
            TaskStatus.PASSING: _by(_P),
        },
        TaskStatus.SKIPPED: {TaskStatus.PENDING: _by(_P)},
        TaskStatus.PASSING: {},
    },
    RunStatus: {
        RunStatus.QUEUED: {
            RunStatus.STARTING: _by(_S),
            RunStatus.ENDED: _by(_S),
        },
        RunStatus.STARTING: {
            RunStatus.WORKING: _by(_S),
            RunStatus.ENDED: _by(_S),
        },
        RunStatus.WORKING: {
            RunStatus.WAITING: _by(_S, _A),
            RunStatus.ENDED: _by(_S),
        },
        RunStatus.WAITING: {RunStatus.ENDED: _by(_S)},
        RunStatus.ENDED: {},
    },
    InterviewStatus: {
        InterviewStatus.ASKING: {InterviewStatus.CHECKING: _by(_S), **_GIVE_UP},
        InterviewStatus.CHECKING: {
            InterviewStatus.ASKING: _by(_S),
            InterviewStatus.PLANNING: _by(_S),
            InterviewStatus.DONE: _by(_S),
            **_GIVE_UP,
        },
        InterviewStatus.PLANNING: {
            InterviewStatus.AWAITING_APPROVAL: _by(_A),
            InterviewStatus.DONE: _by(_A),
            **_GIVE_UP,
        },
        InterviewStatus.AWAITING_APPROVAL: {
            InterviewStatus.DONE: _by(_P),
            InterviewStatus.PLANNING: _by(_P),
            InterviewStatus.WITHDRAWN: _by(_P),
        },
        InterviewStatus.BLOCKED: {
            InterviewStatus.ASKING: _by(_P),
            InterviewStatus.PLANNING: _by(_P),
            InterviewStatus.WITHDRAWN: _by(_P),
        },
        InterviewStatus.DONE: {},
        InterviewStatus.WITHDRAWN: {},
    },
    InquiryStatus: {
        InquiryStatus.OPEN: {
            InquiryStatus.ANSWERED: _by(_A),
            InquiryStatus.GIVEN_UP: _by(_S),
        },
        InquiryStatus.ANSWERED: {},
        InquiryStatus.GIVEN_UP: {},
    },
    ApprovalStatus: {
        ApprovalStatus.OPEN: {
            ApprovalStatus.APPROVED: _by(_P),
            ApprovalStatus.REJECTED: _by(_P),
            ApprovalStatus.EXPIRED: _by(_S),
            ApprovalStatus.WITHDRAWN: _by(_S),
        },
        ApprovalStatus.APPROVED: {},
        ApprovalStatus.REJECTED: {},
        ApprovalStatus.EXPIRED: {},
        ApprovalStatus.WITHDRAWN: {},
    },
}


def may_move(status: StrEnum, to: StrEnum, by: Cause) -> bool:
    """Whether `by` may cause this move."""
    return by in TRANSITIONS[type(status)].get(status, {}).get(to, frozenset())


def move(thing: Stateful[S], to: S, *, by: Cause) -> None:
    """Give `thing` its next status, or raise ForbiddenTransition."""
    if not may_move(thing.status, to, by):
        raise ForbiddenTransition(
            f"{type(thing).__name__.lower()} cannot go from {thing.status!s} to {to!s} ({by!s})"
        )
    thing.status = to
