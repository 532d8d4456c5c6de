"""Settings: where from, which wins, and what is wrong with them in words."""

from dataclasses import FrozenInstanceError, fields
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.settings import ModelSource, derived_host_parallel, load
from core.domain.rules import SECTIONS, OnStuck
from core.errors import BadSetting

ENVIRON = {"HOME": "/home/someone"}


def _write(home: Path, text: str) -> None:
    (home / "autocoder.toml").write_text(text, encoding="utf-8")


def _problems(environ: dict[str, str], home: Path) -> list[str]:
    with pytest.raises(BadSetting) as raised:
        load({**ENVIRON, **environ}, home)
    return str(raised.value).splitlines()


def test_defaults_need_nothing() -> None:
    settings = load({"HOME": "/nowhere/at/all"})
    assert settings.home == Path("/nowhere/at/all/.autocoder")
    assert settings.database == settings.home / "autocoder.db"
    assert settings.model is ModelSource.PRACTICE
    assert settings.rules.agents.max_parallel == 3
    assert settings.rules.budget.project_usd == Decimal(20)
    assert (settings.host, settings.port) == ("127.0.0.1", 8710)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    _write(tmp_path, "[agents]\nmax_parallel = 2\nbatch = 1\n[budget]\nrun_usd = 0.1\n")
    settings = load({**ENVIRON, "AUTOCODER_AGENTS__MAX_PARALLEL": "7"}, tmp_path)
    assert settings.rules.agents.max_parallel == 7
    assert settings.rules.agents.batch == 1
    assert settings.rules.budget.run_usd == Decimal("0.1")


def test_the_flag_wins_over_the_variable(tmp_path: Path) -> None:
    assert load({**ENVIRON, "AUTOCODER_HOME": "/elsewhere"}, tmp_path).home == tmp_path
    assert load({**ENVIRON, "AUTOCODER_HOME": "~/data"}).home == Path("/home/someone/data")


@pytest.mark.parametrize("text", ["haiku,opus", ' ["haiku", "opus"]', "haiku , opus,"])
def test_lists_from_the_environment(tmp_path: Path, text: str) -> None:
    settings = load({**ENVIRON, "AUTOCODER_MODELS__CHAIN": text}, tmp_path)
    assert settings.rules.models.chain == ("haiku", "opus")


def test_none_takes_a_limit_away(tmp_path: Path) -> None:
    _write(tmp_path, '[budget]\nday_usd = 3\n[agents]\nhost_parallel = "none"\n')
    settings = load({**ENVIRON, "AUTOCODER_BUDGET__DAY_USD": "none"}, tmp_path)
    assert settings.rules.budget.day_usd is None
    assert settings.rules.agents.host_parallel is None


def test_an_unknown_key_is_named_with_the_nearest(tmp_path: Path) -> None:
    _write(tmp_path, "[agents]\nmax_paralel = 2\n")
    [problem] = _problems({}, tmp_path)
    assert "`agents.max_paralel`" in problem
    assert str(tmp_path / "autocoder.toml") in problem
    assert problem.endswith("Did you mean `agents.max_parallel`?")


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("AUTOCODER_AGENTS__MAX_PARALEL", "agents.max_parallel"),
        ("AUTOCODER_AGENT__MAX_TURNS", "agents.max_turns"),
        ("AUTOCODER_BUDGET__MAX_TURNS", "agents.max_turns"),
    ],
)
def test_an_unknown_variable_is_named_too(tmp_path: Path, variable: str, nearest: str) -> None:
    [problem] = _problems({variable: "3"}, tmp_path)
    assert variable in problem
    assert problem.endswith(f"Did you mean `{nearest}`?")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("AGENTS__MAX_PARALLEL", "0"),
        ("AGENTS__MAX_PARALLEL", "many"),
        ("AGENTS__MAX_PARALLEL", "2.5"),
        ("AGENTS__MAX_PARALLEL", ""),
        ("AGENTS__SILENCE_S", "nan"),
        ("AGENTS__SILENCE_S", "inf"),
        ("AGENTS__SILENCE_S", "-1"),
        ("AGENTS__ASK_WAIT_S", "61"),
        ("AGENTS__ON_STUCK", "cry"),
        ("BUDGET__PROJECT_USD", "0"),
        ("BUDGET__PROJECT_USD", "NaN"),
        ("BUDGET__PROJECT_USD", "1e99"),
        ("BUDGET__PROJECT_USD", "0.0000001"),
        ("MODELS__CHAIN", ""),
        ("MODELS__CHAIN", "opus,opus"),
        ("MODELS__CHAIN", "[1"),
        ("MODELS__CODER", "two words"),
        ("PROOF__STRICT", "perhaps"),
        ("SANDBOX__READ", "relative/path"),
        ("SANDBOX__READ", "/a/../b"),
        ("SLACK__COMMAND", "autocoder"),
        ("PRACTICE__LATENCY_S", "-1"),
        ("PRACTICE__LATENCY_S", "61"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, key: str, value: str) -> None:
    [problem] = _problems({f"AUTOCODER_{key}": value}, tmp_path)
    assert key.lower().replace("__", ".") in problem


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    _write(tmp_path, "[agents]\nbatch = 0\nnope = 1\n[budget]\nrun_usd = true\n")
    problems = _problems({"AUTOCODER_MODEL": "gpt", "AUTOCODER_PORT": "x"}, tmp_path)
    assert len(problems) == 5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[agents\n", "line 1"),
        (b"[agents]\n\nmax_parallel = = 3\n", "line 3"),
        (b"\xff\xfe", "not UTF-8"),
        (b"agents = 3\n", "[agents]"),
        (b"max_parallel = 3\n", "agents.max_parallel"),
    ],
)
def test_a_broken_file_says_where(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "autocoder.toml").write_bytes(content)
    [problem] = _problems({}, tmp_path)
    assert str(tmp_path) in problem
    assert words in problem


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "autocoder.toml").mkdir()
    [problem] = _problems({}, tmp_path)
    assert "cannot be read" in problem


def test_the_home_is_never_shown_to_agents(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path.parent, Path("/"), tmp_path / "projects"):
        [problem] = _problems({"AUTOCODER_SANDBOX__READ": str(path)}, tmp_path)
        assert "autocoder's own data" in problem
    beside = tmp_path.with_name("toolchain")
    settings = load({**ENVIRON, "AUTOCODER_SANDBOX__READ": f"{beside},~/.pyenv"}, tmp_path)
    assert settings.rules.sandbox.read == (beside, Path("/home/someone/.pyenv"))


def test_a_link_to_the_home_does_not_show_it_either(tmp_path: Path) -> None:
    home, link = tmp_path / "home", tmp_path / "link"
    home.mkdir()
    link.symlink_to(home)
    [problem] = _problems({"AUTOCODER_SANDBOX__READ": str(link)}, home)
    assert "autocoder's own data" in problem


@pytest.mark.parametrize(
    "variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"]
)
def test_a_credential_chooses_the_real_model_and_is_never_shown(variable: str) -> None:
    settings = load({**ENVIRON, variable: " very-secret "})
    assert settings.model is ModelSource.CLAUDE
    assert settings.credential is not None
    assert settings.credential.secret.get_secret_value() == "very-secret"
    assert "very-secret" not in f"{settings!r} {settings!s} {settings.model_dump_json()}"


def test_an_address_or_an_empty_credential_is_none() -> None:
    environ = {**ENVIRON, "ANTHROPIC_BASE_URL": "http://127.0.0.1:9/", "ANTHROPIC_API_KEY": " "}
    settings = load(environ)
    assert settings.model is ModelSource.PRACTICE
    assert settings.base_url == "http://127.0.0.1:9"
    assert load({**environ, "AUTOCODER_MODEL": "claude"}).model is ModelSource.CLAUDE


@pytest.mark.parametrize(
    "url", ["localhost:80", "ftp://x", "http://", "http://[", "http://x:99999"]
)
def test_a_wrong_address_is_named(tmp_path: Path, url: str) -> None:
    [problem] = _problems({"ANTHROPIC_BASE_URL": url}, tmp_path)
    assert "ANTHROPIC_BASE_URL" in problem


def test_another_database_is_refused_without_its_password(tmp_path: Path) -> None:
    [problem] = _problems({"AUTOCODER_DATABASE_URL": "postgresql://u:secret@h/d"}, tmp_path)
    assert "AUTOCODER_DATABASE_URL" in problem
    assert "secret" not in problem
    settings = load({**ENVIRON, "AUTOCODER_DATABASE_URL": "sqlite:////tmp/x.db"}, tmp_path)
    assert settings.database == Path("/tmp/x.db")


def test_who_is_an_admin_anyway_is_warned_of_not_refused() -> None:
    settings = load(ENVIRON | {"AUTOCODER_ADMINS": "web:local, slack:U1"})
    assert settings.admins == ("slack:U1",)
    assert settings.warnings == (
        "AUTOCODER_ADMINS names web:local: whoever holds the web token is always an admin.",
    )
    assert load(ENVIRON | {"AUTOCODER_ADMINS": "slack:U1"}).warnings == ()


def test_settings_do_not_change() -> None:
    settings = load(ENVIRON)
    with pytest.raises(FrozenInstanceError):
        settings.rules.agents.max_parallel = 9  # type: ignore[misc]  # this is what must fail
    assert settings.rules.agents.on_stuck is OnStuck.ASK


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5))
def test_any_environment_is_read_or_refused_in_words(extra: dict[str, str]) -> None:
    environ = ENVIRON | {f"AUTOCODER_{key}": value for key, value in extra.items()}
    try:
        assert load(environ).rules.agents.max_parallel >= 1
    except BadSetting as error:
        assert str(error)


@given(st.sampled_from(sorted(SECTIONS)), st.data())
def test_any_value_of_any_key_is_read_or_refused_in_words(
    section: str, data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from([key.name for key in fields(SECTIONS[section])]))
    value = data.draw(st.text(max_size=30) | st.integers().map(str) | st.floats().map(str))
    try:
        load(ENVIRON | {f"AUTOCODER_{section}__{key}".upper(): value})
    except BadSetting as error:
        assert f"{section}.{key}" in str(error)


@given(st.integers(1, 512), st.integers(0, 1 << 42))
def test_a_host_has_room_for_at_least_one_agent(cores: int, memory: int) -> None:
    assert 1 <= derived_host_parallel(cores, memory) <= 4 * cores
