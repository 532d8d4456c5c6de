"""Answers to what people ask about a project: an assistant's, and what the journal tells alone."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from bot.cards import formatting, labels, progress
from bot.cards.rendering import (
    CardRef,
    Drawn,
    RenderContext,
    body,
    bold,
    code,
    footnote,
    said,
    spoken,
    title,
)
from core.domain import markup
from core.domain.cards import BODY_LIMIT, Card, Field, Link, TextFile, Tone
from core.domain.events import CardKind, Event, Level
from core.domain.lifecycle import InquiryStatus, ProjectStatus, RunStatus, TaskStatus
from core.domain.mention import task_numbers
from core.domain.redaction import clean
from core.errors import NotFound
from core.operations import outbox
from core.views import budgets, inquiries, journal, members, projects, runs, tasks
from core.views.inquiries import InquiryView
from core.views.journal import JournalLine
from core.views.projects import ProjectSummary
from core.views.runs import RunView
from core.views.tasks import EvidenceView, TaskView

_ANSWER = BODY_LIMIT - 300
_FILE = "answer.md"
_PLAIN = 8_000  # characters of the answer as plain text
_LAST = 6  # decisions about a task that are told
_DECISIONS = (Event.TASK_RETRIED, Event.TASK_GUIDED, Event.TASK_SKIPPED, Event.TASK_STUCK)
_MARKS = {Level.INFO: "", Level.WARNING: f"{labels.WAITS} ", Level.ERROR: f"{labels.STOPPED} "}
_SPAN = re.compile(r"`([^`\n]+)`|\*\*([^*\n]+)\*\*")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(.*)")
_HEADING = re.compile(r"#{1,6}\s+(.*)")


def draw(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    """A question, while an assistant works on it and once it is answered."""
    if not ref.subject_id:
        return _known(tx, ref)
    inquiry = inquiries.inquiry(tx, ref.subject_id)
    project = projects.summary(tx, inquiry.project_id)
    again: datetime | None = None
    tone, answer = Tone.INFO, inquiry.answer or ""
    asked = formatting.one_line(inquiry.text, 140)
    if inquiry.status is InquiryStatus.ANSWERED:
        lines = [rendered(answer, _ANSWER)]
    elif inquiry.status is InquiryStatus.GIVEN_UP:
        tone = Tone.WARNING
        state = f"No assistant could answer: {said(inquiry.trouble or '', 400)}"
        lines = [
            f"{labels.STOPPED} {state}",
            *_what_to_do(project),
            *_from_journal(tx, inquiry, scene),
        ]
    else:
        state, again = _under_way(tx, inquiry, scene)
        lines = [state]
    return Drawn(
        Card(
            key=ref.key,
            kind=CardKind.ANSWER,
            title=title(asked),
            body=body(lines, [footnote(project.practice, scene.box)], rest=f"see {_FILE}"),
            fallback=formatting.cut("\n".join([asked, *map(markup.plain, lines)]), _PLAIN),
            project=project.name,
            fields=tuple(_cost(inquiry)),
            tone=tone,
            whole=TextFile(_FILE, clean(answer)) if len(answer) > _ANSWER else None,
        ),
        again,
    )


def _known(tx: Session, ref: CardRef) -> Drawn:
    """A second `new` of the same name: the project there is, and where its thread is."""
    project = projects.summary(tx, ref.project_id)
    here = (ref.place.platform, ref.place.channel)
    places = projects.places_of(tx, project.id)
    root = next(key for place, key in places if (place.platform, place.channel) == here)
    thread = outbox.message_of(tx, ref.place, root)
    heading = title(f"{project.name} exists already")
    state = f"{labels.PROJECT_MARKS[project.status]} {project.status.words}"
    where = f"Its thread is message {thread} of this channel." if thread else ""
    return Drawn(
        Card(
            key=ref.key,
            kind=CardKind.ANSWER,
            title=heading,
            body=body([state, where]),
            fallback=f"{heading}. {where}".strip(),
            project=project.name,
            links=(Link("Open its thread", root),),
        )
    )


def _under_way(
    tx: Session, inquiry: InquiryView, scene: RenderContext
) -> tuple[str, datetime | None]:
    if inquiry.at_work:
        return f"{labels.PROGRESS} An assistant reads the project and answers here", None
    until = budgets.limit_ahead(tx, scene.upstream, scene.now)
    if until is not None:
        waits = f"The account's limit is reached until {scene.when(until)}"
        return f"{labels.WAITS} {waits}; it is answered by itself then", until
    if inquiry.not_before is not None and inquiry.not_before > scene.now:
        trouble = said(inquiry.trouble or "")
        return f"{labels.WAITS} Tried again in a moment: {trouble}", inquiry.not_before
    if inquiry.ahead:
        behind = formatting.count(inquiry.ahead, "question")
        return f"{labels.PENDING} Waits behind {behind}; they are answered one by one", None
    return f"{labels.PROGRESS} An assistant is asked", None


def _what_to_do(project: ProjectSummary) -> Iterator[str]:
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


def _from_journal(tx: Session, inquiry: InquiryView, scene: RenderContext) -> Iterator[str]:
    for number in task_numbers(inquiry.text)[:1]:
        try:
            task = tasks.task(tx, inquiry.project_id, number)
        except NotFound:
            continue
        yield bold(f"Task {task.id} {task.name}")
        yield from why(tx, task, scene)
        return
    yield from standing(tx, inquiry.project_id, scene)


def _cost(inquiry: InquiryView) -> Iterator[Field]:
    if inquiry.status is InquiryStatus.ANSWERED and inquiry.cost_usd is not None:
        yield Field("Cost", formatting.usd(inquiry.cost_usd))


def rendered(text: str, limit: int) -> str:
    """An agent's Markdown in the markup of cards; what that does not know is shown as written."""
    out: list[str] = []
    fenced = False
    for line in formatting.cut(clean(text).strip(), limit).split("\n"):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            out.append(markup.verbatim(line))
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
        made += markup.escape(line[at : found.start()])
        made += markup.code(found[1]) if found[1] else markup.bold(found[2])
        at = found.end()
    rest = markup.escape(line[at:])
    return made + rest


def why(tx: Session, task: TaskView, scene: RenderContext) -> list[str]:
    """What led to where a task stands, from its runs, proofs and journal."""
    found = [f"{labels.TASK_MARKS[task.status]} {_reason(tx, task)}"]
    for run in runs.of_task(tx, task.row_id):
        found += _run(run, [proof for proof in task.evidence if proof.run_id == run.id], scene)
    decisions = journal.of_task(tx, task.row_id, _DECISIONS)[-_LAST:]
    return found + [f"- {entry(tx, each, scene)}" for each in decisions]


def _run(run: RunView, proofs: Sequence[EvidenceView], scene: RenderContext) -> Iterator[str]:
    outcome = run.outcome.value.replace("_", " ") if run.outcome else run.status.value
    mark = labels.STOPPED if run.status is RunStatus.ENDED else labels.PROGRESS
    proved = any(proof.accepted for proof in proofs)
    state = f"{labels.DONE} passed" if proved else f"{mark} {outcome}"
    refusals = [proof for proof in proofs if not proof.accepted]
    tries = f", {formatting.count(len(refusals), 'refusal')}" if refusals else ""
    who = f"{bold(run.agent)} {said(formatting.model(run.model))}"
    yield f"- {scene.when(run.started_at)} {who}: {state}{tries}"
    red = (
        next((check for check in refusals[-1].checks if not check.green), None)
        if refusals
        else None
    )
    if red:
        yield f"  {said(labels.telling_line(red.output) or red.command, 160)}"


def entry(tx: Session, line: JournalLine, scene: RenderContext) -> str:
    """A line of the journal."""
    by = "" if line.actor == "service" else f" · {said(members.name_of(tx, line.actor), 60)}"
    return f"{scene.when(line.at)} {_MARKS[line.level]}{said(line.text, 180)}{by}"


def _reason(tx: Session, task: TaskView) -> str:
    """Why it stands where it stands, in a sentence."""
    project = projects.summary(tx, task.project_id)
    match task.status:
        case TaskStatus.PASSING:
            return f"passes after {formatting.count(task.attempts + 1, 'attempt')}"
        case TaskStatus.STUCK:
            telling = said(labels.telling_line(task.last_error or ""), 160)
            return f"is stuck: {labels.tries(task.attempts, task.error_repeats)}. {telling}".strip()
        case TaskStatus.PENDING if project.status is not ProjectStatus.RUNNING:
            return f"waits: the project is {project.status.words}"
        case _:
            return said(task.reason)


def standing(tx: Session, project_id: int, scene: RenderContext) -> list[str]:
    """How a project stands, and what it waits for."""
    board = progress.seen(tx, project_id, scene)
    counts = board.counts
    lines = [f"{said(board.name)} is {board.status.words}"]
    if counts.total:
        lines.append(f"**{counts.passing} of {counts.total}** tasks pass")
    if board.blocked_reason:
        lines.append(f"{labels.STOPPED} {said(board.blocked_reason, 300)}")
    return lines + [f"- {waits}" for waits in progress.waits_of(board, scene)]
