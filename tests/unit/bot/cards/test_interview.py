"""The root of a thread, an addition's card, and the spec."""

from decimal import Decimal

import pytest
from sqlalchemy.orm import Session

from core.domain import markup
from core.domain.agents import AgentKind
from core.domain.cards import Card, Link, TextFile
from core.domain.events import CardKind, Event
from core.domain.lifecycle import InterviewKind, InterviewStatus
from core.operations import interviews, journal, outbox, questions
from core.ports.chat import Place
from core.store.chat_tables import Interview
from core.store.tables import Project
from tests.unit.bot.cards import stage
from tests.unit.bot.cards.stage import NOW, PLACE, tell


@pytest.fixture
def project(tx: Session) -> int:
    begun = interviews.begin(
        tx, "todo-api", Place(PLACE.platform, PLACE.channel), by="web:ann", practice=True,
        budget=Decimal(12), request="A **to-do** API.", now=NOW,
    )  # fmt: skip
    tell(tx)
    return begun.id


def root(tx: Session) -> Card:
    return stage.card(tx, CardKind.INTERVIEW)


def test_the_root_says_what_is_wanted_and_how_to_answer(tx: Session, project: int) -> None:
    card = root(tx)
    assert card.key == "interview:todo-api"
    assert card.project == "todo-api"
    assert card.body.startswith("◐ Interview: the interviewer is at work\nA \\*\\*to-do\\*\\* API.")
    assert "**just decide** lets me choose." in card.body
    assert "Asked for by ann, 10:48." in markup.plain(card.body)
    assert card.body.endswith("\nPractice model: scripted, offline, costs nothing")
    assert card.fallback == "todo-api. Interview: the interviewer is at work."


def test_the_root_says_that_a_question_waits(tx: Session, project: int) -> None:
    asker = stage.run(tx, project, AgentKind.INTERVIEWER)
    asker.interview_id = 1
    asked = questions.ask(tx, asker.id, "Which?", ("a", "b"), False, now=NOW)
    tell(tx)
    assert "▲ Interview: question 1 waits for an answer" in root(tx).body
    assert root(tx).links == (Link("Answer interviewer-1", f"question:todo-api:{asked}"),)
    card = stage.card(tx, CardKind.QUESTION)
    assert card.title == "Question 1"
    questions.answer(tx, asked, "a", by="web:ann", now=NOW)
    tell(tx)
    assert "◐ Interview: 1 question answered" in root(tx).body
    assert root(tx).links == ()


def test_a_question_says_which_addition_it_is_about(tx: Session, project: int) -> None:
    tx.add(
        Interview(
            project_id=project, number=1, kind=InterviewKind.FEATURE,
            status=InterviewStatus.ASKING, request="export\nas CSV", by="web:ann", begun_at=NOW,
        )
    )  # fmt: skip
    tx.flush()
    asker = stage.run(tx, project, AgentKind.INTERVIEWER)
    asker.interview_id = 2
    questions.ask(tx, asker.id, "Which?", ("a", "b"), False, now=NOW)
    tell(tx)
    assert stage.card(tx, CardKind.QUESTION).title == "Question 1 · export as CSV"


def test_the_root_offers_to_go_back_while_it_asks(tx: Session, project: int) -> None:
    assert root(tx).buttons == ()
    asker = stage.run(tx, project, AgentKind.INTERVIEWER)
    asker.interview_id = 1
    ids = [questions.ask(tx, asker.id, text, (), False, now=NOW) for text in ("One?", "Two?")]
    for asked in ids:
        questions.answer(tx, asked, "a", by="web:ann", now=NOW)
    tell(tx)
    [back] = root(tx).buttons
    assert back.press.encode() == f"change_answer:question:{ids[1]}"
    assert back.form is not None
    which, _new = back.form.inputs
    assert [(o.label, o.value) for o in which.options] == [
        ("One?", str(ids[0])),
        ("Two?", str(ids[1])),
    ]
    tx.get_one(Interview, 1).status = InterviewStatus.PLANNING
    assert root(tx).buttons == ()


def test_a_spec_is_shown_with_both_its_files(tx: Session, project: int) -> None:
    row = tx.get_one(Project, project)
    text = "# To-do\n\n- *one* `x`\n\nPlain **words**.\n" + "More of it.\n" * 400
    journal.record(
        tx, Event.SPEC_WRITTEN, "The spec is on main.", now=NOW, project=row,
        data={"interview": 1, "commit": stage.COMMIT, "excerpt": text,
              "characters": len(text)},
    )  # fmt: skip
    tell(tx)
    card = stage.card(tx, CardKind.SPEC)
    assert card.key == "spec:todo-api"
    assert card.body.startswith("**To-do**\n\n- \\*one\\* `x`\n\nPlain **words**. More of it. More")
    assert len(card.body) <= 3_000
    assert card.whole == TextFile("spec.md", text)
    for name in (".autocoder/prompts/app_spec.txt", ".autocoder/prompts/initializer_prompt.md"):
        assert f"`{name}`" in card.body
    assert "at `4f2c9e1`" in card.body
    assert card.body.splitlines()[-1].startswith("Practice model")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (InterviewStatus.PLANNING, "◐ What is new is being planned"),
        (InterviewStatus.AWAITING_APPROVAL, "▲ The plan waits for an approver"),
        (InterviewStatus.DONE, "✓ Taken into the plan"),
        (InterviewStatus.BLOCKED, "■ Blocked: no way"),
        (InterviewStatus.WITHDRAWN, "■ Withdrawn"),
    ],
)
def test_an_addition_has_its_own_card_in_the_thread(
    tx: Session, project: int, status: InterviewStatus, words: str
) -> None:
    row = Interview(
        project_id=project, number=1, kind=InterviewKind.FEATURE, status=status,
        request="Due dates", by="web:bob", begun_at=NOW, blocked_reason="no way\nThe last plan was refused:\n- **a** has no check.",
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    journal.record(
        tx, Event.INTERVIEW_BEGUN, "A feature.", now=NOW,
        project=tx.get_one(Project, project), data={"interview": row.id},
    )  # fmt: skip
    tell(tx)
    card = root(tx)
    assert card.key == "interview:todo-api:1"
    assert card.title == "A new feature for todo-api"
    assert card.body.startswith(f"{words}\nDue dates")
    blocked = status is InterviewStatus.BLOCKED
    assert ("refused:\n- **a** has no check." in markup.plain(card.body)) == blocked
    assert outbox.count(tx, project, CardKind.INTERVIEW) == 2
