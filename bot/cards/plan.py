"""The plan: what will be built, in which order, at what cost; what approving it allows."""

from collections.abc import Iterator
from typing import assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import drawing, forms, words
from bot.cards.frame import (
    Drawn,
    Scene,
    approved,
    body,
    bold,
    button,
    code,
    fallback,
    footnote,
    parallel_of,
    refused,
    said,
    spoken,
    title,
)
from core.domain import card_keys
from core.domain.cards import (
    Button,
    Card,
    CardKind,
    Field,
    Label,
    Picture,
    Style,
    Subject,
    Tone,
)
from core.domain.lifecycle import ApprovalKind, ApprovalStatus, InterviewStatus
from core.domain.money import to_usd
from core.domain.plan import Estimate, Plan, PlannedPhase, estimate, lifted_dependencies
from core.operations import additions
from core.operations.plans import PLAN
from core.store import tables
from core.store.chat_tables import Interview

SUMMARY = 500
MOST_FEATURES = 24
MOST_SETUP = 6


def draw(tx: Session, key: str, plan_id: int, scene: Scene) -> Drawn:
    row = tx.get_one(tables.Plan, plan_id)
    project = tx.get_one(tables.Project, row.project_id)
    plan = PLAN.validate_python(row.payload)
    decision = _decision(tx, row)
    foretold = estimate(
        (task.complexity for task in plan.tasks()), parallel=parallel_of(project.settings, scene)
    )
    adds = row.interview_id is not None
    number = f"Plan {row.version}" if row.version > 1 and not adds else "Plan"
    heading = title(f"{number} for {project.name}{': what is new' if adds else ''}")
    reminder = card_keys.reminded(key) is not None
    if reminder:
        heading = title(f"Reminder: {number.lower()} for {project.name} waits")
    state = _state(tx, row, decision, scene)
    into = additions.grows(tx, row, plan)
    size = f"{words.plan_size(plan)}. A gate after each phase."
    if into is not None:
        place = f"phase {into.position} {said(into.name, 80)}"
        size = f"{words.plan_growth(plan)} more in {place}, before its gate."
    first = 1 if into is None else into.position
    if adds and into is None:
        first = _next_position(tx, row, plan)
    lines = (
        []
        if reminder
        else [*_about(plan, size), *_changes(row), *tree(plan, first, into.name if into else None)]
    )
    allows = [] if reminder else _setup(plan)
    card = Card(
        key=key,
        kind=CardKind.PLAN,
        title=heading,
        body=body(lines, [*allows, state, footnote(project.practice, scene.box)]),
        fallback=fallback(heading, size, state),
        project=project.name,
        fields=() if reminder else _fields(plan, foretold, project, scene),
        pictures=() if reminder else _pictures(row, plan),
        tone=_tone(decision),
        buttons=_buttons(decision),
    )
    return Drawn(card)


def _decision(tx: Session, row: tables.Plan) -> tables.Approval | None:
    return tx.scalars(
        select(tables.Approval)
        .where(tables.Approval.kind == ApprovalKind.PLAN, tables.Approval.subject_id == row.id)
        .order_by(tables.Approval.id.desc())
        .limit(1)
    ).first()


def _next_position(tx: Session, row: tables.Plan, plan: Plan) -> int:
    """Where the phases of an addition stand, or will stand."""
    phases = tx.execute(
        select(tables.Phase.position, tables.Phase.name)
        .where(tables.Phase.project_id == row.project_id)
        .order_by(tables.Phase.position)
    ).all()
    mine = {phase.name for phase in plan.phases}
    there = [position for position, name in phases if name in mine]
    return there[0] if there else len(phases) + 1


def _state(tx: Session, row: tables.Plan, decision: tables.Approval | None, scene: Scene) -> str:
    if decision is None:
        return f"{words.DONE} Taken up"
    match decision.status:
        case ApprovalStatus.OPEN:
            again = reminder_words(decision, scene)
            return f"{words.WAITS} Waits for an approver. Nothing is built before approval.{again}"
        case ApprovalStatus.APPROVED:
            return approved(decision.decided_by, decision.decided_at, scene)
        case ApprovalStatus.REJECTED:
            line = refused(decision.decided_by, decision.decided_at, scene)
            return f"{line}: {said(decision.reason or '', 500)}"
        case ApprovalStatus.WITHDRAWN:
            wish = tx.get(Interview, row.interview_id) if row.interview_id else None
            if wish is not None and wish.status is InterviewStatus.WITHDRAWN:
                return f"{words.STOPPED} Withdrawn: it is not wanted any more"
            return f"{words.STOPPED} Withdrawn: a newer plan took its place"
        case ApprovalStatus.EXPIRED:
            return f"{words.STOPPED} Expired: it is asked again"
        case _:
            assert_never(decision.status)


def reminder_words(decision: tables.Approval, scene: Scene) -> str:
    """` Reminder Thu 09:00.`"""
    if scene.remind_after is None:
        return ""
    at = (decision.reminded_at or decision.opened_at) + scene.remind_after
    return f" Reminder {scene.clock(at)}." if at > scene.now else ""


def _tone(decision: tables.Approval | None) -> Tone:
    if decision is None or decision.status is ApprovalStatus.APPROVED:
        return Tone.SUCCESS
    return Tone.WARNING if decision.status is ApprovalStatus.OPEN else Tone.INFO


def _buttons(decision: tables.Approval | None) -> tuple[Button, ...]:
    if decision is None or decision.status is not ApprovalStatus.OPEN:
        return ()
    return decide(Subject.PLAN, decision.id)


def decide(subject: Subject, approval_id: int) -> tuple[Button, ...]:
    """Approve, Reject with its reason, Details."""
    return (
        button("Approve", Label.APPROVE, subject, approval_id, style=Style.PRIMARY),
        button("Reject", Label.REJECT, subject, approval_id, form=forms.REASON),
        button("Details", Label.DETAILS, subject, approval_id),
    )


def _about(plan: Plan, size: str) -> Iterator[str]:
    if plan.summary.strip():
        yield spoken(plan.summary, SUMMARY)
    yield size


def _changes(row: tables.Plan) -> Iterator[str]:
    if not row.changes:
        return
    yield ""
    yield f"**Changed** since plan {row.version - 1}"
    for line in words.plan_changes(row.changes):
        yield f"- {said(line, 240)}"


def tree(plan: Plan, first: int = 1, into: str | None = None) -> Iterator[str]:
    """Phases, and their features drawn below the ones they build on.

    `first` is the position of the first, `into` the name of one that is there already.
    """
    lifted = lifted_dependencies(plan)
    left = MOST_FEATURES
    for position, phase in enumerate(plan.phases, start=first):
        yield ""
        tasks = [task for feature in phase.features for task in feature.tasks]
        cost = wording.usd_range(*estimate(task.complexity for task in tasks).cost_usd)
        count = wording.count(len(tasks), "task")
        yield f"{bold(f'{position} {into or phase.name}', 80)} · {count} · about {cost}"
        yield from _features(phase, lifted, max(left, 0))
        left -= len(phase.features)


def _features(phase: PlannedPhase, lifted: dict[str, set[str]], most: int) -> Iterator[str]:
    depths = words.depths({feature.name: lifted[feature.name] for feature in phase.features})
    for feature in phase.features[:most]:
        depth = depths[feature.name]
        branch = f"{'   ' * (depth - 1)}└─ " if depth else ""
        waits = sorted(lifted[feature.name])
        after = f" ← {said(', '.join(waits), 100)}" if waits else ""
        count = wording.count(len(feature.tasks), "task")
        yield f"{branch}{words.PENDING} {said(feature.name, 80)}, {count}{after}"
    hidden = len(phase.features) - most
    if hidden > 0:
        yield f"and {wording.count(hidden, 'more feature')}: see details"


def _setup(plan: Plan) -> Iterator[str]:
    """What approving allows; it stays on the card however long the plan is."""
    if not plan.setup:
        return
    yield (
        f"{words.WAITS} Setup runs with the network, the rest never does; by approving you allow"
        " these commands:"
    )
    for command in plan.setup[:MOST_SETUP]:
        yield f"- {code(command, 200)}"
    if len(plan.setup) > MOST_SETUP:
        yield f"- and {len(plan.setup) - MOST_SETUP} more: see details"


def _fields(
    plan: Plan, foretold: Estimate, project: tables.Project, scene: Scene
) -> tuple[Field, ...]:
    cost = f"about {wording.usd_range(*foretold.cost_usd)}"
    budget = wording.usd(to_usd(project.budget_micro_usd))
    time = wording.minutes_range(*foretold.minutes)
    found = [
        Field("Cost", f"{cost}, budget {budget}"),
        Field(
            "Time",
            f"about {time} with {wording.count(parallel_of(project.settings, scene), 'agent')}",
        ),
        Field("Checks", words.plan_checks(plan)),
    ]
    riskiest = words.riskiest(plan)
    if riskiest:
        found.append(Field("Riskiest", riskiest))
    return tuple(found)


def _pictures(row: tables.Plan, plan: Plan) -> tuple[Picture, ...]:
    """Worth a picture when something waits for something; the service draws it when asked."""
    many = len(plan.features()) > drawing.MOST_FEATURES
    if many or not any(lifted_dependencies(plan).values()):
        return ()
    alt = f"Dependencies of {words.plan_size(plan)}, phases from left to right"
    return (Picture(f"/api/pictures/plan/{row.id}.svg", alt),)


def picture(tx: Session, plan_id: int) -> str | None:
    """The drawing behind a card's picture; None when there is no such plan."""
    row = tx.get(tables.Plan, plan_id)
    return drawing.plan_svg(PLAN.validate_python(row.payload)) if row else None
