"""What strangers send to the door, and what must never come out of it."""

import json
import re
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import pytest

from tests.stories.service import Client, House, Listener, Running, wait_until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with House(tmp_path_factory.mktemp("strangers") / "home").running() as running:
        yield running


# --- What nobody should send -------------------------------------------------------------------

ODD: dict[str, object] = {
    "blank": "",
    "spaces": " \t\n",
    "unseen": "\u200b\u200d\u2060",
    "a NUL": "\x00",
    "control characters": "\x07\x1b[31m\x1b]0;t\x07",
    "a lone surrogate": "a\ud800b",
    "turned around": "\u202eabc",
    "100,001": "x" * 100_001,
    "200,000": "x" * 200_000,
    "a number": 7,
    "a huge number": 10**400,
    "below all numbers": -(10**30),
    "no number": float("nan"),
    "endless": float("inf"),
    "nothing": None,
    "a bool": True,
    "a list": ["a", None, {"b": 1}],
    "an object": {"a": {"b": ["c"]}},
}
FIELDS: list[tuple[str, str, dict[str, object]]] = [
    ("/api/chat/odd/messages", "text", {}),
    ("/api/chat/odd/messages", "thread", {"text": "x"}),
    ("/api/chat/odd/messages", "files", {"text": "x"}),
    ("/api/chat/odd/messages", "client_id", {"text": "x"}),
    ("/api/chat/odd/messages", "unknown", {"text": "x"}),
    ("/api/chat/presses", "action_id", {}),
    ("/api/chat/presses", "message_id", {"action_id": "pause:project:9"}),
    ("/api/chat/presses", "values", {"action_id": "reject:plan:9"}),
    ("/api/chat/presses", "client_id", {"action_id": "pause:project:9"}),
    ("/api/members", "user", {"role": "viewer"}),
    ("/api/members", "role", {"user": "web:odd"}),
    ("/api/projects/nobody/phases/1/reject", "reason", {}),
]


@pytest.mark.parametrize(("path", "name", "rest"), FIELDS)
def test_no_value_of_a_field_breaks_a_route(
    service: Running, path: str, name: str, rest: dict[str, object]
) -> None:
    """Taken, or refused in words; never an answer without either, and never a silence."""
    for what, value in ODD.items():
        raw = json.dumps({**rest, name: value}).encode()
        answer = service.admin.post(path, raw=raw, headers={"Content-Type": "application/json"})
        assert answer.status in (201, 400, 404, 413, 422), (what, answer.body)
        if answer.status != 201:
            assert answer.json.keys() >= {"error", "message", "hint"}, (what, answer.body)
        if what in ("100,001", "200,000"):
            assert answer.status in (413, 422), what
    assert service.stranger.get("/healthz").status == 200


JSON = "application/json"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", JSON, 422),
        (b"{", JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b'{"text":' + b"[" * 50_000 + b"]" * 50_000 + b"}", JSON, 400),
        (b'{"text":"x","thread":' + b"9" * 10_000 + b"}", JSON, 400),
        (b'{"text":"\xff"}', JSON, 400),
        ('{"text":"ä"}'.encode("latin-1"), JSON, 400),
        (b'{"text":"first","text":"last"}', JSON, 201),
        (b'{"text":"x","surprise":1}', JSON, 422),
        (b'{"text":"x"}', "text/plain", 422),
        (b"text=x", "application/x-www-form-urlencoded", 422),
        (b"<text>x</text>", "application/xml", 422),
        (b'{"text":"x"}', "\xff", 422),
        (b'{"text":"x"}', "", 422),
    ],
)
def test_a_body_is_json_or_refused(service: Running, body: bytes, kind: str, status: int) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = service.admin.post("/api/chat/odd/messages", raw=body, headers=headers)
    assert answer.status == status, answer.body
    if status != 201:
        assert set(answer.json) == {"error", "message", "hint"}


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fapp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/",
        "/api/files/../../web-token",
        "/api/files/..%2f..%2fweb-token",
        "/api/files/%2e%2e",
        "/api/files/00",
        "/api/pictures/plan/..%2f..%2fweb-token.svg",
        "/api/pictures/plan/9.svg",
        "/api/pictures/month/9.svg",
        "/api/pictures/month/0.svg?until=yesterday",
        "/api/pictures/week/0.svg?until=0001-01-01",
        "/api/pictures/days/0.svg",
        "/c/%2e%2e",
        "/ui/messages/9999",
        "/api/projects/%00",
        "/api/projects/a%0d%0aX-Evil:1",
    ],
)
def test_no_path_leads_out(service: Running, path: str) -> None:
    answer = service.admin.get(path)
    assert answer.status in (400, 404, 422), answer.body
    assert set(answer.json) == {"error", "message", "hint"}
    assert service.admin.token is not None
    assert service.admin.token.encode() not in answer.body
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 400_000 + b"\r\n\r\n", 400),
        (b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", 400),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 403),
        (b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n", 200),
        (b"GET /api/projects HTTP/1.0\r\nHost: localhost\r\n\r\n", 401),
    ],
)
def test_odd_http_is_answered_in_the_same_shape(service: Running, sent: bytes, status: int) -> None:
    with socket.create_connection(address(service), timeout=20) as connection:
        connection.sendall(sent)
        answer = HTTPResponse(connection)
        answer.begin()
        assert answer.status == status
        found = json.loads(answer.read())
    assert set(found) == ({"status"} if status == 200 else {"error", "message", "hint"})


def address(service: Running) -> tuple[str, int]:
    return "127.0.0.1", int(service.where["port"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "[::1"},
        {"Host": "evil@127.0.0.1"},
        {"Host": "127.0.0.1@evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "2130706433"},
        {"Host": ""},
        {"Origin": "http://[::1"},
        {"Origin": ""},
        {"Origin": "file://"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_a_name_that_only_looks_like_ours_is_foreign(
    service: Running, headers: dict[str, str]
) -> None:
    answer = service.admin.get("/api/projects", headers=headers)
    assert answer.status == 403
    assert answer.json["error"] in ("foreign_host", "foreign_origin")


@pytest.mark.parametrize("given", ["Basic x", "Bearer", "Bearer ", "Bearer \xe4", "x" * 9_000])
def test_no_other_authorization_is_one(service: Running, given: str) -> None:
    answer = service.stranger.get("/api/projects", headers={"Authorization": given})
    assert answer.status == 401


# --- Who may what --------------------------------------------------------------------------------

NEEDED: list[tuple[str, str, object, str]] = [  # the least role of each route
    ("GET", "/api/projects", None, "viewer"),
    ("GET", "/api/members", None, "viewer"),
    ("GET", "/api/chat", None, "viewer"),
    ("GET", "/api/chat/main/messages", None, "viewer"),
    ("GET", "/api/usage", None, "viewer"),
    ("GET", "/api/usage/settings", None, "viewer"),
    ("GET", "/api/files/00", None, "viewer"),
    ("GET", "/api/pictures/plan/9.svg", None, "viewer"),
    ("GET", "/search", None, "viewer"),
    ("POST", "/api/chat/main/files", {}, "viewer"),
    ("POST", "/api/projects/nobody/pause", {}, "operator"),
    ("POST", "/api/projects/nobody/stop", {}, "operator"),
    ("POST", "/api/projects/nobody/phases/1/approve", {}, "approver"),
    ("POST", "/api/projects/nobody/phases/1/reject", {"reason": "x"}, "approver"),
    ("POST", "/api/members", {"user": "web:eve", "role": "admin"}, "admin"),
]
ROLES = ["none", "viewer", "operator", "approver", "admin"]


def test_each_route_asks_for_its_role(service: Running) -> None:
    people = {role: service.member(f"a-{role}", role) for role in ROLES[1:]}
    people["none"] = service.member("a-none", "viewer")
    done(service.admin, "/autocoder role web:a-none none")
    for method, path, body, needed in NEEDED:
        assert service.stranger.ask(method, path, body).status == 401, path
        for role in ROLES:
            status = people[role].ask(method, path, body).status
            allowed = ROLES.index(role) >= ROLES.index(needed)
            assert (status == 403) is not allowed, (method, path, role, status)


def done(client: Client, line: str, channel: str = "main") -> dict[str, Any]:
    """What came of a line, once its answers stand."""
    said = client.say(line, channel).json["id"]
    found = client.get(f"/api/chat/{channel}/messages/{said}/outcome?wait=30").json
    assert found["done"], found
    return dict(found)


def test_a_press_asks_for_its_role_and_leaves_a_trace(service: Running) -> None:
    viewer = service.member("presser", "viewer")
    for action in ("approve:plan:1", "pause:project:1", "raise_budget:budget:1", "retry:task:1"):
        answer = viewer.post("/api/chat/presses", {"action_id": action})
        assert (answer.status, answer.json["reason"]) == (403, "not_allowed"), action
        assert "viewer" in answer.json["text"]


def test_a_role_that_is_taken_away_is_gone_at_once(service: Running) -> None:
    gone = service.member("gone", "admin")
    assert gone.get("/api/members").status == 200
    done(service.admin, "/autocoder role web:gone none")
    assert gone.get("/api/members").status == 403
    assert gone.upload("x.txt", b"x").status == 403
    refused = done(gone, "/autocoder role web:gone admin")
    assert (refused["ok"], refused["reason"]) == (False, "not_allowed")
    assert done(gone, "/autocoder help")["ok"]


def test_a_claim_code_makes_one_admin_once(service: Running) -> None:
    printed = re.search(r"/autocoder claim ([0-9a-f]+)", service.out.read_text())
    assert printed is not None
    code = printed[1]
    assert len(code) >= 16  # nobody guesses 64 bits
    first, second = (service.member(name, "viewer") for name in ("first", "second"))
    guesser = service.member("guesser", "viewer")
    done(service.admin, "/autocoder role web:guesser none")
    for guess in range(10):
        assert "not valid" in done(guesser, f"/autocoder claim {guess}")["text"]
    refused = done(guesser, f"/autocoder claim {code}")
    assert (refused["ok"], refused["reason"]) == (False, "not_allowed")
    assert "10 wrong codes" in refused["text"]
    done(service.admin, "/autocoder role web:first none")
    for wrong in ("0" * len(code), "*", f"{code}0", "' OR 1=1 --"):
        assert not done(first, f"/autocoder claim {wrong}")["ok"]
    assert done(first, f"/autocoder claim {code}")["ok"]
    assert first.get("/api/members").status == 200
    assert not done(second, f"/autocoder claim {code}")["ok"]
    assert second.post("/api/members", {"user": "web:eve", "role": "admin"}).status == 403


# --- What is private -----------------------------------------------------------------------------


def test_what_is_private_is_seen_by_nobody_else(service: Running) -> None:
    """Not by list, thread, stream, page, search, nor by asking what came of a message."""
    author, other = (service.member(name, "viewer") for name in ("author", "other"))
    stream = Listener(other, "private")
    said = author.say("/autocoder nwe secretword", "private").json["id"]
    mine = author.get(f"/api/chat/private/messages/{said}/outcome?wait=30").json
    assert not mine["ok"]
    card = mine["answers"][0]
    assert card["private_to"] == "web:author"
    assert card["id"] in {message["id"] for message in author.messages("private")}
    for client in (other, service.admin):
        assert card["id"] not in {message["id"] for message in client.messages("private")}
        for path in (
            f"/api/chat/private/messages/{said}/outcome",
            f"/api/chat/private/messages/{card['id']}/outcome",
            f"/ui/messages/{card['id']}",
            f"/c/private?thread={card['id']}",
        ):
            answer = client.get(path)
            assert answer.status == 404, (path, answer.body)
        for path in (
            "/api/chat/private/messages?newest=true",
            f"/api/chat/private/messages?thread={said}",
            f"/api/chat/private/messages?before={card['id'] + 1}",
            "/search?q=command",
            "/c/private",
        ):
            assert b"Did you mean" not in client.get(path).body, path
    author.say("the end", "private")
    wait_until(lambda: any(event.data["text"] == "the end" for event in stream.events))
    assert card["id"] not in {event.data["id"] for event in stream.events}
    stream.close()
    again = Listener(other, "private", 0)
    wait_until(lambda: any(event.data["text"] == "the end" for event in again.events))
    assert card["id"] not in {event.data["id"] for event in again.events}
    again.close()


SECRETS = tuple(  # made here, so that no file holds one
    "".join(parts)
    for parts in (
        ("sk-ant-", "api03-", "abcdefghijklmnop"),
        ("xoxb-", "1234567890", "-abcdefghijkl"),
        ("ghp_", "abcdefghijklmnopqrstuvwxyz0123456789"),
        ("AKIA", "ABCDEFGHIJKLMNOP"),
    )
)


def test_no_secret_leaves(service: Running) -> None:
    """Neither what looks like one nor the web token, wherever it was put in."""
    assert service.admin.token is not None
    secrets = (*SECRETS, service.admin.token)
    stream = Listener(service.admin, "leaks")
    for secret in secrets:
        answer = service.admin.say(f"it is {secret}, keep it", "leaks")
        assert answer.json["text"] == "it is [redacted], keep it"
        done(service.admin, f"/autocoder {secret}", "leaks")
    service.admin.say("the end", "leaks")
    wait_until(lambda: any(event.data["text"] == "the end" for event in stream.events))
    pages = [
        json.dumps([event.data for event in stream.events]).encode(),
        service.admin.get("/api/chat/leaks/messages?limit=1000").body,
        service.admin.get("/c/leaks").body,
        service.admin.get("/search?q=keep").body,
        (service.home / "logs" / "service.log").read_bytes(),
    ]
    stream.close()
    for page in pages:
        assert not [secret for secret in secrets if secret.encode() in page]
    assert all(b"[redacted]" in page for page in pages[:-1])


def test_no_piece_of_the_token_is_answered(service: Running) -> None:
    """Whatever part of a request it stands in, and wherever there."""
    client, token = service.admin, service.admin.token
    assert token is not None
    paths = (
        "/api/projects/{}", "/api/projects/{}/tasks", "/api/projects?cursor={}",
        "/api/projects?limit={}", "/api/projects?{}=1", "/api/usage/history?project={}",
        "/api/usage/history?by={}", "/api/files/{}", "/c/{}", "/search?q={}", "/card?key={}",
        "/healthz?{}=1", "/{}",
    )  # fmt: skip
    bodies = (
        ("/api/chat/presses", {"action_id": "{}"}),
        ("/api/chat/main/messages", {"text": "so", "files": ["{}"]}),
        ("/api/members", {"user": "web:ann", "role": "{}"}),
        ("/api/members", {"user": "{}", "role": "viewer"}),
    )
    pieces = [token[at : at + 8].lower() for at in range(len(token) - 7)]
    for before in (0, 5, 20, 35, 50, 70):
        said = f"{'y' * before}{token}"
        answers = [client.get(path.format(said)) for path in paths]
        answers += [
            client.post(path, {name: _put(value, said) for name, value in body.items()})
            for path, body in bodies
        ]
        for answer in answers:
            words = answer.body.decode("utf-8", "replace").lower()
            assert not [piece for piece in pieces if piece in words], (before, words[:300])


def _put(value: object, said: str) -> object:
    if isinstance(value, list):
        return [_put(each, said) for each in value]
    return value.replace("{}", said) if isinstance(value, str) else value
