"""No secret leaves: texts for logs, chat and exports pass here.

One that this process knows does not even enter: whatever people say, agents hand in and commands
print is looked through where it comes in, whole. So nothing that is made of it later, by cutting,
lower case or a slug, holds a piece that nobody would find.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from core.domain import markup
from core.domain.cards import Card, Input, Option, Picture, Press

T = TypeVar("T")

HIDDEN = "[redacted]"
# What stands in every text of a shape, and the shape: most texts are looked through for the first
# alone, fifty times as fast.
_SHAPES = tuple(
    (mark, re.compile(shape))
    for mark, shape in (
        ("sk-ant-", r"sk-ant-[A-Za-z0-9_-]{8,}"),  # Anthropic
        ("xox", r"xox[a-z]-[A-Za-z0-9-]{8,}"),  # Slack
        ("xapp-", r"xapp-[A-Za-z0-9-]{8,}"),
        *((f"gh{kind}_", rf"gh{kind}_[A-Za-z0-9]{{20,}}") for kind in "pousr"),  # GitHub
        ("github_pat_", r"github_pat_[A-Za-z0-9_]{20,}"),
        ("AKIA", r"AKIA[0-9A-Z]{16}"),  # AWS
        ("token=", r"(?<=[?&]token=)[A-Za-z0-9_-]{16,}"),
        ("earer ", r"(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,}"),
    )
)
_DOTTED = re.compile(r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}")
_DISCORD = re.compile(r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}")
_SHORTEST = 8  # characters: shorter values would blot out ordinary words


class Redaction:
    """Replaces secrets by their shape, and those this process knows wherever they stand."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        wanted = {each for each in known if len(each) >= _SHORTEST}
        wanted |= {markup.escape(each) for each in wanted}  # as it stands in a card's body
        self.known = tuple(sorted(wanted, key=len, reverse=True))

    def hide(self, text: str) -> str:
        """Without those that are known; what only looks like one is for agents to read."""
        for secret in self.known:
            text = text.replace(secret, HIDDEN)
        return text

    def __call__(self, text: str) -> str:
        text = self.hide(text)
        for mark, shape in _SHAPES:
            if mark in text:
                text = shape.sub(HIDDEN, text)
        if _DOTTED.search(text):
            text = _DISCORD.sub(HIDDEN, text)
        return text


_SHAPES_ALONE = Redaction()
_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC with their text
    r"|\x1b[ -/]*[0-~]?"
)
# Control characters but newline and tab, and what reorders or hides the text around it.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\ud800-\udfff]|[\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """Text of an agent, a model or a person: it steers no screen, and holds no secret's shape.

    Before it is escaped or cut, either of which would hide one from whoever looks for it later.
    """
    plain = _ESCAPE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    plain = plain.replace("\u2028", "\n").replace("\u2029", "\n").expandtabs(4)
    return _SHAPES_ALONE(_UNSEEN.sub("", plain))


# By these something is found again; every other text may be read by somebody.
_KEPT = frozenset({(Card, "key"), (Input, "name"), (Picture, "url")})


def redacted(value: T, redact: Callable[[str], str]) -> T:
    """A card, an outcome, what was heard, or what they are made of, with no secret in its texts.

    What a button does stays as it is; an option whose value is secret is sent by its place.
    """
    found: Any = value
    if type(found) is str:
        found = redact(found)
    elif isinstance(found, tuple | list):
        found = type(found)(redacted(each, redact) for each in found)
    elif isinstance(found, Mapping):
        found = {name: redacted(each, redact) for name, each in found.items()}
    elif is_dataclass(found) and not isinstance(found, Press):
        if isinstance(found, Input):
            found = replace(found, options=tuple(_by_place(found.options, redact)))
        said = {
            field.name: redacted(getattr(found, field.name), redact)
            for field in fields(found)
            if (type(found), field.name) not in _KEPT
        }
        found = replace(found, **said)
    return cast("T", found)


def _by_place(options: tuple[Option, ...], redact: Callable[[str], str]) -> Iterator[Option]:
    for place, option in enumerate(options):
        secret = redact(option.value) != option.value
        yield replace(option, value=str(place)) if secret else option
