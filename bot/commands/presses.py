"""Presses: each resolved by its action_id alone, each with one effect (CONTRACT.md §2)."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import forms
from bot.cards.frame import button
from bot.commands import agents, money, offers, plan, projects, tasks
from bot.commands.messages import TEXT_LIMIT
from bot.commands.parsing import is_number
from bot.commands.spec import Call, MissingValues, Operation, Reply
from core.domain.cards import OPTION_BUTTONS, Button, CardKind, Form, Label, Press, Subject
from core.domain.lifecycle import ApprovalKind, ApprovalStatus, ProjectStatus, TaskStatus
from core.domain.people import Role
from core.errors import InputError, NotAllowed, NotFound
from core.operations import approvals, interviews, outbox, questions
from core.operations.tasks import undecided
from core.ports.chat import Pressed
from core.store.tables import Approval, Phase, Project, Question
from core.views import members
from core.views import projects as project_views
from core.views import questions as question_views
from core.views import tasks as task_views
from core.views.projects import ProjectRef
from core.views.tasks import TaskView

Does = Callable[[Session, Call], Reply]
Looks = Callable[[Call], Awaitable[Reply | Operation]]


@dataclass(frozen=True)
class Found:
    """What a press does; `looks` reads something before."""

    does: Does
    looks: Looks | None = None


def resolve(pressed: Pressed) -> Found:
    """What an action_id means. Raises NotFound for one that no card ever had."""
    press = pressed.press
    if press.more and not (
        press.subject is Subject.TASK
        or press.label is Label.ANSWER
        or (press.label is Label.STOP and press.more == forms.AFTER_FEATURE)
    ):
        raise _unknown()
    match press.label, press.subject:
        case Label.APPROVE, Subject.PLAN | Subject.GATE:
            return Found(_never, partial(_approve, press))
        case Label.REJECT, Subject.PLAN | Subject.GATE:
            return Found(partial(_reject, press, pressed.values))
        case Label.START | Label.RESUME | Label.PAUSE | Label.STOP, Subject.PROJECT:
            return Found(partial(_move, press))
        case Label.RETRY | Label.RETRY_WITH_OPUS | Label.SKIP | Label.GUIDE, Subject.TASK:
            return Found(partial(_task, press, pressed.values))
        case Label.ANSWER | Label.JUST_DECIDE | Label.CHANGE_ANSWER, Subject.QUESTION:
            return Found(partial(_answer, press, pressed.values))
        case Label.PASS, Subject.TASK:
            return Found(_never, partial(_vouch, press, pressed.values))
        case Label.ARCHIVE, Subject.PROJECT:
            return Found(partial(_archive, press))
        case Label.START_PROJECT | Label.ADD_AS_FEATURE, Subject.WORDS:
            return Found(partial(_words, press, pressed.values))
        case Label.RAISE_BUDGET, Subject.BUDGET:
            return Found(partial(_raise_budget, press, pressed.values))
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
    match press.label, press.subject:
        case Label.REJECT, Subject.PLAN | Subject.GATE:
            approval = tx.get(Approval, press.id)
            waits = approval is not None and approval.status is ApprovalStatus.OPEN
            return forms.REASON if waits else None
        case Label.GUIDE, Subject.TASK:
            task = _shown_task(tx, press)
            return forms.HINT if task is not None and task.status is TaskStatus.STUCK else None
        case Label.RAISE_BUDGET, Subject.BUDGET:
            return forms.AMOUNT if tx.get(Project, press.id) is not None else None
        case Label.STOP, Subject.PROJECT:
            project = tx.get(Project, press.id)
            asks = forms.stop_after if press.more else forms.stop
            return asks(project.name) if project is not None else None
        case Label.ARCHIVE, Subject.PROJECT:
            project = tx.get(Project, press.id)
            return forms.archive(project.name) if project is not None else None
        case Label.PASS, Subject.TASK:
            task = _shown_task(tx, press)
            undone = task is not None and task.status in (TaskStatus.PENDING, TaskStatus.STUCK)
            return forms.VOUCH if undone else None
        case Label.START_PROJECT, Subject.WORDS:
            return offers.form(tx, press.id, now=now)
        case Label.ANSWER, Subject.QUESTION if not press.more:
            question = tx.get(Question, press.id)
            return _form_of_answer(question) if question and question.answer is None else None
        case Label.CHANGE_ANSWER, Subject.QUESTION:
            question = tx.get(Question, press.id)
            return _form_of_change(tx, question.interview_id) if question else None
        case _:
            return None


def _form_of_answer(question: Question) -> Form:
    return forms.answer(question.id, tuple(question.options), multiple=question.multiple)


def _form_of_change(tx: Session, interview_id: int | None) -> Form | None:
    """Every answered question of an interview; None where there is none."""
    if interview_id is None:
        return None
    asked = question_views.of_interview(tx, interview_id)
    return forms.change(
        [(each.id, wording.one_line(each.text, 75)) for each in asked if each.answer is not None]
    )


def _unknown() -> NotFound:
    return NotFound("This button is not known here.", hint="Look at the newest card.")


def _never(_tx: Session, _call: Call) -> Reply:
    raise _unknown()


def need(call: Call, role: Role) -> None:
    if not call.role.covers(role):
        raise NotAllowed(
            f"This wants the role {role!s}; yours is {call.role!s}. Nothing was changed."
        )


async def _approve(press: Press, call: Call) -> Reply | Operation:
    need(call, Role.APPROVER)
    store = call.desk.parts.store
    approval = await store.read(_approval, press)
    return await plan.approval(call, approval)


def _reject(press: Press, values: Mapping[str, tuple[str, ...]], tx: Session, call: Call) -> Reply:
    need(call, Role.APPROVER)
    approval = _approval(tx, press)
    approvals.undecided(tx, approval)
    reason = _filled(values, forms.REASON, "A rejection needs a reason.")
    return plan.reject_it(tx, call, approval, reason)


def _approval(tx: Session, press: Press) -> int:
    approval = tx.get(Approval, press.id)
    if approval is None or approval.kind.value != press.subject.value:
        raise _unknown()
    return approval.id


def _move(press: Press, tx: Session, call: Call) -> Reply:
    need(call, Role.OPERATOR)
    project = project_of(tx, press)
    if project is None:
        raise _unknown()
    if press.more:
        return projects.stop_after(tx, replace(call, project=project))
    return projects.move_it(tx, call, project, press.label)


def task_of(tx: Session, press: Press) -> TaskView:
    """Task N of the project in `more`; without one the row."""
    task = _shown_task(tx, press)
    if task is None:
        raise _unknown()
    return task


def _shown_task(tx: Session, press: Press) -> TaskView | None:
    if not press.more:
        return task_views.by_row(tx, press.id)
    if not is_number(press.more):
        return None
    return task_views.by_number(tx, int(press.more), press.id)


def _task(press: Press, values: Mapping[str, tuple[str, ...]], tx: Session, call: Call) -> Reply:
    need(call, Role.OPERATOR)
    task = task_of(tx, press)
    match press.label:
        case Label.SKIP:
            return tasks.skip_it(tx, call, task)
        case Label.GUIDE:
            undecided(tx, task.row_id)
            hint = _filled(values, forms.HINT, "A hint has words.")
            return agents.guide_it(tx, call, task, hint)
        case Label.RETRY_WITH_OPUS:
            return agents.retry_it(tx, call, task, "opus")
        case _:
            return agents.retry_it(tx, call, task, None)


async def _vouch(
    press: Press, values: Mapping[str, tuple[str, ...]], call: Call
) -> Reply | Operation:
    need(call, press.label.role)
    task = await call.desk.parts.store.read(task_of, press)
    project = await call.desk.parts.store.read(project_of, press)
    reason = _filled(values, forms.VOUCH, "Whoever vouches says why.")
    given = {"n": str(task.id), "reason": reason}
    return await tasks.vouch(replace(call, project=project, values=given))


def _archive(press: Press, tx: Session, call: Call) -> Reply:
    need(call, press.label.role)
    project = project_of(tx, press)
    if project is None:
        raise _unknown()
    return projects.archive(tx, replace(call, project=project))


def _words(press: Press, values: Mapping[str, tuple[str, ...]], tx: Session, call: Call) -> Reply:
    need(call, press.label.role)
    if press.label is Label.ADD_AS_FEATURE:
        return offers.add_feature(tx, call, press.id)
    name = next((value for chosen in values.values() for value in chosen), "")
    return offers.begin_project(tx, call, press.id, name)


def _answer(press: Press, values: Mapping[str, tuple[str, ...]], tx: Session, call: Call) -> Reply:
    need(call, Role.OPERATOR)
    question = tx.get(Question, press.id)
    if question is None:
        raise _unknown()
    if press.label is Label.CHANGE_ANSWER:
        return _change(tx, call, question, values)
    if question.answer is not None:
        raise questions.closed(tx, question)
    text = (
        questions.JUST_DECIDE
        if press.label is Label.JUST_DECIDE
        else chosen(press, question, values)
    )
    questions.answer(tx, question.id, text, by=call.person, now=call.now)
    return Reply(said="Answered.")


def _change(
    tx: Session, call: Call, question: Question, values: Mapping[str, tuple[str, ...]]
) -> Reply:
    form = _form_of_change(tx, question.interview_id)
    which = next(iter(values.get(forms.WHICH, ())), "")
    if which.isascii() and which.isdigit() and len(which) <= 12:
        meant = tx.get(Question, int(which))
        if meant is None or meant.interview_id != question.interview_id:
            raise _unknown()
        question = meant
    given = _given(question, {name: v for name, v in values.items() if name != forms.WHICH})
    if not given:
        raise MissingValues("What shall it be instead?", form)
    text = ", ".join(dict.fromkeys(given))
    interviews.change_answer(tx, question.id, text, by=call.person, now=call.now)
    return Reply(said="The answer is changed; the interviewer hears it next.")


def chosen(press: Press, question: Question, values: Mapping[str, tuple[str, ...]]) -> str:
    """The chosen labels literally, joined by `, `, or the own words unchanged."""
    options = tuple(question.options)
    if press.more and not (press.more == forms.CHOSEN and options):
        if press.more not in map(str, range(len(options))):
            raise _unknown()
        return options[int(press.more)]
    given = _given(question, values)
    if sum(map(len, given)) > TEXT_LIMIT:
        raise InputError(f"An answer has at most {TEXT_LIMIT:,} characters.")
    picked = [value for name in _selects(question) for value in values.get(name, ())]
    if (len(options) > OPTION_BUTTONS or (question.multiple and options)) and any(
        not wording.is_blank(value) and value not in options and not _is_place(value, options)
        for value in picked
    ):
        raise MissingValues(
            "That is none of the options; own words have a field of their own.",
            _form_of_answer(question),
        )
    if not given:
        raise MissingValues("An answer has words.", _form_of_answer(question))
    if not options:
        return given[0]
    if len(given) > 1 and not question.multiple:
        raise MissingValues("One answer is wanted.", _form_of_answer(question))
    return ", ".join(dict.fromkeys(given))


def _given(question: Question, values: Mapping[str, tuple[str, ...]]) -> list[str]:
    """What was filled in, unchanged; in the question's own select a place means its option.

    A card of an earlier version has the select under the button's name, its values the labels.
    """
    options: list[str] = question.options
    now, before = _selects(question)
    found: list[str] = []
    for name, several in values.items():
        for value in several:
            labelled = name == before and value in options
            if name in (now, before) and not labelled and _is_place(value, options):
                found.append(options[int(value)])
            elif not wording.is_blank(value):
                found.append(value)
    return found


def _selects(question: Question) -> tuple[str, str]:
    """The names a question's select has, now and on the cards of an earlier version."""
    before = Press(Label.ANSWER, Subject.QUESTION, question.id).encode()
    return forms.chosen_name(question.id), before


def _is_place(value: str, options: Collection[str]) -> bool:
    return re.fullmatch(r"[0-9]{1,3}", value) is not None and int(value) < len(options)


def _raise_budget(
    press: Press, values: Mapping[str, tuple[str, ...]], tx: Session, call: Call
) -> Reply:
    need(call, Role.ADMIN)
    if tx.get(Project, press.id) is None:
        raise _unknown()
    amount = _filled(values, forms.AMOUNT, "How much may it spend in all?")
    return money.raise_it(tx, call, press.id, amount)


def _look(press: Press, tx: Session, call: Call) -> Reply:
    """`Details` and `Logs`: for whoever pressed."""
    need(call, Role.VIEWER)
    if press.subject is Subject.TASK:
        task = task_of(tx, press)
        if press.label is Label.LOGS:
            return agents.task_log(tx, call, task)
        return tasks.task_details(tx, call, task)
    project = project_of(tx, press)
    if project is None:
        raise _unknown()
    if press.label is Label.LOGS:
        return replace(agents.project_log(tx, call, project), private=True)
    if press.subject is Subject.PLAN:
        return plan.plan_details(tx, call, project, approval=press.id)
    if press.subject is Subject.GATE:
        return plan.gate_details(tx, press.id)
    return projects.details(tx, call, project)


def project_of(tx: Session, press: Press) -> ProjectRef | None:
    """The project a press is about."""
    found: int | None
    match press.subject:
        case Subject.PROJECT | Subject.BUDGET:
            found = press.id
        case Subject.PLAN | Subject.GATE:
            approval = tx.get(Approval, press.id)
            found = approval.project_id if approval else None
        case Subject.QUESTION:
            question = tx.get(Question, press.id)
            found = question.project_id if question else None
        case Subject.TASK:
            found = task_of(tx, press).project_id
        case Subject.WORDS:
            found = None
        case _:
            assert_never(press.subject)
    project = project_views.by_id(tx, found) if found is not None else None
    return project.ref if project else None


def refused_project(tx: Session, press: Press) -> ProjectRef | None:
    """The same, for one that may be about nothing."""
    try:
        return project_of(tx, press)
    except NotFound:
        return None


@dataclass(frozen=True)
class Standing:
    """What there is to decide now instead of what an old card showed, and a way to it."""

    words: str = ""
    buttons: tuple[Button, ...] = ()


def standing(tx: Session, press: Press) -> Standing:
    found = refused_project(tx, press)
    if found is None:
        return Standing()
    project = tx.get_one(Project, found.id)
    where = "its card stands in the project's thread."
    approval = tx.scalars(
        select(Approval)
        .where(Approval.project_id == project.id, Approval.status == ApprovalStatus.OPEN)
        .order_by(Approval.id.desc())
        .limit(1)
    ).first()
    if approval is not None and approval.kind is ApprovalKind.PLAN:
        return Standing(
            f"Plan {approval.version} of {project.name} waits for a decision now: {where}",
            (button("Details", Label.DETAILS, Subject.PLAN, approval.id),),
        )
    if approval is not None:
        phase = tx.get_one(Phase, approval.subject_id)
        return Standing(
            f"Phase {phase.position} {phase.name} waits for a decision now: {where}",
            (button("Details", Label.DETAILS, Subject.GATE, approval.id),),
        )
    question = tx.scalars(
        select(Question)
        .where(Question.project_id == project.id, Question.answer.is_(None))
        .order_by(Question.id.desc())
        .limit(1)
    ).first()
    if question is not None:
        return Standing(f"A question of {project.name} waits for an answer now: {where}")
    status = project.status.value.replace("_", " ")
    if project.status in (ProjectStatus.INTERVIEWING, ProjectStatus.PLANNING):
        return Standing(f"{project.name} is {status}; its thread says where it stands.")
    return Standing(
        f"{project.name} is {status}; its progress card says where it stands.",
        (button("Details", Label.DETAILS, Subject.PROJECT, project.id),),
    )


def refresh(tx: Session, press: Press, *, now: datetime) -> None:
    """Bring the card of a refused press up to date: it showed what is no longer so."""
    project = refused_project(tx, press)
    if project is None:
        return
    match press.subject:
        case Subject.PLAN:
            kind, about = CardKind.PLAN, None
        case Subject.GATE:
            kind, about = CardKind.GATE, press.id
        case Subject.TASK:
            kind, about = CardKind.STUCK, task_of(tx, press).row_id
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


def _filled(values: Mapping[str, tuple[str, ...]], form: Form, missing: str) -> str:
    """The one text of a form, whatever the platform called its field."""
    given = [value for chosen in values.values() for value in chosen if not wording.is_blank(value)]
    if not given:
        raise MissingValues(missing, form)
    limit = form.inputs[0].max_length
    if len(given[0]) > limit:
        raise MissingValues(f"At most {limit:,} characters are taken here.", form)
    return given[0].strip()
