"""The planner: reads the spec, submits a plan; what is wanted beside it becomes a feature more."""

import json
import re
from itertools import count
from typing import Any

from adapters.practice import programs, wishes
from adapters.practice.conversation import Call, Conversation, Exchange, Reply
from adapters.practice.text import clean, lines, unnumbered

SPEC_PATH = ".autocoder/prompts/app_spec.txt"
_SUBMISSIONS = 3  # then the problems are a person's
_READINGS = (  # the Read tool does not show every spec whole
    Call("Read", {"file_path": SPEC_PATH}),
    Call("Read", {"file_path": SPEC_PATH, "limit": 40}),
)
_UNREAD = ("The spec could not be read: it is too large for the practice model.",)

_REASON = r"with this reason:\n\n(?P<reason>.+?)\n\n"
_REWORK = re.compile(rf"rejected phase [^\n]+ {_REASON}Look at the repository", re.S)
_ADDED = re.compile(
    r"A person wants (?:a new \w+|the spec changed):\n\n(?P<wanted>.+?)\n\n"
    r"(?:It was talked over|Your last plan for it|Look at the repository)",
    re.S,
)
_ADDED_AGAIN = re.compile(rf"Your last plan for it was rejected {_REASON}", re.S)
_REVISED = re.compile(
    rf"Your last plan was rejected {_REASON}That plan was:\n\n(?P<plan>\{{.+\}})\n\nSubmit", re.S
)
_LEAVE_OUT = re.compile(r"\b(?:drop|remove|without|leave out|cut|skip)\b", re.IGNORECASE)


def answer(talk: Conversation) -> Reply:
    submitted = [e for e in talk.recent if e.tool == "plan_submit" and e.result is not None]
    if (
        submitted
        and not submitted[-1].failed
        and submitted[-1].answer().get("accepted") is not False
    ):
        return Reply("The plan is submitted.")
    again = len(submitted)
    if again >= _SUBMISSIONS:
        return Reply(f"My plan was not taken, and I know no better one: {_problems(submitted[-1])}")
    prompt = talk.prompts[-1]
    if rework := _REWORK.search(prompt):
        return _new(talk, rework["reason"], again)
    if added := _ADDED.search(prompt):
        refused = _ADDED_AGAIN.search(prompt)
        reason = f" ({refused['reason']})" if refused else ""
        return _new(talk, f"{added['wanted'].strip()}{reason}", again)
    if revised := _REVISED.search(prompt):
        return _submit(
            _revised(json.loads(revised["plan"]), revised["reason"]), "I change the plan."
        )
    readings = [e for e in talk.recent if e.tool == "Read" and e.result is not None]
    text = next((unnumbered(e.result) for e in readings if e.result and not e.failed), None)
    if text is None and len(readings) < len(_READINGS):
        return Reply("I read the spec.", (_READINGS[len(readings)],))
    if text is not None and programs.is_todobook(text):
        plan = programs.todobook(asks=programs.INTERVIEWED in text)
    else:
        plan = programs.notebook(lines(text or "") or _UNREAD)
    return _submit(plan, "I submit the plan.")


def _submit(plan: dict[str, Any], words: str) -> Reply:
    return Reply(words, (Call("plan_submit", {"plan": plan}),))


def _problems(exchange: Exchange) -> str:
    listed = exchange.answer().get("problems")
    if isinstance(listed, list):
        return "; ".join(str(problem) for problem in listed)
    return exchange.result or ""


def _new(talk: Conversation, wanted: str, again: int) -> Reply:
    """A plan of what is new alone: the code as it is says whether the wish can be carried out."""
    if wishes.is_about_accents(wanted) and not again:
        for program, path in programs.SEARCHES.items():
            seen = [e for e in talk.recent if e.tool == "Read" and e.concerns(path) and e.result]
            if not seen:
                return Reply("I look at the code.", (Call("Read", {"file_path": path}),))
            if not seen[-1].failed and not programs.ignores_accents(seen[-1].result or ""):
                return _submit(programs.accents(program, clean(wanted, 2000)), "I plan the rework.")
    return _submit(wishes.note(wanted, again=again), "I plan to write it down.")


def _revised(plan: dict[str, Any], reason: str) -> dict[str, Any]:
    """The plan less a feature that the reason wants left out, else with one that takes it up."""
    if not (_LEAVE_OUT.search(reason) and _drop_feature(plan, reason)):
        phase, names = plan["phases"][-1], _names(plan)
        feature = _feature(plan, reason)
        for again in count(1):
            if names.isdisjoint(_names({"phases": [{"features": [feature]}]})):
                break
            (feature,) = wishes.note(reason, again=again)["phases"][0]["features"]
        phase["features"].append(feature)
    plan["summary"] = clean(f"{plan['summary']} Revised: {reason}", 2000)
    return plan


def _feature(plan: dict[str, Any], reason: str) -> dict[str, Any]:
    """What takes a reason up, behind all else of its phase if it changes the program itself."""
    feature: dict[str, Any]
    if not wishes.is_about_accents(reason):
        (feature,) = wishes.note(reason)["phases"][0]["features"]
        return feature
    program = programs.TODOBOOK if plan["run"] == programs.todobook()["run"] else programs.NOTEBOOK
    (feature,) = programs.accents(program, clean(reason, 2000))["phases"][0]["features"]
    return {**feature, "depends_on": [each["name"] for each in plan["phases"][-1]["features"]]}


def _names(plan: dict[str, Any]) -> set[str]:
    """Names of features and tasks."""
    features = [feature for phase in plan["phases"] for feature in phase["features"]]
    tasks = [task for feature in features for task in feature["tasks"]]
    return {str(item["name"]) for item in (*features, *tasks)}


def _drop_feature(plan: dict[str, Any], reason: str) -> bool:
    """Leave out the feature that the reason names, if nothing stands on it."""
    phases = plan["phases"]
    features = [feature for phase in phases for feature in phase["features"]]
    used = {name for feature in features for name in feature["depends_on"]}
    for phase in phases:
        for feature in phase["features"]:
            if feature["name"].casefold() in reason.casefold() and feature["name"] not in used:
                phase["features"].remove(feature)
                plan["phases"] = [p for p in phases if p["features"]]
                return bool(plan["phases"])
    return False
