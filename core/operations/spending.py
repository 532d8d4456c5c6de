"""Spending: asked at the door before each request, written after each message."""

from collections.abc import Callable
from datetime import datetime
from functools import cache

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.orm import Session

from core.domain import failure
from core.domain.agents import AgentKind
from core.domain.events import Event, Level
from core.domain.lifecycle import ProjectStatus, RunStatus, TaskStatus
from core.domain.money import (
    Dimension,
    MessageUsage,
    Price,
    Tokens,
    to_micro,
)
from core.domain.orders import NOT_ENDED
from core.domain.rules import Rules
from core.operations import journal
from core.ports.agents import LimitReport, Refusal, RefusalReason
from core.store.tables import (
    AccountWindow,
    AgentProcess,
    Project,
    Run,
    Task,
    UsageEntry,
    UsageTotal,
)
from core.views.budgets import Span, exhausted, spans, total, window_until

_AT_WORK = (ProjectStatus.INTERVIEWING, ProjectStatus.PLANNING, ProjectStatus.RUNNING)
WARN_AT = (50, 80, 95)  # percent of the project's budget


def admit(
    tx: Session, process: int, upstream: str, rules: Rules, *, now: datetime
) -> Refusal | None:
    """Whether a process may send one more request now. `rules`: the service's."""
    row = tx.get(AgentProcess, process)
    run = tx.get(Run, row.run_id) if row and row.run_id else None
    if run is None or run.status not in (RunStatus.STARTING, RunStatus.WORKING):
        return Refusal(RefusalReason.NO_RUN, "This agent's run has ended; end your turn.")
    until = window_until(tx, upstream, now)
    if until is not None and until > now:
        return Refusal(
            RefusalReason.WINDOW,
            f"The account's limit is reached until {until:%H:%M} UTC.",
            until,
        )
    project = tx.get_one(Project, run.project_id)
    rules = rules.of_project(project.settings)
    spent = exhausted(tx, project, rules, now=now)
    if spent is not None:
        return Refusal(RefusalReason.BUDGET, spent.words)
    if total(tx, project.id, Dimension.RUN, str(run.id)) >= to_micro(rules.budget.run_usd):
        return Refusal(
            RefusalReason.BUDGET,
            f"The budget of this run, ${rules.budget.run_usd:.2f}, is spent.",
        )
    return None


def run_spent_out(tx: Session, run_id: int, rules: Rules) -> bool:
    """Whether a run used up its own budget: the agent's doing, unlike the project's."""
    run = tx.get_one(Run, run_id)
    own = rules.of_project(tx.get_one(Project, run.project_id).settings)
    return total(tx, run.project_id, Dimension.RUN, str(run_id)) >= to_micro(own.budget.run_usd)


def run_costs(tx: Session, project_id: int, kind: AgentKind, *, limit: int) -> list[int]:
    """Micro-dollars of the last ended runs of a kind."""
    runs = (
        select(Run.id)
        .where(Run.project_id == project_id, Run.kind == kind, Run.status == RunStatus.ENDED)
        .order_by(Run.id.desc())
        .limit(limit)
    )
    keys = [str(run_id) for run_id in tx.scalars(runs)]
    return list(
        tx.scalars(
            select(UsageTotal.assumed_micro_usd).where(
                UsageTotal.project_id == project_id,
                UsageTotal.dimension == Dimension.RUN,
                UsageTotal.key.in_(keys),
            )
        )
    )


def book(
    tx: Session,
    process: int,
    process_id: str,
    usage: MessageUsage,
    price: Callable[[MessageUsage], Price],
    rules: Rules,
    *,
    now: datetime,
) -> bool:
    """Write one message's usage and its sums; False when it is written already."""
    row = tx.get_one(AgentProcess, process)
    run = tx.get(Run, row.run_id) if row.run_id else _last_run(tx, row)
    if run is None:
        return False
    project = tx.get_one(Project, run.project_id)
    task_id = tx.scalars(
        select(Task.id).where(Task.run_id == run.id, Task.status == TaskStatus.IN_PROGRESS)
    ).first()
    cost = price(usage)
    micro = None if cost.usd is None else to_micro(cost.usd)
    assumed = to_micro(cost.assumed_usd)
    tokens = usage.tokens
    entry = (
        insert(UsageEntry)
        .values(
            process_id=process_id,
            message_id=usage.message_id,
            project_id=project.id,
            run_id=run.id,
            task_id=task_id,
            feature_id=run.feature_id,
            phase_id=run.phase_id,
            kind=run.kind,
            model=usage.model,
            input=tokens.input,
            output=tokens.output,
            cache_read=tokens.cache_read,
            cache_write_5m=tokens.cache_write_5m,
            cache_write_1h=tokens.cache_write_1h,
            micro_usd=micro,
            assumed_micro_usd=assumed,
            at=now,
        )
        .on_conflict_do_nothing(index_elements=["process_id", "message_id"])
        .returning(UsageEntry.id)
    )
    if tx.scalar(entry) is None:
        return False
    before = total(tx, project.id, Dimension.PROJECT, str(project.id))
    keys = [
        (Dimension.PROJECT, str(project.id)),
        (Dimension.RUN, str(run.id)),
        (Dimension.MODEL, usage.model),
        (Dimension.KIND, run.kind.value),
        (Dimension.DAY, now.date().isoformat()),
    ]
    for dimension, value in (
        (Dimension.TASK, task_id),
        (Dimension.FEATURE, run.feature_id),
        (Dimension.PHASE, run.phase_id),
    ):
        if value is not None:
            keys.append((dimension, str(value)))
    _add(tx, project.id, keys, tokens, micro, assumed)
    _warn(tx, project, before, before + assumed, now=now)
    for span in spans(tx, project.id, rules.of_project(project.settings), now=now):
        _warn_of(tx, project, span, assumed, now=now)
    return True


def _last_run(tx: Session, process: AgentProcess) -> Run | None:
    """The run a message belongs to that ended while the message was under way."""
    return tx.scalars(
        select(Run)
        .where(Run.pid == process.pid, Run.kind == process.kind)
        .order_by(Run.id.desc())
        .limit(1)
    ).first()


def _add(
    tx: Session,
    project_id: int,
    keys: list[tuple[Dimension, str]],
    tokens: Tokens,
    micro: int | None,
    assumed: int,
) -> None:
    added = {
        "messages": 1,
        "unpriced_messages": int(micro is None),
        "input": tokens.input,
        "output": tokens.output,
        "cache_read": tokens.cache_read,
        "cache_write_5m": tokens.cache_write_5m,
        "cache_write_1h": tokens.cache_write_1h,
        "micro_usd": micro or 0,
        "assumed_micro_usd": assumed,
    }
    tx.execute(
        _adding(tuple(added)),
        [
            {"project_id": project_id, "dimension": dimension, "key": key, **added}
            for dimension, key in keys
        ],
    )


@cache
def _adding(names: tuple[str, ...]) -> Insert:
    """Add to sums, row by row: one statement for all rows at once is compiled anew each time."""
    statement = insert(UsageTotal)
    return statement.on_conflict_do_update(
        index_elements=["project_id", "dimension", "key"],
        set_={
            name: getattr(UsageTotal, name) + getattr(statement.excluded, name) for name in names
        },
    )


def _warn(tx: Session, project: Project, before: int, after: int, *, now: datetime) -> None:
    crossed = _crossed(before, after, project.budget_micro_usd)
    if crossed == 100:
        journal.record(
            tx, Event.BUDGET_REACHED, f"{project.name} has spent its budget.", now=now,
            level=Level.WARNING, project=project,
        )  # fmt: skip
    elif crossed:
        journal.record(
            tx, Event.BUDGET_WARNING, f"{project.name} has spent {crossed} % of its budget.",
            now=now, level=Level.WARNING, project=project,
        )  # fmt: skip


def _warn_of(tx: Session, project: Project, span: Span, added: int, *, now: datetime) -> None:
    """A day's or a month's budget; one of all projects concerns each that is at work."""
    crossed = _crossed(span.spent - added, span.spent, span.cap)
    if not crossed:
        return
    query = select(Project).where(or_(Project.id == project.id, Project.status.in_(_AT_WORK)))
    concerned = [project] if span.own else tx.scalars(query.order_by(Project.id)).all()
    for each in concerned:
        who = each.name if span.own else "This service"
        what = f"{span.words.lower()} budget"
        reached = crossed == 100
        journal.record(
            tx,
            Event.BUDGET_REACHED if reached else Event.BUDGET_WARNING,
            f"{who} has spent {what}." if reached else f"{who} has spent {crossed} % of {what}.",
            now=now,
            level=Level.WARNING,
            project=each,
            data={"scope": span.name, "own": span.own, "cap": span.cap,
                  "until": span.until.isoformat()},
        )  # fmt: skip


def _crossed(before: int, after: int, budget: int) -> int:
    """The highest mark, in percent, that lies between two sums; 0: none."""
    return max((p for p in (*WARN_AT, 100) if before * 100 < p * budget <= after * 100), default=0)


def limited(
    tx: Session, upstream: str, process: int, report: LimitReport, *, now: datetime
) -> datetime:
    """The account is limited: every agent waits until the moment returned."""
    window = tx.get(AccountWindow, upstream)
    if window is None:
        window = AccountWindow(upstream=upstream, consecutive_limits=0, changed_at=now)
        tx.add(window)
    known = window_until(tx, upstream, now)
    if known is not None and known > now:  # several agents hit the same limit
        return known
    window.until = failure.window_end(
        report.headers, report.message, consecutive_limits=window.consecutive_limits, now=now
    )
    window.consecutive_limits += 1
    window.reason = report.message[:500]
    window.changed_at = now
    row = tx.get(AgentProcess, process)
    run = tx.get(Run, row.run_id) if row and row.run_id else None
    journal.record(
        tx,
        Event.RATE_LIMITED,
        f"The account is limited until {window.until:%H:%M:%S} UTC ({report.status}).",
        now=now,
        level=Level.WARNING,
        run=run,
    )
    return window.until


def unlimited(tx: Session, upstream: str, *, now: datetime) -> None:
    """A request was answered: the next limit starts counting anew."""
    window = tx.get(AccountWindow, upstream)
    if window is not None and window.consecutive_limits:
        window.consecutive_limits = 0
        window.changed_at = now


def consecutive_limits(tx: Session, upstream: str) -> int:
    window = tx.get(AccountWindow, upstream)
    return window.consecutive_limits if window else 0


def budget_left(tx: Session, project: Project, rules: Rules, *, now: datetime) -> bool:
    """Whether another run may start. `rules`: the project's."""
    return exhausted(tx, project, rules, now=now) is None and unreserved(tx, project)


def unreserved(tx: Session, project: Project) -> bool:
    """Whether what is spent and reserved leaves something of a project's budget."""
    spent = total(tx, project.id, Dimension.PROJECT, str(project.id))
    reserved = (
        tx.scalar(
            select(func.sum(Run.reserved_micro_usd)).where(
                Run.project_id == project.id, Run.status.in_(NOT_ENDED)
            )
        )
        or 0
    )
    return not reserved or spent + reserved < project.budget_micro_usd
