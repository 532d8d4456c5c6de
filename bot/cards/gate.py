"""The gate of a phase: what was built and proved, what it took, and the decision."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import charts, words
from bot.cards.frame import (
    Drawn,
    Scene,
    approved,
    body,
    bold,
    code,
    fallback,
    footnote,
    parallel_of,
    reason,
    refused,
    said,
    title,
)
from bot.cards.plan import decide, reminder_words
from core.domain import card_keys
from core.domain.cards import Card, CardKind, Field, Picture, Progress, Subject, Tone
from core.domain.lifecycle import ApprovalKind, ApprovalStatus, TaskStatus
from core.domain.money import Dimension
from core.domain.plan import estimate
from core.domain.proof import Verdict
from core.operations import boards, evidence
from core.store.tables import Approval, Evidence, Feature, Phase, Project, Task

MOST_FEATURES = 12
MOST_TASKS = 6  # of each sort that is named


@dataclass(frozen=True)
class _Gate:
    approval: Approval
    phase: Phase
    project: Project
    features: Sequence[Feature]
    tasks: Sequence[Task]
    green_before: frozenset[int]  # tasks that no check of theirs proves
    vouched: frozenset[int]  # tasks a person passed
    own_tests: frozenset[int]  # tasks whose tests were written by the run they prove
    later: bool  # another phase follows
    rejected: bool  # once at least
    cost: Decimal


def draw(tx: Session, key: str, approval_id: int, scene: Scene) -> Drawn:
    gate = _load(tx, approval_id)
    phase, project = gate.phase, gate.project
    open_now = gate.approval.status is ApprovalStatus.OPEN
    heading = f"Gate: phase {phase.position} {phase.name}"
    heading = title(f"{heading} is ready for your decision" if open_now else heading)
    reminder = card_keys.reminded(key) is not None
    if reminder:
        since = scene.clock(gate.approval.opened_at)
        heading = title(f"Reminder: the gate of phase {phase.position} waits since {since}")
    passing = sum(task.status is TaskStatus.PASSING for task in gate.tasks)
    landed = sum(feature.landed_commit is not None for feature in gate.features)
    proved = (
        f"{passing - len(gate.vouched)} of {wording.count(len(gate.tasks), 'task')} proved,"
        f" {wording.count(landed, 'feature')} landed on main."
    )
    state = _state(gate, scene)
    lines = [proved, _after(gate)] if open_now else [proved]
    if not reminder:
        lines += [*_built(gate), *_notes(gate), *_evidence(gate)]
    card = Card(
        key=key,
        kind=CardKind.GATE,
        title=heading,
        body=body(lines, [state, _note(gate, scene)]),
        fallback=fallback(f"{project.name}: {heading}", proved, state),
        project=project.name,
        fields=() if reminder else _fields(gate, scene),
        progress=None if reminder else Progress(passing, len(gate.tasks)),
        pictures=() if reminder else _pictures(gate, proved),
        tone=Tone.WARNING if open_now else _tone(gate.approval.status),
        buttons=decide(Subject.GATE, gate.approval.id) if open_now else (),
    )
    return Drawn(card)


def _load(tx: Session, approval_id: int) -> _Gate:
    approval = tx.get_one(Approval, approval_id)
    phase = tx.get_one(Phase, approval.subject_id)
    tasks = tx.scalars(select(Task).where(Task.phase_id == phase.id).order_by(Task.number)).all()
    proofs = tx.execute(
        select(Evidence.task_id, Evidence.verdict, Evidence.own_tests)
        .join(Task, Task.id == Evidence.task_id)
        .where(Task.phase_id == phase.id, Evidence.accepted)
    ).all()
    later = select(Phase.id).where(
        Phase.project_id == phase.project_id, Phase.position > phase.position
    )
    rejected = select(Approval.id).where(
        Approval.kind == ApprovalKind.GATE,
        Approval.subject_id == phase.id,
        Approval.status == ApprovalStatus.REJECTED,
    )
    return _Gate(
        approval=approval,
        phase=phase,
        project=tx.get_one(Project, phase.project_id),
        features=tx.scalars(
            select(Feature).where(Feature.phase_id == phase.id).order_by(Feature.position)
        ).all(),
        tasks=tasks,
        green_before=frozenset(p.task_id for p in proofs if p.verdict is Verdict.GREEN_BEFORE),
        vouched=frozenset(p.task_id for p in proofs if p.verdict is Verdict.VOUCHED),
        own_tests=frozenset(p.task_id for p in proofs if p.own_tests),
        later=tx.scalars(later.limit(1)).first() is not None,
        rejected=tx.scalars(rejected.limit(1)).first() is not None,
        cost=boards.cost_of(tx, phase.project_id, Dimension.PHASE, phase.id),
    )


def _state(gate: _Gate, scene: Scene) -> str:
    approval = gate.approval
    match approval.status:
        case ApprovalStatus.OPEN:
            return f"{words.WAITS} Waits for an approver.{reminder_words(approval, scene)}"
        case ApprovalStatus.APPROVED:
            return approved(approval.decided_by, approval.decided_at, scene)
        case ApprovalStatus.REJECTED:
            line = refused(approval.decided_by, approval.decided_at, scene)
            return f"{line}: {reason(approval.reason or '')}. It becomes rework."
        case ApprovalStatus.EXPIRED:
            return f"{words.STOPPED} Expired: it is asked again"
        case ApprovalStatus.WITHDRAWN:
            return f"{words.STOPPED} Withdrawn: the phase goes on"
        case _:
            assert_never(approval.status)


def _note(gate: _Gate, scene: Scene) -> str:
    """Where nothing is lost by it, a newcomer is told what else can be seen."""
    note = footnote(gate.project.practice, scene.box)
    first = gate.phase.position == 1 and not gate.rejected
    if not (gate.project.practice and first and gate.approval.status is ApprovalStatus.OPEN):
        return note
    invitation = "Reject it once with a reason, and see that become rework"
    return note.replace(words.PRACTICE, f"{words.PRACTICE}. {invitation}", 1)


def _tone(status: ApprovalStatus) -> Tone:
    return Tone.SUCCESS if status is ApprovalStatus.APPROVED else Tone.INFO


def _after(gate: _Gate) -> str:
    if gate.later:
        return f"Phase {gate.phase.position + 1} starts only after approval."
    return "Approval completes the project."


def _fields(gate: _Gate, scene: Scene) -> tuple[Field, ...]:
    plan = estimate(
        (task.complexity for task in gate.tasks), parallel=parallel_of(gate.project.settings, scene)
    )
    cost = f"{wording.usd(gate.cost)}, plan {wording.usd_range(*plan.cost_usd)}"
    took = wording.UNKNOWN
    if gate.phase.started_at is not None:
        seconds = (gate.approval.opened_at - gate.phase.started_at).total_seconds()
        took = wording.duration(seconds)
    found = [
        Field("Cost", cost),
        Field("Time", f"{took}, plan {wording.minutes_range(*plan.minutes)}"),
    ]
    approval = gate.approval
    diff = wording.UNKNOWN
    if approval.diff_files is not None:
        diff = words.diff(approval.diff_files, approval.diff_added or 0, approval.diff_removed or 0)
    found.append(Field("Diff", diff))
    again = [task for task in gate.tasks if task.attempts]
    retries = str(sum(task.attempts for task in again))
    if again:
        retries += f", on task {_numbers(again)}"
    found.append(Field("Retries", retries))
    return tuple(found)


def _numbers(tasks: Sequence[Task]) -> str:
    shown = ", ".join(str(task.number) for task in tasks[:MOST_TASKS])
    return shown + (f" and {len(tasks) - MOST_TASKS} more" if len(tasks) > MOST_TASKS else "")


def _built(gate: _Gate) -> Iterator[str]:
    yield ""
    for feature in gate.features[:MOST_FEATURES]:
        if feature.landed_commit is None:
            continue
        own = [task for task in gate.tasks if task.feature_id == feature.id]
        passing = sum(task.status is TaskStatus.PASSING for task in own)
        yield (
            f"{words.DONE} {bold(feature.name, 80)} {passing}/{len(own)},"
            f" {code(wording.commit(feature.landed_commit))}"
        )
    if len(gate.features) > MOST_FEATURES:
        yield f"and {len(gate.features) - MOST_FEATURES} more features: see details"


def _notes(gate: _Gate) -> Iterator[str]:
    """What proves less than it seems."""
    skipped = [task for task in gate.tasks if task.status is TaskStatus.SKIPPED]
    for task in skipped[:MOST_TASKS]:
        yield f"{words.STOPPED} Task {task.number} {said(task.name, 80)} skipped: nothing proves it"
    if len(skipped) > MOST_TASKS:
        yield f"{words.STOPPED} and {len(skipped) - MOST_TASKS} more skipped"
    before = [task for task in gate.tasks if task.id in gate.green_before]
    if before:
        yield (
            f"{words.WAITS} Green before the work began, so proved by less: task {_numbers(before)}"
        )
    passed = [task for task in gate.tasks if task.id in gate.vouched]
    if passed:
        yield (
            f"{words.WAITS} A person vouches, no check of their own proves it:"
            f" task {_numbers(passed)}"
        )
    own = [task for task in gate.tasks if task.id in gate.own_tests]
    if own:
        yield f"{words.WAITS} Proved by tests of their own run: task {_numbers(own)}"


def _evidence(gate: _Gate) -> Iterator[str]:
    checks = [evidence.from_json(check) for check in gate.approval.checks]
    yield ""
    yield f"**Evidence** on main at {code(wording.commit(gate.approval.version))}"
    most = words.MOST_CHECKS
    for check in checks[:most]:
        mark = words.DONE if check.green else words.STOPPED
        yield f"{mark} {code(check.command, 120)} {said(words.check_facts(check), 140)}"
    if len(checks) > most:
        yield f"and {wording.count(len(checks) - most, 'more check')}: see details"


def _pictures(gate: _Gate, proved: str) -> tuple[Picture, ...]:
    alt = f"Board of phase {gate.phase.position}, a piece per task: {proved}"
    return (Picture(f"/api/pictures/gate/{gate.approval.id}.svg", alt),)


def picture(tx: Session, approval_id: int) -> str | None:
    """The board behind a gate's picture; None when there is no such gate."""
    approval = tx.get(Approval, approval_id)
    if approval is None or approval.kind is not ApprovalKind.GATE:
        return None
    gate = _load(tx, approval_id)
    lanes = [
        charts.Lane(
            feature.name,
            [_look(task) for task in gate.tasks if task.feature_id == feature.id],
            boards.cost_of(tx, gate.project.id, Dimension.FEATURE, feature.id),
        )
        for feature in gate.features
    ]
    return charts.board_svg(f"Board of phase {gate.phase.position} {gate.phase.name}", lanes)


def _look(task: Task) -> str:
    match task.status:
        case TaskStatus.PASSING:
            return "again" if task.attempts else "done"
        case TaskStatus.IN_PROGRESS:
            return "active"
        case TaskStatus.STUCK:
            return "stuck"
        case TaskStatus.SKIPPED:
            return "skipped"
        case TaskStatus.PENDING:
            return "rest"
        case _:
            assert_never(task.status)
