"""Agents: at work, tried again, guided; what they did and why."""

from dataclasses import replace
from itertools import pairwise

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import words
from bot.cards.frame import bold, said
from bot.commands import parsing
from bot.commands.replies import lines
from bot.commands.spec import Call, Reply
from bot.commands.tasks import decided
from core.domain.cards import Field
from core.domain.events import Event, Level
from core.domain.lifecycle import ProjectStatus, RunStatus, TaskStatus
from core.domain.money import Dimension, to_usd
from core.errors import InputError
from core.operations import boards, guidance, tasks
from core.operations.projects import ProjectRef
from core.store.tables import (
    Evidence,
    Feature,
    FeatureDependency,
    JournalEntry,
    Project,
    Run,
    RunTask,
    Task,
    UsageTotal,
)

_ENTRIES = 25
_AT_WORK = (RunStatus.QUEUED, RunStatus.STARTING, RunStatus.WORKING, RunStatus.WAITING)


def agents(tx: Session, call: Call) -> Reply:
    """Who works on what, in this project, or in all of them."""
    query = (
        select(Run, Project, Task.number, Task.name)
        .join(Project, Project.id == Run.project_id)
        .outerjoin(Task, (Task.run_id == Run.id) & (Task.status == TaskStatus.IN_PROGRESS))
        .where(Run.status.in_(_AT_WORK))
        .order_by(Run.id)
    )
    if call.project is not None:
        query = query.where(Run.project_id == call.project.id)
    rows = tx.execute(query).all()
    where = f" for {call.project.name}" if call.project else ""
    if not rows:
        return Reply(title=f"No agent works{where} now", project=call.project)
    activity = call.desk.activity()
    body: list[str] = []
    for run, project, number, name in rows:
        mark = words.WAITS if run.status is RunStatus.WAITING else words.PROGRESS
        about = f" · task {number} {said(name, 80)}" if number else ""
        home = f" · {said(project.name, 64)}" if call.project is None else ""
        doing = (
            "waits for an answer"
            if run.status is RunStatus.WAITING
            else said(words.doing(activity.get(run.id, "")), 120)
        )
        since = wording.duration((call.now - run.started_at).total_seconds())
        cost = tx.get(UsageTotal, (run.project_id, Dimension.RUN, str(run.id)))
        spent = f" · {wording.usd(to_usd(cost.micro_usd))}" if cost else ""
        agent = bold(f"{run.kind.value}-{run.seat}")
        body.append(f"- {mark} {agent} {said(wording.model(run.model))}{home}{about}")
        body.append(f"  {doing} · {since}{spent}")
    return Reply(
        title=f"{wording.count(len(rows), 'agent')}{where}", body=lines(*body), project=call.project
    )


def retry(tx: Session, call: Call) -> Reply:
    row = tasks.find(tx, call.here.id, call.number("n"))
    reply = retry_it(tx, call, row, call.values.get("model"))
    return Reply(title=reply.said, project=call.here, begun=call.here.id)


def retry_it(tx: Session, call: Call, row: Task, model: str | None) -> Reply:
    """New attempts for a stuck or skipped task, with another model if one is named."""
    if row.status not in (TaskStatus.STUCK, TaskStatus.SKIPPED):
        raise decided(tx, row)
    tasks.retry(
        tx,
        row.id,
        model=model,
        by=call.person,
        max_attempts=call.desk.rules(tx, row.project_id).max_attempts,
        now=call.now,
    )
    with_model = f" with {wording.model(model)}" if model else ""
    return Reply(said=f"Task {row.number} is tried again{with_model}.", begun=row.project_id)


def guide(tx: Session, call: Call) -> Reply:
    row = tasks.find(tx, call.here.id, call.number("n"))
    reply = guide_it(tx, call, row, call.values["text"])
    return Reply(title=reply.said, project=call.here, begun=call.here.id)


def still_stuck(tx: Session, row: Task) -> None:
    if row.status is not TaskStatus.STUCK:
        raise decided(tx, row)


def guide_it(tx: Session, call: Call, row: Task, hint: str) -> Reply:
    """A hint for a task: with its next attempt, or at the next step of who works on it."""
    if row.status in (TaskStatus.PASSING, TaskStatus.SKIPPED):
        raise decided(tx, row)
    working = row.status is TaskStatus.IN_PROGRESS
    stuck = row.status is TaskStatus.STUCK
    tasks.guide(
        tx,
        row.id,
        hint,
        by=call.person,
        max_attempts=call.desk.rules(tx, row.project_id).max_attempts,
        now=call.now,
    )
    if working:
        guidance.give(
            tx,
            row.project_id,
            hint,
            person=call.person,
            task_id=row.id,
            inbox_id=call.item_id,
            now=call.now,
        )
        what = "Its agent gets the hint at its next step"
    else:
        what = "It is tried again with the hint" if stuck else "Its next attempt gets the hint"
    return Reply(said=f"Task {row.number}: {what[0].lower()}{what[1:]}", begun=row.project_id)


def logs(tx: Session, call: Call) -> Reply:
    level = Level(call.values["level"]) if "level" in call.values else None
    if "n" in call.values:
        return task_log(tx, call, tasks.find(tx, call.here.id, call.number("n")), level)
    return _log(tx, call, call.here, level)


def project_log(tx: Session, call: Call, project: ProjectRef) -> Reply:
    return replace(_log(tx, call, project, None), private=True)


def _log(tx: Session, call: Call, project: ProjectRef, level: Level | None) -> Reply:
    query = select(JournalEntry).where(JournalEntry.project_id == project.id)
    return _entries(tx, call, query, f"Log of {project.name}", project, level)


def task_log(tx: Session, call: Call, row: Task, level: Level | None = None) -> Reply:
    project = tx.get_one(Project, row.project_id)
    query = select(JournalEntry).where(JournalEntry.task_id == row.id)
    title = f"Log of task {row.number} {row.name}"
    return _entries(
        tx, call, query, title, ProjectRef(project.id, project.name, project.slug), level
    )


def _entries(
    tx: Session,
    call: Call,
    query: Select[JournalEntry],
    title: str,
    project: ProjectRef,
    level: Level | None,
) -> Reply:
    """The newest entries, oldest first; a level shows itself and what is worse."""
    if level is not None:
        worse = [other for other in Level if list(Level).index(other) >= list(Level).index(level)]
        query = query.where(JournalEntry.level.in_(worse))
    rows = tx.scalars(query.order_by(JournalEntry.id.desc()).limit(_ENTRIES)).all()
    scene = call.desk.scene(call.now)
    return Reply(
        title=title,
        body=lines(*(f"- {_entry(row, scene.clock(row.at))}" for row in reversed(rows)))
        or "Nothing is written there.",
        project=project,
    )


_MARKS = {Level.INFO: "", Level.WARNING: f"{words.WAITS} ", Level.ERROR: f"{words.STOPPED} "}


def _entry(row: JournalEntry, at: str) -> str:
    actor = f" · {said(row.actor, 60)}" if row.actor != "service" else ""
    return f"{at} {_MARKS[row.level]}{said(row.text, 180)}{actor}"


def why(tx: Session, call: Call) -> Reply:
    """What led to where a task stands."""
    row = tasks.find(tx, call.here.id, call.number("n"))
    return why_it(tx, call, row, call.here)


def why_it(tx: Session, call: Call, row: Task, project: ProjectRef) -> Reply:
    scene = call.desk.scene(call.now)
    runs = tx.execute(
        select(Run)
        .join(RunTask, RunTask.run_id == Run.id)
        .where(RunTask.task_id == row.id)
        .order_by(Run.id)
    ).scalars()
    body = [f"{words.TASK_MARKS[row.status]} {_reason(tx, row)}"]
    for run in runs.all():
        failed = tx.scalars(
            select(Evidence)
            .where(Evidence.run_id == run.id, Evidence.task_id == row.id)
            .order_by(Evidence.id)
        ).all()
        outcome = run.outcome.value.replace("_", " ") if run.outcome else run.status.value
        proved = any(proof.accepted for proof in failed)
        mark = words.STOPPED if run.status is RunStatus.ENDED else words.PROGRESS
        state = f"{words.DONE} passed" if proved else f"{mark} {outcome}"
        refusals = [proof for proof in failed if not proof.accepted]
        tries = f", {wording.count(len(refusals), 'refusal')}" if refusals else ""
        agent = bold(f"{run.kind.value}-{run.seat}")
        body.append(
            f"- {scene.clock(run.started_at)} {agent} {said(wording.model(run.model))}: {state}{tries}"
        )
        if refusals:
            red = next((c for c in refusals[-1].checks if c["exit_code"] != 0), None)
            if red:
                body.append(f"  {said(words.telling_line(red['output']) or red['command'], 160)}")
    decisions = tx.scalars(
        select(JournalEntry)
        .where(
            JournalEntry.task_id == row.id,
            JournalEntry.event.in_(
                (Event.TASK_RETRIED, Event.TASK_GUIDED, Event.TASK_SKIPPED, Event.TASK_STUCK)
            ),
        )
        .order_by(JournalEntry.id)
    )
    body += [f"- {_entry(entry, scene.clock(entry.at))}" for entry in decisions.all()[-6:]]
    return Reply(
        title=f"Why task {row.number} {row.name}",
        body=lines(*body),
        project=project,
    )


def _reason(tx: Session, row: Task) -> str:
    """Why it stands where it stands, in a sentence."""
    match row.status:
        case TaskStatus.PASSING:
            return f"passes after {wording.count(row.attempts + 1, 'attempt')}"
        case TaskStatus.SKIPPED:
            return "was skipped: nothing proves it"
        case TaskStatus.STUCK:
            telling = said(words.telling_line(row.last_error or ""), 160)
            return f"is stuck: {words.tries(row.attempts, row.error_repeats)}. {telling}"
        case TaskStatus.IN_PROGRESS:
            run = tx.get(Run, row.run_id) if row.run_id else None
            return f"is worked on: {said(run.reason, 160)}" if run else "is worked on"
        case TaskStatus.PENDING:
            return _pending(tx, row)


def _pending(tx: Session, row: Task) -> str:
    project = tx.get_one(Project, row.project_id)
    if project.status is not ProjectStatus.RUNNING:
        return f"waits: the project is {project.status.value.replace('_', ' ')}"
    feature = tx.get_one(Feature, row.feature_id)
    behind = tx.scalars(
        select(Feature.name)
        .join(FeatureDependency, FeatureDependency.depends_on_id == Feature.id)
        .where(FeatureDependency.feature_id == feature.id, Feature.landed_commit.is_(None))
    ).all()
    if row.blockers:
        return f"waits for {wording.count(row.blockers, 'task')} of {said(feature.name, 80)}"
    if behind:
        return f"waits until {', '.join(said(name, 60) for name in behind)} has landed"
    if row.not_before is not None:
        return f"is tried again at {row.not_before:%H:%M:%S} UTC"
    return "is ready: an agent takes it up next"


def ask(tx: Session, call: Call) -> Reply:
    """Answered from the journal and the board; what that cannot tell is said."""
    text = call.values["text"]
    if call.project is None:
        raise InputError(
            "Which project is meant?",
            hint=f"`{parsing.COMMAND} ask project:NAME {wording.one_line(text, 60)}`",
        )
    number = _mentioned(text)
    if number is not None:
        row = tasks.find(tx, call.project.id, number)
        return why_it(tx, call, row, call.project)
    board = boards.load(
        tx,
        call.project.id,
        upstream=call.desk.parts.upstream,
        parallel=call.desk.parts.rules.limits.max_parallel,
    )
    counts = board.counts
    waits = [f"- {words.WAITS} {said(wait.what, 120)} waits" for wait in board.waits[:6]]
    state = board.status.value.replace("_", " ")
    return Reply(
        title=f"{call.project.name} is {state}",
        body=lines(
            f"**{counts.passing} of {counts.total}** tasks pass" if counts.total else "",
            f"{words.STOPPED} {said(board.blocked_reason, 300)}" if board.blocked_reason else "",
            *waits,
            "This is what the journal and the board say; about the code itself nobody was asked.",
            f"More: `{parsing.COMMAND} why N` · `{parsing.COMMAND} logs` · `{parsing.COMMAND} diff`",
        ),
        fields=(Field("Cost", wording.usd(board.cost_usd)),),
        project=call.project,
    )


def _mentioned(text: str) -> int | None:
    """The task a question names."""
    tokens = text.lower().replace("#", " ").split()
    for word, following in pairwise(tokens):
        number = following.strip("?.,!:;")
        if word == "task" and parsing.is_number(number):
            return int(number)
    return None
