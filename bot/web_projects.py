"""What the REST paths change: by presses, as people do."""

from collections.abc import Awaitable, Mapping
from typing import Protocol

from sqlalchemy.orm import Session

from bot.app import App
from core.domain.cards import Label, Press, Subject
from core.domain.lifecycle import ApprovalKind, ApprovalStatus
from core.errors import InputError, StateError
from core.operations import web_chat
from core.ports.chat import Outcome, Place
from core.store.session import Store
from core.views import approvals, phases, projects

MAIN = "main"  # the channel that is there before anybody spoke


class Pressed(Protocol):
    """Has the router act upon a press."""

    def __call__(
        self, person: str, press: Press, values: Mapping[str, tuple[str, ...]], place: Place
    ) -> Awaitable[Outcome]: ...


class Projects:
    """What the REST paths change."""

    def __init__(self, app: App, pressed: Pressed) -> None:
        self._store: Store = app.parts.store
        self._pressed = pressed

    async def command(self, name: str, verb: Label, *, by: str) -> Outcome:
        project_id, place = await self._store.read(_project_place, name)
        return await self._pressed(by, Press(verb, Subject.PROJECT, project_id), {}, place)

    async def decide(
        self, name: str, phase_id: int, verdict: Label, reason: str, *, by: str
    ) -> Outcome:
        if verdict is Label.REJECT and not reason.strip():
            hint = 'Send {"reason": "what is wrong"}.'
            raise InputError("A rejection needs a reason.", hint=hint)
        approval, place = await self._store.read(_gate, name, phase_id)
        values = {"reason": (reason,)} if reason else {}
        press = Press(verdict, Subject.GATE, approval)
        return await self._pressed(by, press, values, place)


def _place(tx: Session, project_id: int) -> Place:
    """Where the words about what was done over REST go: its first channel of the web chat."""
    places = (place for place, _root in projects.places_of(tx, project_id))
    web = (place for place in places if place.platform == web_chat.PLATFORM)
    return next(web, Place(web_chat.PLATFORM, MAIN))


def _project_place(tx: Session, name: str) -> tuple[int, Place]:
    project = projects.find(tx, name)
    return project.id, _place(tx, project.id)


def _gate(tx: Session, name: str, phase_id: int) -> tuple[int, Place]:
    """The phase's last decision: an open one, else the one that forbids another."""
    project = projects.find(tx, name)
    phases.phase(tx, project.id, phase_id)
    found = approvals.of_subject(tx, ApprovalKind.GATE, phase_id)
    if not found:
        raise StateError(
            "This phase is not at its gate.", hint="It opens when all its features have landed."
        )
    opened = (each for each in found if each.status is ApprovalStatus.OPEN)
    return next(opened, found[-1]).id, _place(tx, project.id)
