"""Plans: submitted, approved into phases, features and tasks, rejected, extended."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain import plan as plans
from core.domain.counting import count
from core.domain.events import Event
from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    Cause,
    FeatureStatus,
    PhaseStatus,
    ProjectStatus,
    TaskStatus,
    move,
)
from core.domain.names import slugify
from core.errors import StateError
from core.operations import journal
from core.store.tables import (
    Approval,
    Feature,
    FeatureDependency,
    Phase,
    Plan,
    Project,
    Run,
    Task,
    TaskDependency,
)
from core.views.plans import PLAN, latest

_TAKES_PLANS = (ProjectStatus.PLANNING, ProjectStatus.AWAITING_APPROVAL, ProjectStatus.RUNNING)


@dataclass(frozen=True)
class Submitted:
    """What became of a submission."""

    problems: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        return not self.problems


def known(tx: Session, project_id: int, phase: Phase | None = None) -> plans.Known:
    """Names that an approved project has already; what follows after `phase` is `later`."""
    rows = tx.execute(
        select(Task.name, Feature.name, Phase.position)
        .join(Feature, Feature.id == Task.feature_id)
        .join(Phase, Phase.id == Feature.phase_id)
        .where(Task.project_id == project_id)
        .order_by(Task.number)
    ).all()
    here = phase.position if phase else None
    return plans.Known(
        tasks={task: feature for task, feature, _ in rows},
        features={feature for _, feature, _ in rows},
        later={
            name
            for task, feature, position in rows
            if here is not None and position > here
            for name in (task, feature)
        },
    )


def submit(
    tx: Session,
    run_id: int,
    plan: plans.Plan,
    refused_checks: Mapping[str, str],
    *,
    max_attempts: int,
    now: datetime,
) -> Submitted:
    """Take a planner's plan: a first or revised one is shown, an addition is carried out."""
    run = tx.get_one(Run, run_id)
    project = tx.get_one(Project, run.project_id)
    if project.status not in _TAKES_PLANS:
        return Submitted((f"The project is {project.status!s}; end your turn.",))
    extends = project.status is ProjectStatus.RUNNING
    phase = tx.get(Phase, run.phase_id) if run.phase_id else None
    have = known(tx, project.id, phase) if extends else plans.NOTHING
    problems = plans.problems(plan, refused_checks=refused_checks, known=have)
    if problems:
        return Submitted(problems)
    if extends:
        if phase is None or phase.rework_reason is None:
            return Submitted(("Nothing new is wanted of this project now; end your turn.",))
        _extend(tx, project, phase, plan, max_attempts=max_attempts, now=now, run=run)
        return Submitted(())
    propose(tx, project, run, plan, now=now)
    return Submitted(())


def is_approved(tx: Session, project_id: int) -> bool:
    """Whether a plan of a project was approved: it has phases then."""
    found = tx.scalars(select(Phase.id).where(Phase.project_id == project_id).limit(1)).first()
    return found is not None


def spec_changed(tx: Session, project: Project, request: str, *, now: datetime) -> None:
    """The spec is another one before its plan was approved: the planner is asked again."""
    opened = open_approval(tx, project.id, ApprovalKind.PLAN)
    if opened is not None:
        move(opened, ApprovalStatus.WITHDRAWN, by=Cause.SERVICE)
        opened.decided_at = now
    project.replan_reason = (
        f"The spec was changed, in these words: {request}\nRead the spec again and plan that."
    )
    project.planner_failures = 0
    if project.status is ProjectStatus.AWAITING_APPROVAL:
        move(project, ProjectStatus.PLANNING, by=Cause.PERSON)
    elif project.before_pause is ProjectStatus.AWAITING_APPROVAL:
        project.before_pause = ProjectStatus.PLANNING


def propose(tx: Session, project: Project, run: Run, plan: plans.Plan, *, now: datetime) -> None:
    """Show a plan and ask for the decision."""
    row = keep(tx, project, run, plan, now=now)
    opened = open_approval(tx, project.id, ApprovalKind.PLAN)
    if opened:  # the same planner thought again before anybody decided
        move(opened, ApprovalStatus.WITHDRAWN, by=Cause.SERVICE)
        opened.decided_at = now
    approval = Approval(
        project_id=project.id,
        kind=ApprovalKind.PLAN,
        subject_id=row.id,
        version=str(row.version),
        status=ApprovalStatus.OPEN,
        opened_at=now,
    )
    tx.add(approval)
    tx.flush()
    project.replan_reason = None
    project.planner_failures = 0
    if project.status is ProjectStatus.PLANNING:
        move(project, ProjectStatus.AWAITING_APPROVAL, by=Cause.AGENT)
    journal.record(
        tx,
        Event.PLAN_SUBMITTED,
        f"Plan {row.version}: {plan.size}.",
        now=now,
        actor=f"run:{run.id}",
        project=project,
        run=run,
        data={"approval": approval.id, "plan": row.id, "interview": row.interview_id},
    )


def keep(tx: Session, project: Project, run: Run, plan: plans.Plan, *, now: datetime) -> Plan:
    """The plan as a row, with what changed since the last one of the same wish."""
    before = latest(tx, project.id, run.interview_id)
    last = tx.scalar(select(func.max(Plan.version)).where(Plan.project_id == project.id))
    row = Plan(
        project_id=project.id,
        version=(last or 0) + 1,
        interview_id=run.interview_id,
        run_id=run.id,
        payload=asdict(plan),
        changes=list(plans.changes(PLAN.validate_python(before.payload), plan)) if before else [],
        submitted_at=now,
    )
    tx.add(row)
    tx.flush()
    return row


def open_approval(tx: Session, project_id: int, kind: ApprovalKind) -> Approval | None:
    return tx.scalars(
        select(Approval).where(
            Approval.project_id == project_id,
            Approval.kind == kind,
            Approval.status == ApprovalStatus.OPEN,
        )
    ).first()


def instantiate(tx: Session, project: Project, row: Plan, *, max_attempts: int) -> None:
    """The approved plan as phases, features and tasks; the first phase is not begun yet."""
    if tx.scalar(select(func.count()).where(Phase.project_id == project.id)):
        raise StateError("This project has an approved plan already.")
    plan = PLAN.validate_python(row.payload)
    project.summary = plan.summary
    project.setup = list(plan.setup)
    project.run_command = plan.run
    project.checks = list(plan.checks)
    add_phases(tx, project, plan.phases, max_attempts=max_attempts)
    add_dependencies(tx, project.id, plan)


def add_phases(
    tx: Session,
    project: Project,
    phases: Sequence[plans.PlannedPhase],
    *,
    max_attempts: int,
) -> None:
    """Phases with their features after those there are; their dependencies come later."""
    last = tx.scalar(select(func.max(Phase.position)).where(Phase.project_id == project.id))
    for position, planned in enumerate(phases, start=(last or 0) + 1):
        phase = Phase(
            project_id=project.id,
            position=position,
            name=planned.name,
            description=planned.description,
            status=PhaseStatus.PENDING,
        )
        tx.add(phase)
        tx.flush()
        add_features(tx, phase, planned.features, max_attempts=max_attempts)


def _extend(
    tx: Session,
    project: Project,
    phase: Phase,
    plan: plans.Plan,
    *,
    max_attempts: int,
    now: datetime,
    run: Run,
) -> None:
    """Everything submitted becomes new features of the rejected phase."""
    add_features(tx, phase, plan.features(), max_attempts=max_attempts)
    add_dependencies(tx, project.id, plan)
    phase.rework_reason = None
    project.planner_failures = 0
    journal.record(
        tx,
        Event.PLAN_EXTENDED,
        f"{count(len(plan.tasks()), 'rework task')} for phase {phase.name}.",
        now=now,
        actor=f"run:{run.id}",
        project=project,
        phase=phase,
        run=run,
    )


def add_rework(
    tx: Session, phase: Phase, reason: str, checks: list[str], *, max_attempts: int
) -> None:
    """One rework feature with one task, where no planner made better ones."""
    number = tx.scalar(select(func.count()).where(Feature.phase_id == phase.id)) or 0
    name = f"Rework {number} of {phase.name}"
    task = plans.PlannedTask(
        name=f"Mend phase {phase.position} ({number}): {' '.join(reason.split())[:60]}",
        description=reason,
        category="rework",
        complexity=3,
        checks=tuple(checks),
    )
    feature = plans.PlannedFeature(name=name, description=reason, tasks=(task,))
    add_features(tx, phase, (feature,), max_attempts=max_attempts)


def start_next_phase(tx: Session, project: Project, main: str | None, *, now: datetime) -> None:
    """Begin the first phase that is not completed, if it waits. `main` is where it begins."""
    phase = tx.scalars(
        select(Phase)
        .where(Phase.project_id == project.id, Phase.status != PhaseStatus.COMPLETED)
        .order_by(Phase.position)
        .limit(1)
    ).first()
    if phase is None or phase.status is not PhaseStatus.PENDING:
        return
    move(phase, PhaseStatus.IN_PROGRESS, by=Cause.SERVICE)
    phase.started_at = now
    phase.base_commit = main
    journal.record(
        tx, Event.PHASE_STARTED, f"Phase {phase.position} {phase.name} begins.", now=now,
        phase=phase,
    )  # fmt: skip


def add_features(
    tx: Session,
    phase: Phase,
    features: tuple[plans.PlannedFeature, ...],
    *,
    max_attempts: int,
) -> None:
    taken = set(tx.scalars(select(Feature.slug).where(Feature.project_id == phase.project_id)))
    place = tx.scalar(
        select(func.max(Feature.position)).where(Feature.project_id == phase.project_id)
    )
    number = tx.scalar(select(func.max(Task.number)).where(Task.project_id == phase.project_id))
    place, number = place or 0, number or 0
    for planned in features:
        place += 1
        slug = slugify(planned.name, taken, fallback="feature")
        taken.add(slug)
        feature = Feature(
            project_id=phase.project_id,
            phase_id=phase.id,
            position=place,
            name=planned.name,
            slug=slug,
            description=planned.description,
            spec=planned.spec,
            status=FeatureStatus.PENDING,
            priority=planned.priority,
            branch=f"feature/{slug}",
        )
        tx.add(feature)
        tx.flush()
        for planned_task in planned.tasks:
            number += 1
            tx.add(
                Task(
                    project_id=phase.project_id,
                    phase_id=phase.id,
                    feature_id=feature.id,
                    number=number,
                    position=number,
                    name=planned_task.name,
                    category=planned_task.category,
                    description=planned_task.description,
                    steps=list(planned_task.steps),
                    complexity=planned_task.complexity,
                    rank=planned_task.complexity,
                    checks=[c for c in planned_task.checks if c.strip()],
                    files=list(planned_task.files),
                    priority=planned_task.priority,
                    status=TaskStatus.PENDING,
                    allowed_attempts=max_attempts,
                )
            )
    tx.flush()


def add_dependencies(tx: Session, project_id: int, plan: plans.Plan) -> None:
    features = {
        f.name: f for f in tx.scalars(select(Feature).where(Feature.project_id == project_id))
    }
    tasks = {t.name: t for t in tx.scalars(select(Task).where(Task.project_id == project_id))}
    lifted = plans.lifted_dependencies(plan, known(tx, project_id))
    for planned in plan.features():
        for name in sorted(lifted[planned.name]):
            tx.add(
                FeatureDependency(
                    feature_id=features[planned.name].id,
                    depends_on_id=features[name].id,
                    declared=name in planned.depends_on,
                )
            )
        for planned_task in planned.tasks:
            for name in dict.fromkeys(planned_task.depends_on):
                tx.add(
                    TaskDependency(
                        task_id=tasks[planned_task.name].id, depends_on_id=tasks[name].id
                    )
                )
    tx.flush()
    refresh_order(tx, project_id)


def refresh_order(tx: Session, project_id: int) -> None:
    """Recount `blockers` and `rank` after the graph changed."""
    tasks = {t.id: t for t in tx.scalars(select(Task).where(Task.project_id == project_id))}
    graph: dict[int, set[int]] = {task_id: set() for task_id in tasks}
    edges = select(TaskDependency).join(Task, Task.id == TaskDependency.task_id)
    for edge in tx.scalars(edges.where(Task.project_id == project_id)):
        graph[edge.task_id].add(edge.depends_on_id)
    rank = plans.ranks(graph, {task.id: task.complexity for task in tasks.values()})
    for task in tasks.values():
        task.rank = rank[task.id]
        task.blockers = sum(
            tasks[other].feature_id == task.feature_id
            and tasks[other].status is not TaskStatus.PASSING
            for other in graph[task.id]
        )
