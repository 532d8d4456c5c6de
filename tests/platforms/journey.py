"""A whole journey that any platform can play: from `new` to the report, by what a person does."""

from dataclasses import dataclass

from core.domain import card_keys
from core.views.waiting import Waiting, WaitKind
from tests.platforms.house import Seat

BEGIN = "/autocoder new todo-api"
ANSWERS = ("A REST API for to-do lists", "Quick")  # then it may decide


@dataclass
class Player:
    """Does what waits, once, at one seat."""

    seat: Seat
    answered: int = 0

    async def begin(self) -> None:
        await self.seat.say(BEGIN)

    async def act(self, wait: Waiting) -> None:
        """Decide, answer or let it be tried again, as a person would at their card."""
        match wait.kind:
            case WaitKind.PLAN | WaitKind.GATE:
                await self.seat.press(wait.key, "Approve")
            case WaitKind.STUCK:
                await self._retry(wait)
            case WaitKind.QUESTION if (wait.agent or "").startswith("interviewer"):
                await self._answer(wait)
            case WaitKind.QUESTION:
                root = card_keys.interview(wait.project.slug)
                await self.seat.say("Whatever is simplest", root=root)
            case WaitKind.BLOCKED:
                raise AssertionError(f"The project is blocked: {wait.text}")

    async def _retry(self, wait: Waiting) -> None:
        """With a larger model, while one is left."""
        try:
            await self.seat.press(wait.key, "Retry with Opus")
        except KeyError:
            await self.seat.press(wait.key, "Retry")

    async def _answer(self, wait: Waiting) -> None:
        number, self.answered = self.answered, self.answered + 1
        if number < len(ANSWERS):
            await self.seat.say(ANSWERS[number], root=card_keys.interview(wait.project.slug))
        else:
            await self.seat.press(wait.key, "Just decide")
