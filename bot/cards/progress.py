"""The live card of a project: how far it is, who does what, what it cost, who is waited for."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import median
from typing import assert_never

from sqlalchemy.orm import Session

from bot.cards import formatting, forms, labels
from bot.cards.rendering import (
    CardRef,
    Drawn,
    RenderContext,
    body,
    bold,
    button,
    fallback,
    footnote,
    said,
    title,
)
from core.domain.cards import (
    Button,
    Card,
    Field,
    Label,
    Progress,
    Subject,
    Tone,
)
from core.domain.events import CardKind
from core.domain.lifecycle import AT_REST, PhaseStatus, ProjectStatus, RunStatus
from core.domain.people import Role
from core.views import boards
from core.views.boards import AgentOnBoard, Board
from core.views.tasks import Counts

NEAR = 4  # phases that are named
MOST_AGENTS = 8
MOST_WAITS = 4
LEAST_PASSED = 3  # before anything is foretold


def draw(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    board = seen(tx, ref.project_id, scene)
    waits = list(waits_of(board, scene))
    left = time_left(board, scene.now)
    state = _state(board)
    card = Card(
        key=ref.key,
        kind=CardKind.PROGRESS,
        title=title(f"{board.name}: {state}"),
        body=body(
            [*_sums(board), *_phases(board, scene), *_agents(board, scene), *_service(board)],
            [*waits, footnote(board.practice, scene.box)],
        ),
        fallback=fallback(f"{board.name}: {state}", *_short(board), *waits[:2]),
        project=board.name,
        fields=_fields(board, left, scene),
        progress=bar(board.counts),
        tone=_tone(board),
        buttons=buttons(board.id, board.status, board.name),
        links=tuple(labels.way_to(wait) for wait in board.waits[:MOST_WAITS]),
    )
    return Drawn(card, _again_at(board, scene))


def seen(tx: Session, project_id: int, scene: RenderContext) -> Board:
    """A project as it stands in this scene."""
    return boards.board(tx, project_id, upstream=scene.upstream, rules=scene.rules, now=scene.now)


def _again_at(board: Board, scene: RenderContext) -> datetime | None:
    """While agents work its minutes run; else a wait for the account's limit ends by the clock."""
    if any(run.status is not RunStatus.WAITING for run in board.agents):
        return scene.now + timedelta(minutes=1)
    if not _works(board):
        return None
    begins = board.exhausted.until if board.exhausted else None
    ends = [until for until in (board.window_until, begins) if until]
    return min(ends, default=None)


def _works(board: Board) -> bool:
    return board.status in (ProjectStatus.PLANNING, ProjectStatus.RUNNING)


def _state(board: Board) -> str:
    match board.status:
        case ProjectStatus.INTERVIEWING:
            return "interview"
        case ProjectStatus.PLANNING:
            return "being planned"
        case ProjectStatus.AWAITING_APPROVAL:
            return "the plan waits for approval"
        case ProjectStatus.RUNNING:
            return _running(board)
        case ProjectStatus.PAUSED:
            return "paused"
        case ProjectStatus.BLOCKED:
            return "blocked"
        case ProjectStatus.COMPLETED:
            return "complete"
        case ProjectStatus.STOPPED:
            return "stopped"
        case ProjectStatus.ARCHIVED:
            return "archived"
        case _:
            assert_never(board.status)


def _running(board: Board) -> str:
    phase = board.open_phase
    if phase is None:
        return "the report is being written"
    of = f"phase {phase.position} of {len(board.phases)}"
    if phase.status is PhaseStatus.AWAITING_APPROVAL:
        return f"{of} waits at its gate"
    return f"building {of}"


def _tone(board: Board) -> Tone:
    match board.status:
        case ProjectStatus.COMPLETED:
            return Tone.SUCCESS
        case ProjectStatus.BLOCKED:
            return Tone.DANGER
        case ProjectStatus.PAUSED | ProjectStatus.STOPPED:
            return Tone.WARNING
        case (
            ProjectStatus.INTERVIEWING
            | ProjectStatus.PLANNING
            | ProjectStatus.AWAITING_APPROVAL
            | ProjectStatus.RUNNING
            | ProjectStatus.ARCHIVED
        ):
            held = board.window_until or (board.exhausted and _works(board))
            return Tone.WARNING if board.waits or held else Tone.INFO
        case _:
            assert_never(board.status)


def bar(counts: Counts) -> Progress | None:
    """What was skipped is not done: nothing proves it."""
    if not counts.total:
        return None
    return Progress(counts.passing, counts.total, counts.in_progress, counts.stuck)


def _sums(board: Board) -> Iterator[str]:
    counts = board.counts
    if not counts.total:
        return
    share = formatting.percent(counts.passing, counts.total)
    tasks = "task" if counts.total == 1 else "tasks"
    yield f"**{counts.passing} of {counts.total}** {tasks} passing, {share}"
    rest = (
        (labels.PROGRESS, counts.in_progress, "in progress"),
        (labels.STOPPED, counts.stuck, "stuck"),
        (labels.STOPPED, counts.skipped, "skipped"),
        (labels.PENDING, counts.pending, "pending"),
    )
    line = " · ".join(f"{mark} {number:,} {name}" for mark, number, name in rest if number)
    if line:
        yield line


def _short(board: Board) -> Iterator[str]:
    """The sums in one sentence: `9 of 14 passing, 1 stuck, $5.70 of $12.00`."""
    counts = board.counts
    spent = f"{formatting.usd(board.cost_usd)} of {formatting.usd(board.budget_usd)}"
    if not counts.total:
        yield spent
        return
    stuck = f", {counts.stuck} stuck" if counts.stuck else ""
    yield f"{counts.passing} of {counts.total} passing{stuck}, {spent}"


def _phases(board: Board, scene: RenderContext) -> Iterator[str]:
    if board.phases:
        yield ""
    now = board.open_phase
    begin = max((now.position - 2) if now else len(board.phases) - NEAR, 0)
    if begin:
        yield f"{labels.DONE} {formatting.count(begin, 'phase')} before"
    for phase in board.phases[begin : begin + NEAR]:
        begun = phase.status in (PhaseStatus.IN_PROGRESS, PhaseStatus.AWAITING_APPROVAL)
        rests = begun and board.status in AT_REST
        mark = labels.STOPPED if rests else labels.PHASE_MARKS[phase.status]
        line = f"{mark} {bold(f'{phase.position} {phase.name}', 80)}"
        line += f" {phase.counts.passing}/{phase.counts.total}"
        if phase.approved_by and phase.approved_at:
            line += f", approved by {said(phase.approved_by)} {scene.when(phase.approved_at)}"
        yield line
    later = len(board.phases) - begin - NEAR
    if later > 0:
        yield f"{labels.PENDING} and {formatting.count(later, 'more phase')}"


def _agents(board: Board, scene: RenderContext) -> Iterator[str]:
    if board.status in AT_REST:
        return  # what is parked waits for nobody
    if board.agents:
        yield ""
    for run in board.agents[:MOST_AGENTS]:
        yield from _agent(run, scene)
    if len(board.agents) > MOST_AGENTS:
        more = formatting.count(len(board.agents) - MOST_AGENTS, "more agent")
        yield f"{labels.PROGRESS} and {more}"


def _agent(run: AgentOnBoard, scene: RenderContext) -> Iterator[str]:
    mark, doing = _doing(run, scene)
    about = f" {run.task} {said(run.name or '', 100)}" if run.task else ""
    yield f"{mark} {bold(run.agent)} {said(formatting.model(run.model))}{about}"
    minutes = int((scene.now - run.started_at).total_seconds() // 60)
    facts = [doing, f"{minutes} min" if minutes else "", _cost(run.cost_usd)]
    yield "  " + " · ".join(fact for fact in facts if fact)


def _doing(run: AgentOnBoard, scene: RenderContext) -> tuple[str, str]:
    match run.status:
        case RunStatus.QUEUED | RunStatus.STARTING:
            return labels.PENDING, "starting"
        case RunStatus.WORKING:
            doing = said(labels.doing(scene.activity.get(run.run_id, "")), 80)
            return labels.PROGRESS, f"a check failed, mends it: {doing}" if run.mending else doing
        case RunStatus.WAITING:
            return labels.WAITS, "waits for an answer"
        case RunStatus.ENDED:
            return labels.DONE, "ended"
        case _:
            assert_never(run.status)


def _cost(usd: Decimal) -> str:
    return formatting.usd(usd) if usd else ""


def _service(board: Board) -> Iterator[str]:
    """What is done without an agent."""
    if board.status is not ProjectStatus.RUNNING:
        return
    clean = "setup and checks in a clean checkout"
    for name in board.landing[:NEAR]:
        yield f"{labels.PROGRESS} {bold('landing')} {said(name, 100)}: {clean}"
    phase = board.open_phase
    if phase is None or phase.status is not PhaseStatus.IN_PROGRESS or board.agents:
        return
    counts = phase.counts
    if phase.rework:
        yield f"{labels.PROGRESS} {bold('rework')} of phase {phase.position} is being planned"
    elif not board.landing and counts.total == counts.passing + counts.skipped:
        yield f"{labels.PROGRESS} {bold('gate')} of phase {phase.position}: every check on main"


def waits_of(board: Board, scene: RenderContext) -> Iterator[str]:
    """Who or what is waited for, a line each."""
    until = board.window_until
    if until and _works(board):
        rest = formatting.duration((until - scene.now).total_seconds())
        yield (
            f"{labels.WAITS} Waits until {scene.when(until)}, in {rest}, for the account's limit;"
            " resumes by itself"
        )
    yield from _spent(board, scene)
    if board.blocked_reason:
        yield f"{labels.STOPPED} {said(board.blocked_reason, 300)}"
    for wait in board.waits[:MOST_WAITS]:
        who = "an approver" if wait.kind.role is Role.APPROVER else "somebody"
        yield f"{labels.WAITS} {labels.waits(wait)} waits for {who} since {scene.when(wait.since)}"
    if len(board.waits) > MOST_WAITS:
        yield f"{labels.WAITS} and {len(board.waits) - MOST_WAITS} more"


def _spent(board: Board, scene: RenderContext) -> Iterator[str]:
    """A budget that is spent: a day's and a month's begin anew by themselves."""
    spent = board.exhausted
    if spent is None or board.status is ProjectStatus.COMPLETED:
        return
    what = said(spent.words.rstrip("."))
    if spent.until is None:
        yield f"{labels.WAITS} {what}: nothing new starts"
    elif _works(board):
        yield f"{labels.WAITS} {what}: nothing new starts before {scene.when(spent.until)}"


def _fields(board: Board, left: timedelta | None, scene: RenderContext) -> tuple[Field, ...]:
    spent = formatting.percent(board.cost_usd, board.budget_usd)
    cost = f"{formatting.usd(board.cost_usd)} of {formatting.usd(board.budget_usd)}, {spent}"
    found = [Field("Cost", cost)]
    if board.status is ProjectStatus.COMPLETED:
        if board.completed_at:
            took = formatting.duration((board.completed_at - board.created_at).total_seconds())
            found.append(Field("Time", took))
        return tuple(found)
    if board.planned is not None:
        plan = f"plan {formatting.usd_range(*board.planned.cost_usd)}"
        ahead = forecast(board)
        about = (
            f"about {formatting.usd(ahead)}, " if ahead is not None else f"{formatting.UNKNOWN}, "
        )
        found.append(Field("Forecast", about + plan))
        ready = formatting.UNKNOWN
        phase = board.open_phase
        if phase is not None and phase.status is PhaseStatus.AWAITING_APPROVAL:
            ready = "after the gate"
        elif left is not None:
            ready = f"about {scene.clock(scene.now + left)}, in {formatting.forecast(left)}"
        found.append(Field("Ready", ready))
    working = sum(run.status is not RunStatus.WAITING for run in board.agents)
    found.append(Field("Agents", f"{working} of {board.parallel}"))
    return tuple(found)


def forecast(board: Board) -> Decimal | None:
    """What it will have cost if the rest costs as much per task as what has passed."""
    counts = board.counts
    if counts.passing < LEAST_PASSED:
        return None
    left = counts.pending + counts.in_progress + counts.stuck
    return board.cost_usd / counts.passing * (counts.passing + left)


def time_left(board: Board, now: datetime) -> timedelta | None:
    """Time until every task that can pass has passed; None while it cannot be told.

    The pace is the median time between two proofs, which a night at a gate does not change.
    """
    counts = board.counts
    waiting = counts.pending + counts.in_progress
    if board.status is not ProjectStatus.RUNNING or not waiting:
        return None
    return pace(board.passed_at, waiting, now)


def pace(passed_at: Sequence[datetime], waiting: int, now: datetime) -> timedelta | None:
    """How long `waiting` more tasks take, by when the last ones passed."""
    if len(passed_at) < LEAST_PASSED:
        return None
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(passed_at)]
    each = median(gaps)
    since = (now - passed_at[-1]).total_seconds()
    rest = each * waiting - min(since, each)
    return timedelta(seconds=rest) if rest > 0 else None


def buttons(project_id: int, status: ProjectStatus, name: str) -> tuple[Button, ...]:
    """What can be done with a project as it stands."""

    def press(text: str, label: Label) -> Button:
        return button(text, label, Subject.PROJECT, project_id)

    pause, resume = press("Pause", Label.PAUSE), press("Resume", Label.RESUME)
    stop = button(
        "Stop", Label.STOP, Subject.PROJECT, project_id,
        form=forms.stop(name),
    )  # fmt: skip
    rest = (press("Details", Label.DETAILS), press("Logs", Label.LOGS))
    match status:
        case ProjectStatus.RUNNING | ProjectStatus.PLANNING:
            return (pause, stop, *rest)
        case ProjectStatus.INTERVIEWING | ProjectStatus.AWAITING_APPROVAL:
            return (stop, *rest)
        case ProjectStatus.PAUSED | ProjectStatus.BLOCKED:
            return (resume, stop, *rest)
        case ProjectStatus.STOPPED:
            return (press("Start", Label.START), *rest)
        case ProjectStatus.COMPLETED | ProjectStatus.ARCHIVED:
            return rest
        case _:
            assert_never(status)
