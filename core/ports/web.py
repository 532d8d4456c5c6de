"""What the web adapter asks of the service: named reads and acts, injected by bot/app.

Every read is one consistent look; every act is durable when it returns. Errors are those of
core/errors: NotFound, InputError, StateError, NotAllowed.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.domain.shapes import (
    ApprovalData,
    FeatureData,
    PhaseData,
    ProjectData,
    TaskData,
    UsageData,
    UsageSettingsData,
)
from core.ports.chat import Outcome
from core.views.paging import Page


@dataclass(frozen=True)
class Encoded:
    """JSON of something long, encoded where it was read; of a collection, its items."""

    content: bytes
    next: int | None = None  # of a collection: what the rest begins after
    clean: bool = False  # redacted where it was read


class ProjectVerb(StrEnum):
    """What a person may do with a whole project by a POST."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


class Verdict(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class Projects(Protocol):
    """What the REST paths show and change. `name` is a project's name or slug.

    What may be long comes encoded, in the shape that is named.
    """

    async def projects(self, *, after: int, limit: int) -> Page[ProjectData]: ...

    async def project(self, name: str) -> ProjectData: ...

    async def phases(self, name: str, *, after: int, limit: int) -> Page[PhaseData]: ...

    async def phase(self, name: str, phase_id: int) -> PhaseData: ...

    async def features(self, name: str, *, phase_id: int | None, after: int, limit: int) -> Encoded:
        """A collection of FeatureData."""
        ...

    async def feature(self, name: str, feature_id: int) -> FeatureData: ...

    async def tasks(
        self,
        name: str,
        *,
        feature_id: int | None,
        status: str | None,
        after: int,
        limit: int,
    ) -> Encoded:
        """A collection of TaskData."""
        ...

    async def task(self, name: str, number: int) -> TaskData: ...

    async def journal(
        self, name: str, *, event: str | None, level: str | None, after: int, limit: int
    ) -> Encoded:
        """A collection of JournalData."""
        ...

    async def runs(self, name: str, *, after: int, limit: int) -> Encoded:
        """A collection of RunData."""
        ...

    async def approvals(self, name: str, *, after: int, limit: int) -> Page[ApprovalData]: ...

    async def graph(self, name: str) -> Encoded:
        """GraphData."""
        ...

    async def usage(self, name: str | None) -> Encoded:
        """UsageData, of one project or of all."""
        ...

    async def spent(self) -> UsageData:
        """Of all projects, by day, model and kind of agent alone."""
        ...

    async def history(self, name: str | None, *, after: int, limit: int) -> Encoded:
        """A collection of HistoryData."""
        ...

    async def usage_settings(self) -> UsageSettingsData: ...

    async def command(self, name: str, verb: ProjectVerb, *, by: str) -> Outcome: ...

    async def decide(
        self, name: str, phase_id: int, verdict: Verdict, reason: str, *, by: str
    ) -> Outcome: ...
