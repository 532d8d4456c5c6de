"""Who may come in: tokens, roles, Host, Origin; and one shape for every error."""

import stat
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import pytest

from tests.stories.service import Client, House, Running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with House(tmp_path_factory.mktemp("door") / "home").running() as running:
        yield running


def test_the_token_is_for_its_owner(service: Running) -> None:
    token = service.home / "web-token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text().splitlines()) == 1
    assert f"?token={token.read_text().strip()}" in service.out.read_text()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_needs_no_token(service: Running, path: str) -> None:
    assert service.stranger.get(path).status == 200


def test_health_says_what_the_contract_says(service: Running) -> None:
    assert service.stranger.get("/healthz").json == {"status": "ok"}
    ready = service.stranger.get("/readyz").json
    assert (ready["ready"], ready["model"]) == (True, "practice")
    assert {"database", "orchestrator", "slack", "discord"} <= set(ready["parts"])
    assert (ready["parts"]["database"], ready["parts"]["slack"]) == ("ok", "off")


@pytest.mark.parametrize(
    "path", ["/api/projects", "/api/chat/main/messages", "/api/openapi.json", "/", "/nothing"]
)
def test_all_else_needs_one(service: Running, path: str) -> None:
    for client in (service.stranger, Client(service.stranger.url, "wrong")):
        answer = client.get(path)
        assert answer.status == 401
        assert set(answer.json) == {"error", "message", "hint"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8710", "Origin": "http://evil.example:8710"}, 403),
        ({"Host": "localhost:1"}, 200),
        ({}, 200),
    ],
)
def test_foreign_pages_and_names_are_kept_out(
    service: Running, headers: dict[str, str], status: int
) -> None:
    assert service.admin.get("/api/projects", headers=headers).status == status


def test_our_own_page_may_ask(service: Running) -> None:
    assert service.admin.get("/api/projects", headers={"Origin": service.admin.url}).status == 200


def test_the_printed_url_makes_a_cookie_that_counts_for_changes_with_an_origin_only(
    service: Running,
) -> None:
    token = service.admin.token
    welcome = service.stranger.get(f"/?token={token}")
    assert (welcome.status, welcome.headers["location"]) == (303, "/")
    cookie = welcome.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    held = {"Cookie": cookie.partition(";")[0]}
    assert service.stranger.get("/api/projects", headers=held).status == 200
    body = {"text": "x"}
    path = "/api/chat/main/messages"
    assert service.stranger.post(path, body, headers=held).status == 401
    with_origin = {**held, "Origin": service.admin.url}
    assert service.stranger.post(path, body, headers=with_origin).status == 201
    assert service.stranger.get("/?token=wrong").status == 401


def test_wrong_tokens_are_slowed_and_the_right_one_never(service: Running) -> None:
    wrong = {"Authorization": "Bearer wrong"}

    def ask(number: int) -> int:
        if number % 4 == 0:
            return service.admin.get("/api/projects").status
        return service.stranger.get("/api/projects", headers=wrong).status

    with ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(ask, range(64)))
    assert {answers[number] for number in range(0, 64, 4)} == {200}
    others = Counter(status for number, status in enumerate(answers) if number % 4)
    assert set(others) == {401, 429}
    assert others[401] <= 30
    assert service.stranger.get("/api/projects", headers=wrong).status == 401, "later it is told"


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example/x"])
def test_the_printed_url_leads_to_a_path_of_ours_only(service: Running, path: str) -> None:
    welcome = service.stranger.get(f"{path}?token={service.admin.token}")
    assert welcome.status == 303
    assert welcome.headers["location"].startswith(("/evil.example", "/%5Cevil", "/x"))
    assert not welcome.headers["location"].startswith(("//", "/\\"))


def test_members_have_tokens_and_roles_of_their_own(service: Running) -> None:
    viewer = service.member("ann", "viewer")
    assert viewer.get("/api/projects").status == 200
    assert viewer.post("/api/members", {"user": "web:eve", "role": "admin"}).status == 403
    assert viewer.say("hello").json["author"] == "web:ann"
    anew = service.member("ann", "operator")
    assert viewer.get("/api/projects").status == 401
    assert anew.get("/api/projects").status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"user": "web:local", "role": "admin"},
        {"user": "slack:U1", "role": "admin"},
        {"user": "web:", "role": "admin"},
        {"user": "web:ann", "role": "owner"},
        {"user": "web:ann", "role": "none"},
        {"user": "web:ann"},
    ],
)
def test_only_people_of_the_web_are_made_here(service: Running, body: dict[str, str]) -> None:
    assert service.admin.post("/api/members", body).status == 422


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/nothing", 404),
        ("DELETE", "/api/projects", 405),
        ("POST", "/api/usage", 405),
        ("GET", "/api/projects/nobody", 404),
        ("GET", "/api/projects/nobody/tasks", 404),
        ("GET", "/api/projects/../../etc/passwd", 404),
        ("POST", "/api/projects/nobody/pause", 404),
        ("POST", "/api/projects/nobody/phases/1/approve", 404),
        ("GET", "/api/usage/projects/nobody", 404),
        ("GET", "/api/usage/history?project=nobody", 404),
        ("GET", "/api/projects?limit=-1", 422),
        ("GET", "/api/projects?cursor=%00", 422),
        ("GET", "/api/projects?by=week", 422),
        ("GET", "/api/usage/history?from=nonsense", 422),
        ("GET", "/api/chat/main/messages?befor=3", 422),
        ("POST", "/api/projects/x/pause?now=1", 422),
    ],
)
def test_every_error_has_one_shape(service: Running, method: str, path: str, status: int) -> None:
    answer = service.admin.ask(method, path)
    assert answer.status == status
    assert set(answer.json) == {"error", "message", "hint"}
    assert answer.json["error"].replace("_", "").isalpha()
    assert all(answer.json.values())


def test_openapi_names_every_path_of_the_contract(service: Running) -> None:
    document = service.admin.get("/api/openapi.json").json
    assert document["openapi"].startswith("3.")
    assert {
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/chat/{channel}/messages",
        "/api/chat/{channel}/stream",
        "/api/chat/{channel}/files",
        "/api/chat/presses",
        "/api/members",
        "/api/projects",
        "/api/projects/{name}",
        "/api/projects/{name}/start",
        "/api/projects/{name}/pause",
        "/api/projects/{name}/resume",
        "/api/projects/{name}/stop",
        "/api/projects/{name}/phases",
        "/api/projects/{name}/phases/{phase_id}",
        "/api/projects/{name}/phases/{phase_id}/approve",
        "/api/projects/{name}/phases/{phase_id}/reject",
        "/api/projects/{name}/phases/{phase_id}/features",
        "/api/projects/{name}/features",
        "/api/projects/{name}/features/{feature_id}",
        "/api/projects/{name}/features/{feature_id}/tasks",
        "/api/projects/{name}/tasks",
        "/api/projects/{name}/tasks/{number}",
        "/api/projects/{name}/journal",
        "/api/projects/{name}/runs",
        "/api/projects/{name}/approvals",
        "/api/projects/{name}/graph",
        "/api/usage",
        "/api/usage/projects/{name}",
        "/api/usage/history",
        "/api/usage/settings",
    } <= set(document["paths"])


def test_openapi_has_the_fields_that_are_sent_and_no_others(service: Running) -> None:
    schemas = service.admin.get("/api/openapi.json").json["components"]["schemas"]
    sent = "id position name description status"
    assert set(schemas["PhaseView"]["properties"]) == set(sent.split())
    assert {"from", "to"} == set(schemas["Edge"]["properties"])
    assert "row_id" not in schemas["TaskView"]["properties"]


@pytest.mark.parametrize(
    ("path", "named", "instead"),
    [
        ("/api/usage?by=week", "'by'", "There are none."),
        ("/api/usage/history?until=2027-01-01", "'until'", "from, to, by"),
        ("/api/projects?limit=5&page=2", "'page'", "limit, cursor"),
        ("/api/usage/history?by=week", "`by`", "hour"),
    ],
)
def test_a_parameter_that_is_not_known_is_refused_by_name(
    service: Running, path: str, named: str, instead: str
) -> None:
    answer = service.admin.get(path)
    assert answer.status == 422
    words = f"{answer.json['message']} {answer.json['hint']}"
    assert named in words
    assert instead in words


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/usage", "/waiting", "/"])
def test_neither_health_nor_pages_pass_one_over(service: Running, path: str) -> None:
    answer = service.admin.get(f"{path}?by=week")
    assert (answer.status, answer.json["error"]) == (422, "wrong_value")
    assert "'by' is no parameter" in answer.json["message"]


def test_the_history_takes_days_and_can_be_summed_up(service: Running) -> None:
    for query in ("", "?from=2027-01-01&to=2027-01-31", "?by=hour", "?by=day&to=2027-01-31"):
        answer = service.admin.get(f"/api/usage/history{query}")
        assert (answer.status, answer.json) == (200, {"items": [], "next": None}), query


def test_the_usage_settings_have_every_budget(service: Running) -> None:
    assert service.admin.get("/api/usage/settings").json == {
        "usage": {
            "monthly_limit": None, "warn_at": 0.2, "pause_at": 0.05, "reset_day": 1,
            "track_by": "project",
        },
        "budget": {"project_usd": "20", "run_usd": "5", "day_usd": None, "month_usd": None},
    }  # fmt: skip


def test_metrics_have_their_names(service: Running) -> None:
    service.admin.say("counted")
    page = service.stranger.get("/metrics").body.decode()
    for name in (
        "autocoder_tasks",
        "autocoder_agents",
        "autocoder_messages_total",
        "autocoder_tokens_total",
        "autocoder_cost_usd_total",
        'autocoder_ack_seconds_count{platform="web"}',
        "autocoder_card_delay_seconds_bucket",
        "autocoder_outbox_pending",
    ):
        assert name in page, name


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """As in a container: it listens on every address because it was told to (docker/)."""
    house = House(tmp_path_factory.mktemp("published") / "home")
    with house.running(AUTOCODER_HOST="0.0.0.0") as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:18710"}, 200),  # the port that the host publishes
        ({"Host": "localhost:18710", "Origin": "http://localhost:18710"}, 200),
        ({"Host": "192.0.2.7:18710"}, 200),  # an address cannot be rebound
        ({"Host": "autocoder.example:18710"}, 403),  # a name can
        ({"Host": "127.0.0.1:18710", "Origin": "http://192.0.2.7:18710"}, 403),
    ],
)
def test_a_published_port_keeps_the_same_door(
    published: Running, headers: dict[str, str], status: int
) -> None:
    assert published.admin.get("/api/projects", headers=headers).status == status
    assert published.stranger.get("/api/projects", headers=headers).status == max(status, 401)


def test_a_service_open_to_others_says_so(published: Running) -> None:
    assert published.where["url"].startswith("http://127.0.0.1:")  # what a person here opens
    assert "unencrypted" in published.out.read_text()


def test_the_cookie_is_of_the_port_that_the_browser_sees(published: Running) -> None:
    token = published.admin.token
    answer = published.stranger.get(f"/?token={token}", headers={"Host": "127.0.0.1:18710"})
    assert answer.status == 303
    assert answer.headers["set-cookie"].startswith("autocoder-18710=")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    seen = {"Host": "127.0.0.1:18710", "Cookie": cookie}
    assert published.stranger.get("/api/projects", headers=seen).status == 200


@pytest.mark.parametrize("theme", ["", "dark", "light"])
def test_what_was_spent_is_drawn_for_the_reader(service: Running, theme: str) -> None:
    for path in ("month/0.svg", "week/0.svg?until=2026-03-12", "month/0.svg?wide=true"):
        answer = service.admin.get(f"/api/pictures/{path}", headers={"Cookie": f"theme={theme}"})
        assert answer.status == 200, answer.body
        assert answer.headers["content-type"].startswith("image/svg+xml")
        root = ElementTree.fromstring(answer.body)
        assert root.get("width") == ("640" if "wide" in path else "336")
        assert root.get("aria-label") == "Cost of all projects by day (UTC)"
        media = {"dark": b"@media all", "light": b"@media not all"}
        assert media.get(theme, b"@media(prefers-color-scheme:dark)") in answer.body


@pytest.mark.parametrize(("theme", "status"), [("dark", 200), ("light", 200), ("blue", 422)])
def test_a_picture_is_also_a_png(service: Running, theme: str, status: int) -> None:
    answer = service.admin.get(f"/api/pictures/week/0.png?until=2026-03-12&theme={theme}")
    assert answer.status == status
    if status == 200:
        assert answer.headers["content-type"] == "image/png"
        assert answer.body.startswith(b"\x89PNG\r\n\x1a\n")
    assert service.admin.get(f"/api/pictures/plan/99.png?theme={theme}").status in (404, 422)
    assert service.stranger.get(f"/api/pictures/week/0.png?theme={theme}").status == 401
