"""What the CLI's messages mean for us: words for the card, and how a run ended."""

from typing import Any, assert_never

from claude_agent_sdk import AssistantMessage, Message, ResultMessage, ToolUseBlock

from adapters.claude.gate import PREFIX
from adapters.claude.gateway import Door
from core.domain.agents import FailureKind, RunOutcome
from core.ports.agents import Activity, Refusal, RefusalReason, RunEnded

# A conversation that does not fit, however often the CLI (2.1.327) compacts it: what was read or
# written is too large, and the same session would end there again.
_OWN_DOING = {"prompt_too_long", "rapid_refill_breaker"}
_VERBS = {
    "Read": ("reads", "file_path"),
    "Write": ("writes", "file_path"),
    "Edit": ("edits", "file_path"),
    "Bash": ("runs", "command"),
    "Glob": ("looks for", "pattern"),
    "Grep": ("searches for", "pattern"),
}


def activities(message: Message, work: str) -> list[Activity]:
    """What the agent does, by the tools it uses in this message."""
    if not isinstance(message, AssistantMessage):
        return []
    return [
        Activity(_words(block.name, block.input, work))
        for block in message.content
        if isinstance(block, ToolUseBlock)
    ]


def ended(result: ResultMessage, door: Door) -> RunEnded:
    """How a turn ended. Facts: an API failure has subtype `success`, is_error and a status."""
    text = result.result or ""
    if not result.is_error and result.subtype == "success":
        return RunEnded(RunOutcome.FINISHED, text, session_id=result.session_id)
    if found := refused(door):
        return RunEnded(found.outcome, found.text, found.failure, result.session_id)
    if result.subtype == "error_max_turns" or result.terminal_reason == "max_turns":
        words = f"The agent used up its {result.num_turns} turns."
        return RunEnded(RunOutcome.FAILED, words, FailureKind.AGENT, result.session_id)
    words = text or "; ".join(result.errors or ()) or result.terminal_reason or result.subtype
    own = result.terminal_reason in _OWN_DOING
    failure = FailureKind.AGENT if own else failure_of(result.api_error_status)
    return RunEnded(RunOutcome.FAILED, words, failure, result.session_id)


def refused(door: Door) -> RunEnded | None:
    """The end of a run that was refused at our door or by the model server's allowance."""
    if door.refusal is not None:
        return RunEnded(_outcome(door.refusal), door.refusal.text)
    if door.limit is not None:
        return RunEnded(RunOutcome.RATE_LIMITED, door.limit.message)
    if door.trouble is not None:
        return RunEnded(RunOutcome.FAILED, door.trouble, FailureKind.TRANSIENT)
    return None


def failure_of(status: int | None) -> FailureKind:
    """Whose fault an HTTP status of the model server is; None: no answer came."""
    if status in {401, 403}:
        return FailureKind.CREDENTIALS
    if status is None or status >= 500 or status in {408, 409, 425, 429}:
        return FailureKind.TRANSIENT
    return FailureKind.REQUEST


def _outcome(refusal: Refusal) -> RunOutcome:
    match refusal.reason:
        case RefusalReason.BUDGET:
            return RunOutcome.OUT_OF_BUDGET
        case RefusalReason.WINDOW:
            return RunOutcome.RATE_LIMITED
        case RefusalReason.NO_RUN:
            return RunOutcome.STOPPED
        case _:
            assert_never(refusal.reason)


def _words(name: str, arguments: dict[str, Any], work: str) -> str:
    if name.startswith(PREFIX):
        return f"calls {name.removeprefix(PREFIX)}"
    verb, key = _VERBS.get(name, ("uses", ""))
    what = str(arguments.get(key, name)).removeprefix(f"{work}/").strip()
    return f"{verb} {what.splitlines()[0] if what else name}"
