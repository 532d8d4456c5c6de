"""What every way of running shares: a door for platforms, and the loops that act and tell."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import timedelta
from typing import Any

from bot.app import App
from bot.cards.rendering import RenderContext
from bot.checks.finding import Finding
from bot.commands.command import Services
from bot.delivery import Delivery, Notifier, Terms
from bot.door import ServiceDoor
from bot.router import Router
from bot.schedule import Schedule
from core.ports.chat import ChatPlatform

Check = Callable[[], Sequence[Finding]]
Loop = Callable[[], Coroutine[Any, Any, None]]


class Talk:
    """Router and door; and the cards of each platform."""

    def __init__(self, app: App, check: Check) -> None:
        self._app = app
        self.services = Services(
            parts=app.parts,
            settings=app.settings,
            practice=app.practice,
            activity=lambda: app.orchestrator.activity,
            check=check,
            take_up=app.orchestrator.add,
        )
        self.router = Router(self.services)
        self.door = ServiceDoor(self.services, self.router)

    def loops(
        self,
        platforms: Sequence[ChatPlatform],
        observed: Callable[[float], None] = lambda _seconds: None,
    ) -> Iterator[Loop]:
        """Each runs until it is cancelled."""
        parts, rules = self._app.parts, self._app.settings.rules
        interval = timedelta(seconds=rules.chat.edit_interval_s)
        yield self.router.run
        yield Notifier(parts.store, parts.wake, parts.clock).run
        yield Schedule(parts, self._app.settings).run
        for platform in platforms:
            terms = Terms(interval, parts.redact, observed)
            delivery = Delivery(parts.store, parts.wake, parts.clock, platform, self._scene, terms)
            yield delivery.run

    def _scene(self) -> RenderContext:
        return self.services.scene(self._app.parts.clock())
