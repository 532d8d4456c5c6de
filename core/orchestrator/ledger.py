"""The gateway's and the runner's way to the tables."""

from pathlib import Path

from core.domain.agents import AgentKind
from core.domain.money import MessageUsage
from core.operations import runs, spending
from core.orchestrator.parts import Parts
from core.ports.agents import LimitReport, Refusal


class StoreLedger:
    """Ledger: the door to the model, kept in the database."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._limited = True  # unknown until the first answer

    async def admit(self, process_id: str) -> Refusal | None:
        parts = self._parts
        return await parts.store.read(
            spending.admit,
            parts.process_number(process_id),
            parts.upstream,
            parts.rules,
            now=parts.clock(),
        )

    async def book(self, process_id: str, usage: MessageUsage) -> None:
        parts = self._parts
        await parts.store.run(
            spending.book,
            parts.process_number(process_id),
            process_id,
            usage,
            parts.price,
            parts.rules,
            now=parts.clock(),
        )

    async def limited(self, process_id: str, report: LimitReport) -> None:
        parts = self._parts
        self._limited = True
        await parts.store.run(
            spending.limited,
            parts.upstream,
            parts.process_number(process_id),
            report,
            now=parts.clock(),
        )

    async def answered(self, process_id: str) -> None:
        if self._limited:
            self._limited = False
            parts = self._parts
            await parts.store.run(spending.unlimited, parts.upstream, now=parts.clock())


class StoreRegistry:
    """ProcessRegistry: which process works for which run, kept in the database."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def register(self, run_id: int, kind: AgentKind, model: str, work: Path) -> str:
        parts = self._parts
        number = await parts.store.run(
            runs.register_process, run_id, kind, model, str(work), now=parts.clock()
        )
        return f"{parts.home_hash}-{number}"

    async def started(self, process_id: str, pid: int, created_at: float) -> None:
        number = self._parts.process_number(process_id)
        await self._parts.store.run(runs.process_started, number, pid, created_at)

    async def assign(self, process_id: str, run_id: int, session_id: str) -> None:
        number = self._parts.process_number(process_id)
        await self._parts.store.run(runs.assign_process, number, run_id, session_id)

    async def ended(self, process_id: str) -> None:
        number = self._parts.process_number(process_id)
        await self._parts.store.run(runs.process_ended, number, now=self._parts.clock())
