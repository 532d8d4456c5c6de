"""A project that is complete: its report."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from sqlalchemy.orm import Session

from bot.cards import charts, formatting, labels
from bot.cards.progress import bar
from bot.cards.rendering import (
    CardRef,
    Drawn,
    RenderContext,
    body,
    bold,
    button,
    code,
    fallback,
    footnote,
    parallel_of,
    said,
    title,
)
from core.domain import markup
from core.domain.cards import Card, Field, Label, Picture, Subject, TextFile, Tone
from core.domain.events import CardKind
from core.domain.money import to_usd
from core.domain.plan import estimate
from core.domain.redaction import clean
from core.views import completions, journal
from core.views.completions import Completion, Costs

MOST = 6
MOST_CHECKS = 4
MOST_DAYS = 14
REPORT_FILE = ".autocoder/report.md"
_FILE = "completed.txt"  # all that the card of a completed project shortens
_SEE = f"see `{_FILE}`"
_SURE = 2_000  # characters that stand in its body whatever else does


def draw_report(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    """The project as it was completed."""
    entry = journal.entry(tx, ref.subject_id)
    done = completions.completion(tx, entry.project_id or 0)
    project, counts = done.project, done.counts
    heading = title(f"{project.name} is complete")
    by_what = (
        f"{done.vouched} of them by a person's word"
        if done.vouched
        else "each proved by its own checks"
    )
    proved = f"{counts.passing} of {formatting.count(counts.total, 'task')} passing, {by_what}."
    commit = project.report_commit or ""
    where = (
        f"Everything is on main at {code(formatting.commit(commit))}, the report in"
        if commit
        else "The report is in"
    )
    found = list(_found(done, MOST, MOST_CHECKS))
    every = "\n".join(_found(done))
    lines = [proved, *found, *_by_model(done), "", f"{where} {code(REPORT_FILE)}."]
    shortens = every != "\n".join(found) or len(every) > _SURE
    state = f"{labels.DONE} Completed, {scene.when(entry.at)}"
    budget = formatting.usd(to_usd(project.budget_micro_usd))
    card = Card(
        key=ref.key,
        kind=CardKind.REPORT,
        title=heading,
        body=body(lines, [state, footnote(project.practice, scene.box)], rest=_SEE),
        fallback=fallback(heading, proved, f"{formatting.usd(done.cost_usd)} of {budget}"),
        project=project.name,
        fields=_fields(done, scene),
        progress=bar(counts),
        pictures=_pictures(tx, project.id),
        tone=Tone.SUCCESS,
        buttons=(button("Details", Label.DETAILS, Subject.PROJECT, project.id),),
        whole=TextFile(_FILE, clean(f"{heading}\n{markup.plain(every)}\n")) if shortens else None,
    )
    return Drawn(card)


def _pictures(tx: Session, project_id: int) -> tuple[Picture, ...]:
    costs = completions.costs(tx, project_id)
    blocks = _blocks(costs) if costs else []
    if not costs or len(blocks[0][1]) < 2:
        return ()
    told = "; ".join(f"{name}: {_told(bars)}" for name, bars in blocks if bars)
    alt = f"Cost of {costs.name}, {formatting.usd(costs.whole)} in all. {told}"
    return (Picture(f"/api/pictures/cost/{project_id}.svg", alt),)


def _told(bars: Sequence[charts.Bar]) -> str:
    """What bars say; of many the first, how many more there are, and the highest."""
    said = [f"{formatting.one_line(bar.name, 40)} {formatting.usd(bar.usd)}" for bar in bars]
    if len(said) <= MOST:
        return ", ".join(said)
    highest = said[max(range(len(bars)), key=lambda at: bars[at].usd)]
    return f"{', '.join(said[:MOST])} and {len(said) - MOST} more, the highest {highest}"


def picture(tx: Session, project_id: int) -> str | None:
    """The chart behind a report's picture; None when there is no such project."""
    costs = completions.costs(tx, project_id)
    return charts.cost_svg(f"Cost of {costs.name}", _blocks(costs)) if costs else None


def _blocks(costs: Costs) -> list[tuple[str, list[charts.Bar]]]:
    """Bars by feature, by model where one is known, by day where there are two."""
    models = [
        charts.Bar(formatting.model(model), usd, charts.look_of(model))
        for model, usd in list(costs.by_model.items())[:MOST]
    ]
    days = [charts.Bar(day, usd) for day, usd in list(costs.by_day.items())[-MOST_DAYS:]]
    blocks = [("Cost by feature", _by_feature(costs)), ("Cost by model", models)]
    if len(days) > 1:
        blocks.append(("Cost by day", days))
    return blocks


def _by_feature(costs: Costs) -> list[charts.Bar]:
    """Features in their order, then what belongs to none: the interview, plans, reports."""
    bars = [charts.Bar(name, usd) for name, usd in costs.by_feature]
    rest = costs.whole - sum((bar.usd for bar in bars), Decimal(0))
    more = len(bars) - 2 * MOST
    if more > 0:
        left = sum((bar.usd for bar in bars[2 * MOST :]), Decimal(0))
        bars = [*bars[: 2 * MOST], charts.Bar(formatting.count(more, "more feature"), left)]
    return [*bars, charts.Bar("Interview and plans", rest, "skipped")] if rest > 0 else bars


def _fields(done: Completion, scene: RenderContext) -> tuple[Field, ...]:
    project = done.project
    plan = estimate(done.complexities, parallel=parallel_of(project.settings, scene))
    paid = " at list prices; $0.00 paid" if project.practice else ""
    took = formatting.UNKNOWN
    if project.completed_at is not None:
        took = formatting.duration((project.completed_at - project.created_at).total_seconds())
    spent = f"{formatting.usd(done.cost_usd)}{paid}"
    return (
        Field("Cost", f"{spent}, plan {formatting.usd_range(*plan.cost_usd)}"),
        Field("Time", took),
        Field("Gates", f"{done.gates} of {done.phases} approved"),
        Field("Messages", formatting.count(done.messages)),
    )


def _found(
    done: Completion, most: int | None = None, most_checks: int | None = None
) -> Iterator[str]:
    """What landed, what was left out, and what the last gate ran on `main`; None: all of it."""
    landed, skipped = done.landed[: most and 2 * most], done.skipped[:most]
    if landed:
        yield ""
    for feature in landed:
        commit = code(formatting.commit(feature.commit))
        yield f"{labels.DONE} {bold(feature.name, 80)} landed, {commit}"
    if more := len(done.landed) - len(landed):
        yield f"and {formatting.count(more, 'more feature')}: {_SEE}"
    for number, name in skipped:
        yield f"{labels.STOPPED} Task {number} {said(name, 80)} skipped: nothing proves it"
    if more := len(done.skipped) - len(skipped):
        yield f"{labels.STOPPED} and {more} more skipped: {_SEE}"
    last = done.last_gate
    if last is None or not last.checks:
        return
    yield ""
    yield f"**Evidence** on main at {code(formatting.commit(last.version))}"
    checks = last.checks[:most_checks]
    for check in checks:
        mark = labels.DONE if check.green else labels.STOPPED
        yield f"{mark} {code(check.command, 120)} {said(labels.check_facts(check), 140)}"
    if more := len(last.checks) - len(checks):
        yield f"and {formatting.count(more, 'more check')}: {_SEE}"


def _by_model(done: Completion) -> Iterator[str]:
    if done.by_model:
        spent = ", ".join(
            f"{said(formatting.model(model))} {formatting.usd(usd)}"
            for model, usd in list(done.by_model.items())[:MOST]
        )
        yield ""
        yield f"**By model** {spent}"
