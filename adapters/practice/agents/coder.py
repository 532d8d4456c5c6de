"""The coder: takes tasks until none is left, and claims one only when its files stand.

Where it is follows from the exchanges since the last prompt: after each prompt it begins with
`task_get_next` again, because the worktree may have been set back meanwhile.
"""

import re
from collections.abc import Sequence

from adapters.practice import programs, wishes
from adapters.practice.conversation import Call, Conversation, Exchange, Reply
from adapters.practice.meaning import Question, meaning
from adapters.practice.programs import Change, Round, Task
from adapters.practice.text import clean

_TRIES_PER_FILE = 3
_ASK = re.compile(r"Ask a person before you write: (.+\?) \((.+)\)")
_ERROR_LINE = re.compile(r"[\w.]*(?:Error|Exception)\b")


def answer(talk: Conversation) -> Reply:
    taken = _last(talk.recent, "task_get_next")
    if taken is None or talk.recent[taken].result is None:
        return Reply("I take the next task.", (Call("task_get_next"),))
    exchange = talk.recent[taken]
    if exchange.failed:
        return Reply(f"I was given no task, so I end here: {_shortened(exchange.result or '')}")
    given = exchange.answer()
    if "task" not in given:
        return Reply("I could not read the answer of task_get_next, so I end here.")
    if given["task"] is None:
        return Reply("No task is left for me. I am done.")
    task = Task.read(given["task"]) if isinstance(given["task"], dict) else None
    if task is None:
        return Reply("I was given a task without an id, so I end here.")
    return _work(talk, task, talk.recent[taken + 1 :])


def _work(talk: Conversation, task: Task, done: Sequence[Exchange]) -> Reply:
    released = _last(done, "task_release")
    if released is not None and done[released].result is not None:
        return Reply(f"I gave task {task.id} back unfinished and end here.")
    asking, said = _question(talk, task)
    if asking is not None:
        return asking
    rounds = programs.rounds(task, said) or wishes.rounds(task)
    if not rounds:
        return _release(talk, task, "It is of no plan of mine, so the practice model cannot do it.")
    refusals = 0
    since = 0
    for number, exchange in enumerate(done):
        if exchange.tool == "task_mark_passing" and exchange.result is not None:
            if not exchange.failed and exchange.answer().get("accepted") is not False:
                return Reply(
                    f"Task {task.id} is proved. I take the next.", (Call("task_get_next"),)
                )
            refusals += 1
            since = number + 1
    return _round(talk, task, rounds, refusals, done[since:])


def _question(talk: Conversation, task: Task) -> tuple[Reply | None, str]:
    """What a task wants to have asked: the reply that asks or waits, or the answer."""
    wanted = _ASK.search(task.description)
    if wanted is None or talk.tool("ask_person") is None:
        return None, ""
    question, options = wanted[1], wanted[2].split(" | ")
    for prompt in reversed(talk.prompts):
        told = prompt.rpartition(f"You asked: {question}\nAnswer: ")
        if told[1]:
            return None, _decided(told[2].partition("\n\nYou asked: ")[0], options)
    for e in reversed(talk.exchanges):  # a session that ended on its question hears it verbatim
        parked = e.tool == "ask_person" and e.answer().get("asked")
        if parked and e.arguments.get("question") == question and len(talk.prompts) > e.after:
            return None, _decided(talk.prompts[e.after], options)
    asked = [e for e in talk.recent if e.tool == "ask_person" and e.result is not None]
    if not asked:
        call = Call("ask_person", {"question": question, "options": options})
        return Reply(f"Task {task.id} needs a person's word.", (call,)), ""
    if asked[-1].failed:
        return None, ""
    if asked[-1].answer().get("asked"):
        return Reply("I wait for the answer."), ""
    return None, _decided(asked[-1].result or "", options)


def _decided(said: str, options: Sequence[str]) -> str:
    signs = tuple((rf"\b{each.casefold().split()[0].split('-')[0]}\b", each) for each in options)
    question = Question("", "", options[0], tuple(options), signs=signs)
    return clean(meaning(said, question).taken, 200)


def _round(
    talk: Conversation, task: Task, rounds: Sequence[Round], number: int, done: Sequence[Exchange]
) -> Reply:
    if number >= len(rounds):
        regret = "The check still fails and I know no other way."
        return _release(talk, task, f"{regret} {_last_error(talk)}".rstrip())
    this = rounds[number]
    reads = [path for path in this.reads if not _was_read(done, path)]
    if reads:
        return Reply(
            f"I read {', '.join(reads)} for task {task.id}.", tuple(_read(path) for path in reads)
        )
    calls: list[Call] = []
    for change in this.changes:
        tries = [n for n, e in enumerate(done) if _writes(e, change.path)]
        last = done[tries[-1]] if tries else None
        if last is not None and last.result is not None and not last.failed:
            continue
        if len(tries) >= _TRIES_PER_FILE:
            return _release(talk, task, f"{change.path} could not be written.")
        # The CLI refuses to change a file that this session has not read.
        if tries and not _was_read(done[tries[-1] + 1 :], change.path):
            calls.append(_read(change.path))
        else:
            calls.append(_change(change, again=bool(tries)))
    if calls:
        return Reply(this.words, tuple(calls))
    claim = Call("task_mark_passing", {"task_id": task.id})
    return Reply(f"The files of task {task.id} stand; its checks may run.", (claim,))


def _release(talk: Conversation, task: Task, reason: str) -> Reply:
    arguments: dict[str, object] = {"task_id": task.id}
    tool = talk.tool("task_release")
    if tool is not None and "reason" in tool.parameters:
        arguments["reason"] = reason
    return Reply(f"I give task {task.id} back: {reason}", (Call("task_release", arguments),))


def _last_error(talk: Conversation) -> str:
    """The telling line of the last refusal, so that whoever reads on knows what was met."""
    claims = [e for e in talk.recent if e.tool == "task_mark_passing" and e.result]
    lines = claims[-1].result.splitlines() if claims and claims[-1].result else []
    telling = [line.strip() for line in lines if _ERROR_LINE.match(line.strip())]
    return _shortened(telling[-1]) if telling else ""


def _change(change: Change, *, again: bool) -> Call:
    if change.old and not again:
        return Call(
            "Edit",
            {"file_path": change.path, "old_string": change.old, "new_string": change.new},
        )
    return Call("Write", {"file_path": change.path, "content": change.content})


def _read(path: str) -> Call:
    return Call("Read", {"file_path": path})


def _writes(exchange: Exchange, path: str) -> bool:
    return exchange.tool in ("Write", "Edit") and exchange.concerns(path)


def _was_read(done: Sequence[Exchange], path: str) -> bool:
    return any(e.tool == "Read" and e.concerns(path) and e.result is not None for e in done)


def _last(exchanges: Sequence[Exchange], tool: str) -> int | None:
    found = [number for number, exchange in enumerate(exchanges) if exchange.tool == tool]
    return found[-1] if found else None


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:199]}…"
