"""What is new since the version that worked in this home before."""

import re
from pathlib import Path

_SECTION = re.compile(r"^## \[(?P<version>[^\]]+)\].*$", re.MULTILINE)


def changes_since(before: str, now: str, changelog: str) -> str:
    """The sections of the change log above that of `before`; empty where nothing is new."""
    if before == now:
        return ""
    found = list(_SECTION.finditer(changelog))
    texts = []
    for index, section in enumerate(found):
        if section["version"] == before:
            break
        end = found[index + 1].start() if index + 1 < len(found) else len(changelog)
        if section["version"].lower() != "unreleased":
            texts.append(changelog[section.start() : end].strip())
    return "\n\n".join(texts)


def changelog() -> str:
    """CHANGELOG.md of the source tree, from which the service runs; empty without one."""
    source = Path(__file__).parents[1] / "CHANGELOG.md"
    return source.read_text("utf-8") if source.is_file() else ""
