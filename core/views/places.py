"""Which project is meant where somebody speaks."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.lifecycle import ProjectStatus
from core.ports.chat import Place
from core.store.chat_tables import Channel, OutboxItem, ProjectPlace
from core.store.tables import Project
from core.views.projects import ProjectRef


def project_at(tx: Session, place: Place) -> ProjectRef | None:
    """The project of a thread, else the channel's current one, else the newest that lives there."""
    return thread_project(tx, place) or _chosen(tx, place) or _newest(tx, place)


def thread_project(tx: Session, place: Place) -> ProjectRef | None:
    """The project whose card is the root of this thread."""
    if place.thread is None:
        return None
    row = tx.scalars(
        select(Project)
        .join(OutboxItem, OutboxItem.project_id == Project.id)
        .where(
            OutboxItem.platform == place.platform,
            OutboxItem.channel == place.channel,
            OutboxItem.message == place.thread,
        )
        .limit(1)
    ).first()
    return _ref(row)


def _chosen(tx: Session, place: Place) -> ProjectRef | None:
    channel = tx.get(Channel, (place.platform, place.channel))
    chosen = channel.project_id if channel is not None else None
    return _ref(tx.get(Project, chosen)) if chosen is not None else None


def _newest(tx: Session, place: Place) -> ProjectRef | None:
    row = tx.scalars(
        select(Project)
        .join(ProjectPlace, ProjectPlace.project_id == Project.id)
        .where(
            ProjectPlace.platform == place.platform,
            ProjectPlace.channel == place.channel,
            Project.status != ProjectStatus.ARCHIVED,
        )
        .order_by(Project.id.desc())
        .limit(1)
    ).first()
    return _ref(row)


def _ref(row: Project | None) -> ProjectRef | None:
    return ProjectRef(row.id, row.name, row.slug) if row is not None else None
