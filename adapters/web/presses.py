"""Presses over HTTP: those of cards, and those that a path stands for."""

import secrets
from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse

from adapters.web.dependencies import Within
from core.domain.cards import Form, Press
from core.ports.chat import Inbound, Outcome, Place, Pressed
from core.views.json import plain

_STATUS = {
    "stale": 409,
    "not_allowed": 403,
    "unknown": 404,
    "missing_values": 422,
    "wrong_value": 422,
    "failed": 500,
}
_HINTS = {
    "stale": "The newest card shows how it stands.",
    "not_allowed": "An admin gives roles: `/autocoder role USER ROLE`.",
    "unknown": "Look at the newest card.",
    "missing_values": "Fill in the form and press again.",
}


async def pressed(
    inside: Within,
    person: str,
    press: Press,
    place: Place,
    values: Mapping[str, tuple[str, ...]],
    client_id: str | None = None,
) -> Outcome:
    """What comes of a press; the same `client_id` again is told the same."""
    delivery = f"press:{person}:{client_id}" if client_id else secrets.token_hex(16)
    ticket = await inside.door.deliver(Inbound(delivery, person, place, Pressed(press, values)))
    outcome = await ticket.outcome()
    assert outcome is not None  # it is waited for without an end
    return outcome


def press_answer(outcome: Outcome) -> JSONResponse:
    """200, or what forbids it: a refused press is an error like every other one, and says more."""
    if outcome.ok:
        return JSONResponse({"ok": True, "text": outcome.text})
    refused: dict[str, Any] = {
        "ok": False,
        "reason": outcome.reason,
        "text": outcome.text,
        "error": outcome.reason,
        "message": outcome.text,
        "hint": _HINTS.get(outcome.reason, ""),
    }
    if outcome.reason == "missing_values":
        refused["form"] = plain(Form, outcome.form) if outcome.form else None
    return JSONResponse(refused, _STATUS.get(outcome.reason, 409))
