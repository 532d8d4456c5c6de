"""The first words of a run. Coders get constants of ours; people's words reach planners only."""

import json
from collections.abc import Mapping, Sequence

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


def for_coder(*, takes_over: bool, answers: Sequence[tuple[str, str]] = ()) -> str:
    """`answers` are questions that were answered while the agent did not run."""
    if not answers:
        return CODER_GO_ON if takes_over else CODER_BEGIN
    said = "\n\n".join(f"You asked: {question}\nAnswer: {answer}" for question, answer in answers)
    return f"{CODER_GO_ON}\n\n{said}"


def for_planner(
    *,
    resumed: bool,
    replan_reason: str | None,
    rework_reason: str | None,
    phase: str | None,
    plan: Mapping[str, object] | None,
) -> str:
    """What the planner is to do: the first plan, a revised one, or rework of a phase."""
    if rework_reason is not None:
        return (
            f"{PLANNER_GO_ON if resumed else 'A phase was rejected.'}\n\n"
            f"The person at the gate rejected phase {phase!r} with this reason:\n\n"
            f"{rework_reason}\n\n"
            "Look at the repository, then call plan_submit with only what is new: one phase with"
            " features and tasks that mend it, each with a check of its own. Do not repeat what"
            " the plan has already; names must be new."
        )
    if replan_reason is not None and plan is not None:
        return (
            f"{PLANNER_GO_ON if resumed else PLANNER_BEGIN}\n\n"
            f"Your last plan was rejected with this reason:\n\n{replan_reason}\n\n"
            f"That plan was:\n\n{json.dumps(plan, ensure_ascii=False)}\n\n"
            "Submit the whole plan again, changed as the reason asks."
        )
    return PLANNER_GO_ON if resumed else PLANNER_BEGIN
