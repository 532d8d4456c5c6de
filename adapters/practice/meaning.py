"""What an answer in a person's own words means: some of the options, own words, or "you decide"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.practice.text import clean

_DECIDE = re.compile(
    r"\b(?:(?:just|please) decide|you (?:decide|choose|pick)|decide (?:for me|yourself)"
    r"|your (?:choice|call|pick)|up to you|whatever(?: you\b.*)?|surprise me|nobody is here"
    r"|(?:i )?do(?:n['’]?t| not) (?:care|mind|know)|no (?:preference|idea)"
    r"|any(?:thing)? (?:is|would be|will be) (?:fine|ok|okay|good))\b",
    re.IGNORECASE,
)
_MOST_BESIDE = 3  # words around "you decide" that leave it what it is
_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5}
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
_ALL = frozenset({"all", "everything", "both", "each"})
_FILLERS = frozenset(  # words that change nothing of what is named by number
    re.findall(
        r"\w+",
        "a and build choice choose do give go i just last like me need number of one ones only"
        " option options or please take thanks that the them these to want we with would",
    )
)
_SOME = re.compile(rf"\b(first|last)\s+({'|'.join(_COUNTS)}|[2-5])\b")
_RANGE = re.compile(r"\b([1-9])\s*(?:-|–|to)\s*([1-9])\b")
_PLACE = re.compile(rf"\b({'|'.join(_ORDINALS)}|last|[1-9])\b")
_BUT = re.compile(r"\b(?:but|except|without|not)\b")
_PARTS = re.compile(r"[,;\n]")


@dataclass(frozen=True)
class Question:
    """A question with what it takes where it shall decide."""

    topic: str
    text: str
    choice: str
    options: tuple[str, ...] = ()
    multiple: bool = False
    signs: tuple[tuple[str, str], ...] = ()  # pattern → the option that such words mean


@dataclass(frozen=True)
class Answer:
    """What is taken for an answer."""

    said: str
    options: tuple[str, ...]  # the labels that are meant, in their order
    own: tuple[str, ...]  # words that name none
    decided: str = ""  # the choice of whoever asked

    @property
    def taken(self) -> str:
        return self.decided or ", ".join((*self.options, *self.own))

    @property
    def line(self) -> str:
        """As a spec says it: with the person's words, where they were other ones."""
        alike = self.decided or self.said.casefold() == self.taken.casefold()
        return self.taken if alike else f"{self.taken} (in your words: {self.said})"


def meaning(said: str, question: Question) -> Answer:
    """Of a choice the option that is meant, of several all of them; else own words."""
    said = clean(said, 2000)
    rest, times = _DECIDE.subn(" ", said)
    leaves_it = times > 0 and len(re.findall(r"\w+", rest)) <= _MOST_BESIDE
    text = rest if leaves_it else said
    parts = [part.strip() for part in _PARTS.split(text)] if question.multiple else [text]
    found: set[str] = set()
    own: list[str] = []
    for part in filter(None, parts):
        meant = _meant(part, question)
        found.update(meant)
        if not meant:
            own.append(part)
    if leaves_it and not found:
        return Answer(said, (), (), question.choice)
    return Answer(said, tuple(o for o in question.options if o in found), tuple(own))


def _meant(part: str, question: Question) -> Sequence[str]:
    text, options = part.casefold().strip(" .!?\"'“”"), question.options
    same = [option for option in options if option.casefold() == text]
    if same:
        return same
    if question.multiple:
        named, _, left_out = _BUT.sub("\0", text, count=1).partition("\0")
        words = set(re.findall(r"\w+", named))
        if words & _ALL and words <= _ALL | _FILLERS | _COUNTS.keys():
            left = _meant(left_out, question) if left_out.strip() else ()
            return [option for option in options if option not in left]
    signs = [option for sign, option in question.signs if re.search(sign, text)]
    found = signs or [options[place] for place in _places(text, len(options))]
    return found if question.multiple else found[:1]


def _places(text: str, count: int) -> Sequence[int]:
    """Which of so many are named by number, and nothing else: `the first two`, `1-3`, `2 and last`."""
    words = re.findall(r"[^\W\d]+", text)
    if not _FILLERS.union(_COUNTS, _ORDINALS).issuperset(words):
        return ()
    if match := _SOME.search(text):
        several = min(count, _COUNTS.get(match[2]) or int(match[2]))
        return range(several) if match[1] == "first" else range(count - several, count)
    if match := _RANGE.search(text):
        return range(int(match[1]) - 1, min(count, int(match[2])))
    numbers = (
        count if word == "last" else _ORDINALS.get(word) or int(word)
        for word in _PLACE.findall(text)
    )
    return [number - 1 for number in numbers if number <= count]
