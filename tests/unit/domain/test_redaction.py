"""What looks like a secret, and what this process knows to be one, is hidden; all else stays."""

from dataclasses import replace

import pytest

from core.domain import markup
from core.domain.cards import (
    Button,
    Card,
    Field,
    Form,
    Input,
    InputKind,
    Label,
    Link,
    Option,
    Picture,
    Press,
    Subject,
    TableBlock,
    TextFile,
)
from core.domain.events import CardKind
from core.domain.redaction import HIDDEN, Redaction, redacted
from core.ports.chat import Outcome

# In parts, so that no file holds one.
SHAPES = [
    ("sk-ant-", "api03-abc_DEF-123"),
    ("xoxb-", "123456789-abc"),
    ("xapp-", "1-A0123456-789"),
    *((f"gh{kind}_", "a1" * 18) for kind in "pousr"),
    ("github_pat_", "a1_" * 10),
    ("AKIA", "ABCDEFGHIJKLMNOP"),
    ("M" + "a1" * 12, ".abc-12." + "z" * 27),
]


@pytest.mark.parametrize(("beginning", "rest"), SHAPES)
@pytest.mark.parametrize("around", ["{}", "a {} b", "KEY={}\n", '{{"key":"{}"}}', "({})"])
def test_a_shape_is_hidden_wherever_it_stands(beginning: str, rest: str, around: str) -> None:
    secret = beginning + rest
    assert Redaction()(around.format(secret)) == around.format(HIDDEN)
    twice = " ".join([around] * 2)
    assert Redaction()(twice.format(secret, secret)) == twice.format(HIDDEN, HIDDEN)


def test_an_address_and_a_header_keep_their_words() -> None:
    value = "abcdefgh01234567"
    assert Redaction()(f"/?token={value}&x=1") == f"/?token={HIDDEN}&x=1"
    assert Redaction()(f"Authorization: Bearer {value}.") == f"Authorization: Bearer {HIDDEN}"


def test_what_is_known_is_hidden_the_longest_first() -> None:
    redact = Redaction(["12345678", "12345678-and-more", "short"])
    assert redact("12345678-and-more 12345678 short") == f"{HIDDEN} {HIDDEN} short"


@pytest.mark.parametrize(
    "text", ["", "sk-ant-", "xoxo-kisses", "AKIA", "a bearer of news", "1.2.3", "token=", "ghost_"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert Redaction(["", "x"])(text) == text


SECRET = "a-secret*of-this[process"


def whole(word: str) -> Card:
    """A card with this word in every text it has."""
    asked = Press(Label.ANSWER, Subject.QUESTION, 7)
    choice = Input(
        asked.encode(), word, InputKind.SELECT, value=word,
        options=(Option("a", "a"), Option(word, word)),
    )  # fmt: skip
    return Card(
        key="question:todo-api:7",
        kind=CardKind.QUESTION,
        title=word,
        body=f"- {markup.escape(word)}",
        fallback=word,
        project=word,
        fields=(Field(word, word),),
        pictures=(Picture("/api/pictures/plan/1.svg", word),),
        buttons=(Button(word, asked, form=Form(word, (choice,))),),
        inputs=(choice,),
        links=(Link(word, f"https://example.org/{word}"),),
        table=TableBlock((word,), ((word,), (word,))),
        whole=TextFile(f"{word}.md", word),
    )


def test_no_text_of_a_card_shows_a_secret_and_its_buttons_do_the_same() -> None:
    card = redacted(whole(SECRET), Redaction([SECRET]))
    assert SECRET not in repr(card)
    assert markup.escape(SECRET) not in card.body
    words = whole(HIDDEN)
    by_place = replace(words.inputs[0], options=(Option("a", "a"), Option(HIDDEN, "1")))
    form = replace(words.buttons[0].form or Form("", ()), inputs=(by_place,))
    assert card == replace(
        words,
        body=f"- {HIDDEN}",
        inputs=(by_place,),
        buttons=(replace(words.buttons[0], form=form),),
    )


def test_an_outcome_shows_no_secret() -> None:
    outcome = Outcome(False, f"Not {SECRET}.", "unknown", Form(SECRET, ()))
    hidden = Outcome(False, f"Not {HIDDEN}.", "unknown", Form(HIDDEN, ()))
    assert redacted(outcome, Redaction([SECRET])) == hidden


def test_a_card_without_secrets_stays_as_it_is() -> None:
    assert redacted(whole("word"), Redaction([SECRET])) == whole("word")
