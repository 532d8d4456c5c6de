"""Agents of a stranger that get stuck, ask and do not wait, and wait long."""

import threading

from tests.stories.foreign.cast import APP_SPEC, INITIALIZER, feature, plan, task
from tests.stories.foreign.model import Heard, Playing, both, says, use

HARD = ("skipped", "pressed", "vouched", "guided", "stronger")


def interviewer(heard: Heard) -> Playing:
    yield both(
        use("Write", file_path=APP_SPEC, content="# Troubles\n\nMany of them.\n"),
        use("Write", file_path=INITIALIZER, content="Begin.\n"),
    )
    yield says("There was nothing to ask.")


class Planner:
    """One feature per task, so that none waits for another."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __call__(self, heard: Heard) -> Playing:
        whole = plan(*(feature(name.title(), task(name)) for name in self._names))
        heard = yield use("plan_submit", plan=whole)
        assert heard.result.json == {"accepted": True, "problems": []}, heard.result
        yield says("That is the plan.")


class Coder:
    """Gives hard tasks up, until it is helped; asks about others, each in its own way."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.notes: dict[str, list[str]] = {}
        self.models: dict[str, list[str]] = {}
        self.results: dict[str, str] = {}

    def __call__(self, heard: Heard) -> Playing:
        heard = yield use("task_get_next")
        while (found := heard.results[-1].json["task"]) is not None:
            name, notes = found["name"], found["recovery_notes"] or ""
            self.notes.setdefault(name, []).append(notes)
            self.models.setdefault(name, []).append(heard.body["model"])
            first = len(self.notes[name]) == 1
            helped = "hammer" in notes or "opus" in heard.body["model"]
            if name in HARD and not helped:
                heard = yield use("task_mark_passing", task_id=found["id"])
                assert heard.result.failed
                yield use("task_release", task_id=found["id"], reason="It is too hard.")
                heard = yield use("task_get_next")
                continue
            if name == "moot":  # asks, and does it all the same
                heard = yield use("ask_person", question="Shall I?", options=["yes", "no"])
                assert heard.result.json["asked"] is True
            if name == "endless" and first:  # asks, and goes on for ever
                yield use("ask_person", question="Which way out?")
                while True:
                    heard = yield use("Glob", pattern="*.none")
            if name == "prompt":
                heard = yield use("ask_person", question="Now?", options=["now", "later"])
                self.results[name] = heard.result.text
            if name == "patient":
                heard = yield use("ask_person", question="How long?")
                assert "end your turn" in heard.result.json["note"]
                heard = yield says("I end my turn.")
                self.results[name] = heard.words
            yield use("Write", file_path=f"{name}.txt", content="done")
            heard = yield use("task_mark_passing", task_id=found["id"])
            assert heard.result.json["accepted"] is True, heard.result
            heard = yield use("task_get_next")
        yield says("There is no more.")
