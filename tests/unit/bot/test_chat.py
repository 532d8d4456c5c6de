"""The chat in a terminal: cards at 80 columns, buttons by number or by their words."""

import io
from typing import Any

import pytest
from rich.console import Console

from bot.chat import chosen, drawn, filled
from core.errors import StateError

OPTIONS = [{"label": name, "value": name} for name in ("Add and list", "Find by words", "A page")]
CHOICE = {"name": "answer:question:4", "options": OPTIONS}
OWN = {"name": "answer", "options": []}


def button(label: str, *inputs: dict[str, Any]) -> dict[str, Any]:
    form = {"title": label, "inputs": list(inputs)} if inputs else None
    return {
        "label": label,
        "action_id": f"{label.lower()}:plan:1",
        "style": "default",
        "form": form,
    }


def card(*buttons: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "kind": "plan", "title": "Plan for todo-api", "body": "**9 of 14** passing\n✓ `pytest -q`",
        "fields": [{"name": "Cost", "value": "$5.70"}], "progress": {"done": 9, "total": 14},
        "pictures": [], "tone": "warning", "buttons": list(buttons), "inputs": [], **more,
    }  # fmt: skip


CARDS = {
    1: card(button("Pause"), button("Stop")),
    2: card(button("Retry with Opus"), button("Retry"), button("Reject", OWN)),
}


@pytest.mark.parametrize(
    ("said", "message", "label", "words"),
    [
        ("1", 2, "Retry with Opus", ""),
        ("3 too long", 2, "Reject", "too long"),
        ("reject it is too long", 2, "Reject", "it is too long"),
        ("retry with opus", 2, "Retry with Opus", ""),
        ("Retry", 2, "Retry", ""),
        ("pause", 1, "Pause", ""),
    ],
)
def test_a_button_is_found_by_number_or_words(
    said: str, message: int, label: str, words: str
) -> None:
    number, found, rest = chosen(CARDS, said)
    assert (number, found["label"], rest) == (message, label, words)


@pytest.mark.parametrize("said", ["9", "approve", ""])
def test_what_is_no_button_says_which_there_are(said: str) -> None:
    with pytest.raises(StateError) as caught:
        chosen(CARDS, said)
    assert "`:retry`" in caught.value.hint
    with pytest.raises(StateError) as caught:
        chosen({}, "approve")
    assert caught.value.hint == "No card waits for you."


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("1,3", {"answer:question:4": ["Add and list", "A page"]}),
        ("find by words", {"answer:question:4": ["Find by words"]}),
        ("Both, and a map", {"answer": ["Both, and a map"]}),
        ("", {}),
    ],
)
def test_options_are_chosen_by_number_or_label(words: str, values: dict[str, Any]) -> None:
    assert filled(button("Answer", CHOICE), words) == values
    assert filled(button("Details"), words) == {}


def test_a_card_is_read_at_eighty_columns() -> None:
    sink = io.StringIO()
    odd = "a" * 300 + "\x1b[2J"
    shown = card(button("Approve"), button("Reject", OWN), title=odd, inputs=[CHOICE])
    Console(file=sink, width=80, color_system=None).print(drawn(shown))
    text = sink.getvalue()
    assert max(map(len, text.splitlines())) == 80
    assert "\x1b" not in text
    assert "9 of 14 passing" in text
    assert "[:1] Approve   [:2] Reject" in text
    assert "2  Find by words" in text
