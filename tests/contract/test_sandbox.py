"""`Sandbox` keeps the `Box` port's promise: what an agent tries from inside finds nothing."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.sandbox.levels import Detection, detect, unseen_toolchains
from adapters.sandbox.sandbox import Sandbox, open_box
from core.errors import NoSandbox
from core.ports.host import Box, BoxLevel, BoxProfile, Execution

DETECTED = detect()
SECRET = "s3cret-of-the-host"
TEN_SECONDS = timedelta(seconds=10)

needs_full = pytest.mark.skipif(
    DETECTED.level is not BoxLevel.FULL, reason=f"no full sandbox here: {DETECTED.reason}"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder with a database, a project and two worktrees."""
    home = tmp_path / "home"
    for folder in ("projects/shop/.git/worktrees/core", "worktrees/shop/core", "worktrees/shop/b"):
        (home / folder).mkdir(parents=True)
    for secret in ("autocoder.db", "web-token", "worktrees/shop/b/code", "projects/shop/code"):
        (home / secret).write_text(SECRET)
    (home / "projects/shop/.git/config").write_text("[core]\n")
    (home / "worktrees/shop/core/.git").write_text(f"gitdir: {home}/projects/shop/.git\n")
    return home


@pytest.fixture
def profile(home: Path) -> BoxProfile:
    return BoxProfile(
        work=home / "worktrees/shop/core",
        process_id=f"test{os.getpid()}-1",
        git_dir=home / "projects/shop/.git",
    )


@pytest.fixture
def box(home: Path) -> Sandbox:
    return open_box(required=True, hidden=(home,))


async def run(
    box: Box, profile: BoxProfile, command: str, timeout: timedelta = TEN_SECONDS
) -> Execution:
    return await box.run(profile, command, timeout=timeout)


async def python(box: Box, profile: BoxProfile, code: str) -> str:
    done = await run(box, profile, f"python3 - <<'END'\n{code}\nEND")
    assert done.exit_code == 0, done.output
    return done.output.strip()


def marked(process_id: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "environ").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if f"AUTOCODER_PROCESS={process_id}".encode() in words:
            found.append(int(entry.name))
    return found


def gone(process_id: str, seconds: float = 2.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not marked(process_id):
            return True
        time.sleep(0.01)
    return not marked(process_id)


# Commands


def test_a_required_box_is_full_or_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("setpriv", "unshare", "setsid", "env", "true", "sh"):
        program = shutil.which(name)
        assert program is not None
        (tmp_path / name).symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoSandbox, match="bubblewrap is not installed") as caught:
        open_box(required=True)
    assert "apt-get" in caught.value.hint
    weaker = open_box(required=False)
    assert weaker.level is not BoxLevel.FULL
    assert weaker.detection.missing == ("bwrap", "socat")


@needs_full
def test_a_forbidden_namespace_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = detect()
    assert found.level is not BoxLevel.FULL
    assert "No permissions to create new namespace" in found.reason
    assert found.hint


@needs_full
async def test_a_command_runs_in_the_working_folder(box: Sandbox, profile: BoxProfile) -> None:
    done = await run(box, profile, "pwd; echo out; echo err >&2; echo new > file; cat; exit 3")
    assert done.exit_code == 3
    assert done.output == f"{profile.work}\nout\nerr\n"
    assert not done.timed_out
    assert (profile.work / "file").read_text() == "new\n"
    assert (await run(box, profile, "python3 --version && command -v python3")).exit_code == 0


@needs_full
@pytest.mark.parametrize(
    ("command", "code"),
    [("true", 0), ("nonsense-xyz", 127), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("(", 2)],
)
async def test_exit_codes(box: Sandbox, profile: BoxProfile, command: str, code: int) -> None:
    assert (await run(box, profile, command)).exit_code == code


@needs_full
@pytest.mark.parametrize("command", ["echo a\0b", "true " + "x" * 3_000_000])
async def test_a_command_that_cannot_be_started(
    box: Sandbox, profile: BoxProfile, command: str
) -> None:
    done = await run(box, profile, command)
    assert done.exit_code == 126
    assert done.output


@needs_full
async def test_output_without_end_is_held_small(box: Sandbox, profile: BoxProfile) -> None:
    done = await run(
        box, profile, "echo first; yes 123456789 | head -c 1000000000; echo last",
        timedelta(seconds=60),
    )  # fmt: skip
    assert done.exit_code == 0
    assert done.output.startswith("first\n123")
    assert done.output.endswith("789\nlast\n")
    assert "bytes cut out" in done.output
    assert len(done.output) < 140_000
    assert done.seconds < 20


@needs_full
async def test_output_of_every_length_is_whole(box: Sandbox, profile: BoxProfile) -> None:
    for size in (0, 1, 65_536, 65_537, 131_072):
        done = await run(box, profile, f"head -c {size} /dev/zero | tr '\\0' x")
        assert len(done.output) == size
    done = await run(box, profile, "printf '\\303'; sleep 0.05; printf '\\244\\377'")
    assert done.output == "ä\ufffd"


@needs_full
async def test_time_runs_out(box: Sandbox, profile: BoxProfile) -> None:
    command = "echo begun; setsid sleep 77 & trap '' TERM INT; (while :; do sleep 1; done)"
    done = await run(box, profile, command, timedelta(seconds=0.4))
    assert (done.exit_code, done.timed_out) == (124, True)
    assert done.output == "begun\n"
    assert done.seconds < 5
    assert marked(profile.process_id) == []


@needs_full
async def test_nothing_outlives_the_call(box: Sandbox, profile: BoxProfile) -> None:
    for _ in range(5):
        done = await run(
            box, profile, "setsid sleep 77 >/dev/null 2>&1 & (setsid sh -c 'sleep 77 &' &) ; echo x"
        )
        assert done.output == "x\n"
        assert done.seconds < 5
        assert marked(profile.process_id) == []


@needs_full
@pytest.mark.parametrize("after", [0.0, 0.002, 0.005, 0.008, 0.012, 0.2])
async def test_a_cancelled_call_leaves_nothing(
    box: Sandbox, profile: BoxProfile, after: float
) -> None:
    for _ in range(5):
        task = asyncio.create_task(run(box, profile, "setsid sleep 77 & sleep 77"))
        await asyncio.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert marked(profile.process_id) == []


@needs_full
@pytest.mark.slow
async def test_a_fork_bomb_harms_its_own_box_alone(
    box: Sandbox, home: Path, profile: BoxProfile
) -> None:
    if os.getuid() == 0 and box.groups is None:
        pytest.skip("root can be limited by a control group only, and there is none here")
    code = (
        "import os, time\n"
        "for _ in range(12000):\n"
        "    try:\n"
        "        if os.fork() == 0: time.sleep(60)\n"
        "    except BlockingIOError:\n"
        "        open('held', 'w'); time.sleep(60)\n"
    )
    command = f'python3 -c "{code}"'
    bomb = asyncio.create_task(run(box, profile, command, timedelta(seconds=60)))
    while not (profile.work / "held").exists():
        assert not bomb.done()
        await asyncio.sleep(0.05)
    other = BoxProfile(home / "worktrees/shop/b", f"{profile.process_id}-other")
    assert (await run(box, other, "(true) && echo fine")).output == "fine\n"
    bomb.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bomb
    assert marked(profile.process_id) == []


@needs_full
async def test_the_environment_is_the_profiles(
    box: Sandbox, home: Path, profile: BoxProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", SECRET)
    monkeypatch.setenv("PASSED", 'it\'s $HOME "x"')
    own = BoxProfile(
        profile.work, profile.process_id, env={"OWN": "a b"}, passed_env=("PASSED", "NOT_SET")
    )
    done = await run(box, own, "env -0 | tr '\\0' '\\n' | sort")
    names = {line.partition("=")[0] for line in done.output.splitlines()}
    shell = {"PWD", "SHLVL", "_", "OLDPWD"}
    minimal = {"PATH", "HOME", "LANG", "TERM", "AUTOCODER_PROCESS"}
    assert names - shell == minimal | {"OWN", "PASSED"}
    assert 'PASSED=it\'s $HOME "x"' in done.output
    assert f"AUTOCODER_PROCESS={profile.process_id}" in done.output
    with pytest.raises(ValueError, match="x;id"):
        box.wrap(BoxProfile(profile.work, "p", passed_env=("x;id",)), ("true",))


# What an agent tries from inside


@needs_full
async def test_the_hosts_files_are_hidden(box: Sandbox, home: Path, profile: BoxProfile) -> None:
    code = f"""
import os
found = []
for top, folders, files in os.walk("/"):
    folders[:] = [f for f in folders if os.path.join(top, f) not in ("/usr", "/proc", "/dev")]
    for name in files:
        try:
            if b"{SECRET[:5]}" + b"{SECRET[5:]}" in open(os.path.join(top, name), "rb").read():
                found.append(os.path.join(top, name))
        except OSError:
            pass
print(found)
print(os.listdir("/root"), os.listdir("/home"), os.listdir("/run"))
print(sorted(os.listdir("{home}")), os.listdir("{home}/worktrees/shop"))
print(os.listdir("{home}/projects/shop"))
for path in ("/etc/shadow", "/etc/ssl/private", "/sys", "/dev/mem", "/dev/kmsg", "/proc/kcore"):
    try:
        open(path, "rb").read(1)
        print("read", path)
    except IsADirectoryError:
        print("listed", path)
    except OSError:
        pass
"""
    assert (await python(box, profile, code)).splitlines() == [
        "[]",
        "[] [] []",
        "['projects', 'worktrees'] ['core']",
        "['.git']",
    ]


@needs_full
async def test_nothing_but_the_worktree_is_written(
    box: Sandbox, home: Path, profile: BoxProfile
) -> None:
    command = f"""
cd /
for path in {home}/projects/shop/.git/x {home}/projects/shop/.git/config /usr/x /etc/x /x \
    /etc/passwd {profile.work}/.git /proc/sys/kernel/core_pattern /proc/sys/vm/swappiness \
    /proc/sysrq-trigger /proc/sys/kernel/modprobe; do
  [ -e $path ] && old=$(cat $path 2>/dev/null)
  (echo "$old" > $path) 2>/dev/null && echo "wrote $path"
done
rm -f {profile.work}/.git 2>/dev/null && echo removed
mv {profile.work}/.git {profile.work}/moved 2>/dev/null && echo moved
mv {profile.work} {profile.work}2 2>/dev/null && echo moved the tree
mount -o remount,rw /usr 2>/dev/null && echo remounted
mount -o remount,rw /proc 2>/dev/null && echo remounted
umount {profile.work}/.git 2>/dev/null && echo unmounted
touch {profile.work}/fine /tmp/fine && echo fine
"""
    assert (await run(box, profile, command)).output == "fine\n"
    assert (home / "projects/shop/.git/config").read_text() == "[core]\n"
    assert not (home / "projects/shop/.git/x").exists()


@needs_full
async def test_a_git_link_does_not_choose_what_is_mounted(
    box: Sandbox, home: Path, profile: BoxProfile
) -> None:
    (profile.work / ".git").unlink()
    (profile.work / ".git").symlink_to(home / "autocoder.db")
    assert SECRET not in (await run(box, profile, "cat .git")).output


@needs_full
async def test_no_more_rights_are_to_be_had(box: Sandbox, profile: BoxProfile) -> None:
    code = """
import ctypes, os
status = dict(l.split(":", 1) for l in open("/proc/self/status").read().splitlines())
print([status[k].strip() for k in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")])
libc = ctypes.CDLL(None, use_errno=True)
for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000)):
    print(name, libc.unshare(flag))
print(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None), libc.chroot(b"/tmp"))
print(libc.mknod(b"/tmp/disk", 0o60600, os.makedev(254, 0)))
try:
    os.setuid(1); print("setuid")
except OSError as error:
    print("kept")
"""
    lines = (await python(box, profile, code)).splitlines()
    zero = "0" * 16
    assert lines[0] == str([zero, zero, zero, zero, "1"])
    if DETECTED.disable_userns:
        assert lines[1] == "user -1"
    assert lines[2:4] == ["mount -1", "net -1"]
    assert lines[4:] == ["-1 -1", "-1", "kept"]


@needs_full
async def test_processes_outside_are_out_of_reach(box: Sandbox, profile: BoxProfile) -> None:
    env = {**os.environ, "HOST_SECRET": SECRET}
    outside = subprocess.Popen(["sleep", "77"], env=env)
    code = f"""
import os, signal
text = b""
for pid in (p for p in os.listdir("/proc") if p.isdigit()):
    for name in ("environ", "cmdline"):
        text += open(f"/proc/{{pid}}/{{name}}", "rb").read()
    assert int(pid) < 50, pid
print(b"{SECRET[:5]}" + b"{SECRET[5:]}" in text)
for pid in ({outside.pid}, {os.getpid()}):
    try:
        os.kill(pid, signal.SIGKILL)
        print("killed", pid)
    except ProcessLookupError:
        pass
    try:
        open(f"/proc/{{pid}}/mem", "rb"); print("memory of", pid)
    except OSError:
        pass
for pid in ("1", "self"):
    print(os.path.exists(f"/proc/{{pid}}/root/work"), os.path.exists(f"/proc/{{pid}}/root/boot"))
    for fd in os.listdir(f"/proc/{{pid}}/fd"):
        if int(fd) > 2 and os.path.exists(f"/proc/{{pid}}/fd/{{fd}}/."):
            print(pid, fd, os.readlink(f"/proc/{{pid}}/fd/{{fd}}"))
"""
    try:
        answer = (await python(box, profile, code)).splitlines()
        # The listing of /proc/self/fd shows its own descriptor.
        assert [line for line in answer if not line.startswith("self ")] == [
            "False",
            "False False",
            "False False",
        ]
        assert outside.poll() is None
    finally:
        outside.kill()
        outside.wait()


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[tuple[int, str, str]]:
    """A loopback port, an abstract socket and a socket file of the host, all answering."""
    abstract, path = f"autocoder-test-{os.getpid()}", str(tmp_path / "host.sock")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as file,
    ):
        unix.bind(f"\0{abstract}")
        unix.listen()
        file.bind(path)
        file.listen()
        yield tcp.getsockname()[1], abstract, path


@needs_full
async def test_the_network_is_not_there(
    box: Sandbox, profile: BoxProfile, listeners: tuple[int, str, str]
) -> None:
    port, abstract, path = listeners
    code = f"""
import socket
def attempt(family, address):
    with socket.socket(family) as s:
        s.settimeout(1)
        try:
            s.connect(address); print("reached", address)
        except OSError:
            pass
attempt(socket.AF_INET, ("127.0.0.1", {port}))
attempt(socket.AF_INET6, ("::1", {port}))
attempt(socket.AF_INET, ("1.1.1.1", 53))
attempt(socket.AF_UNIX, "\\0{abstract}")
attempt(socket.AF_UNIX, "{path}")
print([name for _, name in socket.if_nameindex()])
try:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print("raw")
except OSError:
    pass
with socket.create_server(("127.0.0.1", 0)) as own:
    attempt(socket.AF_INET, own.getsockname())
"""
    first, *rest = (await python(box, profile, code)).splitlines()
    assert first == "['lo']"
    assert len(rest) == 1
    assert "127.0.0.1" in rest[0]


@needs_full
async def test_setup_has_the_hosts_network_and_nothing_else_of_it(
    box: Sandbox, home: Path, profile: BoxProfile, listeners: tuple[int, str, str]
) -> None:
    setup = BoxProfile(profile.work, profile.process_id, network=True)
    port, _, path = listeners
    code = f"""
import os, socket
socket.create_connection(("127.0.0.1", {port}), 2).close()
print(os.path.exists("/etc/resolv.conf"), os.path.exists("{path}"), os.path.exists("{home}/web-token"))
"""
    expected = Path("/etc/resolv.conf").exists()
    assert await python(box, setup, code) == f"{expected} False False"


@needs_full
async def test_only_what_is_named_is_read(home: Path, profile: BoxProfile, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    (tools / "bin").mkdir(parents=True)
    (tools / "bin" / "hello-tool").write_text("#!/bin/sh\necho hello\n")
    (tools / "bin" / "hello-tool").chmod(0o755)
    inner = home / "tools"
    inner.mkdir()
    (inner / "x").write_text("shown")
    private = tmp_path / "private"
    private.mkdir()
    box = open_box(required=True, readable=(tmp_path, tools, inner), hidden=(home,))
    own = BoxProfile(profile.work, profile.process_id, writable=(private,))
    done = await run(
        box, own, f"hello-tool; cat {inner}/x; touch {private}/y; ls {home}; touch {tools}/z"
    )
    assert done.output.splitlines()[:3] == ["hello", "showntools", "worktrees"]
    assert "Read-only file system" in done.output
    assert (private / "y").exists()


@needs_full
def test_toolchains_that_the_box_hides_are_proposed(tmp_path: Path) -> None:
    (tmp_path / "node" / "bin").mkdir(parents=True)
    for name in ("bun", "python3"):
        (tmp_path / "node" / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "node" / "bin" / name).chmod(0o755)
    path = f"{tmp_path}/node/bin:/usr/bin:/bin"
    assert unseen_toolchains(path, ()) == (tmp_path / "node",)
    assert unseen_toolchains(path, (tmp_path / "node",)) == ()


# Agents: wrapped processes


def echo_server(path: Path) -> threading.Thread:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with listener, connection:
            if words := connection.recv(100):
                connection.sendall(b"gateway:" + words)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def levels() -> list[Detection]:
    found = [DETECTED] if DETECTED.level is BoxLevel.FULL else []
    if subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"]).returncode == 0:
        found.append(Detection(BoxLevel.REDUCED))
    return [*found, Detection(BoxLevel.NONE)]


each_level = pytest.mark.parametrize("detection", levels(), ids=lambda found: found.level)

TALK = (
    "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
    "s.sendall(b'hello'); print(s.recv(100).decode(), sys.argv[2:])"
)


@each_level
def test_the_gateway_is_reached_and_arguments_are_appended(
    detection: Detection, profile: BoxProfile, tmp_path: Path
) -> None:
    thread = echo_server(tmp_path / "gateway.sock")
    port = free_port()
    own = BoxProfile(profile.work, profile.process_id, gateway=(tmp_path / "gateway.sock", port))
    argv = Sandbox(detection).wrap(own, ("/usr/bin/python3", "-c", TALK, str(port)))
    assert argv[0] == "setsid"
    done = subprocess.run([*argv, "more", "a b"], capture_output=True, text=True, timeout=20)
    assert done.stdout == "gateway:hello ['more', 'a b']\n", done.stderr
    thread.join(5)
    assert gone(profile.process_id)


@each_level
def test_an_agent_at_rest_is_five_processes(
    detection: Detection, profile: BoxProfile, tmp_path: Path
) -> None:
    echo_server(tmp_path / "gateway.sock")
    port = free_port()
    own = BoxProfile(profile.work, profile.process_id, gateway=(tmp_path / "gateway.sock", port))
    code = f"import socket, sys; s = socket.create_connection(('127.0.0.1', {port})); print('up', flush=True); sys.stdin.read()"
    argv = Sandbox(detection).wrap(own, ("/usr/bin/python3", "-c", code))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"up\n"
        assert 2 <= len(marked(profile.process_id)) <= 5
        assert os.getsid(process.pid) == process.pid
        process.stdin.close()
        process.wait(10)
    assert gone(profile.process_id)


@each_level
def test_nothing_of_the_programs_environment_is_passed_on(
    detection: Detection, profile: BoxProfile
) -> None:
    code = (
        "import os; print([n for p in os.listdir('/proc') if p.isdigit() "
        "for n in open(f'/proc/{p}/environ', 'rb').read().split(b'\\0') if b'HOST_' in n])"
    )
    if detection.level is BoxLevel.NONE:
        code = "import os; print([name for name in os.environ if 'HOST_' in name])"
    argv = Sandbox(detection).wrap(profile, ("/usr/bin/python3", "-c", code))
    env = {**os.environ, "HOST_SECRET": SECRET}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=20)
    assert done.stdout == "[]\n", done.stderr


PARENT = """
import subprocess, sys
from pathlib import Path
from adapters.sandbox.levels import Detection
from adapters.sandbox.sandbox import Sandbox
from core.ports.host import BoxLevel, BoxProfile
profile = BoxProfile(Path(sys.argv[1]), sys.argv[2])
box = Sandbox(Detection(BoxLevel(sys.argv[3]), disable_userns=sys.argv[4] == "True"))
children = []
for _ in range(4):
    argv = box.wrap(profile, ("sh", "-c", sys.argv[5]))
    children.append(subprocess.Popen(["sh", "-c", 'exec "$@"', "sh", *argv]))
    print("started", flush=True)
for child in children:
    child.wait()
"""


@each_level
@pytest.mark.parametrize("delay", [0.0, 0.001, 0.003, 0.005, 0.008, 0.012, 0.3])
def test_the_box_dies_with_the_program(
    detection: Detection, profile: BoxProfile, delay: float
) -> None:
    # Without namespaces only the process itself is bound to the program's life.
    inside = "sleep 77" if detection.level is BoxLevel.NONE else "setsid sleep 78 & sleep 77"
    program = subprocess.Popen(
        [
            *(sys.executable, "-c", PARENT, profile.work, profile.process_id),
            *(
                detection.level,
                str(detection.disable_userns),
                f"exec {inside}" if "&" not in inside else inside,
            ),
        ],
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    for _ in range(4):
        program.stdout.readline()
    time.sleep(delay)
    program.send_signal(signal.SIGKILL)
    # Not waited for yet: a zombie still stands in /proc, and must count as dead.
    assert gone(profile.process_id)
    time.sleep(0.02)
    assert gone(profile.process_id)
    program.wait()
    program.stdout.close()


@needs_full
def test_the_box_dies_with_its_outermost_process(box: Sandbox, profile: BoxProfile) -> None:
    argv = box.wrap(profile, ("sh", "-c", "setsid sleep 77 & echo up; sleep 77"))
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(ending)
        assert gone(profile.process_id)


@each_level
async def test_commands_at_every_level(detection: Detection, profile: BoxProfile) -> None:
    box = Sandbox(detection)
    done = await run(box, profile, "pwd; setsid sleep 77 >/dev/null & exit 5")
    assert (done.exit_code, done.output) == (5, f"{profile.work}\n")
    assert marked(profile.process_id) == []
    done = await run(box, profile, "setsid sleep 77 & sleep 77", timedelta(seconds=0.2))
    assert (done.exit_code, done.timed_out) == (124, True)
    assert marked(profile.process_id) == []


@needs_full
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_has_the_same_box(tmp_path: Path) -> None:
    work = Path("/tmp") / f"autocoder-test-{os.getpid()}"
    root, mark = Path(__file__).parents[2], f"nobody{os.getpid()}-1"
    code = (
        "import asyncio, os; from datetime import timedelta; from pathlib import Path\n"
        "from adapters.sandbox.sandbox import open_box; from core.ports.host import BoxProfile\n"
        f"box = open_box(required=True); profile = BoxProfile(Path('{work}'), '{mark}')\n"
        "run = lambda c: asyncio.run(box.run(profile, c, timeout=timedelta(seconds=5)))\n"
        "print(run('id -u; touch x; ls /root /home /run; touch /usr/x; ip link || cat /proc/net/dev').output)\n"
        "print(run('setsid sleep 77 & exit 4').exit_code)\n"
    )
    work.mkdir()
    os.chown(work, 65534, 65534)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3"]
    try:
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        if subprocess.run([*nobody, "-c", "import core.ports.host"], env=env).returncode != 0:
            pytest.skip("the system's Python or this folder is not for every user")
        done = subprocess.run([*nobody, "-c", code], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines[0] == "65534"
        assert lines[-1] == "4"
        assert (work / "x").exists()
        assert "eth" not in done.stdout
        assert gone(mark)
    finally:
        shutil.rmtree(work)


STOPPED = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from adapters.sandbox.levels import detect
from adapters.sandbox.sandbox import open_box
from core.ports.host import BoxProfile

async def main():
    box = open_box(required=False)
    profile = BoxProfile(work=Path(sys.argv[1]), process_id="test-stopped")
    print("begins", flush=True)
    done = await box.run(profile, "sleep 1.5; echo done", timeout=timedelta(seconds=3))
    print(done.exit_code, done.output, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
def test_time_that_nobody_saw_pass_is_not_used_up(tmp_path: Path) -> None:
    """A night's sleep of the host, or a stopped service, fails no check."""
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGSTOP)
        time.sleep(6)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline().split() == ["0", "done"]
