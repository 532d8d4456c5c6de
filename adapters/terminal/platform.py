"""The terminal as a chat platform: one person, one channel, an empty screen at the beginning."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from rich.text import Text

from adapters.terminal import render
from adapters.terminal.screen import Screen
from adapters.terminal.typed import meant, waits
from core.domain.cards import Automatic, Card, Label, Tone
from core.domain.events import CardKind
from core.errors import AutocoderError, StorageFailed
from core.ports.chat import (
    Asked,
    Content,
    Hearing,
    Inbound,
    MessageRef,
    Note,
    Pace,
    Place,
    PlatformState,
    Pressed,
    Said,
    State,
    content_of,
)

_LIVE = (CardKind.PROGRESS, CardKind.INTERVIEW)  # the first that stands is edited in place
_TOLD_ONCE = (CardKind.GATE, CardKind.QUESTION)  # of what is decided by itself
_ANSWERS = (CardKind.ANSWER, CardKind.ERROR, CardKind.HELP)  # to what was typed at a prompt
_LOOKING = (Label.DETAILS, Label.LOGS)  # presses that decide nothing
_OUTCOME_S = 10.0  # for a line; the next one is read then


class TerminalPlatform:
    """Prints what is posted, edits the live card in place, hears lines.

    `automatic` types for the person, who is asked nothing then: what it says of a card that waits.
    Words that are nothing else are said in the project's thread; where somebody `chats`, in the
    channel, and lines are read whether or not something waits.
    """

    name = "terminal"
    pace = Pace()
    state = State(PlatformState.OK)

    def __init__(
        self,
        screen: Screen,
        place: Place,
        person: str,
        *,
        called: str | None = None,
        automatic: Automatic | None = None,
        chats: bool = False,
    ) -> None:
        self.ended = asyncio.Event()  # the input
        self._screen = screen
        self._place = place
        self._person = person
        self._called = called
        self._automatic = automatic
        self._chats = chats
        self._eager = chats or screen.in_place
        self._life = uuid4().hex[:12]
        self._begun = asyncio.get_running_loop().time()
        self._thread: str | None = None
        self._messages: dict[tuple[str, str, int], MessageRef] = {}  # channel, key, again
        self._cards: dict[str, Card] = {}  # by message
        self._waiting: dict[str, Card] = {}  # of them, the newest last
        self._answered: set[str] = set()  # keys of cards whose edit is on its way
        self._live: dict[CardKind, Card] = {}
        self._known: set[str] = set()  # lines that were said for good
        self._below_whole = False  # what comes next stands below a card
        self._asked = asyncio.Event()
        self._prompted: Card | None = None
        self._spoken: asyncio.Queue[tuple[str, Card | None]] = asyncio.Queue()

    async def run(self, door: Hearing) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(door))
            while True:
                line, card = await self._spoken.get()
                await self._hear(door, line, card)
                self._spoken.task_done()

    async def check(self) -> Sequence[Note]:
        return ()

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
        known = self._messages.get((place.channel, card.key, again))
        if known is not None:
            await self.edit(known, card)
            return known
        message = f"{self._life}-{len(self._messages) + 1}"
        ref = MessageRef(self.name, place.channel, message, place.thread)
        self._messages[place.channel, card.key, again] = ref
        if card.kind is CardKind.INTERVIEW and place.thread is None and not self._chats:
            self._thread = message
        self._draw(ref, card, None)
        return ref

    async def edit(self, ref: MessageRef, card: Card, *, revision: int = 0) -> None:
        """What an earlier life posted stands on its screen as it was."""
        before = self._cards.get(ref.message)
        if before is not None:
            self._draw(ref, card, before)

    def show(self, card: Card) -> None:
        """Say something that is no message; what it says is not said again by others."""
        self._known |= set(render.notes(card))
        self._screen.show(lambda width: render.whole(card, width))
        self._below_whole = True

    async def quiet(self) -> None:
        """Until what is typed for the person was heard."""
        await self._spoken.join()

    def details(self) -> None:
        """More about the project, if there is one."""
        card = self._in_place()
        if card is not None and any(b.press.label is Label.DETAILS for b in card.buttons):
            self._spoken.put_nowait(("details", card))

    async def close(self) -> None:
        await self._screen.close()

    def _draw(self, ref: MessageRef, card: Card, before: Card | None) -> None:
        self._cards[ref.message] = card
        words = self._automatic(card) if self._automatic and waits(card) and not before else None
        once = card.kind in _TOLD_ONCE and self._automatic is not None
        if card.kind is CardKind.PROGRESS or (
            card.kind is CardKind.INTERVIEW and ref.thread is None
        ):
            self._draw_live(card, before)
        elif self._is_short(card, before):
            at, known = "" if self._chats else self._at(), self._known
            seen = before is not None and not once
            space = [Text()] * self._below_whole
            self._screen.show(
                lambda width: [*space, *render.in_one(card, width, at, known, seen=seen)]
            )
            self._below_whole = False
        elif before is None and not (words and once):
            self._screen.show(lambda width: render.whole(card, width, self._known))
            self._below_whole = True
        self._waiting.pop(ref.message, None)
        if waits(card) and card.key not in self._answered:
            self._waiting[ref.message] = card
        if words is not None:
            self._spoken.put_nowait((words, card))
        self._ask(again=card.kind in _ANSWERS)

    def _is_short(self, card: Card, before: Card | None) -> bool:
        """What is settled now, or says it all in a line, or was said by whoever builds here."""
        if card.kind in render.DECISIONS and not waits(card):
            return before is None or waits(before)
        spec = card.kind is CardKind.SPEC and not self._chats
        return before is None and (spec or render.is_line(card))

    def _draw_live(self, card: Card, before: Card | None) -> None:
        self._live[card.kind] = card
        if self._screen.in_place:
            self._screen.live(self._area)
        elif before is None or before.title != card.title:
            line = Text(f"  {render.one_line(card.fallback)}")
            self._screen.show(lambda width: [line])

    def _area(self, width: int, height: int) -> list[Text]:
        card = self._in_place()
        return render.live(card, width, height, self._known) if card else []

    def _in_place(self) -> Card | None:
        found = next((self._live[kind] for kind in _LIVE if kind in self._live), None)
        if found is None or found.tone is Tone.SUCCESS:
            return None
        state = found.body.partition("\n")[0]
        return replace(found, body=state) if found.kind is CardKind.INTERVIEW else found

    def _at(self) -> str:
        seconds = int(asyncio.get_running_loop().time() - self._begun)
        hours, minutes = divmod(seconds // 60, 60)
        tail = f"{minutes:02d}:{seconds % 60:02d}"
        return f"{hours}:{tail}" if hours else tail.removeprefix("0")

    def _ask(self, *, again: bool = False) -> None:
        """Say what may be typed, if that is another than before."""
        newest = None if self._automatic else next(reversed(self._waiting.values()), None)
        if newest is None:
            self._asked.clear()
        else:
            self._asked.set()
        if again or newest is not self._prompted:
            self._prompted = newest
            self._screen.prompt(newest)

    async def _read(self, door: Hearing) -> None:
        """One line when it is asked for, never ahead of a question."""
        while True:
            if not self._eager:
                await self._asked.wait()
            line = await self._screen.line()
            if line is None:
                self.ended.set()
                return
            await self._hear(door, line, None)

    async def _hear(self, door: Hearing, line: str, card: Card | None) -> None:
        """A line typed at a card that waits, or wherever somebody is."""
        if not line.strip():
            self._ask(again=True)
            return
        try:
            content, card = self._meant(line.strip(), card)
            place = Place(self._place.platform, self._place.channel, self._thread)
            inbound = Inbound(uuid4().hex, self._person, place, content, name=self._called)
            outcome = await (await door.deliver(inbound)).outcome(_OUTCOME_S)
        except StorageFailed:
            raise
        except AutocoderError as error:
            self._complain(f"{error} {error.hint}")
            return
        if outcome is not None and not outcome.ok and outcome.form is not None:
            self._complain(outcome.text)
        looked = isinstance(content, Pressed) and content.press.label in _LOOKING
        if card is not None and not looked and (outcome is None or outcome.ok):
            self._answered.add(card.key)
            self._waiting = {m: c for m, c in self._waiting.items() if c.key != card.key}
            self._ask()

    def _meant(self, line: str, card: Card | None) -> tuple[Content, Card | None]:
        """Raises InputError for what begins like a button's word and cannot be it."""
        if card is None:
            content = content_of(line)
            if isinstance(content, Asked) or content.mention:
                return content, None
        cards = [card] if card else list(reversed(self._waiting.values()))
        for each in cards:
            pressed = meant(each, line)
            if pressed is not None:
                return pressed, each
        return Said(line), None

    def _complain(self, words: str) -> None:
        line = Text.assemble(("■ ", render.MARKS["■"]), render.one_line(words))
        self._screen.show(lambda width: render.wrapped(line, width, hang=4))
        self._ask(again=True)
