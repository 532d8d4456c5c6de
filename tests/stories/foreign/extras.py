"""Agents of a stranger for a project that grows: what they do is told by words of a person."""

import threading
from typing import Any

from tests.stories.foreign.cast import APP_SPEC, INITIALIZER, feature, plan, task
from tests.stories.foreign.model import Heard, Playing, both, says, use


class Interviewer:
    """Writes a new project's spec at once; asks twice about what is added to it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.answers: list[str] = []
        self.spec = ""

    def __call__(self, heard: Heard) -> Playing:
        self.begun.append(heard.words)
        if "something new" not in heard.words:
            self.spec = "# Grows\n\nIt begins small.\n"
            yield both(
                use("Write", file_path=APP_SPEC, content=self.spec),
                use("Write", file_path=INITIALIZER, content="Begin.\n"),
            )
            yield says("There was nothing to ask.")
            return
        yield use("ask_person", question="How shall it look?", options=["plain", "ornate"])
        heard = yield says("I wait.")
        self.answers.append(heard.words)
        look = heard.words
        yield use("ask_person", question="For whom?")
        heard = yield says("I wait.")
        self.answers.append(heard.words)
        whom = heard.words
        heard = yield use("Read", file_path=APP_SPEC)
        assert "begins small" in heard.result.text
        new = f"\n## New\n\nIt looks {look}, for {whom}.\n"
        self.spec += new
        heard = yield use("Write", file_path=APP_SPEC, content=self.spec)
        heard = yield says("It is written.")
        assert "changed while you wrote" in heard.words, "both are in it already"
        yield use("Write", file_path=APP_SPEC, content=f"{self.spec}\nBoth at once.\n")
        yield says("It is written again.")


class Planner:
    """One task first; then one feature, or one phase, for each addition."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._plans = 0

    def __call__(self, heard: Heard) -> Playing:
        self.told.append(heard.words)
        self._plans += 1
        name = f"extra{self._plans}"
        if "wants a new" in heard.words:
            whole = plan(feature(name.title(), task(name)), name=f"Phase of {name}")
        else:
            whole = plan(feature("Base", task("base")), name="Base")
        heard = yield use("plan_submit", plan=whole)
        assert heard.result.json == {"accepted": True, "problems": []}, heard.result
        yield says("That is the plan.")


class Coder:
    """Writes what a task asks for, once it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.named: list[Any] = []

    def __call__(self, heard: Heard) -> Playing:
        heard = yield use("task_get_next")
        while (found := heard.results[-1].json["task"]) is not None:
            self.may.wait(120)
            self.named.append(found["name"])
            yield use("Write", file_path=f"{found['name']}.txt", content="done")
            heard = yield use("task_mark_passing", task_id=found["id"])
            assert heard.result.json["accepted"] is True, heard.result
            heard = yield use("task_get_next")
        yield says("There is no more.")
