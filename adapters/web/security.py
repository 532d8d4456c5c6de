"""At the door of every request: Host, Origin, token, size; one shape for every error.

Loopback alone is no protection: a page from anywhere may send a browser here. So the Host must
be ours (against DNS rebinding), an Origin must be the Host's (against foreign pages), and every
path but health and metrics needs a token: as a Bearer, or for browsers as a cookie which the
printed URL sets and which counts for changes only with an Origin.
"""

import asyncio
import hmac
import ipaddress
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.web import pages
from adapters.web.backend import Backend
from core.domain.people import LOCAL
from core.views import members

OPEN = frozenset({"/healthz", "/readyz", "/metrics"})
OPEN_PREFIX = "/static/"  # style and script of the pages: nothing of anybody's
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
JSON_LIMIT = 4_000_000  # bytes: a message of the largest size, every character escaped
FILE_LIMIT = 25 * 1024 * 1024  # bytes of one file
_MULTIPART_ROOM = 64 * 1024  # boundaries and headers around a file
_DRAIN_LIMIT = 512 * 1024 * 1024  # so much of what is refused is read, so that a client hears why
_DRAIN_S = 2.0  # how long the next piece of it may take
PIECE_S = 20.0  # how long the next piece of a body may take
BODY_S = 300.0  # how long a whole body may take
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'self'; img-src 'self' data:; object-src 'none';"
    b" base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}


_SHAPES = "The shapes stand in /api/openapi.json."
_HINTS = {  # where nothing better is known
    400: _SHAPES,
    404: "The collection it would be in lists what there is.",
    409: "Look at how it stands now.",
    422: _SHAPES,
}
_WRONG_S = 0.25  # between two answers to wrong tokens
_WRONG_MOST = 20  # of them that wait


def trouble(
    status: int, error: str, message: str, hint: str = "", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    hint = hint or _HINTS.get(status, "The service's log says more.")
    body = {"error": error, "message": message, "hint": hint}
    return JSONResponse(body, status, headers=headers)


class TooLarge(HTTPException):
    """The body is larger than this path takes."""

    def __init__(self, limit: int, unit: str = "bytes") -> None:
        if limit > FILE_LIMIT:  # a file and what is around it: a person knows the file
            limit, unit = FILE_LIMIT // 2**20, "MB in one file"
        super().__init__(413, f"More than {limit:,} {unit} are not taken here.")


class TooSlow(HTTPException):
    """The body did not come in time."""

    def __init__(self) -> None:
        super().__init__(408, "The request's body did not come in time.", {"Connection": "close"})


class Security:
    """An ASGI application around the application; who asks is in `scope["person"]`."""

    def __init__(self, app: ASGIApp, backend: Backend) -> None:
        self._app = app
        self._read_first = backend.read_first
        self._redact = backend.redact
        self._token = backend.token.encode()
        self._host = backend.host.lower()
        self._one_wrong = asyncio.Lock()
        self._wrong = 0  # requests with a wrong token that wait for their answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        hardened = _hardened(_redacted(send, self._redact))
        answer = await self._refusal(scope, Headers(scope=scope))
        limit = body_limit(scope["path"])
        if answer is None and _announced(scope) > limit:
            if "expect" not in Headers(scope=scope):  # else nothing comes before it is asked for
                await _drain(receive)
            answer = _too_large(limit)
        if answer is not None:
            if answer.status_code >= 400 and pages.wants_page(Headers(scope=scope), scope["path"]):
                answer = pages.trouble_page(answer)
            await answer(scope, receive, hardened)
        else:
            await self._app(scope, _limited(receive, limit), hardened)

    async def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Why this request goes no further, or None; a token in a page's URL becomes a cookie."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return trouble(
                403, "foreign_host", "This Host is not this service's.",
                "Use 127.0.0.1 or localhost.",
            )  # fmt: skip
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != host.lower():
            return trouble(
                403, "foreign_origin", "Another site's page may not ask here.",
                "Open the web chat itself.",
            )  # fmt: skip
        path: str = scope["path"]
        if path in OPEN or path.startswith(OPEN_PREFIX):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown = next((value for key, value in query if key == "token"), None)
        if shown is not None and scope["method"] in SAFE and not path.startswith("/api/"):
            return await self._welcome(scope, shown, query)
        person = await self._person(scope, headers, origin)
        if person is None:
            answer = trouble(
                401, "no_token", "A token is needed, and none or a wrong one came.",
                "Send `Authorization: Bearer TOKEN` with the line of `web-token` in the home,"
                " or open the URL that `autocoder serve` printed.",
                {"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
            gave_one = "authorization" in headers or "cookie" in headers
            return await self._slowed(answer) if gave_one else answer
        scope["person"] = person
        return None

    def _is_ours(self, host: str) -> bool:
        if "@" in host:
            return False
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
            if name in ("localhost", self._host):
                return True
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # Bound to every address, it is reached by any of them; a name could be rebound.
        return address.is_loopback or self._host in ("0.0.0.0", "::")  # noqa: S104  # compared

    async def _person(self, scope: Scope, headers: Headers, origin: str | None) -> str | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme:
            return await self._whose(token.strip()) if scheme.lower() == "bearer" else None
        cookie = _cookie(headers, self._cookie_name(scope))
        if cookie is None or (scope["method"] not in SAFE and origin is None):
            return None
        return await self._whose(cookie)

    async def _whose(self, token: str) -> str | None:
        if not token or len(token) > 200:
            return None
        if hmac.compare_digest(token.encode("utf-8", "replace"), self._token):
            return LOCAL
        return await self._read_first(members.holder, token)

    async def _slowed(self, answer: Response) -> Response:
        """Wrong tokens are answered one after the other, so nobody tries many; right ones at once."""
        if self._wrong >= _WRONG_MOST:
            return trouble(
                429, "too_many_wrong_tokens", "Many wrong tokens came in a short time.",
                "Wait a few seconds, then use the token that `autocoder serve` printed.",
                {"Retry-After": "5"},
            )  # fmt: skip
        self._wrong += 1
        try:
            async with self._one_wrong:
                await asyncio.sleep(_WRONG_S)
        finally:
            self._wrong -= 1
        return answer

    async def _welcome(
        self, scope: Scope, token: str, query: list[tuple[str, str]]
    ) -> Response | None:
        if await self._whose(token) is None:
            answer = trouble(
                401, "wrong_token", "The token in this URL is not valid.",
                "Open the URL that `autocoder serve` printed last.",
            )  # fmt: skip
            return await self._slowed(answer)
        rest = urlencode([(key, value) for key, value in query if key != "token"])
        path = "/" + scope["path"].lstrip("/\\")  # two slashes would name another host
        onwards = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
        onwards.set_cookie(
            self._cookie_name(scope), token, max_age=365 * 86_400, httponly=True, samesite="strict"
        )
        return onwards

    def _cookie_name(self, scope: Scope) -> str:
        """One per port: cookies know no ports, and two services may run on one host.

        The port that the browser sees: a published one is not the one that is listened on.
        """
        return f"autocoder-{urlsplit('//' + Headers(scope=scope)['host']).port or 80}"


def body_limit(path: str) -> int:
    """Bytes that a request to this path may carry."""
    if path.startswith("/api/chat/") and path.endswith("/files"):
        return FILE_LIMIT + _MULTIPART_ROOM
    return JSON_LIMIT


def _too_large(limit: int) -> JSONResponse:
    error = TooLarge(limit)
    return trouble(413, "too_large", error.detail, "Send less.")


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return found.value if found else None


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if length.isdigit() else 0


async def _drain(receive: Receive) -> None:
    """A server that closes while a client sends cuts its answer off: read what comes, keep none."""
    seen = 0
    while seen < _DRAIN_LIMIT:
        try:
            async with asyncio.timeout(_DRAIN_S):
                message = await receive()
        except TimeoutError:
            return
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
        seen += len(message.get("body", b""))


def _limited(receive: Receive, limit: int) -> Receive:
    """A body that ends: not too large, and not too slow."""
    seen = 0
    whole = False
    late = asyncio.get_running_loop().time() + BODY_S

    async def counted() -> Message:
        nonlocal seen, whole
        if whole:  # what comes now is that the client goes
            return await receive()
        left = late - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(min(PIECE_S, left), 0)):
                message = await receive()
        except TimeoutError:
            raise TooSlow from None
        if message["type"] == "http.request":
            whole = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > limit:
                await _drain(receive)
                raise TooLarge(limit)
        return message

    return counted


def _hardened(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            extra = [item for item in _HEADERS.items() if item[0] not in present]
            date = (b"date", formatdate(usegmt=True).encode())
            message = {**message, "headers": [date, *message["headers"], *extra]}
        await send(message)

    return sending


def _redacted(send: Send, redact: Callable[[str], str]) -> Send:
    """No secret leaves in a whole answer; what is streamed is redacted by whoever makes it."""
    held: Message | None = None

    async def sending(message: Message) -> None:
        nonlocal held
        if message["type"] == "http.response.start" and _is_words(message):
            held = message
            return
        if held is not None and message["type"] == "http.response.body":
            start, held = held, None
            content = bytes(message.get("body", b""))
            if content and not message.get("more_body", False):
                clean = redact(content.decode("utf-8", "surrogateescape"))
                content = clean.encode("utf-8", "surrogateescape")
                start["headers"] = [
                    (name, b"%d" % len(content) if name.lower() == b"content-length" else value)
                    for name, value in start["headers"]
                ]
                message = {**message, "body": content}
            await send(start)
        await send(message)

    return sending


def _is_words(start: Message) -> bool:
    kind = next((value for name, value in start["headers"] if name.lower() == b"content-type"), b"")
    return any(word in kind for word in (b"json", b"html", b"svg"))
