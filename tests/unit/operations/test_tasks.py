"""Tasks: claimed in batches, given back, stuck, and what a person decides about them."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from core.domain.events import Event
from core.domain.lifecycle import Cause, FeatureStatus, TaskStatus
from core.domain.order import Land, StartRun
from core.domain.orders import next_orders
from core.domain.proof import Verdict
from core.domain.rules import Agents, Rules
from core.errors import InputError, StalePress, StateError
from core.operations import evidence, features, runs, tasks
from core.operations.runs import RunRef
from core.operations.tasks import Claimed
from core.store.tables import JournalEntry
from tests.unit.operations.build import DIED, GIVEN_UP, NOW, RED, RULES, Site, task


def claim(site: Site, run: RunRef, batch: int = 3) -> Claimed:
    rules = Rules(agents=Agents(batch=batch))
    return site.db.do(tasks.claim_next, run.id, rules, now=NOW)


def given(site: Site, run: RunRef) -> int:
    """The number of the task a run gets."""
    found = claim(site, run).task
    assert found is not None
    return found.id


def numbers(site: Site, run: RunRef, batch: int = 3) -> list[int]:
    """The tasks a run gets one after another, each proved."""
    found = []
    while (claimed := claim(site, run, batch)).task is not None:
        found.append(claimed.task.id)
        site.prove(claimed.task.id, run)
    return found


def fail(site: Site, number: int, error: str = "boom") -> None:
    """One attempt whose check fails."""
    model = site.task(number).model or "sonnet"
    run = site.begin(number=number, model=model)
    site.prove(number, run, Verdict.RED, error)
    site.end(run, GIVEN_UP)


def stuck(site: Site, number: int) -> None:
    while site.task(number).status is not TaskStatus.STUCK:
        fail(site, number)


def skip(site: Site, number: int, cause: Cause = Cause.PERSON) -> None:
    site.db.do(tasks.skip, site.task(number).id, cause=cause, by="p", now=NOW)


def retry(site: Site, number: int, model: str | None = None) -> None:
    site.db.do(tasks.retry, site.task(number).id, model=model, by="p", max_attempts=5, now=NOW)


def test_a_run_gets_the_task_it_holds_until_it_passes(site: Site) -> None:
    site.build({"a": (task("1"), task("2"))})
    run = site.begin(number=1)
    assert [given(site, run) for _ in range(2)] == [1, 1]
    site.prove(1, run)
    assert given(site, run) == 2


def test_up_to_a_batch_of_small_ready_tasks_share_a_run(site: Site) -> None:
    site.build({"a": tuple(task(str(n), complexity=1) for n in range(1, 6))})
    assert numbers(site, site.begin(number=1)) == [1, 2, 3]


def test_a_large_task_shares_with_none(site: Site) -> None:
    site.build({"a": (task("1", complexity=3), task("2"), task("3", complexity=3))})
    assert numbers(site, site.begin(number=1)) == [1]
    assert numbers(site, site.begin(number=2)) == [2]


def test_a_dependent_is_taken_in_the_same_run_once_its_dependency_passes(site: Site) -> None:
    site.build({"a": (task("1"), task("2", "1"), task("3", "2"))})
    run = site.begin(number=1)
    assert claim(site, run).left == 2
    assert numbers(site, run) == [1, 2, 3]


def test_a_batch_takes_nothing_that_clashes_with_work_beside_it(site: Site) -> None:
    site.build(
        {
            "a": (task("1"), task("2", files=("x",)), task("3", category="solo"), task("4")),
            "b": (task("5", files=("x",)),),
        }
    )
    beside = site.begin(number=5, slot=2)
    run = site.begin(number=1)
    assert numbers(site, run, batch=9) == [1, 4]
    site.prove(5, beside)
    assert numbers(site, run, batch=9) == [2, 3]


def test_a_task_is_claimed_once(site: Site) -> None:
    site.build({"a": (task("1"),)})
    first = site.begin(number=1)
    order = StartRun(first.kind, "sonnet", "late", feature_id=first.feature_id,
                     task_id=site.task(1).id)  # fmt: skip
    again = site.db.do(
        runs.begin, site.project, order, session_id=UUID(int=9), boot_id="x",
        host="h", now=NOW,
    )  # fmt: skip
    assert again is None
    assert site.task(1).run_id == first.id


def test_five_attempts_make_a_task_stuck_and_three_same_errors_the_next_model(site: Site) -> None:
    site.build({"a": (task("1"),)})
    seen = []
    for _ in range(5):
        fail(site, 1)
        row = site.task(1)
        seen.append((row.attempts, row.error_repeats, row.model, row.status.value))
    assert seen == [
        (1, 1, "sonnet", "pending"), (2, 2, "sonnet", "pending"), (3, 3, "opus", "pending"),
        (4, 4, "opus", "pending"), (5, 5, "opus", "stuck"),
    ]  # fmt: skip
    assert next_orders(site.look()) == ()
    assert "boom" in (site.task(1).last_error or "")


def test_what_nothing_proves_waits_for_a_person_at_once(site: Site) -> None:
    site.build({"a": (task("1"), task("2"))})
    run = site.begin(number=1)
    site.db.do(tasks.give_up, site.task(1).id, "Nothing proves it.", now=NOW)

    left = site.task(1)
    assert (left.status, left.attempts, left.run_id) == (TaskStatus.STUCK, 1, None)
    assert given(site, run) == 2


def test_another_error_starts_the_count_anew(site: Site) -> None:
    site.build({"a": (task("1"),)})
    for error in ("boom a", "boom a", "crash b", "boom a"):
        fail(site, 1, f"error {error}")
    assert (site.task(1).error_repeats, site.task(1).model) == (1, "sonnet")


@pytest.mark.parametrize("defer", [False, True])
def test_a_released_task_is_an_attempt(site: Site, defer: bool) -> None:
    site.build({"a": (task("1"), task("2"))})
    run = site.begin(number=1)
    if defer:
        site.db.do(tasks.defer, site.task(1).id)
    site.db.do(runs.let_go, run.id, site.task(1).id, "no network", RULES, now=NOW)
    row = site.task(1)
    assert (row.attempts, row.status, row.run_id) == (1, TaskStatus.PENDING, None)
    assert row.last_error == "no network"
    site.prove(given(site, run), run)
    site.end(run, GIVEN_UP)
    assert site.task(1).attempts == 1, "a run that ended without it does not count it again"


def test_an_agent_puts_a_task_off_once(site: Site) -> None:
    site.build({"a": (task("1"), task("2"))})
    site.begin(number=1)
    site.db.do(tasks.defer, site.task(1).id)
    with pytest.raises(StateError, match="put off once"):
        site.db.do(tasks.defer, site.task(1).id)


def test_accidents_are_free_five_times_and_wait_longer_each(site: Site) -> None:
    site.build({"a": (task("1"),)})
    seen = []
    for _ in range(7):
        run = site.begin(number=1)
        site.end(run, DIED)
        row = site.task(1)
        wait = (row.not_before - NOW).total_seconds() if row.not_before else 0
        seen.append((row.attempts, row.restarts, wait))
    assert seen == [(0, 1, 0), (0, 2, 15), (0, 3, 30), (0, 4, 45), (0, 5, 60), (1, 0, 0), (1, 1, 0)]


def test_a_task_that_waits_is_due_at_its_moment(site: Site) -> None:
    site.build({"a": (task("1"),)})
    for _ in range(2):
        site.end(site.begin(number=1), DIED)
    assert next_orders(site.look()) == ()
    assert next_orders(site.look(now=NOW + timedelta(seconds=15)))


def test_retry_gives_new_attempts_and_a_model(site: Site) -> None:
    site.build({"a": (task("1"),)})
    stuck(site, 1)
    retry(site, 1, "haiku")
    row = site.task(1)
    assert (row.status, row.allowed_attempts, row.attempts) == (TaskStatus.PENDING, 10, 5)
    assert (row.model, row.error_repeats) == ("haiku", 0)
    with pytest.raises(StalePress, match="Task 1 is pending, decided by p at 12:00 UTC on 2027"):
        retry(site, 1)


def test_guidance_is_kept_word_by_word_and_frees_a_stuck_task(site: Site) -> None:
    site.build({"a": (task("1"),)})
    for hint in ("use `sorted`", " not in place "):
        site.db.do(tasks.guide, site.task(1).id, hint, by="p", max_attempts=5, now=NOW)
    assert site.task(1).recovery_notes == "use `sorted`\nnot in place"
    stuck(site, 1)
    site.db.do(tasks.guide, site.task(1).id, "again", by="p", max_attempts=5, now=NOW)
    assert site.task(1).status is TaskStatus.PENDING
    with pytest.raises(InputError, match="hint has words"):
        site.db.do(tasks.guide, site.task(1).id, " ", by="p", max_attempts=5, now=NOW)


def test_what_builds_on_skipped_work_is_stuck_one_step_at_a_time(site: Site) -> None:
    site.build({"a": (task("1"), task("2", "1"), task("3", "2")), "b": (task("4", "1"),)})
    skip(site, 1)
    assert [site.task(n).status.value for n in (1, 2, 3, 4)] == [
        "skipped", "stuck", "pending", "stuck",
    ]  # fmt: skip
    assert site.task(2).last_error == "It builds on task 1, which was skipped."
    with pytest.raises(StateError, match="builds on task 1, which was skipped"):
        retry(site, 2)
    skip(site, 2)
    skip(site, 3)
    assert [type(o).__name__ for o in next_orders(site.look())] == ["CompleteFeature"]


def test_skipped_work_taken_up_again_frees_what_builds_on_it(site: Site) -> None:
    site.build({"a": (task("1"), task("2", "1"))})
    skip(site, 1)
    retry(site, 1)
    retry(site, 2)
    assert [site.task(n).blockers for n in (1, 2)] == [0, 1]
    site.done(1)
    assert site.task(2).blockers == 0
    site.done(2)


def test_the_service_skips_only_what_is_stuck(site: Site) -> None:
    site.build({"a": (task("1"),)})
    skip(site, 1, Cause.SERVICE)
    assert site.task(1).status is TaskStatus.PENDING
    stuck(site, 1)
    skip(site, 1, Cause.SERVICE)
    assert site.task(1).status is TaskStatus.SKIPPED


def test_what_is_next_says_why_with_the_name_of_its_feature(site: Site) -> None:
    site.build({"To-do lists": (task("1"), task("2"))})
    site.done(1)
    [started] = [order for order in next_orders(site.look()) if isinstance(order, StartRun)]
    assert started.reason.startswith("To-do lists is begun")


def test_work_that_passed_or_is_at_work_is_not_skipped(site: Site) -> None:
    site.build({"a": (task("1"), task("2"))})
    site.done(1)
    site.begin(number=2)
    with pytest.raises(StalePress, match=r"Task 1 is passing, by coder-[0-9]+ at "):
        skip(site, 1)
    with pytest.raises(StateError, match="An agent works on task 2"):
        skip(site, 2)


def test_what_is_skipped_with_what_it_builds_on_is_never_stuck(site: Site) -> None:
    site.build({"a": (task("1"), task("2", "1"), task("3", "2"))})
    ids = [site.task(number).id for number in (1, 2)]
    site.db.do(tasks.skip, *ids, cause=Cause.PERSON, by="p", now=NOW)
    assert [site.task(n).status.value for n in (1, 2, 3)] == ["skipped", "skipped", "stuck"]
    said = select(JournalEntry.task_id).where(JournalEntry.event == Event.TASK_STUCK)
    assert site.db.ask(lambda tx: tx.scalars(said).all()) == [site.task(3).id]


def test_one_that_cannot_be_skipped_keeps_all_of_them(site: Site) -> None:
    site.build({"a": (task("1"), task("2"))})
    site.done(2)
    ids = [site.task(number).id for number in (1, 2)]
    with pytest.raises(StalePress):
        site.db.do(tasks.skip, *ids, cause=Cause.PERSON, by="p", now=NOW)
    assert site.task(1).status is TaskStatus.PENDING


def test_a_skipped_task_cannot_come_back_once_its_feature_goes_to_main(site: Site) -> None:
    site.build({"a": (task("1"), task("2"))})
    site.done(1)
    skip(site, 2)
    site.db.do(features.begin_landing, site.feature("a").id)
    with pytest.raises(StateError, match="landed without task 2"):
        retry(site, 2)
    assert site.feature("a").status is FeatureStatus.LANDING


def test_nothing_waits_for_a_check_that_a_person_vouched_past(site: Site) -> None:
    red = replace(task("1"), checks=("red",))
    site.build({"a": (red, replace(task("2"), checks=("green",)))})
    run = site.begin(number=1)
    site.end(run, GIVEN_UP)
    task_id = site.task(1).id
    site.db.do(evidence.vouch, task_id, "commit0", "seen", by="p", now=NOW)
    site.done(2)
    landing = site.db.do(features.begin_landing, site.feature("a").id)
    assert landing is not None
    assert landing.checks == ("green",)
    site.db.do(features.landed, site.feature("a").id, "landed", 1, now=NOW)
    assert site.db.ask(lambda tx: features.landed_checks(tx, site.project)) == ("green",)


def test_a_landing_ordered_before_a_task_came_back_is_not_begun(site: Site) -> None:
    site.build({"a": (task("1"), task("2"))})
    site.done(1)
    skip(site, 2)
    assert next_orders(site.look()) == (Land(site.feature("a").id),)
    retry(site, 2)
    assert site.db.do(features.begin_landing, site.feature("a").id) is None


def test_a_conflict_makes_a_stuck_task_and_proved_tasks_stay(site: Site) -> None:
    site.build({"a": (task("1"),)})
    site.done(1)
    counts = []
    for _ in range(2):
        assert site.db.do(features.begin_landing, site.feature("a").id)
        counts.append(conflict(site))
        number = len(counts) + 1
        row = site.task(number)
        assert (row.status, row.checks, row.files) == (TaskStatus.STUCK, ["true"], ["x"])
        assert (row.merging, row.rank, row.complexity) == ("main1", 3, 3)
        retry(site, number)
        site.done(number)
    assert counts == [1, 2]
    assert [site.task(n).name for n in (2, 3)] == ["Bring a up to main", "Bring a up to main (2)"]
    assert site.task(1).status is TaskStatus.PASSING
    assert conflict(site) == 0, "a second report of the same landing changes nothing"


def conflict(site: Site) -> int:
    return site.db.do(
        tasks.needs_merge_of_main, site.feature("a").id, "Conflicts in x.", paths=("x",),
        merging="main1", max_attempts=5, now=NOW,
    )  # fmt: skip


def test_refusals_are_counted_per_run(site: Site) -> None:
    site.build({"a": (task("1"),)})
    for _ in range(2):
        run = site.begin(number=1)
        assert [site.prove(1, run, Verdict.RED) for _ in range(3)] == [1, 2, 3]
        site.end(run, GIVEN_UP)
    assert site.task(1).attempts == 2
    assert RED.command in (site.task(1).last_error or "")
