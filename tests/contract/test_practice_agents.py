"""The practice model's agents as pure functions, played against an honest task service."""

import copy
import random
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from adapters.claude.judge import BashJudge
from adapters.practice import programs, wishes
from adapters.practice.agents import answer
from adapters.practice.conversation import Call, Reply, parse
from adapters.practice.programs import Task
from bot.cards.labels import PRACTICE_REJECTION
from core.domain.failure import signature
from core.domain.lifecycle import InterviewKind
from core.domain.plan import Plan
from core.operations.additions import AdditionRequest
from core.orchestrator.briefing import PLANNER_BEGIN, Planning, for_addition, for_planner
from tests.contract.practice_parts import Refused, TaskService, plan_problems, rejected_gate

TOOLS = {
    "planner": ["Read", "mcp__autocoder__plan_submit"],
    "coder": [
        "Read",
        "Write",
        "Edit",
        *(f"mcp__autocoder__task_{n}" for n in ("get_next", "mark_passing", "release")),
    ],
}


class Session:
    """A conversation with the model; its tool calls are done at once, in the repository."""

    def __init__(self, service: TaskService, kind: str) -> None:
        self.service = service
        self.calls: list[Call] = []
        self._read: set[str] = set()
        self.body: dict[str, Any] = {
            "model": "claude-sonnet-5",
            "system": [
                {"type": "text", "text": "You are a Claude agent."},
                {"type": "text", "text": f"You are the {kind} of autocoder.\n\nWork."},
            ],
            "tools": [{"name": name, "input_schema": {}} for name in TOOLS[kind]],
            "messages": [],
        }

    def prompt(self, text: str) -> Reply:
        """Play until the turn ends; the last words."""
        self.say(text)
        for _ in range(400):
            if not (reply := self.step()).calls:
                return reply
        pytest.fail("the turn never ends")

    def say(self, text: str) -> None:
        self.body["messages"].append({"role": "user", "content": text})

    def ask(self) -> Reply:
        before = copy.deepcopy(self.body)
        reply = answer(parse(self.body))
        assert answer(parse(before)) == reply, "the answer is not a function of the request"
        assert reply.text.startswith("[practice] ")
        return reply

    def step(self) -> Reply:
        """One answer, with its calls done."""
        reply = self.ask()
        self.note_calls(reply)
        if reply.calls:
            results = [self._do(n, call) for n, call in enumerate(reply.calls)]
            self.body["messages"].append({"role": "user", "content": results})
        return reply

    def note_calls(self, reply: Reply) -> None:
        """The answer becomes history; its calls have no results yet."""
        self.calls += reply.calls
        uses = [
            {"type": "tool_use", "id": self._id(n), "name": call.tool, "input": call.arguments}
            for n, call in enumerate(reply.calls)
        ]
        content = [{"type": "text", "text": reply.text}, *uses]
        self.body["messages"].append({"role": "assistant", "content": content})

    def _id(self, number: int) -> str:
        return f"toolu_{len(self.calls)}_{number}"

    def _do(self, number: int, call: Call) -> dict[str, Any]:
        try:
            text, failed = self._run(call.tool, call.arguments), False
        except (Refused, OSError, UnicodeDecodeError) as error:
            text, failed = str(error), True
        content = [{"type": "text", "text": text}]
        block = {"type": "tool_result", "tool_use_id": self._id(number), "content": content}
        return {**block, "is_error": True} if failed else block

    def _run(self, tool: str, arguments: Mapping[str, Any]) -> str:
        if tool not in ("Read", "Write", "Edit"):
            return self.service.call(tool, arguments)
        path = self.service.repository / arguments["file_path"]
        assert path.resolve().is_relative_to(self.service.repository)
        key = str(path)
        if tool == "Read":
            lines = path.read_text().splitlines()
            self._read.add(key)
            return "\n".join(f"{n}\t{line}" for n, line in enumerate(lines, start=1))
        if path.exists() and key not in self._read:
            raise Refused("File has not been read yet. Read it first before writing to it.")
        text = arguments.get("content")
        if tool == "Edit":
            text = path.read_text()
            if text.count(arguments["old_string"]) != 1:
                raise Refused("String to replace not found in file, or found twice.")
            text = text.replace(arguments["old_string"], arguments["new_string"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(text).encode())
        self._read.add(key)
        return "done"


def planned(repository: Path, spec: str) -> TaskService:
    service = TaskService(repository, spec)
    Session(service, "planner").prompt(PLANNER_BEGIN)
    assert service.plan is not None
    return service


def build(service: TaskService, runs: int = 30) -> None:
    """Fresh coder sessions until nothing is ready."""
    for _ in range(runs):
        if not any(not t.passing and t not in service.stuck for t in service.tasks):
            return
        Session(service, "coder").prompt("Call task_get_next to begin.")
        service.end_run()
    pytest.fail("the coders never come to an end")


@pytest.fixture
def story(tmp_path: Path) -> TaskService:
    return planned(tmp_path / "work", programs.spec())


def test_the_story_has_its_shape(story: TaskService) -> None:
    assert story.plan is not None
    features = [f for phase in story.plan["phases"] for f in phase["features"]]
    assert (len(story.plan["phases"]), len(features), len(story.tasks)) == (2, 4, 14)
    home = {t.given["name"]: t.feature for t in story.tasks}
    first = {f["name"] for f in story.plan["phases"][0]["features"]}
    assert any(
        home[name] != t.feature and {home[name], t.feature} <= first
        for t in story.tasks
        for name in t.given["depends_on"]
    ), "no task depends on another feature of its phase"
    assert story.plan["setup"] == []


def test_one_check_is_mended_and_one_task_stuck(story: TaskService) -> None:
    build(story)
    (stuck,) = story.stuck
    assert stuck.attempts == 5
    assert len({signature(output) for output in stuck.refusals}) == 1
    passing = [t for t in story.tasks if t.passing]
    assert len(passing) == 13
    assert [len(t.refusals) for t in passing if t.refusals] == [1]
    story.stuck_after = 10
    build(story)
    assert all(t.passing and t.was_red for t in story.tasks)
    assert story.check("python3 -m unittest discover -s tests -t .")[0] == 0


@pytest.mark.slow
def test_a_hint_helps_at_once(story: TaskService) -> None:
    for task in story.tasks:
        task.notes = "Count from the first date."
    build(story)
    assert all(t.passing and t.attempts == 0 for t in story.tasks)


def test_the_place_of_an_earlier_attempt_is_no_hint() -> None:
    task_ = Task.read({"id": 1, "recovery_notes": "Its files: refs/autocoder/attempts/10/1\n"})
    assert task_ is not None
    assert task_.hints == ""


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))]
)
def test_kills_resumes_and_lost_results_change_nothing(tmp_path: Path, seed: int) -> None:
    service = planned(tmp_path / "work", programs.spec())
    service.stuck_after = 99
    chance = random.Random(seed)
    session = Session(service, "coder")
    session.say("Begin.")
    for _ in range(1500):
        if all(t.passing for t in service.tasks):
            break
        if chance.random() < 0.05:
            session.note_calls(session.ask())  # killed: the call is history, its result is not
            if chance.random() < 0.5:
                service.git("reset", "-q", "--hard")  # and its files are gone
                service.git("clean", "-qfd")
            if chance.random() < 0.3:
                session = Session(service, "coder")  # cleared
            session.say(chance.choice(["Go on.", "You were interrupted.", "<b>?</b>"]))
        elif not session.step().calls:
            service.end_run()
            session.say("Next.")
    assert all(t.passing and t.was_red for t in service.tasks)
    assert service.check("python3 -m unittest discover -s tests -t .")[0] == 0


SPECS = {
    "one byte": "x",
    "one line": "A calculator that adds.",
    "only a heading": "# json",
    "no headings": "We want three things.\n\n- red\n- green `code`\n- \"blue\" and 'grey'\n",
    "emoji": "# 🍓🍓\n\n## 🚀\n- 🌍 go\n- stop\n\n## 🧪\n- test\n",
    "chinese": "# 待办事项\n\n## 存储\n- 保存到文件。\n- 读取\n\n## 搜索\n保存。读取！删除？\n",
    "arabic": "# دفتر المهام\n\n## بحث\n- كلمة\n- وسم\n",
    "quotes": '# It\'s "quoted" \\ """ \'\'\'\n\n## $name ${x} {y} %s\n- """\n- \\\n- \'\n',
    "same headings": "# A\n## B\ntext one. text two.\n## B\n- x\n- x\n## b\n- y\n",
    "underlined": "Title\n=====\n\nPart one\n--------\n1. first\n2. second\n",
    "code": "# Code\n\n```\n# not a heading\n- not a point\n```\n\n## Real\n- a point\n",
    "many": "# Many\n\n" + "".join(f"## Part {n}\n" + "- p\n- q\n" * 30 for n in range(50)),
    "control characters": "# A\x07b\u2028c\u202e\n\n## \x1b[31mRed\n- \x00\n- d\u2029e\n",
    "python words": "# import\n\n## class\n- def\n\n## points\n- a\n\n## __main__\n- b\n\n## test\n- c",
    "windows": "# Title\r\n\r\n## Part\r\n- one\r\n- two\r\n",
    "megabyte": "# Large\n\n## Part\n" + "- words and more words\n" * 43_000,
    "only marks": "#\n-\n=====\n***\n",
}


QUICK = ("one byte", "quotes", "chinese", "python words")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in SPECS]
)
def test_any_other_spec_becomes_a_notebook_that_says_so(tmp_path: Path, name: str) -> None:
    service = planned(tmp_path / "work", SPECS[name])
    assert service.plan is not None
    assert "builds only a notebook with your words" in service.plan["summary"]
    (phase,) = service.plan["phases"]
    assert len(phase["features"]) == 1
    build(service, runs=2)
    assert all(t.passing and t.was_red and not t.refusals for t in service.tasks)
    assert service.check(service.plan["checks"][0])[0] == 0
    assert "**not** what the spec asks for" in (service.repository / "README.md").read_text()
    status, shown = service.check(service.plan["run"])
    assert status == 0
    assert shown.splitlines() == service.tasks[0].given["steps"]


def test_a_notebook_holds_the_words_and_finds_them(tmp_path: Path) -> None:
    service = planned(tmp_path / "work", SPECS["no headings"])
    build(service, runs=2)
    said = ["We want three things.", "red", "green code", "\"blue\" and 'grey'"]
    assert (service.repository / "notes.txt").read_text().splitlines() == said
    assert service.check("python3 notebook.py GREY blue") == (0, f"{said[-1]}\n")
    assert service.check("python3 notebook.py purple")[0] == 1


@pytest.mark.parametrize("spec", [programs.spec(), SPECS["python words"], SPECS["emoji"]])
@pytest.mark.parametrize("reason", [PRACTICE_REJECTION, "'; rm -rf / #", '-v $(x) `y` \\ "z'])
async def test_every_command_of_a_plan_is_allowed(tmp_path: Path, spec: str, reason: str) -> None:
    service = planned(tmp_path / "work", spec)
    judge = BashJudge("test")
    service.goes_on = True
    for plan in (service.plan, _replanned(service, reason)):
        commands = TypeAdapter(Plan).validate_python(plan).check_commands()
        assert commands
        for command in commands:
            assert (await judge(command)).allowed, command


def _replanned(service: TaskService, reason: str) -> dict[str, Any] | None:
    Session(service, "planner").prompt(rejected_gate(reason))
    return service.plan


def task(name: str, *checks: str, **more: Any) -> dict[str, Any]:
    given = {"name": name, "category": "feature", "description": f"Do {name}.", "steps": []}
    return {**given, "complexity": 1, "checks": list(checks), "depends_on": [], "files": [], **more}


@pytest.mark.parametrize("check", ["make all", "test -f docs/NOTES.md"])
def test_a_task_of_another_plan_is_given_back_with_a_reason(tmp_path: Path, check: str) -> None:
    service = TaskService(tmp_path / "work", "# Theirs")
    feature = {"name": "F", "depends_on": [], "tasks": [task("No", check)]}
    service.take_plan({"phases": [{"name": "P", "features": [feature]}]})
    session = Session(service, "coder")
    session.prompt("Begin.")
    assert service.tasks[0].attempts == 1
    assert [call.tool for call in session.calls] == ["task_get_next", "task_release"]
    assert service.git("status", "--porcelain") == ""


def test_the_same_names_with_other_checks_are_not_the_story(story: TaskService) -> None:
    assert story.plan is not None
    first = story.plan["phases"][0]["features"][0]["tasks"][0]
    first["checks"] = ["test -f elsewhere.txt"]
    story.take_plan(story.plan)
    Session(story, "coder").prompt("Begin.")
    assert story.tasks[0].attempts == 1


STORY_SEARCH = ("To-do record", "Find by words and tag")  # of the story what its search stands on


@pytest.mark.parametrize(
    ("spec", "search", "reason"),
    [
        (programs.spec(), "todobook/search.py", PRACTICE_REJECTION),
        ("# Shelf\n\n- Café Zoë\n", "notebook.py", PRACTICE_REJECTION),
        ("# Shelf", "notebook.py", "please ignore accents when I search"),
    ],
)
def test_the_offered_reason_is_carried_out_with_its_own_failing_test_first(
    tmp_path: Path, spec: str, search: str, reason: str
) -> None:
    service = planned(tmp_path / "work", spec)
    if search != "notebook.py":
        service.tasks = [t for t in service.tasks if t.given["name"] in STORY_SEARCH]
    build(service)
    service.goes_on = True
    Session(service, "planner").prompt(rejected_gate(reason))
    rework = service.tasks[-1]
    assert reason in rework.given["description"]
    before = service.git("rev-parse", "HEAD").strip()
    build(service)
    assert rework.passing
    assert rework.was_red
    (refusal,) = rework.refusals
    assert "AssertionError" in refusal, "the test itself fails, it is not only missing"
    changed = service.git("diff", "--name-only", before, "--", ":!*.pyc").split()
    assert sorted(changed) == sorted(["tests/test_accents.py", search])
    test = rework.given["checks"][0]
    service.git("checkout", "-q", before, "--", search)
    assert service.check(test)[0] == 1, "with the program as it was the test is red"
    service.git("checkout", "-q", "HEAD", "--", search)
    assert service.check(test)[0] == 0
    assert service.check("python3 -m unittest discover -s tests -t .")[0] == 0


REASON = "Please export to CSV: commas, and a header"


@pytest.mark.parametrize("reason", [REASON, 'Drop\n\nall `of` **it**\'s "tables"', "-", "…"])
def test_any_other_reason_is_written_down_and_said_not_to_be_built(
    tmp_path: Path, reason: str
) -> None:
    service = planned(tmp_path / "work", SPECS["one line"])
    build(service)
    service.goes_on = True
    for times in (1, 2):
        session = Session(service, "planner")
        session.prompt(rejected_gate(reason))
        assert [call.tool for call in session.calls].count("plan_submit") == times
        noted = service.tasks[-1]
        assert noted.given["name"].startswith("Write down: ")
        assert service.plan is not None
        assert "does not build this" in service.plan["summary"]
        before = service.git("rev-parse", "HEAD").strip()
        build(service)
        assert noted.passing
        assert noted.was_red
        (path,) = service.git("diff", "--name-only", before, "--", ":!*.pyc").split()
        text = (service.repository / path).read_text()
        assert noted.given["description"] in text
        assert "did not build it" in text


def test_a_second_wish_for_accents_is_written_down(tmp_path: Path) -> None:
    service = planned(tmp_path / "work", SPECS["one line"])
    build(service)
    service.goes_on = True
    for count, name in ((3, "Find notes without accents"), (4, "Write down: ")):
        Session(service, "planner").prompt(rejected_gate(PRACTICE_REJECTION))
        assert len(service.tasks) == count
        assert service.tasks[-1].given["name"].startswith(name)
        build(service)
        assert all(each.passing for each in service.tasks)


def revise(service: TaskService, reason: str) -> None:
    """The plan is sent back."""
    prompt = for_planner(Planning(replan_reason=reason, plan=service.plan), resumed=False)
    Session(service, "planner").prompt(prompt)


@pytest.mark.parametrize("spec", [programs.spec(), "# Mine\n\n## A\n- b\n- c\n"])
@pytest.mark.parametrize(
    ("reason", "built"), [(REASON, "Write down: "), (PRACTICE_REJECTION, "Find ")]
)
def test_a_rejected_plan_comes_back_changed(
    tmp_path: Path, spec: str, reason: str, built: str
) -> None:
    service = planned(tmp_path / "work", spec)
    known = {stored.given["name"] for stored in service.tasks}
    revise(service, reason)
    assert service.plan is not None
    assert plan_problems(service.plan) == []
    (new,) = (stored for stored in service.tasks if stored.given["name"] not in known)
    assert new.given["name"].startswith(built)
    assert reason in new.given["description"]
    if len(service.tasks) > 3:
        service.tasks = [t for t in service.tasks if t.given["name"] in STORY_SEARCH] + [new]
    build(service)
    assert all(stored.passing and stored.was_red for stored in service.tasks)


def test_the_same_reason_twice_changes_the_plan_twice(story: TaskService) -> None:
    for count in (15, 16):
        revise(story, REASON)
        assert len(story.tasks) == count
    one, other = story.tasks[-2:]
    assert not set(one.given["files"]) & set(other.given["files"])


def test_a_feature_that_nobody_needs_is_left_out(story: TaskService) -> None:
    revise(story, "drop the command line")
    assert len(story.tasks) == 11


@pytest.mark.parametrize("kind", [InterviewKind.FEATURE, InterviewKind.SPEC])
@pytest.mark.parametrize("refused", [None, "Call it comma separated"])
def test_what_is_added_is_written_down(
    tmp_path: Path, kind: InterviewKind, refused: str | None
) -> None:
    service = planned(tmp_path / "work", SPECS["one line"])
    build(service)
    service.goes_on = True
    wish = AdditionRequest(kind, REASON, None, None, {} if refused else None, refused)
    Session(service, "planner").prompt(for_addition(wish, "+- more"))
    assert len(service.tasks) == 3
    assert REASON in service.tasks[-1].given["description"]
    assert (refused or "") in service.tasks[-1].given["description"]
    build(service)
    assert service.tasks[-1].passing


def test_a_plan_that_is_never_taken_ends_in_words(tmp_path: Path) -> None:
    class Never(TaskService):
        def _submit(self, plan: Any) -> str:
            raise Refused("Not this one.")

    session = Session(Never(tmp_path / "work", "# X"), "planner")
    reply = session.prompt("Plan.")
    assert "Not this one." in reply.text
    assert [call.tool for call in session.calls].count("plan_submit") == 3


def test_nonsense_from_the_service_ends_the_turn(tmp_path: Path) -> None:
    class Odd(TaskService):
        reply = ""

        def _next(self) -> str:
            return self.reply

    service = Odd(tmp_path / "work", "# X")
    for service.reply in ("", "null", "[]", "{}", '{"task": 5}', '{"task": {"id": "x"}}'):
        assert not Session(service, "coder").prompt("Begin.").calls


@pytest.mark.parametrize("kind", ["tester", "merger", "something_else"])
def test_a_kind_it_does_not_play_is_said(kind: str) -> None:
    body = {
        "model": "m",
        "system": f"You are the {kind} of autocoder.",
        "messages": [{"role": "user", "content": "Hello"}],
    }
    reply = answer(parse(body))
    assert not reply.calls
    assert kind in reply.text


def test_features_built_side_by_side_touch_no_file_together(story: TaskService) -> None:
    revise(story, REASON)
    assert story.plan is not None
    waits = {f["name"]: f["depends_on"] for p in story.plan["phases"] for f in p["features"]}
    touched: dict[str, set[str]] = {name: set() for name in waits}
    for stored in story.tasks:
        shown = Task.read({**stored.given, "id": stored.id, "feature": {"name": stored.feature}})
        assert shown is not None
        rounds = programs.rounds(shown) or wishes.rounds(shown)
        paths = {change.path for round_ in rounds for change in round_.changes}
        assert set(stored.given["files"]) <= paths
        touched[stored.feature] |= paths
    for phase in story.plan["phases"]:
        names = [feature["name"] for feature in phase["features"]]
        for one, other in combinations(names, 2):
            if one not in waits[other] and other not in waits[one]:
                assert not touched[one] & touched[other]
