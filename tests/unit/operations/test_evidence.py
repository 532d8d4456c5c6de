"""Evidence rows, what passes by them, and what is kept of a check's output."""

import pytest
from sqlalchemy import select

from core.domain.lifecycle import TaskStatus
from core.domain.proof import CheckResult, Verdict
from core.errors import StateError
from core.operations import evidence
from core.operations.evidence import OUTPUT_KEPT, Proof
from core.store.tables import Evidence, RunTask
from tests.unit.operations.build import DIED, GIVEN_UP, GREEN, RED, Site, task


def rows(site: Site) -> list[Evidence]:
    return site.db.ask(lambda tx: list(tx.scalars(select(Evidence).order_by(Evidence.id))))


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_proof_is_a_row_and_only_accepted_ones_pass(site: Site, verdict: Verdict) -> None:
    site.build({"a": (task("1"), task("2", "1"))})
    run = site.begin(number=1)
    refusals = site.prove(1, run, verdict)
    (row,) = rows(site)
    assert (row.verdict, row.accepted, row.run_id) == (verdict, verdict.accepted, run.id)
    passed = verdict.accepted
    assert refusals == (0 if passed else 1)
    assert (site.task(1).status is TaskStatus.PASSING) == passed
    assert site.task(2).blockers == (0 if passed else 1)
    assert (site.feature("a").last_green_commit == row.commit) == passed
    held = site.db.ask(lambda tx: tx.get_one(RunTask, (run.id, site.task(1).id)).passed)
    assert held == passed
    assert bool(site.task(1).last_error) != passed


def test_a_task_passes_once(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = site.begin(number=1)
    site.prove(1, run)
    with pytest.raises(StateError):
        site.prove(1, run)
    assert len(rows(site)) == 1


def test_a_commit_whose_run_is_gone_passes_the_task_it_proves(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = site.begin(number=1)
    site.end(run, DIED)
    site.prove(1, run)
    assert site.task(1).status is TaskStatus.PASSING


def test_a_late_proof_does_not_pass_a_task_that_another_run_has(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = site.begin(number=1)
    site.end(run, GIVEN_UP)
    other = site.begin(number=1)
    with pytest.raises(StateError, match="with another run"):
        site.prove(1, run)
    assert site.task(1).run_id == other.id
    assert rows(site) == []


def test_what_was_measured_first_stays(site: Site) -> None:
    site.build({"a": (task("1"),)})
    for checks in ([RED], [GREEN]):
        site.db.do(evidence.record_before, site.task(1).id, checks)
    assert [evidence.from_json(row) for row in site.task(1).before or ()] == [RED]


def test_a_gigabyte_of_output_is_cut_in_the_middle() -> None:
    kept = evidence.to_json(CheckResult("c", 1, "a" * 50_000 + "middle" + "z" * 50_000, 1.23456))
    assert len(kept["output"]) < OUTPUT_KEPT + 100
    assert kept["output"].startswith("aaa")
    assert kept["output"].endswith("zzz")
    assert "80006 characters cut" in kept["output"]
    assert kept["seconds"] == 1.235
    assert evidence.from_json(evidence.to_json(RED)) == RED


@pytest.mark.parametrize("verdict", [v for v in Verdict if not v.accepted])
def test_every_refusal_says_what_to_do(verdict: Verdict) -> None:
    words = evidence.describe(Proof(verdict, "c", [CheckResult("make test", 2, "boom", 0.1)]))
    assert len(words) > 20
    if verdict is Verdict.RED:
        assert words == "$ make test\nexit 2\nboom"
