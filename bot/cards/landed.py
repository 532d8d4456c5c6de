"""One line for a feature that landed, with its evidence."""

from sqlalchemy.orm import Session

from bot.cards import formatting, labels
from bot.cards.rendering import CardRef, Drawn, RenderContext, bold, code, fallback, said, title
from core.domain.cards import Card, Tone
from core.domain.events import CardKind
from core.ports.host import BoxLevel
from core.views import landings


def draw(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    """`✓ todo-api To-do endpoints landed · 4 of 4 tasks, 6 checks green, 4f2c9e1 · $2.12`."""
    landed = landings.landing(tx, ref.subject_id)
    project, counts = landed.project, landed.counts
    cost, commit = formatting.usd(landed.cost_usd), formatting.commit(landed.commit)
    proof = (
        f"{counts.passing} of {formatting.count(counts.total, 'task')},"
        f" {formatting.count(landed.checks, 'check')} green"
    )
    facts = [f"{proof}, {code(commit)}" if commit else proof, f"**{cost}**"]
    if landed.mended:
        facts.append(f"{formatting.count(landed.mended, 'failed check')} mended")
    if project.practice:
        facts.append("practice")
    if scene.box is not BoxLevel.FULL:
        facts.append(labels.sandbox(scene.box))
    name, what = bold(project.name), said(landed.feature, 100)
    heading = title(f"{landed.feature} landed")
    card = Card(
        key=ref.key,
        kind=CardKind.LANDED,
        title=heading,
        body=f"{labels.DONE} {name} {what} landed · {' · '.join(facts)}",
        fallback=fallback(f"{labels.DONE} {project.name}: {heading}", f"{proof}, {commit}, {cost}"),
        project=project.name,
        tone=Tone.SUCCESS,
    )
    return Drawn(card)
