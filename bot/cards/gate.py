"""The gate of a phase: what was built and proved, what it took, and the decision."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import assert_never

from sqlalchemy.orm import Session

from bot.cards import charts, formatting, forms, labels
from bot.cards.plan import decide, decider, reminder_words
from bot.cards.rendering import (
    CardRef,
    Drawn,
    RenderContext,
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
from core.domain import card_keys
from core.domain.cards import Card, Field, Form, Link, Picture, Progress, Subject, Tone
from core.domain.events import CardKind
from core.domain.lifecycle import ApprovalStatus, TaskStatus
from core.domain.plan import estimate
from core.domain.proof import Verdict
from core.errors import NotFound
from core.views import gates
from core.views.gates import GateView, TaskAtGate

MOST_FEATURES = 12
MOST_TASKS = 6  # of each sort that is named


def draw(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    gate = gates.gate(tx, ref.subject_id)
    if gate is None:
        raise NotFound("There is no such gate.")
    phase, project = gate.phase, gate.project
    open_now = gate.approval.waits
    heading = f"Gate: phase {phase.position} {phase.name}"
    heading = title(f"{heading} is ready for your decision" if open_now else heading)
    reminder = card_keys.reminded(ref.key)
    if reminder:
        since = scene.clock(gate.approval.opened_at)
        heading = title(f"Reminder: the gate of phase {phase.position} waits since {since}")
    passing = sum(task.status is TaskStatus.PASSING for task in gate.tasks)
    landed = sum(feature.landed_commit is not None for feature in gate.features)
    proved = (
        f"{passing - len(_with(gate, Verdict.VOUCHED))} of"
        f" {formatting.count(len(gate.tasks), 'task')} proved,"
        f" {formatting.count(landed, 'feature')} landed on main."
    )
    state = _state(tx, gate, scene)
    lines = [proved, _after(gate)] if open_now else [proved]
    if not reminder:
        lines += [*_built(gate), *_notes(gate), *_evidence(gate)]
    card = Card(
        key=ref.key,
        kind=CardKind.GATE,
        title=heading,
        body=body(lines, [state, _note(gate, scene)]),
        fallback=fallback(f"{project.name}: {heading}", proved, state),
        project=project.name,
        fields=() if reminder else _fields(gate, scene),
        progress=None if reminder else Progress(passing, len(gate.tasks)),
        pictures=() if reminder else _pictures(gate),
        tone=Tone.WARNING if open_now else _tone(gate.approval.status),
        buttons=decide(Subject.GATE, gate.approval.id, rejection(gate)) if open_now else (),
        links=(Link("Review the gate", reminder),) if reminder else (),
    )
    return Drawn(card)


def _state(tx: Session, gate: GateView, scene: RenderContext) -> str:
    approval = gate.approval
    match approval.status:
        case ApprovalStatus.OPEN if not approval.waits:
            return labels.at_rest(gate.project.name, gate.project.status)
        case ApprovalStatus.OPEN:
            return f"{labels.WAITS} Waits for an approver.{reminder_words(approval, scene)}"
        case ApprovalStatus.APPROVED:
            return approved(decider(tx, approval), approval.decided_at, scene)
        case ApprovalStatus.REJECTED:
            line = refused(decider(tx, approval), approval.decided_at, scene)
            return f"{line}: {reason(approval.reason or '')}. It becomes rework."
        case ApprovalStatus.EXPIRED:
            return f"{labels.STOPPED} Expired: it is asked again"
        case ApprovalStatus.WITHDRAWN:
            return f"{labels.STOPPED} Withdrawn: the phase goes on"
        case _:
            assert_never(approval.status)


def rejection(gate: GateView) -> Form:
    """What `Reject` opens; in practice a reason that can be carried out stands there first."""
    if not _invites(gate):
        return forms.REASON
    return forms.proposing(forms.REASON, labels.PRACTICE_REJECTION)


def _invites(gate: GateView) -> bool:
    """Whether a newcomer is shown what a rejection does, where nothing is lost by it."""
    first = gate.phase.position == 1 and not gate.rejected
    return gate.project.practice and first and gate.approval.waits


def _note(gate: GateView, scene: RenderContext) -> str:
    note = footnote(gate.project.practice, scene.box)
    if not _invites(gate):
        return note
    invitation = f"Reject it once with “{labels.PRACTICE_REJECTION}”, and see real rework"
    return note.replace(labels.PRACTICE, f"{labels.PRACTICE}. {invitation}", 1)


def _tone(status: ApprovalStatus) -> Tone:
    return Tone.SUCCESS if status is ApprovalStatus.APPROVED else Tone.INFO


def _after(gate: GateView) -> str:
    if gate.last:
        return "Approval completes the project."
    return f"Phase {gate.phase.position + 1} starts only after approval."


def _fields(gate: GateView, scene: RenderContext) -> tuple[Field, ...]:
    plan = estimate(
        (task.complexity for task in gate.tasks), parallel=parallel_of(gate.project.settings, scene)
    )
    cost = f"{formatting.usd(gate.cost_usd)}, plan {formatting.usd_range(*plan.cost_usd)}"
    took = formatting.UNKNOWN
    if gate.phase.started_at is not None:
        seconds = (gate.approval.opened_at - gate.phase.started_at).total_seconds()
        took = formatting.duration(seconds)
    found = [
        Field("Cost", cost),
        Field("Time", f"{took}, plan {formatting.minutes_range(*plan.minutes)}"),
    ]
    diff = gate.approval.diff
    changed = labels.diff(diff.files, diff.added, diff.removed) if diff else formatting.UNKNOWN
    found.append(Field("Diff", changed))
    again = [task for task in gate.tasks if task.attempts]
    retries = str(sum(task.attempts for task in again))
    if again:
        retries += f", on {_numbers(again)}"
    found.append(Field("Retries", retries))
    return tuple(found)


def _numbers(tasks: Sequence[TaskAtGate]) -> str:
    """`task 3`, `tasks 3, 4 and 2 more`."""
    return formatting.numbered("task", [task.number for task in tasks], MOST_TASKS)


def _built(gate: GateView) -> Iterator[str]:
    yield ""
    for feature in gate.features[:MOST_FEATURES]:
        if feature.landed_commit is None:
            continue
        own = [task for task in gate.tasks if task.feature_id == feature.id]
        passing = sum(task.status is TaskStatus.PASSING for task in own)
        yield (
            f"{labels.DONE} {bold(feature.name, 80)} {passing}/{len(own)},"
            f" {code(formatting.commit(feature.landed_commit))}"
        )
    if len(gate.features) > MOST_FEATURES:
        more = formatting.count(len(gate.features) - MOST_FEATURES, "more feature")
        yield f"and {more}: see details"


def _notes(gate: GateView) -> Iterator[str]:
    """What proves less than it seems."""
    skipped = [task for task in gate.tasks if task.status is TaskStatus.SKIPPED]
    for task in skipped[:MOST_TASKS]:
        yield f"{labels.STOPPED} Task {task.number} {said(task.name, 80)} skipped: nothing proves it"
    if len(skipped) > MOST_TASKS:
        yield f"{labels.STOPPED} and {len(skipped) - MOST_TASKS} more skipped"
    before = _with(gate, Verdict.GREEN_BEFORE)
    if before:
        yield f"{labels.WAITS} Green before the work began, so proved by less: {_numbers(before)}"
    passed = _with(gate, Verdict.VOUCHED)
    if passed:
        yield f"{labels.WAITS} A person vouches, no check of their own proves it: {_numbers(passed)}"
    own = [task for task in gate.tasks if task.own_tests]
    if own:
        yield f"{labels.WAITS} Proved by tests of their own run: {_numbers(own)}"


def _evidence(gate: GateView) -> Iterator[str]:
    checks = gate.approval.checks
    yield ""
    yield f"**Evidence** on main at {code(formatting.commit(gate.approval.version))}"
    most = labels.MOST_CHECKS
    for check in checks[:most]:
        mark = labels.DONE if check.green else labels.STOPPED
        yield f"{mark} {code(check.command, 120)} {said(labels.check_facts(check), 140)}"
    if len(checks) > most:
        yield f"and {formatting.count(len(checks) - most, 'more check')}: see details"


def _with(gate: GateView, verdict: Verdict) -> Sequence[TaskAtGate]:
    return [task for task in gate.tasks if verdict in task.verdicts]


def _pictures(gate: GateView) -> tuple[Picture, ...]:
    looks = [_look(task) for task in gate.tasks]
    counted = [
        f"{looks.count(look):,} {name}" for look, name in charts.LOOKS.items() if look in looks
    ]
    alt = f"{_heading(gate)}, {formatting.count(len(looks), 'task')}: {', '.join(counted)}"
    told = (charts.told(lane) for lane in _lanes(gate)[:MOST_FEATURES])
    more = len(gate.features) - MOST_FEATURES
    alt += f"; {', '.join(told)}{f' and {more} more' if more > 0 else ''}"
    whole = sum((feature.cost_usd for feature in gate.features), Decimal(0))
    if whole:
        most = max(gate.features, key=lambda feature: feature.cost_usd)
        alt += f"; the highest cost {formatting.one_line(most.name, 60)}, {formatting.usd(whole)} in all"
    return (Picture(f"/api/pictures/gate/{gate.approval.id}.svg", alt),)


def _heading(gate: GateView) -> str:
    return f"Board of phase {gate.phase.position} {formatting.one_line(gate.phase.name, 60)}"


def picture(tx: Session, approval_id: int) -> str | None:
    """The board behind a gate's picture; None when there is no such gate."""
    gate = gates.gate(tx, approval_id)
    if gate is None:
        return None
    return charts.board_svg(_heading(gate), _lanes(gate))


def _lanes(gate: GateView) -> list[charts.Lane]:
    return [
        charts.Lane(
            feature.name,
            [_look(task) for task in gate.tasks if task.feature_id == feature.id],
            feature.cost_usd,
        )
        for feature in gate.features
    ]


def _look(task: TaskAtGate) -> str:
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
