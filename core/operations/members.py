"""People and their roles, by platform user id, never by display name."""

import secrets
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.domain.events import Event
from core.domain.names import display_name
from core.domain.people import LOCAL, Role, hashed
from core.errors import InputError
from core.operations import journal
from core.store.chat_tables import ClaimCode, Member


def set_role(tx: Session, person: str, role: Role, *, by: str, now: datetime) -> None:
    """Make a person known with this role; `none` keeps them known and allows nothing."""
    if person == LOCAL:
        raise InputError(f"{LOCAL} is whoever holds the web token: always admin.")
    row = tx.get(Member, person)
    if row is None:
        tx.add(Member(person=person, role=role, added_by=by, added_at=now))
    else:
        row.role = role
    journal.record(
        tx, Event.MEMBER_CHANGED, f"{person} is {role!s} now.", now=now, actor=by,
        data={"person": person, "role": role.value},
    )  # fmt: skip


def called(tx: Session, person: str, name: str | None) -> str | None:
    """How their platform calls a person now: a member's cards say it so from now on."""
    plain = display_name(name or "")
    row = tx.get(Member, person)
    if plain and row is not None:
        row.name = plain
    return plain or None


def has_admin(tx: Session) -> bool:
    """Whether anybody but the holder of the web token is an admin."""
    return tx.scalars(select(Member.person).where(Member.role == Role.ADMIN)).first() is not None


def issue_claim(tx: Session, *, now: datetime) -> str:
    """A new one-time code; those before it are withdrawn."""
    tx.execute(
        update(ClaimCode)
        .where(ClaimCode.used_at.is_(None), ClaimCode.withdrawn_at.is_(None))
        .values(withdrawn_at=now)
    )
    code = secrets.token_hex(8)
    tx.add(ClaimCode(code_hash=hashed(code), issued_at=now))
    return code


def claim(tx: Session, person: str, code: str, *, now: datetime) -> bool:
    """Make the person an admin, if this is the code; it is used up then."""
    row = tx.get(ClaimCode, hashed(code.strip().lower()))
    if row is None or row.used_at is not None or row.withdrawn_at is not None:
        return False
    row.used_by, row.used_at = person, now
    if person != LOCAL:
        set_role(tx, person, Role.ADMIN, by="claim", now=now)
    return True
