"""Questions of agents to people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.domain.agents import AgentKind
from core.store.tables import Question, Run
from core.views.runs import agent_name


@dataclass(frozen=True, kw_only=True)
class QuestionView:
    id: int
    project_id: int
    run_id: int
    kind: AgentKind  # of who asks
    agent: str  # coder-1
    text: str
    options: Sequence[str]
    multiple: bool
    interview_id: int | None
    number: int  # within its interview, from 1
    topic: str
    expected: int | None  # questions in all, as the interviewer sees it
    asked_at: datetime
    answer: str | None
    answered_by: str | None  # nobody: it was withdrawn
    answered_at: datetime | None


def question(tx: Session, question_id: int) -> QuestionView:
    """The one of this id, which is known to exist."""
    return _every(tx, select(Question, Run).where(Question.id == question_id))[0]


def by_id(tx: Session, question_id: int) -> QuestionView | None:
    return next(iter(_every(tx, select(Question, Run).where(Question.id == question_id))), None)


def open_of(tx: Session, project_id: int) -> Sequence[QuestionView]:
    """What waits for an answer in a project, the oldest first."""
    query = select(Question, Run).where(
        Question.project_id == project_id, Question.answer.is_(None)
    )
    return _every(tx, query)


def of_interview(tx: Session, interview_id: int) -> Sequence[QuestionView]:
    """The oldest first."""
    return _every(tx, select(Question, Run).where(Question.interview_id == interview_id))


def _every(tx: Session, query: Select[Question, Run]) -> Sequence[QuestionView]:
    rows = tx.execute(query.join(Run, Run.id == Question.run_id).order_by(Question.id))
    return [_view(question, run) for question, run in rows]


def _view(row: Question, run: Run) -> QuestionView:
    return QuestionView(
        id=row.id,
        project_id=row.project_id,
        run_id=row.run_id,
        kind=run.kind,
        agent=agent_name(run),
        text=row.text,
        options=tuple(row.options),
        multiple=row.multiple,
        interview_id=row.interview_id,
        number=row.number,
        topic=row.topic,
        expected=row.expected,
        asked_at=row.asked_at,
        answer=row.answer,
        answered_by=row.answered_by,
        answered_at=row.answered_at,
    )
