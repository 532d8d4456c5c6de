"""The long form of what is asked about."""

from collections.abc import Iterator
from typing import assert_never

from bot import wording
from bot.terminal.cards import check_row
from bot.terminal.layout import Item, Labelled, Mark, Output, Row, Words
from bot.terminal.view import GatePrompt, PlanPrompt, Prompt, QuestionPrompt, StuckPrompt
from core.domain.plan import Plan
from core.domain.redaction import clean
from core.domain.report import Report

PATCH_LINES = 600
OUTPUT_LINES = 40


def details(prompt: Prompt, board: Report, patch: str) -> Iterator[Item]:
    match prompt:
        case PlanPrompt(plan=line):
            for change in line.changes:
                yield Row(wording.one_line(change), depth=1)
            yield from _plan(line.plan)
        case GatePrompt():
            yield from _gate(prompt, board, patch)
        case StuckPrompt(task):
            yield Words(task.description)
            yield Words("\n".join(f"{n}. {step}" for n, step in enumerate(task.steps, start=1)))
            yield Output(tuple(clean(task.last_error or "").split("\n")))
        case QuestionPrompt(question):
            yield Words(question.text)
        case _:
            assert_never(prompt)


def _plan(plan: Plan) -> Iterator[Item]:
    number = 0
    for position, phase in enumerate(plan.phases, start=1):
        yield Row(f"{position} {phase.name}", mark=Mark.PENDING, strong=True)
        if phase.description:
            yield Words(phase.description, depth=1)
        for feature in phase.features:
            yield Row(feature.name, depth=1, strong=True)
            for text in (feature.description, feature.spec):
                if text.strip():
                    yield Words(text.strip(), depth=2)
            for task in feature.tasks:
                number += 1
                waits = f" · after {', '.join(task.depends_on)}" if task.depends_on else ""
                yield Row(
                    f"{number} {task.name}",
                    f"complexity {task.complexity}{waits}",
                    Mark.PENDING,
                    depth=2,
                )
                if task.description.strip():
                    yield Words(task.description.strip(), depth=4)
                yield Output(tuple(f"    $ {wording.one_line(c, 400)}" for c in task.checks))
    if plan.checks:
        yield Row("Checks of every landing", depth=0, strong=True)
        yield Output(tuple(f"$ {wording.one_line(c, 400)}" for c in plan.checks))
    if plan.setup:
        yield Row("Setup, with the network", depth=0, strong=True)
        yield Output(tuple(f"$ {command}" for command in plan.setup))


def _gate(prompt: GatePrompt, board: Report, patch: str) -> Iterator[Item]:
    inside = [f for f in board.features if f.phase_id == prompt.phase.id]
    for feature in inside:
        landed = f"landed at {wording.commit(feature.landed_commit or '')}"
        yield Row(
            feature.name,
            landed if feature.landed_commit else feature.status.value.replace("_", " "),
            right=wording.usd(feature.cost_usd),
            strong=True,
        )
        for task in board.tasks:
            if task.feature_id == feature.id:
                tries = f", tried again {task.attempts}×" if task.attempts else ""
                yield Row(
                    f"{task.number} {task.name}",
                    f"{task.status.value.replace('_', ' ')}{tries}",
                    right=wording.usd(task.cost_usd),
                    depth=1,
                )
    for check in prompt.approval.checks:
        yield check_row(check)
        yield Output(tuple(clean(check.output).strip().split("\n")[-OUTPUT_LINES:]))
    yield Labelled((("Patch", f"{prompt.diff.files} files"),))
    lines = clean(patch).split("\n")
    yield Output(tuple(lines[:PATCH_LINES]))
    if len(lines) > PATCH_LINES:
        yield Words(f"{len(lines) - PATCH_LINES:,} more lines: see git diff in the repository.")
