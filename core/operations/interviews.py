"""Interviews: from what a person wants to a spec on `main`.

An interviewer never waits: it asks and its run parks. What its next run is told is kept here
until a run that was told it ended its turn by itself. Only then is it surely in the transcript:
after a kill the session may lack its last question, its result, or the answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain import card_keys
from core.domain.agents import AgentKind, RunOutcome
from core.domain.events import CardKind, Event
from core.domain.lifecycle import (
    INTERVIEW_OVER,
    InterviewKind,
    InterviewStatus,
    ProjectStatus,
    RunStatus,
)
from core.domain.money import to_micro
from core.domain.names import parse_name, slugify
from core.errors import InputError, NotFound, StateError
from core.operations import journal, outbox
from core.ports.chat import Attachment, Place
from core.store.chat_tables import Channel, Interview, ProjectPlace
from core.store.tables import Project, Question, Run, UsageEntry
from core.views import members, projects
from core.views.projects import ProjectRef

REQUEST_LIMIT = 100_000
_NOT_IN_A_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Begun(ProjectRef):
    """The project of an interview, and the card whose message is its thread."""

    card_key: str
    new: bool


def begin(
    tx: Session,
    name: str,
    place: Place,
    *,
    by: str,
    practice: bool,
    budget: Decimal,
    request: str = "",
    now: datetime,
) -> Begun:
    """A new project in this channel, or the one of this name that was begun here before."""
    name = parse_name(name)
    request = _request(request)
    rows = tx.scalars(select(Project)).all()
    known = next((row for row in rows if row.name.casefold() == name.casefold()), None)
    if known is not None:
        return _known(tx, known, place)
    project = Project(
        name=name,
        slug=slugify(name, {row.slug for row in rows}, fallback="project"),
        status=ProjectStatus.INTERVIEWING,
        spec_digest="",
        practice=practice,
        budget_micro_usd=to_micro(budget),
        created_at=now,
    )
    tx.add(project)
    tx.flush()
    key = card_keys.interview(project.slug)
    channel = Place(place.platform, place.channel)
    tx.add(
        ProjectPlace(
            project_id=project.id, platform=place.platform, channel=place.channel, root_key=key
        )
    )
    if (row := tx.get(Channel, (place.platform, place.channel))) is not None:
        row.project_id = project.id
    interview = Interview(
        project_id=project.id,
        number=0,
        kind=InterviewKind.PROJECT,
        status=InterviewStatus.ASKING,
        request=request,
        by=by,
        begun_at=now,
    )
    tx.add(interview)
    tx.flush()
    journal.record(
        tx, Event.PROJECT_CREATED, f"Project {name} was created.", now=now, actor=by,
        project=project, data={"interview": interview.id},
    )  # fmt: skip
    outbox.want(tx, channel, key, CardKind.INTERVIEW, project_id=project.id, now=now)
    return Begun(project.id, project.name, project.slug, key, True)


def _known(tx: Session, project: Project, place: Place) -> Begun:
    if project.status is ProjectStatus.ARCHIVED:
        raise StateError(
            f"{project.name} is archived, and its name stays taken.",
            hint=f"`/autocoder status {project.name}` shows it; give the new one another name.",
        )
    here = tx.get(ProjectPlace, (project.id, place.platform, place.channel))
    if here is not None:
        return Begun(project.id, project.name, project.slug, here.root_key, False)
    places = ", ".join(place.name for place, _root in projects.places_of(tx, project.id))
    where = f"in {places}" if places else "in no channel"
    raise InputError(
        f"A project {project.name!r} exists already, {where}.",
        hint=f"Names are unique in this service: choose another one, or bring it here with"
        f" `/autocoder use {project.name}`.",
    )


def _request(text: str) -> str:
    if len(text) > REQUEST_LIMIT:
        raise InputError(f"At most {REQUEST_LIMIT:,} characters are taken.")
    return text.strip()


def current(tx: Session, project_id: int) -> Interview | None:
    """The newest interview that still asks."""
    return tx.scalars(
        select(Interview)
        .where(
            Interview.project_id == project_id,
            Interview.status.in_((InterviewStatus.ASKING, InterviewStatus.CHECKING)),
            Interview.kind.not_in((InterviewKind.TASK, InterviewKind.JOB)),
        )
        .order_by(Interview.id.desc())
        .limit(1)
    ).first()


def tell(tx: Session, interview_id: int, text: str) -> None:
    """Words for the interviewer's next message, such as what it forgot."""
    interview = tx.get_one(Interview, interview_id)
    interview.notes = [*interview.notes, {"text": text, "run": None}]


def change_answer(tx: Session, question_id: int, text: str, *, by: str, now: datetime) -> None:
    """A person changes an earlier answer; the interviewer hears it in its next message.

    The question that is open now is answered with it, and asked again where it still matters.
    """
    if not text.strip():
        raise InputError("An answer has words.")
    question = tx.get(Question, question_id)
    if question is None:
        raise NotFound("There is no such question.")
    interview = still_asks(tx, question.interview_id)
    if question.answer is None:
        raise StateError("This question has no answer yet.", hint="Answer it.")
    words = f"I change an earlier answer.\n\nYou asked: {question.text}\nAnswer: {text}"
    opened = open_question(tx, interview.id)
    question.answer = text
    question.answered_by = by
    question.answered_at = now
    journal.record(
        tx, Event.QUESTION_ANSWERED, text[:500], now=now, actor=by,
        run=tx.get_one(Run, question.run_id), data=_about(question),
    )  # fmt: skip
    if opened is None:
        tell(tx, interview.id, words)
        return
    opened.answer = f"{words}\n\nAsk your last question again if it still matters."
    opened.answered_by = by
    opened.answered_at = now
    journal.record(
        tx, Event.QUESTION_ANSWERED, "An earlier answer was changed.", now=now, actor=by,
        run=tx.get_one(Run, opened.run_id), data=_about(opened),
    )  # fmt: skip


def still_asks(tx: Session, interview_id: int | None) -> Interview:
    """The interview, if an earlier answer of it may be changed."""
    interview = tx.get(Interview, interview_id) if interview_id is not None else None
    if interview is None or interview.status is not InterviewStatus.ASKING:
        raise StateError(
            "The interview is over; this answer stands.",
            hint="Reject the plan and say in the reason what shall be otherwise.",
        )
    return interview


def _about(question: Question) -> dict[str, object]:
    return {"question": question.id, "interview": question.interview_id}


def open_question(tx: Session, interview_id: int) -> Question | None:
    """The newest question of an interview that waits for its answer."""
    return tx.scalars(
        select(Question)
        .where(Question.interview_id == interview_id, Question.answer.is_(None))
        .order_by(Question.id.desc())
        .limit(1)
    ).first()


def note(tx: Session, project_id: int, text: str, *, by: str) -> None:
    """What somebody says to the files they drop: an interviewer hears it in its next message."""
    interview = current(tx, project_id)
    if interview is not None and interview.status is InterviewStatus.ASKING:
        tell(tx, interview.id, f"{members.name_of(tx, by)} says: {text}")


def add_material(tx: Session, project_id: int, files: Sequence[Attachment]) -> tuple[str, ...]:
    """Files dropped into the thread of an interview: their paths in the interviewer's folder.

    Empty when no interview asks. The bytes are copied before its next run begins.
    """
    interview = current(tx, project_id)
    if interview is None or interview.status is not InterviewStatus.ASKING:
        return ()
    paths = []
    for file in files:
        if any(known["file"] == file.id for known in interview.material):
            continue
        plain = _NOT_IN_A_FILE_NAME.sub("-", file.name).strip("-.")[-80:] or "file"
        name = f"{len(interview.material) + 1}-{plain}"
        interview.material = [*interview.material, {"file": file.id, "name": name}]
        tell(
            tx,
            interview.id,
            f"A file was dropped in as material: `material/{name}` ({file.size:,} bytes). Read it.",
        )
        paths.append(f"material/{name}")
    return tuple(paths)


@dataclass(frozen=True)
class Material:
    file: str  # its id among the dropped files
    name: str


@dataclass(frozen=True)
class InterviewSession:
    """What a run of an interview works on, and what it is told."""

    interview_id: int
    kind: InterviewKind
    number: int
    slug: str
    name: str
    request: str
    base_commit: str | None
    answers: tuple[tuple[str, str], ...]  # every question so far, and its answer
    fresh: tuple[tuple[str, str], ...]  # those its session may not have heard
    notes: tuple[str, ...]  # other words it may not have heard
    begun: bool  # its session surely holds its beginning
    interrupted: bool  # its session may lack what came last
    material: tuple[Material, ...]


def load_session(tx: Session, run_id: int) -> InterviewSession:
    """Take a run's words: they are its to carry until one run has heard them."""
    run = tx.get_one(Run, run_id)
    interview = of(tx, run)
    project = tx.get_one(Project, interview.project_id)
    notes = [note for note in interview.notes if not heard(tx, note["run"])]
    interview.notes = [{**note, "run": run_id} for note in notes]
    answered = tx.scalars(
        select(Question)
        .where(Question.interview_id == interview.id, Question.answer.is_not(None))
        .order_by(Question.id)
    ).all()
    clean, unsure = _before(tx, run)
    return InterviewSession(
        interview_id=interview.id,
        kind=interview.kind,
        number=interview.number,
        slug=project.slug,
        name=project.name,
        request=interview.request,
        base_commit=interview.base_commit,
        answers=tuple((q.text, q.answer or "") for q in answered),
        fresh=tuple((q.text, q.answer or "") for q in answered if q.run_id in (clean, *unsure)),
        notes=tuple(note["text"] for note in notes),
        material=tuple(Material(row["file"], row["name"]) for row in interview.material),
        begun=clean is not None,
        interrupted=bool(unsure),
    )


def _before(tx: Session, run: Run) -> tuple[int | None, list[int]]:
    """The last run of its session that ended its turn, and those since that reached the model.

    A run that never did is as if it had not been: this one is told the same again. A session whose
    transcript was lost is another one.
    """
    unsure: list[int] = []
    earlier = _in_session(tx, run)
    while earlier is not None and not heard(tx, earlier.id):
        if tx.scalars(select(UsageEntry.id).where(UsageEntry.run_id == earlier.id)).first():
            unsure.append(earlier.id)
        earlier = _in_session(tx, earlier)
    return earlier.id if earlier else None, unsure


def _in_session(tx: Session, run: Run) -> Run | None:
    """The run whose session this one goes on with."""
    earlier = tx.get_one(Run, run.resumes_id) if run.resumes_id is not None else None
    return earlier if earlier is not None and earlier.session_id == run.session_id else None


def heard(tx: Session, run_id: int | None) -> bool:
    """Whether a run ended its turn by itself, so that its session surely holds its prompt."""
    return run_id is not None and tx.get_one(Run, run_id).outcome is RunOutcome.FINISHED


def of(tx: Session, run: Run) -> Interview:
    if run.interview_id is None:
        raise StateError("This run works for no interview.")
    return tx.get_one(Interview, run.interview_id)


def last_run(tx: Session, interview_id: int) -> int | None:
    """The newest run of the interviewer that ended: the session that goes on."""
    return tx.scalars(
        select(func.max(Run.id)).where(
            Run.interview_id == interview_id,
            Run.kind == AgentKind.INTERVIEWER,
            Run.status == RunStatus.ENDED,
        )
    ).first()


def based(tx: Session, interview_id: int, commit: str) -> None:
    """Its files began from this commit of `main`."""
    tx.get_one(Interview, interview_id).base_commit = commit


def asks(tx: Session, run: Run, question: Question) -> None:
    """Number a question within its interview; asking is progress."""
    interview = of(tx, run)
    if interview.status in INTERVIEW_OVER:
        raise StateError("Nobody wants this any more. End your turn.")
    interview.asked += 1
    interview.failures = 0
    interview.restarts = 0
    question.interview_id = interview.id
    question.number = interview.asked
