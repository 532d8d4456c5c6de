"""The part of a live terminal that is edited in place: how it stands, who does what, what is next."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import assert_never

from rich.text import Text

from bot import wording
from bot.terminal.layout import FAINT, NARROW, STYLE, Mark, fit, flowed, wrapped
from core.domain.lifecycle import FeatureStatus, PhaseStatus, ProjectStatus, RunStatus, TaskStatus
from core.domain.report import PhaseLine, Report, RunLine, TaskLine, reason

BAR = 44
_DOING = 42  # columns
NEXT = 2


def area(
    board: Report,
    activity: Mapping[int, str],
    now: datetime,
    left: timedelta | None,
    width: int,
    height: int,
    *,
    whole: bool = False,
) -> list[Text]:
    """At most `height` lines of `width` columns; `whole` shows every task of the open phase."""
    if not board.tasks:
        lines = [_begun(board), *_agents(board, activity, width), *_waits(board, now, width)]
    else:
        lines = [
            *_sums(board, left, width),
            *_phases(board, width),
            *_agents(board, activity, width),
            *_service(board, width),
            *(_tasks(board) if whole else _next(board, width)),
            *_waits(board, now, width),
        ]
    if len(lines) > height:
        kept = max(height - 1, 1)
        lines = [*lines[:kept], Text(f"  … {len(lines) - kept} more lines", FAINT)]
    return [_trimmed(line, width) for line in lines[: max(height, 1)]]


def _begun(board: Report) -> Text:
    line = Text("  ")
    line.append_text(_name(board, 64))
    match board.status:
        case ProjectStatus.PLANNING | ProjectStatus.INTERVIEWING | ProjectStatus.RUNNING:
            _marked(line, Mark.PROGRESS, "being planned")
        case ProjectStatus.AWAITING_APPROVAL:
            _marked(line, Mark.WAITS, "waits for approval")
        case ProjectStatus.COMPLETED:
            _marked(line, Mark.DONE, "complete")
        case (
            ProjectStatus.PAUSED
            | ProjectStatus.BLOCKED
            | ProjectStatus.STOPPED
            | ProjectStatus.ARCHIVED
        ):
            _marked(line, Mark.STOPPED, board.status.value)
        case _:
            assert_never(board.status)
    return line


def _name(board: Report, room: int) -> Text:
    name = Text.assemble((fit(wording.one_line(board.name, 64), room), "bold"))
    if board.practice:
        name.append(" practice", STYLE[Mark.WAITS])
    return name


def _marked(line: Text, mark: Mark, words: str) -> None:
    line.append("   ")
    line.append(f"{mark} ", STYLE[mark])
    line.append(words)


def bar(done: int, begun: int, total: int, columns: int) -> Text:
    """Done, in progress, left; what is begun shows at least one column."""
    full = columns * done // total if total else 0
    half = min(max(columns * begun // total, 1), columns - full) if begun and total else 0
    line = Text.assemble(("█" * full, STYLE[Mark.DONE]))
    line.append("▓" * half, STYLE[Mark.PROGRESS])
    line.append("░" * (columns - full - half), FAINT)
    return line


def _sums(board: Report, left: timedelta | None, width: int) -> list[Text]:
    counts = board.counts
    done = counts.passing + counts.skipped
    name = Text("  ")
    name.append_text(_name(board, max(width // 3, 12)))
    passing = Text.assemble((f"{counts.passing} of {counts.total}", "bold"))
    time = f"about {wording.forecast(left)} left" if left else "– left"
    facts = [
        passing,
        Text(wording.percent(counts.passing, counts.total)),
        Text(f"{wording.usd(board.usage.cost_usd)} of {wording.usd(board.budget_usd)}"),
        Text(time),
    ]
    beside = sum(fact.cell_len + 3 for fact in facts)
    room = width - name.cell_len - 2 - beside
    columns = min(BAR, room if room >= 12 else width - 4)
    drawn = bar(done, counts.in_progress, counts.total, columns)
    if room >= 12:
        name.append("  ")
        name.append_text(drawn)
        for fact in facts:
            name.append("   ")
            name.append_text(fact)
        return [name]
    under = Text("  ")
    under.append_text(drawn)
    return [name, under, *flowed(facts, width, 2)]


def _phases(board: Report, width: int) -> list[Text]:
    parts = []
    for phase in _near(board):
        mark = _PHASE[phase.status]
        part = Text.assemble((f"{mark} ", STYLE[mark]))
        part.append(f"{phase.position} {wording.one_line(phase.name, 40)} ")
        part.append(f"{phase.counts.passing}/{phase.counts.total}", FAINT)
        parts.append(part)
    hidden = len(board.phases) - len(parts)
    if hidden:
        parts.append(Text(f"and {wording.count(hidden, 'more phase')}", FAINT))
    return flowed(parts, width, 2)


def _near(board: Report) -> tuple[PhaseLine, ...]:
    """Four phases around the open one."""
    now = board.open_phase
    begin = max((now.position - 2) if now else len(board.phases) - 4, 0)
    return board.phases[begin : begin + 4]


_PHASE = {
    PhaseStatus.PENDING: Mark.PENDING,
    PhaseStatus.IN_PROGRESS: Mark.PROGRESS,
    PhaseStatus.AWAITING_APPROVAL: Mark.WAITS,
    PhaseStatus.COMPLETED: Mark.DONE,
}
_TASK = {
    TaskStatus.PENDING: Mark.PENDING,
    TaskStatus.IN_PROGRESS: Mark.PROGRESS,
    TaskStatus.PASSING: Mark.DONE,
    TaskStatus.STUCK: Mark.STOPPED,
    TaskStatus.SKIPPED: Mark.STOPPED,
}


def _agents(board: Report, activity: Mapping[int, str], width: int) -> Iterator[Text]:
    for run in board.runs:
        mark, doing = _doing(run, activity)
        task = f"{run.task_number} {run.task_name}" if run.task_number else ""
        yield from _columns(mark, run.agent, task, doing, wording.model(run.model), width)


def _service(board: Report, width: int) -> Iterator[Text]:
    """What is done without an agent: landing, the gate's proof, the last commit."""
    if board.status is not ProjectStatus.RUNNING:
        return
    held = {run.feature_id for run in board.runs}
    clean = "setup and checks in a clean checkout"
    for feature in board.features:
        settled = feature.counts.passing + feature.counts.skipped == feature.counts.total
        if settled and feature.status is not FeatureStatus.COMPLETED and feature.id not in held:
            yield from _columns(Mark.PROGRESS, "landing", feature.name, clean, "", width)
    phase = board.open_phase
    if phase is None:
        yield from _columns(Mark.PROGRESS, "report", "the last commit on main", "", "", width)
    elif phase.status is PhaseStatus.IN_PROGRESS and all(
        f.status is FeatureStatus.COMPLETED for f in board.features if f.phase_id == phase.id
    ):
        name = f"phase {phase.position} {phase.name}"
        yield from _columns(Mark.PROGRESS, "gate", name, f"every check on main, {clean}", "", width)


def _doing(run: RunLine, activity: Mapping[int, str]) -> tuple[Mark, str]:
    match run.status:
        case RunStatus.QUEUED | RunStatus.STARTING:
            return Mark.PENDING, "starting"
        case RunStatus.WORKING:
            return Mark.PROGRESS, activity.get(run.id, "") or "thinking"
        case RunStatus.WAITING:
            return Mark.WAITS, "waits for an answer"
        case RunStatus.ENDED:
            return Mark.DONE, "ended"
        case _:
            assert_never(run.status)


def _columns(mark: Mark, who: str, task: str, doing: str, right: str, width: int) -> Iterator[Text]:
    """`◐ coder-1   11 Rate limit per account   pytest -q   Opus`, narrower in two lines."""
    task, doing = wording.one_line(task, 120), wording.one_line(doing, 160)
    if not task:
        task, doing = doing, ""
    line = Text("  ")
    line.append(f"{mark} ", STYLE[mark])
    line.append(f"{fit(who, 14):<9} ", "" if mark is not Mark.PENDING else FAINT)
    hang = 4
    if width >= NARROW:
        room = (width - line.cell_len - len(right) - 4) // 2
        line.append(fit(task, room))
        line.pad_right(max(14 + min(room, 40) - line.cell_len, 2))
        rest = width - line.cell_len - (len(right) + 3 if right else 0)
        begin = line.cell_len
        line.append(fit(doing, rest), FAINT)
        if right:
            line.pad_right(max(begin + min(rest, _DOING) - line.cell_len, 0))
            line.append(f"   {right}")
        yield line
        return
    line.append(fit(task, max(width - line.cell_len, 8)))
    yield line
    if doing:
        under = Text(" " * hang)
        under.append(fit(doing, width - hang - len(right) - 3), FAINT)
        under.append(f"   {right}" if right else "", FAINT)
        yield under


def _next(board: Report, width: int) -> Iterator[Text]:
    for task in upcoming(board)[:NEXT]:
        name = f"{task.number} {task.name}"
        yield from _columns(Mark.PENDING, "next", name, reason(board, task), "", width)


def upcoming(board: Report) -> list[TaskLine]:
    """Pending tasks of the open phase: what can begin first, then what waits least."""
    phase = board.open_phase
    if phase is None:
        return []
    features = {f.id: f for f in board.features if f.phase_id == phase.id}
    passing = {t.number for t in board.tasks if t.status is TaskStatus.PASSING}
    landed = {f.id for f in board.features if f.landed_commit}

    def waits(task: TaskLine) -> tuple[int, int, int, int]:
        feature = features[task.feature_id]
        return (
            len(set(feature.depends_on) - landed),
            len(set(task.depends_on) - passing),
            feature.agent is not None,
            task.number,
        )

    pending = (
        t for t in board.tasks if t.status is TaskStatus.PENDING and t.feature_id in features
    )
    return sorted(pending, key=waits)


def _tasks(board: Report) -> Iterator[Text]:
    phase = board.open_phase
    for feature in board.features:
        if phase is None or feature.phase_id != phase.id:
            continue
        yield Text.assemble((f"    {wording.one_line(feature.name, 80)}", "bold"))
        for task in board.tasks:
            if task.feature_id == feature.id:
                mark = _TASK[task.status]
                line = Text("    ")
                line.append(f"{mark} ", STYLE[mark])
                line.append(f"{task.number} {wording.one_line(task.name, 60)}  ")
                line.append(wording.one_line(reason(board, task), 100), FAINT)
                if task.attempts:
                    line.append(f"  ×{task.attempts}", STYLE[Mark.WAITS])
                yield line


def _waits(board: Report, now: datetime, width: int) -> Iterator[Text]:
    """Who or what is waited for."""
    if board.window_until and board.window_until > now:
        rest = wording.duration((board.window_until - now).total_seconds())
        when = wording.clock(board.window_until, now)
        words = f"Waits until {when}, in {rest}, for the account's limit; resumes by itself"
        yield from _wait(words, width)
    if board.usage.assumed_usd >= board.budget_usd:
        words = f"The budget of {wording.usd(board.budget_usd)} is spent: nothing new starts"
        yield from _wait(words, width)
    if board.blocked_reason:
        yield from _wait(wording.one_line(board.blocked_reason), width)
    stuck = [str(task.number) for task in board.tasks if task.status is TaskStatus.STUCK]
    if stuck:
        words = f"Stuck and waiting for a person: task {', '.join(stuck[:8])}"
        yield from _wait(words, width, Mark.STOPPED)


def _wait(words: str, width: int, mark: Mark = Mark.WAITS) -> list[Text]:
    return wrapped(Text.assemble((f"{mark} ", STYLE[mark]), words), width, 2, 4)


def _trimmed(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line
