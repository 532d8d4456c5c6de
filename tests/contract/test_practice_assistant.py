"""The practice model's assistant: it reads before it speaks, and says that it is scripted."""

import json
from typing import Any

from adapters.practice.agents import answer
from adapters.practice.conversation import Reply, parse
from core.orchestrator.assisting import GO_ON, Question, briefing

TASK = {
    "id": 12,
    "name": "Sign-in",
    "status": "passing",
    "attempts": 2,
    "evidence": [
        {"checks": [{"command": "pytest -q", "exit_code": 1, "output": "x\nAssertionError: 401"}]}
    ],
}


class _Asking:
    """A conversation with the assistant; `results` are what its tools give."""

    def __init__(self, text: str, results: dict[str, str], *, resumed: bool = False) -> None:
        self.results = results
        self.calls: list[str] = []
        question = Question(text, "web:ann", "todo-api", [])
        tools = ["Read", "Glob", "Grep", "mcp__autocoder__task_get", "mcp__autocoder__task_list"]
        self.body: dict[str, Any] = {
            "model": "claude-sonnet-5",
            "system": "You are the assistant of autocoder.",
            "tools": [{"name": name, "input_schema": {}} for name in tools],
            "messages": [{"role": "user", "content": briefing(question, resumed=resumed)}],
        }

    def words(self) -> str:
        for number in range(10):
            reply: Reply = answer(parse(self.body))
            if not reply.calls:
                return reply.text
            (call,) = reply.calls
            self.calls.append(call.tool)
            name = call.tool if call.tool[0].isupper() else f"mcp__autocoder__{call.tool}"
            use = {"type": "tool_use", "id": f"t{number}", "name": name, "input": call.arguments}
            result = {
                "type": "tool_result",
                "tool_use_id": f"t{number}",
                "content": self.results[call.tool],
            }
            self.body["messages"] += [
                {"role": "assistant", "content": [use]},
                {"role": "user", "content": [result]},
            ]
        raise AssertionError("it never answers")


def test_a_task_is_read_and_told() -> None:
    run = {"agent": "coder-1", "outcome": "failed", "began": "2026-03-12T10:00:00Z"}
    dossier = {"task": TASK, "runs": [run]}
    asking = _Asking("why did task 12 take three tries?", {"task_get": json.dumps(dossier)})
    words = asking.words()
    assert asking.calls == ["task_get"]
    assert words.startswith("[practice] Task 12 `Sign-in` is passing, 2 failed attempts.")
    assert "`pytest -q` exited with 1: AssertionError: 401" in words
    assert "I am scripted" in words


def test_a_task_that_is_none_is_said() -> None:
    asking = _Asking("what of task 99?", {"task_get": "There is no task 99."})
    assert "There is no task 99." in asking.words()


def test_code_is_searched_for_the_telling_word() -> None:
    listed = json.dumps({"tasks": [{"id": 1, "name": "A", "status": "stuck"}]})
    found = {"task_list": listed, "Grep": "Found 1 file\napp/storage.py"}
    for resumed in (False, True):
        asking = _Asking("where is the storage done?", found, resumed=resumed)
        assert (GO_ON in asking.body["messages"][0]["content"]) is resumed
        words = asking.words()
        assert asking.calls == ["task_list", "Grep"]
        assert "0 of 1 tasks pass. Stuck: 1 `A`." in words
        assert "These files mention `storage`:\n- `app/storage.py`" in words
    nothing = _Asking("where is the storage?", {"task_list": listed, "Grep": "No files found"})
    assert "No file of the project mentions `storage`." in nothing.words()
