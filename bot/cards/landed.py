"""One line for a feature that landed, with its evidence."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import words
from bot.cards.frame import Drawn, Scene, bold, code, fallback, said, title
from core.domain.cards import Card, CardKind, Tone
from core.domain.events import Event
from core.domain.lifecycle import TaskStatus
from core.domain.money import Dimension
from core.operations import boards
from core.ports.host import BoxLevel
from core.store.tables import Feature, JournalEntry, Project, Task


def draw(tx: Session, key: str, feature_id: int, scene: Scene) -> Drawn:
    """`✓ todo-api To-do endpoints landed · 4 of 4 tasks, 6 checks, 4f2c9e1 · $2.12`."""
    feature = tx.get_one(Feature, feature_id)
    project = tx.get_one(Project, feature.project_id)
    tally: dict[TaskStatus, int] = dict(
        tx.execute(
            select(Task.status, func.count())
            .where(Task.feature_id == feature.id)
            .group_by(Task.status)
        ).all()
    )
    landing = tx.scalars(
        select(JournalEntry)
        .where(
            JournalEntry.project_id == project.id,
            JournalEntry.feature_id == feature.id,
            JournalEntry.event == Event.FEATURE_LANDED,
        )
        .order_by(JournalEntry.id.desc())
        .limit(1)
    ).first()
    mended = tx.scalar(
        select(func.count()).where(
            JournalEntry.project_id == project.id,
            JournalEntry.feature_id == feature.id,
            JournalEntry.event == Event.CHECK_FAILED,
        )
    )
    checks = landing.data.get("checks", 0) if landing else 0
    passing, total = tally.get(TaskStatus.PASSING, 0), sum(tally.values())
    cost = wording.usd(boards.cost_of(tx, project.id, Dimension.FEATURE, feature.id))
    commit = wording.commit(feature.landed_commit or "")
    proof = f"{passing} of {wording.count(total, 'task')}, {wording.count(checks, 'check')} green"
    facts = [f"{proof}, {code(commit)}" if commit else proof, f"**{cost}**"]
    if mended:
        facts.append(f"{wording.count(mended, 'failed check')} mended")
    if project.practice:
        facts.append("practice")
    if scene.box is not BoxLevel.FULL:
        facts.append(words.sandbox(scene.box))
    name, what = bold(project.name), said(feature.name, 100)
    heading = title(f"{feature.name} landed")
    card = Card(
        key=key,
        kind=CardKind.LANDED,
        title=heading,
        body=f"{words.DONE} {name} {what} landed · {' · '.join(facts)}",
        fallback=fallback(f"{words.DONE} {project.name}: {heading}", f"{proof}, {commit}, {cost}"),
        project=project.name,
        tone=Tone.SUCCESS,
    )
    return Drawn(card)
