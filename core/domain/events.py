"""What may happen, a row of the journal each; and the kinds of card that tell of it."""

from enum import StrEnum
from typing import Final, NamedTuple


class Event(StrEnum):
    SERVICE_STARTED = "service_started"
    SERVICE_STOPPED = "service_stopped"
    PROJECT_CREATED = "project_created"
    PROJECT_BLOCKED = "project_blocked"
    PROJECT_PAUSED = "project_paused"
    PROJECT_STOPPED = "project_stopped"
    PROJECT_WINDING_DOWN = "project_winding_down"
    PROJECT_ARCHIVED = "project_archived"
    PROJECT_RESUMED = "project_resumed"
    PROJECT_COMPLETED = "project_completed"
    INTERVIEW_BEGUN = "interview_begun"
    INTERVIEW_SENT_BACK = "interview_sent_back"
    INTERVIEW_BLOCKED = "interview_blocked"
    INTERVIEW_WITHDRAWN = "interview_withdrawn"
    QUESTION_ASKED = "question_asked"
    QUESTION_ANSWERED = "question_answered"
    QUESTION_WITHDRAWN = "question_withdrawn"
    INQUIRY_BEGUN = "inquiry_begun"
    INQUIRY_ANSWERED = "inquiry_answered"
    INQUIRY_GIVEN_UP = "inquiry_given_up"
    SPEC_WRITTEN = "spec_written"
    PLAN_SUBMITTED = "plan_submitted"
    PLAN_REFUSED = "plan_refused"
    PLAN_APPROVED = "plan_approved"
    PLAN_REJECTED = "plan_rejected"
    PLAN_EXTENDED = "plan_extended"
    PHASE_STARTED = "phase_started"
    PHASE_READY = "phase_ready"
    PHASE_APPROVED = "phase_approved"
    PHASE_REJECTED = "phase_rejected"
    GATE_FAILED = "gate_failed"
    RUN_STARTED = "run_started"
    RUN_PARKED = "run_parked"
    RUN_RESUMED = "run_resumed"
    RUN_ENDED = "run_ended"
    TASK_STARTED = "task_started"
    CHECK_FAILED = "check_failed"
    TASK_PASSED = "task_passed"
    TASK_STUCK = "task_stuck"
    TASK_REQUEUED = "task_requeued"
    TASK_SKIPPED = "task_skipped"
    TASK_RETRIED = "task_retried"
    TASK_GUIDED = "task_guided"
    GUIDANCE_GIVEN = "guidance_given"
    GUIDANCE_TAKEN = "guidance_taken"
    FEATURE_LANDED = "feature_landed"
    LANDING_CONFLICT = "landing_conflict"
    RATE_LIMITED = "rate_limited"
    PRESS_REFUSED = "press_refused"
    BUDGET_WARNING = "budget_warning"
    BUDGET_REACHED = "budget_reached"
    BUDGET_CHANGED = "budget_changed"
    SETTINGS_CHANGED = "settings_changed"
    MEMBER_CHANGED = "member_changed"
    CARD_GIVEN_UP = "card_given_up"


# What each tells, for docs/reference/events.md.
MEANINGS: Final[dict[Event, str]] = {
    Event.SERVICE_STARTED: "The program began to work on this home.",
    Event.SERVICE_STOPPED: "It ended in good order.",
    Event.PROJECT_CREATED: "A project with its spec was made.",
    Event.PROJECT_BLOCKED: "A project cannot go on until a person does something.",
    Event.PROJECT_PAUSED: "A person paused it; its agents stopped.",
    Event.PROJECT_STOPPED: "A person stopped it.",
    Event.PROJECT_WINDING_DOWN: "A person wants it stopped once the features at work have landed.",
    Event.PROJECT_ARCHIVED: "A person put it away for good.",
    Event.PROJECT_RESUMED: "It goes on.",
    Event.PROJECT_COMPLETED: "The last gate was approved.",
    Event.INTERVIEW_BEGUN: "A person wants something: a project, a feature, a phase, a task, another spec; or goes on with it.",
    Event.INTERVIEW_SENT_BACK: "The spec files do not do yet; the interviewer was told why.",
    Event.INTERVIEW_BLOCKED: "An addition cannot go on until a person does something.",
    Event.INTERVIEW_WITHDRAWN: "A person took back what they wanted.",
    Event.QUESTION_ASKED: "An agent asked a person.",
    Event.QUESTION_ANSWERED: "A person answered.",
    Event.QUESTION_WITHDRAWN: "Nobody waits for its answer any more; the card says why.",
    Event.INQUIRY_BEGUN: "A person asked something about a project.",
    Event.INQUIRY_ANSWERED: "Its assistant answered.",
    Event.INQUIRY_GIVEN_UP: "No assistant could answer; the card says why.",
    Event.SPEC_WRITTEN: "The spec stands in the repository.",
    Event.PLAN_SUBMITTED: "A planner's plan was accepted as well-formed; it waits for approval.",
    Event.PLAN_REFUSED: "A planner's plan was not well-formed; it was told what is wrong.",
    Event.PLAN_APPROVED: "A person approved the plan that was shown.",
    Event.PLAN_REJECTED: "A person rejected it, with a reason; the planner is asked again.",
    Event.PLAN_EXTENDED: "Tasks were added to an approved plan.",
    Event.PHASE_STARTED: "Work on a phase began.",
    Event.PHASE_READY: "All its features have landed; its gate is open.",
    Event.PHASE_APPROVED: "A person approved the gate.",
    Event.PHASE_REJECTED: "A person rejected it, with a reason, which becomes rework.",
    Event.GATE_FAILED: "A check of landed work failed on `main` at a gate.",
    Event.RUN_STARTED: "An agent began a piece of work.",
    Event.RUN_PARKED: "A run waits for a person; its process has ended.",
    Event.RUN_RESUMED: "A parked or interrupted run goes on in its session.",
    Event.RUN_ENDED: "A run is over; the outcome says how.",
    Event.TASK_STARTED: "A run claimed a task.",
    Event.CHECK_FAILED: "A check of a task, a landing or a gate did not exit with 0.",
    Event.TASK_PASSED: "All checks of a task exited with 0 on its commit.",
    Event.TASK_STUCK: "A task has used up its attempts or cannot be proved; a person decides.",
    Event.TASK_REQUEUED: "A task is free for another attempt.",
    Event.TASK_SKIPPED: "A task was put last by an agent, or ended by a person.",
    Event.TASK_RETRIED: "A person had a stuck task tried again.",
    Event.TASK_GUIDED: "A person gave a hint for a task.",
    Event.GUIDANCE_GIVEN: "A person said something to the agents at work.",
    Event.GUIDANCE_TAKEN: "An agent has it.",
    Event.FEATURE_LANDED: "A feature's commits were merged into `main` and proved there.",
    Event.LANDING_CONFLICT: "A feature could not be merged, or the merged result failed a check.",
    Event.RATE_LIMITED: "The model's server refused for load or allowance; all agents wait.",
    Event.PRESS_REFUSED: "A decision came too late, or from somebody who may not make it.",
    Event.BUDGET_WARNING: "Spending passed a mark on its way to a limit.",
    Event.BUDGET_REACHED: "A limit is reached; no request passes the gateway.",
    Event.BUDGET_CHANGED: "A person changed a budget.",
    Event.SETTINGS_CHANGED: "A person changed a setting of a project.",
    Event.MEMBER_CHANGED: "A person's role changed.",
    Event.CARD_GIVEN_UP: "A card could not be drawn or was never taken, for a day and many tries.",
}

# What concerns every project that has work to do, not only the one it was met in.
EVERYWHERE: Final = frozenset({Event.RATE_LIMITED})


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class CardKind(StrEnum):
    """Which card is which."""

    INTERVIEW = "interview"
    QUESTION = "question"
    SPEC = "spec"
    PLAN = "plan"
    PROGRESS = "progress"
    LANDED = "landed"
    STUCK = "stuck"
    GATE = "gate"
    BUDGET = "budget"
    LIMIT = "limit"
    DIGEST = "digest"
    REPORT = "report"
    NOTICE = "notice"
    ANSWER = "answer"
    ERROR = "error"
    HELP = "help"


class Turn(NamedTuple):
    """When cards of a kind go out, among all that wait: the lower, the sooner."""

    post: int
    edit: int
    anew: bool  # posted anew where somebody deleted it: it is watched, or decided upon


# Decisions and answers before questions before what was done before what is being done.
_DECISION, _ANSWER, _DONE = Turn(0, 0, True), Turn(0, 0, False), Turn(2, 2, False)
TURNS: Final[dict[CardKind, Turn]] = {
    CardKind.INTERVIEW: Turn(0, 3, True),  # its thread waits for it
    CardKind.QUESTION: Turn(1, 0, True),  # edited when it is answered
    CardKind.SPEC: _DONE,
    CardKind.PLAN: _DECISION,
    CardKind.PROGRESS: Turn(3, 3, True),
    CardKind.LANDED: _DONE,
    CardKind.STUCK: _DECISION,
    CardKind.GATE: _DECISION,
    CardKind.BUDGET: _DECISION,
    CardKind.LIMIT: _DECISION,
    CardKind.DIGEST: _DONE,
    CardKind.REPORT: _DONE,
    CardKind.NOTICE: _DONE,
    CardKind.ANSWER: _ANSWER,
    CardKind.ERROR: _DECISION,
    CardKind.HELP: _ANSWER,
}
