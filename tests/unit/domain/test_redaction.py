"""What looks like a secret, and what this process knows to be one, is hidden; all else stays."""

import pytest

from core.domain.redaction import HIDDEN, Redaction

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
