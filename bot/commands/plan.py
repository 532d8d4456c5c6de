"""The plan: shown, decided, added to; its tasks read, skipped, vouched for."""

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import forms, words
from bot.cards.frame import bold, button, code, said
from bot.cards.interview import excerpt
from bot.commands import parsing
from bot.commands.context import decisions_open, shown_decision
from bot.commands.replies import lines
from bot.commands.spec import Call, Operation, Reply
from core.domain import light
from core.domain.cards import Button, Field, Label, Style, Subject, Tone
from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    InterviewKind,
)
from core.domain.people import Role
from core.domain.plan import Plan, estimate
from core.domain.proof import CheckResult
from core.domain.redaction import clean
from core.errors import InputError, NotAllowed, NotFound, StateError
from core.operations import additions, approvals, evidence
from core.operations.projects import latest_plan
from core.store.tables import (
    Approval,
    Feature,
    Phase,
    Project,
)
from core.store.tables import Plan as PlanRow
from core.views.plans import PLAN
from core.views.projects import ProjectRef

SPEC = ".autocoder/prompts/app_spec.txt"


def plan(tx: Session, call: Call) -> Reply:
    row = latest_plan(tx, call.here.id)
    if row is None:
        raise StateError(
            f"{call.here.name} has no plan yet.", hint=f"`{parsing.COMMAND} status` says why."
        )
    return _plan(tx, call, call.here, row)


def plan_details(tx: Session, call: Call, project: ProjectRef, *, approval: int) -> Reply:
    """The whole plan a card shows in short; for whoever pressed."""
    shown = tx.get(Approval, approval)
    row = tx.get(PlanRow, shown.subject_id) if shown else None
    if row is None:
        raise NotFound("There is no such plan.")
    return _private(_plan(tx, call, project, row))


def _private(reply: Reply) -> Reply:
    return replace(reply, private=True)


def _plan(tx: Session, call: Call, project: ProjectRef, row: PlanRow) -> Reply:
    made = PLAN.validate_python(row.payload)
    approval = tx.scalars(
        select(Approval).where(Approval.kind == ApprovalKind.PLAN, Approval.subject_id == row.id)
    ).first()
    scene = call.desk.scene(call.now)
    cost = estimate((task.complexity for task in made.tasks()), parallel=scene.parallel)
    state = ""
    if approval is not None:
        who = f" by {said(approval.decided_by)}" if approval.decided_by else ""
        when = f", {scene.clock(approval.decided_at)}" if approval.decided_at else ""
        mark = {ApprovalStatus.OPEN: words.WAITS, ApprovalStatus.APPROVED: words.DONE}.get(
            approval.status, words.STOPPED
        )
        waits = "waits for an approver; nothing is built before approval"
        decided = f"{approval.status.value}{who}{when}"
        state = f"{mark} {waits if approval.status is ApprovalStatus.OPEN else decided}"
    return Reply(
        title=f"Plan {row.version} for {project.name}",
        body=lines(
            said(made.summary, 300),
            made.size,
            state,
            *_outline(made),
            *(f"Setup: {code(command)}" for command in made.setup),
            f"Runs with: {code(made.run)}" if made.run else "",
        ),
        fields=(
            Field("Cost", wording.usd_range(*cost.cost_usd)),
            Field("Time", wording.minutes_range(*cost.minutes)),
            Field("Checks", words.plan_checks(made)),
        ),
        buttons=decide_buttons(approval, made) if approval else (),
        project=project,
    )


def _outline(made: Plan) -> Iterator[str]:
    number = 0
    for position, phase in enumerate(made.phases, start=1):
        yield bold(f"{position} {phase.name}")
        for feature in phase.features:
            after = (
                f" ← {', '.join(said(n, 40) for n in feature.depends_on)}"
                if feature.depends_on
                else ""
            )
            yield f"- {said(feature.name, 80)}{after}"
            for task in feature.tasks:
                number += 1
                yield f"  {number} {said(task.name, 80)} · {task.complexity}/5"


def decide_buttons(approval: Approval, _made: Plan | None = None) -> tuple[Button, ...]:
    """`Approve` and `Reject`, bound to what is shown; none once it is decided."""
    if approval.status is not ApprovalStatus.OPEN:
        return ()
    subject = Subject.PLAN if approval.kind is ApprovalKind.PLAN else Subject.GATE
    return (
        button("Approve", Label.APPROVE, subject, approval.id, style=Style.PRIMARY),
        button("Reject", Label.REJECT, subject, approval.id, form=forms.REASON),
    )


def gate_details(tx: Session, call: Call, approval_id: int) -> Reply:
    """What a phase built, and the proof of it on `main`; for whoever pressed."""
    approval = tx.get(Approval, approval_id)
    phase = tx.get(Phase, approval.subject_id) if approval else None
    if approval is None or phase is None or approval.kind is not ApprovalKind.GATE:
        raise NotFound("There is no such gate.")
    project = tx.get_one(Project, approval.project_id)
    features = tx.scalars(
        select(Feature).where(Feature.phase_id == phase.id).order_by(Feature.position)
    )
    checks = [evidence.from_json(row) for row in approval.checks]
    return Reply(
        title=f"Phase {phase.position} {phase.name} at {approval.version[:7]}",
        body=lines(
            bold("Landed"),
            *(f"- {said(f.name, 90)} {code((f.landed_commit or '')[:7])}" for f in features),
            bold("Checks on main"),
            *(check_line(check) for check in checks),
            f"`{parsing.COMMAND} diff {phase.position}` shows every change.",
        ),
        project=ProjectRef(project.id, project.name, project.slug),
        private=True,
    )


def check_line(check: CheckResult) -> str:
    mark = words.DONE if check.green else words.STOPPED
    return f"- {mark} {code(check.command, 100)} {said(words.check_facts(check), 120)}"


async def spec(call: Call) -> Reply:
    workspaces = call.desk.parts.workspaces
    project = call.here
    main = await workspaces.head(project.slug)
    content = await workspaces.show(project.slug, main, SPEC) if main else None
    if content is None:
        raise StateError(
            f"{project.name} has no spec yet.", hint="The interview in its thread makes it."
        )
    text = content.decode("utf-8", "replace")
    return Reply(
        title=f"Spec of {project.name}",
        body=lines(
            *excerpt(text, 2_600),
            f"… {len(text) - 2_600:,} more characters in {code(SPEC)}" if len(text) > 2_600 else "",
        ),
        project=project,
    )


async def diff(call: Call) -> Reply:
    """What changed on `main`: in the open phase, by one feature, or since phase N began."""
    parts = call.desk.parts
    project = call.here
    since, until, what = await parts.store.read(_span, project, call.values.get("what", ""))
    stat = await parts.workspaces.diff_stat(project.slug, since, until)
    patch = await parts.workspaces.diff(project.slug, since, until, limit=60_000)
    changed = await parts.workspaces.changed(project.slug, since, until)
    text = clean(patch).rstrip("\n")
    return Reply(
        title=f"{what} of {project.name}: {words.diff(stat.files, stat.added, stat.removed)}",
        body=lines(
            *(f"- {code(path)}" for path in changed[:20]),
            f"- and {len(changed) - 20} more files" if len(changed) > 20 else "",
            light.verbatim(text) if text else "",
        )
        if changed
        else "Nothing has changed.",
        project=project,
    )


def _span(tx: Session, project: ProjectRef, what: str) -> tuple[str, str, str]:
    row = tx.get_one(Project, project.id)
    if row.first_commit is None:
        raise StateError(f"Nothing of {project.name} is on main yet.")
    main = "refs/heads/main"
    if not what:
        phase = tx.scalars(
            select(Phase)
            .where(Phase.project_id == project.id, Phase.base_commit.is_not(None))
            .order_by(Phase.position.desc())
            .limit(1)
        ).first()
        if phase is None or phase.base_commit is None:
            return row.first_commit, main, "All changes"
        return phase.base_commit, main, f"Phase {phase.position}"
    if parsing.is_number(what):
        phases = tx.scalars(
            select(Phase).where(Phase.project_id == project.id).order_by(Phase.position)
        ).all()
        found = next((p for p in phases if p.position == int(what)), None)
        if found is None:
            known = f"they go from 1 to {len(phases)}" if phases else "there is none yet"
            raise NotFound(f"{project.name} has no phase {int(what)}; {known}.")
        if found.base_commit is None:
            raise StateError(f"Phase {found.position} of {project.name} has not begun.")
        after = next((p for p in phases if p.position == int(what) + 1), None)
        return found.base_commit, (after and after.base_commit) or main, f"Phase {what}"
    features = tx.scalars(select(Feature).where(Feature.project_id == project.id)).all()
    wanted = what.casefold()
    feature = next((f for f in features if wanted in (f.name.casefold(), f.slug)), None)
    if feature is None:
        names = [f.name for f in features]
        near = (
            f" Did you mean `{parsing.COMMAND} diff {parsing.nearest(what, names)}`?"
            if names
            else ""
        )
        raise NotFound(f"There is no feature {parsing.shown(what)}.", hint=near.strip())
    head = feature.landed_commit or feature.good_commit
    if head is None:
        raise StateError(f"{feature.name} has not begun.")
    if feature.landed_commit:
        return f"{head}^1", head, feature.name
    phase_row = tx.get_one(Phase, feature.phase_id)
    return phase_row.base_commit or row.first_commit, head, feature.name


async def approve(call: Call) -> Reply | Operation:
    decision = await call.desk.parts.store.read(shown_decision, call)
    return await approval(call, decision.approval_id, typed=True)


async def approval(call: Call, approval_id: int, *, typed: bool = False) -> Reply | Operation:
    """Approve exactly this; the next phase begins where `main` stands now."""
    parts = call.desk.parts
    project_id, slug = await parts.store.read(_project_of, approval_id)
    main = await parts.workspaces.head(slug)

    def act(tx: Session) -> Reply:
        approvals.approve(
            tx,
            approval_id,
            by=call.person,
            main=main,
            max_attempts=call.desk.rules(tx, project_id).max_attempts,
            now=call.now,
        )
        return _decided(tx, approval_id, "approved", typed)

    return act


def _project_of(tx: Session, approval_id: int) -> tuple[int, str]:
    project = tx.get_one(Project, tx.get_one(Approval, approval_id).project_id)
    return project.id, project.slug


def _decided(tx: Session, approval_id: int, what: str, typed: bool) -> Reply:
    row = tx.get_one(Approval, approval_id)
    project = tx.get_one(Project, row.project_id)
    if row.kind is ApprovalKind.PLAN:
        about = f"Plan {row.version} of {project.name}"
    else:
        phase = tx.get_one(Phase, row.subject_id)
        about = f"Phase {phase.position} {phase.name} of {project.name}"
    sentence = f"{about} was {what}"
    mark = words.DONE if what == "approved" else words.STOPPED
    return Reply(
        title=f"{mark} {sentence}" if typed else "",
        said=f"{sentence}.",
        tone=Tone.SUCCESS if what == "approved" else Tone.WARNING,
        project=ProjectRef(project.id, project.name, project.slug),
        begun=project.id,
    )


def reject(tx: Session, call: Call) -> Reply:
    """Send back what was shown last."""
    try:
        decision = shown_decision(tx, call)
    except StateError as problem:
        parked = additions.parked(tx, call.here.id)
        if not parked or decisions_open(tx, call.here.id):
            raise
        raise StateError(
            f"{problem} Parked is: {wording.one_line(parked[-1].request, 80)}",
            hint=f"`{parsing.COMMAND} withdraw {parked[-1].number}` gives it up,"
            f" `{parsing.COMMAND} resume` lets it go on.",
        ) from None
    return reject_it(tx, call, decision.approval_id, call.values["reason"], typed=True)


def reject_it(
    tx: Session, call: Call, approval_id: int, reason: str, *, typed: bool = False
) -> Reply:
    approvals.reject(tx, approval_id, reason, by=call.person, now=call.now)
    return _decided(tx, approval_id, "rejected", typed)


def add_feature(tx: Session, call: Call) -> Reply:
    return _add(tx, call, InterviewKind.FEATURE)


def add_phase(tx: Session, call: Call) -> Reply:
    return _add(tx, call, InterviewKind.PHASE)


def add_task(tx: Session, call: Call) -> Reply:
    return _add(tx, call, InterviewKind.TASK)


def add_job(tx: Session, call: Call) -> Reply:
    return _add(tx, call, InterviewKind.JOB)


def edit_spec(tx: Session, call: Call) -> Reply:
    return _add(tx, call, InterviewKind.SPEC)


def withdraw(tx: Session, call: Call) -> Reply:
    """Give an addition up: the one that is named, or the only one."""
    project = call.here
    found = additions.under_way(tx, project.id)
    if "n" in call.values:
        found = [each for each in found if each.number == call.number("n")]
    if not found:
        raise StateError(
            f"No addition to {project.name} waits for its plan.",
            hint="What is planned is given up task by task: `/autocoder skip N`.",
        )
    if len(found) > 1:
        listed = "; ".join(f"{e.number} {wording.one_line(e.request, 60)}" for e in found)
        raise InputError(
            f"Which one? {listed}.", hint=f"`{parsing.COMMAND} withdraw {found[-1].number}`"
        )
    (addition,) = found
    if not call.role.covers(Role.ADMIN) and addition.by != call.person:
        raise NotAllowed(
            f"{addition.by} asked for this: they or an admin may give it up; your role is"
            f" {call.role!s}."
        )
    additions.withdraw(tx, addition.id, by=call.person, now=call.now)
    return Reply(
        title=f"{words.STOPPED} Given up: {wording.one_line(addition.request, 100)}",
        project=call.here,
        begun=call.here.id,
    )


_NEXT = {
    InterviewKind.SPEC: "An interviewer changes the spec; the plan follows it.",
    InterviewKind.FEATURE: "The interview begins in the project's thread.",
    InterviewKind.PHASE: "The interview begins in the project's thread.",
    InterviewKind.TASK: "A planner works it out; its plan comes for approval.",
    InterviewKind.JOB: "A planner makes one task of it, with one check; then it is done and landed.",
}


def _add(tx: Session, call: Call, kind: InterviewKind) -> Reply:
    additions.begin(tx, call.here.id, kind, call.values["text"], by=call.person, now=call.now)
    what = "The spec" if kind is InterviewKind.SPEC else kind.value.capitalize()
    return Reply(
        title=f"{what} for {call.here.name}: {wording.one_line(call.values['text'], 90)}",
        body=_NEXT[kind],
        project=call.here,
        begun=call.here.id,
    )
