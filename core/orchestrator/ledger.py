"""The gateway's and the runner's way to the tables."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from core.domain.agents import AgentKind
from core.domain.money import MessageUsage
from core.operations import runs, spending
from core.orchestrator.own_rules import own_rules
from core.orchestrator.rules import Parts, Rules
from core.ports.agents import LimitReport, Refusal
from core.store.tables import AgentProcess, Project, Run


class StoreLedger:
    """Ledger: the door to the model, kept in the database."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._limited = True  # unknown until the first answer

    async def admit(self, process_id: str) -> Refusal | None:
        parts = self._parts
        return await parts.store.read(
            _admit,
            parts.process_number(process_id),
            parts.upstream,
            parts.rules,
            now=parts.clock(),
        )

    async def book(self, process_id: str, usage: MessageUsage) -> None:
        parts = self._parts
        await parts.store.run(_book, parts, process_id, usage, now=parts.clock())

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


def _admit(
    tx: Session, process: int, upstream: str, rules: Rules, *, now: datetime
) -> Refusal | None:
    work = _work_of(tx, process)
    caps = own_rules(rules, work.project.settings if work else {}).caps
    return spending.admit(tx, process, upstream, caps, now=now)


def _book(
    tx: Session, parts: Parts, process_id: str, usage: MessageUsage, *, now: datetime
) -> None:
    process = parts.process_number(process_id)
    work = _work_of(tx, process)
    caps = own_rules(parts.rules, work.project.settings if work else {}).caps
    spending.book(tx, process, process_id, usage, parts.price, caps=caps, now=now)


@dataclass(frozen=True)
class _Work:
    """What a process works for; while it is held, the session reads none of it again."""

    process: AgentProcess
    run: Run
    project: Project


_WORK = (
    select(AgentProcess, Run, Project)
    .join(Run, Run.id == AgentProcess.run_id)
    .join(Project, Project.id == Run.project_id)
    .where(AgentProcess.id == bindparam("process"))
)


def _work_of(tx: Session, process: int) -> _Work | None:
    row = tx.execute(_WORK, {"process": process}).first()
    return _Work(row[0], row[1], row[2]) if row else None
