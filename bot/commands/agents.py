"""Agents: at work, tried again, guided; what they did and why."""

from dataclasses import replace

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import answers, words
from bot.cards.frame import bold, said
from bot.commands import parsing
from bot.commands.context import names
from bot.commands.replies import lines
from bot.commands.spec import Call, Reply
from bot.commands.tasks import decided
from core.domain.events import Level
from core.domain.lifecycle import ProjectStatus, RunStatus, TaskStatus
from core.domain.mention import task_numbers
from core.domain.money import Dimension, to_usd
from core.errors import InputError
from core.operations import guidance, inquiries, tasks
from core.store.tables import (
    JournalEntry,
    Project,
    Run,
    Task,
    UsageTotal,
)
from core.views import journal
from core.views import tasks as task_views
from core.views.projects import ProjectRef

_ENTRIES = 25
_NAMED = 8
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
        body=lines(
            *(f"- {answers.entry(tx, journal.entry(tx, row.id), scene)}" for row in reversed(rows))
        )
        or "Nothing is written there.",
        project=project,
    )


def why(tx: Session, call: Call) -> Reply:
    """What led to where a task stands."""
    row = tasks.find(tx, call.here.id, call.number("n"))
    return why_it(tx, call, row, call.here)


def why_it(tx: Session, call: Call, row: Task, project: ProjectRef) -> Reply:
    return Reply(
        title=f"Why task {row.number} {row.name}",
        body=lines(
            *answers.why(
                tx, task_views.task(tx, row.project_id, row.number), call.desk.scene(call.now)
            )
        ),
        project=project,
    )


_UNREAD = {
    ProjectStatus.INTERVIEWING: "Its spec is not written yet",
    ProjectStatus.PLANNING: "Its plan is not made yet",
    ProjectStatus.STOPPED: "It is stopped, so no agent works for it",
    ProjectStatus.BLOCKED: "It is blocked, so no agent works for it",
    ProjectStatus.ARCHIVED: "It is archived, so no agent works for it",
}


def ask(tx: Session, call: Call) -> Reply:
    """Put to the project's assistant; where none may work, the journal and the board answer."""
    text = call.values["text"]
    if call.project is None:
        raise _no_project(tx, text)
    project = tx.get_one(Project, call.project.id)
    why_not = _UNREAD.get(project.status)
    if why_not is not None:
        return _from_journal(tx, call, project, text, why_not)
    inquiries.begin(
        tx, project.id, text, inbox_id=call.item_id, place=call.place, by=call.person, now=call.now
    )
    return Reply(said="An assistant reads the project; its answer comes here.", begun=project.id)


def _from_journal(tx: Session, call: Call, project: Project, text: str, why_not: str) -> Reply:
    scene = call.desk.scene(call.now)
    numbers = task_numbers(text)
    row = tx.scalars(
        select(Task).where(Task.project_id == project.id, Task.number.in_(numbers)).limit(1)
    ).first()
    if row is not None:
        found = why_it(tx, call, row, call.here)
        return replace(found, body=lines(found.body, f"{why_not}: this is what the journal says."))
    return Reply(
        title=f"{project.name} is {project.status.value.replace('_', ' ')}",
        body=lines(
            *answers.standing(tx, project.id, scene)[1:],
            f"{why_not}: this is what the journal and the board say.",
            f"More: `{parsing.COMMAND} why N` · `{parsing.COMMAND} logs` · `{parsing.COMMAND} diff`",
        ),
        project=call.here,
    )


def _no_project(tx: Session, text: str) -> InputError:
    known = names(tx)
    if not known:
        return InputError(
            "There is no project to ask about yet.",
            hint=f"Begin one: `{parsing.COMMAND} new todo-api`",
        )
    shown = ", ".join(known[:_NAMED]) + (
        f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    )
    line = wording.one_line(text, 60).replace("`", "'")
    return InputError(
        f"Which project is meant? There are: {shown}.",
        hint=f'`{parsing.COMMAND} ask project:"{known[0]}" {line}`, or choose one for this'
        f" channel: `{parsing.COMMAND} use {known[0]}`",
    )
