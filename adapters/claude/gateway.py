"""The only way to the model: counts, refuses, holds the credential.

One door per agent process: a unix socket that the box carries to its own loopback, or, where the
box has no network of its own, a loopback port. Through it only POST /v1/messages and
/v1/messages/count_tokens pass: batches, files and the rest would spend without being counted.

What the CLI (2.1.327) makes of a refusal, measured: 403 with `x-should-retry: false` ends its turn
after one request; 400 makes it ask six times with fewer features; 401 and 429 without that header
are repeated. With the header no status is repeated.
"""

import asyncio
import hmac
import io
import ipaddress
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp
from aiohttp import web

from adapters.claude.answers import (
    EventSplitter,
    UnendingEventError,
    UsageReader,
    error_message,
    event_data,
    overload_status,
    parse_object,
)
from core.errors import AutocoderError
from core.ports.agents import Ledger, LimitReport, Refusal

_MESSAGES = "/v1/messages"
_PATHS = {_MESSAGES, "/v1/messages/count_tokens"}
_LARGE = 1024**2
_LARGEST_REQUEST = 64 * 1024**2
_LARGEST_BODY = 64 * 1024**2
_LARGEST_ERROR = 1024**2
_LONGEST_SOCKET_PATH = 107
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_CREDENTIAL_HEADERS = {"x-api-key", "authorization"}
_NOT_ASKED_ON = _HOP_BY_HOP | {"host", "content-length", "accept-encoding", "cookie"}
_NOT_ANSWERED_ON = _HOP_BY_HOP | {"content-length", "content-encoding", "set-cookie"}
_OURS_TO_WAIT = {401, 403, 429, 529}  # the CLI shall not repeat these by itself


class CredentialKind(StrEnum):
    """Each is the environment variable that holds it, for the operator and for the CLI.

    The CLI gets a placeholder in the same variable, since it speaks differently with each (with
    an OAuth token it adds a beta header and its own first system block).
    """

    API_KEY = "ANTHROPIC_API_KEY"  # sent as x-api-key
    AUTH_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - sent as Authorization: Bearer
    OAUTH_TOKEN = "CLAUDE_CODE_OAUTH_TOKEN"  # noqa: S105 - sent as Authorization: Bearer


@dataclass(frozen=True)
class Credential:
    """What the operator pays with. It never leaves the gateway."""

    kind: CredentialKind
    value: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        if self.kind is CredentialKind.API_KEY:
            return {"x-api-key": self.value}
        return {"Authorization": f"Bearer {self.value}"}


@dataclass
class Door:
    """One agent process's way through the gateway, and what happened there."""

    process_id: str
    placeholder: str = field(repr=False)  # the credential the CLI has; another is turned away
    socket: Path | None = None
    port: int | None = None
    last_activity: float = 0.0  # event loop's time of the last byte in either direction
    requests: int = 0
    refusal: Refusal | None = None  # why the ledger last refused, until `reset`
    limit: LimitReport | None = None  # the last 429 or 529, until `reset`
    trouble: str | None = None  # why an answer could not be booked, until `reset`
    answers: int = 0
    runner: web.ServerRunner | None = None
    writing: set[asyncio.Task[None]] = field(default_factory=set)  # rows on their way

    def reset(self) -> None:
        """Forget refusals: another run begins."""
        self.refusal = self.limit = self.trouble = None


class Gateway:
    """Serves doors. `upstream` may be set anew at any time (a practice model that restarted).

    Proxies in the environment are used for upstreams that are not on loopback, never for others.
    No limit on the whole time of a request; `connect_s` and `idle_s` (between bytes) are limits.
    """

    def __init__(
        self,
        ledger: Ledger,
        runtime: Path,
        upstream: str,
        credential: Credential | None,
        *,
        connect_s: float = 30,
        idle_s: float = 300,
    ) -> None:
        self.upstream = upstream.rstrip("/")
        self.credential = credential
        self._ledger = ledger
        self._runtime = runtime
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=idle_s)
        self._patient = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_s, sock_read=2 * idle_s
        )
        self._client: aiohttp.ClientSession | None = None
        self._doors: dict[str, Door] = {}

    async def open(self, process_id: str, *, tcp: bool = False) -> Door:
        """A door for this process, on a socket in the runtime folder, or on a loopback port."""
        door = Door(process_id, secrets.token_urlsafe(24))
        door.last_activity = asyncio.get_running_loop().time()

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(door, request)

        server = web.Server(
            handle,
            handler_cancellation=True,
            access_log=None,
            max_field_size=64 * 1024,
            max_line_size=64 * 1024,
        )
        door.runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await door.runner.setup()
        if tcp:
            await web.TCPSite(door.runner, "127.0.0.1", 0).start()
            door.port = door.runner.addresses[0][1]
        else:
            self._runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
            door.socket = self._runtime / f"{process_id}.sock"
            if len(str(door.socket).encode()) > _LONGEST_SOCKET_PATH:
                raise AutocoderError(f"The socket path {door.socket} is too long for a socket.")
            door.socket.unlink(missing_ok=True)
            await web.UnixSite(door.runner, door.socket).start()
        self._doors[process_id] = door
        return door

    async def shut(self, door: Door) -> None:
        """Close a door: what is in flight is cancelled, rows on their way are written."""
        self._doors.pop(door.process_id, None)
        if door.runner is not None:
            await door.runner.cleanup()
        if door.writing:
            await asyncio.wait(door.writing)
        if door.socket is not None:
            door.socket.unlink(missing_ok=True)

    async def close(self) -> None:
        for door in list(self._doors.values()):
            await self.shut(door)
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                max_field_size=64 * 1024,
                max_line_size=64 * 1024,
                read_bufsize=256 * 1024,
            )
        return self._client

    async def _handle(self, door: Door, request: web.BaseRequest) -> web.StreamResponse:
        _touch(door)
        if request.method != "POST" or request.path not in _PATHS:
            return _error(404, "not_found_error", "autocoder passes model requests only.")
        if not hmac.compare_digest(_given(request.headers), door.placeholder):
            return _error(401, "authentication_error", "This is another agent's door.")
        body = await _read(request, _LARGEST_REQUEST)
        _touch(door)
        if body is None:
            return _error(413, "request_too_large", "The request is larger than 64 MB.")
        try:
            refusal = await self._ledger.admit(door.process_id)
        except AutocoderError as error:
            door.trouble = str(error)
            return _error(503, "api_error", f"autocoder: {error}")
        if refusal is not None:
            door.refusal = refusal
            return _error(403, "permission_error", f"autocoder: {refusal.text}")
        door.requests += 1
        asked = parse_object(body) or {}
        try:
            async with self._session().post(
                self.upstream + request.path_qs,
                data=_payload(body),
                headers=self._headers(request.headers),
                allow_redirects=False,
                timeout=self._timeout if asked.get("stream") else self._patient,
                proxy=_proxy(self.upstream),
            ) as answer:
                return await self._answer(door, request, asked, answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            if request.transport is None or request.transport.is_closing():
                raise
            words = str(error) or type(error).__name__
            return _error(502, "api_error", f"The model server is not reached: {words}", retry=True)

    def _headers(self, given: Mapping[str, str]) -> dict[str, str]:
        """The CLI's headers, with our credential instead of the placeholder.

        `identity` keeps the answer readable as it comes; without a credential (practice model)
        the placeholder goes on.
        """
        dropped = _NOT_ASKED_ON | (_CREDENTIAL_HEADERS if self.credential else set())
        passed = {name: value for name, value in given.items() if name.lower() not in dropped}
        if self.credential is not None:
            passed |= self.credential.headers()
        return passed | {"Accept-Encoding": "identity"}

    async def _answer(
        self,
        door: Door,
        request: web.BaseRequest,
        asked: Mapping[str, object],
        answer: aiohttp.ClientResponse,
    ) -> web.StreamResponse:
        _touch(door)
        if 300 <= answer.status < 400:
            return _error(502, "api_error", "The model server redirects; that is not followed.")
        if answer.status >= 400:
            return await self._failed(door, answer)
        model = asked.get("model")
        usage = UsageReader(
            model if isinstance(model, str) else "unknown",
            f"local-{door.process_id}-{door.requests}",
        )
        if answer.content_type == "text/event-stream":
            counted = request.path == _MESSAGES
            return await self._stream(door, request, answer, usage if counted else None)
        body = await _read_answer(door, answer, _LARGEST_BODY)
        if body is None:
            return _error(502, "api_error", "The model server's answer is larger than 64 MB.")
        message = parse_object(body)
        if request.path == _MESSAGES and message is not None and "usage" in message:
            usage.message(message, final=True)
            if not await self._book(door, usage):
                return _error(503, "api_error", f"autocoder: {door.trouble}")
        return web.Response(
            status=answer.status, headers=_passed_on(answer.headers), body=_payload(body)
        )

    async def _failed(self, door: Door, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        body = await _read_answer(door, answer, _LARGEST_ERROR)
        if body is None:
            body = b""
        if answer.status in {429, 529}:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            await self._limited(door, LimitReport(answer.status, headers, error_message(body)))
        passed = _passed_on(answer.headers)
        if answer.status in _OURS_TO_WAIT:
            passed["x-should-retry"] = "false"
        return web.Response(status=answer.status, headers=passed, body=body)

    async def _stream(
        self,
        door: Door,
        request: web.BaseRequest,
        answer: aiohttp.ClientResponse,
        usage: UsageReader | None,
    ) -> web.StreamResponse:
        """Pass events on as they are whole; the end of a message only once it is booked."""
        response = web.StreamResponse(status=answer.status, headers=_passed_on(answer.headers))
        await response.prepare(request)
        splitter = EventSplitter()
        booked = False
        try:
            async for chunk in answer.content.iter_any():
                _touch(door)
                ready = b""
                for event in splitter.feed(chunk):
                    if (
                        usage is not None
                        and not booked
                        and await self._read_event(door, event, usage)
                    ):
                        if ready:
                            await response.write(ready)
                            ready = b""
                        if not await self._book(door, usage):
                            return _cut(request, response)
                        booked = True
                    ready += event
                if ready:
                    await response.write(ready)
            rest = splitter.rest()
            if usage is not None and not booked:
                await self._read_event(door, rest, usage)
                if usage.seen and not await self._book(door, usage):
                    return _cut(request, response)
            await response.write(rest)
            await response.write_eof()
        except (aiohttp.ClientError, TimeoutError, UnendingEventError):
            return _cut(request, response)
        return response

    async def _read_event(self, door: Door, event: bytes, usage: UsageReader) -> bool:
        """Take in one event; True when the message's usage is final and shall be booked now.

        Final is the delta that names a stop reason; after one without, the end of the message.
        """
        data = event_data(event)
        if data is None:
            return False
        match data.get("type"):
            case "message_start":
                usage.message(data.get("message"), final=False)
            case "message_delta":
                usage.delta(data)
                delta = data.get("delta")
                return isinstance(delta, dict) and bool(delta.get("stop_reason"))
            case "message_stop":
                return usage.seen
            case "error":
                status = overload_status(data)
                if status is not None:
                    report = LimitReport(status, {}, error_message(json.dumps(data).encode()))
                    await self._limited(door, report)
            case _:
                pass
        return False

    async def _book(self, door: Door, usage: UsageReader) -> bool:
        """Write the usage row; a client that hangs up meanwhile does not stop it."""

        async def write() -> None:
            await self._ledger.book(door.process_id, usage.usage())
            await self._ledger.answered(door.process_id)

        task = asyncio.create_task(write())
        door.writing.add(task)
        task.add_done_callback(door.writing.discard)
        try:
            await asyncio.shield(task)
        except AutocoderError as error:
            door.trouble = str(error)
            return False
        door.answers += 1
        door.limit = None
        return True

    async def _limited(self, door: Door, report: LimitReport) -> None:
        door.limit = report
        try:
            await self._ledger.limited(door.process_id, report)
        except AutocoderError as error:
            door.trouble = str(error)


def _touch(door: Door) -> None:
    door.last_activity = asyncio.get_running_loop().time()


def _given(headers: Mapping[str, str]) -> str:
    bearer = headers.get("Authorization", "")
    return headers.get("x-api-key") or bearer.removeprefix("Bearer ").strip()


def _error(status: int, kind: str, message: str, *, retry: bool = False) -> web.Response:
    return web.json_response(
        {"type": "error", "error": {"type": kind, "message": message}},
        status=status,
        headers={} if retry else {"x-should-retry": "false"},
    )


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_ANSWERED_ON}


def _cut(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """Break the connection, as the model server's broke: the CLI must not take it for an end."""
    if request.transport is not None:
        request.transport.abort()
    return response


def _payload(body: bytes) -> bytes | io.BytesIO:
    """A large body is sent piece by piece, so that it does not hold up the other doors."""
    return body if len(body) < _LARGE else io.BytesIO(body)


async def _read(request: web.BaseRequest, limit: int) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            return None
        parts.append(chunk)
    return b"".join(parts)


async def _read_answer(door: Door, answer: aiohttp.ClientResponse, limit: int) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        _touch(door)
        size += len(chunk)
        if size > limit:
            return None
        parts.append(chunk)
    return b"".join(parts)


def _proxy(url: str) -> str | None:
    """The proxy from the environment, unless the host is this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return None
    if host == "localhost" or proxy_bypass(host):
        return None
    return getproxies_environment().get(parts.scheme)
