"""What goes wrong between the service and a platform, whatever platform it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.domain.cards import Card
from core.errors import ChatAway, ChatBusy, PlaceRefused
from core.ports.chat import ChatPlatform, Door, MessageRef, Note, Pace, Place, State


@dataclass
class Weather:
    """Calls fail before their effect, or their answers are lost after it."""

    away: bool = False
    lose: int = 0  # answers of the next calls
    busy: list[float] = field(default_factory=list)  # seconds that each of the next calls is told
    refused: dict[str, PlaceRefused] = field(default_factory=dict)  # by channel


class Faulty:
    """A platform as it is, behind a line that breaks; it counts what it is asked to do."""

    def __init__(self, platform: ChatPlatform) -> None:
        self.platform = platform
        self.weather = Weather()
        self.calls: list[tuple[str, str]] = []  # post or edit, and the card's key
        self.name = platform.name
        self.pace: Pace = platform.pace

    @property
    def state(self) -> State:
        return self.platform.state

    async def run(self, door: Door) -> None:
        await self.platform.run(door)

    async def check(self) -> Sequence[Note]:
        return await self.platform.check()

    async def post(
        self,
        place: Place,
        card: Card,
        *,
        private_to: str | None = None,
        reply: str | None = None,
        again: int = 0,
        revision: int = 0,
    ) -> MessageRef:
        self._before("post", place.channel, card)
        ref = await self.platform.post(
            place, card, private_to=private_to, reply=reply, again=again, revision=revision
        )
        self._after()
        return ref

    async def edit(self, ref: MessageRef, card: Card, *, revision: int = 0) -> None:
        self._before("edit", ref.channel, card)
        await self.platform.edit(ref, card, revision=revision)
        self._after()

    def _before(self, call: str, channel: str, card: Card) -> None:
        self.calls.append((call, card.key))
        if self.weather.away:
            raise ChatAway
        if self.weather.busy:
            raise ChatBusy(retry_after=self.weather.busy.pop(0))
        if channel in self.weather.refused:
            raise self.weather.refused[channel]

    def _after(self) -> None:
        if self.weather.lose:
            self.weather.lose -= 1
            raise ChatAway("The answer was lost.")
