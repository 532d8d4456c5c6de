"""What may be a spec: UTF-8 Markdown of any shape, 1 byte to 1 MB."""

import hashlib
import re

from core.domain.names import sanitize
from core.errors import BadSpec

SPEC_LIMIT = 1_000_000  # bytes
_HEADING = re.compile(r"#{1,6}[ \t]")


def read_spec(data: bytes) -> str:
    """The text of a spec, or BadSpec that says what is wrong with it."""
    if len(data) > SPEC_LIMIT:
        raise BadSpec(f"The spec has more than {SPEC_LIMIT:,} bytes, which is too much.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadSpec(f"The spec is not UTF-8 text (byte {error.start}).") from None
    if not text.removeprefix("\ufeff").strip():
        raise BadSpec("The spec is empty.")
    if "\x00" in text:
        raise BadSpec("The spec holds NUL characters: it looks like a binary file.")
    return text


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def name_from(text: str, stem: str) -> str:
    """The first heading, else the file's stem, mended into a project's name."""
    for line in text.removeprefix("\ufeff").splitlines():
        if _HEADING.match(line):
            mended = sanitize(line.lstrip("#").strip().rstrip("#"), fallback="")
            return mended or sanitize(stem)
    return sanitize(stem)
