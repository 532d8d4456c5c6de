"""The parts that the orchestrator works with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.domain.money import MessageUsage, Price
from core.domain.redaction import Redaction
from core.domain.rules import Rules
from core.errors import StateError
from core.operations import runs
from core.orchestrator.change_signal import ChangeSignal
from core.ports.host import Box, InterviewFolders, Workspaces
from core.store.session import Store
from core.views.projects import Service
from core.views.reports import Report


@dataclass(frozen=True)
class Parts:
    """What the rooms of the orchestrator share. Made once, in bot/app."""

    store: Store
    wake: ChangeSignal
    workspaces: Workspaces
    interview_folders: InterviewFolders
    box: Box
    rules: Rules
    clock: Callable[[], datetime]
    price: Callable[[MessageUsage], Price]
    render_report: Callable[[Report], Mapping[str, bytes]]
    prompts: Mapping[str, str]  # system prompt by agent kind
    upstream: str  # names the account's window
    practice: bool  # the model is a script
    nobody_here: bool  # questions are answered "decide and say so"
    home_hash: str
    boot_id: str  # this life of the service
    host: str
    redact: Redaction  # every text passes it: `hide` where it enters, whole where it leaves

    @property
    def service_process(self) -> str:
        """The marker of git, checks of landings and other helpers that are no agent."""
        return f"{self.home_hash}-0"

    def about(self) -> Service:
        """What a project's report depends on beside its rows; paths are relative to the home."""
        return Service(Path("projects"), self.upstream, self.rules, self.clock())

    async def rules_of(self, run_id: int) -> Rules:
        """What a run follows: the rules it began with."""
        return await self.store.read(runs.rules_of, run_id, self.rules)

    async def main(self, slug: str) -> str:
        """The commit of a project's `main`."""
        found = await self.workspaces.head(slug)
        if found is None:
            raise StateError(
                f"The repository projects/{slug} is missing from the home, or has no branch main."
                " Put it back from a copy of the home, then `/autocoder resume`."
            )
        return found

    def process_number(self, process_id: str) -> int:
        """The row of a process from its marker HOMEHASH-N."""
        return int(process_id.rpartition("-")[2])
