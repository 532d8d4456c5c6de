"""Plain messages: an answer, guidance, or nothing (CONTRACT.md §3)."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.answers import chosen
from bot.commands.context import thread_project
from bot.commands.replies import words
from bot.commands.spec import Call, Reply
from bot.wording import is_blank
from core.domain.lifecycle import ProjectStatus
from core.domain.people import Role
from core.errors import InputError, NotAllowed
from core.operations import guidance, interviews, plans, questions
from core.ports.chat import Said
from core.store.tables import Project, Question
from core.views.projects import ProjectRef

TEXT_LIMIT = 100_000
_BUILDS = (ProjectStatus.RUNNING, ProjectStatus.PAUSED, ProjectStatus.BLOCKED)


def check_size(text: str, *, blank: bool = False) -> None:
    """Refuse what is no message; nothing is changed by it."""
    if len(text) > TEXT_LIMIT:
        raise InputError(
            f"A message has at most {TEXT_LIMIT:,} characters; this one has {len(text):,}.",
            hint="Shorten it, or drop it into the thread as a file.",
        )
    if not blank and is_blank(text):
        raise InputError("This message is blank.", hint="Write something, or drop in a file.")


_KEPT = "Kept; it has no effect here. Commands begin with `/autocoder`."


def said(tx: Session, call: Call, said: Said) -> Reply:
    """What somebody wrote without a command."""
    check_size(said.text, blank=bool(said.files))
    project = thread_project(tx, call.place)
    if project is None:
        return Reply(said=_KEPT)
    if said.files:
        return _material(tx, call, project, said)
    question = _newest_question(tx, project.id)
    if question is not None and not is_blank(said.text):
        return _answer(tx, call, question, said.text)
    status = tx.get_one(Project, project.id).status
    if status in _BUILDS and plans.is_approved(tx, project.id):
        return _guide(tx, call, project, said.text)
    return Reply(said=_KEPT)


def _material(tx: Session, call: Call, project: ProjectRef, said: Said) -> Reply:
    """Files for an interview; words that came with them are heard as without them."""
    _need_operator(call, "Dropping in files")
    paths = interviews.add_material(tx, project.id, said.files)
    question = _newest_question(tx, project.id)
    if not is_blank(said.text) and said.text != _names(said):
        if question is not None:
            _answer(tx, call, question, said.text)
        elif paths:
            interviews.note(tx, project.id, said.text, by=call.person)
    if not paths:
        return Reply(
            title="No interview asks here now: the file is kept and has no effect",
            project=project,
            private=True,
        )
    return Reply(
        title=f"Taken as material: {_names(said)}",
        body="The interviewer reads it before its next question.",
        project=project,
    )


def _names(said: Said) -> str:
    return ", ".join(file.name for file in said.files)


def _newest_question(tx: Session, project_id: int) -> Question | None:
    return tx.scalars(
        select(Question)
        .where(Question.project_id == project_id, Question.answer.is_(None))
        .order_by(Question.id.desc())
        .limit(1)
    ).first()


def _answer(tx: Session, call: Call, question: Question, text: str) -> Reply:
    _need_operator(call, "Answering")
    answer = chosen(question.options, question.multiple, text, numbered=False)
    questions.answer(tx, question.id, answer, by=call.person, now=call.now)
    return Reply(said="Answered.")


def _guide(tx: Session, call: Call, project: ProjectRef, text: str) -> Reply:
    _need_operator(call, "Guiding agents")
    guidance.give(tx, project.id, text, person=call.person, inbox_id=call.item_id, now=call.now)
    return Reply(
        title=guidance.WAITING,
        body=words(text, guidance.QUOTED),
        project=project,
    )


def _need_operator(call: Call, what: str) -> None:
    if not call.role.covers(Role.OPERATOR):
        raise NotAllowed(
            f"{what} wants the role {Role.OPERATOR!s}; yours is {call.role!s}."
            " Your message changed nothing."
        )
