"""When a task passes: what its checks said before and after, and what changed (docs/explanation/proof.md)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class CheckResult:
    """One check that ran."""

    command: str
    exit_code: int
    output: str
    seconds: float

    @property
    def green(self) -> bool:
        return self.exit_code == 0


class Verdict(StrEnum):
    """What a proof came to."""

    ACCEPTED = "accepted"  # red before, green after, something changed
    ALREADY_DONE = "already_done"  # red before, green after, a sibling did it: an empty commit
    GREEN_BEFORE = "green_before"  # accepted, but no check was red before
    VOUCHED = "vouched"  # a person passed it; no check proves it
    RED = "red"  # a check failed
    MOVED = "moved"  # files changed while the checks ran
    NO_CHECKS = "no_checks"
    NOTHING_DONE = "nothing_done"  # green before and nothing changed: a person must look
    GREEN_BEFORE_STRICT = "green_before_strict"  # `proof.strict` forbids it

    @property
    def accepted(self) -> bool:
        return self in (
            Verdict.ACCEPTED, Verdict.ALREADY_DONE, Verdict.GREEN_BEFORE, Verdict.VOUCHED,
        )  # fmt: skip


def judge(
    before: Sequence[CheckResult],
    after: Sequence[CheckResult],
    *,
    changed: bool,
    moved: bool,
    strict: bool,
) -> Verdict:
    """The verdict on one attempt. `before` are the task's checks before its first attempt."""
    if moved:
        return Verdict.MOVED
    if not after:
        return Verdict.NO_CHECKS
    if not all(result.green for result in after):
        return Verdict.RED
    if any(not result.green for result in before):
        return Verdict.ACCEPTED if changed else Verdict.ALREADY_DONE
    if not changed:
        return Verdict.NOTHING_DONE
    return Verdict.GREEN_BEFORE_STRICT if strict else Verdict.GREEN_BEFORE


_TEST_FILE = re.compile(
    r"(^|/)(tests?|spec|__tests__)/|(^|/)test_[^/]*$|_test\.[a-z]+$|\.(test|spec)\.[a-z]+$"
    r"|(^|/)conftest\.py$|(^|/)Makefile$"
)


def own_tests(changed: Collection[str], checks: Sequence[str]) -> tuple[str, ...]:
    """Paths among `changed` that a check runs, or that look like tests: the run's own."""
    words = {word.strip("'\"") for check in checks for word in check.split()}
    return tuple(
        path
        for path in changed
        if _TEST_FILE.search(path)
        or path in words
        or path.removesuffix(".py").replace("/", ".") in words
    )
