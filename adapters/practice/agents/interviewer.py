"""The interviewer: a handful of questions, then both spec files from the answers.

Where it is follows from what was asked and said alone: an answer is the prompt after a question,
or stands in a prompt as `You asked: … Answer: …`, which a later one overrides.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.practice import bundle
from adapters.practice.conversation import Call, Conversation, Exchange, Reply
from adapters.practice.outline import clean, unnumbered

APP_SPEC = ".autocoder/prompts/app_spec.txt"
SPEC_NOW = ".autocoder/prompts/app_spec.main.txt"
INITIALIZER = ".autocoder/prompts/initializer_prompt.md"
_WRITES = 3  # of one file, then it ends without it

_NAME = re.compile(r"Its name is: (.+)")
_ADDED_TO = re.compile(r"The project (.+) gets something new: a (\w+)\.")
_CHANGED_SPEC = re.compile(r"A person wants the spec of the project (.+) changed\.")
_REQUEST = re.compile(r"In the person's words:\n\n(.+?)(?=\n\nYou asked|\n\nA file was|\Z)", re.S)
_SAID = re.compile(r"You asked: (.+?)\nAnswer: (.*?)(?=\n\nYou asked: |\n\nAsk your last|\Z)", re.S)
_CHANGED = re.compile(r"\AI change an earlier answer\.")
_INTERRUPTED = re.compile(r"\AYou (?:were interrupted|ended your turn)")
_DECIDE = re.compile(r"\b(?:just decide|you (?:decide|choose)|nobody is here)\b", re.I)
_DROPPED = re.compile(r"`material/([^`]+)`")


@dataclass(frozen=True)
class _Question:
    topic: str
    text: str
    choice: str  # what it takes where it shall decide
    options: tuple[str, ...] = ()
    multiple: bool = False


_STORY = "A to-do list for the terminal"
_LANGUAGE = "Python, the standard library only"
_FILE = "One JSON file"
_ABOUT = _Question(
    "overview",
    "What shall {name} be, and for whom? The practice model has one story that it builds to the"
    " end, the first choice; of anything else it builds an honest outline.",
    _STORY,
    (_STORY, "A list of books I have read", "A small calculator"),
)
_DEPTH = _Question(
    "involvement",
    "How much do you want to be asked? Quick leaves the technical side to me.",
    "Quick",
    ("Quick", "Detailed"),
)
_WITH = _Question(
    "technology",
    "Which technology? With the first choice nothing has to be installed, so I would take it.",
    _LANGUAGE,
    (_LANGUAGE, "Python with packages", "Something else"),
)
_PARTS = _Question(
    "features",
    "What must it do in its first version?",
    "Add and list, Find by words and tags, Repeating entries, A command line",
    ("Add and list", "Find by words and tags", "Repeating entries", "A command line"),
    multiple=True,
)
_OTHER_PARTS = _Question(
    "features",
    "What must it have in its first version?",
    "Its core with tests, A command line",
    ("Its core with tests", "Saving to a file", "A command line", "A page of help"),
    multiple=True,
)
_WHERE = _Question(
    "technical details",
    "Where shall it keep its data?",
    _FILE,
    (_FILE, "An SQLite database", "In memory only"),
)
_DONE = _Question(
    "success criteria",
    "How will you see that it is done? A sentence is enough.",
    "Every module has tests, and they pass.",
)
_NEW = _Question("overview", "What exactly shall {name} do then? A sentence or two.", "")
_NEW_DONE = _Question(
    "success criteria",
    "How will you see that this is done?",
    "It has tests, and they pass.",
    ("It has tests, and they pass", "It is described in the docs"),
)


def answer(talk: Conversation) -> Reply:
    first = talk.prompts[0] if talk.prompts else ""
    if _CHANGED_SPEC.search(first):
        return _change(talk)
    added = _ADDED_TO.search(first)
    if added:
        return _add(talk, added[1], added[2])
    found = _NAME.search(first)
    name = clean(found[1], 70) if found else "The project"
    answers = _answers(talk)
    parts = _PARTS if _is_story(_said(answers, _ABOUT, name)) else _OTHER_PARTS
    questions = [_ABOUT, _DEPTH, _WITH, parts, _DONE]
    if _said(answers, _DEPTH, name).casefold().startswith("detailed"):
        questions.insert(4, _WHERE)
    asking = _ask_next(talk, questions, answers, name)
    if asking is not None:
        return asking
    spec = _spec(name, questions, answers, _dropped(talk))
    prompt = (
        f"Plan {name} from `app_spec.txt`.\n\nBegin with what everything else stands on."
        " What the spec does not name is left out.\n"
    )
    return _write(talk, {APP_SPEC: spec, INITIALIZER: prompt}, "The spec is written.")


def _add(talk: Conversation, name: str, kind: str) -> Reply:
    """A feature or phase: two questions, then a section more in the spec."""
    source = SPEC_NOW if SPEC_NOW in talk.prompts[-1] else APP_SPEC
    found = _REQUEST.search(talk.prompts[0])
    request = clean(found[1], 200) if found else f"a new {kind}"
    answers = _answers(talk)
    asking = _ask_next(talk, (_NEW, _NEW_DONE), answers, request)
    if asking is not None:
        return asking
    reads = [e for e in talk.recent if e.tool == "Read" and e.concerns(source) and e.result]
    if not reads:
        return Reply("I read the spec as it is.", (Call("Read", {"file_path": source}),))
    before = _whole(reads[-1])
    section = [f"## {request[:1].upper()}{request[1:]}", ""]
    for question in (_NEW, _NEW_DONE):
        said = _said(answers, question, request)
        decided = _DECIDE.search(said) is not None
        section.append(f"- {clean((question.choice or request) if decided else said, 300)}")
    spec = before if "\n".join(section) in before else f"{before}\n" + "\n".join(section) + "\n"
    return _write(talk, {APP_SPEC: spec}, "The spec says what is new.")


def _change(talk: Conversation) -> Reply:
    """A person's words become a section of the spec; the practice model understands no more."""
    source = SPEC_NOW if SPEC_NOW in talk.prompts[-1] else APP_SPEC
    found = _REQUEST.search(talk.prompts[0])
    request = clean(found[1], 2000) if found else "a change"
    reads = [e for e in talk.recent if e.tool == "Read" and e.concerns(source) and e.result]
    if not reads:
        return Reply("I read the spec as it is.", (Call("Read", {"file_path": source}),))
    before = _whole(reads[-1])
    section = f"## Changed since\n\n- {request}\n"
    spec = before if f"- {request}\n" in before else f"{before}\n{section}"
    return _write(talk, {APP_SPEC: spec}, "The spec says what was wanted.")


def _ask_next(
    talk: Conversation, questions: Sequence[_Question], answers: Mapping[str, str], name: str
) -> Reply | None:
    """The next question, or the end of a turn that asked one; None when all are answered."""
    asked = [e for e in talk.recent if e.tool == "ask_person" and e.result is not None]
    if asked and asked[-1].answer().get("asked"):
        return Reply("I wait for the answer.")
    for question in questions:
        if _text(question, name) in answers:
            continue
        if any(e.failed and e.arguments.get("question") == _text(question, name) for e in asked):
            return Reply("My question was not taken, so I end here.")
        call: dict[str, object] = {"question": _text(question, name)}
        if question.options:
            call["options"] = list(question.options)
            call["multiple"] = question.multiple
        tool = talk.tool("ask_person")
        if tool is not None and {"topic", "expected"} <= tool.parameters:
            call |= {"topic": question.topic, "expected": len(questions)}
        return Reply(_chosen(questions, question, answers, name), (Call("ask_person", call),))
    return None


def _chosen(
    questions: Sequence[_Question], now: _Question, answers: Mapping[str, str], name: str
) -> str:
    """What was decided for the person just before, if anything was."""
    place = questions.index(now)
    if place and _DECIDE.search(_said(answers, questions[place - 1], name)):
        return f"I choose: {questions[place - 1].choice or name}. Next: {now.topic}."
    return f"Next: {now.topic}."


def _text(question: _Question, name: str) -> str:
    return question.text.format(name=name)


def _said(answers: Mapping[str, str], question: _Question, name: str) -> str:
    return answers.get(_text(question, name), "")


def _answers(talk: Conversation) -> dict[str, str]:
    """Question → answer, the newest one."""
    found: dict[str, str] = {}
    asks = [e for e in talk.exchanges if e.tool == "ask_person" and e.result and not e.failed]
    for number, prompt in enumerate(talk.prompts):
        for question, said in _SAID.findall(prompt):
            found[question] = said.strip()
        if _CHANGED.match(prompt) or _INTERRUPTED.match(prompt):
            continue
        for ask in asks:
            if ask.after == number and ask.answer().get("asked"):
                found[str(ask.arguments.get("question", ""))] = prompt
    for ask in asks:
        if not ask.answer().get("asked"):  # answered at once, or cut short: then it was told later
            found.setdefault(str(ask.arguments.get("question", "")), ask.result or "")
    return found


def _is_story(about: str) -> bool:
    """Whether the bundled story is meant, which "just decide" also means."""
    return bool(re.search(r"\bto-?dos?\b|\btodo", about, re.I) or _DECIDE.search(about))


def _spec(
    name: str,
    questions: Sequence[_Question],
    answers: Mapping[str, str],
    dropped: Sequence[str],
) -> str:
    said = {question: clean(_said(answers, question, name), 2000) for question in questions}
    decided = [question for question in questions if _DECIDE.search(said[question])]
    taken = {q: q.choice if q in decided else said[q] for q in questions}
    parts = taken.get(_PARTS) or taken.get(_OTHER_PARTS, "")
    story = _is_story(taken[_ABOUT])
    fits = taken[_WITH] == _LANGUAGE and taken.get(_WHERE, _FILE) == _FILE
    lines: list[str] = []
    if story and fits:
        lines += [bundle.spec().rstrip(), "", bundle.INTERVIEWED, ""]
    else:
        lines += [f"# {name}", "", taken[_ABOUT], "", "## Features", ""]
        lines += [f"- {part.strip()}" for part in parts.split(",") if part.strip()]
        lines += ["", "## Technology and success", ""]
    lines += [f"- {question.topic.capitalize()}: {taken[question]}" for question in questions]
    lines += [f"- Decided for you: {q.topic}, {q.choice}" for q in decided]
    lines += [f"- Material: {file}" for file in dropped]
    return "\n".join(lines) + "\n"


def _dropped(talk: Conversation) -> tuple[str, ...]:
    names = (name for prompt in talk.prompts for name in _DROPPED.findall(prompt))
    return tuple(dict.fromkeys(names))


def _write(talk: Conversation, files: Mapping[str, str], words: str) -> Reply:
    """The files that this prompt did not write yet."""
    for path, content in files.items():
        tries = [e for e in talk.recent if e.tool == "Write" and e.concerns(path)]
        done = [e for e in tries if e.result is not None]
        if done and not done[-1].failed and done[-1].arguments.get("content") == content:
            continue
        if len(tries) >= _WRITES:
            return Reply(f"{path} could not be written, so I end here.")
        if done and done[-1].failed and not _read_since(talk.recent, path):
            return Reply(f"I read {path} first.", (Call("Read", {"file_path": path}),))
        return Reply(f"I write {path}.", (Call("Write", {"file_path": path, "content": content}),))
    return Reply(words)


def _read_since(done: Sequence[Exchange], path: str) -> bool:
    last = max(n for n, e in enumerate(done) if e.tool == "Write" and e.concerns(path))
    return any(e.tool == "Read" and e.concerns(path) and e.result for e in done[last:])


def _whole(reading: Exchange) -> str:
    return unnumbered(reading.result or "").rstrip() + "\n"
