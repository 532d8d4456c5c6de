"""The plan: phases of features of tasks; what is wrong with one, how two differ, what it costs.

The shape is what planners hand to the tool `plan_submit`.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from graphlib import CycleError, TopologicalSorter

from core.domain.counting import count

NAME_LIMIT = 120
TEXT_LIMIT = 20_000
SPEC_LIMIT = 100_000
SETUP_LIMIT = 1_200  # characters of all setup commands: the plan card shows each whole
MAX_TASKS = 2_000
MAX_CHECKS = 20
MAX_STEPS = 50
_CATEGORY_LIMIT = 60
FEATURE_PRIORITY = 0  # the usual ones; lower goes first
TASK_PRIORITY = 999
_LAST = 9_999


@dataclass(frozen=True)
class PlannedTask:
    name: str
    description: str = ""
    category: str = "feature"
    steps: tuple[str, ...] = ()
    complexity: int = 2
    checks: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    priority: int = TASK_PRIORITY


@dataclass(frozen=True)
class PlannedFeature:
    name: str
    tasks: tuple[PlannedTask, ...]
    description: str = ""
    spec: str = ""
    depends_on: tuple[str, ...] = ()
    priority: int = FEATURE_PRIORITY


@dataclass(frozen=True)
class PlannedPhase:
    name: str
    features: tuple[PlannedFeature, ...]
    description: str = ""


@dataclass(frozen=True)
class Plan:
    phases: tuple[PlannedPhase, ...]
    summary: str = ""
    setup: tuple[str, ...] = ()
    run: str | None = None
    checks: tuple[str, ...] = ()

    def features(self) -> tuple[PlannedFeature, ...]:
        return tuple(feature for phase in self.phases for feature in phase.features)

    def tasks(self) -> tuple[PlannedTask, ...]:
        return tuple(task for feature in self.features() for task in feature.tasks)

    @property
    def growth(self) -> str:
        """`1 feature, 3 tasks`: what it adds to a phase."""
        return f"{count(len(self.features()), 'feature')}, {count(len(self.tasks()), 'task')}"

    @property
    def size(self) -> str:
        """`2 phases, 4 features, 14 tasks`."""
        return f"{count(len(self.phases), 'phase')}, {self.growth}"

    def check_commands(self) -> tuple[str, ...]:
        """Every command that the bash policy must allow, in order, once each."""
        own = (check for task in self.tasks() for check in task.checks)
        return tuple(dict.fromkeys((*self.checks, *own)))


@dataclass(frozen=True)
class Known:
    """What an approved project has already; a later submission may build on it."""

    tasks: Mapping[str, str] = field(default_factory=dict)  # task name → feature name
    features: Collection[str] = ()
    later: Collection[str] = ()  # tasks and features of phases that begin only after this one


NOTHING = Known()


def lifted_dependencies(plan: Plan, known: Known = NOTHING) -> dict[str, set[str]]:
    """Feature name → names of the features it waits for: its own and those of its tasks."""
    home = dict(known.tasks)
    home.update((task.name, f.name) for f in plan.features() for task in f.tasks)
    lifted: dict[str, set[str]] = {}
    for feature in plan.features():
        waits = set(feature.depends_on)
        waits |= {home[d] for task in feature.tasks for d in task.depends_on if d in home}
        lifted[feature.name] = waits - {feature.name}
    return lifted


def problems(
    plan: Plan, *, refused_checks: Mapping[str, str] | None = None, known: Known = NOTHING
) -> tuple[str, ...]:
    """What an agent must mend before the plan can be shown; empty when it is sound.

    `refused_checks` maps a command that the bash policy refuses to its reason.
    """
    found: list[str] = []
    found += _sizes(plan)
    found += _names(plan, known)
    found += _checks(plan, refused_checks or {})
    if not found:
        found += _dependencies(plan, known)
    return tuple(found)


def _sizes(plan: Plan) -> Iterable[str]:
    if not plan.phases:
        yield "The plan has no phases: give at least one phase with one feature and one task."
    total = len(plan.tasks())
    if total > MAX_TASKS:
        yield f"The plan has {total} tasks; at most {MAX_TASKS} are taken. Make tasks larger."
    for phase in plan.phases:
        if not phase.features:
            yield f"Phase {phase.name!r} has no features: add one, or leave the phase out."
        for feature in phase.features:
            if not feature.tasks:
                yield f"Feature {feature.name!r} has no tasks: add one, or leave it out."
            if len(feature.spec) > SPEC_LIMIT:
                yield f"The spec of feature {feature.name!r} is over {SPEC_LIMIT:,} characters."
            if not 0 <= feature.priority <= _LAST:
                yield f"Feature {feature.name!r} has priority {feature.priority}; use 0 to {_LAST}."
            for task in feature.tasks:
                yield from _task_sizes(task)
    for command in plan.setup:
        if not command.strip() or "\x00" in command:
            yield f"A setup command is blank or holds control characters: {command[:60]!r}."
        elif "\n" in command:
            yield f"A setup command has several lines: {command[:60]!r}. Give each as its own."
    if sum(map(len, plan.setup)) > SETUP_LIMIT:
        yield (
            f"The setup commands have over {SETUP_LIMIT:,} characters together, and a person must"
            " read each before approving: use fewer or shorter ones."
        )


def _task_sizes(task: PlannedTask) -> Iterable[str]:
    if len(task.description) > TEXT_LIMIT:
        yield f"The description of task {task.name!r} is over {TEXT_LIMIT:,} characters."
    if not 1 <= task.complexity <= 5:
        yield f"Task {task.name!r} has complexity {task.complexity}; use 1 to 5."
    if not 0 <= task.priority <= _LAST:
        yield f"Task {task.name!r} has priority {task.priority}; use 0 to {_LAST}."
    if len(task.checks) > MAX_CHECKS:
        yield f"Task {task.name!r} has {len(task.checks)} checks; at most {MAX_CHECKS}."
    if len(task.steps) > MAX_STEPS:
        yield f"Task {task.name!r} has {len(task.steps)} steps; at most {MAX_STEPS}."
    if len(task.category) > _CATEGORY_LIMIT:
        yield f"The category of task {task.name!r} is over {_CATEGORY_LIMIT} characters."


def _names(plan: Plan, known: Known) -> Iterable[str]:
    named = (
        ("Phase", [p.name for p in plan.phases], ()),
        ("Feature", [f.name for f in plan.features()], known.features),
        ("Task", [t.name for t in plan.tasks()], known.tasks),
    )
    for what, names, taken in named:
        for name in names:
            if not name.strip():
                yield f"A {what.lower()} has no name."
            elif len(name) > NAME_LIMIT:
                yield f"{what} name {name[:40]!r}… is over {NAME_LIMIT} characters: shorten it."
            elif any(not c.isprintable() for c in name):
                yield f"{what} name {name[:60]!r} holds control characters: take them out."
            elif name != name.strip():
                yield f"{what} name {name[:60]!r} begins or ends with a space: take it off."
        for name, times in Counter(names).items():
            if times > 1:
                yield f"{what} name {name[:60]!r} is used {times} times: names are unique."
            if name in taken:
                yield f"{what} {name[:60]!r} exists already: state only what is new."


def _checks(plan: Plan, refused: Mapping[str, str]) -> Iterable[str]:
    for task in plan.tasks():
        if not [c for c in task.checks if c.strip()]:
            yield (
                f"Task {task.name!r} has no check: give it a command that fails today"
                " and exits 0 when the task is done."
            )
        for check in task.checks:
            if check in refused:
                yield f"Check {check[:200]!r} of task {task.name!r} is refused: {refused[check]}"
    for check in plan.checks:
        if check in refused:
            yield f"Plan-wide check {check[:200]!r} is refused: {refused[check]}"


def _dependencies(plan: Plan, known: Known) -> Iterable[str]:
    phase_of = {f.name: n for n, p in enumerate(plan.phases) for f in p.features}
    home = {task.name: f.name for f in plan.features() for task in f.tasks}
    for feature in plan.features():
        for name in feature.depends_on:
            if name == feature.name:
                yield f"Feature {name!r} depends on itself."
            elif name not in phase_of and name not in known.features:
                yield f"Feature {feature.name!r} depends on unknown feature {name[:60]!r}."
            elif name in known.later or phase_of.get(name, 0) > phase_of[feature.name]:
                yield f"Feature {feature.name!r} depends on {name!r} of a later phase."
        for task in feature.tasks:
            for name in task.depends_on:
                if name == task.name:
                    yield f"Task {name!r} depends on itself."
                elif name not in home and name not in known.tasks:
                    yield f"Task {task.name!r} depends on unknown task {name[:60]!r}."
                elif name in known.later or (
                    name in home and phase_of[home[name]] > phase_of[feature.name]
                ):
                    yield f"Task {task.name!r} depends on {name!r} of a later phase."
    tasks = {task.name: set(task.depends_on) & home.keys() for task in plan.tasks()}
    if cycle := find_cycle(tasks):
        yield f"Tasks depend on each other in a circle: {' → '.join(cycle)}. Break it."
    lifted = lifted_dependencies(plan, known)
    if cycle := find_cycle({name: waits & lifted.keys() for name, waits in lifted.items()}):
        yield (
            f"Features depend on each other in a circle: {' → '.join(cycle)}. A task that"
            " depends on a task of another feature makes its feature wait for that whole"
            " feature. Move tasks, or split a feature."
        )


def find_cycle(graph: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """The names along one cycle, first and last alike; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return ()


def ranks(graph: Mapping[int, Collection[int]], weight: Mapping[int, int]) -> dict[int, int]:
    """Per task the heaviest chain of work from its start to the end of the plan.

    `graph` maps a task to what it depends on, `weight` to its complexity.
    """
    dependents: dict[int, list[int]] = defaultdict(list)
    for task, waits in graph.items():
        for other in waits:
            dependents[other].append(task)
    rank: dict[int, int] = {}
    for task in reversed(tuple(TopologicalSorter(graph).static_order())):
        rank[task] = weight[task] + max((rank[d] for d in dependents[task]), default=0)
    return rank


def changes(old: Plan, new: Plan) -> tuple[str, ...]:
    """What a revised plan changed, a line each."""
    lines: list[str] = []
    for what, before, after in (
        ("phase", [p.name for p in old.phases], [p.name for p in new.phases]),
        ("feature", [f.name for f in old.features()], [f.name for f in new.features()]),
        ("task", [t.name for t in old.tasks()], [t.name for t in new.tasks()]),
        ("setup command", list(old.setup), list(new.setup)),
        ("plan-wide check", list(old.checks), list(new.checks)),
    ):
        lines += [f"+ {what} {name}" for name in after if name not in before]
        lines += [f"− {what} {name}" for name in before if name not in after]
    previous = {task.name: task for task in old.tasks()}
    for task in new.tasks():
        if task.name in previous and previous[task.name] != task:
            lines.append(f"~ task {task.name}")
    if old.summary != new.summary:
        lines.append("~ summary")
    return tuple(lines)


# List-price experience with small projects, USD and minutes per task by complexity; a
# project's own history takes its place as soon as there is one.
_PRIOR_USD = {1: ("0.02", "0.06"), 2: ("0.04", "0.12"), 3: ("0.08", "0.25"), 4: ("0.15", "0.50"),
              5: ("0.30", "1.00")}  # fmt: skip
_PRIOR_MINUTES = {1: (1, 3), 2: (2, 5), 3: (3, 9), 4: (5, 15), 5: (8, 25)}


@dataclass(frozen=True)
class Estimate:
    """Ranges, low to high."""

    cost_usd: tuple[Decimal, Decimal]
    minutes: tuple[int, int]


def estimate(complexities: Iterable[int], *, parallel: int = 1) -> Estimate:
    """What tasks of these complexities will cost, before there is any history."""
    levels = list(complexities)
    low = sum((Decimal(_PRIOR_USD[c][0]) for c in levels), Decimal(0))
    high = sum((Decimal(_PRIOR_USD[c][1]) for c in levels), Decimal(0))
    lanes = max(1, parallel)
    return Estimate(
        cost_usd=(low, high),
        minutes=(
            -(-sum(_PRIOR_MINUTES[c][0] for c in levels) // lanes),
            -(-sum(_PRIOR_MINUTES[c][1] for c in levels) // lanes),
        ),
    )
