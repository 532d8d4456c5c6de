"""Decisions of people: the plan and the gates. Each is unique, attributed, timed, reasoned."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.events import CardKind, Event, Level
from core.domain.lifecycle import (
    AT_REST,
    ApprovalKind,
    ApprovalStatus,
    Cause,
    FeatureStatus,
    PhaseStatus,
    ProjectStatus,
    move,
)
from core.domain.proof import CheckResult
from core.errors import InputError, StalePress, StateError
from core.operations import additions, evidence, journal, outbox, plans, projects
from core.ports.chat import Place
from core.ports.host import DiffStat
from core.store.chat_tables import OutboxItem
from core.store.tables import Approval, Feature, Phase, Plan, Project
from core.views import approvals as view
from core.views import members
from core.views.approvals import ApprovalView

_CARDS = 50  # of decisions in a channel, that are looked at
_SEEN = timedelta(seconds=10)  # after which a card shows everybody that it is decided


def open_gate(
    tx: Session,
    phase_id: int,
    commit: str,
    checks: Sequence[CheckResult],
    *,
    diff: DiffStat | None = None,
    now: datetime,
) -> None:
    """Ask at the gate of a phase whose features have all landed, with the proof on `main`.

    `diff` sums up what changed on `main` since the phase began.
    """
    phase = tx.get_one(Phase, phase_id)
    if not _is_built(tx, phase):
        return
    move(phase, PhaseStatus.AWAITING_APPROVAL, by=Cause.SERVICE)
    approval = Approval(
        project_id=phase.project_id,
        kind=ApprovalKind.GATE,
        subject_id=phase.id,
        version=commit,
        status=ApprovalStatus.OPEN,
        checks=[evidence.to_json(check) for check in checks],
        diff_files=diff.files if diff else None,
        diff_added=diff.added if diff else None,
        diff_removed=diff.removed if diff else None,
        opened_at=now,
    )
    tx.add(approval)
    tx.flush()
    journal.record(
        tx, Event.PHASE_READY, f"Phase {phase.name} is ready for a decision.", now=now,
        phase=phase, data={"approval": approval.id},
    )  # fmt: skip


def fail_gate(
    tx: Session,
    phase_id: int,
    checks: Sequence[CheckResult],
    *,
    max_attempts: int,
    now: datetime,
) -> None:
    """A check of landed work fails on `main`: what broke becomes a task of this phase."""
    phase = tx.get_one(Phase, phase_id)
    if not _is_built(tx, phase):
        return
    phase.gate_failures += 1
    red = [check for check in checks if not check.green]
    reason = "\n\n".join(
        f"On main this check exits {check.exit_code}: {check.command}\n{check.output[-2000:]}"
        for check in red
    )
    plans.add_rework(tx, phase, reason, [c.command for c in red], max_attempts=max_attempts)
    journal.record(
        tx,
        Event.GATE_FAILED,
        f"Checks of phase {phase.name} fail on main, {len(red)} in all; a task mends them.",
        now=now,
        level=Level.WARNING,
        phase=phase,
        data={"commands": [check.command for check in red]},
    )


def _is_built(tx: Session, phase: Phase) -> bool:
    """Whether the phase still is what was proved: another proof may have ended before."""
    unfinished = select(Feature.id).where(
        Feature.phase_id == phase.id, Feature.status != FeatureStatus.COMPLETED
    )
    return (
        phase.status is PhaseStatus.IN_PROGRESS
        and phase.rework_reason is None
        and tx.scalar(unfinished.limit(1)) is None
    )


def approve(
    tx: Session, approval_id: int, *, by: str, main: str | None, max_attempts: int, now: datetime
) -> None:
    """Approve what was shown. `main` is where it stands now: the next phase's beginning."""
    approval, project = decidable(tx, approval_id)
    _decide(tx, approval, ApprovalStatus.APPROVED, by, None, now)
    match approval.kind:
        case ApprovalKind.PLAN:
            row = tx.get_one(Plan, approval.subject_id)
            if row.interview_id is not None:
                additions.approved(tx, project, row, max_attempts=max_attempts, now=now)
            else:
                plans.instantiate(tx, project, row, max_attempts=max_attempts)
                move(project, ProjectStatus.RUNNING, by=Cause.PERSON)
            journal.record(
                tx, Event.PLAN_APPROVED, f"Plan {row.version} was approved.", now=now, actor=by,
                project=project, data={"plan": row.id, "interview": row.interview_id},
            )  # fmt: skip
        case ApprovalKind.GATE:
            phase = tx.get_one(Phase, approval.subject_id)
            move(phase, PhaseStatus.COMPLETED, by=Cause.PERSON)
            phase.completed_at = now
            journal.record(
                tx, Event.PHASE_APPROVED, f"Phase {phase.name} was approved.", now=now, actor=by,
                phase=phase, data={"approval": approval.id},
            )  # fmt: skip
    plans.start_next_phase(tx, project, main, now=now)


def reject(tx: Session, approval_id: int, reason: str, *, by: str, now: datetime) -> None:
    """Send it back with a reason: to the planner, or as rework of the phase."""
    reason = reason.strip()
    if not reason:
        raise InputError(
            "A rejection needs a reason.", hint="Type `reject`, a space, and what is wrong."
        )
    approval, project = decidable(tx, approval_id)
    _decide(tx, approval, ApprovalStatus.REJECTED, by, reason, now)
    project.planner_failures = 0
    match approval.kind:
        case ApprovalKind.PLAN:
            row = tx.get_one(Plan, approval.subject_id)
            if row.interview_id is not None:
                additions.rejected(tx, row.interview_id, reason)
            else:
                project.replan_reason = reason
                move(project, ProjectStatus.PLANNING, by=Cause.PERSON)
            journal.record(
                tx, Event.PLAN_REJECTED, reason, now=now, actor=by, project=project,
                data={"plan": row.id, "interview": row.interview_id},
            )  # fmt: skip
        case ApprovalKind.GATE:
            phase = tx.get_one(Phase, approval.subject_id)
            phase.rework_reason = reason
            move(phase, PhaseStatus.IN_PROGRESS, by=Cause.PERSON)
            journal.record(
                tx, Event.PHASE_REJECTED, reason, now=now, actor=by, phase=phase,
                data={"approval": approval.id},
            )  # fmt: skip


def decidable(tx: Session, approval_id: int) -> tuple[Approval, Project]:
    """The decision, if it may be made now, and its project.

    Raises StalePress, which says who made it and when, and StateError where the project rests.
    """
    approval = tx.get(Approval, approval_id)
    if approval is None:
        raise StalePress("There is no such decision")
    if approval.status is not ApprovalStatus.OPEN:
        raise StalePress(_how(tx, approval), at=approval.decided_at)
    project = projects.living(tx, approval.project_id)
    if project.status in AT_REST:
        raise StateError(
            f"{project.name} is {project.status.words}: nothing of it is decided now.",
            hint=f"`/autocoder start {project.name}` takes it up again.",
        )
    return approval, project


def _how(tx: Session, approval: Approval | ApprovalView) -> str:
    """How it was decided, and by whom."""
    by = approval.decided_by
    who = f" by {members.name_of(tx, by)}" if by else ""
    return f"This {approval.kind!s} was {approval.status!s}{who}"


def shown(
    tx: Session, project_id: int, place: Place, *, person: str, now: datetime
) -> ApprovalView:
    """The plan or gate whose card was posted last in this channel, if it still is to be decided.

    A typed word binds to what its writer could see: a newer version that is not posted yet is
    not meant by it. Once whoever writes knows that it is decided, the one that was posted before
    it and still waits is meant.
    """
    name = tx.get_one(Project, project_id).name
    waits = view.waiting(tx, project_id)
    last, *before = [_of_card(tx, card) for card in _cards(tx, project_id, place)] or [None]
    if last is None:
        if waits is None:
            raise StateError(f"Nothing of {name} waits for a decision.")
        raise StateError(
            f"The {waits.kind!s} of {name} was not shown in this channel.",
            hint="Decide where its card stands, or press its button.",
        )
    if last.status is ApprovalStatus.OPEN:
        return last
    if waits is None:
        raise StalePress(_how(tx, last), at=last.decided_at)
    other = next((each for each in before if each and each.status is ApprovalStatus.OPEN), None)
    if other is None:
        raise StalePress(
            f"A newer {waits.kind!s} of {name} waits than the one shown here",
            hint="Its card comes in a moment; look at it first.",
        )
    knows = last.decided_by in (None, person) or now - (last.decided_at or now) >= _SEEN
    if not knows:
        raise StalePress(
            _how(tx, last),
            at=last.decided_at,
            hint=f"A {other.kind!s} of {name} waits too: press its button, or say it again in a"
            " moment.",
        )
    return other


def _cards(tx: Session, project_id: int, place: Place) -> Sequence[OutboxItem]:
    """Cards of decisions that stand in a channel, the newest first."""
    query = select(OutboxItem).where(
        OutboxItem.platform == place.platform,
        OutboxItem.channel == place.channel,
        OutboxItem.project_id == project_id,
        OutboxItem.kind.in_((CardKind.PLAN, CardKind.GATE)),
        OutboxItem.message.is_not(None),
    )
    return tx.scalars(query.order_by(OutboxItem.id.desc()).limit(_CARDS)).all()


def _of_card(tx: Session, card: OutboxItem) -> ApprovalView | None:
    """The decision a card asks for: a gate's card names it, a plan's names the plan."""
    subject = card.subject_id or 0
    if card.kind is CardKind.GATE:
        return view.by_id(tx, subject)
    return next(iter(view.of_subject(tx, ApprovalKind.PLAN, subject)), None)


def _decide(
    tx: Session,
    approval: Approval,
    to: ApprovalStatus,
    by: str,
    reason: str | None,
    now: datetime,
) -> None:
    """Its card is wanted at once: no card that shows what follows from it goes out before."""
    move(approval, to, by=Cause.PERSON)
    approval.decided_at = now
    approval.decided_by = by
    approval.reason = reason
    match approval.kind:
        case ApprovalKind.PLAN:
            kind, about = CardKind.PLAN, approval.subject_id
        case ApprovalKind.GATE:
            kind, about = CardKind.GATE, approval.id
        case _:
            assert_never(approval.kind)
    outbox.refresh(tx, approval.project_id, kind, about, now=now)
