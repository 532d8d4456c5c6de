"""Names: of projects, their slugs, and of people."""

import re
import unicodedata
from collections.abc import Collection

from core.domain.redaction import clean
from core.errors import BadName

NAME_LIMIT = 64
PERSON_LIMIT = 128
_TRICKS = str.maketrans("", "", "`<>")  # what would be code, or mention somebody
_SLUG_LIMIT = 48
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}\Z")
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»"}


def unquote(text: str) -> str:
    """The name without spaces and pairs of quotes around it; a single quote belongs to it."""
    name = text.strip()
    while len(name) > 1 and _QUOTES.get(name[0]) == name[-1]:
        name = name[1:-1].strip()
    return name


def is_name(text: str) -> bool:
    return bool(_NAME.match(text)) and ".." not in text and text == text.strip()


def sanitize(text: str, *, fallback: str = "project") -> str:
    """The nearest allowed name."""
    plain = unicodedata.normalize("NFKD", unquote(text))
    plain = plain.encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9 ._-]+", " ", plain)
    plain = re.sub(r"\.{2,}", ".", plain)
    plain = re.sub(r"\s+", " ", plain).lstrip(" ._-")[:NAME_LIMIT].strip(" ")
    return plain if is_name(plain) else fallback


def parse_name(text: str) -> str:
    """The name a person gave, or BadName with a mended one."""
    name = unquote(text)
    if is_name(name):
        return name
    raise BadName(
        f"{text[:80]!r} cannot be a project's name.",
        hint=f"Names have 1-64 of A-Z a-z 0-9 space . _ - and begin with a letter or digit;"
        f" how about {sanitize(text)!r}?",
    )


def slugify(text: str, taken: Collection[str] = (), *, fallback: str = "item") -> str:
    """Lower-case words joined by dashes, at most 48 characters, unlike any in `taken`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_SLUG_LIMIT].strip("-") or fallback
    slug, n = base, 2
    while slug in taken:
        end = f"-{n}"
        slug, n = base[: _SLUG_LIMIT - len(end)].rstrip("-") + end, n + 1
    return slug


def display_name(given: str) -> str:
    """How a platform calls a person, on one line, without what steers a screen or marks it up."""
    return " ".join(clean(given).translate(_TRICKS).split())[:PERSON_LIMIT].rstrip()


def file_name(given: str) -> str:
    """The last part of a name, without what a file system or a terminal takes amiss."""
    last = given.replace("\\", "/").rpartition("/")[2]
    plain = "".join(char for char in last if char.isprintable()).strip().lstrip(".")
    stem, dot, ending = plain.rpartition(".")
    if len(plain) > 120 and dot:
        plain = f"{stem[:100]}.{ending[:19]}"
    return plain[:120] or "file"
