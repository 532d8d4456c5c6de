"""Tasks: claimed, released, stuck, and what a person decides about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from core.domain import failure, orders
from core.domain.counting import count
from core.domain.events import Event, Level
from core.domain.lifecycle import Cause, FeatureStatus, TaskStatus, move
from core.domain.rules import Rules
from core.domain.snapshot import TaskView
from core.errors import InputError, StalePress, StateError
from core.operations import journal
from core.store.tables import Feature, FeatureDependency, Run, RunTask, Task, TaskDependency
from core.views.journal import by_whom
from core.views.tasks import TaskBrief, brief, vouched


def view(task: Task) -> TaskView:
    """The task as decisions see it."""
    return TaskView(
        id=task.id,
        number=task.number,
        feature_id=task.feature_id,
        status=task.status,
        priority=task.priority,
        complexity=task.complexity,
        category=task.category,
        files=tuple(task.files),
        blockers=task.blockers,
        rank=task.rank,
        position=task.position,
        attempts=task.attempts,
        restarts=task.restarts,
        deferred=task.deferred,
        model=task.model,
        not_before=task.not_before,
    )


def held_by(tx: Session, run_id: int) -> list[Task]:
    """The tasks a run holds now: at most one."""
    return list(
        tx.scalars(select(Task).where(Task.run_id == run_id, Task.status == TaskStatus.IN_PROGRESS))
    )


def claim(tx: Session, task: Task, run: Run, *, now: datetime) -> None:
    """Give a pending task to a run."""
    move(task, TaskStatus.IN_PROGRESS, by=Cause.SERVICE)
    task.run_id = run.id
    task.refusals = 0
    if tx.get(RunTask, (run.id, task.id)) is None:
        tx.add(RunTask(run_id=run.id, task_id=task.id, claimed_at=now))
    journal.record(
        tx, Event.TASK_STARTED, f"Task {task.number} {task.name} begins.", now=now, task=task,
        run=run,
    )  # fmt: skip


@dataclass(frozen=True)
class Claimed:
    """What `task_get_next` gives: a task, or none, and how many more this run may take."""

    task: TaskBrief | None
    left: int


def held_claim(tx: Session, run_id: int, rules: Rules, *, now: datetime) -> Claimed | None:
    """The task this run holds, as `claim_next` gives it; None when it holds none.

    `rules`: the service's.
    """
    held = held_by(tx, run_id)
    if not held:
        return None
    run = tx.get_one(Run, run_id)
    rules = rules.of_project(run.settings)
    had = _had(tx, run_id)
    waiting = _waiting(tx, run) if len(had) < rules.agents.batch else ()
    return Claimed(brief(tx, held[0].id), _left(had, waiting, run.model, rules, now))


def claim_next(tx: Session, run_id: int, rules: Rules, *, now: datetime) -> Claimed:
    """The task this run holds, else the next one it may take."""
    holds = held_claim(tx, run_id, rules, now=now)
    if holds is not None:
        return holds
    run = tx.get_one(Run, run_id)
    rules = rules.of_project(run.settings)
    had, waiting = _had(tx, run_id), _waiting(tx, run)
    if not had:
        return Claimed(None, 0)
    beside = _at_work_beside(tx, run)
    taken = orders.batch_with(
        view(had[0]),
        [t for t in orders.ready_tasks(waiting, now) if not orders.clashes(t, beside)],
        taken=len(had),
        batch=rules.agents.batch,
        model=run.model,
        coder_model=rules.models.coder,
    )
    if taken is None:
        return Claimed(None, 0)
    task = tx.get_one(Task, taken.id)
    claim(tx, task, run, now=now)
    rest = [other for other in waiting if other.id != task.id]
    left = _left([*had, task], rest, run.model, rules, now)
    return Claimed(brief(tx, task.id), left)


def _had(tx: Session, run_id: int) -> list[Task]:
    return list(
        tx.scalars(
            select(Task).join(RunTask, RunTask.task_id == Task.id).where(RunTask.run_id == run_id)
        )
    )


def _at_work_beside(tx: Session, run: Run) -> list[TaskView]:
    """Tasks that other agents of the phase work on."""
    at_work = tx.scalars(
        select(Task).where(
            Task.phase_id == run.phase_id,
            Task.status == TaskStatus.IN_PROGRESS,
            Task.feature_id != run.feature_id,
        )
    )
    return [view(task) for task in at_work]


def _waiting(tx: Session, run: Run) -> list[TaskView]:
    """Pending tasks of the run's feature that it has not had."""
    pending = tx.scalars(
        select(Task)
        .where(Task.feature_id == run.feature_id, Task.status == TaskStatus.PENDING)
        .where(Task.id.not_in(select(RunTask.task_id).where(RunTask.run_id == run.id)))
    )
    return [view(task) for task in pending]


def _left(
    had: Sequence[Task],
    waiting: Sequence[TaskView],
    model: str,
    rules: Rules,
    now: datetime,
) -> int:
    if had[0].complexity > orders.SMALL:
        return 0
    fitting = [
        task
        for task in waiting
        if task.complexity <= orders.SMALL
        and (task.model or rules.models.coder) == model
        and (task.not_before is None or task.not_before <= now)
    ]
    return min(rules.agents.batch - len(had), len(fitting))


def give_back(
    tx: Session,
    task: Task,
    settlement: failure.Settlement,
    *,
    error: str,
    model: str,
    chain: Sequence[str],
    now: datetime,
) -> None:
    """A run ended, or gave up, without this task passing."""
    task.run_id = None
    task.refusals = 0
    task.restarts = settlement.restarts
    task.not_before = now + settlement.wait if settlement.wait else None
    if not settlement.attempt:
        move(task, TaskStatus.PENDING, by=Cause.SERVICE)
        journal.record(
            tx, Event.TASK_REQUEUED, f"Task {task.number} goes back to the queue: {error[:200]}",
            now=now, task=task,
        )  # fmt: skip
        return
    outcome = failure.after_attempt(
        attempts=task.attempts,
        last_signature=task.error_signature,
        repeats=task.error_repeats,
        model=model,
        error=error,
        max_attempts=task.allowed_attempts,
        chain=chain,
    )
    task.attempts = outcome.attempts
    task.error_signature = outcome.signature
    task.error_repeats = outcome.repeats
    task.model = outcome.model
    task.last_error = error
    if outcome.stuck:
        _stick(tx, task, now=now)
    else:
        move(task, TaskStatus.PENDING, by=Cause.SERVICE)
        journal.record(
            tx, Event.TASK_REQUEUED, f"Task {task.number}: attempt {task.attempts} failed.",
            now=now, level=Level.WARNING, task=task,
        )  # fmt: skip


def _stick(tx: Session, task: Task, *, now: datetime) -> None:
    move(task, TaskStatus.STUCK, by=Cause.SERVICE)
    task.stuck_at = now
    journal.record(
        tx,
        Event.TASK_STUCK,
        f"Task {task.number} {task.name} is stuck after {count(task.attempts, 'attempt')}"
        + (f", the same error {task.error_repeats} times." if task.error_repeats > 1 else "."),
        now=now,
        level=Level.WARNING,
        task=task,
    )


def stick(tx: Session, task_id: int, error: str, *, now: datetime) -> None:
    """Only a person can say how this task goes on."""
    task = tx.get_one(Task, task_id)
    task.last_error = error
    task.run_id = None
    _stick(tx, task, now=now)


def give_up(tx: Session, task_id: int, error: str, *, now: datetime) -> None:
    """An attempt after which no other one is made: a person has to look at the task."""
    tx.get_one(Task, task_id).attempts += 1
    stick(tx, task_id, error, now=now)


def defer(tx: Session, task_id: int) -> None:
    """An agent's skip: to the end of the queue, once."""
    task = tx.get_one(Task, task_id)
    if task.deferred:
        raise StateError(
            f"Task {task.number} was put off once already.",
            hint="Do it now, or call task_release with what is in the way.",
        )
    task.deferred = True


def retry(
    tx: Session, task_id: int, *, model: str | None, by: str, max_attempts: int, now: datetime
) -> None:
    """A person gives a stuck or skipped task new attempts, with another model if named."""
    task = tx.get_one(Task, task_id)
    if task.status not in (TaskStatus.STUCK, TaskStatus.SKIPPED):
        raise decided(tx, task)
    feature = tx.get_one(Feature, task.feature_id)
    if feature.status in (FeatureStatus.LANDING, FeatureStatus.COMPLETED):
        raise StateError(f"{feature.name} has landed without task {task.number}.")
    skipped = _skipped_dependencies(tx, task)
    if skipped:
        numbers = ", ".join(str(n) for n in skipped)
        one = len(skipped) == 1
        what = f"task {numbers}, which was" if one else f"tasks {numbers}, which were"
        raise StateError(
            f"Task {task.number} builds on {what} skipped.",
            hint=f"Retry {numbers} first, or skip this one too.",
        )
    move(task, TaskStatus.PENDING, by=Cause.PERSON)
    task.allowed_attempts = task.attempts + max_attempts
    task.restarts = 0
    task.error_repeats = 0
    task.not_before = None
    task.stuck_at = None
    task.model = model or task.model
    journal.record(
        tx,
        Event.TASK_RETRIED,
        f"Task {task.number} is tried again" + (f" with {model}." if model else "."),
        now=now,
        actor=by,
        task=task,
    )


def guide(
    tx: Session, task_id: int, text: str, *, by: str, max_attempts: int, now: datetime
) -> None:
    """A person's hint; a stuck task is tried again with it."""
    hint = text.strip()
    if not hint:
        raise InputError("A hint has words.", hint="Type `guide`, a space, and the hint.")
    task = tx.get_one(Task, task_id)
    if task.status in (TaskStatus.PASSING, TaskStatus.SKIPPED):
        raise decided(tx, task)
    task.recovery_notes = f"{task.recovery_notes}\n{hint}" if task.recovery_notes else hint
    journal.record(tx, Event.TASK_GUIDED, hint, now=now, actor=by, task=task)
    if task.status is TaskStatus.STUCK:
        retry(tx, task_id, model=None, by=by, max_attempts=max_attempts, now=now)


def skip(tx: Session, *task_ids: int, cause: Cause, by: str, now: datetime) -> Sequence[int]:
    """End tasks unproved: met for their phase, not for what depends on them.

    All of them or none; one that builds on another of them is skipped, not stuck first. The
    numbers of the tasks that are stuck by it.
    """
    stranded: list[int] = []
    found = [tx.get_one(Task, task_id) for task_id in task_ids]
    if cause is Cause.SERVICE:
        found = [
            task for task in found if task.status is TaskStatus.STUCK
        ]  # else a person was quicker
    for task in found:
        _may_skip(tx, task)
    for task in found:
        move(task, TaskStatus.SKIPPED, by=cause)
        journal.record(
            tx, Event.TASK_SKIPPED, f"Task {task.number} {task.name} was skipped.", now=now,
            actor=by, task=task,
        )  # fmt: skip
    for task in found:
        dependents = select(Task).join(TaskDependency, TaskDependency.task_id == Task.id)
        left = f"task {task.number}, which was skipped"
        direct = dependents.where(TaskDependency.depends_on_id == task.id)
        stranded += _strand(tx, direct, left, now=now)
        if task.merging is not None:  # it stays off `main`, and so does all that its feature is
            feature = tx.get_one(Feature, task.feature_id)
            behind = select(Task).join(
                FeatureDependency, FeatureDependency.feature_id == Task.feature_id
            )
            left = f"{feature.name}, which was left out"
            behind = behind.where(FeatureDependency.depends_on_id == feature.id)
            stranded += _strand(tx, behind, left, now=now)
    return sorted(stranded)


def _may_skip(tx: Session, task: Task) -> None:
    if task.status is TaskStatus.IN_PROGRESS:
        raise StateError(
            f"An agent works on task {task.number}.", hint="Pause the project first, or let it end."
        )
    if task.status not in (TaskStatus.PENDING, TaskStatus.STUCK):
        raise decided(tx, task)


def _strand(tx: Session, dependents: Select[Task], what: str, *, now: datetime) -> Sequence[int]:
    """What builds on something that does not come waits for a person: its numbers."""
    found = tx.scalars(dependents.where(Task.status == TaskStatus.PENDING)).all()
    for task in found:
        stick(tx, task.id, f"It builds on {what}.", now=now)
    return [task.number for task in found]


def undecided(tx: Session, task_id: int) -> None:
    """StalePress, where a task does not wait for a person any more."""
    task = tx.get_one(Task, task_id)
    if task.status is not TaskStatus.STUCK:
        raise decided(tx, task)


_DECISIONS = (Event.TASK_RETRIED, Event.TASK_SKIPPED, Event.TASK_GUIDED)


def decided(tx: Session, task: Task) -> StalePress:
    """This task does not wait for a decision; who made it, and when."""
    person = by_whom(tx, _DECISIONS, task_row_id=task.id)
    last = person or by_whom(tx, (Event.TASK_PASSED,), task_row_id=task.id)
    who = f", {'decided ' if person else ''}by {last.name}" if last else ""
    return StalePress(
        f"Task {task.number} is {task.status.words}{who}", at=last.at if last else None
    )


def _skipped_dependencies(tx: Session, task: Task) -> list[int]:
    return list(
        tx.scalars(
            select(Task.number)
            .join(TaskDependency, TaskDependency.depends_on_id == Task.id)
            .where(TaskDependency.task_id == task.id, Task.status == TaskStatus.SKIPPED)
        )
    )


def needs_merge_of_main(
    tx: Session,
    feature_id: int,
    what_collided: str,
    *,
    paths: Sequence[str],
    merging: str,
    max_attempts: int,
    now: datetime,
) -> int:
    """A landing that did not fit `main` makes a stuck task; proved tasks stay proved.

    Returns how many landings of this feature have failed.
    """
    feature = tx.get_one(Feature, feature_id)
    if feature.status is not FeatureStatus.LANDING:
        return 0
    move(feature, FeatureStatus.IN_PROGRESS, by=Cause.SERVICE)
    earlier = tx.scalars(
        select(Task).where(Task.feature_id == feature_id, Task.merging.is_not(None))
    ).all()
    last = tx.scalar(select(func.max(Task.number)).where(Task.project_id == feature.project_id))
    passed = tx.scalars(
        select(Task).where(
            Task.feature_id == feature_id, Task.status == TaskStatus.PASSING, ~vouched()
        )
    ).all()
    name = f"Bring {feature.name} up to main"
    task = Task(
        project_id=feature.project_id,
        phase_id=feature.phase_id,
        feature_id=feature.id,
        number=(last or 0) + 1,
        position=(last or 0) + 1,
        name=f"{name} ({len(earlier) + 1})" if earlier else name,
        category="landing",
        description=(
            f"The work of {feature.name} does not fit what has landed on main meanwhile."
            f" Main is merged into your worktree as far as it went; files with conflict markers"
            f" hold both sides. Make one of them, keep what either side was for, and leave no"
            f" marker.\n\n{what_collided}"
        ),
        steps=[],
        complexity=3,
        rank=3,
        checks=list(dict.fromkeys(check for t in passed for check in t.checks)),
        files=list(paths),
        status=TaskStatus.PENDING,
        allowed_attempts=max_attempts,
        merging=merging,
    )
    tx.add(task)
    tx.flush()
    journal.record(
        tx, Event.LANDING_CONFLICT, f"{feature.name} does not fit main: {what_collided[:500]}",
        now=now, level=Level.WARNING, feature=feature,
    )  # fmt: skip
    stick(tx, task.id, what_collided, now=now)
    return len(earlier) + 1
