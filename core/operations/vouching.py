"""Tasks a person vouches for: their own checks prove nothing, so nothing waits for them."""

from sqlalchemy import ColumnElement, exists

from core.domain.proof import Verdict
from core.store.tables import Evidence, Task


def vouched() -> ColumnElement[bool]:
    """Of a task: a person vouches for it."""
    return exists().where(Evidence.task_id == Task.id, Evidence.verdict == Verdict.VOUCHED)
