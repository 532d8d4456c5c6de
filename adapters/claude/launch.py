"""How a Claude CLI is started: program, folders, environment, options.

The SDK merges our own environment into the CLI's. What keeps it out is the box: the CLI is started
by a script that execs the box, which begins with an empty environment and lets through by name
what the SDK itself sets.
"""

import hashlib
import importlib.util
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.claude.gateway import CredentialKind, Door
from core.domain.agents import AgentKind
from core.errors import MissingProgram
from core.ports.agents import RunRequest
from core.ports.host import Box, BoxLevel, BoxProfile

# Every name that claude_agent_sdk 0.2.184 sets for its child, besides PWD, which the box sets.
SDK_VARIABLES = (
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_AGENT_SDK_VERSION",
    "CLAUDE_AGENT_SDK_CLIENT_APP",
    "CLAUDE_AGENT_SDK_DERIVED_CLIENT_APP",
    "CLAUDE_CODE_SDK_READS_SESSION_STATE",
    "CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING",
)

_NO_WORD = re.compile(r"[^a-zA-Z0-9]")
_LONGEST_NAME = 200  # of a folder of transcripts, without its hash
_HOUR_MS = "3600000"
_DAY_MS = "86400000"
_PORT_IN_BOX = 8711  # the box's own loopback, so any number will do

_ENVIRONMENT = {
    "NO_PROXY": "127.0.0.1",
    "IS_SANDBOX": "1",  # else bypassPermissions is refused as root
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    # Waiting and failing: ours. A hung stream ends after 3 minutes, a request after 10.
    "CLAUDE_CODE_MAX_RETRIES": "2",
    "API_TIMEOUT_MS": "600000",
    "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS": "180000",
    # Our checks may take long: a tool call is neither cut nor sent to the background.
    "MCP_TOOL_TIMEOUT": _DAY_MS,
    "CLAUDE_CODE_MCP_TOOL_IDLE_TIMEOUT": "0",
    "CLAUDE_CODE_SDK_MCP_TOOL_IDLE_TIMEOUT": "0",
    "CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS": "0",
    "CLAUDE_CODE_DISABLE_MCP_TASK_BACKGROUND": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "BASH_MAX_TIMEOUT_MS": _HOUR_MS,
    # `cd` in one Bash call does not move the next one, nor relative paths of Read and Write.
    "CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR": "1",
    # Words that are not ours, and bytes that buy nothing.
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_BUNDLED_SKILLS": "1",
    "CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1",
    "CLAUDE_CODE_DISABLE_FILE_CHECKPOINTING": "1",
    "CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS": "1",
    "CLAUDE_CODE_DISABLE_TERMINAL_TITLE": "1",
    "CLAUDE_CODE_DISABLE_WORKFLOWS": "1",
    "CLAUDE_CODE_SILENT_TURN_REMINDER": "0",
}

# No attribution lines (agents cannot commit); transcripts stay for resuming after weeks.
SETTINGS = json.dumps(
    {"attribution": {"commit": "", "pr": ""}, "cleanupPeriodDays": 3650}, separators=(",", ":")
)


def find_cli() -> Path:
    """The CLI bundled with the SDK, else `claude` on PATH. Raises MissingProgram."""
    spec = importlib.util.find_spec("claude_agent_sdk")  # not imported: that takes half a second
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "_bundled" / "claude"
        if bundled.is_file():
            return bundled
    found = shutil.which("claude")
    if found is None:
        raise MissingProgram(
            "The Claude CLI is not installed.", hint="Install claude-agent-sdk with its bundle."
        )
    return Path(found).resolve()


@dataclass(frozen=True)
class AgentFolders:
    """What an agent of one kind keeps of one worktree: the same for each of its processes.

    So a session can be resumed by another process after a restart.
    """

    root: Path

    @property
    def config(self) -> Path:
        """CLAUDE_CONFIG_DIR; transcripts live below `projects`."""
        return self.root / "config"

    @property
    def home(self) -> Path:
        return self.root / "home"

    def make(self) -> None:
        for folder in (self.config, self.home):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def holds(self, session_id: str, work: Path) -> bool:
        """Whether the CLI, begun in `work`, finds the transcript of a session here.

        It looks in a folder named after `work`; the home may have moved since it wrote there.
        """
        name = _NO_WORD.sub("-", str(work))
        if len(name) > _LONGEST_NAME:  # then a hash of the CLI's own belongs to it
            return any(self._transcripts(session_id, f"{name[:_LONGEST_NAME]}-*"))
        wanted = self.config / "projects" / name
        if not any(self._transcripts(session_id, name)):
            for found in self._transcripts(session_id, "*"):
                wanted.mkdir(mode=0o700, exist_ok=True)
                found.rename(wanted / found.name)
                return True
        return (wanted / f"{session_id}.jsonl").exists()

    def set_aside(self, session_id: str) -> None:
        """A transcript that the CLI finds nothing in: its disk was full when it was written."""
        for found in self._transcripts(session_id, "*"):
            found.replace(found.with_suffix(".unreadable"))

    def _transcripts(self, session_id: str, folder: str) -> Iterator[Path]:
        return (self.config / "projects").glob(f"{folder}/{session_id}.jsonl")


def agent_folders(home: Path, kind: AgentKind, work: Path) -> AgentFolders:
    """Named after where `work` lies in the home, so that a home may move."""
    place = work.relative_to(home) if work.is_relative_to(home) else work
    digest = hashlib.sha256(str(place).encode()).hexdigest()[:16]
    return AgentFolders(home / "agents" / f"{kind}-{digest}")


def box_profile(
    request: RunRequest,
    door: Door,
    folders: AgentFolders,
    cli: Path,
    level: BoxLevel,
    credential: CredentialKind,
) -> BoxProfile:
    """What the CLI sees; at a level without an own network the door is on loopback itself."""
    boxed = level is BoxLevel.FULL
    port = _PORT_IN_BOX if boxed else door.port
    env = _ENVIRONMENT | {
        "HOME": str(folders.home),
        "CLAUDE_CONFIG_DIR": str(folders.config),
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
        credential.value: door.placeholder,
    }
    return BoxProfile(
        work=request.work,
        process_id=door.process_id,
        git_dir=request.git_dir,
        writable=(folders.config, folders.home),
        readable=(cli.parent,),
        env=env,
        passed_env=SDK_VARIABLES,
        gateway=(door.socket, port) if boxed and door.socket and port else None,
    )


def write_script(folders: AgentFolders, profile: BoxProfile, box: Box, cli: Path) -> Path:
    """The program the SDK starts: it leaves its pid beside itself, then becomes the box."""
    script = folders.root / f"cli-{profile.process_id}"
    argv: Sequence[str] = box.wrap(profile, [str(cli)])
    text = f"#!/bin/sh\necho $$ > {shlex.quote(str(pid_file(script)))}\n"
    script.write_text(f'{text}exec {shlex.join(argv)} "$@"\n')
    script.chmod(0o700)
    return script


def pid_file(script: Path) -> Path:
    return script.with_suffix(".pid")
