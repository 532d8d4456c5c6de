"""What a person is asked, as cards for a terminal: title, state, facts, evidence, who is awaited."""

from collections.abc import Iterator
from typing import assert_never

from bot import wording
from bot.cards import words
from bot.terminal.layout import Heading, Item, Labelled, Mark, Output, Row, Words
from bot.terminal.view import GatePrompt, PlanPrompt, Prompt, QuestionPrompt, StuckPrompt
from core.domain.lifecycle import FeatureStatus, TaskStatus
from core.domain.plan import Plan, estimate, lifted_dependencies
from core.domain.proof import CheckResult
from core.domain.redaction import clean
from core.domain.report import Report

MOST_CHANGES = 14
MOST_FEATURES = 40
ERROR_LINES = 4


def may_type(prompt: Prompt) -> str:
    """What may be typed at a prompt."""
    match prompt:
        case PlanPrompt() | GatePrompt():
            return "approve · reject REASON · details"
        case StuckPrompt():
            return "retry · retry opus · skip · guide TEXT"
        case QuestionPrompt(question):
            if not question.options:
                return "your answer in one line"
            if question.multiple:
                return "numbers or options with commas between, or your own words"
            return "a number, an option, or your own words"
        case _:
            assert_never(prompt)


def waits_for(prompt: Prompt) -> str:
    """One line: what waits for the person at the terminal."""
    match prompt:
        case PlanPrompt():
            return "The plan waits for you: nothing is built before approval."
        case GatePrompt(phase=phase):
            return f"The gate of phase {phase.position} {phase.name} waits for you."
        case StuckPrompt(task):
            return f"Task {task.number} waits for you; other work goes on."
        case QuestionPrompt(question):
            return f"{question.asker} waits for your answer; other work goes on."
        case _:
            assert_never(prompt)


def card(prompt: Prompt, board: Report, agents: int) -> Iterator[Item]:
    match prompt:
        case PlanPrompt():
            yield from _plan(prompt, board, agents)
        case GatePrompt():
            yield from _gate(prompt, board)
        case StuckPrompt():
            yield from _stuck(prompt)
        case QuestionPrompt():
            yield from _question(prompt)
        case _:
            assert_never(prompt)


def _plan(prompt: PlanPrompt, board: Report, agents: int) -> Iterator[Item]:
    line = prompt.plan
    plan, forecast = line.plan, line.estimate
    if plan.summary.strip():
        yield Words(wording.one_line(plan.summary, 600))
    if line.changes:
        yield Words(f"Changed since plan {line.version - 1}:")
        shown = line.changes[:MOST_CHANGES]
        yield Words("\n".join(wording.one_line(change, 160) for change in shown), depth=1)
        if len(line.changes) > len(shown):
            yield Words(f"and {len(line.changes) - len(shown)} more: see details", depth=1)
    yield from plan_rows(plan)
    time = wording.minutes_range(*forecast.minutes)
    yield Labelled(
        (
            ("Cost", f"about {wording.usd_range(*forecast.cost_usd)}"),
            ("Budget", wording.usd(board.budget_usd)),
            ("Time", f"about {time} with {wording.count(agents, 'agent')}"),
        )
    )
    facts = [("Checks", words.plan_checks(plan))]
    if plan.run:
        facts.append(("Run", wording.one_line(plan.run, 120)))
    if riskiest := words.riskiest(plan):
        facts.append(("Riskiest", riskiest))
    yield Labelled(tuple(facts))
    if plan.setup:
        yield Row(
            "Setup runs with the network",
            "the rest never does; by approving you allow these commands",
            Mark.WAITS,
        )
        yield Output(tuple(wording.one_line(command, 400) for command in plan.setup))


def plan_rows(plan: Plan) -> Iterator[Item]:
    """Phases, and their features drawn below the ones they build on."""
    lifted = lifted_dependencies(plan)
    left = MOST_FEATURES
    for position, phase in enumerate(plan.phases, start=1):
        tasks = [task for feature in phase.features for task in feature.tasks]
        cost = estimate(task.complexity for task in tasks).cost_usd
        yield Row(
            f"{position} {wording.one_line(phase.name, 80)}",
            f"{wording.count(len(tasks), 'task')} · about {wording.usd_range(*cost)}",
            Mark.PENDING,
            strong=True,
        )
        inside = {feature.name: lifted[feature.name] for feature in phase.features}
        depths = words.depths(inside)
        for feature in phase.features[: max(left, 0)]:
            waits = sorted(lifted[feature.name])
            depth = depths[feature.name]
            branch = "└─ " if depth else ""
            facts = wording.count(len(feature.tasks), "task")
            if waits:
                facts += f"  ← {wording.one_line(', '.join(waits), 120)}"
            yield Row(
                f"{'   ' * max(depth - 1, 0)}{branch}{wording.one_line(feature.name, 80)}",
                facts,
                depth=1,
            )
        hidden = len(phase.features) - max(left, 0)
        left -= len(phase.features)
        if hidden > 0:
            yield Words(f"and {wording.count(hidden, 'more feature')}: see details", depth=1)


def diff_words(prompt: GatePrompt) -> str:
    """`31 files, +1,284 −96`."""
    diff = prompt.diff
    return words.diff(diff.files, diff.added, diff.removed)


def _gate(prompt: GatePrompt, board: Report) -> Iterator[Item]:
    phase, counts = prompt.phase, prompt.phase.counts
    inside = [f for f in board.features if f.phase_id == phase.id]
    ids = {f.id for f in inside}
    tasks = [t for t in board.tasks if t.feature_id in ids]
    landed = sum(f.status is FeatureStatus.COMPLETED and bool(f.landed_commit) for f in inside)
    yield Row(
        f"Gate: phase {phase.position} {wording.one_line(phase.name, 80)} is ready for your"
        " decision",
        mark=Mark.WAITS,
        strong=True,
    )
    later = [p for p in board.phases if p.position > phase.position]
    after = (
        f"Phase {later[0].position} starts only after approval."
        if later
        else "Approval completes the project."
    )
    yield Words(
        f"{counts.passing} of {wording.count(counts.total, 'task')} proved,"
        f" {wording.count(landed, 'feature')} landed on main. {after}"
    )
    for task in tasks:
        if task.status is TaskStatus.SKIPPED:
            yield Row(
                f"Task {task.number} skipped: {wording.one_line(task.name, 80)}",
                "nothing proves it",
                Mark.STOPPED,
            )
    plan = estimate(t.complexity for t in tasks).cost_usd
    retries = sum(t.attempts for t in tasks)
    yield Labelled(
        (
            ("Cost", f"{wording.usd(phase.cost_usd)}, plan {wording.usd_range(*plan)}"),
            ("Diff", diff_words(prompt)),
            ("Retries", str(retries)),
        )
    )
    checks = prompt.approval.checks
    yield Words(f"Evidence on main at {wording.commit(prompt.approval.version)}")
    for check in checks[: words.MOST_CHECKS * 2]:
        yield check_row(check)
    if len(checks) > words.MOST_CHECKS * 2:
        yield Words(f"and {len(checks) - words.MOST_CHECKS * 2} more checks: see details", depth=1)


def check_row(check: CheckResult) -> Row:
    """`✓ pytest -q · 48 passed in 3.1 s · exit 0, 3.1 s`."""
    mark = Mark.DONE if check.green else Mark.STOPPED
    return Row(wording.one_line(check.command, 120), words.check_facts(check), mark, depth=1)


def _stuck(prompt: StuckPrompt) -> Iterator[Item]:
    task = prompt.task
    yield Row(
        f"Task {task.number} is stuck: {wording.one_line(task.name, 100)}",
        mark=Mark.STOPPED,
        strong=True,
    )
    yield Words(f"{words.tries(task.attempts, task.error_repeats)}. Other work goes on.")
    if task.last_error:
        yield Output(words.error_lines(task.last_error, ERROR_LINES))
    if task.recovery_notes:
        yield Words(f"Notes: {wording.one_line(task.recovery_notes, 300)}")
    yield Labelled(
        (("Cost so far", wording.usd(task.cost_usd)), ("Checks", words.some(task.checks)))
    )


def _question(prompt: QuestionPrompt) -> Iterator[Item]:
    question = prompt.question
    yield Row(f"{question.asker} asks", mark=Mark.WAITS, strong=True)
    yield Words(clean(question.text).strip()[:4_000])
    for number, option in enumerate(question.options, start=1):
        yield Row(f"{number} {wording.one_line(option)}", depth=1)


def heading(prompt: PlanPrompt) -> Heading:
    """What stands over the plan's section."""
    cost = wording.usd_range(*prompt.plan.estimate.cost_usd)
    version = f"plan {prompt.plan.version}: " if prompt.plan.version > 1 else ""
    return Heading("Plan", f"{version}{prompt.plan.plan.size}, about {cost}")
