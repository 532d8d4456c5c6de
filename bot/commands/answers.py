"""What a person says, picks or fills in, as the answer to a question."""

import re
from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from bot.cards import formatting, forms
from bot.commands.command import MissingValues
from core.domain.cards import OPTION_BUTTONS, Form, Label, Press, Subject
from core.errors import InputError, NotFound
from core.views import questions
from core.views.questions import QuestionView

Values = Mapping[str, Sequence[str]]


def form(question: QuestionView) -> Form:
    return forms.answer(question.id, question.options, multiple=question.multiple)


def form_of_change(tx: Session, interview_id: int | None) -> Form | None:
    """Every answered question of an interview; None where there is none."""
    asked = questions.of_interview(tx, interview_id) if interview_id is not None else ()
    answered = [(e.id, formatting.one_line(e.text, 75)) for e in asked if e.answer is not None]
    return forms.change(answered) if answered else None


def said(question: QuestionView, text: str) -> str:
    """Labels literally, whatever case they were written in, joined by `, `; else the own words."""
    picks = [part.strip() for part in text.split(",")] if question.multiple else [text.strip()]
    labels = {option.strip().casefold(): option for option in question.options}
    found = [labels.get(pick.casefold()) for pick in picks]
    known = [each for each in found if each is not None]
    return ", ".join(dict.fromkeys(known)) if len(known) == len(found) else text


def pressed(press: Press, question: QuestionView, values: Values) -> str:
    """The chosen labels literally, joined by `, `, or the own words unchanged."""
    options = question.options
    if press.more and not (press.more == forms.CHOSEN and options):
        if press.more not in map(str, range(len(options))):
            raise NotFound("This button is not known here.", hint="Look at the newest card.")
        return options[int(press.more)]
    given = _given(question, values)
    if sum(map(len, given)) > forms.ANSWER_LIMIT:
        raise InputError(f"An answer has at most {forms.ANSWER_LIMIT:,} characters.")
    picked = [value for name in _selects(question) for value in values.get(name, ())]
    selects = len(options) > OPTION_BUTTONS or (question.multiple and options)
    if selects and any(_is_no_option(value, options) for value in picked):
        raise MissingValues(
            "That is none of the options; own words have a field of their own.", form(question)
        )
    if not given:
        choose = (
            f"Choose {'one or several' if question.multiple else 'one'}, or write your own words."
        )
        raise MissingValues(choose if options else "An answer has words.", form(question))
    if not options:
        return given[0]
    if len(given) > 1 and not question.multiple:
        raise MissingValues("One answer is wanted.", form(question))
    return ", ".join(dict.fromkeys(given))


def changed(tx: Session, question: QuestionView, values: Values) -> tuple[int, str]:
    """Which earlier answer shall be another one, and what it shall be."""
    which = next(iter(values.get(forms.WHICH, ())), "")
    meant: QuestionView | None = question
    if re.fullmatch(r"[0-9]{1,12}", which):
        meant = questions.by_id(tx, int(which))
    if meant is None or meant.interview_id != question.interview_id:
        raise NotFound("There is no such question.", hint="Look at the newest card.")
    given = _given(meant, {name: v for name, v in values.items() if name != forms.WHICH})
    if not given:
        confirm = form_of_change(tx, question.interview_id)
        raise MissingValues("What shall it be instead?", confirm)
    return meant.id, ", ".join(dict.fromkeys(given))


def _given(question: QuestionView, values: Values) -> list[str]:
    """What was filled in, unchanged; in the question's own select a place means its option.

    A card of an earlier version has the select under the button's name, its values the labels.
    """
    options = question.options
    now, before = _selects(question)
    found: list[str] = []
    for name, several in values.items():
        for value in several:
            labelled = name == before and value in options
            if name in (now, before) and not labelled and _is_place(value, options):
                found.append(options[int(value)])
            elif not formatting.is_blank(value):
                found.append(value)
    return found


def _selects(question: QuestionView) -> tuple[str, str]:
    """The names a question's select has, now and on the cards of an earlier version."""
    before = Press(Label.ANSWER, Subject.QUESTION, question.id).encode()
    return forms.chosen_name(question.id), before


def _is_no_option(value: str, options: Sequence[str]) -> bool:
    return not (formatting.is_blank(value) or value in options or _is_place(value, options))


def _is_place(value: str, options: Sequence[str]) -> bool:
    return re.fullmatch(r"[0-9]{1,3}", value) is not None and int(value) < len(options)
