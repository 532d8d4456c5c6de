"""The router: deliveries in, effects and replies out.

A delivery is inserted first, and that is its acknowledgement. Then it is acted upon: an effect,
the reply to it and the mark that it is done are one transaction, so that a kill loses nothing and
repeats nothing. What was said in one channel takes effect in its order; channels do not wait for
each other, and nobody waits for a slow query.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, assert_never

from sqlalchemy.orm import Session

from bot.cards.formatting import cut
from bot.commands import calls, messages, presses, replies
from bot.commands.command import Call, CommandSpec, MissingValues, Operation, Reply, Services
from core.domain.people import Role
from core.domain.redaction import redacted
from core.errors import (
    AutocoderError,
    InputError,
    NotAllowed,
    NotFound,
    StateError,
    StorageFailed,
)
from core.operations import inbox, outbox
from core.operations.inbox import Received
from core.ports.chat import Asked, Heard, Inbound, Outcome, Pressed, Said
from core.views import places

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_Lane = tuple[str, str]  # platform and channel
_Settled = tuple[int, Outcome | None]  # which delivery, and what came of it
UNEXPECTED = "Something went wrong inside autocoder; nothing was changed."


@dataclass(frozen=True)
class _Item:
    """A delivery that is to be acted upon."""

    id: int  # 0: it is inserted by the transaction that acts upon it
    inbound: Inbound

    @property
    def lane(self) -> _Lane:
        return _lane(self.inbound)


@dataclass
class InboxTicket:
    """A delivery that is in the inbox."""

    item_id: int
    message: str | None
    known: Outcome | None  # where it was acted upon already
    router: "Router"

    async def outcome(self, within: float | None = None) -> Outcome | None:
        """What comes of it; None where that takes longer than `within` seconds."""
        found = self.known or await self.router.outcome(self.item_id, within)
        return redacted(found, self.router.services.parts.redact)


class Router:
    """Acts upon what is in the inbox, once each."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._store = services.parts.store
        self._arrived = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None  # of `run`
        self._taken = 0  # the last delivery that was put into its lane
        self._lanes: dict[_Lane, deque[_Item]] = {}
        self._waiting: dict[int, list[asyncio.Future[Outcome]]] = {}
        self.recovered = asyncio.Event()  # what an earlier life left open is in its lanes

    async def deliver(self, heard: Heard) -> InboxTicket:
        """Keep a delivery: it is acknowledged when this returns, and acted upon soon after.

        Whoever pressed waits, so where nothing else of its channel does, a press is inserted and
        acted upon in one transaction. A repeated delivery is told what the first one was.
        """
        heard = self._hidden(heard)
        if isinstance(heard, Inbound) and _lane(heard) not in self._lanes:
            effect = _effect_of(heard)
            if effect is not None:
                return await self._deliver_at_once(heard, effect)
        received = await self._received(heard)
        self.nudge()
        return InboxTicket(received.item_id, received.message, received.outcome, self)

    def _hidden(self, heard: Heard) -> Heard:
        """The same without secrets: what is made of it later need not be looked through."""
        if not isinstance(heard, Inbound):
            return lambda tx: self._without(heard(tx))
        return self._without(heard)

    def _without(self, inbound: Inbound) -> Inbound:
        hide = self.services.parts.redact.hide
        content, name = redacted(inbound.content, hide), redacted(inbound.name, hide)
        return replace(inbound, content=content, name=name)

    async def _deliver_at_once(self, inbound: Inbound, effect: "_Act") -> InboxTicket:
        item = _Item(0, inbound)
        item_id, outcome = await self._settled(item, partial(self._at_once, item, effect))
        if outcome is None:
            self.nudge()
        return InboxTicket(item_id, inbound.message, outcome, self)

    async def _received(self, heard: Heard) -> Received:
        return await self._store.run_first(inbox.receive, heard, now=self.services.parts.clock())

    async def _at_once(self, item: _Item, operation: "_Act") -> _Settled:
        """No outcome: it is in the inbox, and acted upon when its turn comes."""
        call = self._call(item)
        item_id, reply, outcome = await self._store.run_first(_take, call, item.inbound, operation)
        return item_id, self._done(reply, outcome)

    async def outcome(self, item_id: int, within: float | None = None) -> Outcome | None:
        """What came of a delivery, once it was acted upon; None: not within so many seconds."""
        with self._heard(item_id) as future, suppress(TimeoutError):
            async with asyncio.timeout(within):
                known = await self._store.read_first(inbox.outcome_of, item_id)
                return known or await future
        return None

    @contextmanager
    def _heard(self, item_id: int) -> Iterator[asyncio.Future[Outcome]]:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(item_id, []).append(future)
        try:
            yield future
        finally:
            waiting = self._waiting[item_id]
            waiting.remove(future)
            if not waiting:
                del self._waiting[item_id]

    def nudge(self) -> None:
        """Something may have come into the inbox."""
        self._arrived.set()

    async def run(self) -> None:
        """Act until cancelled; a failing disk ends it with StorageFailed."""
        async with asyncio.TaskGroup() as self._group:
            while True:
                self._arrived.clear()
                for number, inbound in await self._store.read_first(inbox.open_after, self._taken):
                    if number > self._taken:  # else a press was taken while this was read
                        self._taken = number
                        self._put(_Item(number, inbound), self._group)
                self.recovered.set()
                await self._arrived.wait()

    def _put(self, item: _Item, group: asyncio.TaskGroup) -> None:
        lane = self._lanes.get(item.lane)
        if lane is not None:
            lane.append(item)
            return
        self._lanes[item.lane] = deque([item])
        group.create_task(self._drive(item.lane, group))

    async def _drive(self, lane: _Lane, group: asyncio.TaskGroup) -> None:
        """One channel's deliveries, in their order; slow queries go on beside them."""
        items = self._lanes[lane]
        while items:
            item = items.popleft()
            command = _command_of(item.inbound)
            if command is not None and command.slow:
                group.create_task(self._act(item))
            else:
                await self._act(item)
        del self._lanes[lane]

    async def _act(self, item: _Item) -> None:
        _, outcome = await self._settled(item, partial(self._effect, item))
        if outcome is not None:
            self._tell(item, outcome)

    def _tell(self, item: _Item, outcome: Outcome) -> None:
        for future in self._waiting.get(item.id, ()):
            if not future.done():
                future.set_result(outcome)

    async def _settled(self, item: _Item, effect: Callable[[], Awaitable[_Settled]]) -> _Settled:
        """The door: whatever a delivery leads to ends here, as an outcome and maybe a card."""
        try:
            return await effect()
        except StorageFailed:
            raise
        except AutocoderError as problem:
            return await self._refused(item, problem)
        except Exception as problem:
            log.exception("delivery %s failed inside autocoder", item.id or item.inbound.delivery)
            words = cut(self.services.parts.redact(f"{type(problem).__name__}: {problem}"), 200)
            hint = f"The service's log has more: {words}"
            return await self._refused(item, AutocoderError(UNEXPECTED, hint=hint))

    async def _refused(self, item: _Item, problem: AutocoderError) -> _Settled:
        try:
            if not item.id:
                item = replace(item, id=(await self._received(item.inbound)).item_id)
            call = self._call(item)
            outcome = await self._store.run_first(_refused, call, item.inbound, problem)
        except StorageFailed:
            raise
        except Exception:
            # It stays open, so that a mended service hears it; the others go on.
            log.exception("delivery %s could not be refused", item.id or item.inbound.delivery)
            return item.id, Outcome(False, UNEXPECTED, "failed")
        self._tell(item, outcome)  # whoever delivered the same press meanwhile waits for it
        return item.id, outcome

    async def _effect(self, item: _Item) -> _Settled:
        inbound = item.inbound
        match inbound.content:
            case Asked():
                operation = await self._command(item, inbound.content)
            case Pressed():
                operation = await self._press(item, inbound.content)
            case Said():
                operation = await self._said(item, inbound.content)
            case _:
                assert_never(inbound.content)
        # The effect, its reply and the mark that it is done: one transaction.
        reply, outcome = await self._store.run_first(_perform, self._call(item), operation)
        return item.id, self._done(reply, outcome)

    async def _said(self, item: _Item, said: Said) -> "_Act":
        plain = not said.mention
        if said.files and not plain:  # in a thread of ours they are material
            here = await self._store.read_first(places.thread_project, item.inbound.place)
            plain = here is not None
        if plain:
            return partial(messages.said, said=said)
        messages.check_size(said.text, blank=True)
        asked = await self._store.read_first(calls.in_words, self._call(item), said.text)
        if asked is None:
            return partial(messages.begins_nothing, said=said)
        spec, rest = calls.meant(asked)
        if spec.confirm is None:
            return await self._command(item, asked)
        confirm = spec.confirm
        return lambda tx, call: confirm(tx, calls.prepared(tx, call, spec, rest))

    async def _command(self, item: _Item, asked: Asked) -> "_Act":
        messages.check_size(" ".join((asked.line, *(asked.values or {}).values())), blank=True)
        spec, asked = calls.meant(asked)
        if spec.execute is not None:
            execute = spec.execute
            return lambda tx, call: execute(tx, calls.prepared(tx, call, spec, asked))
        if spec.prepare is None:
            raise AutocoderError(f"{spec.name} does nothing.")
        call = await self._store.read_first(calls.prepared, self._call(item), spec, asked)
        return _fixed(await spec.prepare(call))

    async def _press(self, item: _Item, pressed: Pressed) -> "_Act":
        found = presses.resolve(pressed)
        if found.prepare is None:
            assert found.execute is not None
            return found.execute
        call = await self._store.read_first(calls.known, self._call(item))
        return _fixed(await found.prepare(call))

    def _done(self, reply: Reply | None, outcome: _T) -> _T:
        """What it began beside its transaction is taken up now that this is durable."""
        if reply is not None and reply.begun is not None:
            self.services.take_up(reply.begun)
        return outcome

    def _call(self, item: _Item) -> Call:
        inbound = item.inbound
        files = inbound.content.files if isinstance(inbound.content, Said) else ()
        return Call(
            item_id=item.id,
            person=inbound.person,
            role=Role.NONE,
            place=inbound.place,
            services=self.services,
            now=self.services.parts.clock(),
            files=files,
        )


_Act = Callable[[Session, Call], Reply]


def _lane(inbound: Inbound) -> _Lane:
    return inbound.place.platform, inbound.place.channel


def _fixed(found: Reply | Operation) -> _Act:
    if isinstance(found, Reply):
        reply = found
        return lambda _tx, _call: reply
    operation = found
    return lambda tx, _call: operation(tx)


def _command_of(inbound: Inbound) -> CommandSpec | None:
    """The command of a delivery, if it is one."""
    match inbound.content:
        case Asked() as asked:
            asked = replace(asked, line=asked.line[:200])
        case Said(mention=True, text=text):
            asked = Asked(text[:200])
        case _:
            return None
    try:
        return calls.meant(asked)[0]
    except InputError:
        return None


def _effect_of(inbound: Inbound) -> _Act | None:
    """What a press does, if it looks at nothing first."""
    if not isinstance(inbound.content, Pressed):
        return None
    try:
        return presses.resolve(inbound.content).execute
    except NotFound:
        return None


def _take(
    tx: Session, call: Call, inbound: Inbound, operation: _Act
) -> tuple[int, Reply | None, Outcome | None]:
    """Insert a delivery and act upon it, unless that is another's turn."""
    received = inbox.receive(tx, inbound, now=call.now)
    if not received.new or inbox.is_behind(tx, received.item_id):
        return received.item_id, None, received.outcome
    call = replace(call, item_id=received.item_id)
    return received.item_id, *_perform(tx, call, operation)


def _perform(tx: Session, call: Call, operation: _Act) -> tuple[Reply | None, Outcome]:
    earlier = inbox.outcome_of(tx, call.item_id)
    if earlier is not None:
        return None, earlier
    reply = operation(tx, calls.known(tx, call))
    outcome = Outcome(reply.ok, reply.said or reply.title or "Done.", reply.reason)
    _say(tx, call, reply)
    inbox.done(tx, call.item_id, outcome, now=call.now)
    return reply, outcome


def _refused(tx: Session, call: Call, inbound: Inbound, problem: AutocoderError) -> Outcome:
    """Nothing was changed: say why, to this person only, and keep that it was tried.

    A press that only lacks values is none of that: its form is opened, and nothing is posted.
    """
    earlier = inbox.outcome_of(tx, call.item_id)
    if earlier is not None:
        return earlier
    if isinstance(problem, MissingValues):
        outcome = Outcome(False, str(problem), reason_of(problem), problem.form)
        inbox.done(tx, call.item_id, outcome, now=call.now)
        return outcome
    reason = reason_of(problem)
    pressed = inbound.content if isinstance(inbound.content, Pressed) else None
    project = presses.project_of(tx, pressed.press) if pressed else None
    stale = project if reason == "stale" else None
    now = presses.standing(tx, stale) if stale else presses.Standing()
    scene = call.services.scene(call.now)
    reply = replies.error(problem, scene, reason=reason, instead=now.words, buttons=now.buttons)
    if pressed is not None or isinstance(problem, NotAllowed):
        what = pressed.press.encode() if pressed else "a command"
        inbox.refused(
            tx, call.person, what, str(problem), reason=reason,
            project_id=project.id if project else None, now=call.now,
        )  # fmt: skip
    if pressed is not None:
        presses.refresh(tx, pressed.press, now=call.now)
    _say(tx, call, replace(reply, project=project, links=now.links))
    outcome = Outcome(False, reply.said, reason)
    inbox.done(tx, call.item_id, outcome, now=call.now)
    return outcome


def _say(tx: Session, call: Call, reply: Reply) -> None:
    if not reply.title:
        return
    outbox.say(
        tx,
        call.place,
        replies.card_of(reply, call.item_id),
        private_to=call.person if reply.private else None,
        reply=inbox.load(tx, call.item_id).reply if reply.private else None,
        project_id=reply.project.id if reply.project else None,
        now=call.now,
    )


def reason_of(problem: AutocoderError) -> str:
    """The word a platform knows a refusal by."""
    match problem:
        case NotAllowed():
            return "not_allowed"
        case NotFound():
            return "unknown"
        case StateError():
            return "stale"
        case MissingValues():
            return "missing_values"
        case InputError():
            return "wrong_value"
        case _:
            return "failed"
