"""When a task passes: the table of docs/explanation/proof.md."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.proof import CheckResult, Verdict, judge, own_tests

RED, GREEN = CheckResult("c", 1, "", 0.1), CheckResult("c", 0, "", 0.1)
RESULTS: dict[str, tuple[CheckResult, ...]] = {
    "none": (),
    "green": (GREEN, GREEN),
    "red": (RED,),
    "mixed": (GREEN, RED),
}
ALL = list(product(RESULTS, RESULTS, (True, False), (True, False), (True, False)))


def wanted(before: str, after: str, changed: bool, moved: bool, strict: bool) -> Verdict:
    """The rules as the design words them."""
    if moved:
        return Verdict.MOVED  # refuse if the tree moved meanwhile
    if after == "none":
        return Verdict.NO_CHECKS  # nothing proves it
    if after != "green":
        return Verdict.RED  # all must exit 0
    match (before in ("red", "mixed"), changed):
        case (True, True):
            return Verdict.ACCEPTED  # (a)
        case (True, False):
            return Verdict.ALREADY_DONE  # (b)
        case (False, True):
            return Verdict.GREEN_BEFORE_STRICT if strict else Verdict.GREEN_BEFORE  # (c)
        case _:
            return Verdict.NOTHING_DONE  # (d)


@pytest.mark.parametrize(("before", "after", "changed", "moved", "strict"), ALL)
def test_every_case_of_the_table(
    before: str, after: str, changed: bool, moved: bool, strict: bool
) -> None:
    found = judge(RESULTS[before], RESULTS[after], changed=changed, moved=moved, strict=strict)
    assert found is wanted(before, after, changed, moved, strict)


@given(
    st.lists(st.integers(0, 255), max_size=4),
    st.lists(st.integers(0, 255), max_size=4),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_nothing_is_accepted_that_was_not_proved(
    before: list[int], after: list[int], changed: bool, moved: bool, strict: bool
) -> None:
    verdict = judge(
        [CheckResult("c", code, "", 0) for code in before],
        [CheckResult("c", code, "", 0) for code in after],
        changed=changed,
        moved=moved,
        strict=strict,
    )
    if verdict.accepted:
        assert after
        assert not any(after)
        assert not moved
        assert changed or any(before)
        assert any(before) or not strict


def test_which_verdicts_accept() -> None:
    assert {v for v in Verdict if v.accepted} == {
        Verdict.ACCEPTED,
        Verdict.ALREADY_DONE,
        Verdict.GREEN_BEFORE,
        Verdict.VOUCHED,
    }


@pytest.mark.parametrize(
    "path",
    ["tests/a.py", "src/tests/a", "test_a.py", "x/test_a.py", "a_test.go", "a.spec.ts", "Makefile"],
)
def test_what_looks_like_a_test_is_the_runs_own(path: str) -> None:
    assert own_tests(["src/a.py", path], ["true"]) == (path,)


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("check/a.py", "python3 check/a.py --all"),
        ("check/a.py", "python3 'check/a.py'"),
        ("check/a.py", "python3 -m check.a"),
        ("run.sh", "sh run.sh"),
    ],
)
def test_what_a_check_runs_is_the_runs_own(path: str, check: str) -> None:
    assert own_tests([path, "src/b.py"], [check]) == (path,)


@given(st.lists(st.text(max_size=20)), st.lists(st.text(max_size=30)))
def test_own_tests_are_among_what_changed(changed: list[str], checks: list[str]) -> None:
    found = own_tests(changed, checks)
    assert [path for path in changed if path in found] == list(found)


def test_work_alone_is_no_own_test() -> None:
    assert own_tests(["src/app.py", "README.md", "latest/x.py"], ["python3 -m unittest"]) == ()
