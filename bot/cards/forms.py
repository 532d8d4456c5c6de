"""What must be filled in before a press counts: the same on a card and where it was left out."""

from collections.abc import Sequence
from dataclasses import replace

from bot.cards import labels
from core.domain.cards import OPTION_BUTTONS, Form, Input, InputKind, Label, Option, Press, Subject
from core.domain.names import NAME_LIMIT

AFTER_FEATURE = "after_feature"  # of a `Stop` that lets what is begun come to its end
ANSWER_LIMIT = 100_000

REASON = Form("Reject", (Input("reason", "What is wrong, and what is wanted instead"),))
HINT = Form("Guide", (Input("hint", "A hint for the agent"),))
VOUCH = Form("Pass", (Input("reason", "Why it may pass without a proof"),))
NAME = Form("Start a project", (Input("name", "Its name", max_length=NAME_LIMIT),))
AMOUNT = Form("Raise budget", (Input("amount", "New budget in USD, in all", max_length=20),))


def proposing(form: Form, words: str) -> Form:
    """The form with words that stand there first."""
    return replace(form, inputs=(replace(form.inputs[0], value=words), *form.inputs[1:]))


def archive(project: str) -> Form:
    return Form(f"Archive {project}? It leaves the lists for good; its files stay.", ())


def stop_after(project: str) -> Form:
    return Form(f"Stop {project} once the features at work have landed?", ())


def stop(name: str) -> Form:
    """Nothing to fill in: sending it is the confirmation."""
    return Form(f"Stop {name}? Its agents stop at once; it can be started again.", ())


CHOSEN = "chosen"


def chosen_name(question_id: int) -> str:
    """The name of the input that holds chosen options; their values are their places, from 0."""
    return Press(Label.ANSWER, Subject.QUESTION, question_id, CHOSEN).encode()


def choice(question_id: int, options: Sequence[str], *, multiple: bool) -> Input:
    """A select of a question's options; own words may stand in its place."""
    return Input(
        chosen_name(question_id),
        "Choose one or several" if multiple else "Choose one",
        InputKind.MULTI_SELECT if multiple else InputKind.SELECT,
        required=False,
        options=tuple(
            Option(label, str(place)) for place, label in enumerate(labels.labels(options))
        ),
    )


WHICH = "question"  # the input that says which earlier answer is meant
_ASKED = 25


def change(asked: Sequence[tuple[int, str]]) -> Form:
    """Going back: one of the answered questions, by id, and its new answer."""
    which = Input(
        WHICH,
        "Which question",
        InputKind.SELECT,
        options=tuple(Option(text, str(number)) for number, text in asked[-_ASKED:]),
    )
    new = Input("answer", "Your new answer", max_length=ANSWER_LIMIT)
    return Form("Change an answer", (which, new))


def answer(question_id: int, options: Sequence[str], *, multiple: bool) -> Form:
    """What `Answer` opens: own words always, below a select where buttons would be too many."""
    if not multiple and len(options) <= OPTION_BUTTONS:
        return Form("Your answer", (Input("answer", "Your answer", max_length=ANSWER_LIMIT),))
    own = Input("answer", "Or your own words", required=False, max_length=ANSWER_LIMIT)
    return Form("Your answer", (choice(question_id, options, multiple=multiple), own))
