"""No secret leaves: texts for logs, chat and exports pass here (DESIGN.md §4, invariant 9)."""

import re
from collections.abc import Iterable

HIDDEN = "[redacted]"
_SHAPES = re.compile(
    r"sk-ant-[A-Za-z0-9_-]{8,}"  # Anthropic
    r"|xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}"  # Slack
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|AKIA[0-9A-Z]{16}"
    r"|[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}"  # Discord
    r"|(?<=[?&]token=)[A-Za-z0-9_-]{16,}"
    r"|(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,}"
)
_SHORTEST = 8  # characters: shorter values would blot out ordinary words


class Redaction:
    """Replaces secrets by their shape, and those this process knows wherever they stand."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        found = sorted({each for each in known if len(each) >= _SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, found))) if found else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _SHAPES.sub(HIDDEN, text)
