"""The chat over HTTP: a running service, a client that is nobody's."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.stories.service import Client, Event, House, Listener, Running, wait_until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with House(tmp_path_factory.mktemp("web") / "home").running() as running:
        yield running


@pytest.fixture
def me(service: Running) -> Client:
    return service.admin


def test_a_message_is_answered_with_itself(me: Client) -> None:
    answer = me.say("hello there", "greetings")
    assert answer.status == 201
    message = answer.json
    assert message["text"] == "hello there"
    assert message["author"] == "web:local"
    assert (message["channel"], message["thread"], message["revision"]) == ("greetings", None, 0)
    assert message["created_at"].endswith("Z")
    assert (message["card"], message["deleted"], message["edited_at"]) == (None, False, None)
    assert me.messages("greetings")[0] == message


def test_the_same_client_id_again_is_the_same_message(me: Client) -> None:
    first = me.say("once", "again", client_id="c-1")
    with ThreadPoolExecutor(8) as pool:
        more = list(pool.map(lambda _: me.say("once", "again", client_id="c-1"), range(20)))
    assert {answer.status for answer in (first, *more)} == {201}
    assert {answer.body for answer in more} == {first.body}
    assert len([m for m in me.messages("again") if m["author"] == "web:local"]) == 1


def test_a_reply_stands_in_the_thread_of_its_root(me: Client) -> None:
    root = me.say("root", "threads").json["id"]
    reply = me.say("reply", "threads", thread=root).json
    nested = me.say("to the reply", "threads", thread=reply["id"]).json
    assert (reply["thread"], nested["thread"]) == (root, root)
    found = me.get(f"/api/chat/threads/messages?thread={root}").json["items"]
    assert [m["text"] for m in found if m["author"] == "web:local"] == [
        "root",
        "reply",
        "to the reply",
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": ""}, 422),
        ({"text": " \n\t\u200b"}, 422),
        ({}, 422),
        ({"text": 7}, 422),
        ({"text": "x", "thread": 999_999}, 422),
        ({"text": "x", "thread": "root"}, 422),
        ({"text": "x", "files": ["nothing"]}, 422),
        ({"text": "x", "client_id": "c" * 101}, 422),
        ({"text": "x" * 100_001}, 413),
        ({"text": "x" * 200_000}, 413),
        (["text"], 422),
    ],
)
def test_what_is_no_message_is_refused_in_words(me: Client, body: object, status: int) -> None:
    answer = me.post("/api/chat/refused/messages", body)
    assert answer.status == status
    assert set(answer.json) == {"error", "message", "hint"}
    assert answer.json["message"]
    assert me.messages("refused") == []


def test_the_longest_message_is_taken(me: Client) -> None:
    text = "🜁" * 100_000
    assert me.say(text, "long").json["text"] == text


@pytest.mark.parametrize("text", ["a\x00b\x07\x1b[31mc", "<script>alert(1)</script>", "**[x](//y)"])
def test_any_characters_are_kept_as_they_are(me: Client, text: str) -> None:
    assert me.say(text, "odd").json["text"] == text


def test_broken_json_is_malformed(me: Client) -> None:
    headers = {"Content-Type": "application/json"}
    for raw in (b"{", b'{"text": "\xff"}', b'{"text": "a\\ud800b"}'):
        answer = me.post("/api/chat/odd/messages", raw=raw, headers=headers)
        assert (answer.status, answer.json["error"]) == (400, "malformed"), raw


@pytest.mark.parametrize("channel", ["Main", "a_b", "x" * 65, "%C3%A4"])
def test_a_channel_has_a_narrow_name(me: Client, channel: str) -> None:
    assert me.say("x", channel).status == 422


def test_messages_are_read_in_pages(me: Client) -> None:
    root = me.say("words that begin nothing", "pages").json["id"]
    wait_until(lambda: len(me.get("/api/chat/pages/messages").json["items"]) == 2)  # the offer
    begin = me.get("/api/chat/pages/messages").json["items"][-1]["id"]
    ids = [me.say(str(number), "pages", thread=root).json["id"] for number in range(5)]
    first = me.get(f"/api/chat/pages/messages?limit=2&after={begin}").json
    assert [m["id"] for m in first["items"]] == ids[:2]
    rest = me.get(f"/api/chat/pages/messages?limit=1000&cursor={first['next']}").json
    assert [m["id"] for m in rest["items"] if m["author"] == "web:local"] == ids[2:]
    assert rest["next"] is None
    after = me.get(f"/api/chat/pages/messages?after={ids[3]}").json["items"]
    assert after[0]["id"] == ids[4]
    for query, status in (
        ("limit=0", 422),
        ("limit=1001", 422),
        ("limit=x", 422),
        ("cursor=?", 422),
    ):
        assert me.get(f"/api/chat/pages/messages?{query}").status == status


def test_a_stream_tells_what_is_posted(me: Client) -> None:
    listener = Listener(me, "stream")
    for number in range(3):
        me.say(str(number), "stream")

    def said() -> list[Event]:  # what the service answers stands between
        return [event for event in listener.events if event.data["author"] == "web:local"]

    wait_until(lambda: len(said()) >= 3)
    assert [event.data["text"] for event in said()] == ["0", "1", "2"]
    assert {event.kind for event in said()} == {"message"}
    ids = [event.id for event in listener.events]
    assert ids == sorted(set(ids))
    listener.close()


def test_a_stream_resumes_where_it_was_cut(me: Client) -> None:
    listener = Listener(me, "resumed")
    me.say("seen", "resumed")
    wait_until(lambda: bool(listener.events))
    last = listener.events[-1].id
    listener.close()
    missed = [me.say(str(number), "resumed").json["id"] for number in range(250)]
    again = Listener(me, "resumed", last)
    wait_until(lambda: any(event.data["id"] == missed[-1] for event in again.events))
    told = [event.data["id"] for event in again.events if event.data["author"] == "web:local"]
    assert told == missed
    again.close()


def test_many_tabs_and_a_stalled_one(service: Running, me: Client) -> None:
    tabs = [Listener(me, "tabs") for _ in range(60)]
    stalled = Listener(me, "tabs")
    begun = time.monotonic()
    me.say("to all", "tabs")
    wait_until(lambda: all(tab.events for tab in tabs))
    assert time.monotonic() - begun < 5
    before = _memory(service.pid)
    for _ in range(40):
        me.say("y" * 50_000, "tabs")
    wait_until(lambda: all(len(tab.events) > 40 for tab in tabs))
    assert _memory(service.pid) - before < 60_000_000
    for tab in (*tabs, stalled):
        tab.close()


def _memory(pid: int) -> int:
    """Bytes of private memory of a process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(
        int(line.split()[1]) * 1024
        for line in rollup.splitlines()
        if line.startswith(("Private_Clean", "Private_Dirty"))
    )


@pytest.mark.parametrize(
    ("action", "status", "reason"),
    [
        ("zap", 404, "unknown"),
        ("approve:plan:x", 404, "unknown"),
        ("approve:plan:99999999999999", 404, "unknown"),
        ("approve:plan:1\x00", 404, "unknown"),
    ],
)
def test_a_forged_press_changes_nothing(me: Client, action: str, status: int, reason: str) -> None:
    answer = me.post("/api/chat/presses", {"message_id": 1, "action_id": action})
    assert answer.status == status
    assert (answer.json["ok"], answer.json["reason"]) == (False, reason)
    assert answer.json["text"]
    assert answer.json["error"] == reason
    assert {"message", "hint"} < set(answer.json)


def test_files_are_bytes_with_a_name(me: Client) -> None:
    content = b"<script>alert(1)</script>"
    answer = me.upload("../../evil.svg", content, "image/svg+xml")
    assert answer.status == 201
    assert (answer.json["name"], answer.json["size"]) == ("evil.svg", len(content))
    message = me.say("look", files=[answer.json["id"]]).json
    assert message["files"] == [answer.json]
    back = me.get(f"/api/files/{answer.json['id']}")
    assert back.body == content
    assert back.headers["content-type"] == "application/octet-stream"
    assert back.headers["content-disposition"].startswith("attachment")
    assert back.headers["x-content-type-options"] == "nosniff"
    assert me.get("/api/files/00").status == 404


def test_a_picture_is_shown_by_what_it_is_not_by_its_name(me: Client) -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
    webp = b"RIFF\x24\0\0\0WEBPVP8 " + b"\0" * 40
    for name, content, kind in (("a.PNG", png, "image/png"), ("b.txt", webp, "image/webp")):
        picture = me.get(f"/api/files/{me.upload(name, content).json['id']}/picture")
        assert (picture.status, picture.body) == (200, content)
        assert picture.headers["content-type"] == kind
        assert picture.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in picture.headers["content-security-policy"]
    for content in (b"<svg onload='alert(1)'/>", b"<html>", b"", b"RIFF\x24\0\0\0WAVE"):
        file = me.upload("evil.png", content, "image/png").json
        assert me.get(f"/api/files/{file['id']}/picture").status == 404
    assert me.get("/api/files/00/picture").status == 404


def test_a_dropped_picture_has_a_preview(me: Client) -> None:
    files = [me.upload(name, b"x").json["id"] for name in ("shot.png", "note.md")]
    me.say("look at both", files=files)
    page = me.get("/c/main").body.decode()
    assert f'<img src="/api/files/{files[0]}/picture" alt="shot.png"' in page
    assert f"/api/files/{files[1]}/picture" not in page


def test_a_large_file_is_refused_and_not_kept(service: Running, me: Client) -> None:
    before = sum(1 for _ in (service.home / "files").glob("*"))
    answer = me.upload("large.bin", b"\0" * 60_000_000)
    assert (answer.status, answer.json["error"]) == (413, "too_large")
    assert "25 MB" in answer.json["message"]
    assert sum(1 for _ in (service.home / "files").glob("*")) == before


def test_an_upload_without_a_file_is_a_wrong_value(me: Client) -> None:
    assert me.post("/api/chat/main/files", {"file": "x"}).status in (400, 422)
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert me.post("/api/chat/main/files", raw=b"--y\r\n", headers=broken).status in (400, 422)


def test_private_messages_are_seen_by_nobody_else(service: Running, me: Client) -> None:
    viewer = service.member("reader", "viewer")
    me.say("for all", "shared")
    mine = {m["id"] for m in me.messages("shared") if m["private_to"] in (None, "web:local")}
    seen = {m["id"] for m in viewer.messages("shared")}
    assert seen <= mine
    assert json.dumps(viewer.messages("shared")).count('"private_to": "web:local"') == 0
