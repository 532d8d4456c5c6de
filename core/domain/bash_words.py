"""Words of a shell command as far as they can be known without running it, and paths in them."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_GLOB = re.compile(r"[*?\[{]")
_WRITABLE_DEVICES = {"/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty"}
_READABLE_ROOTS = (
    "/usr",
    "/etc/os-release",
    "/dev/null",
    "/dev/stdin",
    "/dev/zero",
    "/dev/urandom",
)
_FORBIDDEN_NAMES = {
    "PATH",
    "IFS",
    "ENV",
    "BASH_ENV",
    "BASHOPTS",
    "SHELLOPTS",
    "SHELL",
    "PROMPT_COMMAND",
    "PS4",
    "PAGER",
    "EDITOR",
    "VISUAL",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "PYTHONBREAKPOINT",
    "NODE_OPTIONS",
    "PERL5OPT",
    "PERL5DB",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "RUSTC_WRAPPER",
    "CDPATH",
}
_FORBIDDEN_PREFIXES = ("LD_", "DYLD_", "GIT_", "AUTOCODER_", "CLAUDE", "ANTHROPIC_", "BASH_FUNC_")


@dataclass(frozen=True)
class Word:
    """One word of a command. `text` is None when only running it would tell."""

    text: str | None
    start: str = ""  # what is known of the beginning
    pattern: bool = False  # holds an unquoted `*`, `?`, `[`, `{` or a leading `~`


@dataclass(frozen=True)
class Folder:
    """Where a command runs; `path` is the worktree, None when that is not known yet (a plan)."""

    path: str | None = None

    def holds(self, path: str, *, writing: bool) -> bool:
        """Whether a path is inside the worktree or a temporary folder (or readable anywhere)."""
        if path.startswith("~"):
            return False
        clean = posixpath.normpath(path)
        if not clean.startswith("/"):
            return clean != ".." and not clean.startswith("../")
        roots = ["/tmp", "/var/tmp"]
        if self.path is not None:
            roots.append(posixpath.normpath(self.path))
        if any(clean.startswith(f"{root}/") or clean == root for root in roots):
            return True
        if clean in _WRITABLE_DEVICES or clean.startswith("/dev/fd/"):
            return True
        return not writing and any(
            clean == root or clean.startswith(f"{root}/") for root in _READABLE_ROOTS
        )

    def objection(self, word: Word, *, writing: bool) -> str | None:
        """Why a path may not be used, as far as it is known; None: it may."""
        known = word.text if word.text is not None else word.start
        if not known:
            return None
        if not self.holds(known, writing=writing):
            return f"{known} is outside your working folder. Use paths inside it, or /tmp."
        if writing and ".git" in known.split("/"):
            return "The .git folder is the service's: it commits your work itself."
        return None


def forbidden_name(name: str) -> bool:
    """Whether a variable steers which programs run, and so may not be set."""
    bare = name.partition("[")[0].rstrip("+")
    return bare in _FORBIDDEN_NAMES or bare.startswith(_FORBIDDEN_PREFIXES)


def read_word(node: object) -> Word:
    """A word of the syntax tree."""
    parts = node.get("Parts") if isinstance(node, Mapping) else None
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        return Word(None)
    text, pattern = "", False
    for number, part in enumerate(parts):
        if not isinstance(part, Mapping):
            return Word(None, text, pattern)
        if part.get("Type") == "Lit":
            raw = str(part.get("Value", ""))
            pattern = pattern or bool(_GLOB.search(_without_escapes(raw)))
            pattern = pattern or (number == 0 and raw.startswith("~"))
            text += re.sub(r"\\(.)", _keep, raw, flags=re.DOTALL)
            continue
        quoted = _quoted(part)
        if quoted is None:
            return Word(None, text + _known_start(part), pattern)
        text += quoted
    return Word(text, text, pattern)


def _keep(found: re.Match[str]) -> str:
    return "" if found[1] == "\n" else found[1]


def _without_escapes(raw: str) -> str:
    return re.sub(r"\\.", "", raw, flags=re.DOTALL)


def _quoted(part: Mapping[str, object]) -> str | None:
    """The text of a quoted part, None if it holds an expansion."""
    value = part.get("Value", "")
    match part.get("Type"):
        case "SglQuoted":
            if not isinstance(value, str) or (part.get("Dollar") and "\\" in value):
                return None
            return value
        case "DblQuoted":
            inner = part.get("Parts", ())
            return _inner_text(inner) if isinstance(inner, Sequence) else None
        case _:
            return None


def _inner_text(parts: Sequence[object]) -> str | None:
    text = ""
    for part in parts:
        if not isinstance(part, Mapping) or part.get("Type") != "Lit":
            return None
        text += re.sub(r'\\([$`"\\\n])', _keep, str(part.get("Value", "")))
    return text


def _known_start(part: Mapping[str, object]) -> str:
    """The literal beginning of a double-quoted part that goes on with an expansion."""
    inner = part.get("Parts", ())
    if part.get("Type") != "DblQuoted" or not isinstance(inner, Sequence):
        return ""
    known = ""
    for piece in inner:
        if not isinstance(piece, Mapping) or piece.get("Type") != "Lit":
            break
        known += str(piece.get("Value", ""))
    return known
