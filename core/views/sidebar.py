"""What every page of the web chat shows beside its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.lifecycle import RunStatus
from core.domain.money import to_usd
from core.domain.people import Role
from core.store.tables import Run
from core.views import budgets, messages
from core.views.messages import PLATFORM, ChannelView, Standing
from core.views.project_lines import ProjectLine, project_lines
from core.views.waiting import waiting

PROJECTS = 40
_AT_WORK = select(func.count()).where(Run.status.in_((RunStatus.STARTING, RunStatus.WORKING)))


@dataclass(frozen=True, kw_only=True)
class Sidebar:
    channels: Sequence[ChannelView]
    projects: Sequence[ProjectLine]  # by name
    roots: Mapping[int, Standing]  # by project: its thread in the web chat
    waiting: int  # for somebody of this role
    today_usd: Decimal  # of all projects, this UTC day
    agents: int  # at work now


def rail(tx: Session, role: Role, *, now: datetime) -> Sidebar:
    lines = project_lines(tx, role=role, limit=PROJECTS)
    return Sidebar(
        channels=messages.channels(tx),
        projects=sorted(lines, key=lambda line: line.project.name.lower()),
        roots=dict(_roots(tx, lines)),
        waiting=len(waiting(tx, role=role)),
        today_usd=to_usd(budgets.day_total(tx, now)),
        agents=tx.scalar(_AT_WORK) or 0,
    )


def _roots(tx: Session, lines: Sequence[ProjectLine]) -> Iterator[tuple[int, Standing]]:
    for line in lines:
        for place, key in line.places:
            if place.platform == PLATFORM:
                found = messages.standing(tx, key, "", near=place.channel)
                if found is not None:
                    yield line.project.id, found
                break
