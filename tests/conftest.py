"""No test sees this host's credentials, settings or git configuration; none depends on its speed."""

import os

import pytest
from hypothesis import HealthCheck, settings

from bot.settings import CREDENTIAL_VARIABLES, PREFIX

_HIDDEN = (*CREDENTIAL_VARIABLES, "ANTHROPIC_BASE_URL", "CLAUDE_CONFIG_DIR")

# How long an example takes says how busy the host is, and nothing about the code.
settings.register_profile(
    "autocoder", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("autocoder")


@pytest.fixture(scope="session", autouse=True)
def _hermetic_environment() -> None:
    for name in list(os.environ):
        if name in _HIDDEN or name.startswith((PREFIX, "GIT_AUTHOR_", "GIT_COMMITTER_")):
            del os.environ[name]
    os.environ["AUTOCODER_PRACTICE__LATENCY_S"] = "0"  # nobody watches
    os.environ["GIT_CONFIG_GLOBAL"] = os.devnull
    os.environ["GIT_CONFIG_SYSTEM"] = os.devnull
