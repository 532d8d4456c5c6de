"""The budget's warnings, and waits for the account's limit."""

from datetime import datetime

from sqlalchemy.orm import Session

from bot.cards import formatting, forms, labels
from bot.cards.rendering import (
    CardRef,
    Drawn,
    RenderContext,
    body,
    button,
    code,
    fallback,
    footnote,
    said,
    title,
)
from core.domain.cards import (
    Button,
    Card,
    Field,
    Label,
    Link,
    Style,
    Subject,
    Tone,
)
from core.domain.events import CardKind, Event
from core.domain.lifecycle import ProjectStatus
from core.domain.money import Dimension, to_usd
from core.views import budgets, cards, journal, members, projects
from core.views.journal import JournalLine
from core.views.projects import ProjectSummary

_OVER = (ProjectStatus.COMPLETED, ProjectStatus.STOPPED, ProjectStatus.ARCHIVED)
_NEWER = (Event.BUDGET_CHANGED, Event.BUDGET_WARNING, Event.BUDGET_REACHED)


def draw_budget(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    """A warning, or the end of the budget; it can be acted upon until something newer is said."""
    entry = journal.entry(tx, ref.subject_id)
    project = projects.summary(tx, ref.project_id)
    if "scope" in entry.data:
        return _draw_span(ref.key, project, entry, scene)
    budget = project.budget_micro_usd
    spent = budgets.total(tx, project.id, Dimension.PROJECT, str(project.id))
    cost = budgets.cost_of_project(tx, project.id)
    reached = entry.event is Event.BUDGET_REACHED
    heading = title(entry.text.rstrip("."))
    later = journal.next_one(tx, _NEWER, after=entry.id, project_id=project.id)
    sum_ = f"{formatting.usd(cost)} of {formatting.usd(to_usd(budget))}"
    buttons: tuple[Button, ...] = ()
    lines, state = [f"{sum_} at list prices."], ""
    if later is not None:
        state = _since(tx, later, scene)
    elif project.status in _OVER or (spent < budget and reached):
        state = f"{labels.DONE} Over"
    else:
        lines = [
            f"**{formatting.usd(cost)}** of {formatting.usd(to_usd(budget))} at list prices.",
            "Nothing new starts; messages under way are let through to their end."
            if reached
            else "Work goes on until the budget is spent; then nothing new starts.",
        ]
        if reached:
            state = f"{labels.WAITS} Waits for an admin since {scene.when(entry.at)}"
        buttons = _buttons(project, reached=reached)
    card = Card(
        key=ref.key,
        kind=CardKind.BUDGET,
        title=heading,
        body=body(lines, [state, footnote(project.practice, scene.box)]),
        fallback=fallback(heading, sum_, state),
        project=project.name,
        fields=(Field("Cost", sum_),) if buttons else (),
        tone=(Tone.DANGER if reached else Tone.WARNING) if buttons else Tone.INFO,
        buttons=buttons,
        links=_newer(tx, project, later) if later else (),
    )
    return Drawn(card)


def _newer(tx: Session, project: ProjectSummary, later: JournalLine) -> tuple[Link, ...]:
    known = cards.keys_of(tx, CardKind.BUDGET, (project.id,), (later.id,))
    return tuple(Link("Open the newer card", key) for key in known.values())


def _draw_span(
    key: str, project: ProjectSummary, entry: JournalLine, scene: RenderContext
) -> Drawn:
    """A day's or a month's budget, which begins anew by itself."""
    until = datetime.fromisoformat(entry.data["until"])
    cap, scope = formatting.usd(to_usd(entry.data["cap"])), str(entry.data["scope"])
    whose = said(project.name) if entry.data["own"] else "all projects"
    reached = entry.event is Event.BUDGET_REACHED
    over = scene.now >= until or project.status in _OVER
    lines = [f"The {scope}'s budget of {whose} (UTC) is **{cap}** at list prices."]
    buttons: tuple[Button, ...] = ()
    if over:
        state = f"{labels.DONE} Over: it began anew"
    else:
        raising = code(f"/autocoder budget {scope} AMOUNT")
        state = f"{labels.WAITS} Begins anew at {scene.when(until)}; an admin raises it: {raising}"
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


def _since(tx: Session, later: JournalLine, scene: RenderContext) -> str:
    if later.event is Event.BUDGET_CHANGED:
        by = said(members.name_of(tx, later.actor), 128)
        return f"{labels.DONE} Changed by {by}, {scene.when(later.at)}: {said(later.text)}"
    return f"{labels.DONE} A newer card says more"


def _buttons(project: ProjectSummary, *, reached: bool) -> tuple[Button, ...]:
    stop = button(
        "Stop", Label.STOP, Subject.PROJECT, project.id,
        form=forms.stop(project.name),
    )  # fmt: skip
    raising = button(
        "Raise budget", Label.RAISE_BUDGET, Subject.BUDGET, project.id,
        style=Style.PRIMARY if reached else Style.DEFAULT, form=forms.AMOUNT,
    )  # fmt: skip
    return (raising, stop)


def draw_limit(tx: Session, ref: CardRef, scene: RenderContext) -> Drawn:
    """The account is limited: until when, and that nobody has to do anything."""
    entry = journal.entry(tx, ref.subject_id)
    project = projects.summary(tx, ref.project_id)  # the entry may be another one's
    newer = journal.next_one(tx, (Event.RATE_LIMITED,), after=entry.id)
    until = None if newer else budgets.limit_ahead(tx, scene.upstream, scene.now)
    note = footnote(project.practice, scene.box)
    if until is not None:
        heading = title(f"{project.name} waits for the account's limit until {scene.clock(until)}")
        rest = formatting.forecast(until - scene.now)
        lines = [
            f"All agents wait until {scene.when(until)}, in about {rest}, and resume by themselves."
        ]
        if reason := said(budgets.limit_reason(tx, scene.upstream)):
            lines.append(f"The model's server says: {reason}")
        card = Card(
            key=ref.key,
            kind=CardKind.LIMIT,
            title=heading,
            body=body(lines, [f"{labels.WAITS} Waits by itself; nobody has to do anything", note]),
            fallback=fallback(heading, "It resumes by itself"),
            project=project.name,
            tone=Tone.WARNING,
        )
        return Drawn(card, until)
    heading = title(f"{project.name} waited for the account's limit")
    over = f"{labels.DONE} Over: agents were let go on by themselves"
    card = Card(
        key=ref.key,
        kind=CardKind.LIMIT,
        title=heading,
        body=body([said(entry.text)], [over, note]),
        fallback=fallback(heading, over),
        project=project.name,
    )
    return Drawn(card)
