"""What an assistant is told: the question, and what is on file about what it names."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core.domain.mention import task_numbers
from core.errors import NotFound
from core.views import inquiries, members, task_context
from core.views.json import plain
from core.views.projects import Service

GO_ON = (
    "You were interrupted. Answer the question now; what you read already need not be read again."
)


@dataclass(frozen=True)
class Question:
    """A person's question, and what is on file about what it names."""

    text: str
    by: str
    project: str
    files: Sequence[str]


def load(tx: Session, inquiry_id: int, service: Service) -> Question:
    asked = inquiries.inquiry(tx, inquiry_id)
    found = task_context.of_project(tx, asked.project_id, service)
    files = [
        f"What the service has on file about the project:\n{_json(task_context.ProjectContext, found)}"
    ]
    for number in task_numbers(asked.text):
        try:
            task = task_context.of_task(tx, asked.project_id, number)
        except NotFound:
            files.append(f"There is no task {number}.")
        else:
            files.append(f"About task {number}:\n{_json(task_context.TaskContext, task)}")
    by = members.name_of(tx, asked.by)
    return Question(asked.text, by, found.project.name, files)


def briefing(question: Question, *, resumed: bool) -> str:
    """The first words of an assistant's run."""
    parts = [GO_ON] if resumed else []
    parts.append(f"{question.by} asks about the project {question.project}:")
    parts.append(question.text)
    parts += [] if resumed else question.files
    return "\n\n".join(parts)


def _json(kind: Any, value: object) -> str:
    return json.dumps(plain(kind, value), ensure_ascii=False, indent=1)
