"""What is new since the version that worked in this home before."""

import re
from importlib.metadata import distribution
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
    """CHANGELOG.md of the source tree, or the copy that a wheel brings along."""
    source = Path(__file__).parents[1] / "CHANGELOG.md"
    if source.is_file():
        return source.read_text("utf-8")
    return distribution("autocoder").read_text("extra_metadata/CHANGELOG.md") or ""
