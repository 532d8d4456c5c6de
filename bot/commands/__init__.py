"""The whole vocabulary of `/autocoder`, on one page.

Another command is one function and one row here; every platform and `help` show it by themselves.
"""

from dataclasses import replace

from sqlalchemy.orm import Session

from bot.commands import admin, agents, asked_back, money, plan, projects, tasks
from bot.commands.command import Argument, Call, CommandSpec, Kind, Reply
from bot.commands.parsing import nearest, not_built, shown
from core.domain.events import CardKind
from core.domain.lifecycle import TaskStatus
from core.domain.markup import COMMAND
from core.domain.people import Role
from core.errors import InputError

_TASK = Argument("n", "the number of a task", Kind.NUMBER)
_TASKS = Argument("n", "the numbers of tasks", Kind.NUMBERS)
_TEXT = Argument("text", "what it is, in words")
_REASON = Argument("reason", "a reason, in words")
_MODELS = ("opus", "sonnet", "haiku")


def _help(_tx: Session, call: Call) -> Reply:
    wanted = " ".join(call.values.get("sub", "").lower().split())
    wanted = wanted.removeprefix(COMMAND).strip()
    if not wanted:
        return Reply(
            title="autocoder: what can be said",
            body=admin.overview(COMMANDS, FAMILIES),
            kind=CardKind.HELP,
            private=True,
        )
    if wanted in PLANNED:
        raise not_built(wanted)
    if wanted not in COMMANDS:
        raise InputError(
            f"There is no command {shown(wanted)}.",
            hint=f"Did you mean `{COMMAND} help {nearest(wanted, list(COMMANDS))}`?",
        )
    return admin.help_on(COMMANDS[wanted])


_PROJECTS = (
    CommandSpec(
        "new", "new NAME", Role.OPERATOR, "Begin a project: an interview in a thread.",
        (Argument("name", "a name for the project", Kind.NAME),), ("new todo-api",),
        execute=projects.new, project=False,
    ),
    CommandSpec(
        "list", "list", Role.VIEWER, "All projects and how they stand.",
        execute=projects.list_all, project=False,
    ),
    CommandSpec(
        "use", "use NAME", Role.OPERATOR, "Choose the project this channel is about.",
        (Argument("name", "a project's name", Kind.PROJECT),), ("use todo-api",),
        execute=projects.use_it, project=False,
    ),
    CommandSpec(
        "status", "status", Role.VIEWER, "How a project stands, and who is waited for.",
        examples=("status", "status todo-api"), execute=projects.status,
    ),
    CommandSpec("board", "board", Role.VIEWER, "Its tasks by status.", execute=projects.board),
    CommandSpec(
        "graph", "graph", Role.VIEWER, "Its features, and what each waits for.",
        execute=projects.graph,
    ),
    CommandSpec(
        "inbox", "inbox", Role.VIEWER, "What waits for you, in all projects.",
        execute=projects.inbox, project=False,
    ),
    CommandSpec(
        "start", "start", Role.OPERATOR, "Go on with a stopped, paused or imported project.",
        execute=projects.start,
    ),
    CommandSpec(
        "pause", "pause", Role.OPERATOR, "Stop its agents for now; what they hold is kept.",
        execute=projects.pause,
    ),
    CommandSpec(
        "resume", "resume", Role.OPERATOR, "Go on after a pause, a block, or with what is parked.",
        execute=projects.resume,
    ),
    CommandSpec(
        "stop", "stop", Role.OPERATOR, "Stop it until somebody starts it again.",
        execute=projects.stop, confirm=asked_back.stop,
    ),
    CommandSpec(
        "stop after feature", "stop after feature", Role.OPERATOR,
        "Begin nothing new; stop once the features at work have landed.",
        execute=projects.stop_after, confirm=asked_back.stop_after,
    ),
    CommandSpec(
        "archive", "archive", Role.ADMIN, "Take it out of the lists, for good; its files stay.",
        execute=projects.archive, confirm=asked_back.archive,
    ),
    CommandSpec(
        "job", "job TEXT", Role.OPERATOR, "One small task with one check, done and landed.",
        (_TEXT,), ("job add a --version flag",), execute=plan.add_job,
    ),
    CommandSpec(
        "preview", "preview", Role.VIEWER, "How to start what was built.", execute=projects.preview
    ),
    CommandSpec(
        "settings", "settings [KEY VALUE]", Role.VIEWER,
        "A project's settings; an admin gives it values of its own, `default` takes one away.",
        (
            Argument("key", "a setting's name", Kind.ONE, required=False),
            Argument("value", "its value", Kind.TEXT, required=False),
        ),
        ("settings", "settings max_parallel 3"), execute=admin.settings, sets=True,
    ),
)  # fmt: skip

_PLAN = (
    CommandSpec("plan", "plan", Role.VIEWER, "The newest plan, whole.", execute=plan.plan),
    CommandSpec("spec", "spec", Role.VIEWER, "The spec on main.", prepare=plan.spec, slow=True),
    CommandSpec(
        "spec edit", "spec edit TEXT", Role.ADMIN,
        "Change the spec: before the plan is approved it is made anew, later what is new is added.",
        (Argument("text", "what shall be different, in words"),),
        ("spec edit it keeps its data in SQLite",), execute=plan.edit_spec,
    ),
    CommandSpec(
        "diff", "diff [FEATURE|N]", Role.VIEWER,
        "What changed: in the open phase, by a feature, or in phase N.",
        (Argument("what", "a feature's name or a phase's number", Kind.NAME, required=False),),
        ("diff", "diff 1"), prepare=plan.diff, slow=True,
    ),
    CommandSpec(
        "approve", "approve", Role.APPROVER, "Approve the plan or gate shown last in this channel.",
        prepare=plan.approve, confirm=asked_back.approve,
    ),
    CommandSpec(
        "reject", "reject REASON", Role.APPROVER,
        "Send it back: the planner, or rework of the phase, gets the reason.",
        (_REASON,), ("reject sign-in belongs into phase 1",), execute=plan.reject, confirm=asked_back.reject,
    ),
    CommandSpec(
        "phase add", "phase add TEXT", Role.ADMIN, "Another phase: an interview, then its plan.",
        (_TEXT,), ("phase add a web page for it",), execute=plan.add_phase,
    ),
    CommandSpec(
        "feature add", "feature add TEXT", Role.OPERATOR,
        "Another feature: an interview, then its tasks.",
        (_TEXT,), ("feature add export as CSV",), execute=plan.add_feature,
    ),
    CommandSpec(
        "task add", "task add TEXT", Role.OPERATOR, "Another task: a planner gives it a check.",
        (_TEXT,), ("task add say the version in /health",), execute=plan.add_task,
    ),
    CommandSpec(
        "withdraw", "withdraw [N]", Role.OPERATOR,
        "Give up an addition that is not in the plan yet: an admin, or whoever asked for it.",
        (Argument("n", "which one, if there are several", Kind.NUMBER, required=False),),
        ("withdraw", "withdraw 2"), execute=plan.withdraw,
    ),
    CommandSpec(
        "tasks", "tasks [STATUS]", Role.VIEWER, "Its tasks.",
        (Argument("status", "a status", Kind.WORD, required=False,
                  choices=tuple(status.value for status in TaskStatus)),),
        ("tasks", "tasks stuck"), execute=tasks.all_tasks,
    ),
    CommandSpec(
        "task", "task N", Role.VIEWER, "One task: what it is, its checks, its last proof.",
        (_TASK,), ("task 12",), execute=tasks.task,
    ),
    CommandSpec(
        "skip", "skip N…", Role.OPERATOR, "End tasks unproved.",
        (_TASKS,), ("skip 12", "skip 12 13"), execute=tasks.skip, confirm=asked_back.skip,
    ),
    CommandSpec(
        "pass", "pass N REASON", Role.APPROVER, "Vouch for a task that no check can prove.",
        (_TASK, _REASON), ("pass 12 looked at it: the page reads well",), prepare=tasks.vouch, confirm=asked_back.vouch,
    ),
)  # fmt: skip

_AGENTS = (
    CommandSpec("agents", "agents", Role.VIEWER, "Who works on what.", execute=agents.agents),
    CommandSpec(
        "retry", "retry N [opus|sonnet|haiku]", Role.OPERATOR,
        "Give a stuck or skipped task new attempts.",
        (_TASK, Argument("model", "a model", Kind.WORD, required=False, choices=_MODELS)),
        ("retry 12", "retry 12 opus"), execute=agents.retry,
    ),
    CommandSpec(
        "guide", "guide N TEXT", Role.OPERATOR, "A hint for a task's agent.",
        (_TASK, Argument("text", "a hint, in words")), ("guide 12 the port is 8080",), execute=agents.guide,
    ),
    CommandSpec(
        "logs", "logs [N] [LEVEL]", Role.VIEWER, "What happened, of a project or a task.",
        (
            Argument("n", "the number of a task", Kind.NUMBER, required=False),
            Argument("level", "the least level", Kind.WORD, required=False,
                     choices=("info", "warning", "error")),
        ),
        ("logs", "logs 12", "logs warning"), execute=agents.logs,
    ),
    CommandSpec(
        "why", "why N", Role.VIEWER, "What led to where a task stands.",
        (_TASK,), ("why 12",), execute=agents.why, planned="why FILE",
    ),
    CommandSpec(
        "ask", "ask TEXT", Role.OPERATOR,
        "A question about a project: an assistant reads its code and journal, and answers.",
        (Argument("text", "a question, in words"),), ("ask why did task 12 take three tries?",),
        execute=agents.ask,
    ),
)  # fmt: skip

_MONEY = (
    CommandSpec(
        "cost", "cost [today|week|month] [by model|feature|task|agent]", Role.VIEWER,
        "What was spent, on what.",
        (
            Argument("span", "a span of time", Kind.WORD, required=False,
                     choices=tuple(money.SPANS)),
            Argument("by", "what it is broken down by", Kind.WORD, required=False,
                     choices=money.BREAKDOWNS, after="by"),
        ),
        ("cost", "cost week", "cost today by model"), execute=money.cost,
    ),
    CommandSpec(
        "budget", "budget [SCOPE AMOUNT]", Role.VIEWER,
        "What may be spent; an admin sets it, for project, run, day or month.",
        (
            Argument("scope", "what it limits", Kind.WORD, required=False,
                     choices=money.SCOPES),
            Argument("amount", "an amount in USD, or `none`", Kind.ONE, required=False),
        ),
        ("budget", "budget project 20", "budget day none"), execute=money.budget, sets=True,
    ),
)  # fmt: skip

_HOUSE = (
    CommandSpec(
        "help", "help [SUB]", Role.NONE, "What can be said, or one command in full.",
        (Argument("sub", "a command", Kind.TEXT, required=False),), ("help", "help new"),
        execute=_help, project=False, private=True,
    ),
    CommandSpec(
        "check", "check", Role.VIEWER, "What is missing or wrong on this host.",
        prepare=admin.check, slow=True, project=False,
    ),
    CommandSpec(
        "members", "members", Role.VIEWER, "Who may what.", execute=admin.people, project=False
    ),
    CommandSpec(
        "role", "role USER ROLE", Role.ADMIN, "Give a person a role, or `none`.",
        (
            Argument("user", "a person's id", Kind.ONE),
            Argument("role", "a role", Kind.WORD, choices=tuple(role.value for role in Role)),
        ),
        ("role slack:U012AB approver",), execute=admin.role, project=False, private=True,
        planned="role USER ROLE in PROJECT",
    ),
    CommandSpec(
        "claim", "claim CODE", Role.NONE, "Become admin with the code that `serve` printed.",
        (Argument("code", "the code", Kind.ONE),), execute=admin.claim, project=False, private=True,
        sets=True,
    ),
)  # fmt: skip

PLANNED = (  # known, and not built yet
    "adopt", "import", "restore", "delete", "undo", "later", "prioritize", "reorder", "depend",
    "assign", "mode", "hours", "usage", "estimate", "digest", "webhooks", "resources", "lessons",
    "export", "audit",
)  # fmt: skip
_ALL = {
    "Projects": _PROJECTS,
    "Plan": _PLAN,
    "Agents": _AGENTS,
    "Money": _MONEY,
    "House": _HOUSE,
}
_NAMES = tuple(spec.name for family in _ALL.values() for spec in family)
COMMANDS = {
    spec.name: replace(
        spec, longer=tuple(name for name in _NAMES if name.startswith(f"{spec.name} "))
    )
    for family in _ALL.values()
    for spec in family
}
FAMILIES = {name: tuple(spec.name for spec in family) for name, family in _ALL.items()}
