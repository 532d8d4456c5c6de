"""Agents: at work, tried again, guided; what they did and why."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from bot.cards import answers, formatting, labels
from bot.cards.rendering import code
from bot.commands.command import Call, Reply
from bot.commands.replies import lines
from core.domain.cards import TableBlock, TextFile
from core.domain.events import Level
from core.domain.lifecycle import ProjectStatus, RunStatus, TaskStatus
from core.domain.markup import COMMAND
from core.domain.mention import task_numbers
from core.domain.redaction import clean
from core.errors import InputError
from core.operations import guidance, inquiries, tasks
from core.views import journal, members, projects, runs
from core.views import tasks as view
from core.views.journal import JournalLine
from core.views.projects import ProjectRef, ProjectSummary
from core.views.runs import AtWork
from core.views.tasks import TaskView

_ENTRIES = 25
_KEPT = 1_000  # entries in the file beside them
_NAMED = 8


def agents(tx: Session, call: Call) -> Reply:
    """Who works on what, in this project, or in all of them."""
    found = runs.at_work(tx, call.project.id if call.project else None)
    where = f" for {call.project.name}" if call.project else ""
    if not found:
        return Reply(title=f"No agent works{where} now", project=call.project)
    home = () if call.project else ("Project",)
    activity = call.services.activity()
    return Reply(
        title=f"{formatting.count(len(found), 'agent')}{where}",
        table=TableBlock(
            ("Agent", "Model", *home, "Task", "Doing", "For", "Cost"),
            tuple(_agent(each, activity.get(each.run_id, ""), call) for each in found),
        ),
        project=call.project,
    )


def _agent(each: AtWork, activity: str, call: Call) -> tuple[str, ...]:
    waits = each.status is RunStatus.WAITING
    return (
        each.agent,
        formatting.model(each.model),
        *(() if call.project else (each.project,)),
        f"{each.task} {formatting.one_line(each.task_name, 80)}" if each.task else "",
        f"{labels.WAITS} waits for an answer"
        if waits
        else f"{labels.PROGRESS} {formatting.one_line(labels.doing(activity), 80)}",
        formatting.duration((call.now - each.started_at).total_seconds()),
        formatting.UNKNOWN if each.cost_usd is None else formatting.usd(each.cost_usd),
    )


def retry(tx: Session, call: Call) -> Reply:
    row = view.task(tx, call.here.id, call.number("n"))
    reply = retry_it(tx, call, row, call.values.get("model"))
    return replace(reply, title=reply.said, project=call.here)


def retry_it(tx: Session, call: Call, row: TaskView, model: str | None) -> Reply:
    """New attempts for a stuck or skipped task, with another model if one is named."""
    tasks.retry(
        tx,
        row.row_id,
        model=model,
        by=call.person,
        max_attempts=call.services.rules(tx, row.project_id).agents.max_attempts,
        now=call.now,
    )
    with_model = f" with {formatting.model(model)}" if model else ""
    return Reply(said=f"Task {row.id} is tried again{with_model}.", begun=row.project_id)


def guide(tx: Session, call: Call) -> Reply:
    row = view.task(tx, call.here.id, call.number("n"))
    reply = guide_it(tx, call, row, call.values["text"])
    return replace(reply, title=reply.said, project=call.here)


def guide_it(tx: Session, call: Call, row: TaskView, hint: str) -> Reply:
    stood = guidance.guide(
        tx,
        row.row_id,
        hint,
        person=call.person,
        max_attempts=call.services.rules(tx, row.project_id).agents.max_attempts,
        inbox_id=call.item_id,
        now=call.now,
    )
    what = {
        TaskStatus.IN_PROGRESS: "its agent gets the hint at its next step",
        TaskStatus.STUCK: "it is tried again with the hint",
    }.get(stood, "its next attempt gets the hint")
    return Reply(said=f"Task {row.id}: {what}", begun=row.project_id)


def logs(tx: Session, call: Call) -> Reply:
    level = Level(call.values["level"]) if "level" in call.values else None
    if "n" in call.values:
        return task_log(tx, call, view.task(tx, call.here.id, call.number("n")), level)
    return project_log(tx, call, call.here, level)


def project_log(tx: Session, call: Call, project: ProjectRef, level: Level | None = None) -> Reply:
    found = journal.newest(tx, project_id=project.id, levels=_from(level), limit=_KEPT)
    return _entries(tx, call, found, f"Log of {project.name}", project)


def task_log(tx: Session, call: Call, row: TaskView, level: Level | None = None) -> Reply:
    found = journal.newest(tx, task_row_id=row.row_id, levels=_from(level), limit=_KEPT)
    project = projects.summary(tx, row.project_id).ref
    return _entries(tx, call, found, f"Log of task {row.id} {row.name}", project)


def _from(level: Level | None) -> Sequence[Level]:
    """A level shows itself and what is worse."""
    levels = tuple(Level)
    return levels[levels.index(level) :] if level else levels


def _entries(
    tx: Session, call: Call, found: Sequence[JournalLine], title: str, project: ProjectRef
) -> Reply:
    """The newest entries, oldest first."""
    scene = call.services.scene(call.now)
    whole = None
    if len(found) > _ENTRIES:
        names = members.names_of(tx, [line.actor for line in found])
        written = (_written(line, names[line.actor]) for line in found)
        whole = TextFile("log.txt", "".join(written))
    return Reply(
        title=title,
        body=lines(
            *(f"- {answers.entry(tx, line, scene)}" for line in found[-_ENTRIES:]),
            f"Before that: {code(whole.name)}, {formatting.count(len(found), 'line')}"
            if whole
            else "",
        )
        or "Nothing is written there.",
        whole=whole,
        project=project,
    )


def _written(line: JournalLine, who: str) -> str:
    text = " ".join(clean(line.text).split())
    return f"{line.at:%Y-%m-%d %H:%M:%S} UTC {line.level} {line.event}: {text} · {who}\n"


def why(tx: Session, call: Call) -> Reply:
    """What led to where a task stands."""
    return why_it(tx, call, view.task(tx, call.here.id, call.number("n")), call.here)


def why_it(tx: Session, call: Call, row: TaskView, project: ProjectRef) -> Reply:
    return Reply(
        title=f"Why task {row.id} {row.name}",
        body=lines(
            *answers.why(tx, row, call.services.scene(call.now)),
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
    project = projects.summary(tx, call.project.id)
    why_not = _UNREAD.get(project.status)
    if why_not is not None:
        return _from_journal(tx, call, project, text, why_not)
    inquiries.begin(
        tx, project.id, text, inbox_id=call.item_id, place=call.place, by=call.person, now=call.now
    )
    return Reply(said="An assistant reads the project; its answer comes here.", begun=project.id)


def _from_journal(
    tx: Session, call: Call, project: ProjectSummary, text: str, why_not: str
) -> Reply:
    scene = call.services.scene(call.now)
    for number in task_numbers(text):
        row = view.by_number(tx, project.id, number)
        if row is None:
            continue
        found = why_it(tx, call, row, call.here)
        return replace(found, body=lines(found.body, f"{why_not}: this is what the journal says."))
    return Reply(
        title=f"{project.name} is {project.status.words}",
        body=lines(
            *answers.standing(tx, project.id, scene)[1:],
            f"{why_not}: this is what the journal and the board say.",
            f"More: `{COMMAND} why N` · `{COMMAND} logs` · `{COMMAND} diff`",
        ),
        project=call.here,
    )


def _no_project(tx: Session, text: str) -> InputError:
    known = projects.names(tx)
    if not known:
        return InputError(
            "There is no project to ask about yet.",
            hint=f"Begin one: `{COMMAND} new todo-api`",
        )
    shown = ", ".join(known[:_NAMED]) + (
        f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    )
    line = formatting.one_line(text, 60).replace("`", "'")
    return InputError(
        f"Which project is meant? There are: {shown}.",
        hint=f'`{COMMAND} ask project:"{known[0]}" {line}`, or choose one for this'
        f" channel: `{COMMAND} use {known[0]}`",
    )
