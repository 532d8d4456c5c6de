"""The locks: everything pinned and hashed, nothing said about where it comes from."""

import re
import tomllib

import pytest

from tests.house.sources import ROOT

LOCKS = ("requirements.lock", "requirements-dev.lock")
ENTRY = re.compile(r"^([a-z0-9][a-z0-9.-]*)==(\S+)(?: ; [^\\]+)? \\$")


def _pins(lock: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes by package."""
    pins: dict[str, tuple[str, int]] = {}
    last = ""
    for line in (ROOT / lock).read_text().splitlines():
        if entry := ENTRY.match(line):
            last = entry[1]
            pins[last] = (entry[2], 0)
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line), line
            version, hashes = pins[last]
            pins[last] = (version, hashes + 1)
    return pins


@pytest.mark.parametrize("lock", LOCKS)
def test_holds_pins_and_hashes_and_nothing_else(lock: str) -> None:
    pins = _pins(lock)
    assert pins
    assert [package for package, (_, hashes) in pins.items() if hashes == 0] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_has_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert (
        re.findall(r"://|--index|--extra-index|--find-links|--trusted-host| @ |\bfile:", text) == []
    )


def test_development_has_the_same_versions() -> None:
    run, development = (_pins(lock) for lock in LOCKS)
    assert {package: pin for package, pin in run.items() if development.get(package) != pin} == {}


def test_everything_that_is_wanted_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    run, development = (_pins(lock) for lock in LOCKS)
    assert _names([*project["dependencies"], *extras["build"]]) - set(run) == set()
    assert _names(extras["dev"]) - set(development) == set()


def test_nothing_needed_for_a_build_comes_unhashed() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = document["build-system"]["requires"]
    assert wanted == document["project"]["optional-dependencies"]["build"]


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~\[ ;]", each)[0].replace(".", "-").lower() for each in requirements}
