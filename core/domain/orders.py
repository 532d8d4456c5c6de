"""Deciding: a snapshot in, orders out. Pure and deterministic.

`next_orders` may be asked again at any time: an order that is being carried out is given
again until its effect is in the snapshot, so carrying out must know what it has begun.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import assert_never

from core.domain.agents import SLOTLESS, AgentKind
from core.domain.lifecycle import (
    FeatureStatus,
    InterviewKind,
    InterviewStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
)
from core.domain.order import (
    AskApproval,
    Block,
    CompleteFeature,
    FinishProject,
    GiveUp,
    Land,
    Order,
    Requeue,
    ResumeRun,
    SkipStuck,
    StartRun,
    StopProject,
    StopRun,
    WriteSpec,
)
from core.domain.plan import FEATURE_PRIORITY, TASK_PRIORITY
from core.domain.rules import OnStuck
from core.domain.snapshot import FeatureView, RunView, Snapshot, TaskView

SMALL = 2  # tasks up to this complexity may share a run
SOLO_CATEGORY = "solo"  # work of this category runs with nothing beside it
PLANNER_ATTEMPTS = 3


ACTIVE = (RunStatus.QUEUED, RunStatus.STARTING, RunStatus.WORKING)
NOT_ENDED = (*ACTIVE, RunStatus.WAITING)
_MOVING = (ProjectStatus.PLANNING, ProjectStatus.RUNNING)


def next_orders(snapshot: Snapshot) -> tuple[Order, ...]:
    """What is to be done now. Runs of an earlier life are settled before anything else."""
    lost = tuple(
        Requeue(run.id)
        for run in snapshot.runs
        if not run.ours and run.status is not RunStatus.WAITING
    )
    if lost:
        return lost
    match snapshot.status:
        case ProjectStatus.PLANNING:
            if _spec_changes(snapshot):
                return (*_stop_planner(snapshot), *_talk(snapshot), *_answer(snapshot))
            resumed = tuple(_resumed(snapshot))
            return (*(resumed or _plan(snapshot)), *_answer(snapshot))
        case ProjectStatus.RUNNING:
            return (*_build(snapshot), *_talk(snapshot), *_answer(snapshot))
        case ProjectStatus.PAUSED:
            building = [r for r in snapshot.runs if r.interview_id is None and not r.inquiry_id]
            return (*_stop(snapshot, building), *_talk(snapshot), *_answer(snapshot))
        case ProjectStatus.STOPPED | ProjectStatus.BLOCKED | ProjectStatus.ARCHIVED:
            return (*_stop(snapshot, snapshot.runs), *_unanswered(snapshot))
        case ProjectStatus.INTERVIEWING | ProjectStatus.AWAITING_APPROVAL | ProjectStatus.COMPLETED:
            return (*_talk(snapshot), *_answer(snapshot))
        case _:
            assert_never(snapshot.status)


def next_due(snapshot: Snapshot) -> datetime | None:
    """The next moment at which time alone changes the answer."""
    moving = snapshot.status in _MOVING or snapshot.interviews or snapshot.inquiries
    if not moving:
        return None
    if not snapshot.budget_left:
        return snapshot.spent_until
    moments = [task.not_before for task in snapshot.tasks]
    moments += [interview.not_before for interview in snapshot.interviews]
    moments += [inquiry.not_before for inquiry in snapshot.inquiries]
    moments += [snapshot.window_until, snapshot.planner_not_before]
    return min((m for m in moments if m is not None and m > snapshot.now), default=None)


def may_start(snapshot: Snapshot) -> bool:
    """Whether money and the account allow any new request."""
    window = snapshot.window_until
    return snapshot.budget_left and (window is None or window <= snapshot.now)


def _stop(snapshot: Snapshot, runs: Iterable[RunView]) -> Iterable[Order]:
    for run in runs:
        if run.status in ACTIVE:
            yield StopRun(run.id, f"the project is {snapshot.status!s}")


def _spec_changes(snapshot: Snapshot) -> bool:
    """Whether the spec of a plan that is being made is changed meanwhile."""
    writing = (InterviewStatus.ASKING, InterviewStatus.CHECKING)
    return any(i.kind is InterviewKind.SPEC and i.status in writing for i in snapshot.interviews)


def _stop_planner(snapshot: Snapshot) -> Iterable[Order]:
    for run in snapshot.runs:
        if run.kind is AgentKind.PLANNER and run.status in ACTIVE:
            yield StopRun(run.id, "the spec it plans is changed")


def _talk(snapshot: Snapshot) -> Iterable[Order]:
    """Interviews and additions. An interviewer takes no slot: a person waits for it."""
    first = snapshot.status is ProjectStatus.INTERVIEWING
    runs = {run.interview_id: run for run in snapshot.runs}
    planning = any(run.kind is AgentKind.PLANNER for run in snapshot.runs) or _room(snapshot) < 1
    open_ones = {interview.id for interview in snapshot.interviews}
    for each in snapshot.runs:
        talks = each.kind is AgentKind.INTERVIEWER and each.status in ACTIVE
        if talks and each.interview_id not in open_ones:
            yield StopRun(each.id, "what it asks about is not wanted any more")
    undecided = any(i.status is InterviewStatus.AWAITING_APPROVAL for i in snapshot.interviews)
    for interview in snapshot.interviews:
        if (interview.kind is InterviewKind.PROJECT) is not first:
            continue
        run = runs.get(interview.id)
        wait = interview.not_before
        free = may_start(snapshot) and (wait is None or wait <= snapshot.now)
        match interview.status:
            case InterviewStatus.ASKING if free:
                if run is None:
                    yield StartRun(
                        AgentKind.INTERVIEWER,
                        snapshot.rules.models.interviewer,
                        f"interview: a {interview.kind!s}",
                        resumes=interview.last_run_id,
                        interview_id=interview.id,
                    )
                elif run.status is RunStatus.WAITING and run.answered:
                    yield ResumeRun(run.id, run.kind, None, interview.id)
            case InterviewStatus.CHECKING if run is None:
                yield WriteSpec(interview.id)
            case InterviewStatus.PLANNING if free and not planning:
                if undecided and interview.kind is not InterviewKind.JOB:
                    continue  # one plan at a time waits for a decision
                yield StartRun(
                    AgentKind.PLANNER,
                    snapshot.rules.models.planner,
                    f"plan: a {interview.kind!s} is added",
                    interview_id=interview.id,
                )
                planning = True
            case _:
                continue


def _answer(snapshot: Snapshot) -> Iterable[Order]:
    """One assistant at a time: questions about a project are answered in their order."""
    if any(run.kind is AgentKind.ASSISTANT for run in snapshot.runs):
        return
    for inquiry in snapshot.inquiries:
        if snapshot.spent is not None:
            yield GiveUp(inquiry.id, snapshot.spent)
        elif may_start(snapshot) and _is_due(inquiry.not_before, snapshot.now):
            yield StartRun(
                AgentKind.ASSISTANT,
                snapshot.rules.models.assistant,
                "a question about the project",
                resumes=inquiry.last_run_id,
                inquiry_id=inquiry.id,
            )
            return


def _unanswered(snapshot: Snapshot) -> Iterable[Order]:
    """Nothing starts in a project at rest, so nobody answers."""
    held = {run.inquiry_id for run in snapshot.runs}
    for inquiry in snapshot.inquiries:
        if inquiry.id not in held:
            yield GiveUp(inquiry.id, f"The project is {snapshot.status!s}: no agent works for it.")


def _is_due(moment: datetime | None, now: datetime) -> bool:
    return moment is None or moment <= now


def _plan(snapshot: Snapshot, phase_id: int | None = None) -> Iterable[Order]:
    if any(run.kind is AgentKind.PLANNER for run in snapshot.runs):
        return
    if snapshot.planner_failures >= PLANNER_ATTEMPTS:
        if phase_id is None:
            yield Block(f"The planner ended {snapshot.planner_failures} times without a plan.")
        return
    wait = snapshot.planner_not_before
    if may_start(snapshot) and (wait is None or wait <= snapshot.now) and _room(snapshot) > 0:
        yield StartRun(
            AgentKind.PLANNER,
            snapshot.rules.models.planner,
            "rework: a rejected phase" if phase_id else "plan: the spec has no plan yet",
            phase_id=phase_id,
        )


def _resumed(snapshot: Snapshot) -> Iterable[Order]:
    room = _room(snapshot) if may_start(snapshot) else 0
    for run in sorted(snapshot.runs, key=lambda r: r.id):
        if run.kind in SLOTLESS:
            continue
        if room > 0 and run.status is RunStatus.WAITING and run.answered:
            yield ResumeRun(run.id, run.kind, run.feature_id)
            room -= 1


def _room(snapshot: Snapshot) -> int:
    agents = snapshot.rules.agents
    active = sum(run.status in ACTIVE and run.kind not in SLOTLESS for run in snapshot.runs)
    room = agents.max_parallel - active
    if agents.host_parallel is None:
        return room
    return min(room, agents.host_parallel - active - snapshot.agents_elsewhere)


def _build(snapshot: Snapshot) -> Iterable[Order]:
    phase = snapshot.phase
    if phase is None:
        yield FinishProject()
        return
    if phase.status is not PhaseStatus.IN_PROGRESS:
        return
    resumed = list(_resumed(snapshot))
    yield from resumed
    if snapshot.rules.agents.on_stuck is OnStuck.SKIP:
        for task in snapshot.tasks:
            if task.status is TaskStatus.STUCK:
                yield SkipStuck(task.id)
    if phase.rework:
        yield from _plan(snapshot, phase.id)
        return
    yield from _finish_features(snapshot)
    if not snapshot.features:
        yield AskApproval(phase.id)
        return
    if snapshot.winding_down and _wound_down(snapshot):
        yield StopProject()
        return
    if may_start(snapshot):
        yield from _start_coders(snapshot, _room(snapshot) - len(resumed))


def _wound_down(snapshot: Snapshot) -> bool:
    """Nothing that is begun goes on by itself any more."""
    if any(run.kind is AgentKind.CODER for run in snapshot.runs):
        return False
    still_open = {task.feature_id for task in snapshot.tasks}
    ready = {
        task.feature_id
        for task in snapshot.tasks
        if task.status is TaskStatus.PENDING and task.blockers == 0
    }
    return not any(
        feature.status is FeatureStatus.LANDING
        or (_is_begun(feature) and (feature.id in ready or feature.id not in still_open))
        for feature in snapshot.features
    )


def _is_begun(feature: FeatureView) -> bool:
    return feature.status is FeatureStatus.IN_PROGRESS


def _finish_features(snapshot: Snapshot) -> Iterable[Order]:
    open_tasks = Counter(task.feature_id for task in snapshot.tasks)
    held = {run.feature_id for run in snapshot.runs}
    for feature in sorted(snapshot.features, key=lambda f: f.position):
        if open_tasks[feature.id] or feature.id in held:
            continue
        yield Land(feature.id) if feature.passing else CompleteFeature(feature.id)


def _start_coders(snapshot: Snapshot, room: int) -> Iterable[Order]:
    held = {run.feature_id for run in snapshot.runs if run.feature_id is not None}
    seats = {run.slot for run in snapshot.runs if run.kind is AgentKind.CODER}
    running = [
        task
        for task in snapshot.tasks
        if task.status is TaskStatus.IN_PROGRESS and task.feature_id in held
    ]
    for feature, task in _candidates(snapshot, held):
        if room <= 0:
            return
        if clashes(task, running):
            continue
        slot = next(n for n in range(1, len(seats) + 2) if n not in seats)
        yield StartRun(
            AgentKind.CODER,
            task.model or snapshot.rules.models.coder,
            _reason(feature, task),
            phase_id=snapshot.phase.id if snapshot.phase else None,
            feature_id=feature.id,
            task_id=task.id,
            slot=slot,
            resumes=feature.resume_run_id,
        )
        seats.add(slot)
        running.append(task)
        room -= 1


def _candidates(snapshot: Snapshot, held: set[int]) -> Sequence[tuple[FeatureView, TaskView]]:
    """The first ready task of every free feature, in the order in which work is taken up."""
    by_feature: dict[int, list[TaskView]] = {}
    for task in snapshot.tasks:
        by_feature.setdefault(task.feature_id, []).append(task)
    found = []
    for feature in snapshot.features:
        if (
            feature.waits_for
            or feature.id in held
            or feature.status in (FeatureStatus.LANDING, FeatureStatus.COMPLETED)
            or (snapshot.winding_down and not _is_begun(feature))
        ):
            continue
        ready = ready_tasks(by_feature.get(feature.id, ()), snapshot.now)
        if ready:
            found.append((feature, ready[0]))
    return sorted(found, key=_start_order)


def _start_order(pair: tuple[FeatureView, TaskView]) -> tuple[bool, int, int, int, int, int]:
    feature, task = pair
    begun = feature.passing > 0 or task.attempts > 0 or feature.resume_run_id is not None
    return (
        not begun,
        min(feature.priority, task.priority),
        task.priority,
        -task.rank,
        task.complexity,
        feature.position,
    )


def ready_tasks(tasks: Iterable[TaskView], now: datetime) -> list[TaskView]:
    """Tasks of one feature that could be worked on now, first one first."""
    ready = [
        task
        for task in tasks
        if task.status is TaskStatus.PENDING
        and task.blockers == 0
        and (task.not_before is None or task.not_before <= now)
    ]
    return sorted(
        ready,
        key=lambda t: (t.deferred, t.attempts == 0, t.priority, -t.rank, t.position),
    )


def batch_with(first: TaskView, others: Sequence[TaskView], *, taken: int, batch: int,
               model: str, coder_model: str) -> TaskView | None:  # fmt: skip
    """The next task a run may take after `taken` ones, or None: small ones share a run."""
    if taken >= batch or first.complexity > SMALL:
        return None
    for task in others:
        if task.complexity <= SMALL and (task.model or coder_model) == model:
            return task
    return None


def clashes(task: TaskView, running: Sequence[TaskView]) -> bool:
    """Work on the same declared files is kept apart; solo work runs alone."""
    if not running:
        return False
    if task.category == SOLO_CATEGORY or any(t.category == SOLO_CATEGORY for t in running):
        return True
    files = set(task.files)
    return any(files & set(other.files) for other in running)


def _reason(feature: FeatureView, task: TaskView) -> str:
    if task.attempts:
        return f"try {task.attempts + 1} of a task that is begun"
    if feature.passing:
        return f"{feature.name} is begun, and this is its next ready task"
    if task.priority != TASK_PRIORITY:
        return f"priority {task.priority}"
    if feature.priority != FEATURE_PRIORITY:
        return f"priority {feature.priority} of {feature.name}"
    points = "point" if task.rank == 1 else "points"
    return f"{task.rank} {points} of work wait behind it"
