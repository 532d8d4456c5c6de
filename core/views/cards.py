"""Cards that were wanted: what each is called."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.events import CardKind
from core.store.chat_tables import OutboxItem


def keys_of(
    tx: Session, kind: CardKind, project_ids: Collection[int], subject_ids: Collection[int]
) -> dict[int, str]:
    """The key of the newest card of this kind about each of these subjects, if it has one."""
    rows = tx.execute(
        select(OutboxItem.subject_id, OutboxItem.key)
        .where(
            OutboxItem.project_id.in_(project_ids),
            OutboxItem.kind == kind,
            OutboxItem.subject_id.in_(subject_ids),
        )
        .order_by(OutboxItem.id)
    )
    return {subject: key for subject, key in rows if subject is not None}
