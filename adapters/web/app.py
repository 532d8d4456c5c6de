"""The HTTP application: its routes, its errors, its door."""

import re
from collections.abc import Awaitable, Callable

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from adapters.web import admin_api, chat_api, pages, rest
from adapters.web.backend import Backend
from adapters.web.dependencies import Rails, Within, known_only
from adapters.web.security import Security, trouble
from adapters.web.shapes import TEXT_LIMIT, ErrorData
from adapters.web.stream import Hub
from core.errors import (
    AutocoderError,
    InputError,
    NotAllowed,
    NotFound,
    StateError,
    StorageFailed,
)
from core.ports.chat import Door

ROUTERS = (rest.open_routes, rest.routes, chat_api.routes, admin_api.routes, pages.routes)
_BY_STATUS = {
    400: ("malformed", "The request cannot be read."),
    404: ("not_found", "There is nothing at this path."),
    405: ("method_not_allowed", "This path does not take this method."),
    408: ("too_slow", "The request's body did not come in time."),
    413: ("too_large", "That is too much for this path."),
    422: ("wrong_value", "A value cannot be used."),
}
_PLAIN: dict[type[AutocoderError], str] = {InputError: "wrong_value", StateError: "conflict"}
_DOCUMENTED = (400, 401, 403, 404, 409, 413, 422)


def build(backend: Backend, door: Door, hub: Hub) -> ASGIApp:
    """The whole application; every text that leaves is redacted."""
    app = FastAPI(
        title="autocoder",
        summary="The local web chat and the REST API of a running autocoder.",
        version=backend.version,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={status: {"model": ErrorData} for status in _DOCUMENTED},
    )
    app.state.within = Within(door, backend, hub, Rails(door, backend.clock))
    for each in ROUTERS:
        app.include_router(each, dependencies=[Depends(known_only)])
    app.mount("/static", pages.static)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, _for_browsers(handler))
    return Security(app, backend)


async def _autocoder_error(_request: Request, error: Exception) -> Response:
    """Words of ours, with the status of their kind."""
    assert isinstance(error, AutocoderError)
    match error:
        case NotFound():
            status = 404
        case NotAllowed():
            status = 403
        case InputError():
            status = 422
        case StateError():
            status = 409
        case StorageFailed():
            status = 503
        case _:
            status = 500
    code = _PLAIN.get(type(error)) or _snake(type(error).__name__)
    return trouble(status, code, str(error), error.hint)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, words = _BY_STATUS.get(error.status_code, ("refused", "This was refused."))
    hint = "The paths stand in /api/openapi.json." if error.status_code in (404, 405) else ""
    if error.status_code == 413:
        words, hint = error.detail or words, "Send less."
    return trouble(error.status_code, code, words, hint, error.headers)


async def _validation_error(_request: Request, error: Exception) -> Response:
    """What pydantic found, the first of it, in a line; a body that is no JSON is malformed."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "string_too_long" and first["ctx"]["max_length"] == TEXT_LIMIT:
        return trouble(
            413, "too_large", f"More than {TEXT_LIMIT:,} characters are not taken here.",
            "Send less.",
        )  # fmt: skip
    if first["type"] == "json_invalid":
        return trouble(400, "malformed", "The body is not JSON.", "Send JSON in UTF-8.")
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    words = str(first["msg"])
    message = f"`{where}`: {words}." if where else f"{words}."
    return trouble(422, "wrong_value", message, "The shapes stand in /api/openapi.json.")


async def _unicode_error(_request: Request, _error: Exception) -> Response:
    return trouble(400, "malformed", "The text is not valid Unicode.", "Send JSON in UTF-8.")


async def _unexpected(_request: Request, error: Exception) -> Response:
    # Starlette raises it again after this answer, whereupon the server logs it.
    return trouble(
        500, "internal_error", f"Something inside autocoder went wrong: {type(error).__name__}.",
        "The log in the home says more.",
    )  # fmt: skip


_Handler = Callable[[Request, Exception], Awaitable[Response]]
_HANDLERS: dict[type[Exception], _Handler] = {
    AutocoderError: _autocoder_error,
    HTTPException: _http_error,
    RequestValidationError: _validation_error,
    UnicodeError: _unicode_error,
    Exception: _unexpected,
}


def _for_browsers(handler: _Handler) -> _Handler:
    """The same words as a page, where a browser asks for one."""

    async def handle(request: Request, error: Exception) -> Response:
        answer = await handler(request, error)
        return (
            pages.trouble_page(answer)
            if pages.wants_page(request.headers, request.url.path)
            else answer
        )

    return handle


def _snake(word: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).lower()
