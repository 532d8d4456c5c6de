"""What a journey says, as plain lines and as columns."""

import asyncio
import io
import os
import pty
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from rich.cells import cell_len

from bot.terminal import cards, open_view
from bot.terminal.area import area, upcoming
from bot.terminal.layout import Row, Words, drawn
from bot.terminal.live import LiveView
from bot.terminal.pace import Pace
from bot.terminal.plain import PlainView
from bot.terminal.reader import LineReader
from bot.terminal.story import Story
from bot.terminal.view import Prompt
from core.domain.events import Event
from core.domain.lifecycle import FeatureStatus
from core.domain.report import Report
from core.ports.host import BoxLevel
from tests.unit.bot import boards

NOW = boards.NOW


class Seen:
    """A plain view and what it wrote."""

    def __init__(self, descriptor: int | None = None) -> None:
        self.out = io.StringIO()
        self.view = PlainView(self.out, LineReader(descriptor), lambda: NOW)

    @property
    def text(self) -> str:
        return self.out.getvalue()

    async def ask(self, prompt: Prompt, board: Report) -> str | None:
        return await self.view.ask(prompt, board)


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (BoxLevel.FULL, "sandbox on (bubblewrap)"),
        (BoxLevel.REDUCED, "sandbox reduced"),
        (BoxLevel.NONE, "no sandbox"),
    ],
)
def test_it_begins_with_model_and_sandbox(level: BoxLevel, words: str) -> None:
    seen = Seen()
    seen.view.begin(boards.header(box=level))
    assert "▲ Practice model" in seen.text
    assert words in seen.text
    assert ("▲ The sandbox is not whole" in seen.text) is (level is not BoxLevel.FULL)


def test_no_practice_where_none_is() -> None:
    seen = Seen()
    seen.view.begin(boards.header(practice=False))
    assert "ractice" not in seen.text


async def test_the_plan_card() -> None:
    seen = Seen()
    prompt = boards.plan_prompt(boards.plan_line(2, ("+ task Export", "− task Import")))
    assert await seen.ask(prompt, boards.planned()) is None
    assert "1 Plan · plan 2: 2 phases, 4 features, 14 tasks, about $0.56–1.68" in seen.text
    assert "+ task Export" in seen.text
    assert "└─ To-do endpoints · 4 tasks ← Storage" in seen.text
    assert "Setup runs with the network" in seen.text
    assert ".venv/bin/pip install -e ." in seen.text
    assert "Budget $2.00" in seen.text
    assert "approve · reject REASON · details ›" in seen.text


async def test_a_card_is_shown_once() -> None:
    seen = Seen()
    await seen.ask(boards.plan_prompt(), boards.planned())
    seen.view.complain("'yes' is no answer here.", "Type `approve`.")
    await seen.ask(boards.plan_prompt(), boards.planned())
    assert seen.text.count("A REST API for to-do lists") == 1
    assert seen.text.count("approve · reject REASON · details ›") == 2


async def test_gate_stuck_and_question_cards() -> None:
    seen = Seen()
    board = boards.board(9, stuck=(11,))
    await seen.ask(boards.gate_prompt(board), board)
    assert "Gate: phase 1 Foundation is ready for your decision" in seen.text
    assert "Diff 31 files, +1,284 −96" in seen.text
    assert "✓ pytest -q · 48 passed in 3.10s · exit 0" in seen.text
    await seen.ask(boards.stuck_prompt(board), board)
    assert "Task 11 is stuck: Rate limit per account" in seen.text
    assert "5 attempts, the same error 3 times." in seen.text
    assert "AssertionError: 429 != 200" in seen.text
    assert "retry · retry opus · skip · guide TEXT ›" in seen.text
    await seen.ask(boards.question_prompt("FastAPI", "Flask"), board)
    assert "1 FastAPI" in seen.text
    assert "2 Flask" in seen.text


def test_events_become_lines_or_none() -> None:
    seen = Seen()
    board = replace(boards.board(9, stuck=(11,)), window_until=NOW + timedelta(minutes=4))
    seen.view.begin(boards.header())
    happened = seen.view.happened
    happened(boards.happening(Event.FEATURE_LANDED, feature=1), board)
    assert "2 Building" not in seen.text
    assert "1 Building · budget $2.00" in seen.text
    assert "0:06 ✓ Storage landed · 3 tasks, 2 checks, 4f2c9e1 · $0.17" in seen.text
    happened(boards.happening(Event.TASK_STUCK, task=111, seconds=65), board)
    line = "1:05 ■ Task 11 stuck, same error 3 times · AssertionError: 429 != 200 · $0.04"
    assert line in seen.text
    happened(boards.happening(Event.RATE_LIMITED, "limited"), board)
    assert "for the account's limit · resumes by itself" in seen.text
    before = seen.text
    for event in (Event.TASK_STARTED, Event.CHECK_FAILED, Event.TASK_PASSED, Event.RUN_ENDED):
        happened(boards.happening(event, "noise", task=101), board)
    assert seen.text == before


def test_every_event_has_its_words() -> None:
    story = Story(lambda: NOW)
    board = boards.board(9, stuck=(11,))
    lines = [
        list(story.happened(boards.happening(event, "what it says", task=111, phase=11), board))
        for event in Event
    ]
    assert 8 < sum(bool(line) for line in lines) < 25


def test_a_decision_is_told_once() -> None:
    seen = Seen()
    board = boards.board(7)
    seen.view.update(board, {})
    seen.view.decided(boards.gate_prompt(board), "approve")
    seen.view.happened(
        boards.happening(Event.PHASE_APPROVED, "Phase was approved.", phase=11), board
    )
    assert seen.text.count("pprove") == 1
    assert "✓ Gate phase 1 Foundation · 7 of 7 proved, 31 files, +1,284 −96 › approve" in seen.text
    seen.view.happened(
        boards.happening(Event.PHASE_APPROVED, "Phase 2 was approved.", phase=12), board
    )
    assert "✓ Phase 2 was approved" in seen.text


def test_yes_still_shows_the_plan() -> None:
    seen = Seen()
    seen.view.update(boards.planned(), {})
    seen.view.decided(boards.plan_prompt(), "approve")
    assert "A REST API for to-do lists" in seen.text
    assert "✓ Plan 1 approved › approve" in seen.text


def test_the_end() -> None:
    seen = Seen()
    home = Path("/home/x/projects/todo-api")
    seen.view.finish(boards.done(), repository=home, report_file=home / ".autocoder/report.md")
    assert "14 of 14 tasks passing, each proved by its own checks" in seen.text
    assert "main at 4f2c9e1" in seen.text
    assert "$0.00 paid, $0.49 at list prices; 318 messages, 95 % from cache" in seen.text
    assert "/home/x/projects/todo-api/.autocoder/report.md" in seen.text


def test_an_unfinished_end() -> None:
    seen = Seen()
    board = boards.board(9, stuck=(11,), practice=False)
    why = "Task 11 is stuck.\n- and that is why"
    seen.view.stop(why, board, report_file=Path("/home/x/report.md"))
    assert "■ Task 11 is stuck.\n  - and that is why\n" in seen.text
    assert "9 of 14 tasks passing, 1 stuck." in seen.text
    assert "paid" not in seen.text
    assert "the same command goes on" in seen.text
    Seen().view.stop("Too early.", None, report_file=None)


HOSTILE = "x\x1b[2J\x1b]0;owned\x07\x9b1m\r\x08y\u202ez\nsecond"


async def test_other_peoples_words_do_not_steer_the_terminal() -> None:
    seen = Seen()
    board = boards.board(9, stuck=(11,))
    task = replace(board.tasks[10], name=HOSTILE, last_error=HOSTILE, recovery_notes=HOSTILE)
    board = replace(
        board,
        name=HOSTILE,
        blocked_reason=HOSTILE,
        tasks=(*board.tasks[:10], task, *board.tasks[11:]),
    )
    line = boards.plan_line(2, (HOSTILE,))
    line = replace(line, plan=replace(line.plan, summary=HOSTILE, setup=(HOSTILE,), run=HOSTILE))
    question = boards.question_prompt(HOSTILE)
    question = replace(question, question=replace(question.question, text=HOSTILE))
    prompts: tuple[Prompt, ...] = (
        boards.plan_prompt(line), boards.stuck_prompt(board), question,
    )  # fmt: skip
    for prompt in prompts:
        await seen.ask(prompt, board)
        seen.view.details(prompt, board, HOSTILE)
        seen.view.decided(prompt, HOSTILE)
    for event in Event:
        seen.view.happened(boards.happening(event, HOSTILE, task=111), board)
    seen.view.stop(HOSTILE, board, report_file=None)
    for text in area(board, {1: HOSTILE}, NOW, None, 100, 40, whole=True):
        seen.out.write(text.plain + "\n")
    assert not [c for c in seen.text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)]
    assert "\u202e" not in seen.text
    assert "owned" not in seen.text


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    board = boards.board(9, stuck=(11,))
    wide = replace(board.runs[0], task_name="建" * 60)
    board = replace(board, runs=(wide, *board.runs[1:]), name="日本" * 20)
    story = Story(lambda: NOW)
    prompts: tuple[Prompt, ...] = (
        boards.plan_prompt(), boards.gate_prompt(board), boards.stuck_prompt(board),
        boards.question_prompt("建" * 60, "b"),
    )  # fmt: skip
    items = [item for prompt in prompts for item in story.asked(prompt, board)]
    items += story.happened(boards.happening(Event.TASK_STUCK, task=111), board)
    items += story.finish(boards.done(), Path("/tmp/a"), Path("/tmp/b"))
    lines = [line for item in items for line in drawn(item, width)]
    lines += area(board, {1: "x" * 300}, NOW, timedelta(minutes=3), width, 60)
    assert max(cell_len(line.plain) for line in lines) <= width


@pytest.mark.parametrize("height", [1, 3, 8, 30])
def test_the_area_keeps_its_height(height: int) -> None:
    assert len(area(boards.board(9), {}, NOW, None, 80, height, whole=True)) <= height


def test_the_area_says_how_it_stands() -> None:
    board = replace(
        boards.board(9, stuck=(11,)),
        window_until=NOW + timedelta(minutes=4),
        usage=replace(boards.board().usage, assumed_usd=Decimal("2.00")),
    )
    lines = area(board, {1: "fixing app/sessions.py"}, NOW, None, 110, 40)
    text = "\n".join(line.plain for line in lines)
    assert "9 of 14   64 %   $0.49 of $2.00   – left" in text
    assert "✓ 1 Foundation 7/7   ◐ 2 Accounts and release 2/7" in text
    assert "◐ coder-1   10 To-dos belong to their user" in text
    assert "fixing app/sessions.py" in text
    assert "in 4 min, for the account's limit; resumes by itself" in text
    assert "The budget of $2.00 is spent" in text
    assert "■ Stuck and waiting for a person: task 11" in text
    assert "practice" in text
    assert text.count("█") > text.count("▓") > 0


def test_what_is_done_without_an_agent() -> None:
    board = boards.board(7)
    landing = replace(board.features[0], status=FeatureStatus.LANDING, landed_commit=None)
    board = replace(board, features=(landing, *board.features[1:]), runs=())
    lines = [line.plain for line in area(board, {}, NOW, None, 110, 40)]
    assert any("landing   Storage" in line and "clean checkout" in line for line in lines)
    done = replace(boards.board(14), runs=())
    text = "\n".join(line.plain for line in area(done, {}, NOW, None, 110, 40))
    assert "the last commit on main" in text


def test_a_failed_check_is_said_while_it_is_mended() -> None:
    story = Story(lambda: NOW)
    board = boards.board(9)
    failed = boards.happening(Event.CHECK_FAILED, task=110)
    assert list(story.happened(failed, board)) == []
    mending = "a check failed, mends it · edits a.py"
    assert story.doing({1: "edits a.py"}, board)[1] == mending
    list(story.happened(boards.happening(Event.TASK_PASSED, task=110), board))
    assert story.doing({1: "edits a.py"}, board)[1] == "edits a.py"
    assert story.doing({1: "calls task_mark_passing"}, board)[1] == "its checks are run"


def test_what_is_next_and_why() -> None:
    board = boards.board(7)
    landed = replace(board.features[2], status=FeatureStatus.COMPLETED)
    names = [task.number for task in upcoming(board)]
    assert names[:2] == [9, 10]
    assert "waits for coder-1" in "\n".join(
        line.plain for line in area(board, {}, NOW, None, 110, 40)
    )
    assert landed.status is not board.features[2].status


def test_time_left_is_told_from_work_and_never_from_waiting() -> None:
    pace = Pace()
    pace.saw(boards.board(0), NOW, waiting=False)
    assert pace.left(boards.board(0)) is None
    for second, passing in ((10, 1), (20, 2)):
        pace.saw(boards.board(passing), NOW + timedelta(seconds=second), waiting=False)
    assert pace.left(boards.board(2)) == timedelta(seconds=120)
    pace.saw(boards.board(2), NOW + timedelta(hours=5), waiting=True)
    assert pace.left(boards.board(2)) == timedelta(seconds=120)
    assert pace.left(boards.board(14)) is None
    pace.saw(boards.board(2), NOW + timedelta(hours=9), waiting=False)
    assert pace.left(boards.board(2)) is None  # longer than all before it: nobody knows


def test_a_row_keeps_its_parts_where_there_is_no_room() -> None:
    row = Row("What happened", "facts that are long " * 4, at="0:06", right="$0.17", answer="yes")
    text = "\n".join(line.plain for line in drawn(row, 44))
    assert "$0.17" in text.split("\n")[0]
    assert "› yes" in text
    assert drawn(Words("a\n\nb"), 40)[1].plain.strip() == ""


async def answers(content: bytes, count: int) -> list[str | None]:
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    reader = LineReader(read)
    found = [await asyncio.wait_for(reader.line(), 5) for _ in range(count)]
    os.close(read)
    return found


async def test_lines_of_a_pipe() -> None:
    assert await answers(b"approve\r\n\nreject no \xc3\xa4\nlast", 5) == [
        "approve", "", "reject no ä", "last", None,
    ]  # fmt: skip
    assert await answers(b"\xff\xfe\n", 2) == ["��", None]


async def test_no_input_is_its_end() -> None:
    assert await LineReader(None).line() is None
    with open(os.devnull) as nothing:
        assert await LineReader(nothing.fileno()).line() is None
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    assert await LineReader(read).line() is None


async def test_a_line_after_a_question_was_given_up_answers_the_next() -> None:
    read, write = os.pipe()
    reader = LineReader(read)
    asked = asyncio.create_task(reader.line())
    await asyncio.sleep(0.05)
    asked.cancel()
    await asyncio.wait((asked,))
    os.write(write, b"approve\n")
    await asyncio.sleep(0.05)
    assert await asyncio.wait_for(reader.line(), 5) == "approve"
    os.close(write)
    assert await asyncio.wait_for(reader.line(), 5) is None
    os.close(read)


async def test_waiting_for_a_line_does_not_stop_the_loop() -> None:
    read, write = os.pipe()
    reader = LineReader(read)
    asked = asyncio.create_task(reader.line())
    ticks = 0
    for _ in range(5):
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks == 5
    assert not asked.done()
    os.write(write, b"x\n")
    assert await asyncio.wait_for(asked, 5) == "x"
    os.close(write)
    os.close(read)


@pytest.mark.parametrize(("term", "live"), [("xterm-256color", True), ("dumb", False), ("", False)])
def test_only_an_able_terminal_is_live(term: str, live: bool) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r+b", buffering=0) as raw:
        tty = io.TextIOWrapper(raw, write_through=True)
        view = open_view(lambda: None, {"TERM": term}, stdin=tty, stdout=tty)
        assert isinstance(view, LiveView) is live
        piped = open_view(lambda: None, {"TERM": term}, stdin=tty, stdout=io.StringIO())
        assert isinstance(piped, PlainView)
        half = open_view(lambda: None, {"TERM": term}, stdin=io.StringIO(), stdout=tty)
        assert isinstance(half, PlainView)
    os.close(ours)


def test_nobody_reads_the_output_any_more() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out:
        view = PlainView(out, LineReader(None), lambda: datetime.now(UTC))
        view.begin(boards.header())
        view.finish(boards.done(), repository=Path("a"), report_file=Path("b"))
        assert view._gone


def test_an_encoding_that_cannot_carry_the_marks() -> None:
    raw = io.BytesIO()
    view = PlainView(io.TextIOWrapper(raw, encoding="ascii"), LineReader(None), lambda: NOW)
    view.begin(boards.header())
    assert b"? Practice model" in raw.getvalue()


def test_prompts_say_what_may_be_typed() -> None:
    board = boards.board(9, stuck=(11,))
    assert "approve" in cards.may_type(boards.gate_prompt(board))
    assert "guide TEXT" in cards.may_type(boards.stuck_prompt(board))
    assert cards.may_type(boards.question_prompt()) == "your answer in one line"
