"""Tasks: listed, read, skipped, vouched for."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from bot.cards import formatting, labels, stuck
from bot.cards.rendering import bold, code, said, spoken
from bot.commands.command import Call, Operation, Reply
from bot.commands.plan import check_line
from bot.commands.replies import lines, markdown
from core.domain.cards import Field, TableBlock, TextFile, Tone
from core.domain.lifecycle import Cause, TaskStatus
from core.domain.money import Dimension
from core.operations import evidence, tasks
from core.orchestrator.proving import task_message
from core.views import budgets, features, members, projects, stuck_tasks
from core.views import tasks as view
from core.views.tasks import Counts, TaskLine, TaskView

_SHOWN = 40


def all_tasks(tx: Session, call: Call) -> Reply:
    """The tasks, those of one status if it is named."""
    project, given = call.here, call.values.get("status")
    status = TaskStatus(given) if given else None
    found = view.lines(tx, project.id, status=status)
    what = f"{status.words} task" if status else "task"
    if not found:
        yet = "" if status else " yet"
        return Reply(title=f"{project.name} has no {what}s{yet}", project=project)
    rest = len(found) > _SHOWN
    whole = TextFile("tasks.md", f"# Tasks of {project.name}\n\n{markdown(_table(found))}\n")
    return Reply(
        title=f"{project.name}: {formatting.count(len(found), what)}",
        body=lines(
            "" if status else standing(view.counts(tx, project.id)),
            f"The first {_SHOWN}; all of them are in {code(whole.name)}." if rest else "",
        ),
        table=_table(found[:_SHOWN]),
        whole=whole if rest else None,
        project=project,
    )


def standing(counts: Counts) -> str:
    """`◐ 2 in progress · ✓ 9 passing`."""
    return " · ".join(
        f"{labels.TASK_MARKS[status]} {number} {status.words}"
        for status, number in counts.by_status
        if number
    )


def _table(found: Sequence[TaskLine]) -> TableBlock:
    return TableBlock(
        ("N", "Task", "Feature", "State", "Failed attempts"),
        tuple(
            (
                str(each.id),
                formatting.one_line(each.name, 90),
                formatting.one_line(each.feature, 60),
                f"{labels.TASK_MARKS[each.status]} {each.status.words}",
                labels.tries(each.attempts, each.error_repeats) if each.attempts else "",
            )
            for each in found
        ),
    )


def task(tx: Session, call: Call) -> Reply:
    return _task(tx, call, view.task(tx, call.here.id, call.number("n")))


def task_details(tx: Session, call: Call, row: TaskView) -> Reply:
    return replace(_task(tx, call, row), private=True)


def _task(tx: Session, call: Call, row: TaskView) -> Reply:
    project = projects.summary(tx, row.project_id)
    feature = features.feature(tx, row.project_id, row.feature_id)
    cost = budgets.cost_of(tx, row.project_id, Dimension.TASK, row.row_id)
    proof = row.evidence[-1] if row.evidence else None
    # What `attempts` counts are those that did not pass.
    made = row.attempts + (row.status is TaskStatus.PASSING and proof is not None)
    return Reply(
        title=f"Task {row.id} {row.name}",
        body=lines(
            f"{labels.TASK_MARKS[row.status]} {row.status.words} ·"
            f" {labels.tries(made, row.error_repeats)}",
            spoken(row.description, 900),
            *(f"- {said(step, 160)}" for step in row.steps[:12]),
            f"Builds on {', '.join(str(n) for n in row.depends_on)}" if row.depends_on else "",
            *(f"Check {code(check)}" for check in row.checks),
            *([bold("Last proof"), *map(check_line, proof.checks)] if proof else []),
            bold("Last error") if row.last_error else "",
            *(f"- {said(line, 200)}" for line in labels.error_lines(row.last_error or "", 6)),
            f"{bold('Hints')} {said(row.recovery_notes, 400)}" if row.recovery_notes else "",
        ),
        fields=(
            Field("Feature", formatting.one_line(feature.name, 80)),
            Field("Complexity", f"{row.complexity} of 5"),
            Field("Cost", formatting.usd(cost) if cost else formatting.UNKNOWN),
        ),
        buttons=stuck.decisions(
            stuck_tasks.stuck_task(tx, row.row_id), call.services.parts.rules.models.chain
        )
        if row.status is TaskStatus.STUCK
        else (),
        project=project.ref,
    )


def skip(tx: Session, call: Call) -> Reply:
    """End tasks unproved; all of them, or none."""
    numbers = [int(number) for number in call.values["n"].split()]
    ids = [view.task(tx, call.here.id, number).row_id for number in numbers]
    stranded = tasks.skip(tx, *ids, cause=Cause.PERSON, by=call.person, now=call.now)
    are, them = ("is", "it") if len(numbers) == 1 else ("are", "them")
    return Reply(
        title=f"{formatting.numbered('Task', numbers, len(numbers))} {are} skipped",
        body=lines(f"Nothing proves {them}.", *_stranded(stranded, them)),
        project=call.here,
        tone=Tone.WARNING,
    )


def _stranded(numbers: Sequence[int], on: str) -> Iterator[str]:
    if numbers:
        build, are = ("builds", "is") if len(numbers) == 1 else ("build", "are")
        tasks_ = formatting.numbered("Task", numbers)
        yield f"{tasks_} {build} on {on} and {are} stuck until you decide."


def skip_it(tx: Session, call: Call, row: TaskView) -> Reply:
    tasks.skip(tx, row.row_id, cause=Cause.PERSON, by=call.person, now=call.now)
    return Reply(said=f"Task {row.id} is skipped.")


async def vouch(call: Call) -> Reply | Operation:
    """A person vouches for a task: an empty commit with its trailers first, then its row."""
    workspaces, store = call.services.parts.workspaces, call.services.parts.store
    number, reason = call.number("n"), call.values["reason"]
    task_id = (await store.read(view.task, call.here.id, number)).row_id
    work = await store.read(evidence.vouching, task_id)
    feature = work.task.feature.slug
    base = work.last_green_commit or await workspaces.head(work.slug) or ""
    worktree = await workspaces.open(work.slug, feature, base)
    head = await workspaces.head(work.slug, f"refs/heads/feature/{feature}") or base
    made = await workspaces.history(work.slug, base, head)
    ours = [entry.id for entry in made if entry.task == number]  # by a life that was cut short
    message = task_message(work.task)
    commit = ours[-1] if ours else await workspaces.stamp(work.slug, base, message)
    await workspaces.advance(worktree, commit, expected=base)

    def act(tx: Session) -> Reply:
        evidence.vouch(tx, task_id, commit, reason, by=call.person, now=call.now)
        who = members.name_of(tx, call.person)
        return Reply(
            title=f"{labels.DONE} Task {number} passes: {who} vouches for it",
            body=said(reason, 500),
            project=call.here,
            begun=call.here.id,
        )

    return act
