"""Projects: made, listed, watched, moved."""

from dataclasses import replace

from sqlalchemy.orm import Session

from bot.cards import CARDS, formatting, labels, progress
from bot.cards.plan import dependencies
from bot.cards.rendering import CardRef, bold, code, said
from bot.commands import parsing, replies, waiting
from bot.commands.command import Call, Reply
from bot.commands.replies import lines
from core.domain import card_keys
from core.domain.cards import Label, TableBlock, Tone
from core.domain.events import CardKind
from core.domain.lifecycle import FeatureStatus, ProjectStatus
from core.domain.markup import COMMAND
from core.domain.names import is_name, parse_name, sanitize, unquote
from core.errors import BadName, NotFound, StalePress, StateError
from core.operations import interviews, moves, outbox, places, projects
from core.views import features, phases, plans, tasks
from core.views import projects as view
from core.views.project_lines import ProjectLine, project_lines
from core.views.projects import ProjectRef
from core.views.waiting import waiting as waits_for

_LISTED = 40
_NAMED = 5  # archived projects
_COLUMN = 12  # tasks that a board lists per status
FEATURE_MARKS = {
    FeatureStatus.PENDING: labels.PENDING,
    FeatureStatus.SPECCING: labels.PENDING,
    FeatureStatus.READY: labels.PENDING,
    FeatureStatus.IN_PROGRESS: labels.PROGRESS,
    FeatureStatus.LANDING: labels.PROGRESS,
    FeatureStatus.COMPLETED: labels.DONE,
}


def new(tx: Session, call: Call, request: str = "") -> Reply:
    """Begin a project; `request` is what its interviewer is told first."""
    name = call.values["name"]
    if not is_name(unquote(name)):
        raise BadName(
            f"{parsing.shown(name)} cannot be a project's name.",
            hint="Names have 1-64 of A-Z a-z 0-9 space . _ - and begin with a letter or digit."
            f" Did you mean `{COMMAND} new {sanitize(name)}`?",
        )
    begun = interviews.begin(
        tx,
        parse_name(name),
        call.place,
        by=call.person,
        practice=call.services.practice,
        budget=call.services.settings.rules.budget.project_usd,
        request=request,
        now=call.now,
    )
    places.use(tx, call.place, begun.id, now=call.now)
    project = ProjectRef(begun.id, begun.name, begun.slug)
    if begun.new:
        return Reply(project=project, begun=begun.id, said=f"{begun.name}: the interview begins.")
    outbox.refresh(tx, begun.id, CardKind.INTERVIEW, now=call.now)
    # Drawn when it is posted: the card that is its thread may be on its way there too.
    key = card_keys.reply(CardKind.ANSWER, call.item_id)
    outbox.want(tx, call.place, key, CardKind.ANSWER, project_id=begun.id, now=call.now)
    return Reply(project=project, said=f"{begun.name} exists already.")


def list_all(tx: Session, call: Call) -> Reply:
    counts = view.tally(tx)
    archived = counts.pop(ProjectStatus.ARCHIVED, 0)
    found = project_lines(tx, limit=_LISTED)
    put_away = _archived(tx, archived) if archived else ""
    if not found:
        return Reply(
            title="No projects yet" if not archived else "No projects but archived ones",
            body=lines(put_away, f"Begin one: `{COMMAND} new todo-api`"),
        )
    number = sum(counts.values())
    return Reply(
        title=formatting.count(number, "project"),
        body=lines(f"The newest {_LISTED}." if number > _LISTED else "", put_away),
        table=TableBlock(
            ("Project", "State", "Passing", "Stuck", "Cost"),
            tuple(_row(line) for line in found),
        ),
    )


def _archived(tx: Session, number: int) -> str:
    others = [status for status in ProjectStatus if status is not ProjectStatus.ARCHIVED]
    found = view.newest(tx, limit=_NAMED, without=others)
    names = ", ".join(said(project.name, 64) for project in found)
    more = f" and {number - _NAMED} more" if number > _NAMED else ""
    look = f"`{COMMAND} status NAME` shows one"
    return f"{number} archived: {names}{more}; {look}"


def _row(line: ProjectLine) -> tuple[str, ...]:
    counts = line.counts
    return (
        line.project.name,
        f"{labels.PROJECT_MARKS[line.status]} {line.status.words}",
        f"{counts.passing} of {counts.total}" if counts.total else formatting.UNKNOWN,
        str(counts.stuck) if counts.stuck else "",
        formatting.UNKNOWN if line.cost_usd is None else formatting.usd(line.cost_usd),
    )


def use_it(tx: Session, call: Call) -> Reply:
    project = view.by_name(tx, call.values["name"])
    if project is None:
        raise NotFound(f"There is no project {parsing.shown(call.values['name'])}.")
    places.use(tx, call.place, project.id, now=call.now)
    archived = project.status is ProjectStatus.ARCHIVED
    new = not archived and places.settle(tx, project.id, call.place, CARDS, now=call.now)
    return Reply(
        title=f"This channel is about {project.name} now",
        body=lines(
            "Commands without a name mean it.",
            "It has a thread here from now on, and its cards come." if new else "",
            "It is archived: it can be looked at, and nothing more." if archived else "",
        ),
        project=project.ref,
    )


def status(tx: Session, call: Call) -> Reply:
    if call.project is None:
        return list_all(tx, call)
    project = call.here
    ref = CardRef(card_keys.reply(CardKind.ANSWER, call.item_id), call.place, project.id)
    drawn = progress.draw(tx, ref, call.services.scene(call.now))
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
    scene = call.services.scene(call.now)
    return Reply(
        title=f"{formatting.count(len(found), 'thing')} waiting",
        body=lines(*(f"- {waiting.line(wait, scene)}" for wait in found)),
        links=tuple(map(waiting.way, found)),
    )


def board(tx: Session, call: Call) -> Reply:
    """Tasks by status."""
    project = call.here
    counts = tasks.counts(tx, project.id)
    if not counts.total:
        return Reply(title=f"{project.name} has no tasks yet", project=project)
    body: list[str] = []
    for status_, count in counts.by_status:
        if not count:
            continue
        body.append(f"{labels.TASK_MARKS[status_]} {bold(f'{count} {status_.words}')}")
        column = tasks.lines(tx, project.id, status=status_, limit=_COLUMN)
        body += [f"- {task.id} {said(task.name, 90)}" for task in column]
        if count > _COLUMN:
            body.append(f"- and {count - _COLUMN} more: `{COMMAND} tasks {status_.value}`")
    return Reply(title=f"Board of {project.name}", body=lines(*body), project=project)


def graph(tx: Session, call: Call) -> Reply:
    """Features by phase, and what each waits for."""
    project = call.here
    made = phases.every(tx, project.id)
    if not made:
        return Reply(title=f"{project.name} has no features yet", project=project)
    found = features.every(tx, project.id)
    named = {feature.id: feature.name for feature in found}
    body: list[str] = []
    for phase in made:
        mark = labels.PHASE_MARKS[phase.status]
        body.append(f"{mark} {bold(f'{phase.position} {phase.name}')}")
        for feature in found:
            if feature.phase_id != phase.id:
                continue
            after = [said(named[other], 60) for other in feature.depends_on]
            behind = f" ← {', '.join(after)}" if after else ""
            body.append(f"- {FEATURE_MARKS[feature.status]} {said(feature.name, 80)}{behind}")
    built = plans.built(tx, project.id)
    return Reply(
        title=f"Graph of {project.name}",
        body=lines(*body),
        pictures=dependencies(built.plan, f"/api/pictures/graph/{project.id}.svg") if built else (),
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
        title=f"{call.here.name} stops after {formatting.count(len(names), 'feature')}",
        body=lines(
            *(f"- {labels.PROGRESS} {said(name, 90)}" for name in names),
            f"`{COMMAND} resume` takes that back, `{COMMAND} stop` stops it now.",
        ),
        project=call.here,
        begun=call.here.id,
    )


def _moved(tx: Session, call: Call, label: Label) -> Reply:
    """Typed: what is so already is told, and is no mistake."""
    try:
        reply = move_it(tx, call, call.here, label)
    except StalePress as problem:
        step = _NEXT_STEP.get(view.summary(tx, call.here.id).status, "")
        title, since, _said = replies.told(problem, call.services.scene(call.now))
        return Reply(title=title.rstrip("."), body=lines(since, step), project=call.here)
    return replace(reply, title=reply.said)


def move_it(tx: Session, call: Call, project: ProjectRef, label: Label) -> Reply:
    """Start, pause, resume or stop."""
    name, by, now = project.name, call.person, call.now
    match label:
        case Label.PAUSE:
            projects.pause(tx, project.id, actor=by, now=now)
            words_ = f"{name} is paused; its agents stop"
        case Label.STOP:
            projects.stop(tx, project.id, actor=by, now=now)
            words_ = f"{name} is stopped; start takes it up again"
        case _:
            words_ = f"{moves.go_on(tx, project.id, by=by, now=now)} goes on"
    return Reply(said=words_, project=project, begun=project.id)


_NEXT_STEP = {
    ProjectStatus.INTERVIEWING: "Its interview waits in its thread.",
    ProjectStatus.PLANNING: "The planner is at work.",
    ProjectStatus.AWAITING_APPROVAL: f"Its plan waits: `{COMMAND} approve` or"
    f" `{COMMAND} reject REASON`.",
    ProjectStatus.COMPLETED: f"`{COMMAND} feature add TEXT` adds to it.",
    ProjectStatus.STOPPED: f"`{COMMAND} start` takes it up again.",
    ProjectStatus.PAUSED: f"`{COMMAND} resume` lets it go on.",
}


def archive(tx: Session, call: Call) -> Reply:
    moves.archive(tx, call.here.id, by=call.person, now=call.now)
    return Reply(
        title=f"{call.here.name} is archived",
        body=lines(
            "Its repository, journal and costs stay, and its name stays taken.",
            f"`{COMMAND} status {call.here.name}` shows it.",
        ),
        project=call.here,
    )


def preview(tx: Session, call: Call) -> Reply:
    project = view.summary(tx, call.here.id)
    if project.run_command is None:
        raise StateError(
            f"The plan of {project.name} says no command that starts it."
            if project.first_commit
            else f"Nothing of {project.name} is built yet."
        )
    landed = any(feature.landed_commit for feature in features.every(tx, project.id))
    folder = call.services.parts.workspaces.project_path(project.slug)
    return Reply(
        title=f"How to start {project.name}",
        body=lines(
            "On this host:",
            f"- {code(f'cd {folder}')}",
            *(f"- {code(command)}" for command in project.setup),
            f"- {code(project.run_command)}",
            "" if landed else f"{labels.WAITS} Nothing has landed yet: this is what its plan says.",
        ),
        project=call.here,
    )
