"""Other people's words in Markdown: shown as written, never read as markup (GitHub's flavour)."""

import re

from bot.cards.formatting import UNKNOWN, cut, one_line
from core.domain.redaction import clean

_SPECIAL = re.compile(r"([\\`*_\[\]|~$^!])")
_LEADING = re.compile(r"^([#+\-=>:]|\d+(?=[.)]))")


def text(words: str, limit: int = 2_000) -> str:
    """One line of plain words, safe in a paragraph, a list item and a table's cell."""
    line = one_line(words, limit)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _SPECIAL.sub(r"\\\1", line)
    # A bare address would become a link that nobody wrote.
    line = re.sub(r"(?i)\b(https?|ftp|mailto|xmpp)(:)", r"\1&#58;", line)
    line = re.sub(r"(?i)\bwww\.", "www&#46;", line).replace("@", "&#64;")
    if leading := _LEADING.match(line):
        mark = leading.group(1)
        line = f"{mark}\\{line[len(mark) :]}" if mark.isdigit() else f"\\{line}"
    return line


def code(words: str, limit: int = 300, *, table: bool = False) -> str:
    """A command, path or commit in one line of code."""
    line = cut(" ⏎ ".join(part.rstrip() for part in clean(words).strip().split("\n")), limit)
    if not line:
        return UNKNOWN
    if table and "|" in line:  # whether a backslash before it counts is read in two ways
        return f"<code>{text(line, limit)}</code>".replace("\\|", "&#124;")
    ticks = "`" * (_longest(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def block(words: str, language: str = "text", *, limit: int = 4_000) -> str:
    """Text of many lines in a fence that nothing in it can close."""
    plain = clean(words).strip("\n")
    if len(plain) > limit:
        half = limit // 2
        plain = f"{plain[:half]}\n… {len(plain) - 2 * half:,} characters cut …\n{plain[-half:]}"
    fence = "`" * max(3, _longest(plain) + 1)
    return f"{fence}{language}\n{plain}\n{fence}"


def _longest(words: str) -> int:
    return max((len(run) for run in re.findall(r"`+", words)), default=0)
