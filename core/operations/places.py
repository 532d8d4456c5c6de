"""Places: the channels in which a project's cards stand."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain import card_keys
from core.domain.events import CardKind
from core.operations import outbox
from core.operations.card_subjects import CardSubject
from core.operations.notices import CardSpecs
from core.ports.chat import Place
from core.store.chat_tables import Channel, ProjectPlace
from core.store.tables import Project
from core.views.waiting import waiting

_MOST = 100  # things that wait


def use(tx: Session, place: Place, project_id: int, *, now: datetime) -> None:
    """From now on a command in this channel without a name is about this project."""
    channel = tx.get(Channel, (place.platform, place.channel))
    if channel is None:
        channel = Channel(platform=place.platform, name=place.channel, created_at=now)
        tx.add(channel)
    channel.project_id = project_id


def settle(tx: Session, project_id: int, place: Place, kinds: CardSpecs, *, now: datetime) -> bool:
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
    _show(tx, project_id, place, kinds, now=now)
    return True


def show(tx: Session, project_id: int, place: Place, kinds: CardSpecs, *, now: datetime) -> None:
    """A project's cards of now, in a channel that shows nothing yet: it lives there from now on."""
    if not settle(tx, project_id, place, kinds, now=now):
        _show(tx, project_id, place, kinds, now=now)


def _show(tx: Session, project_id: int, place: Place, kinds: CardSpecs, *, now: datetime) -> None:
    channel = Place(place.platform, place.channel)
    project = tx.get_one(Project, project_id)
    root = card_keys.interview(project.slug)
    for kind, subject in _standing(tx, project, kinds):
        outbox.want(
            tx,
            channel,
            subject.key,
            kind,
            project_id=project_id,
            subject_id=subject.id,
            thread_key=root if subject.in_thread else None,
            anew=True,
            now=now,
        )


def _standing(
    tx: Session, project: Project, kinds: CardSpecs
) -> Iterator[tuple[CardKind, CardSubject]]:
    """The cards that say how it stands, and what waits for a person."""
    for kind, spec in kinds.items():
        for subject in spec.standing(tx, project):
            yield kind, subject
    by_wait = {spec.waits: kind for kind, spec in kinds.items()}
    for wait in waiting(tx, project_id=project.id, resting=True, limit=_MOST):
        yield by_wait[wait.kind], CardSubject(wait.subject_id, wait.key)
