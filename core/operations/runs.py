"""Runs: begun, mapped to processes, parked, ended; and what becomes of their tasks."""

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from typing import assert_never
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from core.domain import failure, orders
from core.domain.agents import PROFILES, AgentKind, Purpose, RunOutcome
from core.domain.events import Event, Level
from core.domain.failure import EndedHow, RunEnd
from core.domain.lifecycle import Cause, FeatureStatus, RunStatus, TaskStatus, WaitingFor, move
from core.domain.order import StartRun
from core.domain.rules import Rules
from core.operations import (
    inquiries,
    journal,
    planners,
    projects,
    questions,
    specs,
    spending,
    tasks,
)
from core.store.tables import (
    AgentProcess,
    Feature,
    Project,
    Question,
    Run,
    RunTask,
    Task,
)
from core.views.tasks import TaskBrief, brief


@dataclass(frozen=True)
class RunRef:
    """What carrying out needs to know of a run that was begun."""

    id: int
    kind: AgentKind
    model: str
    session_id: str
    takes_over: bool  # goes on in the worktree and session of an earlier run
    leftover: bool  # the worktree may hold what an earlier run left, unwanted now
    answers: tuple[tuple[str, str], ...]  # questions answered since, and their answers
    answer: str | None  # the one that its session, which ended on its question, waits for
    feature_id: int | None
    feature_slug: str | None
    phase_id: int | None
    first_task: TaskBrief | None
    last_green_commit: str | None
    prepared: bool
    slot: int
    interview_id: int | None
    inquiry_id: int | None


def begin(
    tx: Session,
    project_id: int,
    order: StartRun,
    *,
    session_id: UUID,
    boot_id: str,
    host: str,
    now: datetime,
) -> RunRef | None:
    """Write a run and give it its first task; None when the order is out of date.

    A run whose worktree and session go on takes both over if its task and model are the same.
    """
    task = tx.get(Task, order.task_id) if order.task_id else None
    holds = PROFILES[order.kind].purpose is Purpose.TASKS
    if holds and (task is None or task.status is not TaskStatus.PENDING):
        return None
    feature = tx.get(Feature, order.feature_id) if order.feature_id else None
    earlier = _resumable(tx, order)
    run = Run(
        project_id=project_id,
        kind=order.kind,
        status=RunStatus.STARTING,
        feature_id=order.feature_id,
        phase_id=order.phase_id,
        interview_id=order.interview_id,
        inquiry_id=order.inquiry_id,
        slot=order.slot,
        model=order.model,
        session_id=earlier.session_id if earlier else str(session_id),
        resumes_id=earlier.id if earlier else None,
        boot_id=boot_id,
        host=host,
        attempt=(task.attempts if task else 0) + 1,
        reserved_micro_usd=_median_cost(tx, project_id, order.kind),
        reason=order.reason,
        settings=dict(tx.get_one(Project, project_id).settings),
        started_at=now,
    )
    tx.add(run)
    tx.flush()
    if feature is not None:
        feature.resume_run_id = None
        if feature.status in (FeatureStatus.PENDING, FeatureStatus.READY):
            move(feature, FeatureStatus.IN_PROGRESS, by=Cause.SERVICE)
    journal.record(
        tx,
        Event.RUN_RESUMED if earlier else Event.RUN_STARTED,
        f"{order.kind.value}-{order.slot} begins with {order.model}: {order.reason}.",
        now=now, run=run, task=task,
        data={"reason": order.reason, "resumes": earlier.id if earlier else None},
    )  # fmt: skip
    if task is not None:
        tasks.claim(tx, task, run, now=now)
    if run.inquiry_id is not None:
        inquiries.taken_up(tx, run.inquiry_id, now=now)
    return RunRef(
        id=run.id,
        kind=run.kind,
        model=run.model,
        session_id=run.session_id,
        takes_over=earlier is not None,
        leftover=order.resumes is not None and earlier is None,
        answers=_answers(tx, earlier) if earlier else (),
        answer=None,
        feature_id=run.feature_id,
        feature_slug=feature.slug if feature else None,
        phase_id=run.phase_id,
        first_task=brief(tx, task.id) if task else None,
        last_green_commit=feature.last_green_commit if feature else None,
        prepared=feature.prepared if feature else False,
        slot=run.slot,
        interview_id=run.interview_id,
        inquiry_id=run.inquiry_id,
    )


def _resumable(tx: Session, order: StartRun) -> Run | None:
    if order.resumes is None:
        return None
    earlier = tx.get(Run, order.resumes)
    if earlier is None or earlier.kind is not order.kind:
        return None
    if earlier.model != order.model and not PROFILES[order.kind].awaited:
        return None
    if order.task_id and tx.get(RunTask, (earlier.id, order.task_id)) is None:
        return None
    return earlier


def _median_cost(tx: Session, project_id: int, kind: AgentKind) -> int:
    """The median of the project's last ended runs of this kind, in micro-dollars."""
    costs = sorted(spending.run_costs(tx, project_id, kind, limit=21))
    return costs[len(costs) // 2] if costs else 0


def fresh_start(tx: Session, run_id: int, session_id: UUID) -> None:
    """The session cannot go on (its transcript is gone): this run begins a new one.

    It still takes over: what people answered before is told to whoever takes over from it.
    """
    tx.get_one(Run, run_id).session_id = str(session_id)


def worktree_ready(
    tx: Session, feature_id: int, commit: str, *, prepared: bool | None = None
) -> None:
    """The branch stands at this proved commit; `setup` ran there or not."""
    feature = tx.get_one(Feature, feature_id)
    feature.last_green_commit = commit
    if prepared is not None:
        feature.prepared = prepared


def register_process(
    tx: Session, run_id: int, kind: AgentKind, model: str, work: str, *, now: datetime
) -> int:
    row = AgentProcess(kind=kind, model=model, work=work, run_id=run_id, registered_at=now)
    tx.add(row)
    tx.flush()
    _works(tx, run_id)
    return row.id


def _works(tx: Session, run_id: int) -> Run:
    """A run works once a process has it."""
    run = tx.get_one(Run, run_id)
    if run.status is RunStatus.STARTING:
        move(run, RunStatus.WORKING, by=Cause.SERVICE)
    return run


def process_started(tx: Session, process: int, pid: int, created_at: float) -> None:
    row = tx.get_one(AgentProcess, process)
    row.pid, row.pid_created_at = pid, created_at
    if row.run_id:
        tx.get_one(Run, row.run_id).pid = pid


def assign_process(tx: Session, process: int, run_id: int, session_id: str) -> None:
    """A warm process takes up a run, in the session it began when it was cleared."""
    row = tx.get_one(AgentProcess, process)
    row.run_id = run_id
    run = _works(tx, run_id)
    run.pid, run.session_id = row.pid, session_id


def process_ended(tx: Session, process: int, *, now: datetime) -> None:
    row = tx.get_one(AgentProcess, process)
    row.run_id = None
    row.ended_at = now


def current_run(tx: Session, process: int) -> int | None:
    """The run a process works for now."""
    row = tx.get(AgentProcess, process)
    if row is None or row.run_id is None:
        return None
    run = tx.get_one(Run, row.run_id)
    return run.id if run.status in orders.ACTIVE else None


def rules_of(tx: Session, run_id: int, rules: Rules) -> Rules:
    """What a run follows to its end: the service's rules, less what its project had as it began."""
    return rules.of_project(tx.get_one(Run, run_id).settings)


def end(tx: Session, run_id: int, ended: RunEnd, rules: Rules, *, now: datetime) -> None:
    """Close a run; the task it still holds goes back, gets stuck, or waits for the next run.

    `rules`: the service's.
    """
    run = tx.get_one(Run, run_id)
    rules = rules.of_project(run.settings)
    profile = PROFILES[run.kind]
    if run.status in (RunStatus.WAITING, RunStatus.ENDED):
        return  # parked by an end that came before this one, or over
    cut_off = ended.how not in (EndedHow.AGENT, EndedHow.CREDENTIALS)
    if (profile.converses or cut_off) and park(tx, run_id, now=now):
        run.outcome = ended.outcome
        return  # it had asked, and need not ask again: how it ended does not matter any more
    move(run, RunStatus.ENDED, by=Cause.SERVICE)
    run.outcome = ended.outcome
    run.failure = ended.failure
    run.words = ended.words[:4000]
    run.ended_at = now
    run.reserved_micro_usd = 0
    if ended.session_id:
        run.session_id = ended.session_id
    tx.execute(update(AgentProcess).where(AgentProcess.run_id == run_id).values(run_id=None))
    journal.record(
        tx,
        Event.RUN_ENDED,
        f"{run.kind.value}-{run.slot} ended: {ended.outcome!s}.",
        now=now,
        level=Level.INFO if ended.outcome is RunOutcome.FINISHED else Level.WARNING,
        run=run,
        data={"outcome": ended.outcome.value, "words": ended.words[:500]},
    )
    match profile.purpose:
        case Purpose.TASKS:
            _give_back(tx, run, ended, rules, now=now)
        case Purpose.INQUIRY:
            inquiries.run_ended(tx, run, ended, rules, now=now)
        case Purpose.PLAN if run.interview_id is None:
            planners.run_ended(tx, run, ended, rules, now=now)
        case Purpose.PLAN | Purpose.INTERVIEW:
            specs.run_ended(tx, run, ended, rules, now=now)
        case _:
            assert_never(profile.purpose)
    if ended.how is EndedHow.CREDENTIALS:
        projects.block(tx, run.project_id, ended.words, on=WaitingFor.CREDENTIALS, now=now)
    limited = _limited_in_a_row(tx, run) if ended.how is EndedHow.WINDOW else 0
    if limited and limited % failure.WINDOW_LIMIT == 0:
        words = f"The account's limit ended {limited} runs in a row: {ended.words}"
        block(
            tx, run.project_id, run.interview_id, run.inquiry_id, words,
            on=WaitingFor.RATE_LIMIT, now=now,
        )  # fmt: skip


def _give_back(tx: Session, run: Run, ended: RunEnd, rules: Rules, *, now: datetime) -> None:
    """What a run still holds."""
    held = tasks.held_by(tx, run.id)
    questions.run_over(tx, run.id, held, now=now)
    for task in held:
        settled = failure.settle(ended.how, rules.agents, restarts=task.restarts)
        error = task.last_error if settled.attempt and task.refusals else None
        tasks.give_back(
            tx, task, settled, error=error or ended.words or "The run ended without it.",
            model=run.model, chain=rules.models.chain, now=now,
        )  # fmt: skip
        if settled.resume and run.feature_id:
            tx.get_one(Feature, run.feature_id).resume_run_id = run.id


def block(
    tx: Session, project_id: int, interview_id: int | None, inquiry_id: int | None, words: str,
    *, on: WaitingFor | None = None, now: datetime,
) -> None:  # fmt: skip
    """Block what runs work for: an addition, a question, else the whole project."""
    if interview_id is not None:
        specs.block(tx, interview_id, words, now=now)
    elif inquiry_id is not None:
        inquiries.give_up(tx, inquiry_id, words, now=now)
    else:
        projects.block(tx, project_id, words, on=on, now=now)


def _limited_in_a_row(tx: Session, run: Run) -> int:
    """How many runs of the same work the account's limit ended since another."""
    ends = tx.scalars(
        select(Run.outcome)
        .where(
            Run.project_id == run.project_id,
            Run.kind == run.kind,
            Run.feature_id.is_not_distinct_from(run.feature_id),
            Run.interview_id.is_not_distinct_from(run.interview_id),
            Run.inquiry_id.is_not_distinct_from(run.inquiry_id),
            Run.status == RunStatus.ENDED,
        )
        .order_by(Run.id.desc())
    )
    return sum(1 for _ in takewhile(lambda outcome: outcome is RunOutcome.RATE_LIMITED, ends))


def let_go(
    tx: Session, run_id: int, task_id: int, words: str, rules: Rules, *, now: datetime
) -> None:
    """The agent gives a task back while its run goes on: an attempt of the agent's own."""
    run = tx.get_one(Run, run_id)
    task = tx.get_one(Task, task_id)
    rules = rules.of_project(run.settings)
    settled = failure.settle(EndedHow.AGENT, rules.agents, restarts=task.restarts)
    error = f"{words}\n{task.last_error}" if task.refusals and task.last_error else words
    tasks.give_back(
        tx, task, settled, error=error, model=run.model, chain=rules.models.chain, now=now
    )


def asks(tx: Session, run_id: int) -> bool:
    """Whether a run asked something whose answer it does not have."""
    open_question = select(Question.id).where(
        Question.run_id == run_id, Question.delivered.is_(False)
    )
    return tx.scalars(open_question.limit(1)).first() is not None


def park(tx: Session, run_id: int, *, now: datetime) -> bool:
    """The agent ended its turn on an open question: no process, no slot, the feature kept."""
    run = tx.get_one(Run, run_id)
    if not asks(tx, run_id) or run.status is not RunStatus.WORKING:
        return False
    if PROFILES[run.kind].purpose is Purpose.TASKS and not tasks.held_by(tx, run_id):
        return False  # it went on without the answer, and is done
    move(run, RunStatus.WAITING, by=Cause.SERVICE)
    run.reserved_micro_usd = 0
    tx.execute(update(AgentProcess).where(AgentProcess.run_id == run_id).values(run_id=None))
    words = f"{run.kind.value}-{run.slot} waits for an answer."
    journal.record(tx, Event.RUN_PARKED, words, now=now, run=run)
    return True


def take_up(
    tx: Session, run_id: int, *, session_id: UUID, boot_id: str, host: str, now: datetime
) -> RunRef | None:
    """A parked run has its answer: close it and begin the run that goes on in its place."""
    parked = tx.get_one(Run, run_id)
    asked = tx.scalars(
        select(Question).where(Question.run_id == run_id, Question.delivered.is_(False))
    ).all()
    if parked.status is not RunStatus.WAITING or any(q.answer is None for q in asked):
        return None
    for question in asked:
        question.delivered = True
    held = tasks.held_by(tx, run_id)
    move(parked, RunStatus.ENDED, by=Cause.SERVICE)
    parked.outcome = parked.outcome or RunOutcome.FINISHED
    parked.ended_at = now
    for task in held:
        task.run_id = None
        move(task, TaskStatus.PENDING, by=Cause.SERVICE)
    tx.flush()
    order = StartRun(
        kind=parked.kind,
        model=parked.model,
        reason="its question was answered",
        phase_id=parked.phase_id,
        feature_id=parked.feature_id,
        task_id=held[0].id if held else None,
        slot=parked.slot,
        resumes=parked.id,
        interview_id=parked.interview_id,
    )
    run = begin(
        tx, parked.project_id, order, session_id=session_id, boot_id=boot_id, host=host, now=now
    )
    if run and run.takes_over and parked.outcome is RunOutcome.FINISHED and len(asked) == 1:
        return replace(run, answer=asked[0].answer)  # its session surely ends on the question
    return run


def _answers(tx: Session, run: Run | None) -> tuple[tuple[str, str], ...]:
    """What was asked and answered along a chain of runs that took each other over."""
    found: list[tuple[str, str]] = []
    while run is not None:
        rows = tx.scalars(
            select(Question)
            .where(Question.run_id == run.id, Question.answered_by.is_not(None))
            .order_by(Question.id.desc())
        )
        found += [(row.text, row.answer or "") for row in rows]
        run = tx.get(Run, run.resumes_id) if run.resumes_id else None
    return tuple(reversed(found))


def drop_parked(tx: Session, *where: ColumnElement[bool], now: datetime) -> None:
    """Nobody waits any more for what these runs wait for: an interview's, or a project's."""
    parked = select(Run).where(Run.status == RunStatus.WAITING, *where)
    for run in tx.scalars(parked).all():
        for task in tasks.held_by(tx, run.id):
            task.run_id = None
            move(task, TaskStatus.PENDING, by=Cause.SERVICE)
        move(run, RunStatus.ENDED, by=Cause.SERVICE)
        run.outcome = RunOutcome.STOPPED
        run.ended_at = now


def requeue(tx: Session, run_id: int, rules: Rules, *, now: datetime) -> None:
    """Close a run that an earlier life left behind, once: one that asked waits from then on."""
    if tx.get_one(Run, run_id).status is RunStatus.WAITING:
        return
    end(
        tx,
        run_id,
        RunEnd(RunOutcome.INTERRUPTED, EndedHow.SERVICE, "The service stopped."),
        rules,
        now=now,
    )
