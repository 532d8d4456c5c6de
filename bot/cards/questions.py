"""A question of an agent: buttons or a select for its options, own words always, then its answer."""

from sqlalchemy.orm import Session

from bot import wording
from bot.cards import forms, words
from bot.cards.frame import (
    Drawn,
    Scene,
    body,
    bold,
    button,
    fallback,
    footnote,
    said,
    spoken,
    title,
)
from core.domain import light
from core.domain.agents import AgentKind
from core.domain.cards import (
    OPTION_BUTTONS,
    Button,
    Card,
    CardKind,
    Input,
    Label,
    Style,
    Subject,
    Tone,
)
from core.domain.redaction import clean
from core.store.chat_tables import Interview
from core.store.tables import Project, Question, Run, Task

TEXT = 2_000  # characters of the question that are shown
ANSWER = 600


def _given(answer: str) -> list[str]:
    """An answer as it was given: what markup or lines would change stands verbatim."""
    written = wording.cut(clean(answer).strip(), ANSWER)
    if light.escape(written) == written and "\n" not in written:
        return [f"{words.DONE} {bold(answer, ANSWER)}"]
    return [f"{words.DONE} In own words:", *light.verbatim(written).split("\n")]


def draw(tx: Session, key: str, question_id: int, scene: Scene) -> Drawn:
    question = tx.get_one(Question, question_id)
    project = tx.get_one(Project, question.project_id)
    run = tx.get_one(Run, question.run_id)
    interviews = run.kind is AgentKind.INTERVIEWER
    heading = _heading(tx, question, run)
    note = footnote(project.practice, scene.box)
    text = spoken(question.text, TEXT)
    if question.answer is not None and question.answered_by is None:
        why = f"{words.STOPPED} Withdrawn: {said(question.answer, ANSWER)}"
        when = f", {scene.clock(question.answered_at)}" if question.answered_at else ""
        return Drawn(
            Card(
                key=key,
                kind=CardKind.QUESTION,
                title=heading,
                body=body([text, "", f"{why}{when}"], [note]),
                fallback=fallback(heading, f"Withdrawn: {question.answer}"),
                project=project.name,
            )
        )
    if question.answer is not None:
        by = f"Answered by {said(question.answered_by or '')}"
        when = f", {scene.clock(question.answered_at)}" if question.answered_at else ""
        card = Card(
            key=key,
            kind=CardKind.QUESTION,
            title=heading,
            body=body([text, "", *_given(question.answer), f"{by}{when}"], [note]),
            fallback=fallback(heading, f"Answered by {question.answered_by}: {question.answer}"),
            project=project.name,
            tone=Tone.SUCCESS,
        )
        return Drawn(card)
    hint = "Or reply in this thread." if question.options else "Or just reply in this thread."
    if interviews:
        hint += " “just decide” lets me choose."
    waits = f"{words.WAITS} {_who(run)} waits for an answer since {scene.clock(question.asked_at)}"
    card = Card(
        key=key,
        kind=CardKind.QUESTION,
        title=heading,
        body=body([text, *_long_labels(question)], [waits, hint, note]),
        fallback=fallback(heading, wording.one_line(question.text, 300), waits),
        project=project.name,
        tone=Tone.WARNING,
        buttons=_buttons(question, interviews=interviews),
        inputs=_inputs(question),
    )
    return Drawn(card)


def _heading(tx: Session, question: Question, run: Run) -> str:
    """`Question 3 of 6: technology`, `coder-1 asks about task 9 Sign-in`."""
    if question.number:
        of = f" of {question.expected}" if (question.expected or 0) >= question.number else ""
        topic = f": {question.topic}" if question.topic else ""
        return title(f"Question {question.number}{of}{topic}{_addition(tx, question)}")
    task = _task(tx, run)
    about = f" about task {task.number} {task.name}" if task else ""
    return title(f"{_who(run)} asks{about}")


def _addition(tx: Session, question: Question) -> str:
    """What an addition is about: two may ask in one thread."""
    asked = tx.get(Interview, question.interview_id) if question.interview_id else None
    request = wording.one_line(asked.request, 60) if asked and asked.number else ""
    return f" · {request}" if request else ""


def _who(run: Run) -> str:
    return f"{run.kind.value}-{run.seat}"


def _task(tx: Session, run: Run) -> Task | None:
    return tx.query(Task).filter(Task.run_id == run.id).order_by(Task.id.desc()).first()


def _long_labels(question: Question) -> list[str]:
    """Options that a button would cut short are written out."""
    if all(len(option) <= 75 for option in question.options):
        return []
    return ["", *(f"- {said(option, 200)}" for option in question.options)]


def _inputs(question: Question) -> tuple[Input, ...]:
    """What stands in the card itself: one multi-select, or a select of many options."""
    if not _chosen_in_card(question):
        return ()
    return (forms.choice(question.id, tuple(question.options), multiple=question.multiple),)


def _chosen_in_card(question: Question) -> bool:
    return bool(question.options) and (question.multiple or len(question.options) > OPTION_BUTTONS)


def _buttons(question: Question, *, interviews: bool) -> tuple[Button, ...]:
    found: list[Button] = []
    if question.options and not question.multiple and len(question.options) <= OPTION_BUTTONS:
        found = [
            button(
                wording.one_line(option),
                Label.ANSWER,
                Subject.QUESTION,
                question.id,
                more=str(number),
            )
            for number, option in enumerate(question.options)
        ]
    own = forms.answer(question.id, tuple(question.options), multiple=False)
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
