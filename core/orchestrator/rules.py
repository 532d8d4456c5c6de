"""The settings that carrying out follows, and the parts it works with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from core.domain.money import Caps, MessageUsage, Price
from core.domain.snapshot import Limits
from core.operations.runs import Policy
from core.orchestrator.wake import Wake
from core.ports.host import Box, Desks, Workspaces
from core.store.session import Store
from core.views.projects import Service
from core.views.reports import Report


@dataclass(frozen=True)
class Rules:
    """What a person set (bot/settings); times as timedelta, money in USD."""

    limits: Limits = field(default_factory=Limits)
    caps: Caps = field(default_factory=lambda: Caps(Decimal(5), None))
    policy: Policy = field(
        default_factory=lambda: Policy(("haiku", "sonnet", "opus"), timedelta(minutes=5))
    )
    max_attempts: int = 5
    strict: bool = False
    check_timeout: timedelta = timedelta(minutes=10)
    setup_timeout: timedelta = timedelta(minutes=30)
    max_turns: int = 80
    max_time: timedelta = timedelta(minutes=60)
    silence: timedelta = timedelta(hours=1)
    ask_wait: timedelta = timedelta(seconds=50)
    nobody_here: bool = False  # questions are answered "decide and say so"


@dataclass(frozen=True)
class Parts:
    """What the rooms of the orchestrator share. Made once, in bot/app."""

    store: Store
    wake: Wake
    workspaces: Workspaces
    desks: Desks
    box: Box
    rules: Rules
    clock: Callable[[], datetime]
    price: Callable[[MessageUsage], Price]
    render_report: Callable[[Report], Mapping[str, bytes]]
    prompts: Mapping[str, str]  # system prompt by agent kind
    upstream: str  # names the account's window
    practice: bool  # the model is a script
    home_hash: str
    life: str  # this life of the service
    host: str

    @property
    def service_process(self) -> str:
        """The marker of git, checks of landings and other helpers that are no agent."""
        return f"{self.home_hash}-0"

    def about(self) -> Service:
        """What a project's report depends on beside its rows; paths are relative to the home."""
        limits, caps = self.rules.limits, self.rules.caps
        folder = Path("projects")
        return Service(folder, self.upstream, limits.max_parallel, caps, self.clock())

    def process_number(self, process_id: str) -> int:
        """The row of a process from its marker HOMEHASH-N."""
        return int(process_id.rpartition("-")[2])
