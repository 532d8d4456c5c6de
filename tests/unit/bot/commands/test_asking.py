"""`ask`: to whom it goes, what its card says at every turn, and that it is answered once."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import cards
from bot.cards import answers
from bot.cards.rendering import RenderContext
from core.domain import markup
from core.domain.agents import AgentKind, RunOutcome
from core.domain.cards import BODY_LIMIT, Card
from core.domain.events import CardKind
from core.domain.failure import EndedHow, RunEnd
from core.domain.lifecycle import Cause, InquiryStatus, ProjectStatus, RunStatus, TaskStatus, move
from core.domain.order import StartRun
from core.domain.proof import Verdict
from core.domain.rules import Models, Rules
from core.operations import inquiries, outbox, runs
from core.orchestrator import assisting
from core.ports.chat import Place
from core.ports.host import BoxLevel
from core.store.chat_tables import Inquiry, OutboxItem
from core.store.tables import AccountWindow, Evidence, JournalEntry, Run
from core.views.projects import Service
from tests.unit.bot.commands import stage as world
from tests.unit.bot.commands.stage import NOW, Stage, stage

RULES = Rules(models=Models(chain=("sonnet",)))
ANSWERED = RunEnd(RunOutcome.FINISHED, EndedHow.AGENT, "Because **twice** `test -f 3` failed.")
KILLED = RunEnd(RunOutcome.INTERRUPTED, EndedHow.SERVICE, "The service stopped.")
LIMITED = RunEnd(RunOutcome.RATE_LIMITED, EndedHow.WINDOW, "429")
BROKEN = RunEnd(RunOutcome.FAILED, EndedHow.ACCIDENT, "The server said 500.")
WRONG = RunEnd(RunOutcome.FAILED, EndedHow.AGENT, "400: no such model")
POOR = RunEnd(RunOutcome.OUT_OF_BUDGET, EndedHow.BUDGET, "The budget of todo-api, $1.00, is spent.")
NO_KEY = RunEnd(RunOutcome.FAILED, EndedHow.CREDENTIALS, "401: invalid x-api-key")


def _prepare(tx: Session) -> None:
    row = world.project(tx)
    made = world.tasks(tx, row, *[TaskStatus.PENDING] * 3)
    run = world.run(tx, row, made[2])
    checks = [{"command": "test -f 3", "exit_code": 1, "output": "AssertionError: 3", "seconds": 1}]
    tx.add(
        Evidence(task_id=made[2].id, run_id=run.id, verdict=Verdict.RED, accepted=False,
                 commit="c", checks=checks, at=NOW)
    )  # fmt: skip


def _begin(tx: Session, inquiry: int = 1) -> int:
    order = StartRun(
        AgentKind.ASSISTANT, "sonnet", "a question", inquiry_id=inquiry,
        resumes=inquiries.last_run(tx, inquiry),
    )  # fmt: skip
    ref = runs.begin(tx, 1, order, session_id=uuid4(), boot_id="l", host="h", now=NOW)
    assert ref is not None
    move(tx.get_one(Run, ref.id), RunStatus.WORKING, by=Cause.SERVICE)
    return ref.id


async def _end(it: Stage, ended: RunEnd) -> None:
    run = await it.change(_begin)
    await it.change(lambda tx: runs.end(tx, run, ended, RULES, now=NOW))


async def _card(it: Stage, key: str) -> Card:
    scene = RenderContext(NOW, "practice", Rules(), BoxLevel.FULL)

    def draw(tx: Session) -> Card:
        row = tx.scalars(select(OutboxItem).where(OutboxItem.key == key)).one()
        return cards.draw(tx, outbox._due(row), scene).card

    return await it.store.read(draw)


async def _asked(it: Stage, text: str = "why did task 3 take three tries?") -> str:
    await it.change(_prepare)
    received, outcome = await it.command(f"ask {text}", place=world.thread())
    assert outcome.ok
    assert it.begun == [1]
    return f"answer:{received.item_id}"


async def test_a_question_goes_to_an_assistant_and_its_card_to_where_it_was_asked(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as it:
        key = await _asked(it)
        (item,) = await it.rows(OutboxItem, OutboxItem.key == key)
        assert (item.channel, item.thread, item.kind) == ("main", "7", CardKind.ANSWER)
        assert "An assistant is asked" in (await _card(it, key)).body
        await it.change(_begin)
        assert "An assistant reads" in (await _card(it, key)).body


async def test_the_answer_is_said_once_also_after_kills(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        key = await _asked(it)
        for _ in range(7):
            await _end(it, KILLED)
        assert (await it.row(Inquiry, 1)).status is InquiryStatus.OPEN
        await _end(it, ANSWERED)
        card = await _card(it, key)
        assert card.title == "why did task 3 take three tries?"
        assert card.body.startswith("Because **twice** `test -f 3` failed.")
        assert "Because twice test -f 3 failed." in card.fallback
        assert len(await it.rows(OutboxItem, OutboxItem.kind == CardKind.ANSWER)) == 1
        late = await it.change(lambda tx: inquiries.give_up(tx, 1, "too late", now=NOW))
        assert late is None
        assert (await it.row(Inquiry, 1)).status is InquiryStatus.ANSWERED


async def test_a_limit_is_waited_for_and_the_card_says_until_when(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        key = await _asked(it)
        until = NOW + timedelta(minutes=12)
        await it.change(
            lambda tx: tx.add(AccountWindow(upstream="practice", until=until, changed_at=NOW))
        )
        await _end(it, LIMITED)
        card = await _card(it, key)
        assert "The account's limit is reached until " in markup.plain(card.body)
        assert "by itself" in card.body
        assert (await it.row(Inquiry, 1)).status is InquiryStatus.OPEN


@pytest.mark.parametrize(
    ("end", "times", "words"),
    [
        (BROKEN, 4, "The server said 500."),
        (WRONG, 2, "400: no such model"),
        (POOR, 1, "is spent"),
        (NO_KEY, 1, "invalid x-api-key"),
    ],
)
async def test_trouble_is_said_with_what_to_do_and_what_the_journal_tells(
    tmp_path: Path, end: RunEnd, times: int, words: str
) -> None:
    async with stage(tmp_path) as it:
        key = await _asked(it)
        for n in range(times):
            assert (await it.row(Inquiry, 1)).status is InquiryStatus.OPEN, n
            await _end(it, end)
        assert (await it.row(Inquiry, 1)).status is InquiryStatus.GIVEN_UP
        card = await _card(it, key)
        assert words in card.body
        assert "/autocoder " in card.body
        assert "**Task 3 Task 3**" in card.body
        assert "AssertionError: 3" in card.body


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (ProjectStatus.INTERVIEWING, "spec is not written"),
        (ProjectStatus.PLANNING, "plan is not made"),
        (ProjectStatus.STOPPED, "is stopped"),
        (ProjectStatus.ARCHIVED, "is archived"),
    ],
)
async def test_where_no_agent_may_work_the_journal_answers(
    tmp_path: Path, status: ProjectStatus, words: str
) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.project(tx, status=status))
        card = await it.ask("ask how is it going?", place=world.thread())
        assert words in card.body
        assert await it.rows(Inquiry) == []


async def test_without_a_project_it_says_which_there_are(tmp_path: Path) -> None:
    other = Place("web", "elsewhere")
    async with stage(tmp_path) as it:
        none = await it.ask("ask how is it going?", place=other)
        assert "/autocoder new todo-api" in none.body
        await it.change(lambda tx: [world.project(tx, "one"), world.project(tx, "two")])
        some = await it.ask("ask how is it going?", place=other)
        assert some.kind is CardKind.ERROR
        assert "one" in some.title
        assert "two" in some.title
        assert 'ask project:"two" how is it going?' in some.body
        _, outcome = await it.command("ask project:one how is it going?", place=other)
        assert outcome.ok
        assert (await it.row(Inquiry, 1)).project_id == 1


async def test_the_assistant_is_told_what_is_on_file_about_the_tasks_it_is_asked_about(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as it:
        await _asked(it, "why did task 3 fail, and task 99?")
        service = Service(tmp_path, "practice", Rules(), NOW)
        question = await it.store.read(assisting.load, 1, service)
        told = assisting.briefing(question, resumed=False)
        assert "why did task 3 fail, and task 99?" in told
        assert "AssertionError: 3" in told
        assert '"command": "test -f 3"' in told
        assert "There is no task 99." in told
        again = assisting.briefing(question, resumed=True)
        assert "interrupted" in again
        assert "why did task 3 fail" in again
        assert "AssertionError" not in again


async def test_a_limit_for_ever_gives_the_question_up_not_the_project(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await _asked(it)
        for _ in range(24):
            await _end(it, LIMITED)
        assert (await it.row(Inquiry, 1)).status is InquiryStatus.GIVEN_UP
        assert (await it.rows(JournalEntry, JournalEntry.event == "project_blocked")) == []


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("## Why\n\nIt **did**.", "**Why**\n\nIt **did**."),
        ("1. one\n* two\n- three", "- one\n- two\n- three"),
        ("```python\nx = 1\n```\ndone", "\tx = 1\ndone"),
        ("a [link](https://evil) <b>", "a \\[link](https://evil) <b>"),
        ("half **open and `open", "half \\*\\*open and \\`open"),
    ],
)
def test_an_agents_markdown_is_shown_in_the_markup_of_cards(text: str, body: str) -> None:
    assert answers.rendered(text, 1000) == body


def test_no_answer_is_too_long_for_a_card() -> None:
    for text in ("*" * 9000, "x\n" * 9000, "- [a](b)\n" * 3000, "`" * 5000):
        made = answers.rendered(text, 2700)
        assert len(markup.plain(made)) <= BODY_LIMIT
