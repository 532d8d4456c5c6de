"""The plan: what will be built, in which order, at what cost; what approving it allows."""

from collections.abc import Iterator
from datetime import timedelta
from typing import assert_never

from sqlalchemy.orm import Session

from bot.cards import formatting, forms, labels, plan_picture
from bot.cards.rendering import (
    CardRef,
    Drawn,
    RenderContext,
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
    Field,
    Form,
    Label,
    Link,
    Picture,
    Style,
    Subject,
    Tone,
)
from core.domain.events import CardKind
from core.domain.lifecycle import ApprovalKind, ApprovalStatus, InterviewStatus
from core.domain.money import to_usd
from core.domain.plan import SETUP_LIMIT, Plan, PlannedPhase, estimate, lifted_dependencies
from core.errors import NotFound
from core.views import approvals, interviews, members, plans, projects
from core.views.approvals import ApprovalView
from core.views.plans import PlanView
from core.views.projects import ProjectSummary

SUMMARY = 500
MOST_FEATURES = 24
MOST_TOLD = 8  # features, to who does not see the picture


def draw(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    row = plans.plan(tx, ref.subject_id)
    if row is None:
        raise NotFound("There is no such plan.")
    project = projects.summary(tx, row.project_id)
    plan, decision = row.plan, _decision(tx, row)
    adds = row.interview_id is not None
    number = f"Plan {row.version}" if row.version > 1 and not adds else "Plan"
    heading = title(f"{number} for {project.name}{': what is new' if adds else ''}")
    reminder = card_keys.reminded(ref.key)
    if reminder:
        heading = title(f"Reminder: {number.lower()} for {project.name} waits")
    state = _state(tx, row, decision, project, scene)
    into = plans.grows(tx, row)
    size = f"{plan.size}. A gate after each phase."
    first, name = plans.position(tx, row), None
    if into is not None:
        first, name = into.position, into.name
        place = f"phase {into.position} {said(into.name, 80)}"
        size = f"{plan.growth} more in {place}, before its gate."
    lines = [] if reminder else [*_about(plan, size), *_changes(row), *tree(plan, first, name)]
    allows = [] if reminder else _setup(plan)
    card = Card(
        key=ref.key,
        kind=CardKind.PLAN,
        title=heading,
        body=body(lines, [*allows, state, footnote(project.practice, scene.box)]),
        fallback=fallback(heading, size, state),
        project=project.name,
        fields=() if reminder else _fields(plan, project, scene),
        pictures=() if reminder else dependencies(plan, f"/api/pictures/plan/{row.id}.svg"),
        tone=_tone(decision),
        buttons=_buttons(decision),
        links=(Link("Review the plan", reminder),) if reminder else (),
    )
    return Drawn(card)


def _decision(tx: Session, row: PlanView) -> ApprovalView | None:
    """The last one about this plan."""
    return next(reversed(approvals.of_subject(tx, ApprovalKind.PLAN, row.id)), None)


def _state(
    tx: Session,
    row: PlanView,
    decision: ApprovalView | None,
    project: ProjectSummary,
    scene: RenderContext,
) -> str:
    if decision is None:
        return f"{labels.DONE} Taken up"
    match decision.status:
        case ApprovalStatus.OPEN if not decision.waits:
            return labels.at_rest(project.name, project.status)
        case ApprovalStatus.OPEN:
            again = reminder_words(decision, scene)
            return f"{labels.WAITS} Waits for an approver. Nothing is built before approval.{again}"
        case ApprovalStatus.APPROVED:
            return approved(decider(tx, decision), decision.decided_at, scene)
        case ApprovalStatus.REJECTED:
            line = refused(decider(tx, decision), decision.decided_at, scene)
            return f"{line}: {said(decision.reason or '', 500)}"
        case ApprovalStatus.WITHDRAWN:
            wish = interviews.by_id(tx, row.interview_id) if row.interview_id else None
            if wish is not None and wish.status is InterviewStatus.WITHDRAWN:
                return f"{labels.STOPPED} Withdrawn: it is not wanted any more"
            return f"{labels.STOPPED} Withdrawn: a newer plan took its place"
        case ApprovalStatus.EXPIRED:
            return f"{labels.STOPPED} Expired: it is asked again"
        case _:
            assert_never(decision.status)


def decider(tx: Session, decision: ApprovalView) -> str | None:
    """Who decided, as people are called."""
    return members.name_of(tx, decision.decided_by) if decision.decided_by else None


def reminder_words(decision: ApprovalView, scene: RenderContext) -> str:
    """` Reminder Thu 09:00.`"""
    after = timedelta(seconds=scene.rules.gates.remind_after_s)
    at = (decision.reminded_at or decision.opened_at) + after
    return f" Reminder {scene.when(at)}." if at > scene.now else ""


def _tone(decision: ApprovalView | None) -> Tone:
    if decision is None or decision.status is ApprovalStatus.APPROVED:
        return Tone.SUCCESS
    return Tone.WARNING if decision.waits else Tone.INFO


def _buttons(decision: ApprovalView | None) -> tuple[Button, ...]:
    if decision is None or not decision.waits:
        return ()
    return decide(Subject.PLAN, decision.id)


def decide(
    subject: Subject, approval_id: int, rejection: Form = forms.REASON
) -> tuple[Button, ...]:
    """Approve, Reject with its reason, Details."""
    return (
        button("Approve", Label.APPROVE, subject, approval_id, style=Style.PRIMARY),
        button("Reject", Label.REJECT, subject, approval_id, form=rejection),
        button("Details", Label.DETAILS, subject, approval_id),
    )


def _about(plan: Plan, size: str) -> Iterator[str]:
    if plan.summary.strip():
        yield spoken(plan.summary, SUMMARY)
    yield size


def _changes(row: PlanView) -> Iterator[str]:
    if not row.changes:
        return
    yield ""
    yield f"**Changed** since plan {row.version - 1}"
    for line in labels.plan_changes(row.changes):
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
        cost = formatting.usd_range(*estimate(task.complexity for task in tasks).cost_usd)
        count = formatting.count(len(tasks), "task")
        yield f"{bold(f'{position} {into or phase.name}', 80)} · {count} · about {cost}"
        yield from _features(phase, lifted, max(left, 0))
        left -= len(phase.features)


def _features(phase: PlannedPhase, lifted: dict[str, set[str]], most: int) -> Iterator[str]:
    depths = labels.depths({feature.name: lifted[feature.name] for feature in phase.features})
    for feature in phase.features[:most]:
        depth = depths[feature.name]
        branch = f"{'   ' * (depth - 1)}└─ " if depth else ""
        waits = sorted(lifted[feature.name])
        after = f" ← {said(', '.join(waits), 100)}" if waits else ""
        count = formatting.count(len(feature.tasks), "task")
        yield f"{branch}{labels.PENDING} {said(feature.name, 80)}, {count}{after}"
    hidden = len(phase.features) - most
    if hidden > 0:
        yield f"and {formatting.count(hidden, 'more feature')}: see details"


def _setup(plan: Plan) -> Iterator[str]:
    """What approving allows; it stays on the card however long the plan is."""
    if not plan.setup:
        return
    yield (
        f"{labels.WAITS} Setup runs with the network, the rest never does; by approving you allow"
        " these commands:"
    )
    room = SETUP_LIMIT
    for number, command in enumerate(plan.setup):
        room -= len(command)
        if room < 0:  # a plan of an earlier version
            yield f"- and {len(plan.setup) - number} more: see details"
            return
        yield f"- {code(command, SETUP_LIMIT)}"


def _fields(plan: Plan, project: ProjectSummary, scene: RenderContext) -> tuple[Field, ...]:
    parallel = parallel_of(project.settings, scene)
    foretold = estimate((task.complexity for task in plan.tasks()), parallel=parallel)
    cost = f"about {formatting.usd_range(*foretold.cost_usd)}"
    budget = formatting.usd(to_usd(project.budget_micro_usd))
    time = formatting.minutes_range(*foretold.minutes)
    found = [
        Field("Cost", f"{cost}, budget {budget}"),
        Field("Time", f"about {time} with {formatting.count(parallel, 'agent')}"),
        Field("Checks", labels.plan_checks(plan)),
    ]
    riskiest = labels.riskiest(plan)
    if riskiest:
        found.append(Field("Riskiest", riskiest))
    return tuple(found)


def dependencies(plan: Plan, address: str) -> tuple[Picture, ...]:
    """Worth a picture when something waits for something; the service draws it when asked."""
    features, waits = plan.features(), lifted_dependencies(plan)
    if len(features) > plan_picture.MOST_FEATURES or not any(waits.values()):
        return ()
    drawn, left = [], MOST_TOLD
    for position, phase in enumerate(plan.phases, start=1):
        told = [
            f"{formatting.one_line(feature.name, 60)} {formatting.count(len(feature.tasks), 'task')}"
            + (f" after {formatting.one_line(', '.join(sorted(after)), 90)}" if after else "")
            for feature in phase.features[:left]
            for after in (waits[feature.name],)
        ]
        if told:
            drawn.append(f"{position} {formatting.one_line(phase.name, 60)}: {', '.join(told)}")
        left -= len(told)
    more = len(features) - MOST_TOLD
    rest = f" and {formatting.count(more, 'more feature')}" if more > 0 else ""
    return (Picture(address, f"Dependencies of {plan.size}. {'; '.join(drawn)}{rest}"),)


def picture(tx: Session, plan_id: int) -> str | None:
    """The drawing behind a card's picture; None when there is no such plan."""
    row = plans.plan(tx, plan_id)
    return plan_picture.plan_svg(row.plan) if row else None


def graph(tx: Session, project_id: int) -> str | None:
    """The same of a project as it is built; None before a plan was approved."""
    built = plans.built(tx, project_id) if projects.by_id(tx, project_id) else None
    return plan_picture.plan_svg(built.plan) if built else None
