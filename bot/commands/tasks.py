"""Tasks: listed, read, skipped, vouched for."""

from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import stuck, words
from bot.cards.frame import bold, code, said, spoken
from bot.commands import parsing
from bot.commands.context import by_whom, last_said
from bot.commands.plan import check_line
from bot.commands.replies import lines
from bot.commands.spec import Call, Operation, Reply
from core.domain.cards import Field, Tone
from core.domain.events import Event
from core.domain.lifecycle import Cause, FeatureStatus, RunStatus, TaskStatus
from core.domain.money import Dimension, to_usd
from core.errors import StalePress, StateError
from core.operations import evidence, tasks
from core.orchestrator.proving import task_message
from core.store.tables import Evidence, Feature, Project, Run, Task, TaskDependency, UsageTotal
from core.views import stuck_tasks
from core.views.projects import ProjectRef

_SHOWN = 60


def all_tasks(tx: Session, call: Call) -> Reply:
    """The tasks, those of one status if it is named."""
    project = call.here
    query = select(Task).where(Task.project_id == project.id)
    status = call.values.get("status")
    if status:
        query = query.where(Task.status == TaskStatus(status.replace(" ", "_")))
    rows = tx.scalars(query.order_by(Task.number).limit(_SHOWN + 1)).all()
    if not rows:
        what = f"{status.replace('_', ' ')} tasks" if status else "tasks yet"
        return Reply(title=f"{project.name} has no {what}", project=project)
    names = {
        row.id: row.name
        for row in tx.scalars(select(Feature).where(Feature.project_id == project.id))
    }
    body: list[str] = []
    last = None
    for row in rows[:_SHOWN]:
        if row.feature_id != last:
            body.append(bold(names[row.feature_id], 100))
            last = row.feature_id
        tried = f" · {words.tries(row.attempts, row.error_repeats)}" if row.attempts else ""
        state = row.status.value.replace("_", " ")
        body.append(
            f"- {words.TASK_MARKS[row.status]} {row.number} {said(row.name, 90)} · {state}{tried}"
        )
    if len(rows) > _SHOWN:
        body.append("… and more; name a status to see fewer")
    return Reply(title=f"Tasks of {project.name}", body=lines(*body), project=project)


def task(tx: Session, call: Call) -> Reply:
    return _task(tx, call, tasks.find(tx, call.here.id, call.number("n")), call.here)


def task_details(tx: Session, call: Call, row: Task) -> Reply:
    project = tx.get_one(Project, row.project_id)
    return replace(
        _task(tx, call, row, ProjectRef(project.id, project.name, project.slug)), private=True
    )


def _task(tx: Session, call: Call, row: Task, project: ProjectRef) -> Reply:
    feature = tx.get_one(Feature, row.feature_id)
    cost = tx.get(UsageTotal, (project.id, Dimension.TASK, str(row.id)))
    needs = tx.scalars(
        select(Task.number)
        .join(TaskDependency, TaskDependency.depends_on_id == Task.id)
        .where(TaskDependency.task_id == row.id)
        .order_by(Task.number)
    ).all()
    proof = tx.scalars(
        select(Evidence).where(Evidence.task_id == row.id).order_by(Evidence.id.desc()).limit(1)
    ).first()
    state = row.status.value.replace("_", " ")
    # What `attempts` counts are those that did not pass.
    made = row.attempts + (row.status is TaskStatus.PASSING and proof is not None)
    return Reply(
        title=f"Task {row.number} {row.name}",
        body=lines(
            f"{words.TASK_MARKS[row.status]} {state} · {words.tries(made, row.error_repeats)}",
            spoken(row.description, 900),
            *(f"- {said(step, 160)}" for step in row.steps[:12]),
            f"Builds on {', '.join(str(n) for n in needs)}" if needs else "",
            *(f"Check {code(check)}" for check in row.checks),
            *(
                [bold("Last proof"), *(check_line(evidence.from_json(c)) for c in proof.checks)]
                if proof
                else []
            ),
            bold("Last error") if row.last_error else "",
            *(f"- {said(line, 200)}" for line in words.error_lines(row.last_error or "", 6)),
            f"{bold('Hints')} {said(row.recovery_notes, 400)}" if row.recovery_notes else "",
        ),
        fields=(
            Field("Feature", wording.one_line(feature.name, 80)),
            Field("Complexity", f"{row.complexity} of 5"),
            Field("Cost", wording.usd(to_usd(cost.micro_usd)) if cost else wording.UNKNOWN),
        ),
        buttons=stuck.decisions(
            stuck_tasks.stuck_task(tx, row.id), call.desk.parts.rules.policy.chain
        )
        if row.status is TaskStatus.STUCK
        else (),
        project=project,
    )


def skip(tx: Session, call: Call) -> Reply:
    """End tasks unproved; all of them, or none."""
    numbers = [int(number) for number in call.values["n"].split()]
    rows = [tasks.find(tx, call.here.id, number) for number in numbers]
    for row in rows:
        skip_it(tx, call, row)
    listed = ", ".join(str(number) for number in numbers)
    return Reply(
        title=f"Task {listed} {'is' if len(rows) == 1 else 'are'} skipped",
        body="Nothing proves it; what builds on it is stuck until you decide.",
        project=call.here,
        tone=Tone.WARNING,
    )


_DECISIONS = (Event.TASK_RETRIED, Event.TASK_SKIPPED, Event.TASK_GUIDED)


def decided(tx: Session, row: Task) -> StalePress:
    """This task does not wait for a decision; who made it, and when."""
    state = row.status.value.replace("_", " ")
    person = by_whom(last_said(tx, _DECISIONS, task_id=row.id))
    agent = by_whom(last_said(tx, (Event.TASK_PASSED,), task_id=row.id))
    since = f",{agent}" if agent else ""
    what = f"was decided{person} and is {state}" if person else f"is {state}{since}"
    return StalePress(f"Task {row.number} {what}; nothing was changed.")


def skip_it(tx: Session, call: Call, row: Task) -> Reply:
    if row.status is TaskStatus.IN_PROGRESS:
        raise StateError(
            f"An agent works on task {row.number}.", hint="Pause the project first, or let it end."
        )
    if row.status not in (TaskStatus.PENDING, TaskStatus.STUCK):
        raise decided(tx, row)
    tasks.skip(tx, row.id, cause=Cause.PERSON, by=call.person, now=call.now)
    return Reply(said=f"Task {row.number} is skipped.")


@dataclass(frozen=True)
class _Vouched:
    """A task a person vouches for, and the commit its own goes on top of."""

    task_id: int
    slug: str
    feature_slug: str
    good_commit: str | None
    message: str


async def vouch(call: Call) -> Reply | Operation:
    """A person vouches for a task: an empty commit with its trailers first, then its row."""
    workspaces = call.desk.parts.workspaces
    number, reason = call.number("n"), call.values["reason"]
    work = await call.desk.parts.store.read(_vouched, call.here, number)
    base = work.good_commit or await workspaces.head(work.slug) or ""
    worktree = await workspaces.open(work.slug, work.feature_slug, base)
    head = await workspaces.head(work.slug, f"refs/heads/feature/{work.feature_slug}") or base
    made = await workspaces.history(work.slug, base, head)
    ours = [entry.id for entry in made if entry.task == number]  # by a life that was cut short
    commit = ours[-1] if ours else await workspaces.stamp(work.slug, base, work.message)
    await workspaces.advance(worktree, commit, expected=base)

    def act(tx: Session) -> Reply:
        _vouched(tx, call.here, number)
        evidence.vouch(tx, work.task_id, commit, reason, by=call.person, now=call.now)
        return Reply(
            title=f"{words.DONE} Task {number} passes: {call.person} vouches for it",
            body=said(reason, 500),
            project=call.here,
            begun=call.here.id,
        )

    return act


def _vouched(tx: Session, project: ProjectRef, number: int) -> _Vouched:
    row = tasks.find(tx, project.id, number)
    feature = tx.get_one(Feature, row.feature_id)
    if row.status not in (TaskStatus.PENDING, TaskStatus.STUCK):
        raise decided(tx, row)
    if feature.status in (FeatureStatus.LANDING, FeatureStatus.COMPLETED):
        raise StateError(f"{feature.name} has landed, or is on its way to main.")
    if row.merging is not None:
        raise StateError(
            f"Task {number} brings {feature.name} up to main: git has to see that it fits.",
            hint=f"`{parsing.COMMAND} retry {number}` or `{parsing.COMMAND} guide {number} TEXT`.",
        )
    run = tx.scalars(
        select(Run).where(Run.feature_id == feature.id, Run.status != RunStatus.ENDED).limit(1)
    ).first()
    if run is not None and run.status is RunStatus.WAITING:  # nor would a pause end it
        raise StateError(
            f"{run.kind.value}-{run.seat} waits for an answer about {feature.name}.",
            hint="Answer its question first.",
        )
    if run is not None:
        raise StateError(
            f"{run.kind.value}-{run.seat} works on {feature.name}.",
            hint="Vouch when it is done, or pause the project first.",
        )
    return _Vouched(
        task_id=row.id,
        slug=project.slug,
        feature_slug=feature.slug,
        good_commit=feature.good_commit,
        message=task_message(tasks.brief(tx, row)),
    )
