"""What blocks a project, and how it goes on."""

from sqlalchemy.orm import Session

from bot.cards import formatting, labels
from bot.cards.progress import buttons as project_buttons
from bot.cards.rendering import (
    CardRef,
    Drawn,
    RenderContext,
    approved,
    body,
    fallback,
    footnote,
    spoken,
    title,
)
from core.domain.cards import Card, Tone
from core.domain.events import CardKind, Event
from core.domain.lifecycle import ProjectStatus
from core.views import journal, members, projects

REASON = 1_500


def draw_blocked(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    """The service cannot go on by itself: why, and what a person can do."""
    entry = journal.entry(tx, ref.subject_id)
    project = projects.summary(tx, entry.project_id or 0)
    over = journal.next_one(tx, tuple(_WENT_ON), after=entry.id, project_id=project.id)
    heading = title(f"{project.name} is blocked")
    blocked = over is None and project.status is ProjectStatus.BLOCKED
    if over is not None:
        by = members.name_of(tx, over.actor)
        state = approved(by, over.at, scene, _WENT_ON[over.event])
    elif blocked:
        state = f"{labels.WAITS} Waits for somebody since {scene.when(entry.at)}"
    else:
        state = f"{labels.DONE} It goes on"
    after = "Nothing done is lost. Mend the cause, then resume." if blocked else ""
    card = Card(
        key=ref.key,
        kind=CardKind.ERROR,
        title=heading,
        body=body(
            [spoken(entry.text, REASON), after], [state, footnote(project.practice, scene.box)]
        ),
        fallback=fallback(heading, formatting.one_line(entry.text, 300), state),
        project=project.name,
        tone=Tone.DANGER if blocked else Tone.INFO,
        buttons=project_buttons(project.id, project.status, project.name) if blocked else (),
    )
    return Drawn(card)


_WENT_ON = {
    Event.PROJECT_RESUMED: "Resumed",
    Event.PROJECT_STOPPED: "Stopped",
    Event.PROJECT_ARCHIVED: "Archived",
}
