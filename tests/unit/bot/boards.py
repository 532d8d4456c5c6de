"""A project of 2 phases, 4 features and 14 tasks at any point of its way, without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    FeatureStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
)
from core.domain.money import Tokens
from core.domain.plan import Plan, PlannedFeature, PlannedPhase, PlannedTask, estimate
from core.domain.proof import CheckResult, Verdict
from core.domain.report import (
    ApprovalLine,
    EvidenceLine,
    FeatureLine,
    ModelUsage,
    PhaseLine,
    PlanLine,
    Report,
    RunLine,
    Spent,
    TaskLine,
    UsageLine,
    count,
)

NOW = datetime(2026, 3, 12, 10, 48, tzinfo=UTC)
COMMIT = "4f2c9e1b81e03d88ae4105d0a7c3c07b2d49d41f7"[:40]
TOKENS = Tokens(1_000, 2_000, 200_000, 9_000, 0)

NAMES = {
    "Storage": ("Project skeleton", "SQLite schema", "To-do store with tests"),
    "To-do endpoints": ("Create a to-do", "Update a to-do", "Validation", "Pagination"),
    "Accounts": ("User table", "Sign-in and session tokens", "To-dos belong to their user",
                 "Rate limit per account"),
    "Docs and packaging": ("OpenAPI examples", "Image", "README with quickstart"),
}  # fmt: skip
WAITS = {"To-do endpoints": ("Storage",), "Accounts": (), "Docs and packaging": ("Accounts",)}
PHASES = (("Foundation", ("Storage", "To-do endpoints")),
          ("Accounts and release", ("Accounts", "Docs and packaging")))  # fmt: skip
CHECK = CheckResult("pytest -q", 0, "........\n48 passed in 3.10s\n", 3.1)


def plan() -> Plan:
    return Plan(
        summary="A REST API for to-do lists with accounts.",
        setup=("python3 -m venv .venv", ".venv/bin/pip install -e ."),
        run="python3 -m todo_api",
        checks=("pytest -q", "ruff check ."),
        phases=tuple(
            PlannedPhase(
                phase,
                tuple(
                    PlannedFeature(
                        name,
                        tuple(PlannedTask(task, checks=("pytest -q",)) for task in NAMES[name]),
                        depends_on=WAITS.get(name, ()),
                    )
                    for name in features
                ),
            )
            for phase, features in PHASES
        ),
    )


def plan_line(version: int = 1, changes: tuple[str, ...] = ()) -> PlanLine:
    complexities = (task.complexity for task in plan().tasks())
    return PlanLine(version, plan(), changes, estimate(complexities, parallel=3))


def task_line(number: int, name: str, feature: int, status: TaskStatus) -> TaskLine:
    proof = EvidenceLine(
        number, Verdict.ACCEPTED, True, 1, COMMIT, NOW, ("tests/test_store.py",), (CHECK,)
    )
    return TaskLine(
        id=100 + number,
        number=number,
        feature_id=feature,
        name=name,
        category="feature",
        description=f"Do {name}.",
        steps=("Write it", "Test it"),
        complexity=2,
        checks=("pytest -q",),
        depends_on=(),
        files=("app/store.py",),
        priority=999,
        status=status,
        attempts=5 if status is TaskStatus.STUCK else 0,
        error_repeats=3 if status is TaskStatus.STUCK else 0,
        last_error="$ pytest -q\nexit 1\nE   AssertionError: 429 != 200\n1 failed"
        if status is TaskStatus.STUCK
        else None,
        recovery_notes=None,
        evidence=(proof,) if status is TaskStatus.PASSING else (),
        cost_usd=Decimal("0.04"),
    )


def board(
    passing: int = 9,
    *,
    stuck: tuple[int, ...] = (),
    skipped: tuple[int, ...] = (),
    status: ProjectStatus = ProjectStatus.RUNNING,
    approvals: tuple[ApprovalLine, ...] = (),
    practice: bool = True,
) -> Report:
    """The first `passing` tasks pass; the next two are at work."""
    tasks: list[TaskLine] = []
    features: list[FeatureLine] = []
    phases: list[PhaseLine] = []
    runs: list[RunLine] = []
    number = 0
    for position, (phase, names) in enumerate(PHASES, start=1):
        for name in names:
            feature = len(features) + 1
            own = []
            for task in NAMES[name]:
                number += 1
                state = TaskStatus.PENDING
                if number in stuck:
                    state = TaskStatus.STUCK
                elif number in skipped:
                    state = TaskStatus.SKIPPED
                elif number <= passing:
                    state = TaskStatus.PASSING
                elif status is ProjectStatus.RUNNING and feature not in {
                    run.feature_id for run in runs
                }:
                    state = TaskStatus.IN_PROGRESS
                    runs.append(run_line(len(runs) + 1, feature, number, task))
                own.append(task_line(number, task, feature, state))
            tasks += own
            counts = count(t.status for t in own)
            done = counts.passing + counts.skipped == counts.total
            agent = next((r.agent for r in runs if r.feature_id == feature), None)
            features.append(
                FeatureLine(
                    id=feature,
                    phase_id=10 + position,
                    position=feature,
                    name=name,
                    slug=name.lower().replace(" ", "-"),
                    description="",
                    spec="",
                    status=FeatureStatus.COMPLETED if done else FeatureStatus.IN_PROGRESS,
                    priority=999,
                    branch=f"feature/{name.lower().replace(' ', '-')}",
                    depends_on=tuple(list(NAMES).index(w) + 1 for w in WAITS.get(name, ())),
                    landed_commit=COMMIT if done else None,
                    counts=counts,
                    cost_usd=Decimal("0.17"),
                    agent=agent,
                )
            )
        counts = count(
            t.status for t in tasks if features[t.feature_id - 1].phase_id == 10 + position
        )
        complete = counts.passing + counts.skipped == counts.total
        phases.append(
            PhaseLine(
                id=10 + position,
                position=position,
                name=phase,
                description="",
                status=PhaseStatus.COMPLETED
                if complete
                else PhaseStatus.IN_PROGRESS
                if position == 1 or phases[0].status is PhaseStatus.COMPLETED
                else PhaseStatus.PENDING,
                base_commit=COMMIT,
                counts=counts,
                cost_usd=Decimal("0.28"),
                approved_by="web:local" if complete else None,
                approved_at=NOW if complete else None,
            )
        )
    spent = Spent(100, TOKENS, Decimal("0.28"))
    return Report(
        id=1,
        name="todo-api",
        slug="todo-api",
        status=status,
        practice=practice,
        summary=plan().summary,
        setup=plan().setup,
        run_command=plan().run,
        checks=plan().checks,
        budget_usd=Decimal("2.00"),
        blocked_reason=None,
        blocked_on=None,
        first_commit=COMMIT,
        created_at=NOW,
        completed_at=NOW + timedelta(seconds=41) if status is ProjectStatus.COMPLETED else None,
        plan=plan_line(),
        phases=tuple(phases),
        features=tuple(features),
        tasks=tuple(tasks),
        approvals=approvals,
        runs=tuple(runs),
        usage=UsageLine(
            messages=318,
            unpriced_messages=0,
            tokens=TOKENS,
            cost_usd=Decimal("0.49"),
            assumed_usd=Decimal("0.49"),
            by_model=(ModelUsage("claude-sonnet-4-5", 318, TOKENS, Decimal("0.49")),),
            by_kind={"coder": spent, "planner": Spent(2, Tokens(10, 20), Decimal("0.000002"))},
            by_phase={"11": spent},
            by_feature={"1": spent},
            by_task={"1": spent},
            by_day={"2026-03-12": spent},
        ),
        window_until=None,
    )


def run_line(run: int, feature: int, number: int, name: str) -> RunLine:
    return RunLine(
        id=run,
        agent=f"coder-{run}",
        status=RunStatus.WORKING,
        model="sonnet",
        feature_id=feature,
        task_number=number,
        task_name=name,
        started_at=NOW,
        reason="2 points of work wait behind it",
    )


def approval(
    kind: ApprovalKind = ApprovalKind.PLAN, status: ApprovalStatus = ApprovalStatus.OPEN
) -> ApprovalLine:
    decided = status is not ApprovalStatus.OPEN
    return ApprovalLine(
        id=1 if kind is ApprovalKind.PLAN else 2,
        kind=kind,
        subject_id=1 if kind is ApprovalKind.PLAN else 11,
        version="1" if kind is ApprovalKind.PLAN else COMMIT,
        status=status,
        opened_at=NOW,
        decided_at=NOW if decided else None,
        decided_by="web:local" if decided else None,
        reason=None,
        checks=(CHECK,) if kind is ApprovalKind.GATE else (),
    )


def done() -> Report:
    approvals = (
        approval(status=ApprovalStatus.APPROVED),
        approval(ApprovalKind.GATE, ApprovalStatus.APPROVED),
    )
    return board(14, status=ProjectStatus.COMPLETED, approvals=approvals)


def planned() -> Report:
    """Before approval: a plan, and nothing of it in the tables."""
    whole = board(0, status=ProjectStatus.AWAITING_APPROVAL, approvals=(approval(),))
    return replace(whole, phases=(), features=(), tasks=())
