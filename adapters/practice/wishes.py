"""What a person wants beside a plan: one wish is truly carried out, any other is written down.

Why a plan or a phase was rejected, and what is added to a project, are wishes. The practice model
understands one: that finding shall ignore accents. Of any other it makes a task that keeps the words
in a file and says that nobody built them.
"""

import re
import shlex
from hashlib import sha256
from typing import Any

from adapters.practice.programs import Change, Round, Task
from adapters.practice.text import clean

_CATEGORY = "practice note"
_ACCENTS = re.compile(r"\b(?:accent|diacritic|umlaut)", re.IGNORECASE)


def is_about_accents(words: str) -> bool:
    return _ACCENTS.search(words) is not None


def note(words: str, *, again: int = 0) -> dict[str, Any]:
    """A plan that writes a wish down; `again` makes another one of the same words."""
    counted = f" ({again + 1})" if again else ""
    wanted = clean(words, 2000) or "Nothing was said."
    short = clean(wanted, 60)
    name = f"Write down: {short}{counted}"
    # Names may differ in their last characters only, and features side by side share no file.
    path = f"wishes/{sha256(name.encode()).hexdigest()[:8]}.md"
    task = {
        "name": name,
        "category": _CATEGORY,
        "description": wanted,
        "steps": ["Write the words down", "Say that they are not built"],
        "complexity": 1,
        "checks": [f"grep -qF -e {shlex.quote(short.rstrip('…'))} {path}"],
        "depends_on": [],
        "files": [path],
    }
    feature = {
        "name": f"Noted: {short}{counted}",
        "description": "The practice model does not build this; it writes it down.",
        "spec": wanted,
        "depends_on": [],
        "tasks": [task],
    }
    phase = {"name": f"Noted: {short}{counted}", "description": wanted, "features": [feature]}
    summary = f"[practice] The practice model does not build this; it writes it down: {wanted}"
    return {"summary": summary, "setup": [], "run": None, "checks": [], "phases": [phase]}


def rounds(task: Task) -> tuple[Round, ...]:
    """What to do for a task that writes a wish down; nothing for any other."""
    if task.category != _CATEGORY or len(task.files) != 1:
        return ()
    text = (
        f"# Wanted\n\n{task.description}\n\n"
        "Written down by autocoder's practice model, which did not build it: it is a script that"
        " plays an agent.\n"
    )
    change = Change(task.files[0], text)
    return (
        Round("I write the wish down; building it is beyond the practice model.", (change,)),
        Round("I write it down once more.", (change,)),
    )
