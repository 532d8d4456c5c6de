"""The planner: reads the spec, submits a plan, mends it when problems come back."""

import json
import re
from collections.abc import Mapping, Sequence

from adapters.practice import bundle, drafting
from adapters.practice.conversation import Call, Conversation, Exchange, Reply
from adapters.practice.outline import clean, read_outline, unnumbered

SPEC_PATH = ".autocoder/prompts/app_spec.txt"
_SUBMISSIONS = 3  # then the problems are a person's

# Each says less of the spec than the one before, for specs the Read tool does not show whole.
_READINGS = (
    Call("Read", {"file_path": SPEC_PATH}),
    Call("Read", {"file_path": SPEC_PATH, "limit": 200}),
    Call(
        "Grep",
        {
            "pattern": "^#{1,6} ",
            "path": SPEC_PATH,
            "output_mode": "content",
            "-n": False,
            "head_limit": 40,
        },
    ),
)
_SENT_BACK = re.compile(r"\b(?:rejected|sent back|send back|rework)\b", re.IGNORECASE)
_REASON = re.compile(r"\breason\b[^:\n]{0,60}:\s*(.+?)(?:\n[ \t]*\n|\Z)", re.DOTALL | re.IGNORECASE)
_WORDS = re.compile(
    rf"{_SENT_BACK.pattern}[^:\n]{{0,160}}:\s*(.+?)(?:\n[ \t]*\n|\Z)", re.DOTALL | re.IGNORECASE
)
_BEING_BUILT = re.compile(r"\brejected phase\b|\bat the gate\b|\bonly what is new\b", re.IGNORECASE)
_KNOWN_ALREADY = re.compile(r"\bexists? already\b|\bonly what is new\b", re.IGNORECASE)
_ADDED = re.compile(
    r"A person wants (?:a new |the )(\w+)(?: changed)?:\n\n(.+?)\n\n(?:It was talked|Your last plan|Look at the)",
    re.DOTALL,
)
_LEAVE_OUT = re.compile(r"\b(?:drop|remove|without|leave out|cut|skip)\b", re.IGNORECASE)
_GREP_PREFIX = re.compile(r"^(?:[^\s:]*:)?\d+[:-]")


def answer(talk: Conversation) -> Reply:
    submitted = [e for e in talk.recent if e.tool == "plan_submit" and e.result is not None]
    if submitted and _taken(submitted[-1]):
        return Reply("The plan is submitted.")
    if len(submitted) >= _SUBMISSIONS:
        return Reply(f"My plan was not taken, and I know no better one: {_problems(submitted[-1])}")
    added = _ADDED.search(talk.prompts[-1]) or _ADDED.search(talk.prompts[0])
    if added:
        reasons = _reasons(talk)
        what = f"{added[2].strip()} ({reasons[-1]})" if reasons else added[2].strip()
        return _submit(_addition(added[1], what, tries=len(submitted)), "I plan what is new.")
    readings = [e for e in talk.recent if e.tool in ("Read", "Grep") and e.result is not None]
    text = next((_shown(e) for e in readings if not e.failed and e.result), None)
    if text is None and len(readings) < len(_READINGS):
        return Reply("I read the spec.", (_READINGS[len(readings)],))
    reasons = _reasons(talk)
    problems = _problems(submitted[-1]) if submitted else ""
    words = f"I mend the plan: {clean(problems, 200)}" if submitted else "I submit the plan."
    if reasons and (_BEING_BUILT.search(talk.prompts[-1]) or _KNOWN_ALREADY.search(problems)):
        # On a project that is being built only what is new may be stated.
        return _submit(_rework(reasons[-1], tries=len(submitted)), words)
    plan = _shown_plan(talk.prompts[-1])
    if plan is not None:
        reasons = reasons[-1:]  # those before it are in that plan already
    plan = _revised(plan or _plan(text or ""), reasons)
    return _submit(_plainer(plan) if submitted else plan, words)


def _submit(plan: Mapping[str, object], words: str) -> Reply:
    return Reply(words, (Call("plan_submit", {"plan": dict(plan)}),))


def _plan(spec: str) -> dict[str, object]:
    if bundle.is_bundled(spec):
        return bundle.plan(asks=bundle.INTERVIEWED in spec)
    return drafting.plan(read_outline(spec))


def _shown_plan(prompt: str) -> dict[str, object] | None:
    """The plan that was sent back, if the prompt shows it as JSON."""
    decoder = json.JSONDecoder()
    for start in (match.start() for match in re.finditer(r"\{\s*\"", prompt)):
        try:
            value, _ = decoder.raw_decode(prompt, start)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("phases"), list):
            return value if _is_whole(value) else None
    return None


def _is_whole(plan: Mapping[str, object]) -> bool:
    """Whether a plan has the parts that are needed to revise it."""
    try:
        _names(plan)
    except (KeyError, TypeError):
        return False
    return bool(plan["phases"])


def _names(plan: Mapping[str, object]) -> set[str]:
    """Names of features and tasks."""
    phases = plan["phases"]
    assert isinstance(phases, list)
    features = [feature for phase in phases for feature in phase["features"]]
    tasks = [task for feature in features for task in feature["tasks"]]
    return {str(item["name"]) for item in (*features, *tasks)}


def _addition(kind: str, wanted: str, *, tries: int) -> dict[str, object]:
    """A plan of what is added: one feature with one task."""
    feature = drafting.review(
        [wanted], again=tries, title="Addition", words="A person asked for this"
    )
    name = f"Added: {clean(wanted, 60)}"
    phase = {"name": name, "description": clean(wanted, 300), "features": [feature]}
    summary = f"[practice] A {kind} is added: {clean(wanted, 300)}"
    return {"summary": summary, "setup": [], "run": None, "checks": [], "phases": [phase]}


def _rework(reason: str, *, tries: int) -> dict[str, object]:
    """A plan of what is new alone."""
    feature = drafting.review([reason], again=tries)
    phase = {"name": f"Rework: {clean(reason, 60)}", "description": "", "features": [feature]}
    summary = f"[practice] Rework: {clean(reason, 300)}"
    return {"summary": summary, "setup": [], "run": None, "checks": [], "phases": [phase]}


def _shown(reading: Exchange) -> str:
    """The text of the spec as far as this reading shows it."""
    text = unnumbered(reading.result or "")
    if reading.tool == "Read":
        return text
    headings = (_GREP_PREFIX.sub("", line) for line in text.splitlines())
    return "\n".join(line for line in headings if line.startswith("#"))


def _taken(exchange: Exchange) -> bool:
    return not exchange.failed and exchange.answer().get("accepted") is not False


def _problems(exchange: Exchange) -> str:
    listed = exchange.answer().get("problems")
    if isinstance(listed, list):
        return "; ".join(str(problem) for problem in listed)
    return exchange.result or ""


def _reasons(talk: Conversation) -> tuple[str, ...]:
    """Why earlier plans were sent back, in a person's words, oldest first."""
    found = []
    for prompt in talk.prompts:
        if not _SENT_BACK.search(prompt):
            continue
        match = _REASON.search(prompt) or _WORDS.search(prompt)
        if match and clean(match[1], 2000):
            found.append(match[1].strip().strip("\"'“”"))
    earlier = talk.exchanges[: len(talk.exchanges) - len(talk.recent)]
    planned = any(e.tool == "plan_submit" and e.result is not None and _taken(e) for e in earlier)
    if planned and not found:
        # The same session goes on after its plan was taken: the prompt is the reason.
        found.append(talk.prompts[-1])
    return tuple(dict.fromkeys(found))


def _revised(plan: dict[str, object], reasons: Sequence[str]) -> dict[str, object]:
    """The plan less a feature that a reason wants left out, else with one that answers it."""
    left = [r for r in reasons if not (_LEAVE_OUT.search(r) and _drop_feature(plan, r))]
    if left:
        names = _names(plan)
        feature = drafting.review(left)
        for again in range(1, len(names)):
            if names.isdisjoint(_names({"phases": [{"features": [feature]}]})):
                break
            feature = drafting.review(left, again=again)
        phases = plan["phases"]
        assert isinstance(phases, list)
        phases[-1]["features"].append(feature)
    if reasons:
        plan["summary"] = clean(f"{plan.get('summary', '')} Revised: {'; '.join(reasons)}", 2000)
    return plan


def _drop_feature(plan: dict[str, object], reason: str) -> bool:
    """Leave out the feature that the reason names, if nothing stands on it."""
    phases = plan["phases"]
    assert isinstance(phases, list)
    features = [feature for phase in phases for feature in phase["features"]]
    used = {name for feature in features for name in feature.get("depends_on", [])}
    for phase in phases:
        for feature in phase["features"]:
            if feature["name"].casefold() in reason.casefold() and feature["name"] not in used:
                phase["features"].remove(feature)
                plan["phases"] = [p for p in phases if p["features"]]
                return bool(plan["phases"])
    return False


def _plainer(plan: dict[str, object]) -> dict[str, object]:
    """The same plan with less that could be refused: no plan-wide checks, no `run`."""
    return {**plan, "checks": [], "run": None}
