"""A task that only a person can help on: what was tried, what went wrong, what can be done."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from statistics import median

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import forms, words
from bot.cards.frame import (
    Drawn,
    Scene,
    body,
    button,
    code,
    fallback,
    footnote,
    said,
    title,
)
from core.domain import failure
from core.domain.agents import AgentKind
from core.domain.cards import Button, Card, CardKind, Field, Label, Style, Subject, Tone
from core.domain.events import Event
from core.domain.lifecycle import RunStatus
from core.domain.money import Dimension
from core.operations import boards
from core.store.tables import JournalEntry, Project, Run, RunTask, Task, TaskDependency
from core.views import tasks
from core.views.tasks import TaskView

ERROR_LINES = 4
_TURNS = (
    Event.TASK_STUCK,
    Event.TASK_RETRIED,
    Event.TASK_GUIDED,
    Event.TASK_SKIPPED,
    Event.TASK_PASSED,
)


@dataclass(frozen=True)
class _Spell:
    """One time of being stuck; what ended it, if something did."""

    since: datetime
    words: str
    over: JournalEntry | None


def draw(tx: Session, key: str, task_id: int, scene: Scene) -> Drawn:
    task = tx.get_one(Task, task_id)
    project = tx.get_one(Project, task.project_id)
    spell = _spell(tx, task, _times(key))
    fields: tuple[Field, ...] = ()
    buttons: tuple[Button, ...] = ()
    heading = title(f"Task {task.number} is stuck: {task.name}")
    tried = words.tries(task.attempts, task.error_repeats)
    note = footnote(project.practice, scene.box)
    if spell.over is not None:
        state = _ended(spell.over, scene)
        lines = [said(spell.words, 300)]
        tone = Tone.INFO
    else:
        state = f"{words.WAITS} Waits for somebody since {scene.clock(spell.since)}"
        lines = [f"{tried}. {_others(tx, task)}", *_error(task), *_tried(tx, task)]
        tone, buttons = Tone.DANGER, decisions(tx, _view(tx, task.id), scene.chain)
        fields = _fields(tx, task, scene)
    card = Card(
        key=key,
        kind=CardKind.STUCK,
        title=heading,
        body=body(lines, [state, note]),
        fallback=fallback(f"{project.name}: {heading}", tried, state),
        project=project.name,
        fields=fields,
        tone=tone,
        buttons=buttons,
    )
    return Drawn(card)


def _times(key: str) -> int:
    """Which time it is stuck: `stuck:SLUG:NUMBER[:TIMES]`."""
    parts = key.split(":")
    return int(parts[3]) if len(parts) > 3 else 1


def _spell(tx: Session, task: Task, times: int) -> _Spell:
    entries = tx.scalars(
        select(JournalEntry)
        .where(JournalEntry.task_id == task.id, JournalEntry.event.in_(_TURNS))
        .order_by(JournalEntry.id)
    ).all()
    stuck = [place for place, entry in enumerate(entries) if entry.event is Event.TASK_STUCK]
    place = stuck[min(times, len(stuck)) - 1]
    # A hint to a stuck task is followed by the retry it leads to; the hint says more.
    over = entries[place + 1] if place + 1 < len(entries) else None
    return _Spell(entries[place].at, entries[place].text, over)


def _ended(entry: JournalEntry, scene: Scene) -> str:
    by, when = said(entry.actor, 128), scene.clock(entry.at)
    match entry.event:
        case Event.TASK_SKIPPED:
            return f"{words.STOPPED} Skipped by {by}, {when}: nothing proves it"
        case Event.TASK_GUIDED:
            return f"{words.DONE} Guided by {by}, {when}: {said(entry.text, 400)}"
        case Event.TASK_PASSED:
            return f"{words.DONE} Passed, {when}"
        case Event.TASK_RETRIED:
            return f"{words.DONE} Tried again by {by}, {when}: {said(entry.text, 200)}"
        case _:
            return f"{words.STOPPED} Stuck again, {when}"


def _others(tx: Session, task: Task) -> str:
    waiting = tx.scalars(
        select(Task.number)
        .join(TaskDependency, TaskDependency.task_id == Task.id)
        .where(TaskDependency.depends_on_id == task.id)
        .order_by(Task.number)
    ).all()
    if not waiting:
        return "Nothing depends on it; other work goes on."
    shown = ", ".join(str(number) for number in waiting[:6])
    more = f" and {len(waiting) - 6} more" if len(waiting) > 6 else ""
    return f"Task {shown}{more} waits for it; other work goes on."


def _error(task: Task) -> Iterator[str]:
    if not task.last_error:
        return
    yield ""
    for line in words.error_lines(task.last_error, ERROR_LINES):
        yield code(line, 200)


def _tried(tx: Session, task: Task) -> Iterator[str]:
    """`Tried: 3 runs of Sonnet, 2 of Opus`, and what is known of it."""
    models = tx.scalars(
        select(Run.model)
        .join(RunTask, RunTask.run_id == Run.id)
        .where(RunTask.task_id == task.id)
        .order_by(Run.id)
    )
    runs = Counter(wording.model(model) for model in models)
    if runs:
        yield ""
        told = ", ".join(
            f"{wording.count(number, 'run') if at == 0 else number} of {said(model)}"
            for at, (model, number) in enumerate(runs.items())
        )
        yield f"**Tried** {told}"
    if task.last_error:
        yield f"**Likely** {said(words.telling_line(task.last_error), 160)}"
    if task.recovery_notes:
        yield f"**Notes** {said(task.recovery_notes, 300)}"


def _fields(tx: Session, task: Task, scene: Scene) -> tuple[Field, ...]:
    cost = boards.cost_of(tx, task.project_id, Dimension.TASK, task.id)
    found = [Field("Cost so far", wording.usd(cost))]
    opus = (
        _opus_run(tx, task.project_id)
        if opus_is_stronger(tx, _view(tx, task.id), scene.chain)
        else None
    )
    if opus is not None:
        found.append(Field("With Opus", f"about {wording.usd(opus)}"))
    found.append(Field("Checks", words.some(task.checks) or "none"))
    return tuple(found)


def _opus_run(tx: Session, project_id: int) -> Decimal | None:
    """What a coder's run with Opus cost in this project, in the middle; None without one."""
    runs = tx.scalars(
        select(Run.id)
        .where(
            Run.project_id == project_id,
            Run.kind == AgentKind.CODER,
            Run.status == RunStatus.ENDED,
            Run.model.contains("opus"),
        )
        .order_by(Run.id.desc())
        .limit(11)
    )
    costs = [boards.cost_of(tx, project_id, Dimension.RUN, run) for run in runs.all()]
    return median(costs) if costs else None


def _view(tx: Session, task_id: int) -> TaskView:
    (found,) = tasks.every(tx, select(Task).where(Task.id == task_id))
    return found


def opus_is_stronger(tx: Session, task: TaskView, chain: Sequence[str]) -> bool:
    """Whether the task's last run was by a lesser model than Opus, and Opus may be asked for.

    `chain` is the service's; the project's own wins.
    """
    own = tx.get_one(Project, task.project_id).settings.get("chain")
    last = tx.scalars(
        select(Run.model)
        .join(RunTask, RunTask.run_id == Run.id)
        .where(RunTask.task_id == task.row_id)
        .order_by(Run.id.desc())
        .limit(1)
    ).first()
    return failure.is_step_up("opus", last or "", own or chain)


def decisions(tx: Session, task: TaskView, chain: Sequence[str]) -> tuple[Button, ...]:
    """What a person can do about a stuck task; a larger model only where it is one."""
    more = str(task.project_id)

    def press(text: str, label: Label, style: Style = Style.DEFAULT) -> Button:
        return button(text, label, Subject.TASK, task.id, more=more, style=style)

    guide = button("Guide", Label.GUIDE, Subject.TASK, task.id, more=more, form=forms.HINT)
    skip = press("Skip", Label.SKIP)
    if not opus_is_stronger(tx, task, chain):
        return (press("Retry", Label.RETRY, Style.PRIMARY), skip, guide)
    opus = press("Retry with Opus", Label.RETRY_WITH_OPUS, Style.PRIMARY)
    return (opus, press("Retry", Label.RETRY), skip, guide)
