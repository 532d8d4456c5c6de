"""What a person's words name."""

import re

_TASKS = re.compile(
    r"(?:\btasks?\s*(?:no\.?\s*|number\s+)?#?|#)(\d{1,6}(?:\s*(?:,|and|or|&|to)+\s*#?\d{1,6})*)",
    re.I,
)
_NUMBER = re.compile(r"\d+")
MOST = 8


def task_numbers(text: str) -> tuple[int, ...]:
    """The tasks a text names: `task 12`, `#12`, `tasks 3, 4 and 7`; each once, at most eight."""
    found = (int(n) for named in _TASKS.findall(text) for n in _NUMBER.findall(named))
    return tuple(dict.fromkeys(found))[:MOST]
