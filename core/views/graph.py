"""What waits for what: a project's features and tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.lifecycle import FeatureStatus, TaskStatus
from core.store.tables import Feature, FeatureDependency, Task, TaskDependency


@dataclass(frozen=True)
class Node:
    """A feature or a task."""

    id: str  # feature:3, task:12
    kind: str
    name: str
    status: FeatureStatus | TaskStatus
    phase_id: int
    feature_id: int


@dataclass(frozen=True)
class Edge:
    """From what comes first to what waits for it."""

    first: Annotated[str, Field(alias="from")]
    then: Annotated[str, Field(alias="to")]


@dataclass(frozen=True)
class Graph:
    nodes: Sequence[Node]
    edges: Sequence[Edge]


def graph(tx: Session, project_id: int) -> Graph:
    features = tx.execute(
        select(Feature.id, Feature.name, Feature.status, Feature.phase_id)
        .where(Feature.project_id == project_id)
        .order_by(Feature.position)
    )
    nodes = [
        Node(f"feature:{row.id}", "feature", row.name, row.status, row.phase_id, row.id)
        for row in features
    ]
    numbers: dict[int, int] = {}
    for row in tx.execute(
        select(Task.id, Task.number, Task.name, Task.status, Task.phase_id, Task.feature_id)
        .where(Task.project_id == project_id)
        .order_by(Task.number)
    ):
        numbers[row.id] = row.number
        nodes.append(
            Node(f"task:{row.number}", "task", row.name, row.status, row.phase_id, row.feature_id)
        )
    between_features = tx.execute(
        select(FeatureDependency.feature_id, FeatureDependency.depends_on_id)
        .join(Feature, Feature.id == FeatureDependency.feature_id)
        .where(Feature.project_id == project_id)
        .order_by(FeatureDependency.feature_id, FeatureDependency.depends_on_id)
    )
    edges = [Edge(f"feature:{first}", f"feature:{waits}") for waits, first in between_features]
    between_tasks = tx.execute(
        select(TaskDependency.task_id, TaskDependency.depends_on_id)
        .join(Task, Task.id == TaskDependency.task_id)
        .where(Task.project_id == project_id)
        .order_by(TaskDependency.task_id, TaskDependency.depends_on_id)
    )
    edges += [
        Edge(f"task:{numbers[first]}", f"task:{numbers[waits]}") for waits, first in between_tasks
    ]
    return Graph(nodes, edges)
