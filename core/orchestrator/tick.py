"""The tick: look, decide, carry out; woken by commits and by the next due time."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, assert_never

from sqlalchemy.orm import Session

from core.domain import orders
from core.domain.agents import PROFILES, Purpose
from core.domain.lifecycle import Cause
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
from core.domain.rules import Rules
from core.domain.snapshot import Snapshot
from core.errors import AutocoderError, StorageFailed
from core.operations import (
    features,
    inquiries,
    planners,
    projects,
    runs,
    snapshots,
    spending,
    tasks,
)
from core.operations.journal import SERVICE
from core.operations.runs import RunRef
from core.orchestrator.change_signal import ChangeSignal
from core.orchestrator.coding import Worker
from core.orchestrator.landing import Lander
from core.orchestrator.parts import Parts
from core.orchestrator.spec_files import SpecWriter
from core.ports.agents import AgentRunner
from core.store.tables import Project

log = logging.getLogger(__name__)

_LOOK_AGAIN = timedelta(seconds=60)
_GATHER_S = 0.5  # most commits change no decision, so those of this time make one
_STOP_S = 3  # for agents to end and for what they made to be kept
_LEAST_STOP_S = 0.5  # of it for the latter
STRIKES_LIMIT = 24  # account limits in a row without one answer between: a person is asked


class Orchestrator:
    """Carries out what `next_orders` says for the projects it was given."""

    def __init__(self, parts: Parts, runner: AgentRunner, worker: Worker, lander: Lander) -> None:
        self._parts = parts
        self._runner = runner
        self._worker = worker
        self._lander = lander
        self._specs = SpecWriter(parts)
        self._everything = False
        self._projects: dict[int, datetime | None] = {}  # and when time alone changes something
        self._jobs: dict[tuple[object, ...], asyncio.Task[None]] = {}
        self._decided = -1  # the wake count the last decisions were made at
        self._idle: dict[int, bool] = {}
        self._hurry = asyncio.Event()
        self.looked = ChangeSignal()  # notified after each round of decisions
        self.recovered = asyncio.Event()  # the first decision was made

    def add(self, project_id: int) -> None:
        """Take a project up."""
        self._projects.setdefault(project_id, None)
        self.look_now()

    def look_now(self) -> None:
        """Decide at once: something ended, or a person decided."""
        self._hurry.set()
        self._parts.wake.notify()

    def take_all(self) -> None:
        """Take up every project of the home that has work to do, now and later."""
        self._everything = True
        self._hurry.set()
        self._parts.wake.notify()

    @property
    def activity(self) -> Mapping[int, str]:
        """What each run's agent is doing now."""
        return self._worker.activity

    def idle(self, project_id: int) -> bool:
        """Nothing of a project runs and nothing was ordered at the last look, made just now."""
        return (
            self._decided == self._parts.wake.count
            and self._idle.get(project_id, False)
            and not self._works(project_id)
        )

    def _works(self, project_id: int) -> bool:
        return any(key[0] == project_id for key in self._jobs)

    def next_due(self, project_id: int) -> datetime | None:
        """When an idle project goes on by itself; None: never."""
        return self._projects.get(project_id)

    async def run(self) -> None:
        """Decide and carry out until cancelled; a failing disk ends it with StorageFailed."""
        async with asyncio.TaskGroup() as group:
            loop = asyncio.get_running_loop()
            while True:
                seen, begun = self._parts.wake.count, loop.time()
                self._hurry.clear()
                if self._everything:
                    await self._survey()
                for project_id in tuple(self._projects):
                    await self._tick(project_id, group)
                self._decided = seen
                self.recovered.set()
                self.looked.notify()
                await self._pause(seen, loop.time() - begun)

    async def _survey(self) -> None:
        """Which projects may need something: what is complete or stopped costs no look."""
        at_work = set(await self._parts.store.read(projects.at_work))
        at_work |= {project_id for project_id in self._projects if self._works(project_id)}
        self._projects = {
            project_id: self._projects.get(project_id) for project_id in sorted(at_work)
        }

    async def _pause(self, seen: int, took: float) -> None:
        """Wait for a change, then a little for more of them; not when work has ended.

        The more a round costs (seconds: `took`), the rarer are those that nothing hurries.
        """
        dues = [due for due in self._projects.values() if due is not None]
        # Clocks jump and hosts sleep, which a timer does not see: look again at least so often.
        due = min(min(dues) - self._parts.clock(), _LOOK_AGAIN) if dues else None
        await self._parts.wake.wait(seen, due)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(_GATHER_S, 4 * took)):
                await self._hurry.wait()

    async def stop(self) -> None:
        """End every agent at once, resumably."""
        self._worker.stopping = True
        until = asyncio.get_running_loop().time() + _STOP_S
        await self._runner.close()
        running = [job for job in self._jobs.values() if not job.done()]
        if running:
            left = until - asyncio.get_running_loop().time()
            await asyncio.wait(running, timeout=max(left, _LEAST_STOP_S))

    async def _tick(self, project_id: int, group: asyncio.TaskGroup) -> None:
        snapshot, blocked_reason = await self._look(project_id)
        decided = orders.next_orders(snapshot)
        for order in decided:
            await self._carry_out(project_id, order, blocked_reason, group)
        self._projects[project_id] = orders.next_due(snapshot)
        self._idle[project_id] = not decided

    async def _look(self, project_id: int) -> tuple[Snapshot, str | None]:
        """The project, and why no agent may begin for it."""
        parts = self._parts
        return await parts.store.read(
            _look,
            project_id,
            rules=parts.rules,
            upstream=parts.upstream,
            practice=parts.practice,
            boot_id=parts.boot_id,
            now=parts.clock(),
        )

    async def _carry_out(
        self, project_id: int, order: Order, blocked_reason: str | None, group: asyncio.TaskGroup
    ) -> None:
        parts = self._parts
        match order:
            case StartRun():
                place = _place(order)
                if self._busy(project_id, place):
                    return
                if blocked_reason is not None:
                    await self._block(project_id, order, blocked_reason)
                    return
                run = await self._worker.begin(project_id, order)
                self._start_run(project_id, place, run, group)
            case ResumeRun():
                place = _place(order)
                if blocked_reason is not None:
                    await self._block(project_id, order, blocked_reason)
                elif not self._busy(project_id, place):  # the parked run may still be retiring
                    run = await self._worker.take_up(order.run_id)
                    self._start_run(project_id, place, run, group)
            case WriteSpec():
                self._start(
                    group,
                    (project_id, "spec", order.interview_id),
                    self._specs.write(order.interview_id),
                )
            case GiveUp():
                await parts.store.run(
                    inquiries.give_up, order.inquiry_id, order.reason, now=parts.clock()
                )
            case StopRun():
                self._start(
                    group, (project_id, "stop", order.run_id), self._worker.stop(order.run_id)
                )
            case Requeue():
                self._start(
                    group,
                    (project_id, "run", order.run_id),
                    self._worker.recover(project_id, order.run_id),
                    run_id=order.run_id,
                )
            case Land():
                self._start(
                    group,
                    (project_id, order.feature_id),
                    self._lander.land(project_id, order.feature_id),
                )
            case CompleteFeature():
                await parts.store.run(features.complete_empty, order.feature_id)
            case AskApproval():
                self._start(
                    group, (project_id, "gate"), self._lander.gate(project_id, order.phase_id)
                )
            case SkipStuck():
                await parts.store.run(
                    tasks.skip, order.task_id, cause=Cause.SERVICE, by=SERVICE,
                    now=parts.clock(),
                )  # fmt: skip
            case Block():
                await parts.store.run(planners.block, project_id, order.reason, now=parts.clock())
            case StopProject():
                await parts.store.run(projects.wound_down, project_id, now=parts.clock())
            case FinishProject():
                self._start(group, (project_id, "finish"), self._lander.finish(project_id))
            case _:
                assert_never(order)

    async def _block(self, project_id: int, order: StartRun | ResumeRun, words: str) -> None:
        inquiry_id = order.inquiry_id if isinstance(order, StartRun) else None
        await self._parts.store.run(
            runs.block, project_id, order.interview_id, inquiry_id, words, now=self._parts.clock()
        )  # fmt: skip

    def _busy(self, *key: object) -> bool:
        return key in self._jobs

    def _start_run(
        self, project_id: int, place: object, run: RunRef | None, group: asyncio.TaskGroup
    ) -> None:
        if run is not None:
            work = self._worker.work(project_id, run)
            self._start(group, (project_id, place), work, run_id=run.id)

    def _start(
        self,
        group: asyncio.TaskGroup,
        key: tuple[Any, ...],
        work: Coroutine[Any, Any, None],
        *,
        run_id: int | None = None,
    ) -> None:
        """Begin a piece of work once; the same order given again while it goes on is dropped."""
        if key in self._jobs:
            work.close()
            return
        job = group.create_task(self._guard(key[0], work, run_id))
        self._jobs[key] = job

        def done(_job: asyncio.Task[None]) -> None:
            self._jobs.pop(key, None)
            self.look_now()

        job.add_done_callback(done)

    async def _guard(
        self, project_id: int, work: Coroutine[Any, Any, None], run_id: int | None
    ) -> None:
        """The orchestrator's door: what one piece of work could not do ends there."""
        try:
            await work
        except StorageFailed:
            raise
        except Exception as error:
            words = str(error) or type(error).__name__
            if not isinstance(error, AutocoderError):
                log.exception("a run failed inside autocoder")
                words = f"Inside autocoder: {type(error).__name__}: {words}"
            if run_id is not None:
                await self._worker.fail(run_id, words)
            else:
                await self._parts.store.run(
                    projects.block, project_id, words, now=self._parts.clock()
                )


def _place(order: StartRun | ResumeRun) -> object:
    """What one agent at a time works for."""
    if PROFILES[order.kind].purpose is Purpose.INTERVIEW:
        return ("interview", order.interview_id)
    return order.feature_id or order.kind


def _look(
    tx: Session,
    project_id: int,
    *,
    rules: Rules,
    upstream: str,
    practice: bool,
    boot_id: str,
    now: datetime,
) -> tuple[Snapshot, str | None]:
    project = tx.get_one(Project, project_id)
    snapshot = snapshots.load(
        tx,
        project_id,
        rules=rules,
        upstream=upstream,
        boot_id=boot_id,
        now=now,
    )
    consecutive_limits = spending.consecutive_limits(tx, upstream)
    if consecutive_limits >= STRIKES_LIMIT:
        return (
            snapshot,
            f"The account was limited {consecutive_limits} times in a row without one answer.",
        )
    return snapshot, projects.other_model(project, practice=practice)
