"""Start processes in the box, and end them."""

import asyncio
import errno
import os
import re
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import assert_never
from uuid import uuid4

from adapters.sandbox import layout
from adapters.sandbox.death import end_box, end_marked
from adapters.sandbox.levels import REDUCED_COMMAND, Detection, detect
from adapters.sandbox.limits import TASKS, BoxGroups, box_groups
from adapters.sandbox.output import Excerpt, OutputPipe
from core.errors import MissingProgram, NoSandbox
from core.ports.host import BoxLevel, BoxProfile, Execution

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TIMED_OUT = 124
_NOT_RUN = 126
_LOOK_S = 5  # between two looks at the clock
_NAP_S = 2  # later than that: the host slept, or this process was stopped
_BOX_MARKER = "AUTOCODER_BOX"

# Runs outside. The environment is cleaned before the sandbox program starts, because that
# program's own memory can be seen from inside. People wait for the service, nobody for a few
# milliseconds of an agent: hence `nice`. What is open as 8 and 9 tells _INSIDE whether
# the outermost process of the box (this one) and the program still live.
_OUTSIDE = """
ulimit -c 0
{ ulimit -u TASKS || ulimit -p TASKS; } 2>/dev/null
{ echo 500 >/proc/self/oom_score_adj; } 2>/dev/null
JOIN
exec 9<"$1" 8<"/proc/$$/stat" || exit 125
shift
exec nice -n 5 env -i PASSED "$@"
"""

# Runs inside, after it was bound to the death of the outermost process and that one to the
# death of the program. Had one of them died before, no signal would come any more, so look
# once. A zombie still has its /proc entry.
_INSIDE = """
for fd in 8 9; do
  read -r stat <&$fd || exit 125
  case ${stat##*") "} in [ZX]*) exit 125 ;; esac
done
exec 8<&- 9<&-
port=$1 socket=$2
shift 2
if [ "$port" -ne 0 ]; then
  setpriv --pdeathsig KILL socat "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr,nodelay" \
    "UNIX-CONNECT:$socket" </dev/null >/dev/null 2>&1 &
  listening=$(printf ':%04X 00000000:0000 0A' "$port")
  tries=0
  while [ $tries -lt 300 ]; do
    while read -r line; do
      case $line in *"$listening"*) break 2 ;; esac
    done </proc/net/tcp
    tries=$((tries + 1))
    sleep 0.005
  done
fi
"""


@dataclass(frozen=True)
class Sandbox:
    """The sandbox at the level this host gives.

    `readable` (setting `sandbox.read` and the program's own needs) is shown read-only in
    every box; `hidden` (the data folder) stays hidden even if something readable holds it.
    """

    detection: Detection
    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    groups: BoxGroups | None = None

    @property
    def level(self) -> BoxLevel:
        return self.detection.level

    def wrap(self, profile: BoxProfile, argv: Sequence[str]) -> tuple[str, ...]:
        """An argv that runs `argv` in the box; more arguments may be appended.

        It must be started (or exec'd by a script that was started) from the main thread and
        not as leader of a process group: it makes its own session, and dies with this very
        process. Raises MissingProgram without socat if the profile has a gateway.
        """
        if profile.gateway is not None and shutil.which("socat") is None:
            raise MissingProgram(
                "socat is not installed, so an agent cannot reach the model.",
                hint="Install it: apt-get install socat",
            )
        socket, port = profile.gateway or (Path("/"), 0)
        inside = _INSIDE
        match self.level:
            case BoxLevel.FULL:
                head = [
                    "bwrap",
                    *layout.isolation(
                        network=profile.network, disable_userns=self.detection.disable_userns
                    ),
                    *layout.system_folders(network=profile.network),
                    *layout.profile_folders(profile, self.readable, self.hidden),
                ]
                socket = Path(layout.GATEWAY_SOCKET)
                inside += '"$@"\nexit $?\n'  # the shell stays: it is the pid 1 that reaps
            case BoxLevel.REDUCED:
                head = ["setpriv", "--pdeathsig", "KILL", *REDUCED_COMMAND]
                inside = f'cd "$0" || exit 125\n{inside}"$@"\nexit $?\n'
            case BoxLevel.NONE:
                setpriv = shutil.which("setpriv")
                head = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
                inside = f'cd "$0" || exit 125\n{inside}exec "$@"\n'
            case _:
                assert_never(self.level)
        return (
            *("setsid", "sh", "-c", self._outside(profile), "sh"),
            f"/proc/{os.getpid()}/stat",
            *(f"{name}={value}" for name, value in self._environment(profile).items()),
            *head,
            *("sh", "-c", inside, str(profile.work), str(port), str(socket)),
            *argv,
        )

    async def run(self, profile: BoxProfile, command: str, *, timeout: timedelta) -> Execution:
        """Run `/bin/sh -c command`; output beyond 128 KB loses its middle.

        Exit code 126 means that the command could not be started at all.
        """
        marker = uuid4().hex
        if self.level is BoxLevel.NONE:  # no namespace ends what leaves its process group
            profile = replace(profile, env={**profile.env, _BOX_MARKER: marker})
        argv = self.wrap(profile, ("/bin/sh", "-c", command))
        started = time.monotonic()
        excerpt = Excerpt()
        try:
            exit_code = await self._execute(argv, profile, excerpt, timeout)
        except ValueError:
            exit_code, words = _NOT_RUN, "The command holds a NUL byte."
            return Execution(command, exit_code, words, time.monotonic() - started)
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            words = "The command is too long for this system."
            return Execution(command, _NOT_RUN, words, time.monotonic() - started)
        finally:
            if self.level is BoxLevel.NONE:
                end_marked(_BOX_MARKER, marker)
        timed_out = exit_code is None
        return Execution(
            command=command,
            exit_code=_TIMED_OUT if exit_code is None else exit_code,
            output=excerpt.text(),
            seconds=time.monotonic() - started,
            timed_out=timed_out,
        )

    async def _execute(
        self, argv: Sequence[str], profile: BoxProfile, excerpt: Excerpt, timeout: timedelta
    ) -> int | None:
        """The exit code, or None when the time ran out."""
        env = {name: os.environ[name] for name in profile.passed_env if name in os.environ}
        env |= {"PATH": os.environ.get("PATH", ""), "AUTOCODER_PROCESS": profile.process_id}
        with OutputPipe(excerpt) as pipe:
            starting = asyncio.ensure_future(
                asyncio.create_subprocess_exec(
                    *argv[1:],  # the session is made here; that saves starting `setsid`
                    env=env,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=pipe.end,
                    stderr=pipe.end,
                    start_new_session=True,
                )
            )
            try:
                process = await asyncio.shield(starting)
            except asyncio.CancelledError:  # it may have started nevertheless
                process = await starting
                end_box(process.pid)
                await process.wait()
                raise
            pipe.started()
            try:
                code = await _wait(process, timeout.total_seconds())
            finally:
                if process.returncode is None:
                    end_box(process.pid)
                    await process.wait()
        if code is None:
            return None
        return code if code >= 0 else 128 - code

    def _environment(self, profile: BoxProfile) -> Mapping[str, str]:
        if self.level is BoxLevel.FULL:
            path = layout.search_path((*self.readable, *profile.readable))
        else:
            path = os.environ.get("PATH", ":".join(layout.SYSTEM_PATH))
        minimal = {"PATH": path, "HOME": "/tmp", "LANG": "C.UTF-8", "TERM": "dumb"}
        return {**minimal, **profile.env, "AUTOCODER_PROCESS": profile.process_id}

    def _outside(self, profile: BoxProfile) -> str:
        passed = profile.passed_env
        for name in passed:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of an environment variable")
        join = ""
        if self.groups and (file := self.groups.join_file(profile.process_id)):
            join = f"{{ echo 0 >{shlex.quote(str(file))}; }} 2>/dev/null"
        script = _OUTSIDE.replace("TASKS", str(TASKS)).replace("JOIN", join)
        return script.replace(
            "PASSED", " ".join(f'${{{name}+"{name}=${name}"}}' for name in passed)
        )


async def _wait(process: asyncio.subprocess.Process, seconds: float) -> int | None:
    """The exit status, or None when the time is used up.

    Time that this process did not see pass is not used: the host slept, or we were stopped.
    """
    loop = asyncio.get_running_loop()
    left = seconds
    while left > 0:
        part, begun = min(left, _LOOK_S), loop.time()
        try:
            async with asyncio.timeout(part):
                return await process.wait()
        except TimeoutError:
            took = loop.time() - begun
            left -= took if took < part + _NAP_S else 0
    return None


def open_box(
    *, required: bool, readable: Sequence[Path] = (), hidden: Sequence[Path] = ()
) -> Sandbox:
    """The box this host can give; NoSandbox if `required` and that is not FULL."""
    detection = detect()
    if required and detection.level is not BoxLevel.FULL:
        raise NoSandbox(
            f"The sandbox is not to be had on this host: {detection.reason}.", hint=detection.hint
        )
    return Sandbox(detection, tuple(readable), tuple(hidden), box_groups())
