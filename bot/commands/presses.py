"""Presses: each resolved by its action_id alone, each with one effect."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import assert_never

from sqlalchemy.orm import Session

from bot.cards import formatting, forms, gate, labels
from bot.cards.rendering import button
from bot.commands import agents, answers, money, offers, plan, projects, tasks
from bot.commands.command import Call, MissingValues, Operation, Reply
from bot.commands.parsing import is_number
from core.domain.cards import Button, Form, Label, Link, Press, Subject
from core.domain.events import CardKind
from core.domain.lifecycle import ProjectStatus
from core.domain.people import Role
from core.errors import AutocoderError, NotAllowed, NotFound
from core.operations import approvals, evidence, inbox, interviews, outbox, questions
from core.operations import projects as moves
from core.operations.tasks import undecided
from core.ports.chat import Pressed
from core.views import approvals as decisions
from core.views import gates, members
from core.views import projects as project_views
from core.views import questions as question_views
from core.views import tasks as task_views
from core.views.approvals import ApprovalView
from core.views.projects import ProjectRef
from core.views.questions import QuestionView
from core.views.tasks import TaskView
from core.views.waiting import WaitKind, waiting

Values = Mapping[str, tuple[str, ...]]
Execute = Callable[[Session, Call], Reply]
Prepare = Callable[[Call], Awaitable[Reply | Operation]]


@dataclass(frozen=True)
class Found:
    """What a press does: at once, or once it looked at something. Exactly one is given."""

    execute: Execute | None = None
    prepare: Prepare | None = None


def resolve(pressed: Pressed) -> Found:
    """What an action_id means, for who may press it. NotFound: no card ever had it."""
    press = pressed.press
    found = _meaning(press, pressed.values)
    return Found(
        partial(_done, press, found.execute) if found.execute else None,
        partial(_looked, press, found.prepare) if found.prepare else None,
    )


def _done(press: Press, execute: Execute, tx: Session, call: Call) -> Reply:
    _need(call, press.label)
    _open(tx, press, call.now)
    return execute(tx, call)


async def _looked(press: Press, prepare: Prepare, call: Call) -> Reply | Operation:
    _need(call, press.label)
    await call.services.parts.store.read(_open, press, call.now)
    return await prepare(call)


def _need(call: Call, label: Label) -> None:
    if not call.role.covers(label.role):
        raise NotAllowed(
            f"This wants the role {label.role!s}; yours is {call.role!s}. Nothing was changed."
        )


def _meaning(press: Press, values: Values) -> Found:
    if press.more and not (
        press.subject is Subject.TASK
        or press.label is Label.ANSWER
        or (press.label is Label.STOP and press.more == forms.AFTER_FEATURE)
    ):
        raise _unknown()
    match press.label, press.subject:
        case Label.APPROVE, Subject.PLAN | Subject.GATE:
            return Found(prepare=partial(_approve, press))
        case Label.REJECT, Subject.PLAN | Subject.GATE:
            return Found(partial(_reject, press, values))
        case Label.START | Label.RESUME | Label.PAUSE | Label.STOP | Label.ARCHIVE, Subject.PROJECT:
            return Found(partial(_move, press))
        case Label.RETRY | Label.RETRY_WITH_OPUS | Label.SKIP | Label.GUIDE, Subject.TASK:
            return Found(partial(_task, press, values))
        case Label.PASS, Subject.TASK:
            return Found(prepare=partial(_vouch, press, values))
        case Label.ANSWER | Label.JUST_DECIDE | Label.CHANGE_ANSWER, Subject.QUESTION:
            return Found(partial(_answer, press, values))
        case Label.START_PROJECT | Label.ADD_AS_FEATURE, Subject.WORDS:
            return Found(partial(_words, press, values))
        case Label.RAISE_BUDGET, Subject.BUDGET:
            return Found(partial(_raise_budget, press, values))
        case Label.DETAILS | Label.LOGS, _:
            return Found(partial(_look, press))
        case _:
            raise _unknown()


def form(tx: Session, press: Press, person: str, *, now: datetime) -> Form | None:
    """What must be filled in or confirmed before a press counts; it acts on nothing.

    None: it counts as it is, or is refused.
    """
    if press.more == forms.CHOSEN or not members.role_of(tx, person).covers(press.label.role):
        return None
    try:
        _meaning(press, {})
        _open(tx, press, now)
    except AutocoderError:  # whoever presses is told
        return None
    match press.label:
        case Label.REJECT:
            return _rejection(tx, press)
        case Label.GUIDE:
            return forms.HINT
        case Label.PASS:
            return forms.VOUCH
        case Label.RAISE_BUDGET:
            return forms.AMOUNT
        case Label.ARCHIVE:
            return forms.archive(_project(tx, press).name)
        case Label.STOP:
            return (forms.stop_after if press.more else forms.stop)(_project(tx, press).name)
        case Label.START_PROJECT:
            return offers.form(tx, press.id, now=now)
        case Label.ANSWER if not press.more:
            return answers.form(_question(tx, press))
        case Label.CHANGE_ANSWER:
            return answers.form_of_change(tx, _question(tx, press).interview_id)
        case _:
            return None


def _open(tx: Session, press: Press, now: datetime) -> None:
    """Refuse what would be refused whatever is filled in with it."""
    match press.label, press.subject:
        case Label.REJECT, _:
            approvals.decidable(tx, _approval(tx, press))
        case Label.STOP, _ if press.more:
            moves.building(tx, _project(tx, press).id)
        case Label.STOP, _:
            moves.stoppable(tx, _project(tx, press).id)
        case ((Label.ARCHIVE | Label.RAISE_BUDGET), _):
            moves.living(tx, _project(tx, press).id)
        case Label.CHANGE_ANSWER, _:
            interviews.still_asks(tx, _question(tx, press).interview_id)
        case ((Label.ANSWER | Label.JUST_DECIDE), _):
            questions.still_open(tx, _question(tx, press).id)
        case _, Subject.WORDS:
            inbox.words(tx, press.id, now=now)
        case _, Subject.TASK if press.label.role.covers(Role.OPERATOR):
            task = _task_of(tx, press)
            moves.living(tx, task.project_id)
            if press.label is Label.GUIDE:
                undecided(tx, task.row_id)
            elif press.label is Label.PASS:
                evidence.vouching(tx, task.row_id)
        case _:
            pass  # nothing is filled in with it


def _unknown() -> NotFound:
    return NotFound("This button is not known here.", hint="Look at the newest card.")


async def _approve(press: Press, call: Call) -> Reply | Operation:
    approval = await call.services.parts.store.read(_approval, press)
    return await plan.approval(call, approval)


def _reject(press: Press, values: Values, tx: Session, call: Call) -> Reply:
    approval = _approval(tx, press)
    reason = _filled(values, _rejection(tx, press), "A rejection needs a reason.")
    return plan.reject_it(tx, call, approval, reason)


def _rejection(tx: Session, press: Press) -> Form:
    at_gate = gates.gate(tx, press.id) if press.subject is Subject.GATE else None
    return gate.rejection(at_gate) if at_gate else forms.REASON


def _approval(tx: Session, press: Press) -> int:
    approval = decisions.by_id(tx, press.id)
    if approval is None or approval.kind.value != press.subject.value:
        raise _unknown()
    return approval.id


def _move(press: Press, tx: Session, call: Call) -> Reply:
    project = _project(tx, press)
    if press.label is Label.ARCHIVE:
        return projects.archive(tx, replace(call, project=project))
    if press.more:
        return projects.stop_after(tx, replace(call, project=project))
    return projects.move_it(tx, call, project, press.label)


def _task(press: Press, values: Values, tx: Session, call: Call) -> Reply:
    task = _task_of(tx, press)
    match press.label:
        case Label.SKIP:
            return tasks.skip_it(tx, call, task)
        case Label.GUIDE:
            return agents.guide_it(tx, call, task, _filled(values, forms.HINT, "A hint has words."))
        case Label.RETRY_WITH_OPUS:
            return agents.retry_it(tx, call, task, "opus")
        case _:
            return agents.retry_it(tx, call, task, None)


async def _vouch(press: Press, values: Values, call: Call) -> Reply | Operation:
    task = await call.services.parts.store.read(_task_of, press)
    project = await call.services.parts.store.read(_project, press)
    reason = _filled(values, forms.VOUCH, "Whoever vouches says why.")
    given = {"n": str(task.id), "reason": reason}
    return await tasks.vouch(replace(call, project=project, values=given))


def _words(press: Press, values: Values, tx: Session, call: Call) -> Reply:
    if press.label is Label.ADD_AS_FEATURE:
        return offers.add_feature(tx, call, press.id)
    name = next((value for chosen in values.values() for value in chosen), "")
    return offers.begin_project(tx, call, press.id, name)


def _answer(press: Press, values: Values, tx: Session, call: Call) -> Reply:
    question = _question(tx, press)
    if press.label is Label.CHANGE_ANSWER:
        number, text = answers.changed(tx, question, values)
        interviews.change_answer(tx, number, text, by=call.person, now=call.now)
        return Reply(said="The answer is changed; the interviewer hears it next.")
    decide = press.label is Label.JUST_DECIDE
    text = questions.JUST_DECIDE if decide else answers.pressed(press, question, values)
    questions.answer(tx, question.id, text, by=call.person, now=call.now)
    return Reply(said="Answered.")


def _question(tx: Session, press: Press) -> QuestionView:
    question = question_views.by_id(tx, press.id)
    if question is None:
        raise _unknown()
    return question


def _raise_budget(press: Press, values: Values, tx: Session, call: Call) -> Reply:
    project = _project(tx, press)
    amount = _filled(values, forms.AMOUNT, "How much may it spend in all?")
    return money.raise_it(tx, call, project.id, amount)


def _look(press: Press, tx: Session, call: Call) -> Reply:
    """`Details` and `Logs`: for whoever pressed."""
    logs = press.label is Label.LOGS
    if press.subject is Subject.TASK:
        task = _task_of(tx, press)
        return agents.task_log(tx, call, task) if logs else tasks.task_details(tx, call, task)
    project = _project(tx, press)
    if logs:
        return replace(agents.project_log(tx, call, project), private=True)
    if press.subject is Subject.PLAN:
        return plan.plan_details(tx, call, project, approval=press.id)
    if press.subject is Subject.GATE:
        return plan.gate_details(tx, press.id)
    return projects.details(tx, call, project)


def _task_of(tx: Session, press: Press) -> TaskView:
    task = _task_or_none(tx, press)
    if task is None:
        raise _unknown()
    return task


def _task_or_none(tx: Session, press: Press) -> TaskView | None:
    """Task N of the project in `more`; without one the row."""
    if not press.more:
        return task_views.by_row(tx, press.id)
    if not is_number(press.more):
        return None
    return task_views.by_number(tx, int(press.more), press.id)


def _project(tx: Session, press: Press) -> ProjectRef:
    project = project_of(tx, press)
    if project is None:
        raise _unknown()
    return project


def project_of(tx: Session, press: Press) -> ProjectRef | None:
    """The project a press is about; None: there is none, or no such thing."""
    about: ApprovalView | QuestionView | TaskView | None
    match press.subject:
        case Subject.PROJECT | Subject.BUDGET:
            found = project_views.by_id(tx, press.id)
            return found.ref if found else None
        case Subject.PLAN | Subject.GATE:
            about = decisions.by_id(tx, press.id)
        case Subject.QUESTION:
            about = question_views.by_id(tx, press.id)
        case Subject.TASK:
            about = _task_or_none(tx, press)
        case Subject.WORDS:
            return None
        case _:
            assert_never(press.subject)
    return project_views.summary(tx, about.project_id).ref if about is not None else None


@dataclass(frozen=True)
class Standing:
    """What there is to decide now instead of what an old card showed, and a way to it."""

    words: str = ""
    buttons: tuple[Button, ...] = ()
    links: tuple[Link, ...] = ()


def standing(tx: Session, project: ProjectRef) -> Standing:
    waits = waiting(tx, project_id=project.id)
    for kinds in ((WaitKind.PLAN, WaitKind.GATE), (WaitKind.QUESTION,)):
        wait = next((each for each in reversed(waits) if each.kind in kinds), None)
        if wait is None:
            continue
        links = (labels.way_to(wait),)
        match wait.kind:
            case WaitKind.PLAN:
                what, subject = f"Plan {wait.number} of {project.name}", Subject.PLAN
            case WaitKind.GATE:
                what, subject = f"Phase {wait.number} {wait.text}", Subject.GATE
            case _:
                return Standing(f"A question of {project.name} waits for an answer now.", (), links)
        details = button("Details", Label.DETAILS, subject, wait.press_id)
        return Standing(f"{what} waits for a decision now.", (details,), links)
    status = project_views.summary(tx, project.id).status
    if status in (ProjectStatus.INTERVIEWING, ProjectStatus.PLANNING):
        return Standing(f"{project.name} is {status.words}; its thread says where it stands.")
    return Standing(
        f"{project.name} is {status.words}; its progress card says where it stands.",
        (button("Details", Label.DETAILS, Subject.PROJECT, project.id),),
    )


def refresh(tx: Session, press: Press, *, now: datetime) -> None:
    """Bring the card of a refused press up to date: it showed what is no longer so."""
    project = project_of(tx, press)
    if project is None:
        return
    match press.subject:
        case Subject.PLAN:
            kind, about = CardKind.PLAN, None
        case Subject.GATE:
            kind, about = CardKind.GATE, press.id
        case Subject.TASK:
            kind, about = CardKind.STUCK, _task_of(tx, press).row_id
        case Subject.QUESTION:
            kind, about = CardKind.QUESTION, press.id
        case Subject.BUDGET:
            kind, about = CardKind.BUDGET, None
        case Subject.PROJECT:
            kind, about = CardKind.PROGRESS, None
        case Subject.WORDS:
            return
        case _:
            assert_never(press.subject)
    outbox.refresh(tx, project.id, kind, about, now=now)


def _filled(values: Values, form: Form, missing: str) -> str:
    """The one text of a form, whatever the platform called its field."""
    given = [
        value for chosen in values.values() for value in chosen if not formatting.is_blank(value)
    ]
    if not given:
        raise MissingValues(missing, form)
    limit = form.inputs[0].max_length
    if len(given[0]) > limit:
        raise MissingValues(f"At most {limit:,} characters are taken here.", form)
    return given[0].strip()
