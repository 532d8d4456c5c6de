"""Settings: what a person may set, where from, and what is wrong with it, in words.

Defaults, then `autocoder.toml` in the home, then `AUTOCODER_SECTION__KEY` of the environment.
The environment is read once, by `load`; nothing else in autocoder looks at it.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from bot.data.home import chosen_home
from bot.setting_values import nearest, shown, validated, words
from core.domain.people import LOCAL
from core.domain.rules import SECTIONS, Rules
from core.errors import BadSetting

PREFIX: Final = "AUTOCODER_"
FILE_NAME: Final = "autocoder.toml"
GIB: Final = 1 << 30
HOME_LENGTH: Final = 400  # bytes; SQLite opens no path of more than 511

# In the order in which the Claude CLI itself prefers them.
CREDENTIAL_VARIABLES: Final = (
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_API_KEY",
    "CLAUDE_CODE_OAUTH_TOKEN",
)

_NEEDLESS: Final = (
    f"AUTOCODER_ADMINS names {LOCAL}: whoever holds the web token is always an admin."
)
CHAT_PLATFORMS: Final = {  # beside the web, and the variables that each wants
    "slack": ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"),
    "discord": ("DISCORD_TOKEN",),
}
PERSON: Final = re.compile(rf"(?:web|{'|'.join(CHAT_PLATFORMS)}):[A-Za-z0-9._-]{{1,64}}")

VARIABLES: Final[dict[str, str]] = {
    "AUTOCODER_HOME": "Data folder: database, transcripts, projects, worktrees, logs (`~/.autocoder`).",
    "AUTOCODER_DATABASE_URL": "SQLAlchemy URL of the database (a SQLite file in the home).",
    "AUTOCODER_HOST": "Address of the web chat (127.0.0.1).",
    "AUTOCODER_PORT": "Its port (8710); 0 takes a free one.",
    "AUTOCODER_MODEL": "`claude` or `practice`. Without it: `claude` where a credential is found.",
    "AUTOCODER_ADMINS": "Comma list of chat users who are admins: `slack:U…`, `discord:…`.",
    "ANTHROPIC_AUTH_TOKEN": "A credential; sent as `Authorization`.",
    "ANTHROPIC_API_KEY": "A credential; sent as `x-api-key`.",
    "CLAUDE_CODE_OAUTH_TOKEN": "A credential, made by `claude setup-token`; sent as `Authorization`.",
    "ANTHROPIC_BASE_URL": "Where the agents' model requests go (Anthropic's own API).",
}


class ModelSource(StrEnum):
    CLAUDE = "claude"
    PRACTICE = "practice"


class Credential(BaseModel):
    """What the gateway shows the model's server; no agent ever holds it."""

    model_config = ConfigDict(frozen=True)

    variable: str
    secret: SecretStr


class Settings(BaseModel):
    """Everything a person set, read once at the start."""

    model_config = ConfigDict(frozen=True)

    home: Path
    database: Path
    host: str
    port: int
    admins: tuple[str, ...]  # slack:U…, discord:…
    chat_tokens: dict[str, SecretStr]  # by variable, those that are set
    model: ModelSource
    credential: Credential | None
    base_url: str | None
    rules: Rules
    warnings: tuple[str, ...] = ()  # what was set in vain

    @property
    def projects(self) -> Path:
        return self.home / "projects"

    def secrets(self, web_token: str | None) -> list[str]:
        """What must stand in no log, card or export."""
        known = [secret.get_secret_value() for secret in self.chat_tokens.values()]
        if self.credential is not None:
            known.append(self.credential.secret.get_secret_value())
        return [*known, web_token] if web_token else known


def load(environ: Mapping[str, str], home: Path | None = None) -> Settings:
    """Read the settings. `home` is the `--home` of the command line and wins over AUTOCODER_HOME.

    Raises BadSetting, which names every unknown or wrong key and where it came from.
    """
    person = environ.get("HOME") or str(Path.home())
    place = chosen_home(home, environ)
    if len(os.fsencode(place)) > HOME_LENGTH:
        raise BadSetting(
            f"The path of the home has more than {HOME_LENGTH} bytes: {str(place)[:60]}…",
            hint="Give a shorter one with --home or AUTOCODER_HOME.",
        )
    problems: list[str] = []
    given = _from_file(place / FILE_NAME, problems)
    given |= _from_environment(environ, problems)
    rules = _rules(given, place, Path(person), problems)
    base_url = _base_url(environ, problems)
    port = _port(environ, problems)
    database = _database(environ, place, problems)
    credential = _credential(environ)
    source = _model_source(environ, credential, problems)
    admins = _admins(environ, problems)
    if problems:
        raise BadSetting("\n".join(problems), hint="All keys stand in docs/reference/settings.md.")
    return Settings(
        home=place,
        database=database,
        host=environ.get("AUTOCODER_HOST", "").strip() or "127.0.0.1",
        port=port,
        admins=tuple(person for person in admins if person != LOCAL),
        warnings=(_NEEDLESS,) if LOCAL in admins else (),
        chat_tokens={
            name: SecretStr(value)
            for wanted in CHAT_PLATFORMS.values()
            for name in wanted
            if (value := environ.get(name, "").strip())
        },
        model=source,
        credential=credential,
        base_url=base_url,
        rules=rules,
    )


def derived_host_parallel(cores: int, memory_bytes: int) -> int:
    """Agents at once on a host of this size: an agent mostly waits for its model.

    An agent takes some 120 MB; the builds and tests it starts take the rest of the half gigabyte.
    """
    return max(1, min(4 * cores, memory_bytes // (GIB // 2)))


@dataclass(frozen=True)
class _Given:
    """A value somebody set, and where."""

    value: object
    origin: str  # how messages name the key, with its place


def _from_file(path: Path, problems: list[str]) -> dict[tuple[str, str], _Given]:
    try:
        document = tomllib.loads(path.read_bytes().decode(), parse_float=Decimal)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        problems.append(f"{path} cannot be read: {error.strerror}.")
        return {}
    except UnicodeDecodeError as error:
        problems.append(f"{path} is not UTF-8 (byte {error.start}).")
        return {}
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path} is not TOML: {error}.")
        return {}
    given: dict[tuple[str, str], _Given] = {}
    for section, table in document.items():
        if isinstance(table, dict):
            for key, value in table.items():
                name = (section, key)
                given[name] = _Given(value, f"`{section}.{key}` in {path}")
        elif section in SECTIONS:
            problems.append(
                f"`{section}` in {path} is a section: write `[{section}]` above its keys."
            )
        else:
            given["", section] = _Given(table, f"`{section}` in {path}")
    return given


def _from_environment(
    environ: Mapping[str, str], problems: list[str]
) -> dict[tuple[str, str], _Given]:
    given: dict[tuple[str, str], _Given] = {}
    for variable, value in environ.items():
        if variable.startswith(PREFIX) and "__" in variable:
            section, _, key = variable.removeprefix(PREFIX).lower().partition("__")
            given[section, key] = _Given(value, f"`{section}.{key}` (from {variable})")
    return given


def _rules(
    given: Mapping[tuple[str, str], _Given], home: Path, person: Path, problems: list[str]
) -> Rules:
    known = {name: [key.name for key in fields(kind)] for name, kind in SECTIONS.items()}
    raw: dict[str, dict[str, object]] = {name: {} for name in SECTIONS}
    for (section, key), entry in given.items():
        if key in known.get(section, ()):
            raw[section][key] = entry.value
        else:
            problems.append(f"{entry.origin} is unknown.{nearest(section, key, known)}")
    sections: dict[str, Any] = {}
    for section, kind in SECTIONS.items():
        try:
            sections[section] = validated(kind, raw[section])
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_context=True):
                entry = given[section, str(detail["loc"][0])]
                problems.append(f"{entry.origin} is {shown(entry.value)}: {words(detail)}.")
    rules = Rules(**sections)
    read = tuple(_toolchain(path, home, person, problems) for path in rules.sandbox.read)
    return replace(rules, sandbox=replace(rules.sandbox, read=read))


def _toolchain(path: Path, home: Path, person: Path, problems: list[str]) -> Path:
    if path.parts[:1] == ("~",):
        path = person.joinpath(*path.parts[1:])
    if not path.is_absolute() or ".." in path.parts or "\0" in str(path):
        problems.append(f"`sandbox.read`: {path} is not an absolute path without `..`.")
    elif home.resolve().is_relative_to(path.resolve()) or path.resolve().is_relative_to(
        home.resolve()
    ):
        problems.append(
            f"`sandbox.read`: {path} would show autocoder's own data ({home}) to agents. "
            "Name the toolchain's folder itself."
        )
    return path


def _base_url(environ: Mapping[str, str], problems: list[str]) -> str | None:
    text = environ.get("ANTHROPIC_BASE_URL", "").strip()
    if not text:
        return None
    try:
        parts = urlsplit(text)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fit = False
    if not fit:
        problems.append(f"ANTHROPIC_BASE_URL is {shown(text)}: an http or https address is wanted.")
    return text.rstrip("/")


def _port(environ: Mapping[str, str], problems: list[str]) -> int:
    text = environ.get("AUTOCODER_PORT", "").strip() or "8710"
    if text.isascii() and text.isdigit() and int(text) <= 65_535:
        return int(text)
    problems.append(f"AUTOCODER_PORT is {shown(text)}: a number from 0 to 65535 is wanted.")
    return 0


def _admins(environ: Mapping[str, str], problems: list[str]) -> tuple[str, ...]:
    found = [each.strip() for each in environ.get("AUTOCODER_ADMINS", "").split(",")]
    problems.extend(
        f"AUTOCODER_ADMINS names {shown(person)}: slack:U…, discord:… or web:NAME is wanted."
        for person in filter(None, found)
        if not PERSON.fullmatch(person)
    )
    return tuple(filter(None, found))


def _database(environ: Mapping[str, str], home: Path, problems: list[str]) -> Path:
    text = environ.get("AUTOCODER_DATABASE_URL", "").strip()
    if not text:
        return home / "autocoder.db"
    scheme, _, path = text.partition(":///")
    if scheme not in ("sqlite", "sqlite+pysqlite") or not path.startswith("/") or "?" in path:
        # The value may hold a password, so it is not repeated.
        problems.append(
            "AUTOCODER_DATABASE_URL: only SQLite works as yet, as sqlite:////absolute/path.db."
        )
    return Path(path)


def _credential(environ: Mapping[str, str]) -> Credential | None:
    for variable in CREDENTIAL_VARIABLES:
        if secret := environ.get(variable, "").strip():
            return Credential(variable=variable, secret=SecretStr(secret))
    return None


def _model_source(
    environ: Mapping[str, str], credential: Credential | None, problems: list[str]
) -> ModelSource:
    text = environ.get("AUTOCODER_MODEL", "").strip()
    if not text:
        return ModelSource.CLAUDE if credential else ModelSource.PRACTICE
    try:
        return ModelSource(text)
    except ValueError:
        problems.append(f"AUTOCODER_MODEL is {shown(text)}: claude or practice is wanted.")
        return ModelSource.PRACTICE
