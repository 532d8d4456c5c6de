"""Projects: made, listed, watched, moved."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot import wording
from bot.cards import progress, words
from bot.cards.drawing import MOST_FEATURES
from bot.cards.frame import bold, code, said
from bot.commands import parsing, waiting
from bot.commands.context import by_name, by_whom, last_said, ref, use
from bot.commands.replies import lines
from bot.commands.spec import Call, Reply
from core.domain import card_keys
from core.domain.cards import CardKind, Label, Picture, Tone
from core.domain.events import Event
from core.domain.lifecycle import FeatureStatus, ProjectStatus, TaskStatus
from core.domain.money import Dimension, to_usd
from core.domain.names import is_name, mend, parse_name, unquote
from core.errors import BadName, NotFound, StalePress, StateError
from core.operations import additions, interviews, outbox, places, projects, questions, runs, specs
from core.operations.projects import latest_plan
from core.store.tables import (
    Feature,
    FeatureDependency,
    Phase,
    Project,
    Question,
    Run,
    Task,
    UsageTotal,
)
from core.views.projects import ProjectRef
from core.views.waiting import waiting as waits_for

_LISTED = 40
_COLUMN = 12  # tasks that a board lists per status
FEATURE_MARKS = {
    FeatureStatus.PENDING: words.PENDING,
    FeatureStatus.SPECCING: words.PENDING,
    FeatureStatus.READY: words.PENDING,
    FeatureStatus.IN_PROGRESS: words.PROGRESS,
    FeatureStatus.LANDING: words.PROGRESS,
    FeatureStatus.COMPLETED: words.DONE,
}


def status_words(status: ProjectStatus) -> str:
    return status.value.replace("_", " ")


def new(tx: Session, call: Call, request: str = "") -> Reply:
    """Begin a project; `request` is what its interviewer is told first."""
    name = call.values["name"]
    if not is_name(unquote(name)):
        raise BadName(
            f"{parsing.shown(name)} cannot be a project's name.",
            hint="Names have 1-64 of A-Z a-z 0-9 space . _ - and begin with a letter or digit."
            f" Did you mean `{parsing.COMMAND} new {mend(name)}`?",
        )
    begun = interviews.begin(
        tx,
        parse_name(name),
        call.place,
        by=call.person,
        practice=call.desk.practice,
        budget=call.desk.settings.budget.project_usd,
        request=request,
        now=call.now,
    )
    use(tx, call.place, begun.id, now=call.now)
    project = ProjectRef(begun.id, begun.name, begun.slug)
    if begun.new:
        return Reply(project=project, begun=begun.id, said=f"{begun.name}: the interview begins.")
    outbox.refresh(tx, begun.id, CardKind.INTERVIEW, now=call.now)
    # Drawn when it is posted: the card that is its thread may be on its way there too.
    key = card_keys.reply(CardKind.ANSWER, call.item_id)
    outbox.want(tx, call.place, key, CardKind.ANSWER, project_id=begun.id, now=call.now)
    return Reply(project=project, said=f"{begun.name} exists already.")


def list_all(tx: Session, call: Call) -> Reply:
    rows = tx.scalars(
        select(Project)
        .where(Project.status != ProjectStatus.ARCHIVED)
        .order_by(Project.id.desc())
        .limit(_LISTED + 1)
    ).all()
    if not rows:
        return Reply(
            title="No projects yet",
            body=f"Begin one: `{parsing.COMMAND} new todo-api`",
        )
    count = tx.scalar(
        select(func.count()).where(Project.status != ProjectStatus.ARCHIVED).select_from(Project)
    )
    return Reply(
        title=wording.count(count or 0, "project"),
        body=lines(*(_project_line(tx, row) for row in rows[:_LISTED])),
    )


def _project_line(tx: Session, row: Project) -> str:
    grouped = tx.execute(
        select(Task.status, func.count()).where(Task.project_id == row.id).group_by(Task.status)
    )
    tally: dict[TaskStatus, int] = dict(grouped.all())
    spent = tx.get(UsageTotal, (row.id, Dimension.PROJECT, str(row.id)))
    facts = [status_words(row.status)]
    if tally:
        facts.append(f"{tally.get(TaskStatus.PASSING, 0)} of {sum(tally.values())} passing")
    if stuck := tally.get(TaskStatus.STUCK, 0):
        facts.append(f"{stuck} stuck")
    facts.append(wording.usd(to_usd(spent.micro_usd)) if spent else wording.UNKNOWN)
    return f"- {words.PROJECT_MARKS[row.status]} {bold(row.name)} · {' · '.join(facts)}"


def use_it(tx: Session, call: Call) -> Reply:
    project = by_name(tx, call.values["name"])
    if project is None:
        raise NotFound(f"There is no project {parsing.shown(call.values['name'])}.")
    use(tx, call.place, project.id, now=call.now)
    archived = tx.get_one(Project, project.id).status is ProjectStatus.ARCHIVED
    new = not archived and places.settle(tx, project.id, call.place, now=call.now)
    return Reply(
        title=f"This channel is about {project.name} now",
        body=lines(
            "Commands without a name mean it.",
            "It has a thread here from now on, and its cards come." if new else "",
            "It is archived: it can be looked at, and nothing more." if archived else "",
        ),
        project=project,
    )


def status(tx: Session, call: Call) -> Reply:
    if call.project is None:
        return list_all(tx, call)
    project = call.here
    drawn = progress.draw(
        tx, card_keys.reply(CardKind.ANSWER, call.item_id), project.id, call.desk.scene(call.now)
    )
    return Reply(card=replace(drawn.card, kind=CardKind.ANSWER), project=project,
                 title=drawn.card.title)  # fmt: skip


def details(tx: Session, call: Call, project: ProjectRef) -> Reply:
    """What the button `Details` of a live card shows."""
    reply = board(tx, replace(call, project=project))
    return replace(reply, private=True)


def inbox(tx: Session, call: Call) -> Reply:
    """What waits for this person, over all projects."""
    found = waits_for(tx, role=call.role)
    if not found:
        return Reply(title="Nothing waits for you", body="", tone=Tone.SUCCESS)
    scene = call.desk.scene(call.now)
    return Reply(
        title=f"{wording.count(len(found), 'thing')} waiting",
        body=lines(*(waiting.line(wait, scene) for wait in found)),
        links=tuple(map(waiting.way, found)),
    )


def board(tx: Session, call: Call) -> Reply:
    """Tasks by status."""
    project = call.here
    tasks = select(Task).where(Task.project_id == project.id)
    tally = select(Task.status, func.count()).where(Task.project_id == project.id)
    counts = dict(tx.execute(tally.group_by(Task.status)).all())
    if not counts:
        return Reply(title=f"{project.name} has no tasks yet", project=project)
    body: list[str] = []
    order = (
        TaskStatus.STUCK, TaskStatus.IN_PROGRESS, TaskStatus.PENDING, TaskStatus.PASSING,
        TaskStatus.SKIPPED,
    )  # fmt: skip
    for status_ in order:
        count = counts.get(status_, 0)
        if not count:
            continue
        name = status_.value.replace("_", " ")
        body.append(f"{words.TASK_MARKS[status_]} {bold(f'{count} {name}')}")
        column = tasks.where(Task.status == status_).order_by(Task.number).limit(_COLUMN)
        body += [
            f"- {row.number} {said(row.name, 90)}"
            for row in tx.execute(column.with_only_columns(Task.number, Task.name))
        ]
        if count > _COLUMN:
            body.append(f"- and {count - _COLUMN} more: `{parsing.COMMAND} tasks {status_.value}`")
    return Reply(title=f"Board of {project.name}", body=lines(*body), project=project)


def graph(tx: Session, call: Call) -> Reply:
    """Features by phase, and what each waits for."""
    project = call.here
    phases = tx.scalars(
        select(Phase).where(Phase.project_id == project.id).order_by(Phase.position)
    ).all()
    if not phases:
        return Reply(title=f"{project.name} has no features yet", project=project)
    features = tx.scalars(
        select(Feature).where(Feature.project_id == project.id).order_by(Feature.position)
    ).all()
    named = {feature.id: feature.name for feature in features}
    waits: dict[int, list[int]] = {}
    edges = select(FeatureDependency).join(Feature, Feature.id == FeatureDependency.feature_id)
    for edge in tx.scalars(edges.where(Feature.project_id == project.id)):
        waits.setdefault(edge.feature_id, []).append(edge.depends_on_id)
    body: list[str] = []
    for phase in phases:
        mark = words.PHASE_MARKS[phase.status]
        body.append(f"{mark} {bold(f'{phase.position} {phase.name}')}")
        for feature in features:
            if feature.phase_id != phase.id:
                continue
            after = [said(named[other], 60) for other in sorted(waits.get(feature.id, ()))]
            behind = f" ← {', '.join(after)}" if after else ""
            body.append(f"- {FEATURE_MARKS[feature.status]} {said(feature.name, 80)}{behind}")
    row = latest_plan(tx, project.id)
    drawn = row is not None and len(features) <= MOST_FEATURES
    alt = f"Features of {project.name}, with arrows from what each builds on"
    return Reply(
        title=f"Graph of {project.name}",
        body=lines(*body),
        pictures=(Picture(f"/api/pictures/plan/{row.id}.svg", alt),) if row and drawn else (),
        project=project,
    )


def start(tx: Session, call: Call) -> Reply:
    return _moved(tx, call, Label.START)


def pause(tx: Session, call: Call) -> Reply:
    return _moved(tx, call, Label.PAUSE)


def resume(tx: Session, call: Call) -> Reply:
    return _moved(tx, call, Label.RESUME)


def stop(tx: Session, call: Call) -> Reply:
    return _moved(tx, call, Label.STOP)


def stop_after(tx: Session, call: Call) -> Reply:
    """`stop after feature`: what is begun is brought to its end."""
    names = projects.wind_down(tx, call.here.id, actor=call.person, now=call.now)
    if not names:
        title = f"{call.here.name} is stopped; no feature was at work"
        return Reply(title=title, project=call.here, begun=call.here.id)
    return Reply(
        title=f"{call.here.name} stops after {wording.count(len(names), 'feature')}",
        body=lines(
            *(f"- {words.PROGRESS} {said(name, 90)}" for name in names),
            f"`{parsing.COMMAND} resume` takes that back, `{parsing.COMMAND} stop` stops it now.",
        ),
        project=call.here,
        begun=call.here.id,
    )


def _moved(tx: Session, call: Call, label: Label) -> Reply:
    project = tx.get_one(Project, call.here.id)
    return move_it(tx, call, project, label, pressed=False)


_MOVES = (
    Event.PROJECT_PAUSED, Event.PROJECT_STOPPED, Event.PROJECT_RESUMED, Event.PROJECT_BLOCKED,
    Event.PROJECT_COMPLETED, Event.PROJECT_ARCHIVED, Event.PLAN_APPROVED,
)  # fmt: skip
_GOES = (ProjectStatus.INTERVIEWING, ProjectStatus.PLANNING, ProjectStatus.RUNNING)
_RESTS = (ProjectStatus.PAUSED, ProjectStatus.STOPPED, ProjectStatus.BLOCKED)


def move_it(tx: Session, call: Call, project: Project, label: Label, *, pressed: bool) -> Reply:
    """Start, pause, resume or stop. What is so already is said, and nothing is changed."""
    now, by = call.now, call.person
    match label:
        case Label.PAUSE if project.status in (ProjectStatus.PLANNING, ProjectStatus.RUNNING):
            projects.pause(tx, project.id, actor=by, now=now)
            words_ = f"{project.name} is paused; its agents stop"
        case Label.STOP if project.status in (
            *_GOES,
            ProjectStatus.AWAITING_APPROVAL,
            *_RESTS,
        ) and (project.status is not ProjectStatus.STOPPED):
            projects.stop(tx, project.id, actor=by, now=now)
            words_ = f"{project.name} is stopped; start takes it up again"
        case Label.START | Label.RESUME if project.status in _RESTS or project.winding_down_by:
            projects.resume(tx, project.id, actor=by, now=now)
            _go_on(tx, project, by, now)
            words_ = f"{project.name} goes on"
        case Label.START | Label.RESUME if additions.parked(tx, project.id):
            parked = wording.count(_go_on(tx, project, by, now), "addition")
            words_ = f"{parked} of {project.name}: it goes on"
        case _:
            return _unmoved(tx, project, pressed=pressed)
    return Reply(
        title="" if pressed else words_,
        said=words_,
        project=ref(project),
        begun=project.id,
    )


def _go_on(tx: Session, project: Project, by: str, now: datetime) -> int:
    """Let what is parked go on; how many there were."""
    parked = additions.parked(tx, project.id)
    for each in parked:
        specs.resume(tx, each.id, by=by, now=now)
    return len(parked)


def _unmoved(tx: Session, project: Project, *, pressed: bool) -> Reply:
    who = by_whom(last_said(tx, _MOVES, project_id=project.id))
    words_ = (
        f"{project.name} is {status_words(project.status)}{', last moved' + who if who else ''}"
    )
    if pressed:
        raise StalePress(f"{words_}; nothing was changed.")
    body = lines("Nothing was changed.", _NEXT_STEP.get(project.status, ""))
    return Reply(title=words_, body=body, project=ref(project))


_NEXT_STEP = {
    ProjectStatus.INTERVIEWING: "Its interview waits in its thread.",
    ProjectStatus.PLANNING: "The planner is at work.",
    ProjectStatus.AWAITING_APPROVAL: f"Its plan waits: `{parsing.COMMAND} approve` or"
    f" `{parsing.COMMAND} reject REASON`.",
    ProjectStatus.COMPLETED: f"`{parsing.COMMAND} feature add TEXT` adds to it.",
    ProjectStatus.STOPPED: f"`{parsing.COMMAND} start` takes it up again.",
    ProjectStatus.PAUSED: f"`{parsing.COMMAND} resume` lets it go on.",
}


def archive(tx: Session, call: Call, *, pressed: bool = False) -> Reply:
    project = tx.get_one(Project, call.here.id)
    if project.status is ProjectStatus.ARCHIVED:
        return _unmoved(tx, project, pressed=pressed)
    projects.archive(tx, project.id, actor=call.person, now=call.now)
    runs.drop_parked(tx, Run.project_id == project.id, now=call.now)
    asked = questions.unanswered(tx, Question.project_id == project.id)
    questions.withdraw(tx, asked, "the project is archived", by=call.person, now=call.now)
    return Reply(
        title=f"{project.name} is archived",
        body="Its repository, journal and costs stay.",
        project=call.here,
    )


def preview(tx: Session, call: Call) -> Reply:
    project = tx.get_one(Project, call.here.id)
    landed = tx.scalars(
        select(Feature.id)
        .where(Feature.project_id == project.id, Feature.landed_commit.is_not(None))
        .limit(1)
    ).first()
    if project.run_command is None:
        raise StateError(
            f"The plan of {project.name} says no command that starts it."
            if project.first_commit
            else f"Nothing of {project.name} is built yet."
        )
    folder = call.desk.parts.workspaces.project_path(project.slug)
    return Reply(
        title=f"How to start {project.name}",
        body=lines(
            "On this host:",
            f"- {code(f'cd {folder}')}",
            *(f"- {code(command)}" for command in project.setup),
            f"- {code(project.run_command)}",
            f"{words.WAITS} Nothing has landed yet: this is what its plan says."
            if landed is None
            else "",
        ),
        project=call.here,
    )
