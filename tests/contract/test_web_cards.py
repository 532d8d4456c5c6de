"""A card over HTTP: its one JSON shape, and what it leads to."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.card_parts import COST, OFFER, PLAN, WHOLE, house_of_cards
from tests.stories.service import Client, Listener, Running, wait_until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with house_of_cards(tmp_path_factory.mktemp("cards") / "home").running() as running:
        yield running


def message(client: Client, key: str) -> dict[str, Any]:
    return next(m for m in client.messages() if m["card"] and m["card"]["key"] == key)


def test_a_card_has_every_part_it_may_have(service: Running) -> None:
    plan, cost, offer = (message(service.admin, card.key) for card in (PLAN, COST, OFFER))
    assert plan["author_name"] == "autocoder"
    assert plan["card"]["buttons"] == [
        {
            "label": "Approve",
            "action_id": "approve:plan:1",
            "style": "primary",
            "role": "approver",
            "form": None,
        },
        {
            "label": "Stop",
            "action_id": "stop:project:1",
            "style": "default",
            "role": "operator",
            "form": {"title": "Stop todo-api?", "inputs": []},
        },
    ]
    [name] = offer["card"]["buttons"][0]["form"]["inputs"]
    assert (name["name"], name["kind"], name["value"]) == ("name", "text", "todo")
    assert cost["card"]["links"][0] == {"label": "Review the plan", "to": "plan:todo-api:1"}
    assert cost["card"]["table"] == {
        "head": ["Day", "Model", "Cost"],
        "rows": [["Mon 9 March", "Sonnet", "$5.70"]],
    }
    assert (cost["card"]["progress"]["done"], cost["card"]["progress"]["total"]) == (1, 2)
    assert (plan["card"]["table"], plan["card"]["links"], cost["card"]["whole"]) == (None, [], None)
    assert {"changed", "posted", "press"} & (
        plan.keys() | plan["card"]["buttons"][0].keys()
    ) == set()


def test_the_stream_and_the_list_say_the_same(service: Running) -> None:
    stream = Listener(service.admin, "main", 0)
    wait_until(lambda: len(stream.events) >= 4)
    stream.close()
    assert [event.data for event in stream.events[:4]] == service.admin.messages()[:4]


def test_all_of_a_text_is_saved_by_whoever_sees_its_card(service: Running) -> None:
    whole = message(service.admin, PLAN.key)["card"]["whole"]
    assert whole["name"] == "plan.md"
    answer = service.admin.get(whole["url"])
    assert (answer.status, answer.body.decode()) == (200, WHOLE)
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''plan.md"
    assert "sandbox" in answer.headers["content-security-policy"]
    private = message(service.admin, OFFER.key)["card"]["whole"]["url"]
    assert service.admin.get(private).status == 200
    viewer = service.member("reader", "viewer")
    assert viewer.get(whole["url"]).status == 200
    assert viewer.get(private).status == 404
    assert service.stranger.get(whole["url"]).status == 401
    assert service.admin.get(whole["url"].replace("main", "other")).status == 404
    assert service.admin.get("/api/chat/main/messages/1/whole").status == 404


def test_a_link_to_a_card_leads_to_where_it_stands(service: Running) -> None:
    number = message(service.admin, PLAN.key)["id"]
    for channel in ("main", "another"):
        there = service.admin.get(f"/card?key={PLAN.key}&channel={channel}")
        assert (there.status, there.headers["location"]) == (
            303,
            f"/c/main?around={number}#m{number}",
        )
    assert service.admin.get("/card?key=gate:todo-api:7").status == 404
    viewer = service.member("walker", "viewer")
    assert viewer.get(f"/card?key={PLAN.key}").status == 303
    assert viewer.get(f"/card?key={OFFER.key}").status == 404


def test_a_page_has_the_same_links_and_leaves_the_service_with_care(service: Running) -> None:
    page = service.admin.get("/c/main").body.decode()
    assert (
        'href="/card?key=plan%3Atodo-api%3A1&amp;channel=main" data-card="plan:todo-api:1"' in page
    )
    assert 'href="/usage">All costs' in page
    assert 'href="https://example.org/prices" rel="noopener noreferrer">Prices' in page
