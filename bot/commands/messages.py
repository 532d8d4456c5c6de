"""Plain messages: an answer, guidance, or words that begin nothing."""

from sqlalchemy.orm import Session

from bot.cards.formatting import is_blank
from bot.commands import answers, calls, offers, presses
from bot.commands.command import Call, Reply
from bot.commands.replies import words
from core.domain.lifecycle import ProjectStatus
from core.domain.markup import COMMAND
from core.domain.people import Role
from core.errors import InputError, NotAllowed
from core.operations import guidance, interviews, plans, questions
from core.ports.chat import MENTION, Said
from core.views import places, projects
from core.views import questions as views
from core.views.projects import ProjectRef
from core.views.questions import QuestionView

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


def said(tx: Session, call: Call, said: Said) -> Reply:
    """What somebody wrote without a command."""
    check_size(said.text, blank=bool(said.files))
    project = places.thread_project(tx, call.place)
    if project is None:
        return begins_nothing(tx, call, said)
    taken = _material(tx, call, project, said) if said.files else None
    if taken is not None:
        return taken
    question = _newest_question(tx, project.id)
    if question is not None:
        return _answer(tx, call, question, said.text)
    _no_command(tx, said.text)
    status = projects.summary(tx, project.id).status
    if status in _BUILDS and plans.is_approved(tx, project.id):
        return _guide(tx, call, project, said.text)
    if status is ProjectStatus.COMPLETED:
        return offers.add_as_feature(call, project)
    confirm = presses.standing(tx, project)
    if confirm.links:
        title, body = confirm.words.rstrip("."), "Approve it, or reject it with a reason."
    else:
        title = f"{project.name} is {status.words}, and asks nothing"
        body = f"A command begins with `{COMMAND}` or `{MENTION}`."
    return Reply(
        title=f"This changed nothing: {title}",
        body=body,
        links=confirm.links,
        private=True,
        project=project,
    )


def begins_nothing(tx: Session, call: Call, said: Said) -> Reply:
    """Words outside a thread of ours that are no command: a project may be made of them."""
    check_size(said.text, blank=bool(said.files))
    _no_command(tx, said.text)
    if call.place.thread is not None and not said.mention:
        return Reply(said="Kept; it has no effect here.")
    return offers.start_project(tx, call, said.text)


def _no_command(tx: Session, text: str) -> None:
    """Refuse what was meant as a command and is none as it stands."""
    line = calls.meant_without_slash(tx, text)
    if line is not None:
        raise InputError(
            "Nothing was changed: this is no command as it stands.", hint=f"Did you mean `{line}`?"
        )


def _material(tx: Session, call: Call, project: ProjectRef, said: Said) -> Reply | None:
    """Files for an interview; None: none asks, and the words that came with them are heard alone."""
    _need_operator(call, "Dropping in files")
    paths = interviews.add_material(tx, project.id, said.files)
    wordless = is_blank(said.text) or said.text == _names(said)
    if not paths:
        if not wordless:
            return None
        return Reply(
            title="No interview asks here now: the file is kept and has no effect",
            project=project,
            private=True,
        )
    question = _newest_question(tx, project.id)
    if not wordless and question is not None:
        _answer(tx, call, question, said.text)
    elif not wordless:
        interviews.note(tx, project.id, said.text, by=call.person)
    return Reply(
        title=f"Taken as material: {_names(said)}",
        body="The interviewer reads it before its next question.",
        project=project,
    )


def _names(said: Said) -> str:
    return ", ".join(file.name for file in said.files)


def _newest_question(tx: Session, project_id: int) -> QuestionView | None:
    return next(reversed(views.open_of(tx, project_id)), None)


def _answer(tx: Session, call: Call, question: QuestionView, text: str) -> Reply:
    _need_operator(call, "Answering")
    questions.answer(tx, question.id, answers.said(question, text), by=call.person, now=call.now)
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
