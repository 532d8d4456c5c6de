"""Orders: what decisions say shall be done, as values."""

from dataclasses import dataclass

from core.domain.agents import AgentKind


@dataclass(frozen=True)
class StartRun:
    """Start an agent; a coder begins with `task_id` and may take more of its feature."""

    kind: AgentKind
    model: str
    reason: str
    phase_id: int | None = None
    feature_id: int | None = None
    task_id: int | None = None
    slot: int = 1
    resumes: int | None = None  # an earlier run whose worktree and session go on
    interview_id: int | None = None
    inquiry_id: int | None = None


@dataclass(frozen=True)
class ResumeRun:
    """The question of a parked run has its answer."""

    run_id: int
    kind: AgentKind
    feature_id: int | None
    interview_id: int | None = None


@dataclass(frozen=True)
class WriteSpec:
    """Look at the files an interviewer left, and put them on `main` or send them back."""

    interview_id: int


@dataclass(frozen=True)
class GiveUp:
    """No assistant can answer this now: say why, and what the journal tells."""

    inquiry_id: int
    reason: str


@dataclass(frozen=True)
class StopRun:
    run_id: int
    reason: str


@dataclass(frozen=True)
class Requeue:
    """A run of an earlier life of the service: close it, its tasks go back to the queue."""

    run_id: int


@dataclass(frozen=True)
class Land:
    feature_id: int


@dataclass(frozen=True)
class CompleteFeature:
    """Every task was skipped: there is nothing to land."""

    feature_id: int


@dataclass(frozen=True)
class AskApproval:
    """Prove the phase on `main` and ask at its gate."""

    phase_id: int


@dataclass(frozen=True)
class SkipStuck:
    task_id: int


@dataclass(frozen=True)
class Block:
    """Nothing can go on without a person."""

    reason: str


@dataclass(frozen=True)
class StopProject:
    """What was begun has landed, or cannot go on by itself: it stops, as a person wanted."""


@dataclass(frozen=True)
class FinishProject:
    pass


Order = (
    StartRun
    | ResumeRun
    | WriteSpec
    | GiveUp
    | StopRun
    | Requeue
    | Land
    | CompleteFeature
    | AskApproval
    | SkipStuck
    | Block
    | FinishProject
    | StopProject
)
