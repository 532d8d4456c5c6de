"""What somebody's words mean as an answer."""

from collections.abc import Sequence

import pytest

from bot.commands import answers
from bot.commands.command import MissingValues
from core.domain.agents import AgentKind
from core.domain.cards import Label, Press, Subject
from core.views.questions import QuestionView
from tests.unit.bot.commands.stage import NOW

OPTIONS = ("One", "Two", "Three")


def question(options: Sequence[str], *, multiple: bool) -> QuestionView:
    return QuestionView(
        id=1, project_id=1, run_id=1, kind=AgentKind.CODER, agent="coder-1", text="Which?",
        options=options, multiple=multiple, interview_id=None, number=0, topic="", expected=None,
        asked_at=NOW, answer=None, answered_by=None, answered_at=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("two", "Two"),
        ("two , ONE, two", "Two, One"),
        ("one, maybe", "one, maybe"),
        ("2", "2"),  # in a thread nobody saw numbers
        (" as I say ", " as I say "),
    ],
)
def test_labels_pick_options_and_all_else_is_own_words(line: str, meant: str) -> None:
    assert answers.said(question(OPTIONS, multiple=True), line) == meant


def test_one_answer_holds_its_commas() -> None:
    assert answers.said(question(OPTIONS, multiple=False), "one, two") == "one, two"
    named = question(("One, two", "Three"), multiple=False)
    assert answers.said(named, "one, TWO") == "One, two"


@pytest.mark.parametrize(
    ("options", "multiple", "said"),
    [
        (OPTIONS, True, "Choose one or several, or write your own words."),
        (OPTIONS, False, "Choose one, or write your own words."),
        ((), False, "An answer has words."),
    ],
)
def test_what_is_missing_is_what_was_asked_for(
    options: Sequence[str], multiple: bool, said: str
) -> None:
    asked = question(options, multiple=multiple)
    press = Press(Label.ANSWER, Subject.QUESTION, 1)
    with pytest.raises(MissingValues) as missing:
        answers.pressed(press, asked, {"answer": (" ",)})
    assert str(missing.value) == said
    assert missing.value.form == answers.form(asked)
