"""People and their roles, by platform user id, never by display name."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.people import LOCAL, Role
from core.errors import InputError
from core.store.chat_tables import Member


@dataclass(frozen=True)
class MemberLine:
    person: str
    role: Role
    added_by: str
    added_at: datetime


def role_of(tx: Session, person: str) -> Role:
    """What a person may do; who is not known may nothing but ask for help."""
    if person == LOCAL:
        return Role.ADMIN
    row = tx.get(Member, person)
    return row.role if row else Role.NONE


def set_role(tx: Session, person: str, role: Role, *, by: str, now: datetime) -> None:
    if person == LOCAL:
        raise InputError(f"{LOCAL} is whoever holds the web token: always admin.")
    row = tx.get(Member, person)
    if row is None:
        tx.add(Member(person=person, role=role, added_by=by, added_at=now))
    else:
        row.role = role


def issue_token(tx: Session, person: str, role: Role, *, by: str, now: datetime) -> str:
    """Make a web person known, or known anew, and give their token; only its hash is kept."""
    set_role(tx, person, role, by=by, now=now)
    tx.flush()
    token = secrets.token_urlsafe(32)
    tx.get_one(Member, person).token_hash = _hash(token)
    return token


def holder(tx: Session, token: str) -> str | None:
    """Whose web token this is."""
    return tx.scalars(select(Member.person).where(Member.token_hash == _hash(token))).first()


def all_members(tx: Session) -> tuple[MemberLine, ...]:
    rows = tx.scalars(select(Member).order_by(Member.person))
    return tuple(MemberLine(r.person, r.role, r.added_by, r.added_at) for r in rows)


def same(token: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(token.encode(), other.encode())


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
