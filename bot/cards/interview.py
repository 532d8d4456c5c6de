"""The root of a project's thread, an addition's card, and the spec an interview ends with."""

import re
from collections.abc import Iterator
from typing import assert_never

from sqlalchemy.orm import Session

from bot.cards import formatting, forms, labels
from bot.cards.rendering import (
    CardRef,
    Drawn,
    RenderContext,
    body,
    bold,
    button,
    code,
    fallback,
    footnote,
    said,
    spoken,
    title,
)
from core.domain import card_keys, markup
from core.domain.cards import Button, Card, Label, Link, Subject, TextFile, Tone
from core.domain.events import CardKind
from core.domain.lifecycle import (
    AT_REST,
    INTERVIEW_OVER,
    InterviewKind,
    InterviewStatus,
    PhaseStatus,
    ProjectStatus,
)
from core.domain.redaction import clean
from core.views import interviews, journal, members, phases, plans, projects, questions
from core.views.interviews import InterviewView
from core.views.projects import ProjectSummary

REASON = 1_200
REQUEST = 600
SPEC = 2_200
_MARKED = re.compile(r"(`[^`]+`|\*\*[^*]+\*\*)")
SPEC_FILES = (".autocoder/prompts/app_spec.txt", ".autocoder/prompts/initializer_prompt.md")


def draw(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    project = projects.summary(tx, ref.project_id)
    number = card_keys.interview_number(ref.key)
    interview = interviews.by_number(tx, ref.project_id, number)
    if number and interview is not None:
        return _addition(tx, ref.key, project, interview, scene)
    mark, state = _state(tx, project, interview)
    request = interview.request if interview else ""
    since = scene.when(project.created_at)
    begun = f"Asked for by {_by(tx, interview)}, {since}" if interview else f"Since {since}"
    card = Card(
        key=ref.key,
        kind=CardKind.INTERVIEW,
        title=title(project.name),
        body=body(
            [
                f"{mark} {state}",
                *([spoken(request, REQUEST)] if request else []),
                *(_how(project.status) if interview else ()),
            ],
            [
                f"{begun}. Everything about it is in this thread.",
                footnote(project.practice, scene.box),
            ],
        ),
        fallback=fallback(project.name, state),
        project=project.name,
        tone=_tone(project.status),
        buttons=_going_back(tx, interview),
        links=_ways(tx, project, interview),
    )
    return Drawn(card)


def _ways(
    tx: Session, project: ProjectSummary, interview: InterviewView | None
) -> tuple[Link, ...]:
    """To what waits for a person: its questions, its plan."""
    if interview is None or project.status in AT_REST:
        return ()
    addition = interview.id if interview.number else None
    waits = interview.status is InterviewStatus.AWAITING_APPROVAL or (
        addition is None and project.status is ProjectStatus.AWAITING_APPROVAL
    )
    plan = plans.latest(tx, project.id, addition) if waits else None
    asked = [each for each in questions.of_interview(tx, interview.id) if each.answer is None]
    return (
        *(Link(f"Answer {q.agent}", card_keys.question(project.slug, q.id)) for q in asked),
        *([Link("Review the plan", card_keys.plan(project.slug, plan.version))] if plan else []),
    )


def _by(tx: Session, interview: InterviewView) -> str:
    return said(members.name_of(tx, interview.by), 128)


def _how(status: ProjectStatus) -> Iterator[str]:
    if status is ProjectStatus.INTERVIEWING:
        yield (
            "I ask a few short questions in the thread. Answer with a button or in your own words;"
            " a file or a picture is material for me. **just decide** lets me choose."
        )


def _state(
    tx: Session, project: ProjectSummary, interview: InterviewView | None
) -> tuple[str, str]:
    match project.status:
        case ProjectStatus.INTERVIEWING:
            return _asking(tx, interview) if interview else (labels.PROGRESS, "Interview")
        case ProjectStatus.PLANNING:
            return labels.PROGRESS, "The spec is written; the plan is being made"
        case ProjectStatus.AWAITING_APPROVAL:
            return labels.WAITS, "The plan waits for an approver"
        case ProjectStatus.RUNNING:
            after = "; it stops after the features at work" if project.winding_down_by else ""
            return labels.PROGRESS, f"Being built: {_how_far(tx, project)}{after}"
        case ProjectStatus.PAUSED:
            return labels.STOPPED, "Paused"
        case ProjectStatus.BLOCKED:
            return labels.STOPPED, f"Blocked: {said(project.blocked_reason or '', 300)}"
        case ProjectStatus.COMPLETED:
            return labels.DONE, "Complete"
        case ProjectStatus.STOPPED:
            return labels.STOPPED, "Stopped"
        case ProjectStatus.ARCHIVED:
            return labels.STOPPED, "Archived"
        case _:
            assert_never(project.status)


def _how_far(tx: Session, project: ProjectSummary) -> str:
    """`phase 1 of 2`."""
    statuses = [phase.status for phase in phases.every(tx, project.id)]
    done = sum(status is PhaseStatus.COMPLETED for status in statuses)
    return f"phase {done + 1} of {len(statuses)}" if done < len(statuses) else "the report"


def _going_back(tx: Session, interview: InterviewView | None) -> tuple[Button, ...]:
    """While it asks, an earlier answer may be changed."""
    if interview is None or interview.status is not InterviewStatus.ASKING:
        return ()
    answered = [
        each for each in questions.of_interview(tx, interview.id) if each.answer is not None
    ]
    if not answered:
        return ()
    form = forms.change([(each.id, formatting.one_line(each.text, 75)) for each in answered])
    last = answered[-1].id
    return (button("Change an answer", Label.CHANGE_ANSWER, Subject.QUESTION, last, form=form),)


def _asking(tx: Session, interview: InterviewView) -> tuple[str, str]:
    if interview.status is InterviewStatus.CHECKING:
        return labels.PROGRESS, "Interview: the spec is being checked"
    if any(each.answer is None for each in questions.of_interview(tx, interview.id)):
        return labels.WAITS, f"Interview: question {interview.asked} waits for an answer"
    if interview.asked:
        answered = formatting.count(interview.asked, "question")
        return labels.PROGRESS, f"Interview: {answered} answered, the interviewer is at work"
    return labels.PROGRESS, "Interview: the interviewer is at work"


def _tone(status: ProjectStatus) -> Tone:
    match status:
        case ProjectStatus.COMPLETED:
            return Tone.SUCCESS
        case ProjectStatus.BLOCKED:
            return Tone.DANGER
        case ProjectStatus.PAUSED | ProjectStatus.STOPPED | ProjectStatus.AWAITING_APPROVAL:
            return Tone.WARNING
        case (
            ProjectStatus.INTERVIEWING
            | ProjectStatus.PLANNING
            | ProjectStatus.RUNNING
            | ProjectStatus.ARCHIVED
        ):
            return Tone.INFO
        case _:
            assert_never(status)


def _addition(
    tx: Session, key: str, project: ProjectSummary, interview: InterviewView, scene: RenderContext
) -> Drawn:
    mark, state, tone = _addition_state(tx, interview)
    if project.status in AT_REST and interview.status not in INTERVIEW_OVER:
        (mark, state), tone = _state(tx, project, interview), Tone.INFO
    heading = title(f"{_ADDED[interview.kind]} for {project.name}")
    card = Card(
        key=key,
        kind=CardKind.INTERVIEW,
        title=heading,
        body=body(
            [f"{mark} {state}", spoken(interview.request, REQUEST), *_way_out(interview)],
            [
                f"Asked for by {_by(tx, interview)}, {scene.when(interview.begun_at)}",
                footnote(project.practice, scene.box),
            ],
        ),
        fallback=fallback(heading, state),
        project=project.name,
        tone=tone,
        buttons=_going_back(tx, interview),
        links=_ways(tx, project, interview),
    )
    return Drawn(card)


def _way_out(interview: InterviewView) -> Iterator[str]:
    """Why it does not go on, beside the first line, and what can be done."""
    if interview.status is InterviewStatus.BLOCKED:
        more = (interview.blocked_reason or "").partition("\n")[2]
        if more:
            yield spoken(more, REASON)
        yield "`/autocoder resume` lets it go on, `/autocoder withdraw` gives it up."


_ADDED = {
    InterviewKind.PROJECT: "A spec",
    InterviewKind.FEATURE: "A new feature",
    InterviewKind.PHASE: "A new phase",
    InterviewKind.TASK: "A new task",
    InterviewKind.SPEC: "A change of the spec",
    InterviewKind.JOB: "A job",
}


def _addition_state(tx: Session, interview: InterviewView) -> tuple[str, str, Tone]:
    match interview.status:
        case InterviewStatus.ASKING | InterviewStatus.CHECKING:
            return *_asking(tx, interview), Tone.INFO
        case InterviewStatus.PLANNING:
            return labels.PROGRESS, "What is new is being planned", Tone.INFO
        case InterviewStatus.AWAITING_APPROVAL:
            return labels.WAITS, "The plan waits for an approver", Tone.WARNING
        case InterviewStatus.DONE:
            return labels.DONE, "Taken into the plan", Tone.SUCCESS
        case InterviewStatus.BLOCKED:
            reason = said((interview.blocked_reason or "").partition("\n")[0], 500)
            return labels.STOPPED, f"Blocked: {reason}", Tone.DANGER
        case InterviewStatus.WITHDRAWN:
            return labels.STOPPED, "Withdrawn", Tone.INFO
        case _:
            assert_never(interview.status)


def draw_spec(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    """The spec as far as a card takes it, and where it is whole."""
    entry = journal.entry(tx, ref.subject_id)
    project = projects.summary(tx, ref.project_id)
    heading = title(f"Spec of {project.name}")
    first, second = (code(name) for name in SPEC_FILES)
    commit = str(entry.data.get("commit") or project.first_commit or "")
    at = f" at {code(formatting.commit(commit))}" if commit else ""
    text = str(entry.data.get("excerpt") or "")
    state = f"{labels.DONE} On main{at}: {first} and {second}"
    shown = excerpt(text, SPEC)
    is_all = entry.data.get("characters") == len(text)  # that is kept; more of it is in the file
    asking = f"The whole text: {code(f'/autocoder spec {project.name}')}."
    card = Card(
        key=ref.key,
        kind=CardKind.SPEC,
        title=heading,
        body=body(
            shown,
            [
                state,
                asking,
                "The planner makes the plan of it now.",
                footnote(project.practice, scene.box),
            ],
        ),
        fallback=fallback(heading, f"On main at {formatting.commit(commit)}"),
        project=project.name,
        tone=Tone.SUCCESS,
        whole=TextFile("spec.md", clean(text)) if is_all and len(text) > SPEC else None,
    )
    return Drawn(card)


def excerpt(text: str, limit: int) -> list[str]:
    """Its paragraphs and points, each on one line; headings bold, as a body has none."""
    made: list[str] = []
    open_line = ""
    for line in [*formatting.cut(clean(text).strip(), limit).split("\n"), ""]:
        plain = line.strip()
        heading = plain.startswith("#") and plain.lstrip("# ")
        starts = plain.startswith(("#", "- ", "* "))
        if open_line and (starts or not plain):
            made.append(_inline(open_line))
            open_line = ""
        if (heading or not plain) and made and made[-1]:
            made.append("")
        if heading:
            made.append(bold(heading))
        elif plain.startswith(("- ", "* ")):
            open_line = f"- {plain[2:]}"
        elif plain:
            open_line = f"{open_line} {plain}" if open_line else plain
    return made


def _inline(line: str) -> str:
    """Words of the spec with its code and its bold ones."""
    item = "- " if line.startswith("- ") else ""
    found = []
    for part in _MARKED.split(formatting.cut(line.removeprefix("- "), 600)):
        if len(part) > 2 and part.startswith("`"):
            found.append(markup.code(part[1:-1]))
        elif len(part) > 4 and part.startswith("**"):
            found.append(markup.bold(part[2:-2]))
        else:
            found.append(markup.escape(part))
    return item + "".join(found)
