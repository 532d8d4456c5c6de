"""A client of the running service, for commands that talk to it: HTTP on loopback."""

import http.client
import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from bot.data.service_info import TOKEN, service_info
from core.errors import AutocoderError, InputError, NotAllowed, NotFound, StateError

_TIMEOUT_S = 40
_BACKUP_S = 3600
_ERRORS: dict[int, type[AutocoderError]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: StateError,
}


class Client:
    """Speaks as the holder of the home's token."""

    def __init__(self, home: Path) -> None:
        """Raises StateError when no service runs in the home."""
        where = service_info(home)
        self._address = (urlsplit(where.url).hostname or "127.0.0.1", where.port)
        self._headers = {"Authorization": f"Bearer {(home / TOKEN).read_text().strip()}"}

    def say(self, channel: str, text: str, *, thread: int | None = None) -> int:
        """The id of the message, which is durable then."""
        body = {"text": text, "thread": thread, "client_id": secrets.token_hex(8)}
        return int(self._ask("POST", f"/api/chat/{quote(channel)}/messages", body)["id"])

    def outcome(self, channel: str, message: int, *, wait: float) -> dict[str, Any]:
        path = f"/api/chat/{quote(channel)}/messages/{message}/outcome?wait={wait:g}"
        return self._ask("GET", path)

    def press(
        self, message: int | None, action: str, values: Mapping[str, list[str]]
    ) -> dict[str, Any]:
        body = {"message_id": message, "action_id": action, "values": values}
        return self._ask("POST", "/api/chat/presses", body, also=(403, 404, 409, 422))

    def newest(self, channel: str, limit: int) -> dict[str, Any]:
        """The newest messages, and from where a stream goes on."""
        return self._ask("GET", f"/api/chat/{quote(channel)}/messages?newest=true&limit={limit}")

    def thread(self, channel: str, root: int, limit: int) -> dict[str, Any]:
        """The newest messages of a thread."""
        return self._ask("GET", f"/api/chat/{quote(channel)}/messages?thread={root}&limit={limit}")

    def backup(self, target: Path) -> int:
        """Have the service copy its database into a new file; the copy's bytes."""
        body = {"path": str(target)}
        return int(self._ask("POST", "/api/database/backup", body, timeout=_BACKUP_S)["bytes"])

    def stream(self, channel: str, since: int) -> Iterator[dict[str, Any]]:
        """Messages as they are posted and edited, until the service ends it."""
        connection = http.client.HTTPConnection(*self._address)
        try:
            path = f"/api/chat/{quote(channel)}/stream?since={since}"
            connection.request("GET", path, headers=self._headers)
            with connection.getresponse() as response:
                for line in response:
                    if line.startswith(b"data: "):
                        yield json.loads(line.removeprefix(b"data: "))
        except (OSError, http.client.HTTPException) as error:
            raise StateError(f"The service is gone: {error}.") from error
        finally:
            connection.close()

    def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        also: tuple[int, ...] = (),
        timeout: float = _TIMEOUT_S,
    ) -> dict[str, Any]:
        connection = http.client.HTTPConnection(*self._address, timeout=timeout)
        try:
            content = None if body is None else json.dumps(body)
            headers = {**self._headers, "Content-Type": "application/json"}
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            found = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise StateError(f"The service does not answer: {error}.") from error
        finally:
            connection.close()
        if response.status < 400 or (response.status in also and "ok" in found):
            return dict(found)
        kind = _ERRORS.get(response.status, InputError)
        raise kind(str(found.get("message", "")), hint=str(found.get("hint", "")))
