"""Usage summed up: of a project or of all, and as the figures of the metrics page."""

from dataclasses import dataclass

from sqlalchemy import Integer, cast, select
from sqlalchemy.orm import Session

from core.domain import shapes
from core.domain.money import Dimension, Tokens, to_usd
from core.domain.shapes import SpentData, UsageData
from core.store.tables import Project, Task, UsageTotal


@dataclass(slots=True)
class _Sum:
    messages: int = 0
    unpriced: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    micro_usd: int = 0

    def add(self, other: "_Sum") -> None:
        self.messages += other.messages
        self.unpriced += other.unpriced
        self.input += other.input
        self.output += other.output
        self.cache_read += other.cache_read
        self.cache_write_5m += other.cache_write_5m
        self.cache_write_1h += other.cache_write_1h
        self.micro_usd += other.micro_usd

    @property
    def tokens(self) -> Tokens:
        return Tokens(
            self.input, self.output, self.cache_read, self.cache_write_5m, self.cache_write_1h
        )

    def data(self) -> SpentData:
        return {
            "messages": self.messages,
            "tokens": {
                "input": self.input,
                "output": self.output,
                "cache_read": self.cache_read,
                "cache_write_5m": self.cache_write_5m,
                "cache_write_1h": self.cache_write_1h,
            },
            "cost_usd": shapes.usd(to_usd(self.micro_usd)),
        }


_SUMS = (
    UsageTotal.messages,
    UsageTotal.unpriced_messages,
    UsageTotal.input,
    UsageTotal.output,
    UsageTotal.cache_read,
    UsageTotal.cache_write_5m,
    UsageTotal.cache_write_1h,
    UsageTotal.micro_usd,
)
_COARSE = (Dimension.PROJECT, Dimension.MODEL, Dimension.KIND, Dimension.DAY)
_FINE = (*_COARSE, Dimension.PHASE, Dimension.FEATURE)  # beside tasks, of which there are many


def usage(tx: Session, project: Project | None, *, fine: bool = True) -> UsageData:
    """Of one project, or of all; of all, tasks are keyed `SLUG/NUMBER`.

    Without `fine` nothing is broken down by phase, feature and task.
    """
    parts: dict[Dimension, dict[str, _Sum]] = {dimension: {} for dimension in Dimension}
    query = select(UsageTotal.dimension, UsageTotal.key, *_SUMS).where(
        UsageTotal.dimension.in_(_FINE if fine else _COARSE)
    )
    if project is not None:
        query = query.where(UsageTotal.project_id == project.id)
    for dimension, key, *sums in tx.execute(query.order_by(UsageTotal.project_id, UsageTotal.key)):
        parts[dimension].setdefault(key, _Sum()).add(_Sum(*sums))
    if fine:
        parts[Dimension.TASK] = _by_task(tx, project)
    whole = _Sum()
    for part in parts[Dimension.PROJECT].values():
        whole.add(part)

    def by(dimension: Dimension) -> dict[str, SpentData]:
        return {key: part.data() for key, part in parts[dimension].items()}

    return {
        "project": project.name if project else None,
        "messages": whole.messages,
        "tokens": shapes.tokens(whole.tokens),
        "cost_usd": shapes.usd(to_usd(whole.micro_usd)),
        "unpriced_messages": whole.unpriced,
        "by_model": by(Dimension.MODEL),
        "by_kind": by(Dimension.KIND),
        "by_phase": by(Dimension.PHASE),
        "by_feature": by(Dimension.FEATURE),
        "by_task": by(Dimension.TASK),
        "by_day": by(Dimension.DAY),
    }


def _by_task(tx: Session, project: Project | None) -> dict[str, _Sum]:
    """The sum of each task, by how it is called; there is one row for each."""
    query = (
        select(UsageTotal.project_id, Task.number, *_SUMS)
        .join(Task, Task.id == cast(UsageTotal.key, Integer))
        .where(UsageTotal.dimension == Dimension.TASK)
        .order_by(UsageTotal.project_id, UsageTotal.key)
    )
    if project is not None:
        query = query.where(UsageTotal.project_id == project.id)
        return {str(number): _Sum(*sums) for _, number, *sums in tx.execute(query)}
    slugs = dict(tx.execute(select(Project.id, Project.slug)).all())
    return {f"{slugs[of]}/{number}": _Sum(*sums) for of, number, *sums in tx.execute(query)}
