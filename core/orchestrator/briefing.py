"""The first words of a run.

Coders get constants of ours; people's words reach interviewers and planners only.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.domain.lifecycle import InterviewKind
from core.operations.additions import AdditionRequest
from core.operations.guidance import Hint
from core.operations.interviews import InterviewSession

CODER_BEGIN = "Begin: call task_get_next."
CODER_GO_ON = (
    "You were interrupted; the worktree is as you left it. Call task_get_next: it gives the task"
    " you hold. See what is done already, and go on from there."
)
PLANNER_BEGIN = (
    "Plan this project. The spec is in .autocoder/prompts/app_spec.txt; read it, then call"
    " plan_submit."
)
PLANNER_GO_ON = (
    "You were interrupted. Go on where you were: call plan_submit with the plan for the spec in"
    " .autocoder/prompts/app_spec.txt, then end your turn."
)


def for_coder(
    *,
    takes_over: bool,
    answers: Sequence[tuple[str, str]] = (),
    answer: str | None = None,
    hints: Sequence[Hint] = (),
) -> str:
    """`answers` are questions that were answered while the agent did not run.

    `answer` is the one that a session waits for, and which it hears verbatim: it goes on with its
    own last words. `hints` are what people said meanwhile.
    """
    if answer is not None:
        return "\n\n".join((answer, *(f"{hint.person} says: {hint.text}" for hint in hints)))
    if not answers:
        return CODER_GO_ON if takes_over else CODER_BEGIN
    said = "\n\n".join(f"You asked: {question}\nAnswer: {answer}" for question, answer in answers)
    return f"{CODER_GO_ON}\n\n{said}"


@dataclass(frozen=True)
class Planning:
    """What there is to plan: an addition, rework of a rejected phase, else the project."""

    requested: AdditionRequest | None = None
    phase: str | None = None
    rework_reason: str | None = None
    replan_reason: str | None = None
    plan: Mapping[str, object] | None = None  # the last one


def for_planner(todo: Planning, *, resumed: bool) -> str:
    """What the planner is to do: the first plan, a revised one, or rework of a phase."""
    if todo.rework_reason is not None:
        return (
            f"{PLANNER_GO_ON if resumed else 'A phase was rejected.'}\n\n"
            f"The person at the gate rejected phase {todo.phase!r} with this reason:\n\n"
            f"{todo.rework_reason}\n\n"
            "Look at the repository, then call plan_submit with only what is new: one phase with"
            " features and tasks that mend it, each with a check of its own. Do not repeat what"
            " the plan has already; names must be new."
        )
    if todo.replan_reason is not None and todo.plan is not None:
        return (
            f"{PLANNER_GO_ON if resumed else PLANNER_BEGIN}\n\n"
            f"Your last plan was rejected with this reason:\n\n{todo.replan_reason}\n\n"
            f"That plan was:\n\n{json.dumps(todo.plan, ensure_ascii=False)}\n\n"
            "Submit the whole plan again, changed as the reason asks."
        )
    return PLANNER_GO_ON if resumed else PLANNER_BEGIN


INTERVIEWER_GO_ON = (
    "You were interrupted. Go on where you were: ask your next question with ask_person and end"
    " your turn; or, if you know enough, see that both spec files are written, then end your turn."
)
_BEGIN_PROJECT = "Interview a person about a new project. Its name is: {name}"
_BEGIN_ADDITION = (
    "The project {name} gets something new: a {kind}. Its spec is in"
    " .autocoder/prompts/app_spec.txt. Ask about what is new, then change the spec."
)

_BEGIN_SPEC = (
    "A person wants the spec of the project {name} changed. It is in"
    " .autocoder/prompts/app_spec.txt. Change it as they say; ask only what is unclear."
)
_BEGINNINGS = {InterviewKind.PROJECT: _BEGIN_PROJECT, InterviewKind.SPEC: _BEGIN_SPEC}


def for_interviewer(session: InterviewSession, *, resumed: bool) -> str:
    """A resumed session hears the answer verbatim; one that may lack its question, both.

    A new session hears everything so far.
    """
    parts = []
    goes_on = resumed and session.begun
    if goes_on:
        answers = session.fresh
        if session.interrupted:
            parts.append(INTERVIEWER_GO_ON)
    else:
        answers = session.answers
        begin = _BEGINNINGS.get(session.kind, _BEGIN_ADDITION)
        parts.append(begin.format(name=session.name, kind=session.kind.value))
        if session.request:
            parts.append(f"In the person's words:\n\n{session.request}")
        if answers:
            parts.append("You asked some questions already; go on after them.")
        known = [item.name for item in session.material]
        if known and not session.notes:
            names = ", ".join(f"`material/{name}`" for name in known)
            parts.append(f"Files were dropped in as material: {names}. Read them.")
    if goes_on and len(answers) == 1 and not session.interrupted:
        parts.append(answers[0][1])
    else:
        parts += [f"You asked: {question}\nAnswer: {answer}" for question, answer in answers]
    parts += session.notes
    return "\n\n".join(parts) or INTERVIEWER_GO_ON


_SHAPES = {
    InterviewKind.PROJECT: "",
    InterviewKind.FEATURE: "one phase with the new features",
    InterviewKind.PHASE: "the new phase with its features",
    InterviewKind.TASK: "one phase with one feature, which has as few tasks as will do, best one",
    InterviewKind.SPEC: "one phase with what the spec asks for now and the code does not do yet",
    InterviewKind.JOB: (
        "one phase with one feature with one small task with one check, and no setup and no"
        " plan-wide checks"
    ),
}


def for_addition(requested: AdditionRequest, spec_change: str) -> str:
    """What the planner of an addition is to do."""
    what = (
        "the spec changed" if requested.kind is InterviewKind.SPEC else f"a new {requested.kind!s}"
    )
    parts = [
        f"This project has an approved plan. A person wants {what}:",
        requested.request,
    ]
    if spec_change:
        parts.append(f"It was talked over, and the spec changed by this:\n\n{spec_change}")
    if requested.reason is not None and requested.plan is not None:
        parts.append(f"Your last plan for it was rejected with this reason:\n\n{requested.reason}")
        parts.append(f"That plan was:\n\n{json.dumps(requested.plan, ensure_ascii=False)}")
    parts.append(
        "Look at the repository, then call plan_submit with only what is new:"
        f" {_SHAPES[requested.kind]}. Each task has a check of its own that fails today. Names must be"
        " new; depends_on may name what exists already. State setup, run and plan-wide checks"
        " only where they are new."
    )
    return "\n\n".join(parts)
