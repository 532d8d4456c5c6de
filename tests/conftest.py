"""No test sees this host's credentials, settings or git configuration."""

import os

import pytest

from bot.settings import CREDENTIAL_VARIABLES, PREFIX

_HIDDEN = (*CREDENTIAL_VARIABLES, "ANTHROPIC_BASE_URL", "CLAUDE_CONFIG_DIR")


@pytest.fixture(scope="session", autouse=True)
def _hermetic_environment() -> None:
    for name in list(os.environ):
        if name in _HIDDEN or name.startswith((PREFIX, "GIT_AUTHOR_", "GIT_COMMITTER_")):
            del os.environ[name]
    os.environ["GIT_CONFIG_GLOBAL"] = os.devnull
    os.environ["GIT_CONFIG_SYSTEM"] = os.devnull
