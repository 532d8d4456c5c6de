"""Evidence: what was run to prove a task, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.events import Event, Level
from core.domain.lifecycle import Cause, FeatureStatus, RunStatus, TaskStatus, move
from core.domain.proof import CheckResult, Verdict
from core.errors import InputError, StateError
from core.operations import journal, tasks
from core.store.tables import Evidence, Feature, Project, Run, RunTask, Task, TaskDependency
from core.views.runs import agent_name
from core.views.tasks import TaskBrief, brief

OUTPUT_KEPT = 20_000  # characters of a check's output in the database


def to_json(check: CheckResult) -> dict[str, Any]:
    output = check.output
    if len(output) > OUTPUT_KEPT:
        half = OUTPUT_KEPT // 2
        cut = len(output) - 2 * half
        output = f"{output[:half]}\n… {cut} characters cut …\n{output[-half:]}"
    return {
        "command": check.command,
        "exit_code": check.exit_code,
        "output": output,
        "seconds": round(check.seconds, 3),
    }


def from_json(row: Mapping[str, Any]) -> CheckResult:
    return CheckResult(row["command"], row["exit_code"], row["output"], row["seconds"])


@dataclass(frozen=True)
class Proof:
    """One attempt to prove one task."""

    verdict: Verdict
    commit: str
    checks: Sequence[CheckResult]
    own_tests: Sequence[str] = ()

    def first_red(self) -> CheckResult | None:
        return next((check for check in self.checks if not check.green), None)


def measured(tx: Session, task_id: int) -> bool:
    """Whether a task's checks ran before its first attempt."""
    return tx.get_one(Task, task_id).before is not None


def record_before(tx: Session, task_id: int, checks: Sequence[CheckResult]) -> None:
    """A task's checks before its first attempt; the first record stays."""
    task = tx.get_one(Task, task_id)
    if task.before is None:
        task.before = [to_json(check) for check in checks]


def record_proof(
    tx: Session, task_id: int, run_id: int | None, proof: Proof, *, now: datetime
) -> int:
    """Write the evidence; an accepted one makes the task pass. Refusals of this run so far."""
    task = tx.get_one(Task, task_id)
    if run_id is not None and task.run_id not in (run_id, None):
        raise StateError(f"Task {task.number} is with another run now.")
    row = Evidence(
        task_id=task.id,
        run_id=run_id,
        verdict=proof.verdict,
        accepted=proof.verdict.accepted,
        commit=proof.commit,
        own_tests=list(proof.own_tests),
        checks=[to_json(check) for check in proof.checks],
        at=now,
    )
    tx.add(row)
    actor = f"run:{run_id}" if run_id else journal.SERVICE
    if not proof.verdict.accepted:
        task.refusals += 1
        red = proof.first_red()
        task.last_error = describe(proof)
        journal.record(
            tx,
            Event.CHECK_FAILED,
            f"Task {task.number}: {proof.verdict!s}" + (f" ({red.command})" if red else ""),
            now=now,
            level=Level.WARNING,
            actor=actor,
            task=task,
        )
        return task.refusals
    run = tx.get(Run, run_id) if run_id else None
    _pass(tx, task, proof.commit, now=now)
    if run is not None:
        held = tx.get(RunTask, (run.id, task.id))
        if held is not None:
            held.passed = True
    journal.record(
        tx,
        Event.TASK_PASSED,
        f"Task {task.number} {task.name} passes at {proof.commit[:7]}.",
        now=now,
        actor=actor,
        task=task,
        run=run,
        data={"verdict": proof.verdict.value, "own_tests": list(proof.own_tests)},
    )
    return 0


@dataclass(frozen=True)
class Vouching:
    """What a person vouches for, and the commit that its own goes on top of."""

    task: TaskBrief
    slug: str
    last_green_commit: str | None


def vouching(tx: Session, task_id: int) -> Vouching:
    """A task that a person may vouch for now."""
    task = tx.get_one(Task, task_id)
    feature = tx.get_one(Feature, task.feature_id)
    if task.status not in (TaskStatus.PENDING, TaskStatus.STUCK):
        raise tasks.decided(tx, task)
    if feature.status in (FeatureStatus.LANDING, FeatureStatus.COMPLETED):
        raise StateError(f"{feature.name} has landed, or is on its way to main.")
    if task.merging is not None:
        raise StateError(
            f"Task {task.number} brings {feature.name} up to main: git has to see that it fits.",
            hint=f"`/autocoder retry {task.number}` or `/autocoder guide {task.number} TEXT`.",
        )
    run = tx.scalars(
        select(Run).where(Run.feature_id == feature.id, Run.status != RunStatus.ENDED).limit(1)
    ).first()
    if run is not None and run.status is RunStatus.WAITING:  # nor would a pause end it
        raise StateError(
            f"{agent_name(run)} waits for an answer about {feature.name}.",
            hint="Answer its question first.",
        )
    if run is not None:
        raise StateError(
            f"{agent_name(run)} works on {feature.name}.",
            hint="Vouch when it is done, or pause the project first.",
        )
    slug = tx.get_one(Project, task.project_id).slug
    return Vouching(brief(tx, task_id), slug, feature.last_green_commit)


def vouch(tx: Session, task_id: int, commit: str, reason: str, *, by: str, now: datetime) -> None:
    """A person vouches for a task that no check proves; it is marked so wherever it is shown."""
    reason = reason.strip()
    if not reason:
        raise InputError("A person who vouches for a task says why.")
    vouching(tx, task_id)
    task = tx.get_one(Task, task_id)
    tx.add(
        Evidence(
            task_id=task.id, run_id=None, verdict=Verdict.VOUCHED, accepted=True, commit=commit,
            own_tests=[], checks=[], at=now,
        )
    )  # fmt: skip
    move(task, TaskStatus.PASSING, by=Cause.PERSON)
    task.stuck_at = None
    _passed(tx, task, commit)
    journal.record(
        tx,
        Event.TASK_PASSED,
        f"Task {task.number} {task.name} passes: {by} vouches for it: {reason}"[:1000],
        now=now,
        actor=by,
        task=task,
        data={"verdict": Verdict.VOUCHED.value, "reason": reason, "own_tests": []},
    )


def _pass(tx: Session, task: Task, commit: str, *, now: datetime) -> None:
    if task.status is TaskStatus.PENDING:  # recovery proves a commit whose run is gone
        move(task, TaskStatus.IN_PROGRESS, by=Cause.SERVICE)
    move(task, TaskStatus.PASSING, by=Cause.SERVICE)
    _passed(tx, task, commit)


def _passed(tx: Session, task: Task, commit: str) -> None:
    task.refusals = 0
    task.restarts = 0
    task.not_before = None
    feature = tx.get_one(Feature, task.feature_id)
    feature.last_green_commit = commit
    unblock_dependents(tx, task)


def unblock_dependents(tx: Session, task: Task) -> None:
    dependents = tx.scalars(
        select(Task)
        .join(TaskDependency, TaskDependency.task_id == Task.id)
        .where(
            TaskDependency.depends_on_id == task.id,
            Task.feature_id == task.feature_id,
            Task.blockers > 0,
        )
    )
    for dependent in dependents:
        dependent.blockers -= 1


def describe(proof: Proof) -> str:
    """Why a proof was not accepted, for the agent and for the person at a stuck task."""
    match proof.verdict:
        case Verdict.RED:
            red = proof.first_red()
            if red is None:
                return "A check failed."
            return f"$ {red.command}\nexit {red.exit_code}\n{red.output[-6000:]}".rstrip()
        case Verdict.MOVED:
            return (
                "Files changed while the checks ran, so they prove nothing. Let no job run in"
                " the background, and add what the checks themselves write to .gitignore."
            )
        case Verdict.NOTHING_DONE:
            return (
                "Every check passed before the work and nothing has changed since: there is"
                " nothing that proves it. A person has to look at this task; it is not yours any"
                " more. Call task_get_next, or end your turn."
            )
        case Verdict.GREEN_BEFORE_STRICT:
            return (
                "Every check passed before the work began, so they do not prove it"
                " (proof.strict is on)."
            )
        case Verdict.NO_CHECKS:
            return "The task has no check that could prove it."
        case Verdict.ACCEPTED | Verdict.ALREADY_DONE | Verdict.GREEN_BEFORE | Verdict.VOUCHED:
            return ""
