"""A task that only a person can help on: what was tried, what went wrong, what can be done."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from bot.cards import formatting, forms, labels
from bot.cards.rendering import (
    CardRef,
    Drawn,
    RenderContext,
    body,
    button,
    code,
    fallback,
    footnote,
    said,
    title,
)
from core.domain import card_keys, failure
from core.domain.cards import Button, Card, Field, Label, Style, Subject, Tone
from core.domain.events import CardKind, Event
from core.domain.lifecycle import AT_REST
from core.views import members, stuck_tasks
from core.views.journal import JournalLine
from core.views.stuck_tasks import StuckTask
from core.views.tasks import TaskView

ERROR_LINES = 4


@dataclass(frozen=True)
class _Spell:
    """One time of being stuck; what ended it, if something did."""

    since: datetime
    words: str
    over: JournalLine | None


def draw(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    stuck = stuck_tasks.stuck_task(tx, ref.subject_id)
    task, project = stuck.task, stuck.project
    spell = _spell(stuck.turns, card_keys.times_stuck(ref.key))
    fields: tuple[Field, ...] = ()
    buttons: tuple[Button, ...] = ()
    heading = title(f"Task {task.id} is stuck: {task.name}")
    tried = labels.tries(task.attempts, task.error_repeats)
    if spell.over is not None:
        state = _ended(tx, spell.over, scene)
        lines = [said(spell.words, 300)]
        tone = Tone.INFO
    else:
        state = f"{labels.WAITS} Waits for somebody since {scene.when(spell.since)}"
        lines = [f"{tried}. {_others(stuck.holds_up)}", *_error(task), *_tried(stuck)]
        tone, fields = Tone.DANGER, _fields(tx, stuck, scene)
        buttons = decisions(stuck, scene.rules.models.chain)
        if project.status in AT_REST:
            state, tone, buttons = labels.at_rest(project.name, project.status), Tone.INFO, ()
    card = Card(
        key=ref.key,
        kind=CardKind.STUCK,
        title=heading,
        body=body(lines, [state, footnote(project.practice, scene.box)]),
        fallback=fallback(f"{project.name}: {heading}", tried, state),
        project=project.name,
        fields=fields,
        tone=tone,
        buttons=buttons,
    )
    return Drawn(card)


def _spell(turns: Sequence[JournalLine], times: int) -> _Spell:
    stuck = [place for place, entry in enumerate(turns) if entry.event is Event.TASK_STUCK]
    place = stuck[min(times, len(stuck)) - 1]
    # A hint to a stuck task is followed by the retry it leads to; the hint says more.
    over = turns[place + 1] if place + 1 < len(turns) else None
    return _Spell(turns[place].at, turns[place].text, over)


def _ended(tx: Session, entry: JournalLine, scene: RenderContext) -> str:
    by, when = said(members.name_of(tx, entry.actor), 128), scene.when(entry.at)
    match entry.event:
        case Event.TASK_SKIPPED:
            return f"{labels.STOPPED} Skipped by {by}, {when}: nothing proves it"
        case Event.TASK_GUIDED:
            return f"{labels.DONE} Guided by {by}, {when}: {said(entry.text, 400)}"
        case Event.TASK_PASSED:
            return f"{labels.DONE} Passed, {when}"
        case Event.TASK_RETRIED:
            return f"{labels.DONE} Tried again by {by}, {when}: {said(entry.text, 200)}"
        case _:
            return f"{labels.STOPPED} Stuck again, {when}"


def _others(numbers: Sequence[int]) -> str:
    if not numbers:
        return "Nothing depends on it; other work goes on."
    wait = "waits" if len(numbers) == 1 else "wait"
    return f"{formatting.numbered('Task', numbers)} {wait} for it; other work goes on."


def _error(task: TaskView) -> Iterator[str]:
    if not task.last_error:
        return
    yield ""
    for line in labels.error_lines(task.last_error, ERROR_LINES):
        yield code(line, 200)


def _tried(stuck: StuckTask) -> Iterator[str]:
    """`Tried: 3 runs of Sonnet, 2 of Opus`, and what is known of it."""
    task, runs = stuck.task, Counter(formatting.model(model) for model in stuck.models)
    if runs:
        yield ""
        told = ", ".join(
            f"{formatting.count(number, 'run') if at == 0 else number} of {said(model)}"
            for at, (model, number) in enumerate(runs.items())
        )
        yield f"**Tried** {told}"
    if task.last_error:
        yield f"**Likely** {said(labels.telling_line(task.last_error), 160)}"
    if task.recovery_notes:
        yield f"**Notes** {said(task.recovery_notes, 300)}"


def _fields(tx: Session, stuck: StuckTask, scene: RenderContext) -> tuple[Field, ...]:
    found = [Field("Cost so far", formatting.usd(stuck.cost_usd))]
    if opus_is_stronger(stuck, scene.rules.models.chain):
        opus = stuck_tasks.usual_cost(tx, stuck.project.id, "opus")
        if opus is not None:
            found.append(Field("With Opus", f"about {formatting.usd(opus)}"))
    found.append(Field("Checks", labels.some(stuck.task.checks) or "none"))
    return tuple(found)


def opus_is_stronger(stuck: StuckTask, chain: Sequence[str]) -> bool:
    """Whether the task's last run was by a lesser model than Opus, and Opus may be asked for.

    `chain` is the service's; the project's own wins.
    """
    last = stuck.models[-1] if stuck.models else ""
    return failure.is_step_up("opus", last, stuck.project.settings.get("chain") or chain)


def decisions(stuck: StuckTask, chain: Sequence[str]) -> tuple[Button, ...]:
    """What a person can do about a stuck task; a larger model only where it is one."""
    number, more = stuck.task.id, str(stuck.project.id)

    def press(text: str, label: Label, style: Style = Style.DEFAULT) -> Button:
        return button(text, label, Subject.TASK, number, more=more, style=style)

    guide = button("Guide", Label.GUIDE, Subject.TASK, number, more=more, form=forms.HINT)
    skip = press("Skip", Label.SKIP)
    if not opus_is_stronger(stuck, chain):
        return (press("Retry", Label.RETRY, Style.PRIMARY), skip, guide)
    opus = press("Retry with Opus", Label.RETRY_WITH_OPUS, Style.PRIMARY)
    return (opus, press("Retry", Label.RETRY), skip, guide)
