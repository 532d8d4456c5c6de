"""How messages and cards look in the pages: what the templates are given, and nothing of theirs.

Everything here is plain text; the templates escape it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlencode
from zlib import crc32

from core.domain import markup
from core.domain.cards import Form, Input, Label, Link, TableBlock, Tone
from core.domain.events import CardKind
from core.domain.markup import Span
from core.views.json import encode
from core.views.messages import MAIN, ButtonView, CardView, MessageView, ProgressView, Replies

BOT = "autocoder"
MARKS = {
    "○": "pending",
    "◐": "progress",
    "✓": "passing",
    "▲": "waits",
    "■": "stuck",
}
_SPEC_SHOWN = 4  # groups of a long spec that are not folded away
_QUIET = "Practice model: "  # the page says it at the top already
SEGMENTS = 40  # a bar of more is one piece
_BRANCH = re.compile(r"^( *)└─ ([○◐✓▲■]) ")
_WITHIN = re.compile(r"(?<=· )([○◐✓▲■]) ")
_FIGURE = re.compile(r"–|[<$+−]*\d[\d.,/:–]*(?: ?(?:%|k|M|s|min|h|USD))*|")  # $5.70, 64 %, 7/7
_DEEPEST = 4
_CODE = (markup.Look.CODE, markup.Look.COMMAND)
HUES = 6  # colours of people
_FACTS_FIRST = frozenset({CardKind.PLAN, CardKind.GATE, CardKind.REPORT})


@dataclass(frozen=True)
class ShownLine:
    spans: Sequence[Span]
    mark: str = ""  # one of MARKS, which the words after it say again
    tone: str = ""
    item: bool = False
    under: bool = False  # belongs to the line above
    depth: int = 0  # of a branch of a tree
    proof: bool = False  # a command, and what it answered
    quiet: bool = False  # said on every card
    sole: bool = False  # a line of an error or a command, and nothing else
    verbatim: bool = False  # a line of a file, a patch or an output


@dataclass(frozen=True)
class Pill:
    mark: str
    tone: str
    text: str


@dataclass(frozen=True)
class ShownButton:
    label: str
    action_id: str
    style: str
    form: str  # JSON, or nothing


@dataclass(frozen=True)
class ShownTable:
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Sequence[bool]  # by column: it holds nothing else


@dataclass(frozen=True)
class ShownLink:
    label: str
    url: str
    key: str  # of a card of ours, or nothing
    away: bool  # it leaves the service


@dataclass(frozen=True)
class Bar:
    """As an SVG of 100 × 8: (x, width, look) of each piece."""

    label: str
    pieces: Sequence[tuple[float, float, str]]


@dataclass(frozen=True)
class ShownCard:
    card: CardView
    pill: Pill | None
    compact: bool  # one line without a frame
    facts_first: bool  # its fields sum up what the rest proves
    groups: Sequence[Sequence[ShownLine]]
    folded: Sequence[Sequence[ShownLine]]  # what is shown when it is asked for
    last: Sequence[Sequence[ShownLine]]  # who is waited for
    bar: Bar | None
    table: ShownTable | None
    options: Sequence[ShownButton]  # a question's
    buttons: Sequence[ShownButton]
    links: Sequence[ShownLink]
    own_words: Input | None  # a question's, in the card itself
    chosen: Input | None  # several choices, in the card itself


@dataclass(frozen=True)
class Shown:
    """One message."""

    message: MessageView
    bot: bool
    who: str
    initials: str
    hue: int
    at: datetime
    edited: datetime | None
    private: bool
    command: bool
    replies: Replies | None = None
    card: ShownCard | None = None
    lines: Sequence[str] = field(default=())


def shown(message: MessageView, reader: str, replies: Replies | None = None) -> Shown:
    who = "You" if message.author == reader else message.author_name
    bot = message.author == BOT
    return Shown(
        message=message,
        bot=bot,
        who=who,
        initials=initials(message.author_name),
        hue=crc32(message.author.encode()) % HUES,
        at=message.created_at.astimezone(),
        edited=message.edited_at.astimezone() if message.edited_at else None,
        private=message.private_to is not None,
        command=not bot and message.text.lstrip().startswith("/"),
        replies=replies,
        card=card(message.card, message.channel) if message.card else None,
        lines=message.text.split("\n"),
    )


def initials(name: str) -> str:
    words = [word for word in name.replace("-", " ").replace(".", " ").split() if word]
    letters = "".join(word[0] for word in words[:2]) or "?"
    return letters.upper()


def card(value: CardView, channel: str = MAIN) -> ShownCard:
    question = value.kind is CardKind.QUESTION and bool(value.buttons)
    options = [
        b for b in value.buttons if question and b.press.label is Label.ANSWER and b.press.more
    ]
    others = [b for b in value.buttons if b not in options]
    answer = next((b for b in others if question and b.press.label is Label.ANSWER), None)
    own = (
        next((i for i in answer.form.inputs if not i.options), None)
        if answer and answer.form
        else None
    )
    chosen = next((i for i in value.inputs if i.options), None)
    if chosen is None and answer and answer.form:
        chosen = next((i for i in answer.form.inputs if i.options), None)
    if answer and own is None:
        own = Input("answer", "Or answer in your own words", required=False, max_length=100_000)
    parts = groups(value.body)
    long = value.kind is CardKind.SPEC and len(parts) > _SPEC_SHOWN + 2
    shown = _SPEC_SHOWN if long else max(len(parts) - 1, 1)
    if long and all(span.look is markup.Look.BOLD for span in parts[shown - 1][-1].spans):
        shown -= 1  # a heading stands above what it names
    return ShownCard(
        card=value,
        pill=_pill(value),
        compact=value.kind is CardKind.LANDED and not value.buttons,
        facts_first=value.kind in _FACTS_FIRST,
        groups=parts[:shown],
        folded=parts[shown:-1],
        last=parts[-1:] if len(parts) > 1 else (),
        bar=bar(value.progress) if value.progress else None,
        table=_table(value.table) if value.table else None,
        options=[_button(b) for b in options],
        buttons=[_button(b, bare=b is answer) for b in others],
        links=[_link(each, channel) for each in value.links],
        own_words=own,
        chosen=chosen,
    )


def groups(body: str) -> list[list[ShownLine]]:
    """A body's paragraphs, each with its lines."""
    found: list[list[ShownLine]] = [[]]
    for line in markup.parse(body):
        if line.verbatim:
            found[-1].append(ShownLine(line.spans, verbatim=True))
        elif line.text.strip():
            found[-1].append(_line(line))
        else:
            found.append([])
    return [_patched(group) for group in found if group]


def _patched(group: list[ShownLine]) -> list[ShownLine]:
    """The group, with the lines of a patch by what becomes of them."""
    if not any(line.verbatim and line.spans[0].text.startswith("@@ ") for line in group):
        return group
    return [
        replace(line, tone=_fate(line.spans[0].text)) if line.verbatim else line for line in group
    ]


def _fate(line: str) -> str:
    if line.startswith(("diff ", "index ", "--- ", "+++ ", "@@ ", "new file", "deleted file")):
        return "about"
    return {"+": "added", "-": "removed"}.get(line[:1], "")


def _line(line: markup.Line) -> ShownLine:
    text = line.text
    branch = _BRANCH.match(text)
    if branch and line.spans[0].text.startswith(branch[0]):
        first = line.spans[0]
        spans = [Span(first.text[branch.end() :], first.look, first.path), *line.spans[1:]]
        depth = min(len(branch[1]) // 3 + 1, _DEEPEST)
        return ShownLine(spans, branch[2], MARKS[branch[2]], depth=depth)
    mark = text[0]
    if mark in MARKS and text[1:2] == " " and line.spans[0].text.startswith(f"{mark} "):
        first = line.spans[0]
        rest = Span(first.text[2:], first.look, first.path)
        spans = ([rest] if rest.text else []) + list(line.spans[1:])
        proof = len(spans) == 2 and spans[0].look in _CODE
        return ShownLine(spans, mark, MARKS[mark], line.item, proof=proof)
    return ShownLine(
        line.spans,
        item=line.item,
        under=text.startswith("  "),
        quiet=text.startswith(_QUIET),
        sole=not line.item and len(line.spans) == 1 and line.spans[0].look in _CODE,
    )


def marks(words: str) -> Iterator[tuple[str, str]]:
    """Words at marks within them, each with the mark before it: `1 done · ■ 1 stuck`."""
    begin, *rest = _WITHIN.split(words)
    yield "", begin
    yield from zip(rest[::2], rest[1::2], strict=True)


def bar(value: ProgressView) -> Bar:
    """A piece per task, what is done first; by shares where pieces would be too small."""
    total = max(value.total, 1)
    done = min(max(value.done, 0), total)
    active = min(value.active, total - done)
    stuck = min(value.stuck, total - done - active)
    counts = {"done": done, "active": active, "stuck": stuck}
    label = f"{done} of {total} done"
    label += "".join(
        f", {number} {words}"
        for number, words in ((active, "in progress"), (stuck, "stuck"))
        if number
    )
    counts["rest"] = total - sum(counts.values())
    gap = min(0.4, 20 / total) if total <= SEGMENTS else 0.0
    width = (100 - gap * (total - 1)) / total
    pieces: list[tuple[float, float, str]] = []
    x = 0.0
    for look, number in counts.items():
        for _ in range(number if gap else min(number, 1)):
            wide = width if gap else width * number
            pieces.append((round(x, 3), round(wide, 3), look))
            x += wide + gap
    return Bar(label, pieces)


def _button(value: ButtonView, *, bare: bool = False) -> ShownButton:
    """`bare`: what its form asks for stands in the card itself."""
    form = encode(Form, value.form).decode() if value.form and not bare else ""
    style = "primary" if bare else value.style.value
    return ShownButton(value.label, value.action_id, style, form)


def _table(value: TableBlock) -> ShownTable:
    columns = zip(*value.rows, strict=True)
    figures = [all(_FIGURE.fullmatch(cell) for cell in column) for column in columns]
    return ShownTable(value.head, value.rows, figures)


def _link(value: Link, channel: str) -> ShownLink:
    if value.to.startswith("/"):
        return ShownLink(value.label, value.to, "", False)
    if value.to.startswith("https://"):
        return ShownLink(value.label, value.to, "", True)
    query = urlencode({"key": value.to, "channel": channel})
    return ShownLink(value.label, f"/card?{query}", value.to, False)


_WAITING = {
    CardKind.QUESTION: "Waits for an answer",
    CardKind.PLAN: "Waits for approval",
    CardKind.GATE: "Waits for a decision",
    CardKind.BUDGET: "Waits for a budget",
}


def _pill(value: CardView) -> Pill | None:
    """The state in a word; a landed line, an answer and help say it themselves."""
    if value.kind in _WAITING and value.buttons:
        return Pill("▲", "waits", _WAITING[value.kind])
    match value.kind:
        case CardKind.ERROR:
            return Pill("■", "stuck", "Not done")
        case CardKind.STUCK if value.buttons:
            return Pill("■", "stuck", "Stuck")
        case CardKind.PROGRESS:
            return _live(value.tone)
        case CardKind.QUESTION if value.tone is Tone.SUCCESS:
            return Pill("✓", "passing", "Answered")
        case CardKind.REPORT:
            return Pill("✓", "passing", "Report")
        case CardKind.LIMIT if value.tone is Tone.WARNING:
            return Pill("▲", "waits", "Limit")
        case _:
            return None


def _live(tone: Tone) -> Pill:
    match tone:
        case Tone.SUCCESS:
            return Pill("✓", "passing", "Complete")
        case Tone.WARNING:
            return Pill("▲", "waits", "Waits")
        case Tone.DANGER:
            return Pill("■", "stuck", "Blocked")
        case Tone.INFO:
            return Pill("◐", "progress", "Live")


def since_days(messages: Sequence[Shown]) -> Iterator[tuple[str, Shown]]:
    """Each message with the heading of its day, where a day begins."""
    last = ""
    for message in messages:
        label = day(message.at)
        yield (label if label != last else ""), message
        last = label


def day(moment: datetime) -> str:
    """`Wednesday 11 March`."""
    return f"{moment:%A} {moment.day} {moment:%B}"


def clock(moment: datetime, now: datetime) -> str:
    """`12:30` today, `Thu 10:48` within a week, else `Wed 11 March`."""
    there, here = moment.astimezone(), now.astimezone()
    days = abs((there.date() - here.date()).days)
    if days == 0:
        return f"{there:%H:%M}"
    return f"{there:%a %H:%M}" if days < 7 else f"{there:%a} {there.day} {there:%B}"
