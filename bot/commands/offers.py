"""Words that begin nothing: what may be made of them, and making it."""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from bot.cards import forms
from bot.cards.labels import DONE
from bot.cards.rendering import button
from bot.commands import plan, projects, replies
from bot.commands.command import Call, MissingValues, Reply
from bot.commands.parsing import shown
from core.domain.cards import Form, Label, Style, Subject, Tone
from core.domain.names import is_name, sanitize, slugify, unquote
from core.operations import inbox, interviews, outbox
from core.ports.chat import Place
from core.views import members, places
from core.views import projects as view
from core.views.projects import ProjectRef

_BEGUN = "The interviewer is told these words first."
_NAMED_BY = 4  # words of a proposed name
_READ = 500  # characters that a name may come from
_FILLING = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "build",
        "built",
        "can",
        "could",
        "create",
        "develop",
        "do",
        "for",
        "from",
        "get",
        "give",
        "go",
        "have",
        "help",
        "hello",
        "hey",
        "hi",
        "i",
        "id",
        "in",
        "is",
        "it",
        "its",
        "just",
        "let",
        "lets",
        "like",
        "make",
        "me",
        "my",
        "new",
        "need",
        "of",
        "on",
        "one",
        "our",
        "please",
        "project",
        "simple",
        "small",
        "some",
        "something",
        "start",
        "that",
        "the",
        "there",
        "this",
        "to",
        "up",
        "us",
        "want",
        "we",
        "which",
        "with",
        "would",
        "write",
        "you",
        "your",
    ]
)


def start_project(tx: Session, call: Call, text: str) -> Reply:
    """Whether a project shall begin with these words."""
    return _offer(
        call,
        "Start a project from this?",
        _BEGUN,
        "Start a project",
        Label.START_PROJECT,
        form=_named(proposed_name(text, view.names(tx))),
    )


def add_as_feature(call: Call, project: ProjectRef) -> Reply:
    """Whether a finished project shall have a feature made of these words."""
    offer = _offer(
        call,
        f"{project.name} is complete: add this as a feature?",
        "As it is, nothing was changed.",
        "Add as feature",
        Label.ADD_AS_FEATURE,
    )
    return replace(offer, project=project)


def _offer(
    call: Call, title: str, body: str, text: str, label: Label, *, form: Form | None = None
) -> Reply:
    press = button(text, label, Subject.WORDS, call.item_id, style=Style.PRIMARY, form=form)
    return Reply(title=title, body=body, buttons=(press,), private=True, said=title)


def form(tx: Session, words_id: int, *, now: datetime) -> Form:
    """What `Start a project` asks for."""
    words = inbox.words(tx, words_id, now=now)
    return _named(proposed_name(words.text, view.names(tx)))


def _named(proposed: str) -> Form:
    return forms.proposing(forms.NAME, proposed)


def begin_project(tx: Session, call: Call, words_id: int, name: str) -> Reply:
    """What `new NAME` does, where the words were said; the interviewer is told them first."""
    words = inbox.words(tx, words_id, now=call.now)
    proposed = _named(proposed_name(words.text, view.names(tx)))
    plain = unquote(name)
    if not plain:
        raise MissingValues("A project has a name.", proposed)
    if not is_name(plain):
        mended = sanitize(plain)
        raise MissingValues(
            f"{shown(plain)} cannot be a project's name; {mended!r} can.", _named(mended)
        )
    if view.by_name(tx, plain) is not None:
        raise MissingValues(f"A project {plain} exists already: choose another name.", proposed)
    said = replace(call, place=words.place, values={"name": plain})
    reply = projects.new(tx, said, request=words.text)
    if reply.project is not None:
        interviews.add_material(tx, reply.project.id, words.files)
    return _made(tx, call, words_id, words.place, f"{plain} was begun from this", reply)


def add_feature(tx: Session, call: Call, words_id: int) -> Reply:
    """What `feature add` does with the words."""
    words = inbox.words(tx, words_id, now=call.now)
    about = replace(call, project=places.project_at(tx, words.place), values={"text": words.text})
    reply = replace(plan.add_feature(tx, about), title="")
    return _made(tx, call, words_id, words.place, "A feature was made of this", reply)


def _made(tx: Session, call: Call, words_id: int, place: Place, what: str, reply: Reply) -> Reply:
    """The offer says so from now on, and asks nobody again."""
    inbox.take_words(tx, words_id, what, by=call.person, now=call.now)
    who = members.name_of(tx, call.person)
    done = Reply(title=f"{DONE} {what} by {who}", project=reply.project, tone=Tone.SUCCESS)
    outbox.resay(tx, place, replies.card_of(done, words_id), now=call.now)
    return replace(reply, said=f"{what}.")


def proposed_name(text: str, taken: Collection[str]) -> str:
    """A name made from somebody's words: the first that tell one thing from another."""
    words = re.findall(r"[^\W_]+", text[:_READ])
    telling = [word for word in words if word.casefold() not in _FILLING]
    return slugify(
        " ".join(telling[:_NAMED_BY]), {name.casefold() for name in taken}, fallback="project"
    )
