"""What a person's words mean as an answer to a question."""

from collections.abc import Sequence


def chosen(options: Sequence[str], multiple: bool, line: str) -> str:
    """The answer as the agent gets it: labels literally, joined by `, `, or the own words.

    A label picks its option, whatever its case; several are parted by commas.
    """
    text = line.strip()
    picks = [part.strip() for part in text.split(",")] if multiple else [text]
    labels = {option.strip().casefold(): option for option in options}
    if any(pick.casefold() not in labels for pick in picks):
        return line
    return ", ".join(dict.fromkeys(labels[pick.casefold()] for pick in picks))
