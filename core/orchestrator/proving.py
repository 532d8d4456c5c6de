"""Proving: the service, not the agent, decides that a task passes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from core.domain import failure
from core.domain.proof import CheckResult, Verdict, judge, own_tests
from core.domain.rules import Rules
from core.errors import InputError, NestedRepository, StateError
from core.operations import evidence, runs, tasks
from core.operations.evidence import Proof
from core.orchestrator.parts import Parts
from core.ports.host import BoxProfile, Staged, Worktree
from core.store.tables import Evidence, Feature, Project, Run, Task
from core.views.tasks import TaskBrief, brief

Freeze = Callable[[str], Awaitable[Callable[[], None]]]


@dataclass(frozen=True)
class Work:
    """The run a process works for and where."""

    run_id: int
    project_id: int
    slug: str
    feature_slug: str
    last_green_commit: str
    before: tuple[CheckResult, ...] | None
    task: TaskBrief
    attempt: int
    refusals: int
    rules: Rules


@dataclass(frozen=True)
class ProofReply:
    """The answer to `task_mark_passing`."""

    verdict: Verdict
    evidence_id: int | None
    commit: str
    words: str  # empty when accepted
    refusals: int

    @property
    def over(self) -> bool:
        """Whether the run has used up its refusals."""
        return self.refusals >= failure.REFUSAL_LIMIT


async def run_checks(
    parts: Parts,
    worktree: Worktree,
    commands: Sequence[str],
    *,
    process_id: str,
    stop_at_red: bool = False,
    network: bool = False,
    timeout: timedelta | None = None,
) -> tuple[CheckResult, ...]:
    """Run commands one after another in the box, in a worktree."""
    profile = BoxProfile(
        work=worktree.path,
        process_id=process_id,
        git_dir=worktree.common_dir,
        network=network,
    )
    results = []
    for command in commands:
        done = await parts.box.run(
            profile,
            command,
            timeout=timeout or timedelta(seconds=parts.rules.agents.check_timeout_s),
        )
        output = parts.redact.hide(done.output)
        if done.timed_out:
            output += f"\n(ended after {done.seconds:.0f} s: it took too long)"
        results.append(CheckResult(command, done.exit_code, output, done.seconds))
        if stop_at_red and done.exit_code != 0:
            break
    return tuple(results)


class Prover:
    """Measures tasks before their first attempt and proves them after."""

    def __init__(
        self, parts: Parts, *, freeze: Freeze, end_run: Callable[[int, str], None]
    ) -> None:
        """`freeze` stops an agent's processes while checks run; `end_run` ends a run."""
        self._parts = parts
        self._freeze = freeze
        self._end_run = end_run
        self._locks: dict[int, asyncio.Lock] = {}
        self._worktrees: dict[int, Worktree] = {}
        self._laying_out: dict[int, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def still(self, process_id: str, run_id: int) -> AsyncIterator[None]:
        """Nothing of the agent runs inside this."""
        async with self._locks.setdefault(run_id, asyncio.Lock()):
            await self.laid_out(run_id)
            thaw = await self._freeze(process_id)
            try:
                yield
            finally:
                thaw()

    def attach(
        self, run_id: int, worktree: Worktree, laying_out: Coroutine[Any, Any, None]
    ) -> None:
        """A run begins in this worktree, which is being laid out for it from now on."""
        self._worktrees[run_id] = worktree
        self._laying_out[run_id] = asyncio.create_task(laying_out)

    async def laid_out(self, run_id: int) -> None:
        """Wait until the worktree is as the run begins with it; raises what went wrong with it."""
        laying_out = self._laying_out.get(run_id)
        if laying_out is not None:
            await asyncio.shield(laying_out)

    async def detach(self, run_id: int) -> None:
        """A run is over."""
        laying_out = self._laying_out.pop(run_id, None)
        if laying_out is not None and not laying_out.done():
            laying_out.cancel()
            await asyncio.wait((laying_out,))
        self._worktrees.pop(run_id, None)
        self._locks.pop(run_id, None)

    async def next_task(self, process_id: str) -> tasks.Claimed:
        """Claim the run's next task; its checks run once before the first attempt."""
        parts = self._parts
        run_id, claimed = await parts.store.read(
            _standing, parts.process_number(process_id), parts.rules, now=parts.clock()
        )
        if claimed is None:
            claimed = await parts.store.run(
                tasks.claim_next, run_id, parts.rules, now=parts.clock()
            )
        await self.laid_out(run_id)
        task = claimed.task
        if (
            task is not None
            and not task.measured
            and not await parts.store.read(evidence.measured, task.row_id)  # laying out did
        ):
            async with self.still(process_id, run_id):
                await self.measure(self._worktrees[run_id], task, process_id)
        return claimed

    async def measure(self, worktree: Worktree, task: TaskBrief, process_id: str) -> None:
        """Run a task's checks before its first attempt and record what they said."""
        before = await run_checks(self._parts, worktree, task.checks, process_id=process_id)
        if task.merging is not None:  # its checks may all be green: what was red is the landing
            before = (CheckResult("land on main", 1, task.last_error or "", 0.0), *before)
        await self._parts.store.run(evidence.record_before, task.row_id, before)

    async def prove(self, process_id: str, number: int) -> ProofReply:
        """Commit what the agent made, run the task's checks on it, judge, and record."""
        parts = self._parts
        work = await parts.store.read(_work_of, parts.process_number(process_id), parts.rules)
        run_id = work.run_id
        if work.task.id != number:
            raise InputError(
                f"Task {number} is not the one you hold.",
                hint=f"Call task_mark_passing with task {work.task.id}.",
            )
        if work.refusals >= failure.REFUSAL_LIMIT:
            raise StateError("Five refusals: this run has ended. End your turn.")
        async with self.still(process_id, run_id):
            proof = await self._prove(work, process_id)
            if proof.verdict.accepted:
                await parts.workspaces.advance(
                    self._worktrees[run_id], proof.commit, expected=work.last_green_commit
                )
            evidence_id, refusals = await parts.store.run(
                _record, work.task.row_id, run_id, proof, now=parts.clock()
            )
        reply = ProofReply(
            proof.verdict,
            evidence_id,
            proof.commit,
            evidence.describe(proof),
            refusals,
        )
        if reply.over:
            self._end_run(run_id, "five refusals of one task")
        return reply

    async def let_go(
        self, process_id: str, run_id: int, number: int, words: str, *, defer: bool
    ) -> None:
        """The agent gives a task back: its tree is kept on a ref, the worktree cleaned."""
        parts = self._parts
        work = await parts.store.read(load_work, run_id, parts.rules)
        if work.task.id != number:
            raise InputError(
                f"Task {number} is not the one you hold.",
                hint=f"You hold task {work.task.id}.",
            )
        async with self.still(process_id, run_id):
            if defer:
                await parts.store.run(tasks.defer, work.task.row_id)
            worktree = self._worktrees[run_id]
            with suppress(NestedRepository):
                await parts.workspaces.commit(
                    worktree,
                    f"Attempt {work.attempt} at task {number}\n",
                    ref=attempt_ref(number, work.attempt),
                )
            await parts.workspaces.restore(worktree, work.last_green_commit)
            await parts.store.run(
                runs.let_go, run_id, work.task.row_id, words, parts.rules, now=parts.clock()
            )

    async def _prove(self, work: Work, process_id: str) -> Proof:
        parts = self._parts
        worktree = self._worktrees[work.run_id]
        task = work.task
        staged = await parts.workspaces.stage(worktree)
        committing = asyncio.ensure_future(
            parts.workspaces.commit(
                worktree,
                task_message(task),
                ref=attempt_ref(task.id, work.attempt),
                merging=task.merging,
                staged=staged,
            )
        )
        try:
            after = await self._check(work, staged, process_id)
            tree = await parts.workspaces.tree(worktree)
        finally:
            await asyncio.wait((committing,))
        commit = committing.result()
        verdict = judge(
            work.before or (),
            after,
            changed=bool(commit.changed) or task.merging is not None,
            moved=tree != commit.tree,
            strict=work.rules.proof.strict,
        )
        return Proof(verdict, commit.id, after, own_tests(commit.changed, task.checks))

    async def _check(self, work: Work, staged: Staged, process_id: str) -> tuple[CheckResult, ...]:
        """The task's own checks on the staged tree, while git makes the commit of it."""
        marker = await self._conflict_marker(work, staged.tree)
        if marker:
            return (marker,)
        return await run_checks(
            self._parts,
            self._worktrees[work.run_id],
            work.task.checks,
            process_id=process_id,
            timeout=timedelta(seconds=work.rules.agents.check_timeout_s),
        )

    async def _conflict_marker(self, work: Work, tree: str) -> CheckResult | None:
        if work.task.merging is None:
            return None
        for path in work.task.files:
            content = await self._parts.workspaces.show(work.slug, tree, path)
            if content and any(
                line.startswith((b"<<<<<<< ", b">>>>>>> ")) for line in content.splitlines()
            ):
                return CheckResult(
                    "no conflict markers", 1, f"{path} still holds conflict markers.", 0.0
                )
        return None


def task_message(task: TaskBrief) -> str:
    """The commit message of a passing task, with the trailers recovery reads."""
    subject = " ".join(task.name.split())
    return f"{subject}\n\nAutocoder-Task: {task.id}\nAutocoder-Feature: {task.feature.slug}\n"


def attempt_ref(number: int, attempt: int) -> str:
    return f"refs/autocoder/attempts/{number}/{attempt}"


def _run_of(tx: Session, process: int) -> int:
    run_id = runs.current_run(tx, process)
    if run_id is None:
        raise StateError("This run has ended. End your turn.")
    return run_id


def _standing(
    tx: Session, process: int, rules: Rules, *, now: datetime
) -> tuple[int, tasks.Claimed | None]:
    """The run of a process, and the task it holds already."""
    run_id = _run_of(tx, process)
    return run_id, tasks.held_claim(tx, run_id, rules, now=now)


def _work_of(tx: Session, process: int, rules: Rules) -> Work:
    return load_work(tx, _run_of(tx, process), rules)


def _record(
    tx: Session, task_id: int, run_id: int, proof: Proof, *, now: datetime
) -> tuple[int | None, int]:
    """Write the proof: the evidence's id, and the refusals of this run so far.

    A task of which nothing proves anything waits for a person at once.
    """
    refusals = evidence.record_proof(tx, task_id, run_id, proof, now=now)
    if proof.verdict is Verdict.NOTHING_DONE:
        tasks.give_up(tx, task_id, evidence.describe(proof), now=now)
    return _last_evidence(tx, task_id), refusals


def load_work(tx: Session, run_id: int, rules: Rules) -> Work:
    """The task a run holds, with all that a proof needs. `rules`: the service's."""
    run = tx.get_one(Run, run_id)
    held = tasks.held_by(tx, run_id)
    if not held:
        raise StateError("You hold no task.", hint="Call task_get_next.")
    return _work(tx, run, held[0], rules)


def _work(tx: Session, run: Run, task: Task, rules: Rules) -> Work:
    project = tx.get_one(Project, task.project_id)
    feature = tx.get_one(Feature, task.feature_id)
    if feature.last_green_commit is None:
        raise StateError("The feature's worktree is not ready.")
    return Work(
        run_id=run.id,
        project_id=project.id,
        slug=project.slug,
        feature_slug=feature.slug,
        last_green_commit=feature.last_green_commit,
        before=tuple(evidence.from_json(row) for row in task.before)
        if task.before is not None
        else None,
        task=brief(tx, task.id),
        attempt=task.attempts + 1,
        refusals=task.refusals,
        rules=rules.of_project(run.settings),
    )


def _last_evidence(tx: Session, task_id: int) -> int | None:
    row = (
        tx.query(Evidence.id)
        .filter(Evidence.task_id == task_id)
        .order_by(Evidence.id.desc())
        .first()
    )
    return row[0] if row else None
