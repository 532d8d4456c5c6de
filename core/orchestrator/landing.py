"""Landing features on `main` one after another, and proving phases at their gates."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from core.domain.proof import CheckResult
from core.errors import MainMoved
from core.operations import approvals, features, projects, tasks
from core.operations.features import Landing
from core.orchestrator.parts import Parts
from core.orchestrator.proving import run_checks
from core.ports.agents import AgentRunner
from core.ports.host import Conflict, Worktree
from core.store.tables import Feature, Phase, Project
from core.views import reports

LANDING_LIMIT = 3  # landings of one feature that may fail before the project blocks
GATE_LIMIT = 3  # proofs of one phase on `main` that may fail before the project blocks


class Lander:
    """One landing worktree per project, and in it one landing at a time."""

    def __init__(self, parts: Parts, runner: AgentRunner) -> None:
        self._parts = parts
        self._runner = runner
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def land(self, project_id: int, feature_id: int) -> None:
        """Merge, prove in a clean checkout, compare-and-swap; or make a stuck task of it."""
        async with self._turns[project_id]:
            landing = await self._parts.store.run(features.begin_landing, feature_id)
            if landing is None:
                return
            while not await self._land(landing):
                continue

    async def _land(self, landing: Landing) -> bool:
        """One try; False when `main` moved meanwhile."""
        parts = self._parts
        main = await self._parts.main(landing.slug)
        found = await self._merged_before(landing, main)
        target = found or ""
        if found is None:
            merged = await parts.workspaces.merge(
                landing.slug, main, landing.head, _merge_message(landing)
            )
            if isinstance(merged, Conflict):
                words = f"Conflicts in {', '.join(merged.paths)}.\n{merged.text}"
                await self._does_not_fit(landing, main, words, merged.paths)
                return True
            target = merged.commit
        results = await self._prove(landing.slug, target, landing.setup, landing.checks)
        red = next((result for result in results if not result.green), None)
        if red is not None and found is None:
            words = (
                f"Merged with main, this check exits {red.exit_code}: {red.command}\n"
                f"{red.output[-4000:]}"
            )
            await self._does_not_fit(landing, main, words)
            return True
        if found is None:
            try:
                await parts.workspaces.land(landing.slug, target, expected=main)
            except MainMoved:
                return False
        await parts.store.run(
            features.landed, landing.feature_id, target, len(results), now=parts.clock()
        )
        worktree = await parts.workspaces.open(landing.slug, landing.feature_slug, landing.head)
        await self._runner.retire(worktree.path)
        await parts.workspaces.drop(worktree)
        return True

    async def _merged_before(self, landing: Landing, main: str) -> str | None:
        """The merge of this very head that a life of the service made and did not record."""
        for entry in await self._parts.workspaces.history(
            landing.slug, landing.first_commit, main, first_parent=True
        ):
            if entry.feature == landing.feature_slug and landing.head in entry.parents[1:]:
                return entry.id
        return None

    async def _does_not_fit(
        self, landing: Landing, main: str, words: str, paths: Sequence[str] = ()
    ) -> None:
        parts = self._parts
        failed = await parts.store.run(
            tasks.needs_merge_of_main,
            landing.feature_id,
            words,
            paths=paths,
            merging=main,
            max_attempts=parts.rules.agents.max_attempts,
            now=parts.clock(),
        )
        if failed >= LANDING_LIMIT:
            project_id = await parts.store.read(_project_of, landing.feature_id)
            await parts.store.run(
                projects.block,
                project_id,
                f"{landing.name} failed to land {failed} times.",
                now=parts.clock(),
            )

    async def gate(self, project_id: int, phase_id: int) -> None:
        """Run every check of every landed task on `main`, then ask for the decision."""
        async with self._turns[project_id]:
            parts = self._parts
            proof = await parts.store.read(_gate_proof, phase_id)
            main = await self._parts.main(proof.slug)
            results = await self._prove(proof.slug, main, proof.setup, proof.checks, every=True)
            if all(result.green for result in results):
                diff = await parts.workspaces.diff_stat(proof.slug, proof.base or main, main)
                await parts.store.run(
                    approvals.open_gate, phase_id, main, results, diff=diff, now=parts.clock()
                )
            elif len(results) <= len(proof.setup):  # no task mends it: agents have no network
                failed = results[-1]
                words = f"Setup fails on main: $ {failed.command}\n{failed.output[-1000:]}"
                await parts.store.run(projects.block, proof.project_id, words, now=parts.clock())
            elif proof.failures + 1 >= GATE_LIMIT:
                red = ", ".join(result.command for result in results if not result.green)
                await parts.store.run(
                    projects.block,
                    proof.project_id,
                    f"Phase {proof.name} keeps failing on main: {red}.",
                    now=parts.clock(),
                )
            else:
                await parts.store.run(
                    approvals.fail_gate,
                    phase_id,
                    results,
                    max_attempts=parts.rules.agents.max_attempts,
                    now=parts.clock(),
                )

    async def finish(self, project_id: int) -> None:
        """Put the report on `main` as its last commit and complete the project."""
        async with self._turns[project_id]:
            parts = self._parts
            now = parts.clock()
            report = await parts.store.read(reports.report, project_id, parts.about())
            slug = report.project.slug
            main = await self._parts.main(slug)
            history = await parts.workspaces.history(
                slug, report.about.first_commit or main, main, first_parent=True
            )
            if history and history[-1].subject == REPORT_SUBJECT:
                commit = main  # an earlier life put it there and did not record it
            else:
                files = await asyncio.to_thread(
                    parts.render_report, reports.as_completed(report, now)
                )
                commit = await parts.workspaces.commit_files(
                    slug, files, REPORT_SUBJECT, expected=main
                )
            await parts.workspaces.sync(slug)
            await parts.store.run(projects.complete, project_id, commit, now=now)

    async def _prove(
        self,
        slug: str,
        commit: str,
        setup: Sequence[str],
        checks: Sequence[str],
        *,
        every: bool = False,
    ) -> tuple[CheckResult, ...]:
        """Setup and checks in a clean checkout of `commit`; up to the first red, or every one."""
        worktree = await self._parts.workspaces.open_clean(slug, commit)
        prepared = await prepare(
            self._parts, worktree, setup, process_id=self._parts.service_process
        )
        if prepared and not prepared[-1].green:
            return prepared
        return prepared + await run_checks(
            self._parts,
            worktree,
            checks,
            process_id=self._parts.service_process,
            stop_at_red=not every,
        )


async def prepare(
    parts: Parts, worktree: Worktree, setup: Sequence[str], *, process_id: str
) -> tuple[CheckResult, ...]:
    """Run the approved `setup` commands with the network, up to the first that fails."""
    return await run_checks(
        parts,
        worktree,
        setup,
        process_id=process_id,
        stop_at_red=True,
        network=True,
        timeout=timedelta(seconds=parts.rules.agents.check_timeout_s),
    )


REPORT_SUBJECT = "Report what was built, proved and spent"


def _merge_message(landing: Landing) -> str:
    lines = "\n".join(f"- {task}" for task in landing.tasks)
    name = " ".join(landing.name.split())
    return f"Land {name}\n\n{lines}\n\nAutocoder-Feature: {landing.feature_slug}\n"


def _project_of(tx: Session, feature_id: int) -> int:
    return tx.get_one(Feature, feature_id).project_id


@dataclass(frozen=True)
class _GateProof:
    project_id: int
    name: str
    slug: str
    setup: tuple[str, ...]
    checks: tuple[str, ...]
    failures: int
    base: str | None  # where `main` stood when the phase began


def _gate_proof(tx: Session, phase_id: int) -> _GateProof:
    phase = tx.get_one(Phase, phase_id)
    project = tx.get_one(Project, phase.project_id)
    return _GateProof(
        project_id=project.id,
        name=phase.name,
        slug=project.slug,
        setup=tuple(project.setup),
        checks=features.landed_checks(tx, project.id),
        failures=phase.gate_failures,
        base=phase.base_commit or project.first_commit,
    )
