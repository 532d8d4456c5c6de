"""The interviewer: a handful of questions, then both spec files from the answers.

Where it is follows from what was asked and said alone: an answer is the prompt after a question,
or stands in a prompt as `You asked: … Answer: …`, which a later one overrides.
"""

import re
from collections.abc import Mapping, Sequence

from adapters.practice import programs
from adapters.practice.conversation import Call, Conversation, Exchange, Reply
from adapters.practice.meaning import Answer, Question, meaning
from adapters.practice.text import clean, unnumbered

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
_DROPPED = re.compile(r"`material/([^`]+)`")

_STORY = "A to-do list for the terminal"
_PYTHON, _PACKAGES, _OTHER = (
    "Python, the standard library only", "Python with packages", "Something else",
)  # fmt: skip
_FILE, _DATABASE, _MEMORY = "One JSON file", "An SQLite database", "In memory only"
_ADD, _FIND, _REPEAT, _TERMINAL = (
    "Add and list", "Find by words and tags", "Repeating entries", "A command line",
)  # fmt: skip
_ABOUT = Question(
    "overview",
    "What shall {name} be, and for whom? The practice model has one story that it builds to the"
    " end, the first choice; of anything else it makes a small notebook with your words.",
    _STORY,
    (_STORY, "A list of books I have read", "A small calculator"),
    signs=((r"\bto-?\s?dos?\b|\btodo|\btask list|\bthings to do\b", _STORY),),
)
_DEPTH = Question(
    "involvement",
    "How much do you want to be asked? Quick leaves the technical side to me.",
    "Quick",
    ("Quick", "Detailed"),
    signs=(
        (r"\b(?:quick|fast|short|brief|few|hurry|simpl|minim)", "Quick"),
        (r"\b(?:detail|thorough|in depth|everything|full|long)", "Detailed"),
    ),
)
_WITH = Question(
    "technology",
    "Which technology? With the first choice nothing has to be installed, so I would take it.",
    _PYTHON,
    (_PYTHON, _PACKAGES, _OTHER),
    signs=(
        (
            r"c\+\+|c#|\b(?:rust|go|golang|java|javascript|typescript|node|ruby|php|kotlin)\b",
            _OTHER,
        ),
        (r"\b(?:no|without|nothing)\b.*(?:package|depend|librar|install)", _PYTHON),
        (r"\bpackages?\b|\bpip\b|\b(?:flask|django|fastapi|click|typer)\b", _PACKAGES),
        (r"\bpython|\bstdlib\b|\bstandard lib", _PYTHON),
    ),
)
_PARTS = Question(
    "features",
    "What must it do in its first version?",
    f"{_ADD}, {_FIND}, {_REPEAT}, {_TERMINAL}",
    (_ADD, _FIND, _REPEAT, _TERMINAL),
    multiple=True,
    signs=(
        (r"\badd|\blist|\bcreat|\benter", _ADD),
        (r"\bfind|\bsearch|\bfilter|\btag|\blook", _FIND),
        (r"\brepeat|\brecur|\bdaily|\bweekly|\bmonthly", _REPEAT),
        (r"\bcommand|\bterminal|\bcli\b|\bshell|\bconsole", _TERMINAL),
    ),
)
_OTHER_PARTS = Question(
    "features",
    "What must it have in its first version?",
    "Its core with tests, A command line",
    ("Its core with tests", "Saving to a file", "A command line", "A page of help"),
    multiple=True,
)
_WHERE = Question(
    "technical details",
    "Where shall it keep its data?",
    _FILE,
    (_FILE, _DATABASE, _MEMORY),
    signs=((r"sql|\bdatabase", _DATABASE), (r"json|\bfile", _FILE), (r"\bmemory", _MEMORY)),
)
_DONE = Question(
    "success criteria",
    "How will you see that it is done? A sentence is enough.",
    "Every module has tests, and they pass.",
)
_NEW = Question("overview", "What exactly shall {name} do then? A sentence or two.", "")
_NEW_DONE = Question(
    "success criteria",
    "How will you see that this is done?",
    "It has tests, and they pass",
    ("It has tests, and they pass", "It is described in the docs"),
)


def answer(talk: Conversation) -> Reply:
    first = talk.prompts[0] if talk.prompts else ""
    if _CHANGED_SPEC.search(first):
        return _change(talk)
    if _ADDED_TO.search(first):
        return _add(talk)
    found = _NAME.search(first)
    name = clean(found[1], 70) if found else "The project"
    answers = _answers(talk)
    about = meaning(_said(answers, _ABOUT, name), _ABOUT)
    questions = [_ABOUT, _DEPTH, _WITH, _PARTS if _is_story(about) else _OTHER_PARTS, _DONE]
    if "Detailed" in meaning(_said(answers, _DEPTH, name), _DEPTH).options:
        questions.insert(4, _WHERE)
    asking = _ask_next(talk, questions, answers, name)
    if asking is not None:
        return asking
    taken = {question: meaning(_said(answers, question, name), question) for question in questions}
    prompt = (
        f"Plan {name} from `app_spec.txt`.\n\nBegin with what everything else stands on."
        " What the spec does not name is left out.\n"
    )
    spec = _spec(name, taken, _dropped(talk))
    return _write(talk, {APP_SPEC: spec, INITIALIZER: prompt}, "The spec is written.")


def _add(talk: Conversation) -> Reply:
    """A feature or phase: two questions, then a section more in the spec."""
    request = _request(talk, 200)
    answers = _answers(talk)
    asking = _ask_next(talk, (_NEW, _NEW_DONE), answers, request)
    if asking is not None:
        return asking
    taken = [meaning(_said(answers, each, request), each).taken for each in (_NEW, _NEW_DONE)]
    points = [f"- {clean(words, 300) or request}" for words in taken]
    section = "\n".join([f"## {request[:1].upper()}{request[1:]}", "", *points])
    return _extend(talk, section, "The spec says what is new.")


def _change(talk: Conversation) -> Reply:
    """A person's words become a section of the spec; the practice model understands no more."""
    section = f"## Changed since\n\n- {_request(talk, 2000)}"
    return _extend(talk, section, "The spec says what was wanted.")


def _request(talk: Conversation, limit: int) -> str:
    found = _REQUEST.search(talk.prompts[0])
    return clean(found[1], limit) if found else "something new"


def _extend(talk: Conversation, section: str, words: str) -> Reply:
    """The spec with a section more."""
    source = SPEC_NOW if SPEC_NOW in talk.prompts[-1] else APP_SPEC
    reads = [e for e in talk.recent if e.tool == "Read" and e.concerns(source) and e.result]
    if not reads:
        return Reply("I read the spec as it is.", (Call("Read", {"file_path": source}),))
    before = unnumbered(reads[-1].result or "").rstrip() + "\n"
    spec = before if f"{section}\n" in before else f"{before}\n{section}\n"
    return _write(talk, {APP_SPEC: spec}, words)


def _ask_next(
    talk: Conversation, questions: Sequence[Question], answers: Mapping[str, str], name: str
) -> Reply | None:
    """The next question, or the end of a turn that asked one; None when all are answered."""
    asked = [e for e in talk.recent if e.tool == "ask_person" and e.result is not None]
    if asked and asked[-1].answer().get("asked"):
        return Reply("I wait for the answer.")
    for place, question in enumerate(questions):
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
        chosen = ""
        if place:
            before = meaning(_said(answers, questions[place - 1], name), questions[place - 1])
            chosen = f"I choose: {before.decided}. " if before.decided else ""
        return Reply(f"{chosen}Next: {question.topic}.", (Call("ask_person", call),))
    return None


def _text(question: Question, name: str) -> str:
    return question.text.format(name=name)


def _said(answers: Mapping[str, str], question: Question, name: str) -> str:
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


def _is_story(about: Answer) -> bool:
    """Whether the to-do book is meant, which "just decide" also means."""
    return _STORY in (*about.options, about.decided)


def _spec(name: str, taken: Mapping[Question, Answer], dropped: Sequence[str]) -> str:
    """The to-do book's spec with what was decided, or one of the person's words alone."""
    where = taken.get(_WHERE)
    fits = taken[_WITH].taken == _PYTHON and (where is None or where.taken == _FILE)
    story = fits and _is_story(taken[_ABOUT])
    lines: list[str] = []
    if story:
        lines += [programs.spec().rstrip(), "", programs.INTERVIEWED, ""]
    else:
        parts = taken.get(_PARTS) or taken[_OTHER_PARTS]
        lines += [f"# {name}", "", taken[_ABOUT].taken, "", "## Features", ""]
        lines += [f"- {part.strip()}" for part in parts.taken.split(",") if part.strip()]
        lines += ["", "## Technology and success", ""]
    lines += [f"- {question.topic.capitalize()}: {said.line}" for question, said in taken.items()]
    lines += _beside(taken[_PARTS]) if story else ()
    lines += [
        f"- Decided for you: {question.topic}, {said.decided}"
        for question, said in taken.items()
        if said.decided
    ]
    lines += [f"- Material: {file}" for file in dropped]
    return "\n".join(lines) + "\n"


def _beside(parts: Answer) -> Sequence[str]:
    """Where the story is not what was chosen of its features: it is built whole, and nothing else."""
    left = [option for option in _PARTS.options if option not in parts.options]
    found = []
    if left and not parts.decided:
        found.append(
            f"- Built as well, because the practice model's story is one whole: {', '.join(left)}"
        )
    if parts.own:
        found.append(f"- Not built by the practice model: {', '.join(parts.own)}")
    return found


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
