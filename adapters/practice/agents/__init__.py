"""The agents the practice model plays: one module per kind.

A new kind is a module with `answer(talk) -> Reply` and a line in `_PLAYERS`.
"""

from collections.abc import Callable

from adapters.practice.agents import assistant, coder, interviewer, planner
from adapters.practice.conversation import Conversation, Reply

LABEL = "[practice] "

_PLAYERS: dict[str, Callable[[Conversation], Reply]] = {
    "assistant": assistant.answer,
    "interviewer": interviewer.answer,
    "planner": planner.answer,
    "coder": coder.answer,
}


def answer(talk: Conversation) -> Reply:
    """The answer to a request: the same for the same request, always."""
    if talk.kind is None:
        return Reply(f"{LABEL}This is the practice model. It only plays agents of autocoder.")
    player = _PLAYERS.get(talk.kind)
    if player is None:
        return Reply(f"{LABEL}The practice model does not play the {talk.kind} yet.")
    reply = player(talk)
    missing = [call.tool for call in reply.calls if talk.tool(call.tool) is None]
    if missing:
        return Reply(f"{LABEL}I need the tool {missing[0]} and was not given it, so I end here.")
    return Reply(f"{LABEL}{reply.text}", reply.calls)
