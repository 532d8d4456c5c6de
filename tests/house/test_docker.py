"""The image and its compose file, as far as they can be held without an engine."""

import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest

from bot.settings import CHAT_PLATFORMS, CREDENTIAL_VARIABLES, VARIABLES
from tests.house.sources import ROOT, name, tracked

FOLDER = ROOT / "docker"
STEPS = re.sub(
    r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.M)
)
COMPOSE = re.sub(r"^\s*#.*\n", "", (FOLDER / "compose.yaml").read_text(), flags=re.M)
README = (FOLDER / "README.md").read_text()


def _steps(word: str) -> list[str]:
    return re.findall(rf"^{word} (.*)$", STEPS, re.MULTILINE)


def _block(key: str) -> list[str]:
    """The lines under a key of the compose file, without their dashes."""
    found = re.search(rf"^( *){key}:\n((?:\1 +.*\n?)+)", COMPOSE, re.MULTILINE)
    assert found, key
    return [line.strip().removeprefix("- ").strip('"') for line in found[2].splitlines()]


def _sources() -> list[str]:
    return [
        source
        for step in _steps("COPY")
        if not step.startswith("--from")
        for source in shlex.split(step)[:-1]
    ]


@pytest.mark.parametrize("source", _sources())
def test_what_is_copied_exists_and_is_let_in(source: str) -> None:
    assert (ROOT / source).exists()
    allowed = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert allowed[1] == "*"
    assert f"!{source}" in allowed


def test_the_package_is_copied_whole() -> None:
    wheel = (ROOT / "pyproject.toml").read_text().partition("wheel]\npackages = ")[2]
    packages = set(re.findall(r'"(\w+)"', wheel.splitlines()[0]))
    assert packages
    assert packages <= set(_sources())


def test_nothing_comes_unhashed() -> None:
    installs = [step for step in _steps("RUN") if "pip install" in step]
    assert len(installs) == 2
    assert "--require-hashes -r requirements.lock" in installs[0]
    assert "--no-deps --no-build-isolation ." in installs[1]


def test_it_runs_as_an_ordinary_user_under_an_init() -> None:
    assert _steps("USER") == ["autocoder"]
    last_stage = STEPS.rpartition("\nFROM ")[2]
    assert last_stage.index("\nUSER ") < last_stage.index("\nENTRYPOINT ")
    assert re.search(r"useradd --uid [1-9]\d{3,}", last_stage)
    assert _steps("ENTRYPOINT") == ['["tini", "--", "autocoder"]']
    assert _steps("CMD")[-1] == '["serve"]'
    assert "privileged" not in COMPOSE.replace("no-new-privileges", "")
    assert "cap_add" not in COMPOSE
    assert _block("cap_drop") == ["ALL"]


def test_the_home_is_a_volume() -> None:
    home = re.search(r"AUTOCODER_HOME=(\S+)", STEPS)
    assert home
    assert _steps("VOLUME") == [home[1]]
    assert _block("volumes")[0] == f"home:{home[1]}"
    assert re.search(rf"install -d -o autocoder .* {home[1]}\b", STEPS)


def test_the_port_is_published_on_loopback_only() -> None:
    (port,) = _block("ports")
    assert port.startswith("127.0.0.1:")
    assert "/healthz" in _steps("HEALTHCHECK")[0]


def test_it_has_time_to_stop() -> None:
    grace = re.search(r"stop_grace_period: (\d+)s", COMPOSE)
    assert grace
    assert int(grace[1]) > 5  # what the service may take


def test_variables_come_by_name_and_are_known() -> None:
    given = [line.partition(":")[::2] for line in _block("environment")]
    assert {word for word, _ in given} <= set(VARIABLES)
    assert set(CREDENTIAL_VARIABLES) <= {word for word, _ in given}
    secret = {
        *CREDENTIAL_VARIABLES,
        *(token for tokens in CHAT_PLATFORMS.values() for token in tokens),
    }
    assert [word for word, value in given if word in secret and value.strip()] == []


def test_the_readme_says_why_each_option_is_there() -> None:
    options = [*_block("security_opt"), "cap_drop", "read_only", "stop_grace_period"]
    assert [option for option in options if f"`{option}" not in README] == []
    assert "Untried with Docker itself" in README


def test_no_address_is_named() -> None:
    files = [path for path in tracked() if fnmatch(name(path), "docker/*") and path.is_file()]
    assert len(files) >= 4
    found = {(path.name, host) for path in files for host in _hosts(path)}
    assert {host for _, host in found} <= {"127.0.0.1", "localhost"}


def _hosts(path: Path) -> list[str]:
    text = path.read_text()
    images = re.findall(r"^FROM (\S+)/", text, re.MULTILINE)
    return images + re.findall(r"https?://([\w.-]+)", text)
