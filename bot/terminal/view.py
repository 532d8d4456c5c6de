"""What the journey needs of a terminal, live or plain."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from core.domain.events import Event, Level
from core.domain.report import ApprovalLine, PhaseLine, PlanLine, Report, TaskLine
from core.operations.questions import OpenQuestion
from core.ports.host import BoxLevel, DiffStat


@dataclass(frozen=True)
class Header:
    """What a journey begins with."""

    title: str  # "autocoder 0.1.0 demo"
    practice: bool
    home: Path
    box: BoxLevel
    agents: int
    resumed: bool


@dataclass(frozen=True)
class Happening:
    """A journal entry as the terminal sees it."""

    id: int
    at: datetime
    event: Event
    level: Level
    text: str
    task_id: int | None
    feature_id: int | None
    phase_id: int | None


@dataclass(frozen=True)
class PlanPrompt:
    approval: ApprovalLine
    plan: PlanLine


@dataclass(frozen=True)
class GatePrompt:
    approval: ApprovalLine
    phase: PhaseLine
    diff: DiffStat  # of the phase


@dataclass(frozen=True)
class StuckPrompt:
    task: TaskLine


@dataclass(frozen=True)
class QuestionPrompt:
    question: OpenQuestion


Prompt = PlanPrompt | GatePrompt | StuckPrompt | QuestionPrompt


class View(Protocol):
    """Shows a journey and asks its questions. Used from one event loop."""

    def begin(self, header: Header) -> None: ...

    def update(self, board: Report, activity: Mapping[int, str]) -> None:
        """The state now; `activity` is what the agent of each run is doing, by run id."""
        ...

    def happened(self, happening: Happening, board: Report) -> None:
        """Something that stays on the screen as a line, if it is worth one."""
        ...

    async def ask(self, prompt: Prompt, board: Report) -> str | None:
        """Show a card and read one line; None at the end of input. May be cancelled."""
        ...

    def decided(self, prompt: Prompt, text: str) -> None:
        """The prompt was answered with this (also by `--yes`)."""
        ...

    def details(self, prompt: Prompt, board: Report, diff: str) -> None:
        """The long form of what is asked about; `diff` is a gate's patch."""
        ...

    def complain(self, words: str, hint: str = "") -> None:
        """What was typed could not be used, or something else that needs a person's eye."""
        ...

    def finish(self, report: Report, *, repository: Path, report_file: Path) -> None:
        """The project is complete."""
        ...

    def stop(self, why: str, report: Report | None, *, report_file: Path | None) -> None:
        """The journey ends unfinished; running the same command again goes on."""
        ...

    async def close(self) -> None:
        """Give the terminal back as it was."""
        ...
