"""The assistant: says what its tools showed it, and that it understands nothing of it.

Tasks a question names are read with `task_get`; else the tasks are listed, and the words of the
question are looked for in the project's files.
"""

import re
from collections.abc import Mapping

from adapters.practice.conversation import Call, Conversation, Exchange, Reply
from adapters.practice.text import clean

_ASKED = re.compile(r"\A(?:You were interrupted[^\n]*\n\n)?(.+?) asks about the project (.+?):\n\n(.+?)(?=\n\nWhat the service has on file|\Z)", re.S)  # fmt: skip
_TASK = re.compile(r"(?:\btasks?\s+#?|#)(\d{1,6})", re.I)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{3,}")
_COMMON = frozenset(
    _WORD.findall(
        "about after again also been before code could does done file files from have here into"
        " just many more most much need only please project show some such take task tasks tell"
        " than that their them then there these they this three tries took used using very want"
        " were what when where which will with would your"
    )
)
_MOST = 3  # tasks that are read
_HITS = 6


def answer(talk: Conversation) -> Reply:
    found = _ASKED.search(talk.prompts[-1]) or _ASKED.search(talk.prompts[0])
    question = found[3].strip() if found else talk.prompts[-1]
    for number in list(dict.fromkeys(int(n) for n in _TASK.findall(question)))[:_MOST]:
        if not _did(talk, "task_get", task_id=number):
            return Reply(f"I read task {number}.", (Call("task_get", {"task_id": number}),))
    read = [e for e in talk.exchanges if e.tool == "task_get" and e.result is not None]
    if read:
        return Reply("\n\n".join(_task(each) for each in read) + _HONEST)
    if not _did(talk, "task_list"):
        return Reply("I list the tasks.", (Call("task_list"),))
    word = _telling(question)
    if word and not _did(talk, "Grep", pattern=re.escape(word)):
        looking = {"pattern": re.escape(word), "output_mode": "files_with_matches", "-i": True}
        return Reply(f"I look for {word}.", (Call("Grep", looking),))
    return Reply(f"{_tasks(talk)}{_files(talk, word)}{_HONEST}")


_HONEST = (
    "\n\nI am scripted: I repeat what I read and understand nothing of it. With Claude connected an"
    " assistant reads the code and answers."
)


def _did(talk: Conversation, tool: str, **arguments: object) -> bool:
    return any(
        e.tool == tool
        and e.result is not None
        and all(e.arguments.get(name) == value for name, value in arguments.items())
        for e in talk.exchanges
    )


def _task(read: Exchange) -> str:
    dossier = read.answer()
    task = dossier.get("task")
    if read.failed or not isinstance(task, dict):
        return clean(read.result or "", 300)
    tries = int(task.get("attempts") or 0)
    said = [f"Task {task.get('id')} `{task.get('name')}` is {task.get('status')}, {tries} failed"]
    said[0] += " attempt." if tries == 1 else " attempts."
    said += [
        f"- {run.get('began')}: {run.get('agent')}, {run.get('outcome')}"
        for run in _rows(dossier, "runs")[-5:]
    ]
    for proof in _rows(task, "evidence"):
        for check in _rows(proof, "checks"):
            if check.get("exit_code"):
                last = clean(str(check.get("output") or "").strip().rpartition("\n")[2], 160)
                said.append(f"- `{check.get('command')}` exited with {check['exit_code']}: {last}")
    return "\n".join(said)


def _rows(of: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    rows = of.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _tasks(talk: Conversation) -> str:
    listing = next(e for e in talk.exchanges if e.tool == "task_list" and e.result is not None)
    rows = _rows(listing.answer(), "tasks")
    if not rows:
        return "The project has no tasks yet."
    passing = sum(row.get("status") == "passing" for row in rows)
    stuck = [f"{row.get('id')} `{row.get('name')}`" for row in rows if row.get("status") == "stuck"]
    words = f"{passing} of {len(rows)} tasks pass."
    return f"{words} Stuck: {', '.join(stuck)}." if stuck else words


def _files(talk: Conversation, word: str) -> str:
    found = [e for e in talk.exchanges if e.tool == "Grep" and e.result is not None]
    if not word or not found:
        return ""
    lines = [line.strip() for line in (found[-1].result or "").splitlines()]
    paths = [line for line in lines if line and not line.lower().startswith(("found ", "no "))]
    if found[-1].failed or not paths:
        return f"\n\nNo file of the project mentions `{word}`."
    shown = "\n".join(f"- `{path}`" for path in paths[:_HITS])
    more = f"\n- and {len(paths) - _HITS} more" if len(paths) > _HITS else ""
    return f"\n\nThese files mention `{word}`:\n{shown}{more}"


def _telling(question: str) -> str:
    """The word of a question that is most likely a name: the longest uncommon one."""
    words = [w.strip(".-") for w in _WORD.findall(question)]
    return max((w for w in words if w.lower() not in _COMMON), key=len, default="")
