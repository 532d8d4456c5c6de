"""What may be typed at a card that waits for a person, and which press that is."""

import re
from collections.abc import Sequence
from dataclasses import replace

from core.domain.cards import Button, Card, Form, Input, InputKind, Label
from core.domain.events import CardKind
from core.errors import InputError
from core.ports.chat import Pressed

_DECIDING = {
    Label.APPROVE,
    Label.ANSWER,
    Label.RETRY,
    Label.RAISE_BUDGET,
    Label.RESUME,
    Label.START,
    Label.START_PROJECT,
    Label.ADD_AS_FEATURE,
}
_OFFERED = {Label.START_PROJECT, Label.ADD_AS_FEATURE}  # by an answer


def waits(card: Card) -> bool:
    """Whether it asks a person for something."""
    wanted = _OFFERED if card.kind is CardKind.ANSWER else _DECIDING
    return any(button.press.label in wanted for button in card.buttons)


def options(card: Card) -> Sequence[str]:
    """What a question may be answered with, by their numbers."""
    select = _select(card)
    if select is not None:
        return [option.label for option in select.options]
    return [button.label for button in card.buttons if _is_option(button)]


def may_type(card: Card) -> str:
    """`approve · reject REASON · details`."""
    if not _asks(card):
        return " · ".join(map(_usage, card.buttons))
    own = [_word(b) for b in card.buttons if b.press.label is Label.JUST_DECIDE]
    select = _select(card)
    if select is not None and select.kind is InputKind.MULTI_SELECT:
        how = "numbers with commas between, or your own words"
    else:
        how = "a number, or your own words" if options(card) else "your answer in one line"
    return " · ".join([how, *own])


def meant(card: Card, line: str) -> Pressed | None:
    """The press that a typed line is at this card; None: it is none.

    Raises InputError where it begins like one and cannot be it.
    """
    said = line.strip()
    if _asks(card):
        return _answer(card, said)
    # The longest first: `retry opus` is not `retry` with a word behind it.
    for button in sorted(_buttons(card), key=lambda each: -len(_word(each))):
        for word in {_word(button), button.label.lower()}:
            rest = said[len(word) :]
            if said.lower().startswith(word) and rest[:1].strip() == "":
                return _pressed(card, button, rest.strip())
    return None


def _buttons(card: Card) -> Sequence[Button]:
    """The card's, and `retry opus` wherever there is `retry`: a person may insist on it."""
    labels = {button.press.label for button in card.buttons}
    if Label.RETRY not in labels or Label.RETRY_WITH_OPUS in labels:
        return card.buttons
    retry = next(button for button in card.buttons if button.press.label is Label.RETRY)
    press = replace(retry.press, label=Label.RETRY_WITH_OPUS)
    return [*card.buttons, replace(retry, label="Retry with Opus", press=press)]


def _pressed(card: Card, button: Button, words: str) -> Pressed:
    field = _text(button.form)
    if bool(words) != (field is not None):
        raise InputError(
            f"`{_word(button)}` takes {'words' if field else 'no words'} behind it.",
            hint=f"Type {may_type(card)}.",
        )
    return Pressed(button.press, {field.name: (words,)} if field else {})


def _answer(card: Card, said: str) -> Pressed | None:
    buttons = {button.press.label: button for button in card.buttons if not _is_option(button)}
    just = buttons.get(Label.JUST_DECIDE)
    if just is not None and said.lower() == _word(just):
        return Pressed(just.press)
    select, labels = _select(card), options(card)
    several = select is not None and select.kind is InputKind.MULTI_SELECT
    picks = [part.strip() for part in said.split(",")] if several else [said]
    chosen = [_place(pick, labels) for pick in picks]
    found = [labels[place] for place in chosen if place is not None]
    answer = buttons.get(Label.ANSWER)
    if len(found) < len(picks) or not found:
        if not said or answer is None:
            return None
        own = _text(answer.form)
        return Pressed(answer.press, {own.name if own else "answer": (said,)})
    if select is not None and answer is not None:
        return Pressed(answer.press, {select.name: tuple(dict.fromkeys(found))})
    return Pressed(next(b.press for b in card.buttons if _is_option(b) and b.label == found[0]))


def _place(pick: str, labels: Sequence[str]) -> int | None:
    if re.fullmatch(r"[0-9]{1,9}", pick) and 1 <= int(pick) <= len(labels):
        return int(pick) - 1
    return next((n for n, label in enumerate(labels) if label.casefold() == pick.casefold()), None)


def _asks(card: Card) -> bool:
    return any(button.press.label is Label.ANSWER for button in card.buttons)


def _is_option(button: Button) -> bool:
    return button.press.label is Label.ANSWER and bool(button.press.more)


def _select(card: Card) -> Input | None:
    return next((each for each in card.inputs if each.options), None)


def _text(form: Form | None) -> Input | None:
    return next((each for each in form.inputs if not each.options), None) if form else None


def _word(button: Button) -> str:
    """`retry opus` of `Retry with Opus`."""
    return button.label.lower().replace(" with ", " ")


def _usage(button: Button) -> str:
    field = _text(button.form)
    return f"{_word(button)} {field.name.upper()}" if field else _word(button)
