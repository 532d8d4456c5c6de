"""Which programs a command may name, and what each may be told."""

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.domain.bash_words import Folder, Word, forbidden_name

_SHELL = """: [ alias-free break cd command continue dirs echo exit export false getopts hash help let
local mapfile popd printf pushd pwd read readarray readonly return set shift test times trap true
type typeset umask unset wait . source"""
_TEXT = """awk base64 basename bc cat cmp column comm csplit cut date dc diff dirname expand expr fgrep
egrep fd file fmt fold gawk grep head hexdump iconv join jq less ls mawk md5sum nl numfmt od paste
patch perl pr printenv readlink realpath rev rg sed seq sha1sum sha256sum shuf sort split stat
strings sum tac tail tee tr tree tsort uniq wc which xxd yes yq"""
_FILES = """chmod cp du df gunzip gzip install ln mkdir mktemp mv rm rmdir tar touch truncate unzip
xz zip zcat bzip2 bunzip2 zstd"""
_HOST = "arch env find free getconf hostname id locale nice nproc ps sleep stdbuf sync time timeout tty uname whoami xargs"
_BUILD = """ant ar as bazel black bun c++ cargo cc clang clang++ clang-format clang-tidy cmake coverage
cpp ctest deno dotnet elixir erl eslint flake8 g++ gcc gcov ghc go gofmt gradle isort jar java javac
javadoc jest julia kotlin kotlinc ld ldd lua luac make gmake meson mix mocha mvn mypy nasm ninja nm
node nodejs npm npx nyc objdump ocaml php phpunit pnpm prettier protoc py.test pylint pyright pytest
rake readelf rspec ruby ruff rubocop rustc rustdoc rustfmt sbt scala scalac shellcheck shfmt sqlite3
size strip swift swiftc tox tsc tsx unittest valgrind vite vitest vue-tsc webpack yarn zig bash dash sh
git python python3"""

ALLOWED = frozenset(f"{_SHELL} {_TEXT} {_FILES} {_HOST} {_BUILD}".split()) - {"alias-free"}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NO_NETWORK = "there is no network here. Use what is installed and the standard library"
_OFFLINE = (
    "apt apt-get aptitude brew conda curl dig dnf ftp gem ncat nc netcat nmap nslookup pip pip3 ping "
    "pipx poetry rsync scp sftp snap socat ssh telnet uv uvx wget yum"
)
_BECAUSE = (
    dict.fromkeys(_OFFLINE.split(), _NO_NETWORK)
    | dict.fromkeys(
        ("sudo", "su", "doas", "pkexec", "chroot", "unshare", "nsenter"),
        "you have all the rights you need here. Run the command as it is",
    )
    | dict.fromkeys(
        ("kill", "pkill", "killall", "skill", "xkill"),
        "a command ends what it started. Use `timeout SECONDS COMMAND`",
    )
    | dict.fromkeys(
        ("nohup", "setsid", "disown", "screen", "tmux", "at", "batch", "crontab", "daemonize"),
        "nothing may run on after its call. Run it in the foreground, with `timeout`",
    )
    | dict.fromkeys(
        ("eval", "exec", "alias", "enable", "builtin", "shopt", "bind", "complete"),
        "write the command out, or into a script file that you run",
    )
    | dict.fromkeys(("vi", "vim", "nano", "emacs", "ed"), "there is no terminal. Use Edit or Write")
)

_GIT_READS = _words(
    "blame cat-file check-ignore count-objects describe diff diff-tree for-each-ref grep help log ls-files ls-tree merge-base name-rev rev-list rev-parse shortlog show show-ref status version whatchanged"
)
_GIT_WORDS = (
    "the service commits your work itself. Use git status, diff, log, show, ls-files or blame"
)
_NPM = _words("test t tst run run-script start exec x ls list pkg version")
_CARGO = _words(
    "bench build b check c clean clippy doc d fmt init metadata new r run t test tree version"
)
_GO = _words("build clean doc env fix fmt generate list mod run test tool version vet work")
_MODULES_WITH_NETWORK = _words("pip ensurepip pipx uv easy_install")
_WRITERS = _words("chmod ln mkdir mv rm rmdir tee touch truncate")
_LAST_WRITTEN = {"cp", "install"}


@dataclass(frozen=True)
class Inner:
    """A command that a program would run, as words."""

    argv: tuple[Word, ...]


@dataclass(frozen=True)
class Script:
    """A command that a program would run, as one text to be parsed."""

    text: str


@dataclass(frozen=True)
class Refused:
    """Why not, as the end of the sentence "NAME is refused: …"."""

    why: str


Finding = Inner | Script | Refused
_Rule = Callable[[Sequence[Word], Folder], list[Finding]]


def refusal_of(name: str) -> str:
    """Why a program is not allowed, and what to do instead."""
    why = _BECAUSE.get(posixpath.basename(name))
    if why is None:
        why = (
            "it is not on the list of allowed programs. Use one that is, or a script of your own "
            "(python3 FILE)"
        )
    return f"{name} is refused: {why}."


def findings(name: str, arguments: Sequence[Word], folder: Folder) -> list[Finding]:
    """What a use of an allowed program amounts to: refusals, and commands inside it."""
    rule = _RULES.get(name)
    if re.fullmatch(r"python3?(\.\d+)?", name):
        rule = _python
    if rule is not None:
        return rule(arguments, folder)
    if name in _WRITERS:
        return _outside(_operands(arguments), folder)
    if name in _LAST_WRITTEN:
        return _outside(_operands(arguments)[-1:], folder)
    return []


def _operands(words: Sequence[Word]) -> list[Word]:
    found, only = [], False
    for word in words:
        if word.text == "--" and not only:
            only = True
        elif only or not (word.text or word.start).startswith("-"):
            found.append(word)
    return found


def _outside(words: Sequence[Word], folder: Folder) -> list[Finding]:
    reasons = (folder.objection(word, writing=True) for word in words)
    return [Refused(reason.rstrip(".")) for reason in reasons if reason]


def _after_options(
    words: Sequence[Word], with_value: str, *, long_value: Sequence[str] = ()
) -> int:
    """Where a wrapper's own options end. `with_value`: letters whose value is the next word."""
    at = 0
    while at < len(words):
        text = words[at].text
        if text is None or not text.startswith("-") or text == "-":
            break
        at += 1
        if text == "--":
            break
        if text.startswith("--"):
            at += text in long_value
        elif len(text) == 2 and text[1] in with_value:
            at += 1
    return at


def _command(words: Sequence[Word], missing: str) -> list[Finding]:
    return [Inner(tuple(words))] if words else [Refused(missing)]


def _env(words: Sequence[Word], folder: Folder) -> list[Finding]:
    at = 0
    while at < len(words) and (text := words[at].text) is not None and text.startswith("-"):
        if text in {"-u", "--unset"}:
            at += 2
        elif text in {"-i", "-", "--ignore-environment", "-0", "--null"} or text.startswith(
            ("--unset=", "-u")
        ):
            at += 1
        else:
            return [Refused(f"the option {text} of env is not allowed. Write the command out")]
    while at < len(words) and "=" in words[at].start:
        name = words[at].start.partition("=")[0]
        if forbidden_name(name):
            return [Refused(f"{name} may not be set")]
        at += 1
    return [Inner(tuple(words[at:]))] if at < len(words) else []


def _timeout(words: Sequence[Word], folder: Folder) -> list[Finding]:
    at = _after_options(words, "ks", long_value=("--kill-after", "--signal"))
    return _command(words[at + 1 :], "give a duration and a command")


def _nice(words: Sequence[Word], folder: Folder) -> list[Finding]:
    at = _after_options(words, "n", long_value=("--adjustment",))
    return [Inner(tuple(words[at:]))] if at < len(words) else []


def _stdbuf(words: Sequence[Word], folder: Folder) -> list[Finding]:
    at = _after_options(words, "ioe", long_value=("--input", "--output", "--error"))
    return _command(words[at:], "give a command")


def _time(words: Sequence[Word], folder: Folder) -> list[Finding]:
    at = _after_options(words, "fo", long_value=("--format", "--output"))
    return _command(words[at:], "give a command")


def _xargs(words: Sequence[Word], folder: Folder) -> list[Finding]:
    longs = ("--max-args", "--max-procs", "--max-lines", "--delimiter", "--arg-file", "--replace")
    at = _after_options(words, "nPLIdasE", long_value=longs)
    return [Inner((*words[at:], Word(None)))] if at < len(words) else []


def _find(words: Sequence[Word], folder: Folder) -> list[Finding]:
    found: list[Finding] = []
    at = 0
    while at < len(words):
        text = words[at].text
        at += 1
        if text in {"-exec", "-execdir", "-ok", "-okdir"}:
            end = at
            while end < len(words) and words[end].text not in {";", "+"}:
                end += 1
            found += _command(words[at:end], "give a command after -exec")
            at = end + 1
        elif text in {"-fprint", "-fprintf", "-fls", "-fprint0"}:
            found += _outside(words[at : at + 1], folder)
    return found


def _shell(words: Sequence[Word], folder: Folder) -> list[Finding]:
    at = 0
    while at < len(words) and (text := words[at].text) is not None and text[:1] in {"-", "+"}:
        at += 1
        if text.startswith("-") and not text.startswith("--") and "c" in text:
            script = words[at].text if at < len(words) else None
            if script is None:
                return [Refused("write the text after -c out, without expansions")]
            return [Script(script)]
        if text in {"-o", "+o", "-O"}:
            at += 1
        elif text in {"--rcfile", "--init-file"} or "s" in text.lstrip("-"):
            return [Refused(f"the option {text} is not allowed. Give a file or -c 'COMMANDS'")]
        elif text == "--version":
            return []
    return _file(words[at:], folder, "give a file of yours or -c 'COMMANDS'")


def _source(words: Sequence[Word], folder: Folder) -> list[Finding]:
    return _file(words, folder, "name the file literally")


def _file(words: Sequence[Word], folder: Folder, missing: str) -> list[Finding]:
    """The first word must be a known file of the worktree."""
    if not words or not words[0].text or words[0].pattern or words[0].text.startswith("-"):
        return [Refused(missing)]
    text = words[0].text
    if text.startswith("/dev/") or not folder.holds(text, writing=True):
        return [Refused(f"{text} is outside your working folder. Run files inside it")]
    return []


def _cd(words: Sequence[Word], folder: Folder) -> list[Finding]:
    operands = _operands(words)
    if any(word.text == "-" for word in words):
        return []
    if not operands:
        return [Refused("name a folder inside your working folder")]
    reason = folder.objection(operands[0], writing=False)
    return [Refused(reason.rstrip("."))] if reason else []


def _names(words: Sequence[Word], folder: Folder) -> list[Finding]:
    """Builtins that set variables named in their arguments."""
    return [
        Refused(f"{word.start} may not be set")
        for word in words
        if forbidden_name(word.start.partition("=")[0])
    ]


def _printf(words: Sequence[Word], folder: Folder) -> list[Finding]:
    return _names(words[1:2], folder) if words and words[0].text == "-v" else []


def _builtin_command(words: Sequence[Word], folder: Folder) -> list[Finding]:
    if words and words[0].text in {"-v", "-V"}:
        return []
    at = _after_options(words, "")
    return _command(words[at:], "give a command")


def _trap(words: Sequence[Word], folder: Folder) -> list[Finding]:
    if not words or words[0].text in {"-", "-l", "-p", ""}:
        return []
    text = words[0].text
    return [Refused("write the text of the trap out")] if text is None else [Script(text)]


def _git(words: Sequence[Word], folder: Folder) -> list[Finding]:
    at = 0
    while at < len(words) and (text := words[at].text) is not None and text.startswith("-"):
        if text in {"--no-pager", "--no-optional-locks", "--literal-pathspecs"}:
            at += 1
        elif text in {"--version", "--help", "-h", "-v"}:
            return []
        elif text == "-C" and at + 1 < len(words) and words[at + 1].text is not None:
            if refused := _outside(words[at + 1 : at + 2], folder):
                return refused
            at += 2
        else:
            return [Refused(f"the option {text} is not allowed before the subcommand")]
    name = words[at].text if at < len(words) else None
    rest = words[at + 1 :]
    reads_only = name in _GIT_READS or (
        name in {"branch", "tag", "stash", "remote", "worktree"} and _lists_only(name, rest)
    )
    if name is None or not reads_only:
        return [Refused(_GIT_WORDS)]
    for word in rest:
        text = word.text or word.start
        if text.startswith(("--output", "--ext-diff", "--textconv", "--open-files-in-pager")) or (
            name == "grep" and text.startswith("-O")
        ):
            return [Refused(f"the option {text} is not allowed")]
    return []


def _lists_only(name: str, rest: Sequence[Word]) -> bool:
    if any(word.text is None for word in rest):
        return False
    texts = [word.text for word in rest]
    match name:
        case "stash" | "worktree":
            return texts[:1] == ["list"] or (name == "stash" and texts[:1] == ["show"])
        case "remote":
            return all(text in {"-v", "--verbose"} for text in texts)
        case _:
            listing = {"-a", "-r", "-v", "-vv", "-l", "--list", "--show-current", "--all", "-n"}
            return all(text in listing or str(text).startswith("--format") for text in texts)


def _python(words: Sequence[Word], folder: Folder) -> list[Finding]:
    texts = [word.text for word in words]
    if "-m" in texts:
        at = texts.index("-m") + 1
        module = texts[at] if at < len(texts) else None
        if module is None:
            return [Refused("name the module literally")]
        if module.partition(".")[0] in _MODULES_WITH_NETWORK:
            return [Refused(_NO_NETWORK)]
    elif any((text or "").startswith("-m") for text in texts[:1]):
        return [Refused("write -m and the module as two words")]
    return []


def _only(subcommands: frozenset[str]) -> _Rule:
    def rule(words: Sequence[Word], folder: Folder) -> list[Finding]:
        named = _operands(words)
        if not named:
            return [] if words else [Refused("name a subcommand")]
        name = named[0].text
        if name is not None and name.startswith("+"):
            name = named[1].text if len(named) > 1 else None
        if name in subcommands:
            return []
        return [Refused(f"{name or 'an unknown subcommand'} is not allowed: {_NO_NETWORK}")]

    return rule


_RULES: dict[str, _Rule] = {
    ".": _source,
    "bash": _shell,
    "cargo": _only(_CARGO),
    "cd": _cd,
    "command": _builtin_command,
    "dash": _shell,
    "env": _env,
    "find": _find,
    "getopts": _names,
    "git": _git,
    "go": _only(_GO),
    "mapfile": _names,
    "nice": _nice,
    "npm": _only(_NPM),
    "pnpm": _only(_NPM),
    "printf": _printf,
    "pushd": _cd,
    "read": _names,
    "readarray": _names,
    "sh": _shell,
    "source": _source,
    "stdbuf": _stdbuf,
    "time": _time,
    "timeout": _timeout,
    "trap": _trap,
    "unset": _names,
    "xargs": _xargs,
    "yarn": _only(_NPM),
}
