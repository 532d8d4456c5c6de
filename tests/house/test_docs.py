"""The documents are held to the code."""

import re
import shlex
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

import docs.generate
from adapters.web.app import ROUTERS
from bot.cards import CARDS
from bot.cli import app
from bot.commands import COMMANDS, parsing
from bot.settings import CREDENTIAL_VARIABLES, VARIABLES
from core.domain.agents import PROFILES, AgentKind
from core.domain.cards import Label
from core.domain.events import MEANINGS, CardKind, Event
from core.domain.rules import SECTIONS, Models
from core.errors import AutocoderError
from tests.house.sources import ROOT, documents, make_targets, name

README = (ROOT / "README.md").read_text()
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# People have set these in their homes: names and defaults stay.
FIXED = {
    "agents.max_parallel": "3",
    "agents.host_parallel": "None",
    "agents.silence_s": "3600",
    "agents.check_timeout_s": "600",
    "agents.max_attempts": "5",
    "agents.max_turns": "80",
    "agents.max_minutes": "60",
    "agents.backoff_max_s": "300",
    "agents.regression_ratio": "1",
    "agents.batch": "3",
    "agents.on_stuck": "ask",
    "models.chain": "('haiku', 'sonnet', 'opus')",
    "models.planner": "opus",
    "models.coder": "sonnet",
    "budget.project_usd": "20",
    "budget.run_usd": "5",
    "budget.day_usd": "None",
    "chat.edit_interval_s": "1",
    "proof.strict": "False",
    "sandbox.required": "True",
    "sandbox.read": "()",
    "gates.remind_after_s": "86400",
    "slack.command": "/autocoder",
}


@pytest.mark.parametrize("page", docs.generate.pages())
def test_generated_pages_are_current(page: str) -> None:
    written = (docs.generate.REFERENCE / page).read_text(encoding="utf-8")
    assert written == docs.generate.pages()[page], "run `make docs`"


def test_every_route_says_what_it_is_for() -> None:
    described = docs.generate.http().splitlines()
    rows = [line.split(" | ") for line in described if re.match(r"\| `(GET|POST|P)", line)]
    assert len(rows) > 30
    assert [row[0] for row in rows if len(row[-1].strip(" |.")) < 8] == []


def test_readme_has_two_commands() -> None:
    shell = [
        body.strip() for kind, body in FENCE.findall(README) if kind in {"sh", "bash", "shell"}
    ]
    assert shell == ["make run", "make test"]
    below = README.partition("make test")[2]
    assert [
        word for word in ("demo", "check", "test-slow", "bench") if f"`make {word}`" not in below
    ] == []


def test_make_targets_that_are_named_exist() -> None:
    named = {
        (name(path), target)
        for path in documents()
        for target in re.findall(r"`make ([a-z-]+)", path.read_text())
    }
    assert {word for _, word in named} >= {"check", "docs", "lock"}
    assert {entry for entry in named if entry[1] not in make_targets()} == set()


def test_ci_runs_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert re.search(r"\bmake test\b", script)
    assert re.search(r"\bmake check\b", script)


def test_commands_that_are_named_exist() -> None:
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    for path in documents():
        for word in re.findall(r"`autocoder ([a-z]+)", path.read_text()):
            assert word in command.commands, f"{name(path)} names `autocoder {word}`"


def test_every_command_says_what_it_does() -> None:
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    assert [word for word, each in command.commands.items() if not (each.help or "").strip()] == []


def test_settings_keep_the_contract() -> None:
    defaults = {
        f"{section}.{field.name}": str(field.default)
        for section, kind in SECTIONS.items()
        for field in fields(kind)
    }
    assert {key: defaults.get(key) for key in FIXED} == FIXED


def test_every_setting_is_described() -> None:
    bare = [
        f"{section}.{field.name}"
        for section, kind in SECTIONS.items()
        for field in fields(kind)
        if not field.metadata["about"]
    ]
    assert bare == []


def test_every_kind_of_agent_has_a_model_and_a_profile() -> None:
    assert set(AgentKind) <= {field.name for field in fields(Models)}
    assert set(PROFILES) == set(AgentKind)


def test_credentials_are_documented() -> None:
    assert set(CREDENTIAL_VARIABLES) <= set(VARIABLES)


def test_every_event_is_documented() -> None:
    assert set(MEANINGS) == set(Event), "say what it means in core/domain/events.py"


def test_every_card_and_button_is_documented() -> None:
    assert set(CARDS) == set(CardKind), "say what it shows in bot/cards/__init__.py"
    assert set(docs.generate.BUTTONS) == set(Label), "say what it does in docs/generate.py"


def test_every_route_and_metric_is_documented() -> None:
    """The page is made from the routers; the application shall not have others."""
    assert set(map(id, ROUTERS)) == set(map(id, docs.generate.routers()))
    assert len(docs.generate.routes()) >= 30
    assert len(re.findall(r"^\| `autocoder_", docs.generate.metrics(), re.MULTILINE)) >= 8


def test_every_error_stands_in_the_tree_and_speaks() -> None:
    kinds = docs.generate.error_classes()
    assert AutocoderError in kinds
    tree = docs.generate.errors().partition("```")[2].partition("```")[0]
    assert [kind.__name__ for kind in kinds if not re.search(rf"\b{kind.__name__}\b", tree)] == []
    assert [kind.__name__ for kind in kinds if not kind.__doc__] == []


@pytest.mark.parametrize("path", documents(), ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


HOW_TO = [path for path in documents() if "reference" not in path.parts]


@pytest.mark.parametrize("path", HOW_TO, ids=name)
def test_command_lines_that_are_shown_are_understood(path: Path) -> None:
    """`autocoder …` in a shell example parses; so does each `/autocoder …` of the chat."""
    command = get_command(app)
    for words in _shell_lines(path.read_text()):
        group, rest = command, words
        while isinstance(group, TyperGroup) and rest and rest[0] in group.commands:
            group, rest = group.commands[rest[0]], rest[1:]
        assert rest == words or group is not command, f"{name(path)}: {words}"
        group.make_context("autocoder", list(rest))
    for line in _chat_lines(path.read_text()):
        spec, arguments = parsing.find(line, COMMANDS)
        parsing.parse(spec, arguments, ["todo-api"], here=False)


def _shell_lines(text: str) -> list[list[str]]:
    """What is given to `autocoder` in the shell examples of a document."""
    examples = [body for kind, body in FENCE.findall(text) if kind == "sh"]
    lines = "\n".join(examples).replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        for at, word in enumerate(words):
            in_container = words[at - 2 : at] == ["exec", "autocoder"]
            if word.endswith("bin/autocoder") or (word == "autocoder" and (in_container or not at)):
                found.append(words[at + 1 :])
    return found


def _chat_lines(text: str) -> list[str]:
    """The chat commands that a document shows with their arguments, not as a pattern."""
    shown = re.findall(r"`(/autocoder [^`]+)`", text) + [
        line
        for kind, body in FENCE.findall(text)
        if kind == "text"
        for line in body.splitlines()
        if line.startswith("/autocoder ")
    ]
    return [line for line in shown if not re.search(r"\b[A-Z]{3,}\b|…|\|", line)]


def test_places_that_are_named_exist() -> None:
    """`core/domain/lifecycle.py` in a document is a file, `core/domain` a folder."""
    places = re.compile(r"`((?:bot|core|adapters|mcp_server|tests|docs|\.ci)/[\w./-]*)`")
    gone = {
        (name(path), place)
        for path in documents()
        for place in places.findall(path.read_text())
        if not (ROOT / place).exists()
    }
    assert gone == set()


def test_changelog_knows_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
