"""What strangers say to a running service: nothing breaks, nothing is silent, nothing is created."""

import json
import re
import resource
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.stories.service import Answer, Client, House, Running, wait_until

NAME = "Bad Input"
BAD_NAMES = {
    "../x": "x",
    "../../etc/passwd": "etc passwd",
    "-rf": "rf",
    ".git": "git",
    "a..b": "a.b",
    "'; DROP TABLE projects": "DROP TABLE projects",
    "x\ny": "x y",
    "x\x00y\x1b[31m": "x y 31m",
    "🚀 rocket": "rocket",
    "tоdo": "tdo",  # its first vowel is Cyrillic
    "<b>bold</b>": "b bold b",
    "n" * 65: "n" * 64,
    "🚀": "project",
    "\u202e\u200b": "project",
}


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, temporary: Path) -> Iterator[Running]:
    house = House(tmp_path_factory.mktemp("bad-input") / "home")
    with house.running(TMPDIR=str(temporary)) as running:
        yield running


@pytest.fixture(scope="module")
def asked(service: Running) -> dict[str, Any]:
    """The message of the first question of an interview."""
    assert came(service.admin, f"/autocoder new {NAME}")["ok"]
    wait_until(lambda: question(service) is not None, 120)
    found = question(service)
    assert found is not None
    return found


def question(service: Running) -> dict[str, Any] | None:
    """The newest question that can be answered."""
    for message in reversed(service.admin.messages()):
        card = message["card"]
        if card and card["kind"] == "question" and card["buttons"]:
            return dict(message)
    return None


def came(client: Client, line: str, channel: str = "main") -> dict[str, Any]:
    """What came of a line, once its answers stand."""
    said = client.say(line, channel)
    assert said.status == 201, said.body
    path = f"/api/chat/{channel}/messages/{said.json['id']}/outcome?wait=30"
    found = client.get(path, timeout=40).json
    assert found["done"], found
    return dict(found)


def press(client: Client, action: str, **more: Any) -> Answer:
    return client.post("/api/chat/presses", {"action_id": action, **more})


# --- Names -------------------------------------------------------------------------------------


def test_a_name_that_cannot_be_one_is_mended_and_nothing_is_created(service: Running) -> None:
    around = {path.name for path in service.home.parent.iterdir()}
    before = {project["name"] for project in service.admin.get("/api/projects").json["items"]}
    for name, mended in BAD_NAMES.items():
        found = came(service.admin, f"/autocoder new {name}", "names")
        assert not found["ok"], name
        (card,) = (answer["card"] for answer in found["answers"])
        assert (card["kind"], found["reason"]) == ("error", "wrong_value")
        assert f"`/autocoder new {mended}`?" in card["body"], (name, card["body"])
        assert found["answers"][0]["private_to"] == "web:local"
    after = {project["name"] for project in service.admin.get("/api/projects").json["items"]}
    assert after == before
    assert {path.name for path in service.home.parent.iterdir()} == around
    folder = service.home / "projects"
    made = {path.name for path in folder.iterdir()} if folder.exists() else set()
    assert made <= {"bad-input"}


def test_the_mended_name_works_and_two_of_one_slug_are_two(service: Running) -> None:
    for name in ("etc passwd", "etc-passwd"):
        assert came(service.admin, f'/autocoder new "{name}"', "mended")["ok"]
        came(service.admin, f"/autocoder stop {name}", "mended")
    found = {p["name"]: p for p in service.admin.get("/api/projects").json["items"]}
    slugs = [found[name]["slug"] for name in ("etc passwd", "etc-passwd")]
    assert slugs == ["etc-passwd", "etc-passwd-2"]
    assert service.admin.get("/api/projects/etc%20passwd").json["slug"] == "etc-passwd"
    assert service.admin.get("/api/projects/etc-passwd").json["slug"] == "etc-passwd-2"


@pytest.mark.parametrize(
    "line",
    [
        "/autocoder",
        "/autocoder \x00",
        "/autocoder " + "x" * 90_000,
        "/autocoder nwe x",
        "/autocoder status nobody",
        "/autocoder task 99999999999999999999",
        "/autocoder task -1",
        "/autocoder role <script> admin",
        "/autocoder settings __class__ 1",
        "/autocoder logs \u202e",
        "/autocoder budget project NaN",
        "/autocoder budget project 1e999",
        "/autocoder cost $(reboot)",
        "@autocoder",
    ],
)
def test_an_odd_command_is_answered_privately_and_in_words(service: Running, line: str) -> None:
    found = came(service.admin, line, "odd")
    assert found["answers"], line
    for answer in found["answers"]:
        assert answer["text"].strip()
        assert answer["card"]["kind"] in ("error", "help", "answer")
        if not found["ok"]:
            assert answer["private_to"] == "web:local"
    assert "inside autocoder" not in found["text"]


# --- Answers and presses -----------------------------------------------------------------------


def test_a_question_stays_open_until_it_is_answered(
    service: Running, asked: dict[str, Any]
) -> None:
    thread, number = asked["thread"], asked["card"]["buttons"][0]["action_id"].split(":")[2]
    for text, status in ((" \n\u200b", 422), ("x" * 100_001, 413), ("x" * 200_000, 413)):
        assert service.admin.say(text, thread=thread).status == status
        answer = press(service.admin, f"answer:question:{number}", values={"answer": [text]})
        assert answer.status == status, answer.body
    blank = press(
        service.admin, f"answer:question:{number}", values={"answer": ["\u200b"], "x": [""]}
    )
    assert (blank.status, blank.json["reason"]) == (422, "missing_values")
    assert blank.json["form"]["inputs"]
    found = question(service)
    assert found is not None
    assert found["id"] == asked["id"]


def test_a_forged_press_changes_nothing_and_says_why(
    service: Running, asked: dict[str, Any]
) -> None:
    number = int(asked["card"]["buttons"][0]["action_id"].split(":")[2])
    viewer = service.member("looker", "viewer")
    removed = service.member("removed", "operator")
    assert came(service.admin, "/autocoder role web:removed none")["ok"]
    for action, status in {
        f"answer:question:{number}:99": 404,
        f"answer:question:{number}:-1": 404,
        f"answer:question:{number}:²": 404,
        f"answer:question:{number}:0:0": 404,
        f"answer:question:{number + 1000}:0": 404,
        f"answer:question:{number}\x00:0": 404,
        f"answer:plan:{number}": 404,
        f"answer:project:{number}": 404,
        f"approve:question:{number}": 404,
        f"just_decide:question:{number}:0": 404,
        "pause:project:1:1": 404,
        f"approve:gate:{number}": 404,
        f"approve:plan:{number}": 404,
        f"raise_budget:project:{number}": 404,
        f"retry:task:{number}": 404,
        f"retry:task:{number}:²": 404,
        f"guide:task:{number}:99999999999999": 404,
        f"ANSWER:question:{number}:0": 404,
        f"answer:question:0{number}:0 ": 404,
        "answer:question:٣:0": 404,
        "answer": 404,
        ":::": 404,
    }.items():
        answer = press(service.admin, action, message_id=asked["id"])
        assert answer.status == status, (action, answer.body)
        assert (answer.json["ok"], answer.json["reason"]) == (False, "unknown"), action
        assert answer.json["text"]
    for client in (viewer, removed):
        answer = press(client, f"answer:question:{number}:0")
        assert (answer.status, answer.json["reason"]) == (403, "not_allowed")
    assert press(service.stranger, f"answer:question:{number}:0").status == 401
    found = question(service)
    assert found is not None
    assert (found["id"], len(found["card"]["buttons"])) == (
        asked["id"],
        len(asked["card"]["buttons"]),
    )
    journal = service.admin.get(f"/api/projects/{NAME.replace(' ', '%20')}/journal?limit=1000")
    refused = [e for e in journal.json["items"] if e["event"] == "press_refused"]
    assert {"web:looker", "web:removed"} <= {entry["actor"] for entry in refused}


def test_a_press_counts_by_its_action_alone(service: Running, asked: dict[str, Any]) -> None:
    """Pressed from another channel's message, it answers this question; the next one is late."""
    elsewhere = service.admin.say("nothing", "elsewhere").json["id"]
    buttons = asked["card"]["buttons"]
    action = next(b["action_id"] for b in buttons if b["action_id"].startswith("just_decide"))
    answer = press(service.admin, action, message_id=elsewhere)
    assert (answer.status, answer.json["ok"]) == (200, True)
    late = press(service.admin, action, message_id=asked["id"])
    assert (late.status, late.json["reason"]) == (409, "stale")
    assert "answered by local at " in late.json["text"]


# --- Files -------------------------------------------------------------------------------------


def kept(service: Running, temporary: Path) -> set[Path]:
    """Files that were uploaded, and whatever lies in the folder for temporary files."""
    return {*(service.home / "files").glob("*"), *temporary.glob("tmp*")}


def test_a_file_of_100_mb_is_refused_at_once(service: Running, temporary: Path) -> None:
    before, memory = kept(service, temporary), private(service.pid)
    begun = time.monotonic()
    announced = service.admin.post(
        "/api/chat/main/files",
        raw=b"",
        headers={
            "Content-Type": "multipart/form-data; boundary=x",
            "Content-Length": "100000000",
            "Expect": "100-continue",
        },
    )
    assert (announced.status, announced.json["error"]) == (413, "too_large")
    assert time.monotonic() - begun < 1.5, "it waits for what it will not take"
    whole = service.admin.upload("large.bin", b"\0" * 100_000_000)
    assert (whole.status, whole.json["error"]) == (413, "too_large")
    chunked = in_chunks(service.admin, b"\0" * 1_000_000, 100)
    assert (chunked.status, chunked.json["error"]) == (413, "too_large")
    assert private(service.pid) - memory < 50_000_000
    assert kept(service, temporary) == before


def in_chunks(client: Client, piece: bytes, times: int) -> Answer:
    """An upload whose size nobody announced."""

    def body() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        for _ in range(times):
            yield piece

    connection = HTTPConnection(urlsplit(client.url).netloc, timeout=60)
    headers = {
        "Authorization": f"Bearer {client.token}",
        "Content-Type": "multipart/form-data; boundary=x",
    }
    try:
        connection.request("POST", "/api/chat/main/files", body(), headers, encode_chunked=True)
        response = connection.getresponse()
        return Answer(response.status, {}, response.read())
    finally:
        connection.close()


def test_an_upload_that_is_cut_leaves_nothing(service: Running, temporary: Path) -> None:
    before = kept(service, temporary)
    head = (
        f"POST /api/chat/main/files HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {service.admin.token}\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data;"
        ' name="file"; filename="cut.bin"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", service.where["port"])) as connection:
        connection.sendall(head.encode() + b"\0" * 5_000_000)
    wait_until(lambda: kept(service, temporary) == before)
    assert service.admin.upload("whole.txt", b"x").status == 201


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("../../evil.sh", "evil.sh"),
        ("..\\..\\evil.bat", "evil.bat"),
        ("/etc/passwd", "passwd"),
        ("..", "file"),
        ("", None),
        ("a%0d%0ab.txt", "a%0d%0ab.txt"),
        ("\x1b[31mred.txt", "[31mred.txt"),
        ("\u202egnp.exe", "gnp.exe"),
        (".bashrc", "bashrc"),
        ("n" * 300 + ".png", None),
        ("=cmd|' -C calc'!A0", "=cmd|' -C calc'!A0"),
    ],
)
def test_a_name_of_a_file_is_a_name(service: Running, name: str, known: str | None) -> None:
    answer = service.admin.upload(name, b"x")
    if answer.status != 201:
        assert answer.status == 422, answer.body
        return
    found = answer.json["name"]
    assert known is None or found == known
    assert 1 <= len(found) <= 120
    assert re.fullmatch(r"[^/\\\x00-\x1f\x7f]+", found)
    back = service.admin.get(f"/api/files/{answer.json['id']}")
    assert back.headers["content-disposition"].startswith("attachment; filename*=utf-8''")
    assert (service.home / "files" / answer.json["id"]).read_bytes() == b"x"


@pytest.mark.parametrize(
    ("name", "kind", "content"),
    [
        ("page.png", "image/png", b"<html><script>alert(1)</script>"),
        ("picture.svg", "image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg" onload="x()"/>'),
        ("page.html", "text/html", b"<script>alert(1)</script>"),
        ("empty.txt", "text/plain", b""),
        ("odd.bin", "multipart/form-data; boundary=x", b"--x--"),
        ("odd.bin", "x" * 500, b"\x89PNG"),
    ],
)
def test_no_type_is_believed(service: Running, name: str, kind: str, content: bytes) -> None:
    answer = service.admin.upload(name, content, kind)
    assert answer.status == 201, answer.body
    back = service.admin.get(f"/api/files/{answer.json['id']}")
    assert back.body == content
    assert back.headers["content-type"] == "application/octet-stream"
    assert back.headers["content-disposition"].startswith("attachment")
    assert back.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in back.headers["content-security-policy"]


# --- Streams and connections -------------------------------------------------------------------


def private(pid: int) -> int:
    """Bytes of private memory of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def opened(service: Running) -> int:
    """Descriptors of the service."""
    return len(list(Path(f"/proc/{service.pid}/fd").iterdir()))


class Tabs:
    """Many readers of one stream, in one thread."""

    def __init__(self, client: Client, number: int, channel: str) -> None:
        self.received: dict[socket.socket, bytes] = {}
        self._selector = selectors.DefaultSelector()
        where = urlsplit(client.url)
        request = (
            f"GET /api/chat/{channel}/stream HTTP/1.1\r\nHost: {where.netloc}\r\n"
            f"Authorization: Bearer {client.token}\r\n\r\n"
        )
        for _ in range(number):
            tab = socket.create_connection((where.hostname, where.port), timeout=60)
            tab.sendall(request.encode())
            tab.setblocking(False)
            self._selector.register(tab, selectors.EVENT_READ)
            self.received[tab] = b""

    def read_until(self, words: bytes, timeout: float = 60) -> None:
        """Until each of them has had these words."""
        deadline = time.monotonic() + timeout
        while not all(words in told for told in self.received.values()):
            assert time.monotonic() < deadline, "a tab was not told"
            for key, _ in self._selector.select(0.2):
                tab = key.fileobj
                assert isinstance(tab, socket.socket)
                piece = tab.recv(1 << 20)
                assert piece, "a tab was cut"
                self.received[tab] += piece

    def close(self) -> None:
        for tab in self.received:
            tab.close()
        self._selector.close()


@pytest.mark.slow
def test_200_tabs_are_told_and_a_stalled_one_is_let_go(service: Running) -> None:
    before = private(service.pid)
    tabs = Tabs(service.admin, 200, "tabs")
    tabs.read_until(b": open")
    descriptors = opened(service)
    stalled = Tabs(service.admin, 1, "tabs")
    wait_until(lambda: opened(service) > descriptors)
    for number in range(40):
        assert service.admin.say(f"{number}-" + "y" * 90_000, "tabs").status == 201
        tabs.read_until(b'"text":"%d-' % number)
    assert private(service.pid) - before < 60_000_000
    # It took nothing of 3.6 MB: what the kernel does not hold makes the service wait.
    wait_until(lambda: opened(service) <= descriptors, 90)
    service.admin.say("the end", "tabs")
    tabs.read_until(b'"text":"the end"')
    for each in (tabs, stalled):
        each.close()
    assert "Exception in ASGI" not in (service.home / "logs" / "service.log").read_text()


@pytest.mark.parametrize(
    "last", ["", "x", "-5", "1e3", "9" * 90, "٣", "\x7f", "18446744073709551616"]
)
def test_an_odd_last_event_id_is_now_or_the_end(service: Running, last: str) -> None:
    where = urlsplit(service.admin.url)
    with socket.create_connection((where.hostname, where.port), timeout=20) as tab:
        tab.sendall(
            f"GET /api/chat/main/stream HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization:"
            f" Bearer {service.admin.token}\r\nLast-Event-ID: {last}\r\n\r\n".encode()
        )
        told = b""

        def hears(words: bytes) -> bool:
            nonlocal told
            told += tab.recv(65536)
            return words in told or b'"error"' in told

        wait_until(lambda: hears(b": open"))
        if b"200 OK" in told:
            assert service.admin.say(f"after {last!r}").status == 201
            wait_until(lambda: hears(b'"text":"after '))
        else:
            assert b"400 Bad Request" in told


@contextmanager
def few_descriptors(number: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_connections_that_say_nothing_keep_nobody_out(tmp_path: Path) -> None:
    """More of them than the service may open; heads and bodies that never end, too."""
    house = House(tmp_path / "home")
    with few_descriptors(1024):
        service = house.start()
    with ExitStack() as stack:
        stack.callback(service.process.wait)
        stack.callback(service.process.kill)
        service.wait_ready()
        idle = opened(service)
        client = service.admin
        silent = [
            stack.enter_context(socket.create_connection(address(service), timeout=60))
            for _ in range(1_500)
        ]
        for connection in silent[::2]:
            connection.setblocking(False)
            try:
                connection.send(b"GET / HTTP/1.1\r\nX: ")
            except OSError:
                pass  # it was let go already
        assert client.say("still here").status == 201
        assert opened(service) < 1_000
        slow = stack.enter_context(socket.create_connection(address(service), timeout=60))
        slow.sendall(
            f"POST /api/chat/main/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer"
            f" {client.token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
            '\r\n\r\n5\r\n{"tex\r\n'.encode()
        )
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
        wait_until(lambda: opened(service) <= idle + 5, 60)
        assert "Too many open files" not in (house.home / "logs" / "service.log").read_text()


def address(service: Running) -> tuple[str, int]:
    return "127.0.0.1", int(service.where["port"])


# --- Secrets -------------------------------------------------------------------------------------


def test_a_secret_in_an_answer_reaches_nobody_else(service: Running) -> None:
    """Neither cards, lists, the journal nor the log show it; its name stays."""
    secret = "sk-ant-" + "api03-0123456789abcdef"
    wait_until(lambda: question(service) is not None, 120)
    found = question(service)
    assert found is not None
    assert service.admin.say(f"use {secret}", thread=found["thread"]).status == 201

    def answered() -> bool:
        return "[redacted]" in json.dumps(message(service, found["id"]))

    wait_until(answered, 30)
    name = NAME.replace(" ", "%20")
    pages = [
        service.admin.get(f"/api/projects/{name}/journal?limit=1000").body,
        service.admin.get("/api/chat/main/messages?limit=1000").body,
        service.admin.get(f"/c/main?thread={found['thread']}").body,
        (service.home / "logs" / "service.log").read_bytes(),
    ]
    assert not [page for page in pages if secret.encode() in page]


def message(service: Running, message_id: int) -> dict[str, Any]:
    (found,) = (m for m in service.admin.messages() if m["id"] == message_id)
    return dict(found)
