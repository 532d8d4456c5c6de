"""A question of an agent: buttons or a select for its options, own words always, then its answer."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from bot.cards import formatting, forms, labels
from bot.cards.rendering import (
    CardRef,
    Drawn,
    RenderContext,
    body,
    bold,
    button,
    fallback,
    footnote,
    reason,
    said,
    spoken,
    title,
)
from core.domain import markup
from core.domain.agents import AgentKind
from core.domain.cards import (
    OPTION_BUTTONS,
    Button,
    Card,
    Input,
    Label,
    Style,
    Subject,
    TextFile,
    Tone,
)
from core.domain.events import CardKind
from core.domain.lifecycle import AT_REST
from core.domain.redaction import clean
from core.views import interviews, members, projects, tasks
from core.views import questions as asked
from core.views.questions import QuestionView

TEXT = 2_000  # characters of the question that are shown
ANSWER = 600
_SURE = 2_400  # characters that stand in a body whatever they are
_FILE = "question.md"


def draw(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    question = asked.question(tx, ref.subject_id)
    project = projects.summary(tx, question.project_id)
    heading = _heading(tx, question)
    note = footnote(project.practice, scene.box)
    text = spoken(question.text, TEXT)
    if question.answer is not None:
        state, plain, tone = _over(tx, question, question.answer, scene)
        return Drawn(
            Card(
                key=ref.key,
                kind=CardKind.QUESTION,
                title=heading,
                body=body([text, "", *state], [note], rest=f"see {_FILE}"),
                fallback=fallback(heading, plain),
                project=project.name,
                tone=tone,
                whole=_whole(question),
            )
        )
    interviews_ = question.kind is AgentKind.INTERVIEWER
    hint = "Or reply in this thread." if question.options else "Or just reply in this thread."
    if interviews_:
        hint += " “just decide” lets me choose."
    waits = f"{labels.WAITS} {question.agent} waits for an answer since"
    state, short = (
        f"{waits} {scene.when(question.asked_at)}",
        f"{waits} {scene.clock(question.asked_at)}",
    )
    rests = project.status in AT_REST
    if rests:
        state = short = labels.at_rest(project.name, project.status)
    return Drawn(
        Card(
            key=ref.key,
            kind=CardKind.QUESTION,
            title=heading,
            body=body(
                [text, *_written_out(question.options)],
                [state, "" if rests else hint, note],
                rest=f"see {_FILE}",
            ),
            fallback=fallback(heading, said(question.text, 300), short),
            project=project.name,
            tone=Tone.INFO if rests else Tone.WARNING,
            buttons=() if rests else _buttons(question, interviews=interviews_),
            inputs=() if rests else _inputs(question),
            whole=_whole(question),
        )
    )


def _over(
    tx: Session, question: QuestionView, answer: str, scene: RenderContext
) -> tuple[Sequence[str], str, Tone]:
    """The answer and who gave it, or why nobody had to; the same on one line."""
    when = f", {scene.when(question.answered_at)}" if question.answered_at else ""
    if question.answered_by is None:
        why = f"Withdrawn: {reason(answer, ANSWER)}"
        return [f"{labels.STOPPED} {why}{when}"], why, Tone.INFO
    by = f"Answered by {said(members.name_of(tx, question.answered_by), 128)}"
    return [*_given(answer), f"{by}{when}"], f"{by}: {said(answer, 300)}", Tone.SUCCESS


def _given(answer: str) -> Sequence[str]:
    """An answer as it was given: what markup or lines would change stands verbatim."""
    written = formatting.cut(clean(answer).strip(), ANSWER)
    if markup.escape(written) == written and "\n" not in written:
        return [f"{labels.DONE} {bold(answer, ANSWER)}"]
    return [f"{labels.DONE} In own words:", markup.verbatim(written)]


def _whole(question: QuestionView) -> TextFile | None:
    """All that was asked and answered, where the body is too short for it."""
    answer = question.answer or ""
    listed = "\n".join(f"- {option}" for option in question.options)
    if (
        len(question.text) <= TEXT
        and len(answer) <= ANSWER
        and len(question.text) + len(listed) + len(answer) <= _SURE
    ):
        return None
    parts = (question.text, listed, f"Answer: {answer}" if answer else "")
    return TextFile(_FILE, clean("\n\n".join(part for part in parts if part)))


def _heading(tx: Session, question: QuestionView) -> str:
    """`Question 3 of 6: technology`, `coder-1 asks about task 9 Sign-in`."""
    if question.number:
        of = f" of {question.expected}" if (question.expected or 0) >= question.number else ""
        topic = f": {question.topic}" if question.topic else ""
        return title(f"Question {question.number}{of}{topic}{_addition(tx, question)}")
    task = tasks.held_by(tx, question.run_id)
    return title(f"{question.agent} asks{f' about task {task.id} {task.name}' if task else ''}")


def _addition(tx: Session, question: QuestionView) -> str:
    """What an addition is about: two may ask in one thread."""
    about = interviews.by_id(tx, question.interview_id) if question.interview_id else None
    request = formatting.one_line(about.request, 60) if about and about.number else ""
    return f" · {request}" if request else ""


def _written_out(options: Sequence[str]) -> Sequence[str]:
    """Options that a button would cut short."""
    if all(len(option) <= labels.OPTION for option in options):
        return []
    return ["", *(f"- {said(label)}" for label in labels.labels(options))]


def _inputs(question: QuestionView) -> tuple[Input, ...]:
    """What stands in the card itself: one multi-select, or a select of many options."""
    if not _chosen_in_card(question):
        return ()
    return (forms.choice(question.id, question.options, multiple=question.multiple),)


def _chosen_in_card(question: QuestionView) -> bool:
    return bool(question.options) and (question.multiple or len(question.options) > OPTION_BUTTONS)


def _buttons(question: QuestionView, *, interviews: bool) -> tuple[Button, ...]:
    found: list[Button] = []
    if question.options and not _chosen_in_card(question):
        found = [
            button(label, Label.ANSWER, Subject.QUESTION, question.id, more=str(number))
            for number, label in enumerate(labels.labels(question.options))
        ]
    own = forms.answer(question.id, question.options, multiple=False)
    found.append(
        button(
            "Answer",
            Label.ANSWER,
            Subject.QUESTION,
            question.id,
            style=Style.DEFAULT if found else Style.PRIMARY,
            form=None if _chosen_in_card(question) else own,  # then it submits what was chosen
        )
    )
    if interviews:
        found.append(button("Just decide", Label.JUST_DECIDE, Subject.QUESTION, question.id))
    return tuple(found)
