"""A project brought to where a test begins, by the operations that bring it there."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from core.domain.agents import AgentKind, RunOutcome
from core.domain.failure import EndedHow, RunEnd
from core.domain.lifecycle import ApprovalStatus
from core.domain.order import StartRun
from core.domain.plan import Plan, PlannedFeature, PlannedPhase, PlannedTask
from core.domain.proof import CheckResult, Verdict
from core.domain.rules import Rules
from core.domain.snapshot import Snapshot
from core.operations import approvals, evidence, features, plans, projects, runs, snapshots
from core.operations.evidence import Proof
from core.operations.runs import RunRef
from core.store.tables import Approval, Feature, Project, Task
from tests.unit.operations.database import Database

NOW = datetime(2027, 3, 10, 12, 0, tzinfo=UTC)
RULES = Rules()
RULES = Rules()
UPSTREAM = "https://api"
RED, GREEN = CheckResult("true", 1, "boom", 0.1), CheckResult("true", 0, "", 0.1)
GIVEN_UP = RunEnd(RunOutcome.FINISHED, EndedHow.AGENT, "done, I think")
DIED = RunEnd(RunOutcome.INTERRUPTED, EndedHow.ACCIDENT, "killed")
LIMITED = RunEnd(RunOutcome.RATE_LIMITED, EndedHow.WINDOW, "limited")


def task(name: str, *waits: str, complexity: int = 2, **changed: Any) -> PlannedTask:
    return PlannedTask(name, checks=("true",), depends_on=waits, complexity=complexity, **changed)


def plan(*phases: dict[str, tuple[PlannedTask, ...]]) -> Plan:
    return Plan(
        tuple(
            PlannedPhase(
                f"phase {n}",
                tuple(PlannedFeature(name, tasks) for name, tasks in made.items()),
            )
            for n, made in enumerate(phases, start=1)
        )
    )


@dataclass
class Site:
    """A database with one project."""

    db: Database = field(default_factory=Database)
    project: int = 0
    serial: int = 0
    boot_id: str = "life"
    rules: Rules = RULES

    def __post_init__(self) -> None:
        ref = self.db.do(
            projects.create, name="Todo", spec_digest="d", practice=True, budget=Decimal(20),
            actor="web:local", now=NOW,
        )  # fmt: skip
        self.project = self.db.ask(lambda tx: tx.scalars(select(Project.id)).one())
        assert ref.slug == "todo"
        self.db.do(projects.spec_written, self.project, "c0", now=NOW)

    def begin(
        self, kind: AgentKind = AgentKind.CODER, number: int | None = None, **changed: Any
    ) -> RunRef:
        """A run at work: a planner, or a coder with task `number`."""
        self.serial += 1
        row = self.task(number) if number is not None else None
        order = replace(
            StartRun(
                kind, "sonnet", "test",
                phase_id=row.phase_id if row else None,
                feature_id=row.feature_id if row else None,
                task_id=row.id if row else None,
            ),
            **changed,
        )  # fmt: skip
        run = self.db.do(
            runs.begin, self.project, order, session_id=UUID(int=self.serial), boot_id=self.boot_id,
            host="h", now=NOW,
        )  # fmt: skip
        assert run is not None
        if run.feature_id and run.last_green_commit is None:
            self.db.do(runs.worktree_ready, run.feature_id, f"start{self.serial}")
        self.db.do(runs.register_process, run.id, kind, run.model, "w", now=NOW)
        return run

    def submit(
        self, made: Plan, run: RunRef, refused: dict[str, str] | None = None
    ) -> tuple[str, ...]:
        return self.db.do(
            plans.submit, run.id, made, refused or {}, max_attempts=5, now=NOW
        ).problems

    def plan(self, made: Plan) -> int:
        """A plan shown for approval: the approval's id."""
        run = self.begin(AgentKind.PLANNER)
        assert self.submit(made, run) == ()
        self.end(run, GIVEN_UP)
        return self.open()[0]

    def build(self, *phases: dict[str, tuple[PlannedTask, ...]]) -> "Site":
        """An approved plan."""
        self.approve(self.plan(plan(*phases)))
        return self

    def approve(self, approval: int, by: str = "web:local") -> None:
        self.db.do(approvals.approve, approval, by=by, main="m", max_attempts=5, now=NOW)

    def reject(self, approval: int, reason: str = "no") -> None:
        self.db.do(approvals.reject, approval, reason, by="web:local", now=NOW)

    def open(self) -> list[int]:
        query = select(Approval.id).where(Approval.status == ApprovalStatus.OPEN)
        return self.db.ask(lambda tx: list(tx.scalars(query)))

    def task(self, number: int) -> Task:
        return self.db.ask(lambda tx: tx.scalars(select(Task).where(Task.number == number)).one())

    def feature(self, name: str) -> Feature:
        """A feature by its name or slug."""
        query = select(Feature).where((Feature.name == name) | (Feature.slug == name))
        return self.db.ask(lambda tx: tx.scalars(query).one())

    def end(self, run: RunRef, ended: RunEnd, now: datetime = NOW) -> None:
        self.db.do(runs.end, run.id, ended, RULES, now=now)

    def prove(
        self,
        number: int,
        run: RunRef | None,
        verdict: Verdict = Verdict.ACCEPTED,
        error: str = "boom",
    ) -> int:
        self.serial += 1
        checks = [GREEN] if verdict.accepted else [CheckResult("true", 1, error, 0.1)]
        return self.db.do(
            evidence.record_proof, self.task(number).id, run.id if run else None,
            Proof(verdict, f"commit{self.serial}", checks), now=NOW,
        )  # fmt: skip

    def done(self, number: int) -> None:
        """A task proved by a run of its own."""
        run = self.begin(number=number)
        self.prove(number, run)
        self.end(run, GIVEN_UP)

    def land(self, name: str) -> None:
        feature = self.feature(name).id
        assert self.db.do(features.begin_landing, feature) is not None
        self.db.do(features.landed, feature, "landed", 3, now=NOW)

    def look(self, now: datetime = NOW, boot_id: str | None = None) -> Snapshot:
        return self.db.do(
            snapshots.load, self.project, rules=self.rules, upstream=UPSTREAM,
            boot_id=boot_id or self.boot_id, now=now,
        )  # fmt: skip
