"""What an agent may tell us: each tool's answer, and its refusals in words."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import select

from adapters.worktrees.workspaces import Worktrees
from core.domain.agents import PROFILES, AgentKind
from core.domain.events import Event
from core.domain.lifecycle import RunStatus
from core.domain.money import Price
from core.domain.order import StartRun
from core.domain.proof import Verdict
from core.domain.redaction import Redaction
from core.domain.rules import Agents, Rules
from core.operations import approvals, projects, questions, runs
from core.operations.planners import SHOWN
from core.orchestrator.change_signal import ChangeSignal
from core.orchestrator.parts import Parts
from core.orchestrator.proving import ProofReply, Prover, run_checks
from core.ports.agents import ToolCall, ToolReply
from core.ports.host import Box, Execution, InterviewFolders, Worktree
from core.store.session import Store
from core.store.tables import Approval, JournalEntry, Question, Run, Task
from core.views import json as json_of
from core.views import tasks
from mcp_server.tools import NOBODY_HERE, Toolbox
from tests.chat.planted import TOKEN, found, kept, texts
from tests.unit.operations.build import NOW, plan, task
from tests.unit.operations.database import migrated

PLAN = asdict(plan({"a": (task("1", description='verbatim: é `x` \\ "q"'), task("2"))}))


class ScriptedProver(Prover):
    """Answers as told; what a proof does is another test's."""

    def __init__(self) -> None:
        self.replies: list[ProofReply] = []
        self.let: list[tuple[int, str, bool]] = []

    async def prove(self, process_id: str, number: int) -> ProofReply:
        return self.replies.pop(0)

    async def let_go(
        self, process_id: str, run_id: int, number: int, words: str, *, defer: bool
    ) -> None:
        self.let.append((number, words, defer))


@dataclass
class Services:
    """Tools at hand for an agent process, over a real store."""

    parts: Parts
    prover: ScriptedProver
    project: int
    ended: list[tuple[int, str]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    process: str = "home-0"

    def __post_init__(self) -> None:
        async def judge(command: str) -> str | None:
            return self.refused.get(command)

        box = Toolbox(
            self.parts, self.prover, judge=judge, end_run=lambda *args: self.ended.append(args)
        )
        self.tools = box.tools()

    async def begin(self, kind: AgentKind, task_id: int | None = None) -> runs.RunRef:
        row = await self.parts.store.read(lambda tx: tx.get(Task, task_id) if task_id else None)
        order = StartRun(
            kind, "sonnet", "test", phase_id=row.phase_id if row else None,
            feature_id=row.feature_id if row else None, task_id=task_id,
        )  # fmt: skip
        run = await self.parts.store.run(
            runs.begin,
            self.project,
            order,
            session_id=UUID(int=1),
            boot_id="life",
            host="h",
            now=NOW,
        )
        assert run is not None
        if run.feature_id:
            await self.parts.store.run(runs.worktree_ready, run.feature_id, "c1")
        number = await self.parts.store.run(
            runs.register_process, run.id, kind, "sonnet", "w", now=NOW
        )
        self.process = f"home-{number}"
        return run

    async def call(self, tool: str, **arguments: object) -> ToolReply:
        return await self.tools[tool].handler(ToolCall(self.process, arguments))

    async def answer(self, tool: str, **arguments: object) -> Any:
        reply = await self.call(tool, **arguments)
        assert not reply.refused, reply.text
        return json.loads(reply.text)

    async def refusal(self, tool: str, **arguments: object) -> str:
        reply = await self.call(tool, **arguments)
        assert reply.refused, reply.text
        return reply.text


async def open_workspace(
    folder: Path, ask_wait_s: float = 50, *, nobody_here: bool = False
) -> Services:
    wake = ChangeSignal()
    (folder / "a.sqlite").write_bytes(migrated())
    store = Store(folder / "a.sqlite", on_commit=wake.notify)
    ref = await store.run(
        projects.create, name="Todo", spec_digest="d", practice=True, budget=Decimal(1),
        actor="web:local", now=NOW,
    )  # fmt: skip
    parts = Parts(
        store=store,
        wake=wake,
        workspaces=Worktrees(folder, "home-0"),
        box=cast(Box, None),
        interview_folders=cast(InterviewFolders, None),
        rules=Rules(agents=Agents(ask_wait_s=ask_wait_s)),
        nobody_here=nobody_here,
        clock=lambda: NOW,
        price=lambda usage: Price(Decimal(0), Decimal(0)),
        render_report=lambda report: {},
        prompts={},
        upstream="u",
        practice=True,
        home_hash="home",
        boot_id="life",
        host="h",
        redact=Redaction([TOKEN]),
    )
    return Services(parts, ScriptedProver(), ref.id or 1)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    made = await open_workspace(tmp_path, 0.2)
    yield made
    await made.parts.store.close()


async def coder(services: Services) -> runs.RunRef:
    """A coder with task 1 of an approved plan."""
    await services.begin(AgentKind.PLANNER)
    await services.answer("plan_submit", plan=PLAN)
    approval = await services.parts.store.read(lambda tx: tx.scalars(select(Approval.id)).one())
    await services.parts.store.run(
        approvals.approve, approval, by="p", main="m", max_attempts=5, now=NOW
    )
    return await services.begin(AgentKind.CODER, 1)


def test_every_own_tool_of_every_kind_is_there(tmp_path: Path) -> None:
    services = asyncio.run(open_workspace(tmp_path))
    for kind, profile in PROFILES.items():
        assert set(profile.own_tools) <= set(services.tools), kind
        assert len(profile.own_tools) <= 8
    for name, tool in services.tools.items():
        assert tool.name == name
        assert tool.schema["type"] == "object"
        assert not _titles(tool.schema), name
        assert 0 < len(tool.description) < 120
    assert services.tools["task_get"].read_only
    asyncio.run(services.parts.store.close())


def _titles(schema: Mapping[str, Any]) -> bool:
    """Whether a schema carries titles, which cost bytes in every request."""
    return any(
        (key == "title" and isinstance(value, str)) or (isinstance(value, dict) and _titles(value))
        for key, value in schema.items()
    )


async def test_a_plan_is_taken_and_shown(services: Services) -> None:
    await services.begin(AgentKind.PLANNER)
    assert await services.answer("plan_submit", plan=PLAN) == {"accepted": True, "problems": []}


@pytest.mark.parametrize("wrapped", [{"plan": json.dumps(PLAN)}, PLAN])
async def test_a_plan_may_come_as_text_or_without_its_wrapper(
    services: Services, wrapped: dict[str, Any]
) -> None:
    await services.begin(AgentKind.PLANNER)
    assert (await services.answer("plan_submit", **wrapped))["accepted"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "phases: Field required"),
        ({"phases": []}, "no phases"),
        ({"phases": "many"}, "phases: Input should be"),
        ("not json {", "plan: Input should be"),
        (None, "plan: Input should be"),
        (
            {"phases": [{"name": 3, "features": []}]},
            "phases.0.name: Input should be a valid string",
        ),
        ("[" * 100_000, "plan: Input should be"),
    ],
)
async def test_a_wrong_plan_comes_back_with_what_to_mend(
    services: Services, wrong: object, words: str
) -> None:
    await services.begin(AgentKind.PLANNER)
    answer = await services.answer("plan_submit", plan=wrong)
    assert not answer["accepted"]
    assert any(words in problem for problem in answer["problems"]), answer


@pytest.mark.parametrize("as_text", [False, True])
async def test_half_a_character_is_no_reason_to_fall_over(
    services: Services, as_text: bool
) -> None:
    made = asdict(plan({"a": (task("1", description="a\ud800b", steps=("\udfff",)),)}))
    await services.begin(AgentKind.PLANNER)
    assert (await services.answer("plan_submit", plan=json.dumps(made) if as_text else made))[
        "accepted"
    ]
    approval = await services.parts.store.read(lambda tx: tx.scalars(select(Approval.id)).one())
    await services.parts.store.run(
        approvals.approve, approval, by="p", main="m", max_attempts=5, now=NOW
    )
    found = await services.parts.store.read(lambda tx: tx.scalars(select(Task)).one())
    assert (found.description, found.steps) == ("a?b", ["?"])


async def test_checks_that_the_policy_refuses_are_named(services: Services) -> None:
    await services.begin(AgentKind.PLANNER)
    services.refused["true"] = "not today"
    answer = await services.answer("plan_submit", plan=PLAN)
    assert answer["problems"][0] == "Check 'true' of task '1' is refused: not today"


async def test_five_refused_plans_end_the_run_and_many_problems_are_cut(services: Services) -> None:
    run = await services.begin(AgentKind.PLANNER)
    wrong = asdict(plan({"a": tuple(task(f" {n}") for n in range(50))}))
    problems: list[str] = []
    for n in range(5):
        assert services.ended == []
        problems = (await services.answer("plan_submit", plan=wrong))["problems"]
        assert len(problems) == 31, n
        assert problems[-1] == "… and 20 more problems."
    assert [ended[0] for ended in services.ended] == [run.id]
    refusals = await services.parts.store.read(
        lambda tx: tx.scalars(
            select(JournalEntry).where(JournalEntry.event == Event.PLAN_REFUSED)
        ).all()
    )
    assert [entry.run_id for entry in refusals] == [run.id] * 5
    assert "A plan of planner-1 was refused for 50 problems, first: " in refusals[0].text
    assert refusals[0].data["problems"][0] == problems[0]
    assert (len(refusals[0].data["problems"]), refusals[0].data["count"]) == (SHOWN, 50)


async def test_a_plan_that_is_none_is_kept_with_what_is_wrong(services: Services) -> None:
    await services.begin(AgentKind.PLANNER)
    await services.answer("plan_submit", plan="a plan, as it were")
    text = await services.parts.store.read(
        lambda tx: tx.scalars(
            select(JournalEntry.text).where(JournalEntry.event == Event.PLAN_REFUSED)
        ).one()
    )
    assert text.startswith("A plan of planner-1 was refused for 1 problem, first: ")


async def test_a_task_is_given_verbatim_to_who_holds_it(services: Services) -> None:
    await coder(services)
    found = (await services.answer("task_get", task_id=1))["task"]
    wanted = PLAN["phases"][0]["features"][0]["tasks"][0]
    for name in ("name", "category", "description", "complexity"):
        assert found[name] == wanted[name]
    assert (found["id"], found["attempts"], found["feature"]["name"]) == (1, 0, "a")
    assert list(found) == [
        "id", "name", "category", "description", "steps", "checks", "files", "complexity",
        "attempts", "last_error", "recovery_notes", "feature",
    ]  # fmt: skip
    assert found["feature"] == {"id": 1, "name": "a"}
    assert "Task 2 is not yours; you hold task 1." in await services.refusal("task_get", task_id=2)


async def test_an_assistant_reads_tasks_as_rest_shows_them_with_what_led_there(
    services: Services,
) -> None:
    await coder(services)
    await services.begin(AgentKind.ASSISTANT)
    listed = (await services.answer("task_list", status="in_progress"))["tasks"]
    assert listed == [
        {"id": 1, "name": "1", "feature": "a", "status": "in_progress", "attempts": 0}
    ]
    found = await services.answer("task_get", task_id=1)
    view = await services.parts.store.read(tasks.task, services.project, 1)
    assert found["task"] == json_of.plain(tasks.TaskView, view)
    assert (found["feature"], found["runs"][0]["agent"], len(found["runs"])) == ("a", "coder-1", 1)
    assert found["journal"][-1].endswith("task_started by service: Task 1 1 begins.")
    assert "There is no task 9; they go from 1 to 2." in await services.refusal(
        "task_get", task_id=9
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({}, "task_id: Field required"), ({"task_id": "x"}, "task_id: Input should be a valid")],
)
async def test_wrong_arguments_are_refused_by_name(
    services: Services, arguments: dict[str, object], words: str
) -> None:
    await coder(services)
    for tool in ("task_get", "task_mark_passing", "task_release", "task_skip", "task_mark_failing"):
        assert words in await services.refusal(tool, **arguments)


async def test_a_proof_is_told_with_its_evidence_or_with_what_failed(services: Services) -> None:
    await coder(services)
    services.prover.replies = [
        ProofReply(Verdict.RED, 1, "c", "$ make\nexit 2", 1),
        ProofReply(Verdict.RED, 2, "c", "$ make\nexit 2", 5),
        ProofReply(Verdict.ACCEPTED, 3, "c9", "", 0),
    ]
    first = await services.refusal("task_mark_passing", task_id=1)
    assert "exit 2" in first
    assert "(4 refusals left)" in first
    assert "this run has ended" in await services.refusal("task_mark_passing", task_id=1)
    assert await services.answer("task_mark_passing", task_id=1) == {
        "accepted": True, "evidence": {"id": 3, "commit": "c9"},
    }  # fmt: skip


async def test_a_task_is_let_go_with_the_agents_words(services: Services) -> None:
    await coder(services)
    await services.answer("task_release", task_id=1, reason="no network")
    await services.answer("task_mark_failing", task_id=1)
    await services.answer("task_skip", task_id=1, reason="later")
    assert services.prover.let == [
        (1, "it was given back: no network", False),
        (1, "it cannot be done as written", False),
        (1, "it was put off: later", True),
    ]


async def test_a_question_that_waits_ends_the_turn(services: Services) -> None:
    run = await coder(services)
    answer = await services.answer("ask_person", question="red?", options=["yes", "no"])
    assert answer["asked"] is True
    assert "end your turn" in answer["note"]
    assert await services.parts.store.run(runs.park, run.id, now=NOW)


async def test_options_may_come_as_objects_with_a_label(services: Services) -> None:
    await coder(services)
    given = ["red", {"label": "green", "description": "like grass"}]
    answer = await services.answer("ask_person", question="colour?", options=given)
    assert answer["asked"] is True
    options = await services.parts.store.read(lambda tx: tx.scalars(select(Question.options)).all())
    assert options == [["red", "green"]]


async def test_an_answer_within_the_wait_is_the_tools_result(tmp_path: Path) -> None:
    services = await open_workspace(tmp_path, 60)
    run = await coder(services)
    asking = asyncio.create_task(services.call("ask_person", question="red?"))
    store = services.parts.store
    while not (found := await store.read(lambda tx: tx.scalars(select(Question.id)).all())):
        await asyncio.sleep(0.005)
    await store.run(questions.answer, found[0], "yes, red", by="p", now=NOW)
    assert (await asking).text == "yes, red"
    assert not await store.run(runs.park, run.id, now=NOW), "it is delivered"
    await store.close()


async def test_where_nobody_is_the_agent_decides(tmp_path: Path) -> None:
    services = await open_workspace(tmp_path, nobody_here=True)
    await coder(services)
    assert (await services.call("ask_person", question="red?")).text == NOBODY_HERE
    await services.parts.store.close()


async def test_who_has_no_run_is_told_to_end(services: Services) -> None:
    await coder(services)
    services.process = "home-999"
    for tool, arguments in (
        ("task_get", {"task_id": 1}), ("task_release", {"task_id": 1}),
        ("ask_person", {"question": "?"}), ("plan_submit", {"plan": PLAN}),
    ):  # fmt: skip
        assert "This run has ended. End your turn." in await services.refusal(tool, **arguments)


def _planted(value: Any, text: str, name: str = "") -> Any:
    """The same with a text at the end of each of its texts that names nothing else."""
    if isinstance(value, dict):
        return {key: _planted(each, text, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_planted(each, text, name) for each in value]
    return f"{value} {text}" if isinstance(value, str) and name != "depends_on" else value


async def test_no_piece_of_a_secret_is_kept_that_an_agent_hands_in(services: Services) -> None:
    for text in texts(640):
        await services.begin(AgentKind.PLANNER)
        submitted = _planted(PLAN, text)
        reply = await services.call("plan_submit", plan=submitted)
        as_text = await services.call("plan_submit", plan=json.dumps(submitted))
        asked = await services.call(
            "ask_person", question=text, options=[f"{TOKEN} a", "b"], topic=f"{text} topic"
        )
        for each in (reply, as_text, asked):
            assert not found(each.text), each
        await services.parts.store.run(
            lambda tx: tx.query(Run).update({Run.status: RunStatus.ENDED})
        )
    assert not found(kept(services.parts.store.path))


async def test_what_commands_print_is_looked_through(services: Services, tmp_path: Path) -> None:
    class Printing:
        async def run(self, profile: object, command: str, **_how: object) -> Execution:
            return Execution(command, 1, f"{'.' * 900}{TOKEN}\n", 0.1)

    parts = replace(services.parts, box=cast(Box, Printing()))
    worktree = Worktree(tmp_path, tmp_path, tmp_path, None)
    [result] = await run_checks(parts, worktree, ["true"], process_id="home-0")
    assert result.output == f"{'.' * 900}[redacted]\n"
