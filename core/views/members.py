"""People: what each may do, and how cards call them."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.people import LOCAL, Role, hashed
from core.store.chat_tables import Member
from core.store.tables import Run
from core.views.json import Utc
from core.views.runs import agent_name

_RUN = "run:"  # begins an actor that is an agent


@dataclass(frozen=True)
class MemberView:
    user: str
    name: str
    role: Role
    added_by: str
    added_at: Utc


def role_of(tx: Session, person: str) -> Role:
    """What a person may do; who is not known may nothing but ask for help."""
    if person == LOCAL:
        return Role.ADMIN
    row = tx.get(Member, person)
    return row.role if row else Role.NONE


def members(tx: Session) -> tuple[MemberView, ...]:
    rows = tx.scalars(select(Member).order_by(Member.person))
    return tuple(
        MemberView(r.person, r.name or _handle(r.person), r.role, r.added_by, r.added_at)
        for r in rows
    )


def name_of(tx: Session, actor: str) -> str:
    """How cards call a person or an agent; ids stay in the journal and in `members`."""
    return names_of(tx, (actor,))[actor]


def names_of(tx: Session, actors: Iterable[str]) -> dict[str, str]:
    """The same of several, at one look."""
    wanted = set(actors)
    members_ = select(Member.person, Member.name).where(
        Member.person.in_(wanted), Member.name != ""
    )
    known = dict(tx.execute(members_).all())
    runs_ = [int(actor[len(_RUN) :]) for actor in wanted if actor.startswith(_RUN)]
    for row in tx.scalars(select(Run).where(Run.id.in_(runs_))) if runs_ else ():
        known[f"{_RUN}{row.id}"] = agent_name(row)
    return {actor: known.get(actor) or _handle(actor) for actor in wanted}


def holder(tx: Session, token: str) -> str | None:
    """Whose web token this is."""
    return tx.scalars(select(Member.person).where(Member.token_hash == hashed(token))).first()


def _handle(person: str) -> str:
    """`ada` of `web:ada`; what is no person stays as it is."""
    platform, colon, handle = person.partition(":")
    return handle if colon and platform == "web" else person
