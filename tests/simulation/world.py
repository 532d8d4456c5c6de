"""A world without agents: orders are carried out on a real database, outcomes are rolled.

The orchestrator's part (one job per place, stale snapshots, lives that end at any moment) is
modelled as core/orchestrator/tick.py does it; what an agent, a person, git and the account do is
left to the dice.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain import failure, orders
from core.domain.failure import RunEnd
from core.domain.lifecycle import (
    ApprovalStatus,
    Cause,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
)
from core.domain.order import (
    AskApproval,
    Block,
    CompleteFeature,
    FinishProject,
    GiveUp,
    Land,
    Order,
    Requeue,
    ResumeRun,
    SkipStuck,
    StartRun,
    StopProject,
    StopRun,
    WriteSpec,
)
from core.domain.proof import CheckResult, Verdict
from core.domain.rules import Agents, Budget, OnStuck, Rules
from core.domain.snapshot import Snapshot
from core.errors import StateError
from core.operations import (
    approvals,
    evidence,
    features,
    projects,
    runs,
    snapshots,
    spending,
    tasks,
)
from core.operations.evidence import Proof
from core.store.tables import (
    Approval,
    Feature,
    JournalEntry,
    Phase,
    Project,
    Question,
    Run,
    Task,
)
from tests.unit.operations.database import Database

UPSTREAM = "https://api"
STRIKES_LIMIT = 24  # as core/orchestrator/tick.py
LANDING_LIMIT = 3  # as core/orchestrator/landing.py
GATE_LIMIT = 3
RULES = Rules()
MAX_ATTEMPTS = 3
GREEN = CheckResult("true", 0, "", 0.1)


@dataclass
class Agent:
    """A process of a run that has not ended."""

    run: runs.RunRef
    process: int | None = None
    stopped: bool = False


@dataclass
class World:
    """One project and everything around it."""

    dice: Random
    calm: bool = False  # from now on everybody behaves well
    db: Database = field(default_factory=Database)
    now: datetime = datetime(2027, 1, 1, tzinfo=UTC)
    boot_id: int = 1
    agents: dict[int, Agent] = field(default_factory=dict)
    jobs: dict[tuple[object, ...], Callable[[], None]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    serial: int = 0
    due: datetime | None = None
    decided: tuple[Order, ...] = ()
    quiet: int = 0  # ticks in a row whose orders changed nothing
    lands: float = 0.6  # the chance that a landing or a gate is green

    def __post_init__(self) -> None:
        dice = self.dice
        agents = Agents(
            max_parallel=dice.randint(1, 3),
            host_parallel=dice.randint(1, 3),
            batch=dice.randint(1, 3),
            on_stuck=OnStuck.SKIP if dice.random() < 0.2 else OnStuck.ASK,
        )
        budget = Budget(run_usd=Decimal(dice.choice(["0.1", "5"])))
        self.rules = Rules(agents=agents, budget=budget)
        ref = self.db.do(
            projects.create, name="World", spec_digest="d", practice=True,
            budget=Decimal(dice.choice(["0.5", "5", "50"])), actor="web:local", now=self.now,
        )  # fmt: skip
        self.project = self.db.do(lambda tx: tx.scalars(select(Project.id)).one())
        assert ref.name == "World"
        self.db.do(projects.spec_written, self.project, self.commit(), now=self.now)

    def commit(self) -> str:
        self.serial += 1
        return f"{self.serial:040x}"

    def uuid(self) -> UUID:
        return UUID(int=self.dice.getrandbits(128))

    # -- the orchestrator -------------------------------------------------------------------

    def look(self) -> Snapshot:
        return self.db.do(
            snapshots.load, self.project, rules=self.rules, upstream=UPSTREAM,
            boot_id=str(self.boot_id), now=self.now,
        )  # fmt: skip

    def tick(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Look, decide, carry out; `meanwhile` things happen between the look and each deed."""
        before = None if self.jobs or self.agents else self.fingerprint()
        snapshot = self.look()
        self.decided = orders.next_orders(snapshot)
        self.due = orders.next_due(snapshot)
        for order in self.decided:
            meanwhile()
            self.carry_out(order)
        idle = not self.jobs and not self.agents and self.decided and before is not None
        self.quiet = self.quiet + 1 if idle and self.fingerprint() == before else 0
        if self.quiet > 3:
            raise AssertionError(f"orders without effect, for ever: {self.decided}")

    def carry_out(self, order: Order) -> None:
        do, now = self.db.do, self.now
        match order:
            case StartRun():
                place = order.feature_id or order.kind
                if (place,) in self.jobs or self._working(place):
                    return
                consecutive_limits = do(spending.consecutive_limits, UPSTREAM)
                if consecutive_limits >= STRIKES_LIMIT:
                    do(projects.block, self.project, "limited", now=now)
                    return
                self._begun(
                    do(runs.begin, self.project, order, session_id=self.uuid(),
                       boot_id=str(self.boot_id), host="h", now=now)
                )  # fmt: skip
            case ResumeRun():
                place = order.feature_id or order.kind
                if (place,) not in self.jobs and not self._working(place):
                    self.counts["taken up"] += 1
                    self._begun(
                        do(runs.take_up, order.run_id, session_id=self.uuid(),
                           boot_id=str(self.boot_id), host="h", now=now)
                    )  # fmt: skip
            case StopRun():
                if order.run_id in self.agents:
                    self.agents[order.run_id].stopped = True
            case Requeue():
                self.jobs.setdefault(("run", order.run_id), lambda: self._recover(order.run_id))
            case Land():
                self.jobs.setdefault((order.feature_id,), lambda: self._land(order.feature_id))
            case CompleteFeature():
                do(features.complete_empty, order.feature_id)
            case AskApproval():
                self.jobs.setdefault(("gate",), lambda: self._gate(order.phase_id))
            case SkipStuck():
                do(tasks.skip, order.task_id, cause=Cause.SERVICE, by="service", now=now)
            case Block():
                do(projects.block, self.project, order.reason, now=now)
            case FinishProject():
                self.jobs.setdefault(("finish",), self._finish)
            case WriteSpec() | GiveUp() | StopProject():
                raise AssertionError("nobody is interviewed and nobody asks in this world")

    def _working(self, place: object) -> bool:
        return any((a.run.feature_id or a.run.kind) == place for a in self.agents.values())

    def _begun(self, run: runs.RunRef | None) -> None:
        if run is not None:
            self.agents[run.id] = Agent(run)
            self.counts["begun"] += 1
            self.counts[f"begun {run.kind}"] += 1

    def _recover(self, run_id: int) -> None:
        """A commit that was made and not recorded is proved again, now and then."""
        held = self.db.do(lambda tx: [t.id for t in tasks.held_by(tx, run_id)])
        if held and self.dice.random() < 0.3:
            self.pass_task(held[0], run_id)
        self.counts["free"] += 1
        self.db.do(runs.requeue, run_id, RULES, now=self.now)

    def _land(self, feature_id: int) -> None:
        landing = self.db.do(features.begin_landing, feature_id)
        if landing is None:
            return
        if self.calm or self.dice.random() < self.lands:
            self.db.do(features.landed, feature_id, self.commit(), 1, now=self.now)
            return
        if self.dice.random() < 0.2:
            return  # the service died before it could record anything
        failed = self.db.do(
            tasks.needs_merge_of_main, feature_id, "Conflicts in a.", paths=("a",),
            merging=self.commit(), max_attempts=MAX_ATTEMPTS, now=self.now,
        )  # fmt: skip
        if failed >= LANDING_LIMIT:
            self.db.do(projects.block, self.project, "failed to land", now=self.now)

    def _gate(self, phase_id: int) -> None:
        if self.calm or self.dice.random() < self.lands:
            self.db.do(approvals.open_gate, phase_id, self.commit(), [GREEN], now=self.now)
            return
        if self.dice.random() < 0.2:
            return
        failures = self.db.do(lambda tx: tx.get_one(Phase, phase_id).gate_failures)
        if failures + 1 >= GATE_LIMIT:
            self.db.do(projects.block, self.project, "keeps failing", now=self.now)
        else:
            red = CheckResult("make test", 1, "boom", 0.1)
            self.db.do(
                approvals.fail_gate, phase_id, [red], max_attempts=MAX_ATTEMPTS, now=self.now
            )

    def _finish(self) -> None:
        if self.calm or self.dice.random() < 0.7:
            self.allowed(  # a person may have paused it meanwhile; it is finished when it goes on
                lambda: self.db.do(projects.complete, self.project, self.commit(), now=self.now)
            )

    def pass_task(self, task_id: int, run_id: int) -> None:
        """Prove a task well."""
        self.db.do(evidence.record_before, task_id, [CheckResult("true", 1, "", 0.1)])
        proof = Proof(Verdict.ACCEPTED, self.commit(), [GREEN])
        self.db.do(evidence.record_proof, task_id, run_id, proof, now=self.now)

    def crash(self) -> None:
        """kill -9: nothing in memory is left, the next life finds what was written."""
        self.boot_id += 1
        self.counts["free"] += len(self.agents)
        self.agents.clear()
        self.jobs.clear()
        self.quiet = 0

    # -- what is seen -----------------------------------------------------------------------

    def status(self) -> ProjectStatus:
        return self.db.ask(lambda tx: tx.get_one(Project, self.project).status)

    def fingerprint(self) -> tuple[object, ...]:
        """Changes with everything that a decision could depend on."""

        def look(tx: Session) -> tuple[object, ...]:
            states = (
                select(Feature.status, Feature.resume_run_id),
                select(Task.status, Task.attempts, Task.not_before),
                select(Run.status),
                select(Phase.status, Phase.rework_reason),
            )
            last = tx.scalar(select(func.max(JournalEntry.id)))
            return (last, *(tuple(tx.execute(state)) for state in states))

        return self.db.ask(look)

    def waits_for(self) -> str | None:
        """Who or what an idle project waits for; None: nobody, which is a dead end."""

        def look(tx: Session) -> str | None:
            project = tx.get_one(Project, self.project)
            if project.status not in (ProjectStatus.RUNNING, ProjectStatus.PLANNING):
                return f"a person: {project.status}"
            if self.due is not None:
                return "a moment"
            if not spending.budget_left(tx, project, self.rules, now=self.now):
                return "a person: budget"
            if tx.scalar(select(Approval.id).where(Approval.status == ApprovalStatus.OPEN)):
                return "a person: approval"
            asked = select(Question.id).join(Run, Run.id == Question.run_id)
            if tx.scalar(
                asked.where(Question.answer.is_(None), Run.status == RunStatus.WAITING).limit(1)
            ):
                return "a person: question"
            stuck = select(Task.id).join(Phase, Phase.id == Task.phase_id)
            if tx.scalar(
                stuck.where(
                    Task.status == TaskStatus.STUCK, Phase.status == PhaseStatus.IN_PROGRESS
                ).limit(1)
            ):
                return "a person: stuck task"
            return None

        return self.db.ask(look)

    def check_alive(self) -> None:
        """No silent dead end: something is under way, ordered, due, or a person is named."""
        if self.agents or self.jobs or self.decided:
            return
        if self.waits_for() is None:
            raise AssertionError(f"dead end: {self.look()}")

    def end(self, agent: Agent, ended: RunEnd) -> None:
        """A run's end reaches us, now and then twice."""
        run_id = agent.run.id
        free = ended.how not in (failure.EndedHow.AGENT, failure.EndedHow.ACCIDENT)
        self.counts["free"] += free
        self.agents.pop(run_id, None)
        self.db.do(runs.end, run_id, ended, RULES, now=self.now)
        if self.dice.random() < 0.1:
            before = self.fingerprint()
            self.db.do(runs.end, run_id, ended, RULES, now=self.now)
            assert self.fingerprint() == before, "a run ended twice"

    def allowed(self, deed: Callable[[], object]) -> bool:
        """Do what the state may forbid; a refusal changes nothing."""
        before = self.fingerprint()
        try:
            deed()
        except StateError:
            assert self.fingerprint() == before, "a refusal changed something"
            return False
        return True
