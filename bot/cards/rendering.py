"""What all cards have in common: how lines become a body, who decided, buttons with their forms."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from hashlib import sha256
from typing import Any

from bot.cards import formatting, labels
from core.domain import markup
from core.domain.cards import (
    BODY_LIMIT,
    TITLE_LIMIT,
    Button,
    Card,
    Form,
    Label,
    Press,
    Style,
    Subject,
)
from core.domain.redaction import clean
from core.domain.rules import Rules
from core.ports.chat import Place
from core.ports.host import BoxLevel

FALLBACK_LIMIT = 600
_ROOM_FOR_MORE = 40
_WORTH_CUTTING = 200  # characters of a line; less of it says nothing


@dataclass(frozen=True)
class RenderContext:
    """What a card depends on beside the database."""

    now: datetime
    upstream: str  # whose account window counts
    rules: Rules  # the service's
    box: BoxLevel
    activity: Mapping[int, str] = field(default_factory=dict)  # run → what its agent does
    zone: tzinfo | None = None  # None: the host's

    def clock(self, moment: datetime) -> str:
        """Where there is no markup: titles, fields."""
        return formatting.clock(moment, self.now, self.zone)

    def when(self, moment: datetime) -> str:
        """The same in a body: each platform writes it in its own way."""
        return markup.time(self.clock(moment), moment)


@dataclass(frozen=True)
class CardRef:
    """Which card is drawn, and for which place."""

    key: str
    place: Place
    project_id: int
    subject_id: int = 0  # what it is about; 0: nothing but its project


@dataclass(frozen=True)
class Drawn:
    """A card as it is now; the clock alone makes it another one at `again_at`."""

    card: Card
    again_at: datetime | None = None


def said(text: str, limit: int = 200) -> str:
    """Somebody's words on one line, safe in a body."""
    return markup.escape(formatting.one_line(text, limit))


def spoken(text: str, limit: int) -> str:
    """Somebody's words with their lines, safe in a body."""
    lines = formatting.cut(clean(text).strip(), limit).split("\n")
    return markup.escape("\n".join(line.rstrip() for line in lines))


def bold(text: str, limit: int = 200) -> str:
    return markup.bold(formatting.one_line(text, limit))


def code(text: str, limit: int = 160) -> str:
    return markup.code(formatting.one_line(text, limit))


def title(text: str) -> str:
    return formatting.one_line(text, TITLE_LIMIT)


def body(lines: Iterable[str], tail: Iterable[str] = (), *, rest: str = "see details") -> str:
    """As much as a card takes, and always the tail: who is waited for, what it is.

    `rest` says where the lines are that it does not take.
    """
    kept = [line for part in lines for line in part.split("\n")]
    end = [line for line in tail if line]
    room = BODY_LIMIT - sum(len(line) + 1 for line in end) - _ROOM_FOR_MORE - len(rest)
    above: list[str] = []
    for number, line in enumerate(kept):
        if len(line) + 1 > room:
            left = kept[number:]
            if room > _WORTH_CUTTING:
                above.append(_cut(line, room))
                left = left[1:]
            if left:
                above.append(f"and {formatting.count(len(left), 'more line')}: {rest}")
            break
        above.append(line)
        room -= len(line) + 1
    between = [""] if above and end and above[-1] else []
    return "\n".join([*above, *between, *end]).strip("\n")


def _cut(line: str, room: int) -> str:
    """The beginning of a line, without its looks."""
    if line.startswith("\t"):
        return formatting.cut(line, room)
    words_ = markup.plain(line)
    made = markup.escape(formatting.cut(words_, room))
    return made if len(made) < room else markup.escape(formatting.cut(words_, room // 2))


def fallback(heading: str, *parts: str) -> str:
    """Title, state and who waits, as one plain line; `parts` are in the markup of a body."""
    sentences = [heading.strip(), *(markup.plain(part).strip() for part in parts)]
    text = " ".join(s if s[-1:] in ".!?:…" else f"{s}." for s in sentences if s)
    return formatting.one_line(text, FALLBACK_LIMIT) or "autocoder"


def parallel_of(settings: Mapping[str, Any], scene: RenderContext) -> int:
    """How many agents may work on a project at once: its own setting wins."""
    return scene.rules.of_project(settings).agents.max_parallel


def footnote(practice: bool, box: BoxLevel) -> str:
    """What every card says of a build that is not what it seems, or not held back whole."""
    notes = [labels.PRACTICE] if practice else []
    if box is not BoxLevel.FULL:
        level = labels.sandbox(box)
        weak = f"{level[0].upper()}{level[1:]}: agents could reach more of this host"
        notes.append(f"{labels.WAITS} {weak}")
    return "\n".join(notes)


def reason(text: str, limit: int = 500) -> str:
    """Why somebody refused, as the end of a sentence."""
    return said(text, limit).rstrip(".")


def approved(
    by: str | None, at: datetime | None, scene: RenderContext, done: str = "Approved"
) -> str:
    """`✓ Approved by NAME, Thu 10:48`; `by` is how people call them."""
    return _decided(labels.DONE, done, by, at, scene)


def refused(
    by: str | None, at: datetime | None, scene: RenderContext, done: str = "Rejected"
) -> str:
    return _decided(labels.STOPPED, done, by, at, scene)


def _decided(
    mark: str, done: str, by: str | None, at: datetime | None, scene: RenderContext
) -> str:
    who = f" by {said(by, 128)}" if by else ""
    when = f", {scene.when(at)}" if at else ""
    return f"{mark} {done}{who}{when}"


def button(
    text: str,
    label: Label,
    subject: Subject,
    number: int,
    *,
    more: str = "",
    style: Style = Style.DEFAULT,
    form: Form | None = None,
) -> Button:
    return Button(text, Press(label, subject, number, more), style, form)


def digest(card: Card) -> str:
    """Tells a card's content from another's."""
    return sha256(repr(card).encode("utf-8", "surrogatepass")).hexdigest()
