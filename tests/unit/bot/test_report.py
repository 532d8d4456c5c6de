"""The report: the contract's shapes as data, and a page that nobody's words can break."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import markdown
from bot.report import DATA, PAGE, render
from core.domain.lifecycle import ProjectStatus, WaitingFor
from core.domain.proof import CheckResult, Verdict
from core.domain.report import Report
from tests.unit.bot.boards import board, done

# The contract's fields (CONTRACT.md §3).
TOKENS = {"input", "output", "cache_read", "cache_write_5m", "cache_write_1h"}
FIELDS = {
    "project": "id name slug status channels path phase_id mode tasks agents cost_usd budget"
    " estimate waiting settings created_at completed_at",
    "phase": "id position name description status",
    "feature": "id phase_id name slug description spec status priority branch agent depends_on"
    " landed_commit",
    "task": "id feature_id name category description steps complexity checks depends_on files"
    " priority status attempts last_error recovery_notes reason evidence",
    "evidence": "id accepted run_id commit at checks",
    "check": "command exit_code output seconds",
    "approval": "id kind subject_id status opened_at decided_at decided_by reason",
    "usage": "project messages tokens cost_usd unpriced_messages by_model by_kind by_phase"
    " by_feature by_task by_day",
}


def data(report: Report) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(render(report)[DATA])
    return parsed


def page(report: Report) -> str:
    return render(report)[PAGE].decode()


def has(thing: dict[str, Any], what: str) -> None:
    assert set(FIELDS[what].split()) <= set(thing), what


def test_every_field_of_the_contract_is_there() -> None:
    found = data(done())
    assert set(found) == {"project", "phases", "features", "tasks", "approvals", "usage"}
    has(found["project"], "project")
    has(found["usage"], "usage")
    assert set(found["usage"]["tokens"]) == TOKENS
    for name, kind in (
        ("phases", "phase"),
        ("features", "feature"),
        ("tasks", "task"),
        ("approvals", "approval"),
    ):
        assert found[name]
        for thing in found[name]:
            has(thing, kind)
    has(found["tasks"][0]["evidence"][0], "evidence")
    has(found["tasks"][0]["evidence"][0]["checks"][0], "check")


def test_money_is_a_decimal_string_and_times_end_in_z() -> None:
    found = data(done())
    text = json.dumps(found)
    for amount in re.findall(r'"(?:cost_usd|budget)": "([^"]*)"', text):
        assert re.fullmatch(r"\d+(\.\d+)?", amount), amount
    assert found["usage"]["by_kind"]["planner"]["cost_usd"] == "0.000002"
    times = re.findall(r'"(?:\w+_at|at)": "([^"]*)"', text)
    assert times
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", time) for time in times)


def test_tasks_are_named_by_their_numbers() -> None:
    report = done()
    report = replace(report, tasks=(report.tasks[0], replace(report.tasks[1], depends_on=(1,))))
    tasks = data(report)["tasks"]
    assert [task["id"] for task in tasks] == [1, 2]
    assert tasks[1]["depends_on"] == [1]
    assert set(data(report)["usage"]["by_task"]) == {"1"}


def test_no_path_of_the_host_is_told() -> None:
    assert data(done())["project"]["path"] == "projects/todo-api"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"blocked_reason": "The key is refused.", "blocked_on": WaitingFor.CREDENTIALS},
            "credentials",
        ),
        ({"blocked_reason": "Five plans were refused."}, None),
        ({"budget_usd": Decimal("0.10")}, "budget"),
        ({"window_until": done().created_at}, "rate_limit"),
        ({}, None),
    ],
)
def test_it_says_what_it_waits_for(changes: dict[str, Any], reason: str | None) -> None:
    waiting = data(replace(board(), **changes))["project"]["waiting"]
    assert (waiting["reason"] if waiting else None) == reason


def test_a_report_of_nothing_yet() -> None:
    empty = replace(
        board(0, status=ProjectStatus.PLANNING),
        plan=None, phases=(), features=(), tasks=(), runs=(), setup=(), checks=(),
        run_command=None, summary="",
    )  # fmt: skip
    assert data(empty)["project"]["estimate"] is None
    assert "Nothing has to be set up." in page(empty)


def test_the_page_says_what_it_is_and_how_to_use_it() -> None:
    text = page(done())
    assert text.startswith("# todo-api\n")
    assert "**Practice model.**" in text
    assert "**14 of 14** tasks proved" in text
    assert "```sh\npython3 -m venv .venv\n.venv/bin/pip install -e .\n```" in text
    assert "```sh\npytest -q\nruff check .\n```" in text
    assert "✓ `pytest -q` exit 0, 3.1 s" in text
    assert "**Own test:** the agent wrote or changed `tests/test_store.py`" in text
    assert "<details><summary>Output</summary>" in text
    assert "$0.49" in text
    assert "`4f2c9e1`" in text


def test_no_practice_where_none_was() -> None:
    text = page(replace(done(), practice=False)).lower()
    assert "practice" not in text
    assert "nothing paid" not in text


def test_what_nothing_proves_is_said() -> None:
    report = board(9, stuck=(11,), skipped=(12,))
    green = replace(report.tasks[0].evidence[0], verdict=Verdict.GREEN_BEFORE)
    first = replace(report.tasks[0], evidence=(green,))
    text = page(replace(report, tasks=(first, *report.tasks[1:])))
    last = text.rpartition("## Not proved")[2]
    assert "Task 11 Rate limit per account: stuck" in last
    assert "Task 12 OpenAPI examples: skipped, nothing proves it" in last
    assert "Task 1 Project skeleton: its checks were green before" in last
    assert "**Green before:**" in text


HOSTILE = (
    "| a | b |\n|---|\n```\n</details><script>alert(1)</script>\x1b[2J\x1b]0;title\x07"
    "\x9b31m `tick` **bold** [x](http://evil.example) ![i](x) # h\r\n# heading\u2028- item\u202e"
)


def hostile(words: str) -> Report:
    report = board(9, stuck=(11,))
    check = CheckResult(words, 1, words, 0.1)
    proof = replace(report.tasks[0].evidence[0], own_tests=(words,), checks=(check,), accepted=True)
    refused = replace(proof, accepted=False, verdict=Verdict.RED)
    task = replace(report.tasks[0], name=words, checks=(words,), evidence=(refused, proof))
    lost = replace(report.tasks[10], last_error=words, name=words, evidence=(refused,))
    return replace(
        report,
        name=words,
        summary=words,
        setup=(words,),
        run_command=words,
        blocked_reason=words,
        tasks=(task, *report.tasks[1:10], lost, *report.tasks[11:]),
        phases=(replace(report.phases[0], name=words, description=words), report.phases[1]),
        features=(replace(report.features[0], name=words), *report.features[1:]),
    )


def outside_code(text: str) -> str:
    """The page without its fences and code spans, by CommonMark's rules for both."""
    lines, fence = [], ""
    for line in text.split("\n"):
        if fence:
            if re.fullmatch(rf" {{0,3}}`{{{len(fence)},}}\s*", line):
                fence = ""
            continue
        if opened := re.match(r" {0,3}(`{3,})[^`]*$", line):
            fence = opened.group(1)
            continue
        lines.append(re.sub(r"(?<![\\`])(`+)(?!`)(.*?)(?<!`)\1(?!`)", "", line))
    assert not fence, "a fence is left open"
    return "\n".join(lines)


def broken_out(text: str) -> list[str]:
    found = []
    rest = outside_code(text)
    allowed = {"<details><summary>", "</summary>", "</details>", "<br>", "<code>", "</code>"}
    found += [t for t in re.findall(r"<[^>]*>", rest) if t not in allowed and t not in (
        "<details>", "<summary>")]  # fmt: skip
    found += re.findall(r"(?<!\\)!?(?<!\\)\[[^\]]*(?<!\\)\]\(", rest)
    found += re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", text)
    widths: dict[int, int] = {}
    table = 0
    for line in rest.split("\n"):
        if not line.startswith("|"):
            table += 1
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        if widths.setdefault(table, cells) != cells:
            found.append(line)
    return found


def test_hostile_words_stay_words() -> None:
    text = page(hostile(HOSTILE))
    assert broken_out(text) == []
    headings = [line for line in outside_code(text).split("\n") if line.startswith("#")]
    assert headings == [h for h in headings if not h.startswith("# heading")]
    assert outside_code(text).count("<details>") == outside_code(text).count("</details>")
    json.loads(render(hostile(HOSTILE))[DATA])


@given(st.text(alphabet=st.sampled_from("`|<>[]()!#-*_~\\$@&\n\r\t\x1b\x9b a1.:"), max_size=60))
def test_no_words_break_out_of_the_page(words: str) -> None:
    assert broken_out(page(hostile(words))) == []


def test_a_surrogate_does_not_stop_the_report() -> None:
    assert data(hostile("a\ud800b"))["project"]["name"] == "a\ud800b"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a|b", r"a\|b"),
        ("# no heading", r"\# no heading"),
        ("1. no list", r"1\. no list"),
        ("- no item", r"\- no item"),
        ("<b>", "&lt;b&gt;"),
        ("two\nlines", "two lines"),
        ("costs $5 and $6", r"costs \$5 and \$6"),
    ],
)
def test_words_in_markdown(words: str, shown: str) -> None:
    assert markdown.text(words) == shown


def test_a_fence_is_longer_than_those_inside() -> None:
    assert markdown.block("```\n````") == "`````text\n```\n````\n`````"
    assert markdown.code("a `b` c") == "``a `b` c``"
    assert markdown.code("a | b", table=True) == "<code>a &#124; b</code>"
