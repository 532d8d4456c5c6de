r"""Light Markdown, the markup of `Card.body`: written by cards, read by every platform.

A body is lines; a newline ends one, an empty line stands between paragraphs, a line that begins
with `- ` is an item of a list. Within a line there are `**bold**`, `` `code` `` and
`[words](/path)`, a link to a page of the service itself; they do not nest. A backslash before any
of ``\ ` * [ -`` makes it an ordinary character, but not inside code. A line that begins with a tab
is verbatim: a piece of a file, a patch or a program's output. Nothing else is markup.

Two spans each platform writes in its own way. A code span that begins with `/autocoder` is a
command (`Look.COMMAND`). `[10:48](time:2027-03-10T10:48:00Z)` is a moment, with the words that
stand for it where a platform has no way of its own (`Look.TIME`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

_MARKUP = re.compile(r"([\\`*\[])")
_ESCAPED = "\\`*[-"
_ITEM = "- "
_VERBATIM = "\t"
_LINK = re.compile(
    r"\[((?:\\.|[^\\\]\[`*\n])+)\]"
    r"\((?:(/(?!/)[^\s()\\]*)|time:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ))\)"
)
COMMAND = "/autocoder"


class Look(StrEnum):
    PLAIN = "plain"
    BOLD = "bold"
    CODE = "code"
    COMMAND = "command"
    LINK = "link"
    TIME = "time"


@dataclass(frozen=True)
class Span:
    """Words of one look; `path` is a link's, on the service; `moment` a time's, in UTC."""

    text: str
    look: Look = Look.PLAIN
    path: str = ""
    moment: datetime | None = None


@dataclass(frozen=True)
class Line:
    spans: tuple[Span, ...]
    item: bool = False  # of a list
    verbatim: bool = False  # its spaces count

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)


def escape(words: str) -> str:
    """Words from outside that are shown as they are; their newlines stay newlines."""
    lines = map(_words, words.replace("\t", "    ").split("\n"))
    return "\n".join(f"\\{line}" if line.startswith("-") else line for line in lines)


def bold(words: str) -> str:
    """One line of words from outside, bold."""
    plain = " ".join(words.split())
    return f"**{_words(plain)}**" if plain else ""


def code(words: str) -> str:
    """A command, path or commit, on one line; with a backtick in it, it is shown as words."""
    plain = " ".join(words.split())
    if not plain:
        return ""
    return escape(plain) if "`" in plain else f"`{plain}`"


def verbatim(words: str) -> str:
    """Lines from outside, as they stand in their file."""
    return "\n".join(f"{_VERBATIM}{line}" for line in words.split("\n"))


def link(words: str, path: str) -> str:
    """A link to a page of the service; `path` begins with one slash."""
    return f"[{_words(words).replace(']', '')}]({path})"


def time(words: str, moment: datetime) -> str:
    """A moment, to the second, and how it reads here."""
    at = moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()
    return f"[{_words(words).replace(']', '')}](time:{at}Z)"


def _words(line: str) -> str:
    return _MARKUP.sub(r"\\\1", line)


def parse(body: str) -> tuple[Line, ...]:
    """The lines of a body; markup that is not closed is words."""
    return tuple(map(_line, body.split("\n")))


def _line(line: str) -> Line:
    if line.startswith(_VERBATIM):
        return Line((Span(line[len(_VERBATIM) :], Look.CODE),), verbatim=True)
    return Line(tuple(_spans(line.removeprefix(_ITEM))), line.startswith(_ITEM))


def plain(body: str) -> str:
    """The same without its markup, for where there is none."""
    return "\n".join(f"- {line.text}" if line.item else line.text for line in parse(body))


def _spans(line: str) -> Iterator[Span]:
    words: list[str] = []
    at = 0
    while at < len(line):
        found, end = _marked(line, at)
        if found is None:
            step = 2 if line[at] == "\\" and line[at + 1 : at + 2] in tuple(_ESCAPED) else 1
            words.append(line[at + step - 1])
            at += step
            continue
        if words:
            yield Span("".join(words))
            words = []
        yield found
        at = end
    if words:
        yield Span("".join(words))


def _marked(line: str, at: int) -> tuple[Span | None, int]:
    """The span that begins at `at`, and where it ends."""
    if line[at] == "`":
        end = line.find("`", at + 1)
        if end > at + 1:
            return _code(line[at + 1 : end]), end + 1
    elif line.startswith("**", at):
        end = _close(line, at + 2)
        if end > at + 2:
            return Span(_unescaped(line[at + 2 : end]), Look.BOLD), end + 2
    elif line[at] == "[":
        match = _LINK.match(line, at)
        span = _linked(match) if match else None
        if match and span:
            return span, match.end()
    return None, at


def _code(text: str) -> Span:
    is_command = text == COMMAND or text.startswith(f"{COMMAND} ")
    return Span(text, Look.COMMAND if is_command else Look.CODE)


def _linked(match: re.Match[str]) -> Span | None:
    """A link, or a moment if there is one of that name."""
    words = _unescaped(match[1])
    if match[3] is None:
        return Span(words, Look.LINK, match[2])
    try:
        return Span(words, Look.TIME, moment=datetime.fromisoformat(match[3]))
    except ValueError:
        return None


def _close(line: str, at: int) -> int:
    """Where the next `**` stands that is not escaped; -1 if none."""
    while at < len(line):
        if line[at] == "\\":
            at += 2
        elif line.startswith("**", at):
            return at
        else:
            at += 1
    return -1


def _unescaped(words: str) -> str:
    return re.sub(r"\\([\\`*\[-])", r"\1", words)
