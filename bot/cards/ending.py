"""How a project ends, or cannot go on: its report, and what blocks it."""

from collections.abc import Iterator
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import charts, words
from bot.cards.frame import (
    Drawn,
    Scene,
    body,
    bold,
    button,
    code,
    fallback,
    footnote,
    parallel_of,
    said,
    spoken,
    title,
)
from bot.cards.progress import buttons as project_buttons
from core.domain.cards import Card, CardKind, Field, Label, Picture, Progress, Subject, Tone
from core.domain.events import Event
from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    FeatureStatus,
    ProjectStatus,
    TaskStatus,
)
from core.domain.money import Dimension, to_usd
from core.domain.plan import estimate
from core.operations import boards, evidence
from core.operations.vouching import vouched
from core.store.tables import (
    Approval,
    Feature,
    JournalEntry,
    Phase,
    Project,
    Task,
    UsageTotal,
)

MOST = 6
MOST_CHECKS = 4
MOST_DAYS = 14
REPORT_FILE = ".autocoder/report.md"
REASON = 1_500


def draw_report(tx: Session, key: str, entry_id: int, scene: Scene) -> Drawn:
    """The project as it was completed."""
    entry = tx.get_one(JournalEntry, entry_id)
    project = tx.get_one(Project, entry.project_id)
    tally: dict[TaskStatus, int] = dict(
        tx.execute(
            select(Task.status, func.count())
            .where(Task.project_id == project.id)
            .group_by(Task.status)
        ).all()
    )
    passing, total = tally.get(TaskStatus.PASSING, 0), sum(tally.values())
    heading = title(f"{project.name} is complete")
    by_hand = tx.scalar(
        select(func.count(Task.id)).where(
            Task.project_id == project.id, Task.status == TaskStatus.PASSING, vouched()
        )
    )
    by_what = (
        f"{by_hand} of them by a person's word" if by_hand else "each proved by its own checks"
    )
    proved = f"{passing} of {wording.count(total, 'task')} passing, {by_what}."
    done = f"{words.DONE} Completed, {scene.clock(entry.at)}"
    commit = project.report_commit or ""
    where = (
        f"Everything is on main at {code(wording.commit(commit))}, the report in"
        if commit
        else "The report is in"
    )
    lines = [
        proved,
        *_features(tx, project),
        *_left_out(tx, project),
        *_evidence(tx, project),
        *_by_model(tx, project),
        "",
        f"{where} {code(REPORT_FILE)}.",
    ]
    card = Card(
        key=key,
        kind=CardKind.REPORT,
        title=heading,
        body=body(lines, [done, footnote(project.practice, scene.box)]),
        fallback=fallback(heading, proved, _cost(tx, project)),
        project=project.name,
        fields=_fields(tx, project, scene),
        progress=Progress(passing + tally.get(TaskStatus.SKIPPED, 0), total) if total else None,
        pictures=_pictures(tx, project),
        tone=Tone.SUCCESS,
        buttons=(button("Details", Label.DETAILS, Subject.PROJECT, project.id),),
    )
    return Drawn(card)


def _pictures(tx: Session, project: Project) -> tuple[Picture, ...]:
    bars = _by_feature(tx, project)
    if len(bars) < 2:
        return ()
    most = max(bars, key=lambda bar: bar.usd)
    alt = (
        f"Cost by feature: {len(bars)} bars, the highest {most.name} {wording.usd(most.usd)},"
        f" {wording.usd(sum((bar.usd for bar in bars), Decimal(0)))} in all"
    )
    return (Picture(f"/api/pictures/cost/{project.id}.svg", alt),)


def picture(tx: Session, project_id: int) -> str | None:
    """The chart behind a report's picture; None when there is no such project."""
    project = tx.get(Project, project_id)
    if project is None:
        return None
    models = [
        charts.Bar(wording.model(row.key), to_usd(row.micro_usd), charts.look_of(row.key))
        for row in _totals(tx, project, Dimension.MODEL)[:MOST]
    ]
    days = [
        charts.Bar(row.key, to_usd(row.micro_usd))
        for row in sorted(_totals(tx, project, Dimension.DAY), key=lambda row: row.key)[-MOST_DAYS:]
    ]
    blocks = [("Cost by feature", _by_feature(tx, project)), ("Cost by model", models)]
    if len(days) > 1:
        blocks.append(("Cost by day", days))
    return charts.cost_svg(f"Cost of {project.name}", blocks)


def _by_feature(tx: Session, project: Project) -> list[charts.Bar]:
    """Features in their order, then what belongs to none: the interview, plans, reports."""
    names = tx.execute(
        select(Feature.id, Feature.name)
        .where(Feature.project_id == project.id)
        .order_by(Feature.position)
    ).all()
    spent = {row.key: row.micro_usd for row in _totals(tx, project, Dimension.FEATURE)}
    bars = [charts.Bar(name, to_usd(spent.get(str(number), 0))) for number, name in names]
    rest = boards.spending_of(tx, project.id)[0] - sum((bar.usd for bar in bars), Decimal(0))
    if len(bars) > 2 * MOST:
        left = sum((bar.usd for bar in bars[2 * MOST :]), Decimal(0))
        bars = [*bars[: 2 * MOST], charts.Bar(f"{len(bars) - 2 * MOST} more features", left)]
    return [*bars, charts.Bar("Interview and plans", rest, "skipped")] if rest > 0 else bars


def _totals(tx: Session, project: Project, dimension: Dimension) -> list[UsageTotal]:
    return list(
        tx.scalars(
            select(UsageTotal)
            .where(UsageTotal.project_id == project.id, UsageTotal.dimension == dimension)
            .order_by(UsageTotal.micro_usd.desc())
        )
    )


def _cost(tx: Session, project: Project) -> str:
    cost, _ = boards.spending_of(tx, project.id)
    return f"{wording.usd(cost)} of {wording.usd(to_usd(project.budget_micro_usd))}"


def _fields(tx: Session, project: Project, scene: Scene) -> tuple[Field, ...]:
    levels = tx.scalars(select(Task.complexity).where(Task.project_id == project.id)).all()
    plan = estimate(levels, parallel=parallel_of(project.settings, scene))
    cost, _ = boards.spending_of(tx, project.id)
    paid = " at list prices; $0.00 paid" if project.practice else ""
    took = wording.UNKNOWN
    if project.completed_at is not None:
        took = wording.duration((project.completed_at - project.created_at).total_seconds())
    total = tx.get(UsageTotal, (project.id, Dimension.PROJECT, str(project.id)))
    return (
        Field("Cost", f"{wording.usd(cost)}{paid}, plan {wording.usd_range(*plan.cost_usd)}"),
        Field("Time", took),
        Field("Gates", f"{_gates(tx, project)} approved"),
        Field("Messages", wording.count(total.messages if total else 0)),
    )


def _gates(tx: Session, project: Project) -> str:
    approved = tx.scalar(
        select(func.count()).where(
            Approval.project_id == project.id,
            Approval.kind == ApprovalKind.GATE,
            Approval.status == ApprovalStatus.APPROVED,
        )
    )
    phases = tx.scalar(select(func.count()).where(Phase.project_id == project.id))
    return f"{approved} of {phases}"


def _features(tx: Session, project: Project) -> Iterator[str]:
    rows = tx.scalars(
        select(Feature)
        .where(Feature.project_id == project.id, Feature.status == FeatureStatus.COMPLETED)
        .order_by(Feature.position)
    ).all()
    landed = [feature for feature in rows if feature.landed_commit]
    if not landed:
        return
    yield ""
    for feature in landed[: 2 * MOST]:
        commit = code(wording.commit(feature.landed_commit or ""))
        yield f"{words.DONE} {bold(feature.name, 80)} landed, {commit}"
    if len(landed) > 2 * MOST:
        yield f"and {len(landed) - 2 * MOST} more features"


def _left_out(tx: Session, project: Project) -> Iterator[str]:
    rows = tx.scalars(
        select(Task)
        .where(Task.project_id == project.id, Task.status == TaskStatus.SKIPPED)
        .order_by(Task.number)
    ).all()
    for task in rows[:MOST]:
        yield f"{words.STOPPED} Task {task.number} {said(task.name, 80)} skipped: nothing proves it"
    if len(rows) > MOST:
        yield f"{words.STOPPED} and {len(rows) - MOST} more skipped"


def _evidence(tx: Session, project: Project) -> Iterator[str]:
    """What the last gate ran on `main`."""
    last = tx.scalars(
        select(Approval)
        .where(Approval.project_id == project.id, Approval.kind == ApprovalKind.GATE)
        .order_by(Approval.id.desc())
        .limit(1)
    ).first()
    if last is None or not last.checks:
        return
    checks = [evidence.from_json(check) for check in last.checks]
    yield ""
    yield f"**Evidence** on main at {code(wording.commit(last.version))}"
    for check in checks[:MOST_CHECKS]:
        mark = words.DONE if check.green else words.STOPPED
        yield f"{mark} {code(check.command, 120)} {said(words.check_facts(check), 140)}"
    if len(checks) > MOST_CHECKS:
        yield f"and {wording.count(len(checks) - MOST_CHECKS, 'more check')}: see the report"


def _by_model(tx: Session, project: Project) -> Iterator[str]:
    rows = tx.scalars(
        select(UsageTotal)
        .where(UsageTotal.project_id == project.id, UsageTotal.dimension == Dimension.MODEL)
        .order_by(UsageTotal.micro_usd.desc())
        .limit(MOST)
    ).all()
    if rows:
        spent = ", ".join(
            f"{said(wording.model(row.key))} {wording.usd(to_usd(row.micro_usd))}" for row in rows
        )
        yield ""
        yield f"**By model** {spent}"


def draw_blocked(tx: Session, key: str, entry_id: int, scene: Scene) -> Drawn:
    """The service cannot go on by itself: why, and what a person can do."""
    entry = tx.get_one(JournalEntry, entry_id)
    project = tx.get_one(Project, entry.project_id)
    over = tx.scalars(
        select(JournalEntry)
        .where(
            JournalEntry.project_id == project.id,
            JournalEntry.id > entry.id,
            JournalEntry.event.in_(
                (Event.PROJECT_RESUMED, Event.PROJECT_STOPPED, Event.PROJECT_ARCHIVED)
            ),
        )
        .order_by(JournalEntry.id)
        .limit(1)
    ).first()
    heading = title(f"{project.name} is blocked")
    blocked = over is None and project.status is ProjectStatus.BLOCKED
    if over is not None:
        state = f"{words.DONE} {_WENT_ON[over.event]} by {said(over.actor, 128)}, {scene.clock(over.at)}"
    elif blocked:
        state = f"{words.WAITS} Waits for somebody since {scene.clock(entry.at)}"
    else:
        state = f"{words.DONE} It goes on"
    after = "Nothing done is lost. Mend the cause, then resume." if blocked else ""
    card = Card(
        key=key,
        kind=CardKind.ERROR,
        title=heading,
        body=body(
            [spoken(entry.text, REASON), after], [state, footnote(project.practice, scene.box)]
        ),
        fallback=fallback(heading, wording.one_line(entry.text, 300), state),
        project=project.name,
        tone=Tone.DANGER if blocked else Tone.INFO,
        buttons=project_buttons(project.id, project.status, project.name) if blocked else (),
    )
    return Drawn(card)


_WENT_ON = {
    Event.PROJECT_RESUMED: "Resumed",
    Event.PROJECT_STOPPED: "Stopped",
    Event.PROJECT_ARCHIVED: "Archived",
}
