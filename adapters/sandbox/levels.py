"""Which level of the box this host can give, found by trying, and why not more."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.sandbox import layout
from core.ports.host import BoxLevel

REDUCED_COMMAND = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
_TRIAL_SECONDS = 10


@dataclass(frozen=True)
class Detection:
    """What this host can do, in words for `autocoder check`."""

    level: BoxLevel
    reason: str = ""  # why FULL is not to be had; empty at FULL
    hint: str = ""  # how to mend it
    disable_userns: bool = False  # bubblewrap >= 0.8 can forbid further user namespaces
    missing: tuple[str, ...] = ()  # programs that are not installed


def detect() -> Detection:
    """Try the levels from the best down; takes some 20 ms."""
    wanted = ("bwrap", "socat", "setpriv", "unshare", "setsid", "env")
    missing = tuple(name for name in wanted if shutil.which(name) is None)
    if "bwrap" in missing:
        reason = "bubblewrap is not installed"
        hint = "Install it: apt-get install bubblewrap socat"
    elif "socat" in missing:
        reason = "socat is not installed, so agents in the box cannot reach the model"
        hint = "Install it: apt-get install socat"
    elif other := [name for name in missing if name in ("setpriv", "setsid", "env")]:
        reason = f"{', '.join(other)} not found"
        hint = "Install them: apt-get install util-linux coreutils"
    else:
        failure = ""
        for disable_userns in (True, False):
            failure = _try_bubblewrap(disable_userns)
            if not failure:
                return Detection(BoxLevel.FULL, disable_userns=disable_userns)
        reason = f"bubblewrap cannot make its namespaces: {failure}"
        hint = (
            "Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1; "
            "kernel.apparmor_restrict_unprivileged_userns=0), or in a container "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined --cap-add SYS_ADMIN."
        )
    reduced = not {"unshare", "setpriv"} & set(missing) and not _fails([*REDUCED_COMMAND, "true"])
    level = BoxLevel.REDUCED if reduced else BoxLevel.NONE
    return Detection(level, reason, hint, missing=missing)


def unseen_toolchains(path: str, readable: Sequence[Path]) -> tuple[Path, ...]:
    """Folders to propose for `sandbox.read`: tools on the host's PATH that a box hides.

    `path` is the host's PATH. A tool that the box also finds in /usr is not named.
    """
    found: list[Path] = []
    for tool in ("python3", "node", "cargo", "go", "java", "ruby", "deno", "bun"):
        if shutil.which(tool, path=layout.search_path(readable)):
            continue
        program = shutil.which(tool, path=path)
        if program is None:
            continue
        folder = Path(program).parent.parent
        if folder not in found:
            found.append(folder)
    return tuple(found)


def _try_bubblewrap(disable_userns: bool) -> str:
    options = layout.isolation(network=False, disable_userns=disable_userns)
    command = ["bwrap", *options, *layout.system_folders(network=False)]
    return _fails([*command, "--remount-ro", "/", "true"])


def _fails(argv: Sequence[str]) -> str:
    """The words of a failed trial; empty when it worked."""
    env = {"PATH": os.environ.get("PATH", ":".join(layout.SYSTEM_PATH)), "LC_ALL": "C"}
    try:
        done = subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TRIAL_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"{argv[0]} did not answer within {_TRIAL_SECONDS} s"
    except OSError as error:
        return f"{argv[0]}: {error.strerror}"
    if done.returncode == 0:
        return ""
    words = done.stderr.decode("utf-8", "replace").strip()
    return re.sub(r"\s+", " ", words)[:300] or f"{argv[0]} ended with {done.returncode}"
