"""Who acts in the world: agents, a person, the account, the clock. All by the dice."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from random import Random

from sqlalchemy import select

from core.domain.agents import AgentKind, FailureKind, RunOutcome
from core.domain.failure import REFUSAL_LIMIT, EndedHow, RunEnd
from core.domain.lifecycle import (
    ApprovalStatus,
    Cause,
    ProjectStatus,
    TaskStatus,
)
from core.domain.money import MessageUsage, Price, Tokens
from core.domain.plan import NOTHING, Known, Plan, PlannedFeature, PlannedPhase, PlannedTask
from core.domain.proof import CheckResult, Verdict
from core.errors import StalePress
from core.operations import approvals, evidence, plans, projects, questions, runs, spending, tasks
from core.operations.evidence import Proof
from core.ports.agents import LimitReport, RefusalReason
from core.store.tables import Approval, Phase, Project, Question, Task, TaskDependency
from tests.simulation.world import MAX_ATTEMPTS, RULES, UPSTREAM, Agent, World

ENDS = [
    (RunEnd(RunOutcome.FINISHED, EndedHow.AGENT, "I think it is done."), 3),
    (RunEnd(RunOutcome.FAILED, EndedHow.AGENT, "turns used up", FailureKind.AGENT), 3),
    (RunEnd(RunOutcome.FAILED, EndedHow.AGENT, "400", FailureKind.REQUEST), 1),
    (RunEnd(RunOutcome.FAILED, EndedHow.ACCIDENT, "500", FailureKind.TRANSIENT), 4),
    (RunEnd(RunOutcome.INTERRUPTED, EndedHow.ACCIDENT, "silence"), 2),
    (RunEnd(RunOutcome.FAILED, EndedHow.CREDENTIALS, "401", FailureKind.CREDENTIALS), 0.5),
]


def a_plan(dice: Random, serial: int, known: Known, *, wild: bool) -> Plan:
    """A plan with new names that builds on what was named before; a wild one on anything."""
    named: list[str] = list(known.tasks if wild else set(known.tasks) - set(known.later))
    named.sort()
    phases = []
    for p in range(dice.randint(1, 2) if not known.tasks else 1):
        made = []
        for f in range(dice.randint(1, 3)):
            own = []
            for t in range(dice.randint(1, 3)):
                name = f"task {serial}.{p}.{f}.{t}"
                waits = dice.sample(named, min(len(named), dice.choice([0, 0, 1, 2])))
                own.append(
                    PlannedTask(
                        name, complexity=dice.randint(1, 4), checks=("true",),
                        depends_on=tuple(waits), files=tuple(dice.sample("abc", dice.choice([0, 1]))),
                        category=dice.choice(["feature", "feature", "feature", "solo"]),
                    )
                )  # fmt: skip
                named.append(name)
            made.append(PlannedFeature(f"feature {serial}.{p}.{f}", tuple(own)))
        phases.append(PlannedPhase(f"phase {serial}.{p}", tuple(made)))
    return Plan(tuple(phases))


class Agents:
    """What the agents at work do next."""

    def __init__(self, world: World) -> None:
        self.world = world

    def step(self, agent: Agent) -> None:
        world, run_id = self.world, agent.run.id
        if agent.stopped:
            world.end(agent, RunEnd(RunOutcome.STOPPED, EndedHow.SERVICE, "stopped"))
            return
        if agent.process is None:
            run = agent.run
            if run.feature_id and run.last_green_commit is None:
                world.db.do(runs.worktree_ready, run.feature_id, world.commit())
            agent.process = world.db.do(
                runs.register_process, run_id, run.kind, run.model, "w", now=world.now
            )
            world.db.do(runs.process_started, agent.process, 1000 + agent.process, 1.0)
            return
        if not self._request(agent):
            return
        if agent.run.kind is AgentKind.PLANNER:
            self._plan(agent)
        else:
            self._code(agent)

    def _request(self, agent: Agent) -> bool:
        """One request to the model; False when it ended the run."""
        world, process = self.world, agent.process or 0
        refusal = world.db.do(spending.admit, process, UPSTREAM, world.rules, now=world.now)
        if refusal is not None:
            if refusal.reason is RefusalReason.WINDOW:
                self._limited(agent)
            else:
                own = world.db.do(spending.run_spent_out, agent.run.id, world.rules)
                how = EndedHow.AGENT if own else EndedHow.BUDGET
                world.end(agent, RunEnd(RunOutcome.OUT_OF_BUDGET, how, refusal.text))
            return False
        if not world.calm and world.dice.random() < 0.04:
            headers = world.dice.choice([{}, {"retry-after": "40"}])
            report = LimitReport(429, headers, "limited")
            world.db.do(spending.limited, UPSTREAM, process, report, now=world.now)
            self._limited(agent)
            return False
        world.serial += 1
        tokens = Tokens(10, 10)
        usage = MessageUsage(f"msg_{world.serial}", "sonnet", "sonnet", tokens)
        cents = (
            Decimal("0.0001")
            if world.calm
            else Decimal(world.dice.choice(["0.001", "0.001", "0.03"]))
        )
        for _ in range(world.dice.choice([1, 1, 2])):  # told twice now and then
            world.db.do(
                spending.book, process, f"h-{process}", usage, lambda _: Price(cents, cents),
                world.rules, now=world.now,
            )  # fmt: skip
        world.db.do(spending.unlimited, UPSTREAM, now=world.now)
        return True

    def _limited(self, agent: Agent) -> None:
        self.world.end(agent, RunEnd(RunOutcome.RATE_LIMITED, EndedHow.WINDOW, "limited"))

    def _plan(self, agent: Agent) -> None:
        world, dice = self.world, self.world.dice
        roll = 0.0 if world.calm else dice.random()
        if roll < 0.6:
            world.serial += 1
            known = self._known(agent)
            plan = a_plan(dice, world.serial, known, wild=not world.calm and dice.random() < 0.3)
            if not world.calm and dice.random() < 0.2:
                plan = replace(plan, phases=())
            done = world.db.do(
                plans.submit, agent.run.id, plan, {}, max_attempts=MAX_ATTEMPTS, now=world.now
            )
            if world.calm or (done.accepted and dice.random() < 0.7):
                world.end(agent, RunEnd(RunOutcome.FINISHED, EndedHow.AGENT, "planned"))
        elif roll < 0.7:
            self._ask(agent)
        else:
            self._end_somehow(agent)

    def _known(self, agent: Agent) -> Known:
        world, phase_id = self.world, agent.run.phase_id
        if world.status() is not ProjectStatus.RUNNING:
            return NOTHING
        return world.db.do(
            lambda tx: plans.known(tx, world.project, tx.get(Phase, phase_id) if phase_id else None)
        )

    def _code(self, agent: Agent) -> None:
        world, dice, run_id = self.world, self.world.dice, agent.run.id
        held = world.db.do(lambda tx: [t.id for t in tasks.held_by(tx, run_id)])
        if not held:
            claimed = world.db.do(
                tasks.claim_next, run_id, world.rules, now=world.now,
            )  # fmt: skip
            if claimed.task is None:
                self._finish(agent)
            return
        task = held[0]
        roll = 0.0 if world.calm else dice.random()
        if roll < 0.35:
            world.pass_task(task, run_id)
        elif roll < 0.55:
            error = dice.choice(["KeyError: 'a'", "KeyError: 'a'", "boom failed"])
            red = CheckResult("true", 1, error, 0.1)
            proof = Proof(Verdict.RED, world.commit(), [red])
            refusals = world.db.do(evidence.record_proof, task, run_id, proof, now=world.now)
            if refusals >= REFUSAL_LIMIT:
                world.end(agent, RunEnd(RunOutcome.STOPPED, EndedHow.AGENT, "five refusals"))
        elif roll < 0.62:
            if dice.random() < 0.5:
                world.allowed(lambda: world.db.do(tasks.defer, task))
            world.db.do(runs.let_go, run_id, task, "too hard", RULES, now=world.now)
        elif roll < 0.7:
            self._ask(agent)
        elif roll < 0.85:
            self._end_somehow(agent)
            if dice.random() < 0.2:  # its proof was still under way
                world.allowed(lambda: world.pass_task(task, run_id))

    def _ask(self, agent: Agent) -> None:
        world = self.world
        for n in range(world.dice.choice([1, 1, 2])):
            text = f"question {n}?"
            world.db.do(questions.ask, agent.run.id, text, [], False, now=world.now)
        if world.dice.random() < 0.7:
            self._finish(agent)

    def _finish(self, agent: Agent) -> None:
        """The agent ends its turn; on an open question its run is parked."""
        world = self.world
        if world.db.do(runs.park, agent.run.id, now=world.now):
            world.agents.pop(agent.run.id)
            world.counts["parked"] += 1
        else:
            world.end(agent, ENDS[0][0])

    def _end_somehow(self, agent: Agent) -> None:
        ends, weights = zip(*ENDS, strict=True)
        self.world.end(agent, self.world.dice.choices(ends, weights)[0])


class Person:
    """What people decide."""

    def __init__(self, world: World) -> None:
        self.world = world

    def step(self) -> None:
        world, dice = self.world, self.world.dice
        deeds = [self._decide, self._unstick, self._answer, self._go_on]
        if not world.calm:
            deeds += [self._decide, self._press_again, self._meddle]
        if world.calm:
            for deed in deeds:
                deed()
        else:
            for deed in (dice.choice(deeds), self._go_on)[: dice.randint(1, 2)]:
                deed()

    def _decide(self) -> None:
        world = self.world
        for approval in self._approvals(ApprovalStatus.OPEN):
            if world.calm or world.dice.random() < 0.7:
                world.db.do(
                    approvals.approve, approval, by="web:local", main=world.commit(),
                    max_attempts=MAX_ATTEMPTS, now=world.now,
                )  # fmt: skip
            else:
                world.db.do(approvals.reject, approval, "not yet", by="web:local", now=world.now)
                world.counts["rejected"] += 1

    def _press_again(self) -> None:
        """A card that was decided long ago is pressed again."""
        world = self.world
        decided = [
            a for s in ApprovalStatus if s is not ApprovalStatus.OPEN for a in self._approvals(s)
        ]
        if not decided:
            return
        before = world.fingerprint()
        try:
            world.db.do(
                approvals.approve, world.dice.choice(decided), by="web:eve", main=None,
                max_attempts=MAX_ATTEMPTS, now=world.now,
            )  # fmt: skip
        except StalePress:
            assert world.fingerprint() == before
        else:
            raise AssertionError("a stale press was taken")

    def _approvals(self, status: ApprovalStatus) -> list[int]:
        return self.world.db.ask(
            lambda tx: list(tx.scalars(select(Approval.id).where(Approval.status == status)))
        )

    def _unstick(self) -> None:
        world, dice = self.world, self.world.dice
        stuck = self._tasks(TaskStatus.STUCK)
        for task in stuck if world.calm else stuck[:1]:
            if world.calm:
                self._well(task)
            elif dice.random() < 0.4:
                self._retry(task)
            elif dice.random() < 0.5:
                self._guide(task)
            else:
                self._skip(task)

    def _well(self, task: int) -> None:
        """Retry what can be; what builds on skipped work that has landed cannot."""
        if not self._retry(task):
            skipped = self.world.db.ask(
                lambda tx: list(
                    tx.scalars(
                        select(Task.id)
                        .join(TaskDependency, TaskDependency.depends_on_id == Task.id)
                        .where(TaskDependency.task_id == task, Task.status == TaskStatus.SKIPPED)
                    )
                )
            )
            kept = [other for other in skipped if not self._retry(other)]
            if kept:
                self._skip(task)

    def _retry(self, task: int) -> bool:
        world = self.world
        model = world.dice.choice([None, "opus"])
        done = world.allowed(
            lambda: world.db.do(
                tasks.retry, task, model=model, by="p", max_attempts=MAX_ATTEMPTS, now=world.now
            )
        )
        world.counts["retried"] += done
        return done

    def _guide(self, task: int) -> None:
        world = self.world
        world.counts["retried"] += world.allowed(
            lambda: world.db.do(
                tasks.guide, task, "look", by="p", max_attempts=MAX_ATTEMPTS, now=world.now
            )
        )

    def _skip(self, task: int) -> None:
        world = self.world
        world.allowed(
            lambda: world.db.do(tasks.skip, task, cause=Cause.PERSON, by="p", now=world.now)
        )

    def _tasks(self, *statuses: TaskStatus) -> list[int]:
        return self.world.db.ask(
            lambda tx: list(tx.scalars(select(Task.id).where(Task.status.in_(statuses))))
        )

    def _answer(self) -> None:
        world = self.world
        found = world.db.ask(
            lambda tx: list(tx.scalars(select(Question.id).where(Question.answer.is_(None))))
        )
        for question in found if world.calm else found[:1]:
            world.db.do(questions.answer, question, "yes", by="p", now=world.now)
            again = partial(questions.answer, question_id=question, text="no", by="e")
            assert not world.allowed(partial(world.db.do, again, now=world.now))

    def _go_on(self) -> None:
        """Money, and what is blocked or paused goes on."""
        world = self.world
        rich = world.db.do(
            lambda tx: spending.budget_left(
                tx, tx.get_one(Project, world.project), world.rules, now=world.now
            )
        )
        if not rich:
            world.db.do(projects.set_budget, world.project, Decimal(world.serial + 10))
            world.counts["free"] += 1
        if world.status() in (ProjectStatus.BLOCKED, ProjectStatus.PAUSED):
            world.counts["resumed"] += 1
            world.db.do(projects.resume, world.project, actor="p", now=world.now)

    def _meddle(self) -> None:
        world, dice = self.world, self.world.dice
        roll = dice.random()
        if roll < 0.1:
            world.allowed(
                lambda: world.db.do(projects.pause, world.project, actor="p", now=world.now)
            )
        elif roll < 0.5:
            for task in dice.sample(found := self._tasks(TaskStatus.PENDING), min(1, len(found))):
                self._skip(task)
        elif roll < 0.8:
            for task in dice.sample(found := self._tasks(TaskStatus.SKIPPED), min(1, len(found))):
                self._retry(task)
        else:
            for task in dice.sample(found := self._tasks(*TaskStatus), min(1, len(found))):
                guide = partial(tasks.guide, task_id=task, text="hint", by="p", now=world.now)
                world.allowed(partial(world.db.do, guide, max_attempts=MAX_ATTEMPTS))


def pass_time(world: World) -> None:
    """Some minutes, or up to the moment that is due."""
    if world.due is not None and world.due > world.now:
        world.now = world.due
    else:
        world.now += timedelta(seconds=world.dice.randint(1, 300))
