"""The practice model's agents as pure functions, played against an honest task service."""

import copy
import json
import random
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from adapters.claude.judge import BashJudge
from adapters.practice import bundle, crafting
from adapters.practice.agents import answer
from adapters.practice.conversation import Call, Reply, parse
from adapters.practice.recipe import Task
from core.domain.failure import signature
from core.domain.plan import Plan
from tests.contract.practice_parts import Refused, TaskService, plan_problems

TOOLS = {
    "planner": ["Read", "Grep", "mcp__autocoder__plan_submit"],
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
        if tool == "Grep":
            return "No matches found"
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
    Session(service, "planner").prompt("Read the spec and plan it.")
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
def bundled(tmp_path: Path) -> TaskService:
    return planned(tmp_path / "work", bundle.spec())


def test_the_bundled_plan_has_its_shape(bundled: TaskService) -> None:
    assert bundled.plan is not None
    features = [f for phase in bundled.plan["phases"] for f in phase["features"]]
    assert (len(bundled.plan["phases"]), len(features), len(bundled.tasks)) == (2, 4, 14)
    home = {t.given["name"]: t.feature for t in bundled.tasks}
    first = {f["name"] for f in bundled.plan["phases"][0]["features"]}
    assert any(
        home[name] != t.feature and {home[name], t.feature} <= first
        for t in bundled.tasks
        for name in t.given["depends_on"]
    ), "no task depends on another feature of its phase"
    assert bundled.plan["setup"] == []


def test_one_check_is_mended_and_one_task_stuck(bundled: TaskService) -> None:
    build(bundled)
    (stuck,) = bundled.stuck
    assert stuck.attempts == 5
    assert len({signature(output) for output in stuck.refusals}) == 1
    passing = [t for t in bundled.tasks if t.passing]
    assert len(passing) == 13
    assert [len(t.refusals) for t in passing if t.refusals] == [1]
    bundled.stuck_after = 10
    build(bundled)
    assert all(t.passing and t.was_red for t in bundled.tasks)
    assert bundled.check("python3 -m unittest discover -s tests -t .")[0] == 0


@pytest.mark.slow
def test_a_hint_helps_at_once(bundled: TaskService) -> None:
    for task in bundled.tasks:
        task.notes = "Count from the first date."
    build(bundled)
    assert all(t.passing and t.attempts == 0 for t in bundled.tasks)


def test_the_place_of_an_earlier_attempt_is_no_hint() -> None:
    task_ = Task.read({"id": 1, "recovery_notes": "Its files: refs/autocoder/attempts/10/1\n"})
    assert task_ is not None
    assert task_.hints == ""


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))]
)
def test_kills_resumes_and_lost_results_change_nothing(tmp_path: Path, seed: int) -> None:
    service = planned(tmp_path / "work", bundle.spec())
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
def test_any_spec_becomes_a_package_that_holds(tmp_path: Path, name: str) -> None:
    service = planned(tmp_path / "work", SPECS[name])
    assert service.plan is not None
    assert 1 <= len(service.plan["phases"]) <= 2
    assert 2 <= len(service.tasks) <= 8
    build(service, runs=3)
    assert all(t.passing and t.was_red and not t.refusals for t in service.tasks)
    assert service.check(service.plan["checks"][0])[0] == 0
    assert service.check(service.plan["run"])[0] == 0
    assert "practice model" in (service.repository / "README.md").read_text()


@pytest.mark.parametrize("spec", [bundle.spec(), SPECS["python words"], SPECS["emoji"]])
async def test_every_command_of_a_plan_is_allowed(tmp_path: Path, spec: str) -> None:
    service = planned(tmp_path / "work", spec)
    plan = TypeAdapter(Plan).validate_python(service.plan)
    judge = BashJudge("test")
    assert plan.check_commands()
    for command in plan.check_commands():
        assert (await judge(command)).allowed, command


def task(name: str, *checks: str, **more: Any) -> dict[str, Any]:
    given = {"name": name, "category": "feature", "description": f"Do {name}.", "steps": []}
    return {**given, "complexity": 1, "checks": list(checks), "depends_on": [], "files": [], **more}


def foreign(repository: Path, *tasks: dict[str, Any]) -> TaskService:
    """A service with a plan of somebody else's."""
    service = TaskService(repository, "# Theirs")
    feature = {"name": "F", "depends_on": [], "tasks": list(tasks)}
    service.take_plan({"phases": [{"name": "P", "features": [feature]}]})
    return service


@pytest.mark.parametrize(
    "checks",
    [
        ["python3 -m unittest tests.test_one -v"],
        ["python3 -m unittest tests.deep.test_two.TestTwo.test_it"],
        ["python3 -m unittest tests/test_three.py"],
        ["test -f docs/NOTES.md", "grep -q hello docs/NOTES.md"],
        ["[ -s data.json ]", "test -d assets"],
        ["test -f a.txt && grep -qi 'two words' a.txt"],
        ["python3 tools/run.py"],
        ["python3 -m compileall -q src", "test -f src/app.py", "grep marker src/app.py"],
        ["cat VERSION"],
    ],
)
def test_a_task_of_another_plan_gets_a_labelled_note(tmp_path: Path, checks: list[str]) -> None:
    service = foreign(tmp_path / "work", task("Schöne \"Sache\" '''", *checks, steps=["ß", "two"]))
    build(service, runs=2)
    (done,) = service.tasks
    assert done.passing
    assert done.was_red
    changed = service.git("diff", "--name-only", "HEAD~1", "--", ":!*.pyc").split()
    texts = [(service.repository / path).read_text() for path in changed]
    assert any("practice" in text for text in texts)


@pytest.mark.parametrize(
    "check",
    [
        "make all",
        "false",
        "test -f ../outside",
        "test -f /etc/made-up",
        "grep -q x f.txt | cat",
        "cat 'unclosed",
        "grep -E '^a+$' f.txt",
        "touch $(pwd)/x",
        "test -f .git/hooks/pre-commit",
    ],
)
def test_what_cannot_be_done_is_released_with_a_reason(tmp_path: Path, check: str) -> None:
    service = foreign(tmp_path / "work", task("No", check))
    session = Session(service, "coder")
    session.prompt("Begin.")
    assert service.tasks[0].attempts == 1
    assert [call.tool for call in session.calls] == ["task_get_next", "task_release"]
    assert service.git("status", "--porcelain") == ""


def test_an_existing_file_of_theirs_is_left_as_it_is(tmp_path: Path) -> None:
    service = foreign(
        tmp_path / "work", task("Their test", "python3 -m unittest tests.test_theirs")
    )
    tests = service.repository / "tests"
    tests.mkdir()
    (tests / "test_theirs.py").write_text("raise SystemExit(3)\n")
    service.git("add", "-A")
    service.git("commit", "-qm", "Theirs")
    Session(service, "coder").prompt("Begin.")
    assert service.tasks[0].attempts == 1
    assert (tests / "test_theirs.py").read_text() == "raise SystemExit(3)\n"


def test_the_same_names_with_other_checks_are_not_the_bundled_plan(bundled: TaskService) -> None:
    assert bundled.plan is not None
    first = bundled.plan["phases"][0]["features"][0]["tasks"][0]
    first["checks"] = ["test -f elsewhere.txt"]
    bundled.take_plan(bundled.plan)
    session = Session(bundled, "coder")
    session.say("Begin.")
    while not bundled.tasks[0].passing:
        assert session.step().calls
    assert (bundled.repository / "elsewhere.txt").exists()


REASON = "Please export to CSV: commas, and a header"


@pytest.mark.parametrize("spec", [bundle.spec(), "# Mine\n\n## A\n- b\n- c\n"])
@pytest.mark.parametrize(
    "prompt",
    [
        f"Plan it.\n\nThe last plan was rejected by ada: {REASON}\n\nSubmit a revised one.",
        f'Your plan was rejected. The reason:\n\n"{REASON}"',
        f"The person at the gate rejected phase '1: A' with this reason:\n\n{REASON}\n\nAgain.",
    ],
)
def test_a_rejected_plan_comes_back_changed(tmp_path: Path, spec: str, prompt: str) -> None:
    service = planned(tmp_path / "work", spec)
    before = service.plan
    assert before is not None
    Session(service, "planner").prompt(prompt)
    assert service.plan is not None
    assert "CSV" in json.dumps(service.plan["phases"])
    assert plan_problems(service.plan) == []
    known = {t["name"] for p in before["phases"] for f in p["features"] for t in f["tasks"]}
    (new,) = (t for t in service.tasks if t.given["name"] not in known)
    assert "CSV: commas" in new.given["description"]
    assert "Again" not in new.given["description"]
    service.tasks = [new]
    build(service)
    assert new.passing
    assert new.was_red


def test_the_same_reason_twice_changes_the_plan_twice(tmp_path: Path) -> None:
    service = planned(tmp_path / "work", bundle.spec())
    for count in (15, 16):
        shown = json.dumps(service.plan)
        prompt = f"Your last plan was rejected with this reason:\n\n{REASON}\n\nIt was:\n\n{shown}"
        Session(service, "planner").prompt(f"{prompt}\n\nSubmit the whole plan again.")
        assert len(service.tasks) == count
    one, other = service.tasks[-2:]
    assert not set(one.given["files"]) & set(other.given["files"])


def test_the_same_session_goes_on_after_a_rejection(tmp_path: Path) -> None:
    service = TaskService(tmp_path / "work", bundle.spec())
    session = Session(service, "planner")
    session.prompt("Plan it.")
    session.prompt("No. I want it in green.")
    assert len(service.tasks) == 15
    assert "green" in service.tasks[-1].given["name"]


def test_a_feature_that_nobody_needs_is_left_out(tmp_path: Path) -> None:
    service = TaskService(tmp_path / "work", bundle.spec())
    Session(service, "planner").prompt("Plan. It was rejected: drop the command line")
    assert len(service.tasks) == 11


def test_on_a_project_that_is_built_only_what_is_new_is_stated(tmp_path: Path) -> None:
    class Built(TaskService):
        def _submit(self, plan: Any) -> str:
            if any(f["name"] == "Storage" for p in plan["phases"] for f in p["features"]):
                return json.dumps({"accepted": False, "problems": ["Feature exists already"]})
            return super()._submit(plan)

    service = Built(tmp_path / "work", bundle.spec())
    Session(service, "planner").prompt(f"Phase 1 was rejected: {REASON}")
    assert [t.given["category"] for t in service.tasks] == ["practice review"]


def test_a_revised_plan_with_a_refused_check_is_mended_whole(tmp_path: Path) -> None:
    class NoPlanChecks(TaskService):
        def _submit(self, plan: Any) -> str:
            if plan["checks"]:
                return json.dumps({"accepted": False, "problems": ["The check is refused"]})
            return super()._submit(plan)

    service = NoPlanChecks(tmp_path / "work", bundle.spec())
    Session(service, "planner").prompt(f"The plan was rejected: {REASON}")
    assert len(service.tasks) == 15


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


@pytest.mark.parametrize("spec", [bundle.spec(), SPECS["many"]])
def test_features_built_side_by_side_touch_no_file_together(tmp_path: Path, spec: str) -> None:
    service = planned(tmp_path / "work", spec)
    assert service.plan is not None
    waits = {f["name"]: f["depends_on"] for p in service.plan["phases"] for f in p["features"]}
    touched: dict[str, set[str]] = {name: set() for name in waits}
    for stored in service.tasks:
        shown = Task.read({**stored.given, "id": stored.id, "feature": {"name": stored.feature}})
        assert shown is not None
        recipe = bundle.recipe(shown) or crafting.recipe(shown)
        paths = {change.path for round_ in recipe.rounds for change in round_.changes}
        assert set(stored.given["files"]) <= paths
        touched[stored.feature] |= paths
    for phase in service.plan["phases"]:
        names = [feature["name"] for feature in phase["features"]]
        for one, other in combinations(names, 2):
            if one not in waits[other] and other not in waits[one]:
                assert not touched[one] & touched[other]
