"""A card as lines of a terminal: whole, in one line once it is settled, or as the live area.

`width` is in columns; None: lines are as long as they are, for a pipe or a file.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from adapters.terminal.typed import options
from core.domain import markup
from core.domain.cards import Card, Progress, TableBlock, TextFile, Tone
from core.domain.events import CardKind
from core.domain.markup import Look
from core.domain.redaction import clean

DECISIONS = (CardKind.PLAN, CardKind.GATE, CardKind.QUESTION, CardKind.STUCK)
NARROW = 78  # columns; below it facts go under what they are about
FAINT = "bright_black"
MARKS = {"○": FAINT, "◐": "blue", "✓": "green", "▲": "yellow", "■": "red"}
_TONES = {Tone.SUCCESS: "✓", Tone.WARNING: "▲", Tone.DANGER: "■"}
_LOOKS = {Look.BOLD: "bold", Look.CODE: "cyan", Look.COMMAND: "cyan", Look.LINK: "underline"}
_INDENT = 2
_WHAT = 38  # columns of the first column where there is room
_BAR = 32
_FACT = 64  # columns; a longer sentence is no fact beside another
_LIVE_BAR = 44
_LEAST_BAR = 12
_GAP = 3  # between what stands beside each other
_LINES = 1_000  # of a file
_BETWEEN = " · "

Group = list[Text]  # a paragraph


def whole(card: Card, width: int | None, known: Collection[str] = ()) -> list[Text]:
    """All of a card but its buttons; lines that are `known` are left out."""
    groups, tail = _parted(card, known)
    lines = [Text(), *wrapped(_title(card), width, 0, 2)] if card.title else []
    if card.progress and card.progress.total:
        sums = f"  {card.progress.done:,} of {card.progress.total:,}"
        columns = min(_BAR, width - _INDENT - len(sums)) if width else _BAR
        lines += wrapped(Text.assemble(bar_of(card.progress, columns), sums), width)
    if card.whole is not None and not card.buttons:
        lines += _file(card.whole, width)
    else:
        lines += _body(groups, width)
        lines += _table(card.table, width) if card.table else []
    lines += flowed(_facts(card), width)
    lines += _choices(card, width)
    lines += [line for each in tail for line in _wrapped_line(each, width)]
    for link in card.links:
        if link.to.startswith("https://"):
            lines += wrapped(Text(f"{one_line(link.label)}: {one_line(link.to)}"), width)
    return lines


def in_one(
    card: Card,
    width: int | None,
    at: str = "",
    known: Collection[str] = (),
    *,
    seen: bool = False,
) -> list[Text]:
    """A card that is settled, on one line where it fits: what, facts, what was decided, cost.

    `at` is the time since the beginning; `seen`: it was shown whole while it waited.
    """
    lines = [line for group in _groups(card.body, known) for line in group]
    if is_line(card):
        what, *facts = lines[0].split(_BETWEEN)
        cost = next((fact for fact in facts if fact.plain.startswith("$")), Text())
        facts = [fact for fact in facts if fact is not cost]
        mark, what = _apart(what)
        return _row(mark, what, Text(_BETWEEN).join(facts), Text(), cost, at, width)
    marked = [line for line in lines if line.plain[:1] in MARKS]
    mark, state = _apart(marked[-1] if marked else Text())
    fact, answer = (Text(), state) if card.kind in DECISIONS else (state, Text())
    if answer and not seen and lines[0] not in marked[-1:] and lines[0].cell_len <= _FACT:
        fact = Text(lines[0].plain.rstrip("."))
    title = Text(one_line(card.title))
    return _row(mark or _TONES.get(card.tone, ""), title, fact, answer, Text(), at, width)


def is_line(card: Card) -> bool:
    """Whether a card says what it says in one line."""
    return card.kind is CardKind.LANDED and not card.buttons and "\n" not in card.body


def notes(card: Card) -> Iterator[str]:
    """The lines of a card, as `known` takes them."""
    for group in _groups(card.body):
        yield from (line.plain for line in group)


def live(card: Card, width: int, height: int, known: Collection[str] = ()) -> list[Text]:
    """The card that is edited in place: at most `height` lines."""
    groups, tail = _parted(card, known)
    title = Text(one_line(card.title), "bold")
    if card.progress and card.progress.total:
        beside = width - title.cell_len - _INDENT - _GAP
        columns = min(_LIVE_BAR, beside if beside >= _LEAST_BAR else width - _INDENT)
        lines = flowed([title, bar_of(card.progress, columns)], width)
    else:
        lines = wrapped(title, width)
    lines += flowed(groups.pop(0) if groups else (), width)
    for group in groups:
        rows = _joined(group)
        if len(rows) == len(group):
            lines += flowed(group, width)
            continue
        for what, facts in rows:
            lines += _pair(what, facts, width)
    lines += flowed(_facts(card), width)
    lines += [each for line in tail for each in _wrapped_line(line, width)]
    if len(lines) > height:
        kept = max(height - 1, 1)
        lines = [*lines[:kept], Text(f"  … {len(lines) - kept} more lines", FAINT)]
    return lines[: max(height, 1)]


def bar_of(progress: Progress, columns: int) -> Text:
    """Done, in progress, stuck, left; what there is of each shows at least one column."""
    total = max(progress.total, 1)
    left = columns
    bar = Text()
    for number, cell, style in (
        (progress.done, "█", "green"),
        (progress.active, "▓", "blue"),
        (progress.stuck, "▓", "red"),
    ):
        cells = min(max(columns * number // total, 1 if number else 0), left)
        bar.append(cell * cells, style)
        left -= cells
    return bar.append("░" * left, FAINT)


def _title(card: Card) -> Text:
    mark = _TONES.get(card.tone, "")
    title = Text.assemble((f"{mark} ", MARKS[mark])) if mark else Text()
    return title.append(one_line(card.title), "bold")


def one_line(words: str) -> str:
    return " ".join(clean(words).split())


def _groups(body: str, known: Collection[str] = ()) -> list[Group]:
    """The paragraphs of a body."""
    found: list[Group] = [[]]
    for line in markup.parse(body):
        text = _text(line)
        if not text.plain.strip() and not line.verbatim:
            found.append([])
        elif text.plain not in known:
            found[-1].append(text)
    return [group for group in found if group]


def _parted(card: Card, known: Collection[str]) -> tuple[list[Group], Group]:
    """The paragraphs, and apart from them the last one where it says who is waited for."""
    groups = _groups(card.body, known)
    told = len(groups) > 1 and not any(line.plain.startswith(("○", "◐")) for line in groups[-1])
    return groups, groups.pop() if told else []


def _text(line: markup.Line) -> Text:
    text = Text("- " if line.item else "")
    for span in line.spans:
        style = FAINT if line.verbatim else _LOOKS.get(span.look, "")
        text.append(clean(span.text).replace("\n", " "), style)
    begin = len(text.plain) - len(text.plain.lstrip(" └─"))
    for place in (0, begin):
        if text.plain[place : place + 1] in MARKS:
            text.stylize(MARKS[text.plain[place]], place, place + 1)
    return text


def _body(groups: Sequence[Group], width: int | None) -> Iterator[Text]:
    for number, group in enumerate(groups):
        if number:
            yield Text()
        below = 0  # an item: what continues it stands below its words
        for line in group:
            item = line.plain.startswith("- ")
            below = below if line.plain.startswith("  ") else 0
            yield from _wrapped_line(line, width, below)
            below = _INDENT if item else below


def _file(file: TextFile, width: int | None) -> list[Text]:
    """All of a text that the body shortens, where no book would be the answer."""
    every = clean(file.text).strip().split("\n")
    more = len(every) - _LINES
    lines = wrapped(Text("\n".join(every[:_LINES])), width)
    return [*lines, Text(f"  and {more:,} more lines", FAINT)] if more > 0 else lines


def _wrapped_line(line: Text, width: int | None, below: int = 0) -> list[Text]:
    """Further lines hang below the first one's words; all begin `below` columns further in."""
    words = line.plain.lstrip(" └─")
    deep = cell_len(line.plain[: len(line.plain) - len(words)])
    item = 2 if words.startswith("- ") else 0
    mark = 2 if item or (words[:1] in MARKS and words[1:2] == " ") else 0
    indent = _INDENT + item + below
    return wrapped(line, width, indent, min(indent + deep + mark, 24))


def _facts(card: Card) -> list[Text]:
    return [
        Text.assemble((f"{one_line(field.name)} ", FAINT), one_line(field.value))
        for field in card.fields
    ]


def _choices(card: Card, width: int | None) -> Iterator[Text]:
    for number, label in enumerate(options(card), 1):
        yield from wrapped(Text.assemble((f"{number}  ", FAINT), one_line(label)), width, 4, 7)


def _table(table: TableBlock, width: int | None) -> list[Text]:
    """Columns as wide as they need be; the widest give way where there is no room."""
    rows = [[one_line(cell) for cell in row] for row in (table.head, *table.rows)]
    wide = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    while width is not None and sum(wide) + 2 * len(wide) > width and max(wide) > 4:
        wide[wide.index(max(wide))] -= 1
    lines = []
    for number, row in enumerate(rows):
        cells = [set_cell_size(fit(cell, room), room) for cell, room in zip(row, wide, strict=True)]
        line = Text(" " * _INDENT).append("  ".join(cells).rstrip(), "" if number else FAINT)
        lines.append(line)
    return [Text(), *lines]


def _apart(line: Text) -> tuple[str, Text]:
    """The state mark that a line begins with, and the rest."""
    if line.plain[:1] in MARKS and line.plain[1:2] == " ":
        return line.plain[0], line[2:]
    return "", line


def _joined(group: Group) -> list[tuple[Text, Text]]:
    """Lines with those that continue them, which begin with spaces."""
    rows: list[tuple[Text, Text]] = []
    for line in group:
        if rows and line.plain.startswith("  "):
            rows[-1] = (rows[-1][0], line[2:])
        else:
            rows.append((line, Text()))
    return rows


def _pair(what: Text, facts: Text, width: int) -> list[Text]:
    """A line and what it says more, beside each other where there is room."""
    line = Text(" " * _INDENT).append_text(what)
    column = max(_INDENT + _WHAT + 14, line.cell_len + 3)
    faint = Text(facts.plain, FAINT)
    if not facts or (width >= NARROW and column + facts.cell_len <= width):
        line.pad_right(column - line.cell_len if facts else 0)
        return [line.append_text(faint)]
    return [*_wrapped_line(what, width), *wrapped(faint, width, _INDENT + 2)]


def _row(
    mark: str, what: Text, facts: Text, answer: Text, right: Text, at: str, width: int | None
) -> list[Text]:
    left = Text(" " * _INDENT)
    left.append(f"{at:>4} " if at else "", FAINT)
    if mark:
        left.append(f"{mark} ", MARKS[mark])
    hang = left.cell_len
    left.append_text(what)
    rest = Text.assemble((facts.plain, FAINT))
    if answer:
        rest.append("   › " if facts else "› ", FAINT).append(answer.plain, "bold")
    right = Text(right.plain, FAINT)
    if width is None:
        parts = [part for part in (left, rest, right) if part]
        return [Text("   ").join(parts)]
    for column in (hang + _WHAT, 0) if width >= NARROW else ():
        line = left.copy()
        if rest:
            line.pad_right(max(column - left.cell_len, 2))
            line.append_text(rest)
        if line.cell_len + right.cell_len + (2 if right else 0) <= width:
            return [_ends(line, right, width)]
    room = width - (right.cell_len + 2 if right else 0)
    first, *more = wrapped(left, room, 0, hang)
    return [_ends(first, right, width), *more, *(wrapped(rest, width, hang) if rest else ())]


def _ends(left: Text, right: Text, width: int) -> Text:
    gap = width - left.cell_len - right.cell_len
    return Text.assemble(left, " " * gap, right) if right and gap >= 2 else left


def flowed(parts: Iterable[Text], width: int | None) -> list[Text]:
    """Parts beside each other; one that does not fit begins a line."""
    lines: list[Text] = []
    beside = False  # whether more may stand on the last line
    for part in parts:
        if beside and (width is None or lines[-1].cell_len + _GAP + part.cell_len <= width):
            lines[-1].append(" " * _GAP).append_text(part)
            continue
        made = _wrapped_line(part, width)
        lines, beside = [*lines, *made], len(made) == 1
    return lines


_WRAPPER = Console(width=400, color_system=None, force_terminal=False, legacy_windows=False)


def wrapped(
    text: Text, width: int | None, indent: int = _INDENT, hang: int | None = None
) -> list[Text]:
    """Text in lines of at most `width` columns: the first after `indent`, others after `hang`."""
    after = indent if hang is None else hang
    lines: list[Text] = []
    for part in text.split("\n", allow_blank=True):
        room = 10_000 if width is None else max(width - max(indent, after), 10)
        for line in part.wrap(_WRAPPER, room) or [Text()]:
            line.rstrip()
            lines.append(Text(" " * (after if lines else indent)).append_text(line))
    return lines or [Text()]


def fit(text: str, width: int) -> str:
    """Cut to columns, not characters."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - 1, 0)).rstrip() + "…"
