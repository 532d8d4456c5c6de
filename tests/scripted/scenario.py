"""What the scripted agents do, as a file that a test gives and may change while it is used."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OWN = "$task"  # stands for the id of the task at hand
ANSWER = "$answer"  # stands for a person's answer to the agent's question


@dataclass(frozen=True)
class Call:
    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One answer of the model: words and tool calls; without calls the agent's turn ends."""

    calls: tuple[Call, ...] = ()
    words: str = "I go on."
    times: int = 1  # how often in a row; 0: for ever


@dataclass(frozen=True)
class Case:
    """Steps of a coder at a task, where all that is named holds."""

    steps: tuple[Step, ...]
    attempts: int | None = None  # attempts behind the task
    model: str = ""  # part of the model's name
    prompt: str = ""  # part of the prompt the run began with
    notes: str = ""  # part of what a person said about the task


@dataclass(frozen=True)
class Fault:
    """Requests `first` to `last`, counted from 1 among those of `kind`, that are not answered."""

    first: int
    last: int
    mode: str = "status"  # or hang, or cut: the stream ends before the message does
    kind: str | None = None
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "It is the scenario's wish."


@dataclass(frozen=True)
class Ask:
    """A question of the interviewer; its answer becomes a line of the spec."""

    question: str
    options: tuple[str, ...] = ()
    multiple: bool = False


@dataclass(frozen=True)
class Scenario:
    interview: tuple[Ask, ...] = ()
    planner: tuple[tuple[str, tuple[Step, ...]], ...] = ()  # by part of the prompt, first wins
    tasks: dict[str, tuple[Case, ...]] = field(default_factory=dict)  # by name, first that holds
    otherwise: tuple[Step, ...] = ()  # for tasks without a case
    coder_words: str = ""  # all that coders ever say, if anything
    faults: tuple[Fault, ...] = ()
    latency: float = 0.0
    output_tokens: int = 20
    inflation: int = 0  # tokens added to each context
    largest_context: int = (
        50_000  # tokens; the CLI compacts a conversation that grows above its own
    )

    def save(self, path: Path) -> None:
        """Write it whole at once: the server reads the file at each request."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.rename(path)


def load(path: Path) -> Scenario:
    data = json.loads(path.read_text())
    return Scenario(
        interview=tuple(
            Ask(ask["question"], tuple(ask["options"]), ask["multiple"])
            for ask in data["interview"]
        ),
        planner=tuple((part, _steps(steps)) for part, steps in data["planner"]),
        tasks={
            name: tuple(Case(**{**case, "steps": _steps(case["steps"])}) for case in cases)
            for name, cases in data["tasks"].items()
        },
        otherwise=_steps(data["otherwise"]),
        coder_words=data["coder_words"],
        faults=tuple(Fault(**fault) for fault in data["faults"]),
        latency=data["latency"],
        output_tokens=data["output_tokens"],
        inflation=data["inflation"],
        largest_context=data["largest_context"],
    )


def _steps(data: list[dict[str, Any]]) -> tuple[Step, ...]:
    return tuple(
        Step(tuple(Call(**call) for call in step["calls"]), step["words"], step["times"])
        for step in data
    )


def call(tool: str, **arguments: Any) -> Step:
    return Step((Call(tool, arguments),))


def write(path: str, content: str) -> Step:
    return call("Write", file_path=path, content=content)


def bash(command: str) -> Step:
    return call("Bash", command=command)


def passing(task: int | str = OWN) -> Step:
    return call("task_mark_passing", task_id=task)


def say(words: str) -> Step:
    """End the turn with these words."""
    return Step(words=words)


def together(*steps: Step) -> Step:
    """All of it in one message."""
    return Step(tuple(call for step in steps for call in step.calls))


def repeated(step: Step, times: int) -> Step:
    return Step(step.calls, step.words, times)


def submit(plan: object) -> Step:
    return call("plan_submit", plan=plan)


def always(*steps: Step) -> tuple[Case, ...]:
    """The same at each attempt."""
    return (Case(steps),)
