"""Carrying out one run of an agent, from its worktree to what it leaves behind."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import assert_never
from uuid import uuid4

from sqlalchemy.orm import Session

from core.domain.agents import PROFILES, FailureKind, Purpose, RunOutcome
from core.domain.failure import EndedHow, RunEnd
from core.domain.order import StartRun
from core.domain.proof import judge, own_tests
from core.domain.rules import Agents, Rules
from core.errors import NestedRepository
from core.operations import additions, evidence, guidance, interviews, runs, spending, tasks
from core.operations.evidence import Proof
from core.orchestrator import assisting, briefing
from core.orchestrator.landing import prepare
from core.orchestrator.orphaned_runs import Lost, find_lost
from core.orchestrator.parts import Parts
from core.orchestrator.proving import Prover, attempt_ref, run_checks
from core.orchestrator.spec_files import open_workspace, spec_change
from core.ports.agents import Activity, AgentRunner, RunEnded, RunRequest
from core.ports.host import Merged, Worktree
from core.store.tables import Phase, Project, Run
from core.views import plans
from core.views.projects import Service
from core.views.tasks import TaskBrief, brief


class Worker:
    """Runs agents for the orchestrator, one call per run."""

    def __init__(self, parts: Parts, runner: AgentRunner, prover: Prover) -> None:
        self._parts = parts
        self._runner = runner
        self._prover = prover
        self.activity: dict[int, str] = {}  # run → what its agent is doing now
        self.stopping = False  # the service ends: whatever ends now is nobody's fault
        self._verdicts: dict[int, str] = {}  # runs the service ended for a fault of the agent
        self._stops: set[asyncio.Task[None]] = set()
        self._told: set[int] = set()  # runs that are to stop
        self._at_work: dict[int, asyncio.Event] = {}  # run → set when it has ended

    def end_run(self, run_id: int, why: str) -> None:
        """The agent has used up its chances: what it holds counts as an attempt."""
        self._verdicts[run_id] = why
        stop = asyncio.create_task(self._runner.stop(run_id))
        self._stops.add(stop)
        stop.add_done_callback(self._stops.discard)

    async def begin(self, project_id: int, order: StartRun) -> runs.RunRef | None:
        """Write the run, so that the next decision sees it."""
        return await self._parts.store.run(
            runs.begin,
            project_id,
            order,
            session_id=uuid4(),
            boot_id=self._parts.boot_id,
            host=self._parts.host,
            now=self._parts.clock(),
        )

    async def take_up(self, run_id: int) -> runs.RunRef | None:
        """Write the run that goes on for a parked one."""
        return await self._parts.store.run(
            runs.take_up,
            run_id,
            session_id=uuid4(),
            boot_id=self._parts.boot_id,
            host=self._parts.host,
            now=self._parts.clock(),
        )

    async def work(self, project_id: int, run: runs.RunRef) -> None:
        """Drive a run that was begun to its end."""
        ended = self._at_work.setdefault(run.id, asyncio.Event())
        try:
            site = await self._parts.store.read(_site, project_id, run, self._parts.rules)
            purpose = PROFILES[run.kind].purpose
            match purpose:
                case Purpose.TASKS:
                    await self._code(site, run)
                case Purpose.PLAN:
                    await self._plan(site, run)
                case Purpose.INTERVIEW:
                    await self._interview(site, run)
                case Purpose.INQUIRY:
                    await self._assist(site, run)
                case _:
                    assert_never(purpose)
        finally:
            self.activity.pop(run.id, None)
            self._verdicts.pop(run.id, None)
            self._told.discard(run.id)
            self._at_work.pop(run.id, None)
            await self._prover.detach(run.id)
            ended.set()

    async def stop(self, run_id: int) -> None:
        """Stop a run, also one whose agent has not begun yet, and wait for its end."""
        ended = self._at_work.get(run_id)
        if ended is not None:
            self._told.add(run_id)
            await self._runner.stop(run_id)
            await ended.wait()

    async def fail(self, run_id: int, words: str) -> None:
        """The service itself could not carry the run out."""
        await self._end(run_id, RunEnd(RunOutcome.FAILED, EndedHow.ACCIDENT, words))

    async def _plan(self, site: "_Site", run: runs.RunRef) -> None:
        work = self._parts.workspaces.project_path(site.slug)
        run, resume = await self._transcript(run, work)
        todo = await self._parts.store.read(_planning, run)
        if todo.requested is not None:
            changed = await spec_change(self._parts, site.slug, todo.requested)
            prompt = briefing.for_addition(todo.requested, changed)
        else:
            prompt = briefing.for_planner(todo, resumed=run.takes_over)
        await self._drive(run, prompt, work, work / ".git", resume, site.rules.agents)

    async def _interview(self, site: "_Site", run: runs.RunRef) -> None:
        session = await self._parts.store.run(interviews.load_session, run.id)
        workspace = await open_workspace(self._parts, session)
        run, resume = await self._transcript(run, workspace.work)
        prompt = briefing.for_interviewer(session, resumed=resume)
        await self._drive(run, prompt, workspace.work, workspace.git_dir, resume, site.rules.agents)

    async def _assist(self, site: "_Site", run: runs.RunRef) -> None:
        """Reads the project as it has landed; whatever lands meanwhile it may see too."""
        if run.inquiry_id is None:
            await self._end(run.id, RunEnd(RunOutcome.STOPPED, EndedHow.SERVICE, "Nobody asks."))
            return
        parts = self._parts
        work = parts.workspaces.project_path(site.slug)
        service = Service(
            folder=work.parent,
            upstream=parts.upstream,
            rules=parts.rules,
            now=parts.clock(),
        )
        question = await parts.store.read(assisting.load, run.inquiry_id, service)
        run, resume = await self._transcript(run, work)
        prompt = assisting.briefing(question, resumed=resume)
        await self._drive(run, prompt, work, work / ".git", resume, site.rules.agents)

    async def _code(self, site: "_Site", run: runs.RunRef) -> None:
        parts = self._parts
        if run.first_task is None or run.feature_slug is None or run.feature_id is None:
            await self._end(run.id, RunEnd(RunOutcome.STOPPED, EndedHow.SERVICE, "It has no task."))
            return
        main = await parts.workspaces.head(site.slug) or ""
        start = run.last_green_commit or main
        worktree = await parts.workspaces.open(site.slug, run.feature_slug, start)
        if run.last_green_commit is None:
            await parts.store.run(runs.worktree_ready, run.feature_id, start)
        if not run.takes_over and run.leftover:
            await self._save_attempt(worktree, run.first_task)
        if site.setup and not run.prepared:
            if not run.takes_over:
                await self._clean(site.slug, worktree, start, run.first_task)
            results = await prepare(parts, worktree, site.setup, process_id=parts.service_process)
            if not results[-1].green:
                words = f"Setup failed: $ {results[-1].command}\n{results[-1].output[-4000:]}"
                await self._end(run.id, RunEnd(RunOutcome.FAILED, EndedHow.AGENT, words))
                return
            await parts.store.run(runs.worktree_ready, run.feature_id, start, prepared=True)
        # While the agent reads its first words: its tools wait for this, however long it takes.
        laying_out = self._lay_out(site.slug, worktree, start, run)
        self._prover.attach(run.id, worktree, laying_out)
        run, resume = await self._transcript(run, worktree.path)
        answer = run.answer if resume else None
        hints: Sequence[guidance.Hint] = ()
        if answer is not None:  # it may use none of our tools for long
            hints = await parts.store.run(guidance.take, run.id, now=parts.clock())
        prompt = briefing.for_coder(
            takes_over=run.takes_over, answers=run.answers, answer=answer, hints=hints
        )
        await self._drive(
            run, prompt, worktree.path, worktree.common_dir, resume, site.rules.agents, worktree
        )

    async def _lay_out(self, slug: str, worktree: Worktree, good: str, run: runs.RunRef) -> None:
        """Bring the worktree to where the run begins, and measure its task before its attempt."""
        task = run.first_task
        if run.takes_over or task is None:
            return
        await self._clean(slug, worktree, good, task)
        if not task.measured:
            await self._prover.measure(worktree, task, self._parts.service_process)

    async def _clean(self, slug: str, worktree: Worktree, good: str, task: TaskBrief) -> None:
        """The last good commit; for a "Bring up" task with `main` merged in as far as it goes."""
        tree = None
        if task.merging is not None:
            merged = await self._parts.workspaces.merge(slug, good, task.merging, "Merge main")
            tree = merged.commit if isinstance(merged, Merged) else merged.tree
        await self._parts.workspaces.restore(worktree, good, tree=tree)

    async def _transcript(self, run: runs.RunRef, work: Path) -> tuple[runs.RunRef, bool]:
        """Continue the session where its transcript lives, else begin one in its place."""
        if not run.takes_over:
            return run, False
        if self._runner.resumable(run.kind, work, run.session_id):
            return run, True
        session_id = uuid4()
        await self._parts.store.run(runs.fresh_start, run.id, session_id)
        return replace(run, session_id=str(session_id)), False

    async def _drive(
        self,
        run: runs.RunRef,
        prompt: str,
        work: Path,
        git_dir: Path | None,
        resume: bool,
        rules: Agents,
        worktree: Worktree | None = None,
    ) -> None:
        parts = self._parts
        if self.stopping or run.id in self._told:
            await self._settle(run, RunEnded(RunOutcome.STOPPED, "Stopped."), work, worktree)
            return
        profile = PROFILES[run.kind]
        max_time = timedelta(minutes=rules.max_minutes)
        request = RunRequest(
            run_id=run.id,
            kind=run.kind,
            model=run.model,
            system_prompt=parts.prompts[run.kind],
            prompt=prompt,
            session_id=run.session_id,
            resume=resume,
            work=work,
            git_dir=git_dir,
            builtin_tools=profile.builtin_tools,
            own_tools=profile.own_tools,
            writes=profile.writes,
            warm=profile.warm,
            max_turns=rules.max_turns,
            max_time=min(max_time, profile.time_limit or max_time),
            silence=timedelta(seconds=rules.silence_s),
            ready=partial(self._prover.laid_out, run.id),
        )
        ended = RunEnded(RunOutcome.INTERRUPTED, "The agent ended without a word.")
        async for signal in self._runner.run(request):
            match signal:
                case Activity():
                    self.activity[run.id] = parts.redact.hide(signal.text)
                    parts.wake.notify()
                case RunEnded():
                    ended = replace(signal, text=parts.redact.hide(signal.text))
                case _:
                    assert_never(signal)
        if ended.outcome is not RunOutcome.STOPPED:
            await self._prover.laid_out(run.id)
        await self._settle(run, ended, work, worktree)

    async def _settle(
        self, run: runs.RunRef, ended: RunEnded, work: Path, worktree: Worktree | None
    ) -> None:
        parts = self._parts
        how = await self._how(run.id, ended)
        closing = RunEnd(
            ended.outcome,
            how,
            self._verdicts.get(run.id) or ended.text,
            failure=ended.failure,
            session_id=ended.session_id,
        )
        if how is EndedHow.AGENT:
            left = await parts.store.run(_close, run.id, closing, parts.rules, now=parts.clock())
            if left is None:
                return
            asks, held = left
            if (
                asks
                and ended.outcome is RunOutcome.FINISHED
                and await parts.store.run(runs.park, run.id, now=parts.clock())
            ):
                await self._runner.retire(work)
                return
            if worktree is not None and held is not None:
                await self._save_attempt(worktree, held)
        await self._end(run.id, closing)

    async def _how(self, run_id: int, ended: RunEnded) -> EndedHow:
        if run_id in self._verdicts:
            return EndedHow.AGENT
        match ended.outcome:
            case RunOutcome.FINISHED:
                return EndedHow.AGENT
            case RunOutcome.STOPPED:
                return EndedHow.SERVICE
            case RunOutcome.INTERRUPTED:
                return EndedHow.SERVICE if self.stopping else EndedHow.ACCIDENT
            case RunOutcome.RATE_LIMITED:
                return EndedHow.WINDOW
            case RunOutcome.OUT_OF_BUDGET:
                own = await self._parts.store.read(
                    spending.run_spent_out, run_id, self._parts.rules
                )
                return EndedHow.AGENT if own else EndedHow.BUDGET
            case RunOutcome.FAILED:
                match ended.failure:
                    case FailureKind.TRANSIENT:
                        return EndedHow.SERVICE if self.stopping else EndedHow.ACCIDENT
                    case FailureKind.CREDENTIALS:
                        return EndedHow.CREDENTIALS
                    case FailureKind.AGENT | FailureKind.REQUEST | None:
                        return EndedHow.AGENT
                    case _:
                        assert_never(ended.failure)
            case _:
                assert_never(ended.outcome)

    async def _end(self, run_id: int, ended: RunEnd) -> None:
        parts = self._parts
        await parts.store.run(runs.end, run_id, ended, parts.rules, now=parts.clock())

    async def _save_attempt(self, worktree: Worktree, task: TaskBrief) -> None:
        """Keep what an attempt made on its ref; the next one is told."""
        try:
            await self._parts.workspaces.commit(
                worktree,
                f"Attempt {task.attempts + 1} at task {task.id}\n",
                ref=attempt_ref(task.id, task.attempts + 1),
            )
        except NestedRepository:
            return  # what git cannot hold cannot be kept; the next attempt begins clean

    async def recover(self, project_id: int, run_id: int) -> None:
        """Close a run of an earlier life; a commit it made and could not record is proved again."""
        parts = self._parts
        orphaned_runs = await parts.store.read(find_lost, project_id, run_id)
        if orphaned_runs is not None:
            branch = f"refs/heads/{orphaned_runs.branch}"
            head = await parts.workspaces.head(orphaned_runs.slug, branch)
            if head is not None and head != orphaned_runs.last_green_commit:
                await self._prove_again(orphaned_runs, head)
        await parts.store.run(runs.requeue, run_id, parts.rules, now=parts.clock())

    async def _prove_again(self, orphaned_runs: Lost, head: str) -> None:
        parts = self._parts
        worktree = await parts.workspaces.open(orphaned_runs.slug, orphaned_runs.feature_slug, head)
        history = await parts.workspaces.history(
            orphaned_runs.slug, orphaned_runs.last_green_commit, head
        )
        ours = [entry for entry in history if entry.task == orphaned_runs.task.id]
        if len(ours) == 1 and ours[0].id == head:
            await parts.workspaces.restore(worktree, head)
            after = await run_checks(
                parts, worktree, orphaned_runs.task.checks, process_id=parts.service_process
            )
            stat = await parts.workspaces.diff_stat(
                orphaned_runs.slug, orphaned_runs.last_green_commit, head
            )
            verdict = judge(
                orphaned_runs.before, after, changed=stat.files > 0, moved=False,
                strict=(await parts.rules_of(orphaned_runs.run_id)).proof.strict,
            )  # fmt: skip
            if verdict.accepted:
                changed = await parts.workspaces.changed(
                    orphaned_runs.slug, orphaned_runs.last_green_commit, head
                )
                proof = Proof(verdict, head, after, own_tests(changed, orphaned_runs.task.checks))
                await parts.store.run(
                    evidence.record_proof,
                    orphaned_runs.task.row_id,
                    orphaned_runs.run_id,
                    proof,
                    now=parts.clock(),
                )
                return
        await parts.workspaces.restore(worktree, orphaned_runs.last_green_commit)


@dataclass(frozen=True)
class _Site:
    """The project a run works for."""

    slug: str
    setup: tuple[str, ...]
    rules: Rules


def _site(tx: Session, project_id: int, run: runs.RunRef, rules: Rules) -> _Site:
    project = tx.get_one(Project, project_id)
    return _Site(project.slug, tuple(project.setup), runs.rules_of(tx, run.id, rules))


def _planning(tx: Session, run: runs.RunRef) -> briefing.Planning:
    project = tx.get_one(Project, tx.get_one(Run, run.id).project_id)
    phase = tx.get_one(Phase, run.phase_id) if run.phase_id else None
    plan = plans.latest(tx, project.id)
    return briefing.Planning(
        requested=additions.requested(tx, run.interview_id) if run.interview_id else None,
        phase=phase.name if phase else None,
        rework_reason=phase.rework_reason if phase else None,
        replan_reason=project.replan_reason,
        plan=plan.payload if plan else None,
    )


def _close(
    tx: Session, run_id: int, ended: RunEnd, rules: Rules, *, now: datetime
) -> tuple[bool, TaskBrief | None] | None:
    """End a run that leaves nothing open, else say what: whether it asks, the task it holds."""
    held, asks = tasks.held_by(tx, run_id), runs.asks(tx, run_id)
    if held or asks:
        return asks, brief(tx, held[0].id) if held else None
    runs.end(tx, run_id, ended, rules, now=now)
    return None
