"""`make bench`: what autocoder costs beside the bare CLI, in one run.

Figures are ratios within the run, or counted work; a ratio of times is one of medians, of rounds
that alternate. Anything else that runs on this machine meanwhile makes them worse.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

from tests.bench import bare, database, figures, product, service
from tests.bench.figures import Figure, at_least, at_most, reported

_ROOT = Path(__file__).parents[2]
_TASKS = 10
_FIRST_REQUEST = 32 * 1024
_TASK_REQUESTS = 135 * 1024


def overhead(folder: Path, rounds: int) -> Iterable[Figure]:
    """Ten tasks by one warm agent against the bare CLI; the first round only warms the disk."""
    ours: list[product.Build] = []
    theirs: list[float] = []
    for number in range(rounds + 1):
        plain = bare.session(product.plan(1, _TASKS), folder / f"bare-{number}")
        built = product.build(
            product.plan(1, _TASKS), folder / f"built-{number}", agents=1, batch=1
        )
        requests = len(built.coder_requests())
        if (built.tasks, requests, len(plain.requests)) != (_TASKS, 4 * _TASKS, 4 * _TASKS):
            raise RuntimeError(f"{built.tasks} tasks took {requests} requests")
        if number:
            ours.append(built)
            theirs.append(plain.seconds)
    each, seconds = 1000 / _TASKS, [built.seconds for built in ours]
    yield at_most(
        "overhead: ten tasks against the bare CLI", median(seconds) / median(theirs), 1.7, "×"
    )
    yield reported("  a task of ours", each * median(seconds), "ms", _spread(seconds, each))
    yield reported("  a task of the bare CLI", each * median(theirs), "ms", _spread(theirs, each))
    yield from _weight(ours[0])


def _spread(values: list[float], factor: float) -> str:
    return f"{factor * min(values):.0f}–{factor * max(values):.0f}"


def _weight(built: product.Build) -> Iterable[Figure]:
    requests = built.coder_requests()
    sums: list[int] = []
    for request in requests:
        if request.turn == 0:
            sums.append(0)
        sums[-1] += request.size
    yield at_most("a coder's first request", requests[0].size, _FIRST_REQUEST, "B")
    yield at_most("the requests of a task, the heaviest", max(sums), _TASK_REQUESTS, "B")


def parallel(folder: Path, _rounds: int) -> Iterable[Figure]:
    """Twelve tasks in three features while each answer of the model takes a second."""
    one, three = (
        product.build(
            product.plan(3, 4), folder / f"agents-{agents}", agents=agents, batch=3, latency=1
        )
        for agents in (1, 3)
    )
    yield at_least("three agents against one, 1 s latency", one.seconds / three.seconds, 2.3, "×")
    yield reported("  three agents", three.seconds, "s", f"whole build {three.whole_seconds:.1f} s")
    yield reported("  one agent", one.seconds, "s", f"whole build {one.whole_seconds:.1f} s")
    counts = Counter(count for look in three.looks for count in look.agents)
    at_rest = max(counts, key=lambda count: counts[count])
    yield at_most("processes per agent at rest", at_rest, 5, "", f"at most {max(counts)} seen")
    full = [look for look in three.looks if len(look.agents) == 3]
    yield reported("PSS of three agents", median(look.agents_pss for look in full) / 1e6, "MB")
    yield reported(
        "PSS of the program beside them", median(look.program_pss for look in full) / 1e6, "MB"
    )


def decisions(folder: Path, _rounds: int) -> Iterable[Figure]:
    return asyncio.run(database.decisions(folder))


def transitions(folder: Path, _rounds: int) -> Iterable[Figure]:
    return asyncio.run(database.transitions(folder))


def demo(folder: Path, _rounds: int) -> Iterable[Figure]:
    """`autocoder demo` in a home of its own."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "bot", "demo", "--home", str(folder / "demo")],
        cwd=_ROOT,
        env={
            name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=600,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the demo ended with {done.returncode}: {done.stderr[-2000:]!r}")
    yield at_most("make demo, after set-up", time.monotonic() - begun, 60, "s")


PARTS: dict[str, Callable[[Path, int], Iterable[Figure]]] = {
    "transitions": transitions,
    "decisions": decisions,
    "overhead": overhead,
    "parallel": parallel,
    "service": service.acknowledged,
    "idle": service.idle,
    "restart": service.restart,
    "demo": demo,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--only", choices=PARTS, action="append", help="not everything")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of what is a median (3)")
    given = parser.parse_args()
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="autocoder-bench-") as folder:
        for name in given.only or PARTS:
            for figure in PARTS[name](Path(folder), given.rounds):
                found.append(figure)
                print(figures.show(figure), flush=True)
    cores, (load, _, _) = os.cpu_count() or 1, os.getloadavg()
    busy = (
        "; something else runs here, so times are worse than they are" if load > 2 * cores else ""
    )
    print(f"\n{cores} cores, load {load:.1f}{busy}")
    if given.json:
        figures.save(found, given.json)
    return int(any(figure.ok is False for figure in found))


if __name__ == "__main__":
    sys.exit(main())
