"""Places: the channels in which a project's cards stand."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain import card_keys
from core.domain.cards import CardKind
from core.domain.events import Event
from core.domain.lifecycle import INTERVIEW_OVER, ProjectStatus
from core.operations import outbox
from core.ports.chat import Place
from core.store.chat_tables import Channel, Interview, ProjectPlace
from core.store.tables import Phase, Project
from core.views import cards, journal
from core.views.waiting import waiting

_MOST = 100  # things that wait
_Wanted = tuple[str, CardKind, int, bool]  # key, kind, subject, whether it stands in the thread


def use(tx: Session, place: Place, project_id: int, *, now: datetime) -> None:
    """From now on a command in this channel without a name is about this project."""
    channel = tx.get(Channel, (place.platform, place.channel))
    if channel is None:
        channel = Channel(platform=place.platform, name=place.channel, created_at=now)
        tx.add(channel)
    channel.project_id = project_id


def settle(tx: Session, project_id: int, place: Place, *, now: datetime) -> bool:
    """Give a project a thread in this channel too; its cards of now come there.

    False: it lives there already.
    """
    if tx.get(ProjectPlace, (project_id, place.platform, place.channel)) is not None:
        return False
    last = tx.scalar(
        select(func.max(ProjectPlace.position)).where(ProjectPlace.project_id == project_id)
    )
    tx.add(
        ProjectPlace(
            project_id=project_id,
            platform=place.platform,
            channel=place.channel,
            position=0 if last is None else last + 1,
            root_key=card_keys.interview(tx.get_one(Project, project_id).slug),
        )
    )
    tx.flush()
    _show(tx, project_id, place, now=now)
    return True


def show(tx: Session, project_id: int, place: Place, *, now: datetime) -> None:
    """A project's cards of now, in a channel that shows nothing yet: it lives there from now on."""
    if not settle(tx, project_id, place, now=now):
        _show(tx, project_id, place, now=now)


def _show(tx: Session, project_id: int, place: Place, *, now: datetime) -> None:
    channel = Place(place.platform, place.channel)
    project = tx.get_one(Project, project_id)
    root = card_keys.interview(project.slug)
    for key, kind, subject, threaded in _standing(tx, project):
        outbox.want(
            tx,
            channel,
            key,
            kind,
            project_id=project_id,
            subject_id=subject,
            thread_key=root if threaded else None,
            anew=True,
            now=now,
        )


def _standing(tx: Session, project: Project) -> Iterator[_Wanted]:
    """The cards that say how it stands, and what waits for a person."""
    slug = project.slug
    yield card_keys.interview(slug), CardKind.INTERVIEW, project.id, False
    if tx.scalars(select(Phase.id).where(Phase.project_id == project.id).limit(1)).first():
        yield card_keys.progress(slug), CardKind.PROGRESS, project.id, False
    added = select(Interview).where(
        Interview.project_id == project.id,
        Interview.number > 0,
        Interview.status.not_in(INTERVIEW_OVER),
    )
    for each in tx.scalars(added.order_by(Interview.id)):
        yield card_keys.interview(slug, each.number), CardKind.INTERVIEW, project.id, True
    for wait in waiting(tx, project_id=project.id, limit=_MOST):
        yield wait.key, wait.kind.card, wait.subject_id, True
    done = journal.last(tx, (Event.PROJECT_COMPLETED,), project_id=project.id)
    if project.status is ProjectStatus.COMPLETED and done is not None:
        known = cards.keys_of(tx, CardKind.REPORT, {project.id}, {done.id})
        key = known.get(done.id, card_keys.counted(CardKind.REPORT, slug, 1))
        yield key, CardKind.REPORT, done.id, True
