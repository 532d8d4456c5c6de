"""Plans and honest work on them, in few words: a task writes files, a check looks at them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.scripted.scenario import Case, Scenario, Step, always, passing, submit, write


@dataclass(frozen=True)
class Work:
    """One task: what its agent does, and what proves it."""

    name: str
    steps: tuple[Step, ...] = ()
    checks: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()  # instead of steps
    after: tuple[str, ...] = ()  # tasks it depends on
    complexity: int = 2
    files: tuple[str, ...] = ()

    def planned(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": f"Do {self.name}.",
            "complexity": self.complexity,
            "checks": self.checks,
            "depends_on": self.after,
            "files": self.files,
        }


def honest(name: str, *, needs: Iterable[str] = (), after: tuple[str, ...] = ()) -> Work:
    """Writes NAME.py, which imports what it needs, with a check that says so."""
    imports = "".join(f"import {other}\n" for other in needs)
    names = ", ".join(f"*{other}.NAMES" for other in needs)
    source = f"{imports}NAMES = ({names}{', ' if names else ''}{name!r},)\n"
    return Work(
        name=name,
        steps=(write(f"{name}.py", source), passing()),
        checks=(f'python3 -c "import {name}; assert {name!r} in {name}.NAMES"',),
        after=after,
    )


@dataclass(frozen=True)
class Piece:
    """A feature."""

    name: str
    works: tuple[Work, ...]
    after: tuple[str, ...] = ()

    def planned(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": f"It is {self.name}.",
            "depends_on": self.after,
            "tasks": [work.planned() for work in self.works],
        }


def plan(*phases: tuple[Piece, ...], checks: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """The argument of `plan_submit`."""
    return {
        "summary": "Small files.",
        "setup": [],
        "run": None,
        "checks": checks,
        "phases": [
            {"name": f"Phase {n}", "features": [piece.planned() for piece in phase]}
            for n, phase in enumerate(phases, start=1)
        ],
        **more,
    }


def play(
    *phases: tuple[Piece, ...],
    planner: tuple[tuple[str, tuple[Step, ...]], ...] = (),
    checks: tuple[str, ...] = (),
    setup: tuple[str, ...] = (),
    **more: Any,
) -> Scenario:
    """A scenario in which the planner submits these phases and coders do the works in them."""
    works = [work for phase in phases for piece in phase for work in piece.works]
    return Scenario(
        planner=(*planner, ("", (submit(plan(*phases, checks=checks, setup=setup)),))),
        tasks=cases(works),
        **more,
    )


def cases(works: Iterable[Work]) -> dict[str, tuple[Case, ...]]:
    return {work.name: work.cases or always(*work.steps) for work in works}


def alone(*works: Work) -> tuple[Piece, ...]:
    """A phase of one feature."""
    return (Piece("Alone", works),)
