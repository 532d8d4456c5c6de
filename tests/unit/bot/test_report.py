"""The report: what REST shows as data, and a page that nobody's words can break."""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from bot.cards import markdown
from bot.report import DATA, PAGE, render
from core.domain.agents import AgentKind
from core.domain.lifecycle import (
    ApprovalStatus,
    Cause,
    FeatureStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
    WaitingFor,
    move,
)
from core.domain.proof import CheckResult, Verdict
from core.domain.rules import Rules
from core.operations import evidence, projects, tasks
from core.operations.evidence import Proof
from core.views.json import encode
from core.views.projects import ProjectView, Service
from core.views.projects import project as shown
from core.views.reports import Report, as_completed
from core.views.reports import report as read_report
from core.views.usage import NOTHING
from tests.unit.bot.cards import stage
from tests.unit.bot.cards.stage import NOW

SERVICE = Service(Path("projects"), stage.UPSTREAM, Rules(), NOW)


def read(tx: Session, project_id: int) -> Report:
    tx.flush()
    return read_report(tx, project_id, SERVICE)


def begun(tx: Session, *, practice: bool = True) -> int:
    """A project at its first gate, with what it cost."""
    project = stage.begin(tx, practice=practice)
    made = replace(stage.plan(), run="python3 -m todo_api")
    stage.spend(tx, stage.run(tx, project, AgentKind.PLANNER, slot=2), "0.000002", message="m0")
    stage.approve(tx, stage.submit(tx, project, made))
    coder = stage.claim(tx, project, 1)
    stage.spend(tx, coder, "0.49")
    proof = Proof(Verdict.ACCEPTED, stage.COMMIT, (stage.CHECK,), ("tests/test_store.py",))
    evidence.record_proof(tx, stage.task(tx, project, 1).id, coder.id, proof, now=NOW)
    move(coder, RunStatus.ENDED, by=Cause.SERVICE)
    for number in (2, 3, 4):
        stage.prove(tx, project, number)
    stage.land(tx, project, "Storage")
    stage.land(tx, project, "Endpoints")
    return project


@cache
def done(*, practice: bool = True) -> Report:
    """As its last commit tells it."""
    with stage.database() as tx:
        project = begun(tx, practice=practice)
        stage.approve(tx, stage.open_gate(tx, project))
        stage.prove(tx, project, 5)
        stage.land(tx, project, "Docs")
        stage.approve(tx, stage.open_gate(tx, project, 2))
        return as_completed(read(tx, project), NOW + timedelta(minutes=41))


@cache
def unfinished() -> Report:
    """One task proved by checks that were green before, one skipped, one stuck."""
    with stage.database() as tx:
        project = stage.build(tx, practice=True)
        stage.prove(tx, project, 1, Verdict.GREEN_BEFORE)
        stage.fail(tx, project, 3)
        stage.fail(tx, project, 2)
        tasks.skip(tx, stage.task(tx, project, 2).id, cause=Cause.PERSON, by="web:ann", now=NOW)
        return read(tx, project)


# The fields of the reference.
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
    " by_feature by_task by_day period",
}


def data(report: Report) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(render(report)[DATA])
    return parsed


def page(report: Report) -> str:
    return render(report)[PAGE].decode()


def has(thing: dict[str, Any], what: str) -> None:
    assert set(FIELDS[what].split()) <= set(thing), what


def test_every_field_is_there() -> None:
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


def test_it_is_what_rest_shows() -> None:
    with stage.database() as tx:
        project = begun(tx)
        report = data(read(tx, project))
        over_rest = json.loads(encode(ProjectView, shown(tx, "todo-api", SERVICE)))
    assert report["project"] == over_rest


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
    tasks = data(done())["tasks"]
    assert [task["id"] for task in tasks] == [1, 2, 3, 4, 5]
    assert tasks[1]["depends_on"] == [1]
    assert set(data(done())["usage"]["by_task"]) == {"1"}


def test_no_path_of_the_host_is_told() -> None:
    assert data(done())["project"]["path"] == "projects/todo-api"


def blocked(words: str, on: WaitingFor | None = None) -> Callable[[Session, int], None]:
    return lambda tx, project: projects.block(tx, project, words, on=on, now=NOW)


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (blocked("The key is refused.", WaitingFor.CREDENTIALS), "credentials"),
        (blocked("Five plans were refused."), None),
        (lambda tx, project: projects.set_budget(tx, project, Decimal("0.10")), "budget"),
        (lambda tx, project: None, None),
    ],
)
def test_it_says_what_it_waits_for(
    happens: Callable[[Session, int], None], reason: str | None
) -> None:
    with stage.database() as tx:
        project = begun(tx)
        happens(tx, project)
        found = read(tx, project)
    waiting = data(found)["project"]["waiting"]
    assert (waiting["reason"] if waiting else None) == reason
    complete = as_completed(found, NOW).project
    assert (complete.waiting, complete.status) == (None, ProjectStatus.COMPLETED)


def test_a_report_of_nothing_yet() -> None:
    with stage.database() as tx:
        empty = read(tx, stage.begin(tx))
    assert data(empty)["project"]["estimate"] is None
    assert "Nothing has to be set up." in page(empty)


def test_the_page_says_what_it_is_and_how_to_use_it() -> None:
    text = page(done())
    assert text.startswith("# todo-api\n")
    assert "**Practice model.**" in text
    assert "**✓ Complete** · **5 of 5** tasks proved" in text
    assert "3 of 3 features landed on `main` · 2 of 2 gates approved" in text
    assert "(41 min)" in text
    assert "```sh\npython3 -m venv .venv\n.venv/bin/pip install -e .\n```" in text
    assert "```sh\npython3 -m todo_api\n```" in text
    assert "```sh\nruff check .\npytest -q\n```" in text
    assert "- ✓ `pytest -q` exit 0, 3.1 s" in text
    assert "**Own test:** the agent wrote or changed `tests/test_store.py`" in text
    assert "- Task 1: a check runs tests that the agent itself wrote" in text
    assert "<details><summary>Output</summary>" in text
    assert "| **Endpoints** | ✓ landed | 2/2 | Storage | `4f2c9e1` |" in text
    assert "| Phase | 1 Foundation | 1 |" in text
    assert "$0.49" in text


def test_people_are_called_by_their_names() -> None:
    text = page(done())
    assert "approved by ann 2026-03-12" in text
    assert "web:ann" not in text
    assert data(done())["approvals"][0]["decided_by"] == "web:ann"


def test_it_reads_as_a_page() -> None:
    """No paragraph runs into the next, no table breaks off."""
    for text in (page(done()), page(unfinished())):
        assert "\n\n\n" not in text
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        lines = text.split("\n")
        for before, line in itertools.pairwise(lines):
            if line.startswith(("#", "<details>", "```sh")):
                assert before == ""
            if line.startswith("|"):
                assert before == "" or before.startswith("|")


def test_no_practice_where_none_was() -> None:
    text = page(done(practice=False)).lower()
    assert "practice" not in text
    assert "nothing paid" not in text


@pytest.mark.parametrize("status", list(ProjectStatus))
def test_every_status_has_words(status: ProjectStatus) -> None:
    report = unfinished()
    text = page(replace(report, project=replace(report.project, status=status)))
    assert re.search(r"^\*\*[✓◐▲■] [A-Z]", text, re.MULTILINE)


def test_every_state_of_a_part_has_words() -> None:
    report = done()
    phase, feature, task = report.phases[0], report.features[0], report.tasks[0]
    decision, proof = report.approvals[0], report.tasks[0].evidence[0]
    refused = [replace(proof, accepted=False, verdict=verdict) for verdict in Verdict]
    text = page(
        replace(
            report,
            phases=[replace(phase, status=status) for status in PhaseStatus],
            features=[replace(feature, status=status) for status in FeatureStatus],
            tasks=[replace(task, status=status, evidence=[]) for status in TaskStatus]
            + [replace(task, evidence=[each]) for each in refused],
            approvals=[replace(decision, status=status) for status in ApprovalStatus],
        )
    )
    for words in ("◐ landing", "■ stuck", "withdrawn", "files changed while the checks ran"):
        assert words in text


def test_what_nothing_proves_is_said() -> None:
    text = page(unfinished())
    last = text.rpartition("## Not proved")[2]
    assert "Task 3 Create: stuck" in last
    assert "Task 2 Store: skipped, nothing proves it" in last
    assert "Task 1 Schema: its checks were green before" in last
    assert "**Green before:**" in text
    assert "5 proofs refused, the last one because a check failed." in text


HOSTILE = (
    "| a | b |\n|---|\n```\n</details><script>alert(1)</script>\x1b[2J\x1b]0;title\x07"
    "\x9b31m `tick` **bold** [x](http://evil.example) ![i](x) # h\r\n# heading\u2028- item\u202e"
)


def hostile(words: str) -> Report:
    report = unfinished()
    check = CheckResult(words, 1, words, 0.1)
    first, stuck = report.tasks[0], report.tasks[2]
    proof = replace(first.evidence[0], own_tests=(words,), checks=(check,), commit=words)
    refused = replace(proof, accepted=False, verdict=Verdict.RED)
    decision = replace(report.approvals[0], reason=words, version=words, checks=(check,))
    return replace(
        report,
        project=replace(report.project, name=words, blocked_reason=words),
        about=replace(
            report.about, summary=words, setup=(words,), run_command=words, checks=(words,)
        ),
        tasks=(
            replace(first, name=words, checks=(words,), evidence=(refused, proof)),
            report.tasks[1],
            replace(stuck, last_error=words, name=words, reason=words, evidence=(refused,)),
            *report.tasks[3:],
        ),
        phases=(replace(report.phases[0], name=words, description=words), report.phases[1]),
        features=(replace(report.features[0], name=words), *report.features[1:]),
        approvals=(decision,),
        names={str(decision.decided_by): words},
        usage=replace(report.usage, by_model={words: NOTHING}, by_kind={words: NOTHING}),
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
