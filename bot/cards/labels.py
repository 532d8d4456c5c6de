"""What is said of plans, checks, errors and agents, on cards and in the terminal alike."""

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from bot.cards import formatting
from core.domain import markup
from core.domain.cards import Link
from core.domain.lifecycle import PhaseStatus, ProjectStatus, TaskStatus
from core.domain.plan import Plan
from core.domain.proof import CheckResult
from core.domain.redaction import clean
from core.ports.host import BoxLevel
from core.views.waiting import Waiting, WaitKind

DONE, PROGRESS, PENDING, WAITS, STOPPED = "✓", "◐", "○", "▲", "■"
PRACTICE = "Practice model: scripted, offline, costs nothing"
PRACTICE_REJECTION = "Find must ignore accents: cafe finds Café"  # its coder can do that
OPTION = 75  # characters that every platform shows of a button
MOST_CHECKS = 8
MOST_NAMES = 4
_NOUNS = ("phase", "feature", "task", "setup command", "plan-wide check")

PHASE_MARKS = {
    PhaseStatus.PENDING: PENDING,
    PhaseStatus.IN_PROGRESS: PROGRESS,
    PhaseStatus.AWAITING_APPROVAL: WAITS,
    PhaseStatus.COMPLETED: DONE,
}
PROJECT_MARKS = {
    ProjectStatus.INTERVIEWING: WAITS,
    ProjectStatus.PLANNING: PROGRESS,
    ProjectStatus.AWAITING_APPROVAL: WAITS,
    ProjectStatus.RUNNING: PROGRESS,
    ProjectStatus.PAUSED: STOPPED,
    ProjectStatus.BLOCKED: STOPPED,
    ProjectStatus.COMPLETED: DONE,
    ProjectStatus.STOPPED: STOPPED,
    ProjectStatus.ARCHIVED: STOPPED,
}
TASK_MARKS = {
    TaskStatus.PENDING: PENDING,
    TaskStatus.IN_PROGRESS: PROGRESS,
    TaskStatus.PASSING: DONE,
    TaskStatus.STUCK: STOPPED,
    TaskStatus.SKIPPED: STOPPED,
}
_OWN_TOOLS = {  # what an agent tells us, in words for people
    "calls task_get_next": "takes its next task",
    "calls task_get": "reads its task",
    "calls task_mark_passing": "its checks are run",
    "calls task_mark_failing": "gives up for now",
    "calls task_release": "gives its task back",
    "calls task_skip": "puts its task behind the others",
    "calls ask_person": "asks a person",
    "calls plan_submit": "submits the plan",
}


def labels(options: Sequence[str]) -> Sequence[str]:
    """Options as they read on buttons, with a number where two would read the same."""
    lines = [formatting.one_line(option) for option in options]
    if len({line[: OPTION - 1] for line in lines}) == len(lines):
        return lines
    return [f"{number}. {line}" for number, line in enumerate(lines, 1)]


def doing(activity: str) -> str:
    """What an agent does, in words for people."""
    return _OWN_TOOLS.get(activity, activity) or "thinking"


_CHANGES = {"+": "New", "−": "Left out", "~": "Changed"}


def plan_changes(changes: Sequence[str]) -> Iterator[str]:
    """`Left out: tasks Import, Export`: one line for each way in which something changed."""
    found: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        sign, _, rest = change.partition(" ")
        what = next((noun for noun in _NOUNS if rest.startswith(f"{noun} ")), "")
        name = rest.removeprefix(what).strip()
        found.setdefault((sign, what), []).append(formatting.one_line(name, 60))
    for (sign, what), names in found.items():
        noun = f"{what}s " if what and len(names) > 1 else f"{what} " if what else "the "
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        yield f"{_CHANGES.get(sign, sign)}: {noun}{', '.join(names[:MOST_NAMES])}{more}"


def at_rest(name: str, status: ProjectStatus) -> str:
    """`■ todo-api is stopped: nothing waits for anybody`"""
    return f"{STOPPED} {markup.escape(name)} is {status.words}: nothing waits for anybody"


def waits(wait: Waiting) -> str:
    """What waits for a person, of a project that is known: `The gate of phase 1`."""
    return _wait(wait)[0]


def way_to(wait: Waiting) -> Link:
    """The link to the card of what waits."""
    return Link(_wait(wait)[1], wait.key)


def _wait(wait: Waiting) -> tuple[str, str]:
    match wait.kind:
        case WaitKind.PLAN:
            return f"Plan {wait.number}" if wait.number > 1 else "The plan", "Review the plan"
        case WaitKind.GATE:
            return f"The gate of phase {wait.number}", "Review the gate"
        case WaitKind.QUESTION:
            return f"A question of {wait.agent}", f"Answer {wait.agent}"
        case WaitKind.STUCK:
            return f"Task {wait.number}", f"Open task {wait.number}"
        case WaitKind.BLOCKED:
            return "The project", "See what blocks it"
        case _:
            assert_never(wait.kind)


def diff(files: int, added: int, removed: int) -> str:
    """`31 files, +1,284 −96`."""
    return f"{formatting.count(files, 'file')}, +{added:,} −{removed:,}"


def depths(graph: Mapping[str, set[str]]) -> dict[str, int]:
    """How many features of the same phase stand before each; the graph has no cycle."""
    found: dict[str, int] = {}
    waiting = dict(graph)
    while waiting:
        ready = [n for n, waits in waiting.items() if not (waits & waiting.keys())]
        for name in ready or list(waiting):
            inside = [found[other] + 1 for other in waiting[name] if other in found]
            found[name] = max(inside, default=0)
        for name in ready or list(waiting):
            del waiting[name]
    return found


def riskiest(plan: Plan) -> str:
    """`9 Sign-in and session tokens`: the hardest task, if one is hard."""
    tasks = plan.tasks()
    hardest = max(range(len(tasks)), key=lambda n: tasks[n].complexity, default=None)
    if hardest is None or tasks[hardest].complexity <= 2:
        return ""
    return f"{hardest + 1} {formatting.one_line(tasks[hardest].name, 80)}"


def some(commands: Sequence[str]) -> str:
    """`pytest -q · ruff check . · and 3 more`."""
    shown = [formatting.one_line(command, 80) for command in commands[:MOST_CHECKS]]
    more = len(commands) - len(shown)
    return " · ".join(shown) + (f" · and {more} more" if more else "")


def plan_checks(plan: Plan) -> str:
    """The plan-wide checks, and how many tasks bring of their own."""
    own = len(plan.check_commands()) - len(dict.fromkeys(plan.checks))
    checks = some(plan.checks) if plan.checks else ""
    if own:
        checks += f"{' · and ' if checks else ''}{own} of single tasks"
    return checks or "none"


def check_facts(check: CheckResult) -> str:
    """`48 passed in 3.1 s · exit 0`; where a check does not say how long it took, we do."""
    last = summary_line(check.output)
    if last:
        return f"{last} · exit {check.exit_code}"
    return f"exit {check.exit_code}, {formatting.duration(check.seconds)}"


def summary_line(output: str) -> str:
    """The line in which a test program sums up, if it seems to."""
    for line in reversed(clean(output).strip().split("\n")[-12:]):
        if "passed" in line or "failed" in line or line.startswith("Ran "):
            return formatting.one_line(line.strip("= "), 70)
    return ""


def telling_line(error: str) -> str:
    """The one line of an error that says most."""
    lines = [line.strip() for line in clean(error).split("\n") if line.strip()]
    lines = [line.removeprefix("E ").strip() for line in lines]  # pytest's margin
    telling = [
        line
        for line in lines
        if any(word in line for word in ("Error:", "Error ", "assert", "!=", "error:", "Expected"))
    ]
    return formatting.one_line((telling or lines or [""])[-1], 160)


def error_lines(error: str, most: int) -> tuple[str, ...]:
    """Its first line, and the last ones; none that only divides others."""
    lines = clean(error).strip().split("\n")
    lines = [line for line in lines if any(char.isalnum() for char in line)]
    return tuple(lines[:1] + lines[1:][-most:])


def tries(attempts: int, repeats: int) -> str:
    """`5 attempts, the same error 3 times`."""
    made = formatting.count(attempts, "attempt") if attempts else "No attempt"
    return made + (f", the same error {repeats} times" if repeats > 1 else "")


def sandbox(level: BoxLevel) -> str:
    match level:
        case BoxLevel.FULL:
            return "sandbox on (bubblewrap)"
        case BoxLevel.REDUCED:
            return "sandbox reduced"
        case BoxLevel.NONE:
            return "no sandbox"
        case _:
            assert_never(level)
