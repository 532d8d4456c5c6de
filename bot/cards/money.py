"""The budget's warnings, and waits for the account's limit."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import forms, words
from bot.cards.frame import Drawn, Scene, body, button, code, fallback, footnote, said, title
from core.domain.cards import (
    Button,
    Card,
    CardKind,
    Field,
    Label,
    Style,
    Subject,
    Tone,
)
from core.domain.events import Event
from core.domain.lifecycle import ProjectStatus
from core.domain.money import to_usd
from core.operations import boards
from core.operations.spending import WARN_AT
from core.store.tables import AccountWindow, JournalEntry, Project

_OVER = (ProjectStatus.COMPLETED, ProjectStatus.STOPPED, ProjectStatus.ARCHIVED)


def draw_budget(tx: Session, key: str, entry_id: int, scene: Scene) -> Drawn:
    """A warning, or the end of the budget; it can be acted upon until something newer is said."""
    entry = tx.get_one(JournalEntry, entry_id)
    project = _project(tx, key, entry)
    if "scope" in entry.data:
        return _draw_span(tx, key, project, entry, scene)
    cost, spent = boards.spending_of(tx, project.id)
    budget = to_usd(project.budget_micro_usd)
    reached = entry.event is Event.BUDGET_REACHED
    share = _share(entry)
    heading = title(
        f"{project.name} has spent its budget" if reached
        else f"{project.name} has spent {share} of its budget"
    )  # fmt: skip
    later = tx.scalars(
        select(JournalEntry)
        .where(
            JournalEntry.project_id == project.id,
            JournalEntry.id > entry.id,
            JournalEntry.event.in_(
                (Event.BUDGET_CHANGED, Event.BUDGET_WARNING, Event.BUDGET_REACHED)
            ),
        )
        .order_by(JournalEntry.id)
        .limit(1)
    ).first()
    now = f"**{wording.usd(cost)}** of {wording.usd(budget)} at list prices."
    after = (
        "Nothing new starts; messages under way are let through to their end."
        if reached
        else "Work goes on until the budget is spent; then nothing new starts."
    )
    buttons: tuple[Button, ...] = ()
    if later is not None:
        lines, state = [said(entry.text, 200)], _since(later, scene)
    elif project.status in _OVER or (spent < budget and reached):
        lines, state = [said(entry.text, 200)], f"{words.DONE} Over"
    else:
        lines = [now, after]
        state = f"{words.WAITS} Waits for an admin since {scene.clock(entry.at)}" if reached else ""
        buttons = _buttons(project, reached=reached)
    card = Card(
        key=key,
        kind=CardKind.BUDGET,
        title=heading,
        body=body(lines, [state, footnote(project.practice, scene.box)]),
        fallback=fallback(heading, f"{wording.usd(cost)} of {wording.usd(budget)}", state),
        project=project.name,
        fields=(Field("Cost", f"{wording.usd(cost)} of {wording.usd(budget)}"),) if buttons else (),
        tone=(Tone.DANGER if reached else Tone.WARNING) if buttons else Tone.INFO,
        buttons=buttons,
    )
    return Drawn(card)


def _draw_span(tx: Session, key: str, project: Project, entry: JournalEntry, scene: Scene) -> Drawn:
    """A day's or a month's budget, which begins anew by itself."""
    until = datetime.fromisoformat(entry.data["until"])
    cap, scope = wording.usd(to_usd(entry.data["cap"])), str(entry.data["scope"])
    whose = said(project.name) if entry.data["own"] else "all projects"
    reached = entry.event is Event.BUDGET_REACHED
    over = scene.now >= until or project.status in _OVER
    lines = [f"The {scope}'s budget of {whose} (UTC) is **{cap}** at list prices."]
    buttons: tuple[Button, ...] = ()
    if over:
        state = f"{words.DONE} Over: it began anew"
    else:
        raising = code(f"/autocoder budget {scope} AMOUNT")
        state = f"{words.WAITS} Begins anew at {scene.clock(until)}; an admin raises it: {raising}"
        buttons = _buttons(project, reached=reached)[1:] if reached else ()
        if reached:
            lines.append("Nothing new starts until then; messages under way come to their end.")
    heading = title(entry.text.rstrip("."))
    card = Card(
        key=key,
        kind=CardKind.BUDGET,
        title=heading,
        body=body(lines, [state, footnote(project.practice, scene.box)]),
        fallback=fallback(heading, state),
        project=project.name,
        tone=Tone.INFO if over else Tone.DANGER if reached else Tone.WARNING,
        buttons=buttons,
    )
    return Drawn(card, None if over else until)


def _share(entry: JournalEntry) -> str:
    """The percentage a warning was about; its text says it."""
    told = [f"{percent} %" for percent in WARN_AT if f"{percent} %" in entry.text]
    return told[-1] if told else "much"


def _since(later: JournalEntry, scene: Scene) -> str:
    if later.event is Event.BUDGET_CHANGED:
        by = said(later.actor, 128)
        return f"{words.DONE} Changed by {by}, {scene.clock(later.at)}: {said(later.text, 200)}"
    return f"{words.DONE} A newer card says more"


def _buttons(project: Project, *, reached: bool) -> tuple[Button, ...]:
    stop = button(
        "Stop", Label.STOP, Subject.PROJECT, project.id,
        form=forms.stop(project.name),
    )  # fmt: skip
    raising = button(
        "Raise budget", Label.RAISE_BUDGET, Subject.BUDGET, project.id,
        style=Style.PRIMARY if reached else Style.DEFAULT, form=forms.AMOUNT,
    )  # fmt: skip
    return (raising, stop)


def draw_limit(tx: Session, key: str, entry_id: int, scene: Scene) -> Drawn:
    """The account is limited: until when, and that nobody has to do anything."""
    entry = tx.get_one(JournalEntry, entry_id)
    project = _project(tx, key, entry)
    window = tx.get(AccountWindow, scene.upstream)
    until = window.until if window else None
    newer = tx.scalars(
        select(JournalEntry.id)
        .where(JournalEntry.id > entry.id, JournalEntry.event == Event.RATE_LIMITED)
        .limit(1)
    ).first()
    note = footnote(project.practice, scene.box)
    if newer is None and until is not None and until > scene.now:
        heading = title(f"{project.name} waits for the account's limit until {scene.clock(until)}")
        rest = wording.duration((until - scene.now).total_seconds())
        when = f"**{scene.clock(until)}**, in about {rest}"
        lines = [f"All agents wait until {when}, and resume by themselves."]
        if window and window.reason:
            lines.append(f"The model's server says: {said(window.reason, 200)}")
        card = Card(
            key=key,
            kind=CardKind.LIMIT,
            title=heading,
            body=body(lines, [f"{words.WAITS} Waits by itself; nobody has to do anything", note]),
            fallback=fallback(heading, "It resumes by itself"),
            project=project.name,
            tone=Tone.WARNING,
        )
        return Drawn(card, until)
    heading = title(f"{project.name} waited for the account's limit")
    over = f"{words.DONE} Over: agents were let go on by themselves"
    card = Card(
        key=key,
        kind=CardKind.LIMIT,
        title=heading,
        body=body([said(entry.text, 200)], [over, note]),
        fallback=fallback(heading, over),
        project=project.name,
    )
    return Drawn(card)


def _project(tx: Session, key: str, entry: JournalEntry) -> Project:
    """The card's own project: a limit's entry may be another one's."""
    slug = key.split(":")[1]
    found = tx.scalars(select(Project).where(Project.slug == slug)).first()
    return found or tx.get_one(Project, entry.project_id)
