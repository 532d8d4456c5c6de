"""Commands about the service itself: help, people, the host, settings."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from bot.cards import formatting, labels
from bot.cards.rendering import bold, code
from bot.checks.finding import Finding, Level
from bot.commands import attempt_limiter, money, parsing
from bot.commands.command import Call, CommandSpec, Kind, Operation, Reply
from bot.commands.replies import own_words
from bot.setting_values import as_json, shown, validated
from bot.setting_values import words as problem_words
from bot.settings import PERSON
from core.domain.cards import TableBlock, Tone
from core.domain.events import CardKind
from core.domain.markup import COMMAND
from core.domain.money import to_usd
from core.domain.people import LOCAL, Role
from core.domain.rules import OWN, SECTIONS, meaning
from core.errors import BadSetting, InputError, NotAllowed
from core.operations import members, project_overrides
from core.views import members as view
from core.views import projects
from core.views.projects import ProjectSummary


def overview(commands: Mapping[str, CommandSpec], families: Mapping[str, Sequence[str]]) -> str:
    """The whole vocabulary, a line per family."""
    body = []
    for family, names in families.items():
        listed = " · ".join(f"`{commands[name].usage}`" for name in names)
        body.append(f"{bold(family)}: {listed}")
    body.append(
        f"All begin with `{COMMAND}`. In a project's channel and threads its name may be"
        " left out; elsewhere write it at the end. `@autocoder TEXT` asks."
    )
    body.append(f"More on one: `{COMMAND} help new`")
    return "\n".join(body)


def help_on(spec: CommandSpec) -> Reply:
    """One command: what it does, its arguments, who may, examples."""
    body = [spec.about]
    for argument in spec.arguments:
        choices = f": {', '.join(argument.choices)}" if argument.choices else ""
        needed = "" if argument.required else ", may be left out"
        body.append(f"- {bold(argument.name)} {own_words(argument.about)}{choices}{needed}")
    if spec.project and not any(a.kind is Kind.PROJECT for a in spec.arguments):
        body.append("- **project** its name, where the channel or thread does not say it")
    body.append(
        "Everybody may." if spec.role is Role.NONE else f"Needs the role {spec.role.value}."
    )
    body += [f"`{COMMAND} {example}`" for example in spec.examples]
    return Reply(
        title=f"{COMMAND} {spec.usage}",
        body="\n".join(body),
        kind=CardKind.HELP,
        private=True,
    )


_MARKS = {Level.OK: labels.DONE, Level.WARNING: labels.WAITS, Level.ERROR: labels.STOPPED}


async def check(call: Call) -> Reply | Operation:
    """What is missing or wrong on this host, and how to mend it."""
    findings: Sequence[Finding] = await asyncio.to_thread(call.services.check)
    wrong = [finding for finding in findings if finding.level is not Level.OK]
    worst = any(finding.level is Level.ERROR for finding in findings)
    body = []
    for finding in sorted(findings, key=lambda f: list(Level).index(f.level), reverse=True):
        body.append(f"- {_MARKS[finding.level]} {bold(finding.name)} {own_words(finding.what)}")
        if finding.mend:
            body.append(f"  {own_words(finding.mend)}")
    title = f"{formatting.count(len(wrong), 'thing')} to look at" if wrong else "This host is fit"
    tone = Tone.DANGER if worst else Tone.WARNING if wrong else Tone.SUCCESS
    return Reply(title=title, body="\n".join(body), tone=tone)


def people(tx: Session, call: Call) -> Reply:
    rows = [
        tuple(
            formatting.one_line(text, 80)
            for text in (each.user, each.name, each.role.value, each.added_by)
        )
        for each in view.members(tx)
        if each.user != LOCAL
    ]
    local = (LOCAL, view.name_of(tx, LOCAL), Role.ADMIN.value, "the web token")
    return Reply(
        title=formatting.count(len(rows) + 1, "member"),
        table=TableBlock(("Id", "Name", "Role", "By"), (local, *rows)),
    )


def role(tx: Session, call: Call) -> Reply:
    """Give a person a role; `none` takes it away."""
    person = person_id(call.values["user"], call.place.platform)
    wanted = Role(call.values["role"])
    members.set_role(tx, person, wanted, by=call.person, now=call.now)
    name = view.name_of(tx, person)
    may = f"is {wanted.value} now" if wanted is not Role.NONE else "may nothing any more"
    return Reply(title=f"{name} {may}", private=True)


def person_id(text: str, platform: str) -> str:
    """`web:ada`, `slack:U1`, `<@U1>`: a platform's own id, never a name that is shown."""
    given = text.strip()
    if given.startswith("<@") and given.endswith(">"):
        given = f"{platform}:{given[2:-1].lstrip('!').partition('|')[0]}"
    if not PERSON.fullmatch(given):
        raise InputError(
            f"{text[:60]!r} is nobody's id.",
            hint="People are `web:NAME`, `slack:U…` or `discord:…`, never the name that is shown.",
        )
    return given


def claim(tx: Session, call: Call) -> Reply:
    """Whoever has the code that `serve` printed is an admin."""
    again = call.services.attempts.next_at(call.person, call.now)
    if again is not None:
        raise NotAllowed(
            f"Those were {attempt_limiter.LIMIT} wrong codes: the next one is looked at after"
            f" {call.services.scene(call.now).clock(again)}.",
            hint="`autocoder serve` prints the code once, when it starts and there is no admin.",
        )
    if not members.claim(tx, call.person, call.values["code"], now=call.now):
        call.services.attempts.wrong(call.person, call.now)
        raise NotAllowed(
            "This code is not valid: it is used, replaced by a later one, or mistyped.",
            hint="`autocoder serve` prints one when there is no admin.",
        )
    return Reply(title=f"{view.name_of(tx, call.person)} is admin now", private=True)


def settings(tx: Session, call: Call) -> Reply:
    """Show a project's settings, or set one of its own."""
    project = projects.summary(tx, call.here.id)
    key = call.values.get("key")
    if key is None:
        return _settings(call, project)
    name = key.rpartition(".")[2].lower()
    if name not in OWN:
        near = parsing.nearest(name, list(OWN))
        value = call.values.get("value", "")
        line = f"{COMMAND} settings {near} {value}"
        if value and not parsing.is_slip(name, near):
            line = f"{COMMAND} settings"
        raise BadSetting(
            f"A project has no setting {parsing.shown(key)}.",
            hint=f"Did you mean `{' '.join(line.split())}`?",
        )
    if "value" not in call.values:
        own = "its own" if name in project.settings else "the service's"
        return Reply(
            title=f"{name} is {_shown(_value(call, project, name))}, {own}", project=call.here
        )
    if not call.role.covers(Role.ADMIN):
        raise NotAllowed(f"Changing settings wants the role admin; yours is {call.role!s}.")
    before = call.services.rules(tx, project.id).agents.max_attempts
    _change(tx, call, name, call.values["value"])
    more = call.services.rules(tx, project.id).agents.max_attempts - before
    if more:
        project_overrides.change_attempts(tx, project.id, more)
    now = _value(call, projects.summary(tx, project.id), name)
    return Reply(
        title=f"{name} is {_shown(now)} for {project.name} now",
        project=call.here,
        begun=project.id,
    )


def _change(tx: Session, call: Call, name: str, given: str) -> None:
    """Set a project's own value, checked as the service's own; `default` takes it away."""
    by, now = call.person, call.now
    default = given.lower() == "default"
    value = None if default else checked(name, given)
    project_overrides.set_one(tx, call.here.id, name, value, by=by, now=now)
    if name == "project_usd":
        budget = (
            call.services.settings.rules.budget.project_usd if default else money.dollars(given)
        )
        project_overrides.set_budget(tx, call.here.id, budget, by=by, now=now)


def checked(name: str, given: object) -> Any:
    """A setting's value as it is stored; BadSetting says what is wrong with it."""
    kind = SECTIONS[OWN[name]]
    try:
        made: object = validated(kind, {name: given})
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=True)[0]
        raise BadSetting(f"`{name}` is {shown(given)}: {problem_words(detail)}.") from None
    return as_json(made)[name]


def _value(call: Call, project: ProjectSummary, name: str) -> Any:
    if name == "project_usd":  # each project has its own from the start
        return f"{to_usd(project.budget_micro_usd).normalize():f}"
    if name in project.settings:
        return project.settings[name]
    return as_json(getattr(call.services.settings.rules, OWN[name]))[name]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _settings(call: Call, project: ProjectSummary) -> Reply:
    body = []
    for name, section in OWN.items():
        own = " (its own)" if name in project.settings else ""
        about = meaning(section, name)
        value = code(_shown(_value(call, project, name)))
        body.append(f"- {bold(name)} {value}{own} {own_words(about)}")
    return Reply(
        title=f"Settings of {project.name}",
        body="\n".join([*body, "Set one: `/autocoder settings max_parallel 3`"]),
        project=call.here,
    )
