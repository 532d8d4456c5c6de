"""The gate and the judge of shell commands, without a CLI."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from claude_agent_sdk import HookContext
from claude_agent_sdk.types import PreToolUseHookInput

from adapters.claude.gate import Gate
from adapters.claude.judge import BashJudge
from core.domain.agents import AgentKind
from tests.contract.agent_parts import run_request


async def free() -> None:
    """Nothing holds the tools up."""


@pytest.fixture(scope="module")
def judge() -> BashJudge:
    return BashJudge("test-0")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "src").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (folder / "out").symlink_to(tmp_path / "other")
    (folder / "in").symlink_to(folder / "src")
    return folder


def gate(work: Path, judge: BashJudge, kind: AgentKind = AgentKind.CODER) -> Gate:
    request = run_request(work, kind=kind)
    return Gate(request, judge.within(work), free=free, readable=(work.parent / "kept",))


@pytest.mark.parametrize(
    ("name", "arguments", "passes"),
    [
        ("Write", {"file_path": "{work}/a"}, True),
        ("Write", {"file_path": "a"}, True),
        ("Write", {"file_path": "src/../a"}, True),
        ("Write", {"file_path": "in/a"}, True),
        ("Write", {"file_path": "out/a"}, False),
        ("Write", {"file_path": "../work2/a"}, False),
        ("Write", {"file_path": "{work}2/a"}, False),
        ("Write", {"file_path": "{work}/../other/a"}, False),
        ("Write", {"file_path": "/etc/passwd"}, False),
        ("Write", {"file_path": ".git/config"}, False),
        ("Write", {"file_path": "src/.git/config"}, False),
        ("Write", {"file_path": ".gitignore"}, True),
        ("Write", {"file_path": ".github/workflows/x.yml"}, True),
        ("Write", {"file_path": ""}, False),
        ("Write", {"file_path": 5}, False),
        ("Write", {"file_path": "a\0b"}, False),
        ("Write", {}, False),
        ("Edit", {"file_path": "out/a"}, False),
        ("Read", {"file_path": "src/a"}, True),
        ("Read", {"file_path": "/etc/passwd"}, False),
        ("Read", {"file_path": ".git/HEAD"}, False),
        ("Read", {"file_path": "{work}/../kept/result.txt"}, True),
        ("Write", {"file_path": "{work}/../kept/result.txt"}, False),
        ("Read", {}, False),
        ("Glob", {"pattern": "**/*.py"}, True),
        ("Glob", {"pattern": "*", "path": "src"}, True),
        ("Glob", {"pattern": "*", "path": "/"}, False),
        ("Glob", {"pattern": "/etc/*"}, False),
        ("Glob", {"pattern": "../*"}, False),
        ("Glob", {"pattern": "~/*"}, False),
        ("Glob", {}, False),
        ("Grep", {"pattern": "x"}, True),
        ("Grep", {"pattern": "../x", "path": "."}, True),
        ("Grep", {"pattern": "x", "path": "out"}, False),
        ("Bash", {"command": "ls {work}/src"}, True),
        ("Bash", {"command": "rm -rf {work}/src"}, True),
        ("Bash", {"command": "rm -rf ../other"}, False),
        ("Write", {"file_path": "~/a"}, False),
        ("Bash", {"command": "ls", "run_in_background": True}, False),
        ("Bash", {"command": ["ls"]}, False),
        ("Bash", {}, False),
        ("Task", {"prompt": "x"}, False),
        ("WebFetch", {"url": "x"}, False),
        ("NotebookEdit", {"notebook_path": "a"}, False),
        ("mcp__autocoder__task_get", {}, True),
        ("mcp__autocoder__plan_submit", {}, False),
        ("mcp__other__task_get", {}, False),
    ],
)
async def test_what_a_coder_may(
    work: Path, judge: BashJudge, name: str, arguments: dict[str, object], passes: bool
) -> None:
    filled = {
        key: value.replace("{work}", str(work)) if isinstance(value, str) else value
        for key, value in arguments.items()
    }
    objection = await gate(work, judge).objection(name, filled)
    assert (objection is None) is passes, objection


async def test_a_planner_may_read_only(work: Path, judge: BashJudge) -> None:
    planner = gate(work, judge, AgentKind.PLANNER)
    assert await planner.objection("Read", {"file_path": "src/a"}) is None
    for name in ("Write", "Edit", "Bash"):
        assert await planner.objection(name, {"file_path": "a", "command": "ls"}) is not None
    request = run_request(work, kind=AgentKind.CODER, writes=False)
    reader = Gate(request, judge.within(work), free=free)
    assert await reader.objection("Write", {"file_path": "a"}) is not None
    assert await reader.objection("Bash", {"command": "ls"}) is not None


async def test_relative_paths_become_absolute(work: Path, judge: BashJudge) -> None:
    given: PreToolUseHookInput = {
        "session_id": str(uuid4()),
        "transcript_path": "",
        "cwd": str(work / "src"),
        "hook_event_name": "PreToolUse",
        "tool_name": "Write",
        "tool_input": {"file_path": "a.txt", "content": "x"},
        "tool_use_id": "toolu_1",
    }
    answer = await gate(work, judge).hook(given, None, HookContext(signal=None))
    assert answer == {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": "allow",
            "updatedInput": {"file_path": str(work / "a.txt"), "content": "x"},
        }
    }


@pytest.mark.parametrize(
    "command",
    [
        "",
        "   ",
        "ls )",
        "if true",
        "echo 'open",
        "ls\0",
        "ls " + "x" * 200_000,
        "(" * 600 + "1" + ")" * 600,
        "(" * 3_000 + "ls" + ")" * 3_000,
        "$(" * 2_000 + "ls" + ")" * 2_000,
        "ls \ud800",
        'bash -c \'bash -c "bash -c \\"ls"\'',
    ],
)
async def test_what_cannot_be_parsed_is_refused(judge: BashJudge, command: str) -> None:
    verdict = await judge(command)
    assert not verdict.allowed
    assert verdict.reason


@pytest.mark.parametrize("command", [" && ".join(["ls"] * 200), "(" * 40 + "1" + ")" * 40])
async def test_what_nests_as_people_write_it_is_judged(judge: BashJudge, command: str) -> None:
    assert (await judge(command)).allowed


async def test_scripts_inside_scripts_are_judged(judge: BashJudge) -> None:
    assert (await judge("sh -c 'cd sub && make test'")).allowed
    assert not (await judge("sh -c 'cd sub && curl x'")).allowed
    assert not (await judge("bash -c 'bash -c \"trap curl EXIT\"'")).allowed


async def test_settings_add_programs() -> None:
    assert not (await BashJudge("test-0")("terraform plan")).allowed
    assert (await BashJudge("test-0", extra={"terraform"})("terraform plan")).allowed


async def test_verdicts_are_remembered_per_folder(judge: BashJudge) -> None:
    for _ in range(2):
        assert (await judge.within(Path("/srv/a"))("rm -rf /srv/a/x")).allowed
        assert not (await judge.within(Path("/srv/b"))("rm -rf /srv/a/x")).allowed
        assert not (await judge("rm -rf /srv/a/x")).allowed


async def test_no_tool_touches_the_worktree_while_checks_run(work: Path, judge: BashJudge) -> None:
    still = asyncio.Event()
    held = Gate(run_request(work), judge.within(work), free=still.wait)
    given = PreToolUseHookInput(
        session_id="", transcript_path="", cwd="", hook_event_name="PreToolUse", tool_name="Write",
        tool_input={"file_path": "a"}, tool_use_id="t",
    )  # fmt: skip
    asked = asyncio.create_task(held.hook(given, "t", HookContext(signal=None)))
    await asyncio.sleep(0.05)
    assert not asked.done()
    still.set()
    assert "deny" not in str(await asked)
