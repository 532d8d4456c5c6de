"""The plan: shown, decided, added to; the spec and what changed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from bot.cards import formatting, forms, labels
from bot.cards.interview import excerpt
from bot.cards.rendering import bold, button, code, parallel_of, said
from bot.commands import parsing
from bot.commands.command import Call, Operation, Reply
from bot.commands.replies import lines
from core.domain import markup
from core.domain.cards import BODY_LIMIT, Button, Field, Label, Style, Subject, TextFile, Tone
from core.domain.lifecycle import ApprovalKind, ApprovalStatus, InterviewKind
from core.domain.markup import COMMAND
from core.domain.plan import Plan, PlannedFeature, PlannedTask, estimate
from core.domain.proof import CheckResult
from core.domain.redaction import clean
from core.errors import NotFound, StalePress, StateError
from core.operations import additions, approvals
from core.views import approvals as decisions
from core.views import features, gates, interviews, members, phases, plans, projects
from core.views.approvals import ApprovalView
from core.views.plans import Built, PlanView
from core.views.projects import ProjectRef

SPEC = ".autocoder/prompts/app_spec.txt"
_SPEC_SHOWN = 2_600
_PATCH = 400_000  # characters of a diff that are kept


def plan(tx: Session, call: Call) -> Reply:
    found = plans.latest(tx, call.here.id)
    if found is None:
        raise StateError(f"{call.here.name} has no plan yet.", hint=f"`{COMMAND} status` says why.")
    return _plan(tx, call, call.here, found, plans.built(tx, call.here.id))


def plan_details(tx: Session, call: Call, project: ProjectRef, *, approval: int) -> Reply:
    """The whole plan a card shows in short; for whoever pressed."""
    shown = decisions.by_id(tx, approval)
    found = plans.plan(tx, shown.subject_id) if shown else None
    if found is None:
        raise NotFound("There is no such plan.")
    return replace(_plan(tx, call, project, found), private=True)


def _plan(
    tx: Session, call: Call, project: ProjectRef, found: PlanView, built: Built | None = None
) -> Reply:
    """A plan as it was submitted, or with what came to it as the project is `built`."""
    made = built.plan if built else found.plan
    numbers = built.numbers if built else range(1, len(found.complexities) + 1)
    asked = decisions.of_subject(tx, ApprovalKind.PLAN, found.id)
    approval = asked[-1] if asked else None
    own = projects.summary(tx, project.id).settings
    parallel = parallel_of(own, call.services.scene(call.now))
    cost = estimate((task.complexity for task in made.tasks()), parallel=parallel)
    title = f"Plan {found.version} for {project.name}"
    if len(numbers) > len(found.complexities):
        title += ", with what was added"
    return Reply(
        title=title,
        body=lines(
            said(made.summary, 300),
            made.size,
            _state(tx, call, approval) if approval else "",
            *_outline(made, numbers),
            *(f"Setup: {code(command)}" for command in made.setup),
            f"Runs with: {code(made.run)}" if made.run else "",
        ),
        fields=(
            Field("Cost", f"about {formatting.usd_range(*cost.cost_usd)}"),
            Field("Time", f"about {formatting.minutes_range(*cost.minutes)}"),
            Field("Checks", labels.plan_checks(made)),
        ),
        whole=TextFile(
            "plan.md", clean("\n".join([f"# {title}", "", *_written(made, numbers)]) + "\n")
        ),
        buttons=decide_buttons(approval) if approval else (),
        project=project,
    )


def _state(tx: Session, call: Call, approval: ApprovalView) -> str:
    if approval.waits:
        return f"{labels.WAITS} waits for an approver; nothing is built before approval"
    if approval.status is ApprovalStatus.OPEN:
        project = projects.summary(tx, approval.project_id)
        return labels.at_rest(project.name, project.status)
    mark = labels.DONE if approval.status is ApprovalStatus.APPROVED else labels.STOPPED
    by, at = approval.decided_by, approval.decided_at
    who = f" by {said(members.name_of(tx, by))}" if by else ""
    when = f", {call.services.scene(call.now).when(at)}" if at else ""
    return f"{mark} {approval.status.words}{who}{when}"


def _outline(made: Plan, numbers: Iterable[int]) -> Iterator[str]:
    number = iter(numbers)
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
                yield f"  {next(number)} {said(task.name, 80)} · {task.complexity}/5"


def _written(made: Plan, numbers: Iterable[int]) -> Iterator[str]:
    """All of it, as a file."""
    number = iter(numbers)
    yield from (made.summary, "", f"{made.size}.", "")
    for title, commands in (("Setup", made.setup), ("Checks of every landing", made.checks)):
        yield from (f"- {title}: `{command}`" for command in commands)
    if made.run:
        yield f"- Runs with: `{made.run}`"
    for position, phase in enumerate(made.phases, start=1):
        yield from ("", f"## {position} {phase.name}", "", phase.description)
        for feature in phase.features:
            yield from _written_feature(feature)
            for task in feature.tasks:
                yield from _written_task(next(number), task)


def _written_feature(feature: PlannedFeature) -> Iterator[str]:
    yield from ("", f"### {feature.name}", "")
    yield from (text for text in (feature.description, feature.spec) if text)
    if feature.depends_on:
        yield f"Begins when these have landed: {', '.join(feature.depends_on)}."


def _written_task(number: int, task: PlannedTask) -> Iterator[str]:
    yield from ("", f"{number}. **{task.name}** ({task.complexity} of 5)")
    yield from (f"   {line}" for line in task.description.splitlines())
    yield from (f"   - {step}" for step in task.steps)
    yield from (f"   - Check: `{check}`" for check in task.checks)
    if task.depends_on:
        yield f"   - Builds on: {', '.join(task.depends_on)}"


def decide_buttons(approval: ApprovalView) -> tuple[Button, ...]:
    """`Approve` and `Reject`, bound to what is shown; none once it is decided."""
    if not approval.waits:
        return ()
    subject = Subject.PLAN if approval.kind is ApprovalKind.PLAN else Subject.GATE
    return (
        button("Approve", Label.APPROVE, subject, approval.id, style=Style.PRIMARY),
        button("Reject", Label.REJECT, subject, approval.id, form=forms.REASON),
    )


def gate_details(tx: Session, approval_id: int) -> Reply:
    """What a phase built, and the proof of it on `main`; for whoever pressed."""
    gate = gates.gate(tx, approval_id)
    if gate is None:
        raise NotFound("There is no such gate.")
    phase = gate.phase
    return Reply(
        title=f"Phase {phase.position} {phase.name} at {gate.approval.version[:7]}",
        body=lines(
            bold("Landed"),
            *(f"- {said(f.name, 90)} {code((f.landed_commit or '')[:7])}" for f in gate.features),
            bold("Checks on main"),
            *(check_line(check) for check in gate.approval.checks),
            f"`{COMMAND} diff {phase.position}` shows every change.",
        ),
        project=gate.project.ref,
        private=True,
    )


def check_line(check: CheckResult) -> str:
    mark = labels.DONE if check.green else labels.STOPPED
    return f"- {mark} {code(check.command, 100)} {said(labels.check_facts(check), 120)}"


async def spec(call: Call) -> Reply:
    workspaces = call.services.parts.workspaces
    project = call.here
    main = await workspaces.head(project.slug)
    content = await workspaces.show(project.slug, main, SPEC) if main else None
    if content is None:
        raise StateError(
            f"{project.name} has no spec yet.", hint="The interview in its thread makes it."
        )
    text = clean(call.services.parts.redact.hide(content.decode("utf-8", "replace")))
    rest = len(text) - _SPEC_SHOWN
    return Reply(
        title=f"Spec of {project.name}",
        body=lines(
            *excerpt(text, _SPEC_SHOWN),
            f"… {formatting.count(rest, 'more character')}: {code('spec.md')}" if rest > 0 else "",
        ),
        whole=TextFile("spec.md", text) if rest > 0 else None,
        project=project,
    )


async def diff(call: Call) -> Reply:
    """What changed on `main`: in the open phase, by one feature, or since phase N began."""
    parts = call.services.parts
    project = call.here
    since, until, what = await parts.store.read(_span, project, call.values.get("what", ""))
    stat = await parts.workspaces.diff_stat(project.slug, since, until)
    patch = await parts.workspaces.diff(project.slug, since, until, limit=_PATCH)
    changed = await parts.workspaces.changed(project.slug, since, until)
    text = clean(parts.redact.hide(patch)).rstrip("\n")
    body = lines(*_files(changed), markup.verbatim(text) if text else "")
    return Reply(
        title=f"{what} of {project.name}: {labels.diff(stat.files, stat.added, stat.removed)}",
        body=body or "Nothing has changed.",
        whole=TextFile("changes.diff", f"{text}\n") if len(body) > BODY_LIMIT else None,
        project=project,
    )


def _files(changed: Sequence[str]) -> Iterator[str]:
    yield from (f"- {code(path)}" for path in changed[:20])
    if len(changed) > 20:
        yield f"- and {formatting.count(len(changed) - 20, 'more file')}"


def _span(tx: Session, project: ProjectRef, what: str) -> tuple[str, str, str]:
    """From where to where, and what that is called."""
    first = projects.summary(tx, project.id).first_commit
    if first is None:
        raise StateError(f"Nothing of {project.name} is on main yet.")
    main = "refs/heads/main"
    made = phases.every(tx, project.id)
    if not what:
        begun = [phase for phase in made if phase.base_commit is not None]
        if not begun:
            return first, main, "All changes"
        return begun[-1].base_commit or first, main, f"Phase {begun[-1].position}"
    if parsing.is_number(what):
        found = next((phase for phase in made if phase.position == int(what)), None)
        if found is None:
            known = f"they go from 1 to {len(made)}" if made else "there is none yet"
            raise NotFound(f"{project.name} has no phase {int(what)}; {known}.")
        if found.base_commit is None:
            raise StateError(f"Phase {found.position} of {project.name} has not begun.")
        after = next((phase for phase in made if phase.position == int(what) + 1), None)
        return found.base_commit, (after and after.base_commit) or main, f"Phase {int(what)}"
    every = features.every(tx, project.id)
    wanted = what.casefold()
    feature = next((f for f in every if wanted in (f.name.casefold(), f.slug)), None)
    if feature is None:
        near = parsing.nearest(what, [f.name for f in every]) if every else ""
        hint = f"Did you mean `{COMMAND} diff {near}`?" if near else ""
        raise NotFound(f"There is no feature {parsing.shown(what)}.", hint=hint)
    head = feature.landed_commit or feature.last_green_commit
    if head is None:
        raise StateError(f"{feature.name} has not begun.")
    if feature.landed_commit:
        return f"{head}^1", head, feature.name
    base = next(phase.base_commit for phase in made if phase.id == feature.phase_id)
    return base or first, head, feature.name


async def approve(call: Call) -> Reply | Operation:
    decision = await call.services.parts.store.read(
        approvals.shown, call.here.id, call.place, person=call.person, now=call.now
    )
    return await approval(call, decision.id, typed=True)


async def approval(call: Call, approval_id: int, *, typed: bool = False) -> Reply | Operation:
    """Approve exactly this; the next phase begins where `main` stands now."""
    parts = call.services.parts
    project = await parts.store.read(_project_of, approval_id)
    main = await parts.workspaces.head(project.slug)

    def act(tx: Session) -> Reply:
        approvals.approve(
            tx,
            approval_id,
            by=call.person,
            main=main,
            max_attempts=call.services.rules(tx, project.id).agents.max_attempts,
            now=call.now,
        )
        return _decided(tx, approval_id, ApprovalStatus.APPROVED, typed)

    return act


def _project_of(tx: Session, approval_id: int) -> ProjectRef:
    found = decisions.by_id(tx, approval_id)
    if found is None:
        raise StalePress("There is no such decision")
    return projects.summary(tx, found.project_id).ref


def _decided(tx: Session, approval_id: int, to: ApprovalStatus, typed: bool) -> Reply:
    project = _project_of(tx, approval_id)
    gate = gates.gate(tx, approval_id)
    shown = decisions.by_id(tx, approval_id)
    about = (
        f"Phase {gate.phase.position} {gate.phase.name} of {project.name}"
        if gate
        else f"Plan {shown.version if shown else ''} of {project.name}"
    )
    approved = to is ApprovalStatus.APPROVED
    sentence = f"{about} was {to.words}"
    mark = labels.DONE if approved else labels.STOPPED
    return Reply(
        title=f"{mark} {sentence}" if typed else "",
        said=f"{sentence}.",
        tone=Tone.SUCCESS if approved else Tone.WARNING,
        project=project,
        begun=project.id,
    )


def reject(tx: Session, call: Call) -> Reply:
    """Send back what was shown last."""
    try:
        decision = approvals.shown(tx, call.here.id, call.place, person=call.person, now=call.now)
    except StateError as problem:
        parked = interviews.parked(tx, call.here.id)
        if not parked or decisions.waiting(tx, call.here.id):
            raise
        raise StateError(
            f"{problem} Parked is: {formatting.one_line(parked[-1].request, 80)}",
            hint=f"`{COMMAND} withdraw {parked[-1].number}` gives it up,"
            f" `{COMMAND} resume` lets it go on.",
        ) from None
    return reject_it(tx, call, decision.id, call.values["reason"], typed=True)


def reject_it(
    tx: Session, call: Call, approval_id: int, reason: str, *, typed: bool = False
) -> Reply:
    approvals.reject(tx, approval_id, reason, by=call.person, now=call.now)
    return _decided(tx, approval_id, ApprovalStatus.REJECTED, typed)


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
    number = call.number("n") if "n" in call.values else None
    request = additions.give_up(
        tx, call.here.id, number=number, by=call.person, role=call.role, now=call.now
    )
    return Reply(
        title=f"{labels.STOPPED} Given up: {formatting.one_line(request, 100)}",
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
        title=f"{what} for {call.here.name}: {formatting.one_line(call.values['text'], 90)}",
        body=_NEXT[kind],
        project=call.here,
        begun=call.here.id,
    )
