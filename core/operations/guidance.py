"""Guidance: a person's words for agents at work, taken up by one at its next step."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from core.domain import card_keys, markup
from core.domain.cards import Card
from core.domain.events import CardKind, Event
from core.domain.lifecycle import TaskStatus
from core.operations import journal, outbox, runs, tasks
from core.ports.chat import Place
from core.store.chat_tables import Guidance, InboxItem
from core.store.tables import Project, Run, Task
from core.views.members import name_of

WAITING = "Noted: the agents get it at their next step"
QUOTED = 120  # characters of it that its line repeats


@dataclass(frozen=True)
class Hint:
    """What an agent is told."""

    id: int
    person: str  # as they are called
    text: str


def give(
    tx: Session,
    project_id: int,
    text: str,
    *,
    person: str,
    task_id: int | None = None,
    inbox_id: int | None = None,
    now: datetime,
) -> int:
    """Keep it until an agent at work on the project, or on this task, takes its next step."""
    row = Guidance(
        project_id=project_id,
        task_id=task_id,
        inbox_id=inbox_id,
        text=text,
        person=person,
        said_at=now,
    )
    tx.add(row)
    journal.record(
        tx, Event.GUIDANCE_GIVEN, text[:500], now=now, actor=person,
        project=tx.get_one(Project, project_id), task=tx.get(Task, task_id) if task_id else None,
        data={"guidance": row.id},
    )  # fmt: skip
    return row.id


def guide(
    tx: Session,
    task_id: int,
    text: str,
    *,
    person: str,
    max_attempts: int,
    inbox_id: int,
    now: datetime,
) -> TaskStatus:
    """A hint for a task: with its next attempt, or at the next step of who works on it.

    Returns how the task stood.
    """
    task = tx.get_one(Task, task_id)
    before = task.status
    tasks.guide(tx, task_id, text, by=person, max_attempts=max_attempts, now=now)
    if before is TaskStatus.IN_PROGRESS:
        give(
            tx, task.project_id, text, person=person, task_id=task_id, inbox_id=inbox_id, now=now
        )  # fmt: skip
    return before


def waits_for(tx: Session, process: int) -> int | None:
    """The run of a process, if something waits for its agent."""
    run_id = runs.current_run(tx, process)
    task = _held(tx, run_id) if run_id is not None else None
    if task is None or tx.scalars(_waiting(task).limit(1)).first() is None:
        return None
    return run_id


def take(tx: Session, run_id: int, *, now: datetime) -> tuple[Hint, ...]:
    """Everything that waits for the agent of a run that holds a task; nobody else gets it.

    It is kept with the task, so that a later attempt reads it too, and the line that acknowledged
    it says who took it up.
    """
    run = tx.get_one(Run, run_id)
    task = _held(tx, run_id)
    if task is None:
        return ()
    taken = []
    for row in tx.scalars(_waiting(task).order_by(Guidance.id)).all():
        row.taken_by = run_id
        row.taken_at = now
        who = name_of(tx, row.person)
        if row.task_id is None:  # a hint for a task is with it already
            notes = f"{who} says: {row.text}"
            task.recovery_notes = (
                f"{task.recovery_notes}\n{notes}" if task.recovery_notes else notes
            )
        journal.record(
            tx, Event.GUIDANCE_TAKEN, f"Taken up in task {task.number}: {row.text[:200]}", now=now,
            actor=f"run:{run_id}", task=task, run=run, data={"guidance": row.id},
        )  # fmt: skip
        if row.inbox_id is not None:
            _acknowledge(tx, row, row.inbox_id, run, task, now=now)
        taken.append(Hint(row.id, who, row.text))
    return tuple(taken)


def _waiting(task: Task) -> Select[Guidance]:
    return select(Guidance).where(
        Guidance.project_id == task.project_id,
        Guidance.taken_by.is_(None),
        or_(Guidance.task_id.is_(None), Guidance.task_id == task.id),
    )


def _held(tx: Session, run_id: int) -> Task | None:
    return tx.scalars(
        select(Task).where(Task.run_id == run_id, Task.status == TaskStatus.IN_PROGRESS)
    ).first()


def _acknowledge(
    tx: Session, row: Guidance, inbox_id: int, run: Run, task: Task, *, now: datetime
) -> None:
    item = tx.get_one(InboxItem, inbox_id)
    said = " ".join(row.text.split())
    quoted = said if len(said) <= QUOTED else f"{said[: QUOTED - 1].rstrip()}…"
    title = f"✓ taken up in task {task.number}"
    about = f"{run.kind.value}-{run.slot}, {task.number} {task.name}"
    outbox.resay(
        tx,
        Place(item.platform, item.channel, item.thread),
        Card(
            key=card_keys.reply(CardKind.ANSWER, item.id),
            kind=CardKind.ANSWER,
            title=title,
            body=f"{markup.escape(quoted)}\n{markup.escape(about)}",
            fallback=f"{title}: {quoted}",
            project=tx.get_one(Project, row.project_id).name,
        ),
        now=now,
    )
