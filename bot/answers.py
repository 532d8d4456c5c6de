"""What a person's words mean as an answer to a question (CONTRACT.md §2, Questions)."""

import re
from collections.abc import Sequence


def chosen(options: Sequence[str], multiple: bool, line: str, *, numbered: bool) -> str:
    """The answer as the agent gets it: labels literally, joined by `, `, or the own words.

    A label picks its option, whatever its case, and so does its number where the options were
    `numbered` when they were shown; several are parted by commas.
    """
    text = line.strip()
    picks = [part.strip() for part in text.split(",")] if multiple else [text]
    labels = {option.strip().casefold(): option for option in options}
    found = []
    for pick in picks:
        if pick.casefold() in labels:
            found.append(labels[pick.casefold()])
        elif numbered and re.fullmatch(r"[0-9]{1,9}", pick) and 1 <= int(pick) <= len(options):
            found.append(options[int(pick) - 1])
        else:
            return line
    return ", ".join(dict.fromkeys(found))
