"""A small honest task service for tests of the practice model: a plan, a repository, real checks.

It keeps to the tools of agents and knows no project: what the agents send is all it has.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from core.domain.plan import NOTHING, Known, Plan, problems
from core.orchestrator.briefing import Planning, for_planner

SPEC = ".autocoder/prompts/app_spec.txt"
OWN_WORDS: tuple[Mapping[str, str], ...] = (  # interviews that mean the story, by topic
    {
        "overview": "a todo app please",
        "involvement": "quick one please",
        "technology": "python standard library please",
        "features": "the first two",
        "success criteria": "just decide",
    },
    {
        "overview": "Something to keep my to-dos in, for my family",
        "involvement": "as few questions as you can",
        "technology": "plain Python, nothing to install",
        "features": "adding, searching by tag, weekly repeats, a cli",
        "success criteria": "the tests pass",
    },
    {
        "overview": "1",
        "involvement": "1",
        "technology": "1",
        "features": "1, 2, 4",
        "success criteria": "I can add and find things",
    },
    {
        "overview": "whatever you like",
        "involvement": "up to you",
        "technology": "you choose",
        "features": "everything but the command line",
        "success criteria": "don't care",
    },
    {
        "overview": "the first one",
        "involvement": "detailed please",
        "technology": "no packages please",
        "features": "share it with friends, add",
        "technical details": "a json file is fine",
        "success criteria": "It works",
    },
)
_CLEAN = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}


@dataclass
class StoredTask:
    """A task with what became of it."""

    id: int
    feature: str
    given: Mapping[str, Any]
    attempts: int = 0
    last_error: str | None = None
    notes: str | None = None
    passing: bool = False
    was_red: bool = False
    refusals: list[str] = field(default_factory=list)


class Refused(Exception):
    """A tool call that is answered as an error, in words."""


class TaskService:
    """The tools of planner and coder over one git repository."""

    def __init__(self, repository: Path, spec: str) -> None:
        self.repository = repository
        self.plan: dict[str, Any] | None = None
        self.tasks: list[StoredTask] = []
        self.stuck_after = 5
        self.goes_on = False  # a plan states only what is new
        self._claimed: StoredTask | None = None
        file = repository / SPEC
        file.parent.mkdir(parents=True)
        file.write_bytes(spec.encode())
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "test")
        self.git("config", "user.email", "test@localhost")
        self.git("add", "-A")
        self.git("commit", "-qm", "The spec")

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.repository, check=True, capture_output=True, text=True
        ).stdout

    def check(self, command: str) -> tuple[int, str]:
        """Run a check as a stranger would: exit status and output."""
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.repository,
            env=_CLEAN,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def stuck(self) -> list[StoredTask]:
        return [t for t in self.tasks if not t.passing and t.attempts >= self.stuck_after]

    def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """The JSON of an answer. Raises Refused."""
        match tool:
            case "plan_submit":
                return self._submit(arguments["plan"])
            case "task_get_next":
                return self._next()
            case "task_mark_passing":
                return self._prove(arguments["task_id"])
            case "task_release":
                return self._release(arguments["task_id"])
            case _:
                raise Refused(f"There is no tool {tool}.")

    def take_plan(self, plan: dict[str, Any]) -> None:
        """The plan is approved: its tasks are there."""
        self.plan = plan
        if not self.goes_on:
            self.tasks = []
        for phase in plan["phases"]:
            for feature in phase["features"]:
                for task in feature["tasks"]:
                    self.tasks.append(StoredTask(len(self.tasks) + 1, feature["name"], task))

    def end_run(self) -> None:
        """What a run leaves behind: a claimed task that does not pass costs an attempt."""
        if self._claimed is not None:
            self._release(self._claimed.id)

    def end_look(self) -> None:
        """Whoever asked for the next task only looked."""
        self._claimed = None

    def _submit(self, plan: Any) -> str:
        known = NOTHING
        if self.goes_on:
            features = {task.feature for task in self.tasks}
            known = Known({task.given["name"]: task.feature for task in self.tasks}, features)
        found = plan_problems(plan, known)
        if not found:
            self.take_plan(plan)
        return json.dumps({"accepted": not found, "problems": found})

    def _next(self) -> str:
        if self._claimed is None:
            proved = {t.given["name"] for t in self.tasks if t.passing}
            ready = [
                t
                for t in self.tasks
                if not t.passing and t not in self.stuck and set(t.given["depends_on"]) <= proved
            ]
            if not ready:
                return json.dumps({"task": None, "left": 0})
            self._claimed = ready[0]
            self._claimed.was_red = any(self.check(c)[0] != 0 for c in ready[0].given["checks"])
        task = self._claimed
        shown = {
            "id": task.id,
            "feature": {"id": 1, "name": task.feature},
            "attempts": task.attempts,
            "last_error": task.last_error,
        }
        if task.notes is not None:
            shown["recovery_notes"] = task.notes
        names = ("name", "category", "description", "steps", "checks", "files", "complexity")
        shown |= {name: task.given[name] for name in names}
        left = sum(not t.passing for t in self.tasks)
        return json.dumps({"task": shown, "left": left}, ensure_ascii=False)

    def _prove(self, number: int) -> str:
        task = self._claimed
        if task is None or task.id != number:
            raise Refused(f"Task {number} is not yours.")
        for command in task.given["checks"]:
            status, output = self.check(command)
            if status != 0:
                task.refusals.append(output)
                raise Refused(f"`{command}` exits {status}:\n{output}")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", f"Task {number}")
        task.passing = True
        self._claimed = None
        return json.dumps({"accepted": True, "evidence": [{"task": number}]})

    def _release(self, number: int) -> str:
        task = self._claimed
        if task is None or task.id != number:
            raise Refused(f"Task {number} is not yours.")
        task.attempts += 1
        task.last_error = task.refusals[-1] if task.refusals else "released"
        self._claimed = None
        self.git("reset", "-q", "--hard")
        self.git("clean", "-qfd")
        return json.dumps({"released": True})


def plan_problems(plan: Any, known: Known = NOTHING) -> list[str]:
    """What the service itself finds wrong with a plan."""
    return list(problems(TypeAdapter(Plan).validate_python(plan), known=known))


def rejected_gate(reason: str) -> str:
    """What the planner hears of a rejected phase."""
    return for_planner(Planning(rework_reason=reason, phase="Foundation"), resumed=False)
