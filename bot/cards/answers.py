"""Answers to what people ask about a project: an assistant's, and what the journal tells alone."""

import re
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import progress, words
from bot.cards.frame import Drawn, Scene, bold, code, footnote, said, spoken, title
from core.domain import light
from core.domain.cards import BODY_LIMIT, Card, CardKind, Field, Tone
from core.domain.events import Event, Level
from core.domain.lifecycle import InquiryStatus, ProjectStatus, RunStatus, TaskStatus
from core.domain.mention import task_numbers
from core.domain.money import Dimension, to_usd
from core.domain.redaction import clean
from core.operations import inquiries, outbox
from core.operations.outbox import Due
from core.store.chat_tables import Inquiry, ProjectPlace
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
from core.views import budgets

_ANSWER = BODY_LIMIT - 300
_WHOLE = 8_000  # characters of the answer as plain text
_DECISIONS = (Event.TASK_RETRIED, Event.TASK_GUIDED, Event.TASK_SKIPPED, Event.TASK_STUCK)
_MARKS = {Level.INFO: "", Level.WARNING: f"{words.WAITS} ", Level.ERROR: f"{words.STOPPED} "}
_SPAN = re.compile(r"`([^`\n]+)`|\*\*([^*\n]+)\*\*")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(.*)")
_HEADING = re.compile(r"#{1,6}\s+(.*)")


def draw_known(tx: Session, due: Due) -> Drawn:
    """A second `new` of the same name: the project there is, and where its thread is."""
    project = tx.get_one(Project, due.project_id)
    here = tx.get_one(ProjectPlace, (project.id, due.place.platform, due.place.channel))
    thread = outbox.message_of(tx, due.place, here.root_key)
    heading = title(f"{project.name} exists already")
    state = f"{words.PROJECT_MARKS[project.status]} {project.status.value.replace('_', ' ')}"
    where = f"Its thread is message {thread} of this channel." if thread else ""
    return Drawn(
        Card(
            key=due.key,
            kind=CardKind.ANSWER,
            title=heading,
            body="\n".join(line for line in (state, where) if line),
            fallback=f"{heading}. {where}".strip(),
            project=project.name,
        )
    )


def draw(tx: Session, key: str, inquiry_id: int, scene: Scene) -> Drawn:
    """A question, while an assistant works on it and once it is answered."""
    inquiry = tx.get_one(Inquiry, inquiry_id)
    project = tx.get_one(Project, inquiry.project_id)
    again: datetime | None = None
    tone, fields = Tone.INFO, tuple(_cost(tx, inquiry))
    asked = wording.one_line(inquiry.text, 140)
    if inquiry.status is InquiryStatus.ANSWERED:
        lines = [rendered(inquiry.answer or "", _ANSWER)]
    elif inquiry.status is InquiryStatus.GIVEN_UP:
        tone = Tone.WARNING
        state = f"No assistant could answer: {said(inquiry.trouble or '', 400)}"
        lines = [f"{words.STOPPED} {state}", *_what_to_do(project), *_journal(tx, inquiry, scene)]
    else:
        state, again = _under_way(tx, inquiry, scene)
        lines = [state]
    return Drawn(
        Card(
            key=key,
            kind=CardKind.ANSWER,
            title=title(asked),
            body=_fitting([*lines], footnote(project.practice, scene.box)),
            fallback=wording.cut("\n".join([asked, *map(light.plain, lines)]), _WHOLE),
            project=project.name,
            fields=fields,
            tone=tone,
        ),
        again,
    )


def _under_way(tx: Session, inquiry: Inquiry, scene: Scene) -> tuple[str, datetime | None]:
    run = tx.scalars(
        select(Run).where(Run.inquiry_id == inquiry.id, Run.status != RunStatus.ENDED).limit(1)
    ).first()
    if run is not None:
        return f"{words.PROGRESS} An assistant reads the project and answers here", None
    until = budgets.window_until(tx, scene.upstream, scene.now)
    if until is not None and until > scene.now:
        when = scene.clock(until)
        words_ = f"The account's limit is reached until **{when}**; it is answered by itself then"
        return f"{words.WAITS} {words_}", until
    if inquiry.not_before is not None and inquiry.not_before > scene.now:
        trouble = said(inquiry.trouble or "", 200)
        return f"{words.WAITS} Tried again in a moment: {trouble}", inquiry.not_before
    before = [each for each in inquiries.waiting(tx, inquiry.project_id) if each.id < inquiry.id]
    if before:
        behind = wording.count(len(before), "question")
        return f"{words.PENDING} Waits behind {behind}; they are answered one by one", None
    return f"{words.PROGRESS} An assistant is asked", None


def _what_to_do(project: Project) -> Iterator[str]:
    match project.status:
        case ProjectStatus.STOPPED | ProjectStatus.BLOCKED | ProjectStatus.PAUSED:
            start = code(f"/autocoder start {project.name}")
            yield f"{start} lets it go on; then ask again. What the journal says:"
        case ProjectStatus.ARCHIVED:
            yield "What the journal says:"
        case _:
            yield (
                f"Ask again once that is mended: {code('/autocoder check')} looks at the host,"
                f" {code('/autocoder budget')} shows what may be spent. What the journal says:"
            )


def _journal(tx: Session, inquiry: Inquiry, scene: Scene) -> Iterator[str]:
    for number in task_numbers(inquiry.text)[:1]:
        row = tx.scalars(
            select(Task).where(Task.project_id == inquiry.project_id, Task.number == number)
        ).first()
        if row is not None:
            yield bold(f"Task {row.number} {row.name}")
            yield from why(tx, row, scene)
            return
    yield from standing(tx, inquiry.project_id, scene)


def _cost(tx: Session, inquiry: Inquiry) -> Iterator[Field]:
    keys = [str(run) for run in tx.scalars(select(Run.id).where(Run.inquiry_id == inquiry.id))]
    micro = sum(
        tx.scalars(
            select(UsageTotal.micro_usd).where(
                UsageTotal.project_id == inquiry.project_id,
                UsageTotal.dimension == Dimension.RUN,
                UsageTotal.key.in_(keys),
            )
        )
    )
    if inquiry.status is InquiryStatus.ANSWERED and keys:
        yield Field("Cost", wording.usd(to_usd(micro)))


def _fitting(lines: list[str], note: str) -> str:
    """Whole lines, as many as a card takes, and the note that every card has."""
    kept: list[str] = []
    room = BODY_LIMIT - len(note) - 40
    for line in "\n".join(line for line in lines if line).split("\n"):
        if len(line) + 1 > room:
            kept.append(light.escape(wording.cut(light.plain(line), max(room // 2 - 1, 1))))
            break
        kept.append(line)
        room -= len(line) + 1
    return "\n".join([*kept, *([note] if note else [])])


def rendered(text: str, limit: int) -> str:
    """An agent's Markdown in the markup of cards; what that does not know is shown as written."""
    out: list[str] = []
    fenced = False
    for line in wording.cut(clean(text).strip(), limit).split("\n"):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            out.append(light.verbatim(line))
        elif heading := _HEADING.match(line):
            out.append(bold(heading[1]))
        elif item := _ITEM.fullmatch(line):
            out.append(f"- {_spans(item[1])}")
        else:
            out.append(_spans(line.rstrip()))
    body = "\n".join(out)
    return body if len(body) <= limit + 200 else spoken(text, limit)


def _spans(line: str) -> str:
    made, at = "", 0
    for found in _SPAN.finditer(line):
        made += light.escape(line[at : found.start()])
        made += light.code(found[1]) if found[1] else light.bold(found[2])
        at = found.end()
    rest = light.escape(line[at:])
    return made + rest


def why(tx: Session, row: Task, scene: Scene) -> list[str]:
    """What led to where a task stands, from its runs, proofs and journal."""
    runs = tx.execute(
        select(Run)
        .join(RunTask, RunTask.run_id == Run.id)
        .where(RunTask.task_id == row.id)
        .order_by(Run.id)
    ).scalars()
    body = [f"{words.TASK_MARKS[row.status]} {_reason(tx, row)}"]
    for run in runs.all():
        body += _run(tx, run, row, scene)
    decisions = tx.scalars(
        select(JournalEntry)
        .where(JournalEntry.task_id == row.id, JournalEntry.event.in_(_DECISIONS))
        .order_by(JournalEntry.id)
    )
    return body + [f"- {entry(each, scene.clock(each.at))}" for each in decisions.all()[-6:]]


def _run(tx: Session, run: Run, row: Task, scene: Scene) -> Iterator[str]:
    proofs = tx.scalars(
        select(Evidence)
        .where(Evidence.run_id == run.id, Evidence.task_id == row.id)
        .order_by(Evidence.id)
    ).all()
    outcome = run.outcome.value.replace("_", " ") if run.outcome else run.status.value
    mark = words.STOPPED if run.status is RunStatus.ENDED else words.PROGRESS
    proved = any(proof.accepted for proof in proofs)
    state = f"{words.DONE} passed" if proved else f"{mark} {outcome}"
    refusals = [proof for proof in proofs if not proof.accepted]
    tries = f", {wording.count(len(refusals), 'refusal')}" if refusals else ""
    agent = bold(f"{run.kind.value}-{run.seat}")
    yield f"- {scene.clock(run.started_at)} {agent} {said(wording.model(run.model))}: {state}{tries}"
    red = next((c for c in refusals[-1].checks if c["exit_code"] != 0), None) if refusals else None
    if red:
        yield f"  {said(words.telling_line(red['output']) or red['command'], 160)}"


def entry(row: JournalEntry, at: str) -> str:
    """A line of the journal."""
    actor = f" · {said(row.actor, 60)}" if row.actor != "service" else ""
    return f"{at} {_MARKS[row.level]}{said(row.text, 180)}{actor}"


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


def standing(tx: Session, project_id: int, scene: Scene) -> list[str]:
    """How a project stands, and what it waits for."""
    board = progress.seen(tx, project_id, scene)
    counts = board.counts
    lines = [f"{board.name} is {board.status.value.replace('_', ' ')}"]
    if counts.total:
        lines.append(f"**{counts.passing} of {counts.total}** tasks pass")
    if board.blocked_reason:
        lines.append(f"{words.STOPPED} {said(board.blocked_reason, 300)}")
    lines += [f"- {words.WAITS} {words.waits(wait)} waits" for wait in board.waits[:6]]
    return lines
