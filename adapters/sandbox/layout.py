"""What a box shows: the bubblewrap arguments for one profile."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.ports.host import BoxProfile

SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
GATEWAY_SOCKET = "/run/autocoder/gateway.sock"

# Top-level folders that are links into /usr on a merged system and real folders on others.
_MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")

# No private keys (/etc/ssl/private, /etc/pki/tls/private): root reads them even without
# capabilities, so single entries are named instead of whole folders.
_ETC = (
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "perl",
    "pki/ca-trust",
    "pki/java",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "protocols",
    "python3",
    "services",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
)
_ETC_PATTERNS = ("java-*", "python3.*")

# Where a package index is told; `setup` cannot work without it behind a mirror.
_ETC_NETWORK = ("npmrc", "pip.conf", "resolv.conf")

_HIDDEN = ("/run", "/home", "/root", "/var")
_TMP_BYTES = 4 << 30
_SMALL_TMP_BYTES = 512 << 20


def isolation(*, network: bool, disable_userns: bool) -> list[str]:
    """The namespaces and privileges of a FULL box.

    bubblewrap's own reaper is not wanted as pid 1: it binds itself to its parent only after
    the command has started, which leaves a moment in which both survive the program.
    """
    return [
        "--unshare-user",
        *(["--disable-userns"] if disable_userns else []),
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-uts",
        "--unshare-cgroup-try",
        *([] if network else ["--unshare-net"]),
        *("--cap-drop", "ALL", "--die-with-parent", "--new-session", "--as-pid-1"),
    ]


def system_folders(*, network: bool) -> list[str]:
    """/usr, the needed parts of /etc, fresh /proc, /dev and temporary folders."""
    args = ["--ro-bind", "/usr", "/usr"]
    for folder in _MERGED:
        if os.path.islink(folder):
            args += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            args += ["--ro-bind", folder, folder]
    args += ["--perms", "0755", "--dir", "/etc"]
    for entry in _etc(network):
        args += ["--ro-bind", str(entry), str(entry)]
    # Root without capabilities still owns /proc/sys: `core_pattern` would be a way out.
    args += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"]
    args += ["--perms", "1777", "--size", str(_TMP_BYTES), "--tmpfs", "/tmp"]
    for folder in _HIDDEN:
        args += ["--size", str(_SMALL_TMP_BYTES), "--tmpfs", folder]
    return [*args, "--perms", "1777", "--dir", "/var/tmp"]


def profile_folders(
    profile: BoxProfile, readable: Sequence[Path], hidden: Sequence[Path]
) -> list[str]:
    """The profile's own paths, later ones over earlier ones.

    `hidden` covers data folders that lie inside something readable; what is named inside of
    a hidden folder is shown again after it.
    """
    args: list[str] = []
    outer = [path for path in readable if not _inside_any(path, hidden)]
    inner = [path for path in readable if any(folder in path.parents for folder in hidden)]
    for path in outer:
        args += ["--ro-bind-try", str(path), str(path)]
    for path in hidden:
        if _shown(path, outer):
            args += ["--tmpfs", str(path)]
    for path in (*inner, *profile.readable):
        args += ["--ro-bind-try", str(path), str(path)]
    if profile.git_dir is not None:
        args += ["--ro-bind", str(profile.git_dir), str(profile.git_dir)]
    for path in (*profile.writable, profile.work):
        args += ["--bind", str(path), str(path)]
    dot_git = profile.work / ".git"
    if _is_file_or_folder(dot_git):
        args += ["--ro-bind", str(dot_git), str(dot_git)]
    if profile.gateway is not None:
        args += ["--ro-bind", str(profile.gateway[0]), GATEWAY_SOCKET]
    return [*args, "--remount-ro", "/", "--chdir", str(profile.work)]


def search_path(readable: Sequence[Path]) -> str:
    """PATH in the box: the system's programs first, then those of the readable toolchains."""
    folders = list(SYSTEM_PATH)
    for path in readable:
        for folder in _program_folders(path):
            if str(folder) not in folders:
                folders.append(str(folder))
    return ":".join(folders)


def _program_folders(path: Path) -> Iterator[Path]:
    if path.name == "bin" and path.is_dir():
        yield path
    if (path / "bin").is_dir():
        yield path / "bin"
    for pattern in ("versions/*/bin", "versions/node/*/bin"):  # pyenv, nvm
        yield from sorted(path.glob(pattern), reverse=True)


def _etc(network: bool) -> Iterator[Path]:
    etc = Path("/etc")
    for name in (*_ETC, *(_ETC_NETWORK if network else ())):
        if (etc / name).exists():
            yield etc / name
    for pattern in _ETC_PATTERNS:
        yield from sorted(path for path in etc.glob(pattern) if path.exists())


def _inside_any(path: Path, folders: Sequence[Path]) -> bool:
    return any(folder == path or folder in path.parents for folder in folders)


def _shown(path: Path, readable: Sequence[Path]) -> bool:
    return path.is_dir() and _inside_any(path, (*readable, Path("/usr")))


def _is_file_or_folder(path: Path) -> bool:
    # A symlink put there by an agent must not choose what is mounted.
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
