"""What stays on the screen: the journey as sections of lines, whoever draws them."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import assert_never

from bot import wording
from bot.cards import words
from bot.terminal import cards
from bot.terminal.details import details
from bot.terminal.layout import FAINT, Heading, Item, Labelled, Mark, Row, Words
from bot.terminal.view import (
    GatePrompt,
    Happening,
    Header,
    PlanPrompt,
    Prompt,
    QuestionPrompt,
    StuckPrompt,
)
from core.domain.events import Event
from core.domain.lifecycle import PhaseStatus, ProjectStatus, RunStatus, TaskStatus
from core.domain.report import Report
from core.ports.host import BoxLevel

MOST_CHECKS = 4  # at the end


class Story:
    """Turns what happens into items, each once: numbers sections, remembers what was shown."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.began = now()
        self.agents = 1
        self.board: Report | None = None
        self._sections: list[str] = []
        self._shown: set[tuple[object, ...]] = set()
        self._told: set[tuple[Event, int | None]] = set()  # decisions shown before their event
        self._asking = False
        self._failed: set[int] = set()  # tasks whose last proof was refused

    def begin(self, header: Header) -> Iterator[Item]:
        self.began = self._now()
        self.agents = header.agents
        yield Row(header.title, strong=True)
        if header.practice:
            yield Row(words.PRACTICE, mark=Mark.WAITS)
        yield Words(
            f"home {header.home} · SQLite · {words.sandbox(header.box)} ·"
            f" {wording.count(header.agents, 'agent')} at most ·"
            " Ctrl-C stops, running it again resumes",
            FAINT,
        )
        if header.box is not BoxLevel.FULL:
            yield Row(
                f"The sandbox is not whole: {words.sandbox(header.box)}",
                "agents could reach more of this host than their work; see autocoder check",
                Mark.WAITS,
            )
        if header.resumed:
            yield Words("Going on where it was.", FAINT)

    def saw(self, board: Report) -> None:
        self.board = board

    def happened(self, happening: Happening, board: Report) -> Iterator[Item]:
        self.board = board
        self._look_for_failed(happening)
        told = (happening.event, _about(happening))
        if told in self._told:
            self._told.remove(told)
            return
        for row in self._lines(happening, board):
            yield from self._building(board)
            yield row

    def _look_for_failed(self, happening: Happening) -> None:
        if happening.task_id is None:
            return
        if happening.event is Event.CHECK_FAILED:
            self._failed.add(happening.task_id)
        elif happening.event in (Event.TASK_PASSED, Event.TASK_STUCK, Event.TASK_SKIPPED):
            self._failed.discard(happening.task_id)

    def doing(self, activity: Mapping[int, str], board: Report) -> dict[int, str]:
        """What the agent of each run does, in words for people, and whether it is mending."""
        mends = {task.number for task in board.tasks if task.id in self._failed}
        told = {}
        for run in board.runs:
            now = words.told(activity.get(run.id, ""))
            if run.task_number in mends and run.status is RunStatus.WORKING:
                now = f"a check failed, mends it · {now}".rstrip(" ·")
            told[run.id] = now
        return told

    def _lines(self, happening: Happening, board: Report) -> Iterator[Row]:
        """The lines that an event is worth: few events are worth one."""
        text = wording.one_line(happening.text).rstrip(".")

        def row(mark: Mark, what: str, facts: str = "", right: str = "") -> Row:
            return Row(what, facts, mark, self._at(happening.at), right)

        match happening.event:
            case Event.FEATURE_LANDED:
                yield self._landed(happening, board)
            case Event.TASK_STUCK:
                yield self._stuck(happening, board)
            case Event.TASK_RETRIED:
                yield row(Mark.PROGRESS, text)
            case Event.TASK_SKIPPED:
                yield row(Mark.STOPPED, text, "nothing proves it")
            case Event.TASK_GUIDED:
                yield row(Mark.DONE, f"{_task_words(happening, board)} guided", text)
            case Event.RATE_LIMITED:
                until = board.window_until
                when = wording.clock(until, self._now()) if until else "later"
                yield row(
                    Mark.WAITS,
                    f"Waits until {when} for the account's limit",
                    "resumes by itself",
                )
            case Event.BUDGET_WARNING | Event.BUDGET_REACHED:
                spent = f"{wording.usd(board.usage.assumed_usd)} of {wording.usd(board.budget_usd)}"
                yield row(Mark.WAITS, text, spent)
            case Event.LANDING_CONFLICT:
                yield row(Mark.STOPPED, "Not landed", text)
            case Event.GATE_FAILED:
                yield row(Mark.STOPPED, "The gate stays shut", text)
            case Event.PLAN_EXTENDED:
                yield row(Mark.DONE, "Rework planned", text)
            case Event.PROJECT_BLOCKED:
                yield row(Mark.STOPPED, "Blocked", _first(happening.text).rstrip("."))
            case Event.PLAN_REFUSED:
                yield row(Mark.WAITS, "Plan refused", text)
            case Event.QUESTION_ASKED:
                if self._asking:  # else its card comes at once
                    yield row(Mark.WAITS, "An agent asks", text)
            case Event.QUESTION_ANSWERED:
                yield row(Mark.DONE, "Answered", text)
            case Event.QUESTION_WITHDRAWN:
                yield row(Mark.STOPPED, "Withdrawn", text)
            case Event.PLAN_APPROVED:
                yield row(Mark.DONE, text)
            case Event.PLAN_REJECTED:
                yield row(Mark.STOPPED, "The plan was rejected", text)
            case Event.PHASE_APPROVED:
                yield row(Mark.DONE, text)
            case Event.PHASE_REJECTED:
                yield row(Mark.STOPPED, "The phase was rejected", text)
            case (
                Event.SERVICE_STARTED
                | Event.SERVICE_STOPPED
                | Event.PROJECT_CREATED
                | Event.PROJECT_PAUSED
                | Event.PROJECT_STOPPED
                | Event.PROJECT_WINDING_DOWN
                | Event.PROJECT_ARCHIVED
                | Event.PROJECT_RESUMED
                | Event.PROJECT_COMPLETED
                | Event.SPEC_WRITTEN
                | Event.PLAN_SUBMITTED  # its card says it
                | Event.PHASE_STARTED
                | Event.PHASE_READY  # its card says it
                | Event.RUN_STARTED
                | Event.RUN_PARKED
                | Event.RUN_RESUMED
                | Event.RUN_ENDED
                | Event.TASK_STARTED
                | Event.CHECK_FAILED
                | Event.TASK_PASSED
                | Event.TASK_REQUEUED
                | Event.PRESS_REFUSED
                | Event.INQUIRY_BEGUN
                | Event.INQUIRY_ANSWERED
                | Event.INQUIRY_GIVEN_UP
                | Event.INTERVIEW_BEGUN
                | Event.INTERVIEW_SENT_BACK
                | Event.INTERVIEW_BLOCKED
                | Event.INTERVIEW_WITHDRAWN
                | Event.GUIDANCE_GIVEN
                | Event.GUIDANCE_TAKEN
                | Event.BUDGET_CHANGED
                | Event.SETTINGS_CHANGED
                | Event.MEMBER_CHANGED
                | Event.CARD_GIVEN_UP
            ):
                pass
            case _:
                assert_never(happening.event)

    def _landed(self, happening: Happening, board: Report) -> Row:
        feature = next((f for f in board.features if f.id == happening.feature_id), None)
        at = self._at(happening.at)
        if feature is None:
            return Row(wording.one_line(happening.text), mark=Mark.DONE, at=at)
        own = (c for t in board.tasks if t.feature_id == feature.id for c in t.checks)
        checks = dict.fromkeys((*board.checks, *own))
        facts = [
            wording.count(feature.counts.passing, "task"),
            wording.count(len(checks), "check"),
            wording.commit(feature.landed_commit or ""),
        ]
        return Row(
            f"{wording.one_line(feature.name, 80)} landed",
            ", ".join(fact for fact in facts if fact),
            Mark.DONE,
            at,
            wording.usd(feature.cost_usd),
        )

    def _stuck(self, happening: Happening, board: Report) -> Row:
        task = next((t for t in board.tasks if t.id == happening.task_id), None)
        at = self._at(happening.at)
        if task is None:
            return Row(wording.one_line(happening.text), mark=Mark.STOPPED, at=at)
        same = f", same error {task.error_repeats} times" if task.error_repeats > 1 else ""
        return Row(
            f"Task {task.number} stuck{same}",
            words.telling_line(task.last_error or ""),
            Mark.STOPPED,
            at,
            wording.usd(task.cost_usd),
        )

    def asked(self, prompt: Prompt, board: Report) -> Iterator[Item]:
        """The card of a prompt, unless it stands on the screen already."""
        self.board = board
        self._asking = True
        key = _key(prompt)
        if key in self._shown:
            return
        self._shown.add(key)
        match prompt:
            case PlanPrompt():
                yield from self._section(cards.heading(prompt), again=True)
            case GatePrompt() | StuckPrompt() | QuestionPrompt():
                yield from self._building(board)
                yield Words("")
            case _:
                assert_never(prompt)
        yield from cards.card(prompt, board, self.agents)

    def decided(self, prompt: Prompt, text: str) -> Iterator[Item]:
        """A line for the decision; the event that follows it is not told again."""
        word = wording.one_line(text, 120)
        seen = _key(prompt) in self._shown
        if isinstance(prompt, PlanPrompt) and self.board:
            yield from self.asked(prompt, self.board)
        if isinstance(prompt, GatePrompt) and self.board:
            yield from self._building(self.board)
        self._asking = False
        self._told |= _events(prompt, word)
        approved = word.lower().startswith("approve")
        mark = Mark.DONE if approved else Mark.STOPPED
        what, facts = "", ""
        match prompt:
            case PlanPrompt(plan=line):
                what = f"Plan {line.version} {'approved' if approved else 'rejected'}"
            case GatePrompt(phase=phase):
                what = f"Gate phase {phase.position} {wording.one_line(phase.name, 60)}"
                proved = f"{phase.counts.passing} of {phase.counts.total} proved"
                facts = "" if seen else f"{proved}, {cards.diff_words(prompt)}"
            case StuckPrompt(task):
                what, facts, mark = f"Task {task.number}", task.name, Mark.PROGRESS
            case QuestionPrompt(question):
                what, mark = f"{question.asker} asked", Mark.DONE
                if word.isascii() and word.isdigit() and 1 <= int(word) <= len(question.options):
                    word = wording.one_line(question.options[int(word) - 1], 120)
            case _:
                assert_never(prompt)
        yield Row(what, facts, mark, self._at(self._now()), answer=word)

    def details(self, prompt: Prompt, board: Report, patch: str) -> Iterator[Item]:
        yield Words("")
        yield from details(prompt, board, patch)
        yield Words("")

    def complain(self, words: str, hint: str) -> Iterator[Item]:
        yield Row(wording.one_line(words, 400), wording.one_line(hint, 400), Mark.WAITS)

    def finish(self, report: Report, repository: Path, report_file: Path) -> Iterator[Item]:
        counts = report.counts
        took = (self._now() - self.began).total_seconds()
        yield from self._section(Heading("Done", wording.duration(took)))
        landed = sum(f.landed_commit is not None for f in report.features)
        gates = sum(p.status is PhaseStatus.COMPLETED for p in report.phases)
        yield Row(
            f"{counts.passing} of {wording.count(counts.total, 'task')} passing, each proved by its"
            f" own checks; {wording.count(landed, 'feature')} landed,"
            f" {wording.count(gates, 'gate')} approved",
            mark=Mark.DONE,
        )
        for task in report.tasks:
            if task.status is not TaskStatus.PASSING:
                name = wording.one_line(task.name, 80)
                yield Row(
                    f"Task {task.number} {task.status.value}: {name}",
                    "nothing proves it",
                    Mark.STOPPED,
                )
        last = next((a for a in reversed(report.approvals) if a.checks), None)
        if last:
            yield Row(f"main at {wording.commit(last.version)}:", mark=Mark.DONE)
            first = sorted(last.checks, key=lambda check: check.green)[:MOST_CHECKS]
            for check in first:
                yield cards.check_row(check)
            if len(last.checks) > len(first):
                more = wording.count(len(last.checks) - len(first), "more check")
                yield Words(f"and {more}: see the report", FAINT, depth=1)
        yield from _ending(report)
        yield Labelled((("Repository", str(repository)),))
        yield Labelled((("Report    ", str(report_file)),))

    def stop(self, why: str, report: Report | None, report_file: Path | None) -> Iterator[Item]:
        yield from self._section(Heading("Unfinished"), again=True)
        yield Row(_first(why), mark=Mark.STOPPED)
        yield from (Words(wording.one_line(line, 300)) for line in why.splitlines()[1:])
        if report:
            counts = report.counts
            if counts.total:
                stuck = f", {counts.stuck} stuck" if counts.stuck else ""
                yield Words(f"{counts.passing} of {counts.total} tasks passing{stuck}.")
            yield from _ending(report)
        if report_file:
            yield Labelled((("Report    ", str(report_file)),))
        yield Words("Nothing done is lost: the same command goes on from here.", FAINT)

    def _at(self, moment: datetime) -> str:
        return wording.elapsed((moment - self.began).total_seconds())

    def _building(self, board: Report) -> Iterator[Item]:
        if board.phases and board.status is not ProjectStatus.AWAITING_APPROVAL:
            yield from self._section(Heading("Building", f"budget {wording.usd(board.budget_usd)}"))

    def _section(self, heading: Heading, *, again: bool = False) -> Iterator[Item]:
        if heading.title in self._sections and not again:
            return
        if heading.title not in self._sections:
            self._sections.append(heading.title)
        number = self._sections.index(heading.title) + 1
        yield Heading(f"{number} {heading.title}", heading.right)


def _ending(report: Report) -> Iterator[Item]:
    usage = report.usage
    cost = wording.usd(usage.cost_usd)
    paid = f"$0.00 paid, {cost} at list prices" if report.practice else f"{cost} at list prices"
    read = usage.tokens.total - usage.tokens.output
    cached = wording.percent(usage.tokens.cache_read, read)
    facts = [paid, f"{wording.count(usage.messages, 'message')}, {cached} from cache"]
    if usage.unpriced_messages:
        held = wording.usd(usage.assumed_usd - usage.cost_usd)
        facts.append(f"{usage.unpriced_messages} of no known price, {held} for the budget")
    yield Labelled((("Cost      ", "; ".join(facts)),))


def _about(happening: Happening) -> int | None:
    """What a decision is told apart by."""
    match happening.event:
        case Event.TASK_RETRIED | Event.TASK_SKIPPED | Event.TASK_GUIDED:
            return happening.task_id
        case Event.PHASE_APPROVED | Event.PHASE_REJECTED:
            return happening.phase_id
        case _:
            return None


def _events(prompt: Prompt, word: str) -> set[tuple[Event, int | None]]:
    """What the journal will say of a decision, by the rule of `_about`."""
    verb = word.lower().partition(" ")[0]
    match prompt:
        case PlanPrompt():
            return {(Event.PLAN_APPROVED if verb == "approve" else Event.PLAN_REJECTED, None)}
        case GatePrompt(phase=phase):
            event = Event.PHASE_APPROVED if verb == "approve" else Event.PHASE_REJECTED
            return {(event, phase.id)}
        case StuckPrompt(task):
            if verb == "skip":
                return {(Event.TASK_SKIPPED, task.id)}
            retried = (Event.TASK_RETRIED, task.id)
            return {retried, (Event.TASK_GUIDED, task.id)} if verb == "guide" else {retried}
        case QuestionPrompt():
            return {(Event.QUESTION_ANSWERED, None)}
        case _:
            assert_never(prompt)


def _task_words(happening: Happening, board: Report) -> str:
    task = next((t for t in board.tasks if t.id == happening.task_id), None)
    return f"Task {task.number}" if task else "A task"


def _key(prompt: Prompt) -> tuple[object, ...]:
    match prompt:
        case PlanPrompt(approval=approval) | GatePrompt(approval=approval):
            return ("approval", approval.id)
        case StuckPrompt(task):
            return ("stuck", task.id, task.attempts, task.last_error)
        case QuestionPrompt(question):
            return ("question", question.id)
        case _:
            assert_never(prompt)


def _first(text: str) -> str:
    """The first line: what there is to say, before the particulars."""
    return wording.one_line(text.partition("\n")[0], 600)
