"""What an assistant is told: the question, and what is on file about what it names."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core.domain.mention import task_numbers
from core.errors import InputError
from core.operations import dossiers, inquiries

GO_ON = (
    "You were interrupted. Answer the question now; what you read already need not be read again."
)


@dataclass(frozen=True)
class Question:
    """A person's question with its files."""

    text: str
    by: str
    project: Mapping[str, Any]
    tasks: Sequence[Mapping[str, Any]]  # that it names
    missing: Sequence[int]  # numbers it names that no task has


def load(tx: Session, inquiry_id: int) -> Question:
    asked = inquiries.asked(tx, inquiry_id)
    found, missing = [], []
    for number in task_numbers(asked.text):
        try:
            found.append(dossiers.of_task(tx, asked.project_id, number))
        except InputError:
            missing.append(number)
    return Question(asked.text, asked.by, dossiers.of_project(tx, asked.project_id), found, missing)


def briefing(question: Question, *, resumed: bool) -> str:
    """The first words of an assistant's run."""
    parts = [GO_ON] if resumed else []
    parts.append(f"{question.by} asks about the project {question.project['name']}:")
    parts.append(question.text)
    if not resumed:
        parts.append(f"What the service has on file about the project:\n{_json(question.project)}")
        parts += [f"About task {each['id']}:\n{_json(each)}" for each in question.tasks]
        parts += [f"There is no task {number}." for number in question.missing]
    return "\n\n".join(parts)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
